/*
 * map_build.c
 *	  Builds the data map from stored labels and keeps it until it is stale.
 */
#include "postgres.h"

#include "map/map.h"
#include "base/settings.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static DataMap *current_map = NULL;
static List *stale_maps = NIL;	/* of DataMap, in TopMemoryContext */
static Oid	sentinel = InvalidOid;
static bool building = false;
static bool changed_while_building = false;
static bool constraints_changed = false;	/* of some table, perhaps foreign keys */
static List *watched_types = NIL;	/* of int: hash values of TYPEOID, in the map's context */

static DataMap *build_map(void);
static int	pin_quoting(void);
static void unpin_quoting(int level);
static void add_label(DataMap *map, List **tables, StoredLabel *stored);
static void check_family(DataMap *map, List *tables);
static void check_names(MapTable *table, const char *key, List *names);
static void check_kinds(DataMap *map);
static void set_subject_key(MapTable *table);
static void set_fully_owned(DataMap *map, MapTable *table);
static Oid	domain_base(Oid domain);
static int	compare_tables(const ListCell *a, const ListCell *b);
static bool foreign_keys_changed(void);
static bool same_foreign_key(const ForeignKey *a, const ForeignKey *b);
static void mark_stale(void);
static void relation_changed(Datum arg, Oid relid);
static void type_changed(Datum arg, int cacheid, uint32 hashvalue);
static void schema_changed(Datum arg, int cacheid, uint32 hashvalue);
static void constraint_changed(Datum arg, int cacheid, uint32 hashvalue);
static void transaction_ended(XactEvent event, void *arg);
static void subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg);

/*
 * EffMapInit registers what makes the map stale.
 */
void
EffMapInit(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, constraint_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}

/*
 * EffMapGet returns the data map as of now, without links resolved: callers
 * above graph.c use EffGraphGet().
 */
DataMap *
EffMapGet(void)
{
	AcceptInvalidationMessages();
	if (current_map != NULL && !current_map->stale && !foreign_keys_changed())
		return current_map;

	for (int attempt = 0;; attempt++)
	{
		DataMap    *map;
		DataMap    *old = current_map;
		MemoryContext context;

		changed_while_building = false;
		constraints_changed = false;
		building = true;
		PG_TRY();
		{
			map = build_map();
		}
		PG_FINALLY();
		{
			building = false;
		}
		PG_END_TRY();

		context = MemoryContextSwitchTo(TopMemoryContext);
		if (old != NULL)
			stale_maps = lappend(stale_maps, old);
		MemoryContextSwitchTo(context);
		MemoryContextSetParent(map->context, TopMemoryContext);
		current_map = map;
		if (!changed_while_building)
			break;
		map->stale = true;
		if (attempt >= 3)
			break;				/* used once, then built anew */
	}
	return current_map;
}

/*
 * EffMapHold takes the locks that writing into tables and their children needs
 * anyway, before anything is built on what the map says of them.  Whoever
 * changes one of them may have committed while its lock was waited for; after
 * that nobody adds a column, a foreign key or a trigger until the transaction
 * ends.
 */
bool
EffMapHold(DataMap *map, List *relations)
{
	ListCell   *lc;
	ListCell   *lc2;

	CHECK_FOR_INTERRUPTS();
	foreach(lc, relations)
		foreach(lc2, ((EffRelation *) lfirst(lc))->inheritors)
			LockRelationOid(lfirst_oid(lc2), RowExclusiveLock);
	return EffMapGet() == map;
}

/*
 * EffMapRelation returns the entry of a relation, made where it is new.
 */
MapRelation *
EffMapRelation(DataMap *map, Oid relid)
{
	bool		found;
	MapRelation *entry = hash_search(map->relations, &relid, HASH_ENTER, &found);

	if (!found)
	{
		entry->rel = NULL;
		entry->table = NULL;
		entry->references = NIL;
		entry->referenced_by = NIL;
		entry->joins = NIL;
		entry->used = false;
	}
	return entry;
}

/*
 * EffMapLoad returns the columns and indexes of a relation, NULL where it is
 * gone.  From then on a change of the relation makes the map stale.
 */
EffRelation *
EffMapLoad(DataMap *map, Oid relid)
{
	MapRelation *entry = EffMapRelation(map, relid);

	if (entry->rel == NULL)
	{
		MemoryContext context = MemoryContextSwitchTo(map->context);
		int			level = pin_quoting();
		EffRelation *rel = EffRelationLoad(relid);
		ListCell   *lc;

		unpin_quoting(level);
		entry->rel = rel;
		entry->used = true;
		if (rel != NULL)
			foreach(lc, rel->inheritors)
				EffMapRelation(map, lfirst_oid(lc))->used = true;
		MemoryContextSwitchTo(context);
	}
	/* the hash may have grown; entries do not move */
	return entry->rel;
}

/* EffMapTable returns the labelled table of that name, or NULL. */
MapTable *
EffMapTable(DataMap *map, Oid relid)
{
	MapRelation *entry = hash_search(map->relations, &relid, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->table;
}

/*
 * EffMapTableOver returns the labelled table that a relation is, is a
 * partition of or inherits from; NULL where its rows are in no labelled table.
 */
MapTable *
EffMapTableOver(DataMap *map, Oid relid)
{
	MapTable   *table = EffMapTable(map, relid);
	ListCell   *lc;

	if (table == NULL)
		foreach(lc, EffAncestors(relid))
			if ((table = EffMapTable(map, lfirst_oid(lc))) != NULL)
				break;
	return table;
}

MapColumn *
EffMapColumn(MapTable *table, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, table->columns)
		if (((MapColumn *) lfirst(lc))->column->attnum == attnum)
			return lfirst(lc);
	return NULL;
}

bool
EffMapHoldsRefs(MapTable *table)
{
	ListCell   *lc;

	foreach(lc, table->columns)
		if (((MapColumn *) lfirst(lc))->label->ref != NULL)
			return true;
	return false;
}

/*
 * EffMapIsCovered tells whether a column is labelled, or a member of the
 * primary key or of a foreign key.
 */
bool
EffMapIsCovered(DataMap *map, MapTable *table, AttrNumber attnum)
{
	EffIndex   *primary = EffRelationPrimaryKey(table->rel);
	ListCell   *lc;

	if (EffMapColumn(table, attnum) != NULL)
		return true;
	for (int k = 0; primary != NULL && k < primary->nkeys; k++)
		if (primary->keys[k] == attnum)
			return true;
	foreach(lc, EffMapRelation(map, table->rel->oid)->references)
	{
		ForeignKey *fk = lfirst(lc);

		for (int k = 0; k < fk->nkeys; k++)
			if (fk->columns[k] == attnum)
				return true;
	}
	return false;
}

/* EffTypeIsAnchor tells whether a retention can be reckoned from values of a type. */
bool
EffTypeIsAnchor(Oid type)
{
	Oid			base = getBaseType(type);

	return base == DATEOID || base == TIMESTAMPOID || base == TIMESTAMPTZOID;
}

MapError *
EffMapErrorMake(int code, char *message, char *detail, char *hint)
{
	MapError   *error = palloc0(sizeof(MapError));

	error->code = code;
	error->message = message;
	error->detail = detail;
	error->hint = hint;
	return error;
}

/*
 * EffMapErrorCatch is called in PG_CATCH around code that only computes in
 * memory: it turns the error into a struct in the context given.
 */
MapError *
EffMapErrorCatch(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	return EffMapErrorFrom(error);
}

/* EffMapErrorFrom raises an error again that is not about the map. */
MapError *
EffMapErrorFrom(ErrorData *error)
{
	if (error->sqlerrcode != ERRCODE_EFF_MANIFEST && error->sqlerrcode != ERRCODE_EFF_SUBJECT)
		ReThrowError(error);
	return EffMapErrorMake(error->sqlerrcode, error->message, error->detail, error->hint);
}

void
EffMapErrorRaise(const MapError *error)
{
	ereport(ERROR,
			(errcode(error->code),
			 errmsg("%s", error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 errhidestmt(true)));
}

/*
 * EffMapInvalidate makes the map of every session stale when the transaction
 * commits, and that of this session at once.  relid is the relation that the
 * change is about, InvalidOid where it is about none.
 */
void
EffMapInvalidate(Oid relid)
{
	Oid			extension = get_extension_oid(EFF_PROVIDER, true);

	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
	if (OidIsValid(extension))
	{
		Oid			own = get_relname_relid(EFF_SENTINEL, EffExtensionSchema());

		if (OidIsValid(own))
			CacheInvalidateRelcacheByRelid(own);
	}
	mark_stale();
}

static DataMap *
build_map(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "effaced data map",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(context);
	DataMap    *map = palloc0(sizeof(DataMap));
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(MapRelation), .hcxt = context};
	List	   *tables = NIL;
	List	   *types = NIL;
	ListCell   *lc;

	map->context = context;
	map->relations = hash_create("effaced relations", 256, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	sentinel = EffOwnRelation(EFF_SENTINEL);

	map->foreign_keys = EffForeignKeysLoad();
	foreach(lc, map->foreign_keys)
	{
		ForeignKey *fk = lfirst(lc);
		MapRelation *entry = EffMapRelation(map, fk->relid);

		entry->references = lappend(entry->references, fk);
		entry = EffMapRelation(map, fk->target);
		entry->referenced_by = lappend(entry->referenced_by, fk);
	}

	foreach(lc, EffLabelsLoad())
		add_label(map, &tables, lfirst(lc));
	check_family(map, tables);
	list_sort(tables, compare_tables);

	map->ntables = list_length(tables);
	map->tables = palloc(sizeof(MapTable *) * Max(map->ntables, 1));
	foreach(lc, tables)
	{
		MapTable   *table = lfirst(lc);
		ListCell   *lc2;

		map->tables[foreach_current_index(lc)] = table;
		set_subject_key(table);
		set_fully_owned(map, table);
		foreach(lc2, table->columns)
		{
			Oid			type = ((MapColumn *) lfirst(lc2))->column->type;

			/* a domain is made of other types, and an array of its elements */
			while (type >= FirstNormalObjectId)
			{
				Oid			element = get_element_type(type);

				types = lappend_int(types, GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(type)));
				type = OidIsValid(element) ? element :
					get_typtype(type) == TYPTYPE_DOMAIN ? domain_base(type) : InvalidOid;
			}
		}
	}
	check_kinds(map);
	watched_types = types;
	MemoryContextSwitchTo(previous);
	return map;
}

/*
 * pin_quoting makes names the same text whatever quote_all_identifiers is.
 */
static int
pin_quoting(void)
{
	int			level;

	if (!quote_all_identifiers)
		return 0;
	level = NewGUCNestLevel();
	EffSettingSet("quote_all_identifiers", "off");
	return level;
}

static void
unpin_quoting(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}

/*
 * add_label files one stored label under its table.  A label that cannot be
 * read makes the table an error, not the map: others may still be used.
 */
static void
add_label(DataMap *map, List **tables, StoredLabel *stored)
{
	MapRelation *entry;
	EffRelation *rel = EffMapLoad(map, stored->relid);
	MapTable   *table;
	MemoryContext context = CurrentMemoryContext;

	if (rel == NULL || isOtherTempNamespace(get_rel_namespace(stored->relid)))
		return;
	entry = EffMapRelation(map, stored->relid);
	table = entry->table;
	if (table == NULL)
	{
		table = palloc0(sizeof(MapTable));
		table->rel = rel;
		table->name = rel->name;
		entry->table = table;
		*tables = lappend(*tables, table);
	}

	if (rel->relkind != RELKIND_RELATION && rel->relkind != RELKIND_PARTITIONED_TABLE &&
		rel->relkind != RELKIND_FOREIGN_TABLE)
	{
		/* only a comment can get here: the label hook refuses */
		table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
									   psprintf("%s takes no label", rel->name), NULL,
									   pstrdup("Only tables do; label the tables that it reads."));
		return;
	}

	PG_TRY();
	{
		if (stored->attnum == 0)
		{
			table->from_comment = stored->from_comment;
			table->shadowed = stored->shadowed;
			table->json = stored->json;
			table->label = EffLabelParseTable(stored->json);
		}
		else
		{
			EffColumn  *column = EffRelationColumn(rel, stored->attnum);

			if (column != NULL)
			{
				MapColumn  *labelled = palloc0(sizeof(MapColumn));

				labelled->column = column;
				labelled->from_comment = stored->from_comment;
				labelled->shadowed = stored->shadowed;
				labelled->label = EffLabelParseColumn(stored->json);
				table->columns = lappend(table->columns, labelled);
			}
		}
	}
	PG_CATCH();
	{
		MapError   *error = EffMapErrorCatch(context);

		error->message = psprintf("label of %s cannot be read: %s",
								  stored->attnum == 0 ? rel->name :
								  psprintf("%s.%s", rel->name,
										   quote_identifier(get_attname(rel->oid, stored->attnum, false))),
								  error->message);
		if (table->error == NULL)
			table->error = error;
	}
	PG_END_TRY();
}

/*
 * check_family refuses labels on both a parent and its child, and labels that
 * name a link or a column that the table does not have.
 */
static void
check_family(DataMap *map, List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		MapTable   *table = lfirst(lc);
		List	   *links = table->label ? table->label->links : NIL;
		ListCell   *lc2;

		foreach(lc2, table->rel->inheritors)
		{
			MapTable   *child = EffMapTable(map, lfirst_oid(lc2));

			if (child != NULL && child != table && child->error == NULL)
				child->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
											   psprintf("table %s has labels, and so has its parent %s",
														child->name, table->name),
											   pstrdup("Labels on a parent count for its children."),
											   psprintf("SECURITY LABEL FOR effaced ON TABLE %s IS NULL; likewise for its columns.",
														child->rel->sql));
		}
		foreach(lc2, links)
			check_names(table, "redact", ((LinkLabel *) lfirst(lc2))->redact);
		foreach(lc2, table->label ? table->label->set : NIL)
			check_names(table, "set", list_make1(((SetLabel *) lfirst(lc2))->column));
		foreach(lc2, table->columns)
		{
			MapColumn  *column = lfirst(lc2);
			RetentionPolicy *retention = column->label->retention;
			bool		found = column->label->link == NULL;
			ListCell   *lc3;

			foreach(lc3, links)
				if (!found && ((LinkLabel *) lfirst(lc3))->name != NULL)
					found = strcmp(((LinkLabel *) lfirst(lc3))->name, column->label->link) == 0;
			if (!found && table->error == NULL)
				table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
											   psprintf("label key \"link\" of %s.%s names the unknown link \"%s\"",
														table->name, quote_identifier(column->column->name),
														column->label->link),
											   NULL,
											   pstrdup("Name one of the links of the table's label."));
			if (retention != NULL && retention->anchor != NULL && table->error == NULL)
			{
				EffColumn  *anchor = EffRelationColumnByName(table->rel, retention->anchor);

				if (anchor == NULL || !EffTypeIsAnchor(anchor->type))
					table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
												   psprintf("label key \"anchor\" of %s.%s names the %s column \"%s\"",
															table->name, quote_identifier(column->column->name),
															anchor == NULL ? "unknown" : format_type_be(anchor->type),
															retention->anchor),
												   NULL,
												   psprintf("Write the label anew: SECURITY LABEL FOR effaced ON COLUMN %s.%s IS '...';",
															table->rel->sql, quote_identifier(column->column->name)));
			}
		}
	}
}

/* check_names requires columns that a table label names. */
static void
check_names(MapTable *table, const char *key, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
		if (table->error == NULL && EffRelationColumnByName(table->rel, lfirst(lc)) == NULL)
			table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
										   psprintf("label key \"%s\" of %s names the unknown column \"%s\"",
													key, table->name, (char *) lfirst(lc)),
										   NULL,
										   psprintf("Write the label anew: SECURITY LABEL FOR effaced ON TABLE %s IS '...';",
													table->rel->sql));
}

/* check_kinds requires every kind of subject to be one table's. */
static void
check_kinds(DataMap *map)
{
	for (int i = 0; i < map->ntables; i++)
		for (int j = 0; j < i; j++)
		{
			MapTable   *table = map->tables[i];
			MapTable   *other = map->tables[j];

			if (!table->is_subject || !other->is_subject || table->error != NULL ||
				strcmp(table->kind, other->kind) != 0)
				continue;
			table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
										   psprintf("subject tables %s and %s are both of the kind \"%s\"",
													other->name, table->name, table->kind),
										   NULL,
										   pstrdup("Give one of them another name with the label key \"subject\"."));
		}
}

/* set_subject_key finds the identifier columns of a subject table. */
static void
set_subject_key(MapTable *table)
{
	List	   *names;
	EffIndex   *primary;
	ListCell   *lc;

	if (table->label == NULL || !table->label->is_subject)
		return;
	table->is_subject = true;
	table->kind = table->label->subject ? table->label->subject : table->name;
	names = table->label->subject_id_columns;
	if (names == NIL)
	{
		primary = EffRelationPrimaryKey(table->rel);
		if (primary == NULL)
		{
			if (table->error == NULL)
				table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
											   psprintf("subject table %s has no primary key", table->name),
											   NULL,
											   pstrdup("Name its identifier columns with the label key \"subject_id_columns\"."));
			return;
		}
		table->nkey = primary->nkeys;
		table->key = primary->keys;
		return;
	}
	table->key = palloc(sizeof(AttrNumber) * list_length(names));
	foreach(lc, names)
	{
		EffColumn  *column = EffRelationColumnByName(table->rel, lfirst(lc));

		if (column == NULL)
		{
			if (table->error == NULL)
				table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST,
											   psprintf("label key \"subject_id_columns\" of %s names the unknown column \"%s\"",
														table->name, (char *) lfirst(lc)),
											   NULL,
											   psprintf("Write the label anew: SECURITY LABEL FOR effaced ON TABLE %s IS '...';",
														table->rel->sql));
			return;
		}
		table->key[table->nkey++] = column->attnum;
	}
}

/*
 * set_fully_owned decides whether every column is labelled or a key's, or the
 * label says so.
 */
static void
set_fully_owned(DataMap *map, MapTable *table)
{
	ListCell   *lc;

	table->fully_pii_owned = true;
	if (table->label != NULL && table->label->owned)
		return;
	for (int i = 0; i < table->rel->ncolumns; i++)
		table->fully_pii_owned &= EffMapIsCovered(map, table, table->rel->columns[i].attnum);

	/* columns that an inheritance child adds have nowhere to be labelled */
	foreach(lc, table->rel->relkind == RELKIND_PARTITIONED_TABLE ? NIL : table->rel->inheritors)
	{
		EffRelation *child = EffMapLoad(map, lfirst_oid(lc));

		for (int i = 0; child != NULL && i < child->ncolumns; i++)
			table->fully_pii_owned &= EffRelationColumnByName(table->rel, child->columns[i].name) != NULL;
	}
}

/* domain_base gives the type that a domain is directly made of. */
static Oid
domain_base(Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	Oid			base;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	return base;
}

static int
compare_tables(const ListCell *a, const ListCell *b)
{
	return strcmp(((MapTable *) lfirst(a))->name, ((MapTable *) lfirst(b))->name);
}

/*
 * foreign_keys_changed tells whether there are other foreign keys than the map
 * has.  One between tables that it has not loaded may open another way to a
 * subject, and the relcache would not tell of it.
 */
static bool
foreign_keys_changed(void)
{
	MemoryContext context;
	MemoryContext previous;
	List	   *foreign_keys;
	bool		changed;
	ListCell   *a;
	ListCell   *b;

	if (!constraints_changed)
		return false;
	constraints_changed = false;
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced foreign keys", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	foreign_keys = EffForeignKeysLoad();
	changed = list_length(foreign_keys) != list_length(current_map->foreign_keys);
	if (!changed)
		forboth(a, foreign_keys, b, current_map->foreign_keys)
			changed |= !same_foreign_key(lfirst(a), lfirst(b));
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(context);
	if (changed)
		mark_stale();
	return changed;
}

static bool
same_foreign_key(const ForeignKey *a, const ForeignKey *b)
{
	return a->oid == b->oid && strcmp(a->name, b->name) == 0 && strcmp(a->schema, b->schema) == 0 &&
		a->relid == b->relid && a->target == b->target && a->nkeys == b->nkeys && a->nset == b->nset &&
		memcmp(a->columns, b->columns, sizeof(AttrNumber) * a->nkeys) == 0 &&
		memcmp(a->target_columns, b->target_columns, sizeof(AttrNumber) * a->nkeys) == 0 &&
		(a->nset == 0 || memcmp(a->set_columns, b->set_columns, sizeof(AttrNumber) * a->nset) == 0) &&
		a->on_delete == b->on_delete && a->on_update == b->on_update && a->match_full == b->match_full &&
		a->deferrable == b->deferrable && a->initially_deferred == b->initially_deferred &&
		a->validated == b->validated && a->namesake == b->namesake;
}

static void
mark_stale(void)
{
	changed_while_building = true;
	if (current_map != NULL)
		current_map->stale = true;
}

/* relation_changed only sets a flag: it may be called at any time. */
static void
relation_changed(Datum arg, Oid relid)
{
	if (building)
		changed_while_building = true;
	if (current_map == NULL || current_map->stale)
		return;
	if (OidIsValid(relid) && relid != sentinel)
	{
		MapRelation *entry = hash_search(current_map->relations, &relid, HASH_FIND, NULL);

		if (entry == NULL || !entry->used)
			return;
	}
	mark_stale();
}

static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	if (current_map == NULL || current_map->stale)
		return;
	if (hashvalue == 0 || list_member_int(watched_types, hashvalue))
		mark_stale();
}

static void
schema_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	mark_stale();
}

static void
constraint_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	constraints_changed = true;
}

/* transaction_ended frees the maps that nobody can point into any more. */
static void
transaction_ended(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event != XACT_EVENT_COMMIT && current_map != NULL)
		current_map->secret = NULL;
	foreach(lc, stale_maps)
		MemoryContextDelete(((DataMap *) lfirst(lc))->context);
	list_free(stale_maps);
	stale_maps = NIL;
}

/* subtransaction_ended forgets a secret that may have been rolled back. */
static void
subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && current_map != NULL)
		current_map->secret = NULL;
}
