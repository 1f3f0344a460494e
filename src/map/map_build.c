/*
 * map_build.c
 *	  Builds the data map from stored labels.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/own.h"
#include "map/admission.h"
#include "map/map_int.h"
#include "relations/fingerprint.h"
#include "relations/types.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static void add_label(DataMap *map, List **tables, StoredLabel *stored);
static char *label_place(EffRelation *rel, AttrNumber attnum);
static bool labels_count(DataMap *map, Oid owner);
static void check_family(DataMap *map, List *tables);
static void refuse_labels_of_children(DataMap *map, MapTable *parent);
static void check_link_name(MapTable *table, List *links, MapColumn *column);
static void check_anchor(MapTable *table, MapColumn *column);
static void check_names(MapTable *table, const char *key, List *names);
static void set_error(MapTable *table, const char *message, const char *detail, const char *hint);
static void check_kinds(DataMap *map);
static void set_subject_key(MapTable *table);
static void set_fully_owned(DataMap *map, MapTable *table);
static void watch_type(DataMap *map, Oid type);
static Oid	domain_base(Oid domain);
static int	compare_tables(const ListCell *a, const ListCell *b);
static int	compare_relations(const ListCell *a, const ListCell *b);

/*
 * EffMapBuild returns a data map in a memory context of its own, a child of the
 * current one.  What is wrong with one table's labels becomes the error of that
 * table, so that other tables can be used.  Links are not resolved yet.
 */
DataMap *
EffMapBuild(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "effaced data map",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(context);
	DataMap    *map = palloc0(sizeof(DataMap));
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(MapRelation)};
	List	   *tables = NIL;
	ListCell   *lc;

	map->context = context;
	control.hcxt = context;
	map->relations = hash_create("effaced relations", 256, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	map->sentinel = EffOwnRelation(EFF_SENTINEL);
	map->schemas = EffFingerprintSchemas();
	map->citus = EffCitusFingerprint();

	map->foreign_keys = EffForeignKeysLoad();
	foreach_ptr(ForeignKey, fk, map->foreign_keys)
	{
		MapRelation *entry = EffMapRelation(map, fk->relid);

		entry->references = lappend(entry->references, fk);
		entry = EffMapRelation(map, fk->target);
		entry->referenced_by = lappend(entry->referenced_by, fk);
	}

	map->admitted = EffAdmittedRoles();
	foreach(lc, EffLabelsLoad())
		add_label(map, &tables, lfirst(lc));
	check_family(map, tables);
	list_sort(tables, compare_tables);
	list_sort(map->not_admitted, compare_relations);

	map->ntables = list_length(tables);
	map->tables = palloc(sizeof(MapTable *) * Max(map->ntables, 1));
	foreach(lc, tables)
	{
		MapTable   *table = lfirst(lc);

		map->tables[foreach_current_index(lc)] = table;
		set_subject_key(table);
		set_fully_owned(map, table);
		foreach_ptr(MapColumn, column, table->columns)
			watch_type(map, column->column->type);
	}
	check_kinds(map);
	MemoryContextSwitchTo(previous);
	return map;
}

/*
 * add_label files one stored label under its table.  A label that cannot be
 * read makes the table an error, not the map: others may still be used.
 */
static void
add_label(DataMap *map, List **tables, StoredLabel *stored)
{
	MapRelation *entry;
	EffRelation *rel = EffMapFind(map, stored->relid);
	MapTable   *table;
	EffSubtransaction sub;

	if (rel == NULL || isOtherTempNamespace(get_rel_namespace(stored->relid)))
		return;
	if (!labels_count(map, rel->owner))
	{
		map->not_admitted = list_append_unique_ptr(map->not_admitted, rel);
		return;
	}
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
									   psprintf("\"%s\" takes no label", rel->relname), NULL,
									   pstrdup("Only tables do; label the tables that it reads."));
		return;
	}

	EffSubBegin(&sub);
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
			EffColumn  *column = EffRelationFindColumn(rel, stored->attnum);

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
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		MapError   *error = EffMapErrorFrom(EffSubCatch(&sub));

		error->message = psprintf("label of %s cannot be read: %s",
								  label_place(rel, stored->attnum), error->message);
		if (table->error == NULL)
			table->error = error;
	}
	PG_END_TRY();
}

/* label_place returns what a label is on, for a message: a table, or a column of one. */
static char *
label_place(EffRelation *rel, AttrNumber attnum)
{
	EffColumn  *column = attnum == 0 ? NULL : EffRelationFindColumn(rel, attnum);

	return column == NULL ? psprintf("table \"%s\"", rel->relname) :
		psprintf("column \"%s\" of table \"%s\"", column->name, rel->relname);
}

/* labels_count notes the owner of labels, so that changes of its rights are found out. */
static bool
labels_count(DataMap *map, Oid owner)
{
	LabelOwner *noted;

	foreach_ptr(LabelOwner, known, map->label_owners)
		if (known->role == owner)
			return known->counts;
	noted = palloc(sizeof(LabelOwner));
	noted->role = owner;
	noted->counts = EffLabelsCount(map->admitted, owner);
	map->label_owners = lappend(map->label_owners, noted);
	return noted->counts;
}

/*
 * check_family refuses labels on both a parent and its child, and labels that
 * name a link or a column that the table does not have.
 */
static void
check_family(DataMap *map, List *tables)
{
	foreach_ptr(MapTable, table, tables)
	{
		List	   *links = table->label ? table->label->links : NIL;

		refuse_labels_of_children(map, table);
		foreach_ptr(LinkLabel, link, links)
			check_names(table, "redact", link->redact);
		foreach_ptr(SetLabel, set, table->label ? table->label->set : NIL)
			check_names(table, "set", list_make1(set->column));
		foreach_ptr(MapColumn, column, table->columns)
		{
			check_link_name(table, links, column);
			check_anchor(table, column);
		}
	}
}

static void
refuse_labels_of_children(DataMap *map, MapTable *parent)
{
	foreach_oid(oid, parent->rel->inheritors)
	{
		MapTable   *child = EffMapTable(map, oid);

		if (child == NULL || child == parent)
			continue;
		set_error(child,
				  psprintf("table \"%s\" has labels, and so has its parent \"%s\"",
						   child->rel->relname, parent->rel->relname),
				  "Labels on a parent count for its children.",
				  psprintf("SECURITY LABEL FOR effaced ON TABLE %s IS NULL; "
						   "likewise for its columns.", child->rel->sql));
	}
}

/* check_link_name requires the link that a column's label names. */
static void
check_link_name(MapTable *table, List *links, MapColumn *column)
{
	const char *name = column->label->link;

	if (name == NULL)
		return;
	foreach_ptr(LinkLabel, link, links)
		if (link->name != NULL && strcmp(link->name, name) == 0)
			return;
	set_error(table,
			  psprintf("label key \"link\" of column \"%s\" of table \"%s\" "
					   "names the unknown link \"%s\"",
					   column->column->name, table->rel->relname, name),
			  NULL, "Name one of the links of the table's label.");
}

/* check_anchor requires the date from which a column's retention runs. */
static void
check_anchor(MapTable *table, MapColumn *column)
{
	RetentionPolicy *retention = column->label->retention;
	const char *name = quote_identifier(column->column->name);
	EffColumn  *anchor;

	if (retention == NULL || retention->anchor == NULL)
		return;
	anchor = EffRelationColumnByName(table->rel, retention->anchor);
	if (anchor != NULL && EffTypeIsAnchor(anchor->type))
		return;
	set_error(table,
			  psprintf("label key \"anchor\" of column \"%s\" of table \"%s\" "
					   "names the %s column \"%s\"",
					   column->column->name, table->rel->relname,
					   anchor == NULL ? "unknown" : EffTypeName(anchor->type),
					   retention->anchor),
			  NULL,
			  psprintf("Write the label anew: SECURITY LABEL FOR effaced ON COLUMN %s.%s IS '...';",
					   table->rel->sql, name));
}

/* check_names requires columns that a table label names under a key. */
static void
check_names(MapTable *table, const char *key, List *names)
{
	foreach_ptr(char, name, names)
		if (EffRelationColumnByName(table->rel, name) == NULL)
			set_error(table,
					  psprintf("label key \"%s\" of table \"%s\" names the unknown column \"%s\"",
							   key, table->rel->relname, name),
					  NULL,
					  psprintf("Write the label anew: "
							   "SECURITY LABEL FOR effaced ON TABLE %s IS '...';",
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

			if (table->is_subject && other->is_subject && strcmp(table->kind, other->kind) == 0)
				set_error(table,
						  psprintf("subject tables %s and %s are both of the kind \"%s\"",
								   other->name, table->name, table->kind),
						  NULL, "Give one of them another name with the label key \"subject\".");
		}
}

/*
 * set_error makes an error the table's, unless it has one already.  The texts are
 * kept as they are, detail and hint may be NULL.
 */
static void
set_error(MapTable *table, const char *message, const char *detail, const char *hint)
{
	if (table->error == NULL)
		table->error = EffMapErrorMake(ERRCODE_EFF_MANIFEST, unconstify(char *, message),
									   unconstify(char *, detail), unconstify(char *, hint));
}

/* set_subject_key finds the identifier columns of a subject table. */
static void
set_subject_key(MapTable *table)
{
	List	   *names;
	EffIndex   *primary;

	if (table->label == NULL || !table->label->is_subject)
		return;
	table->is_subject = true;
	table->kind = table->label->subject ? table->label->subject : table->name;
	names = table->label->subject_id_columns;
	if (names == NIL)
	{
		primary = EffRelationPrimaryKey(table->rel);
		if (primary == NULL)
			set_error(table,
					  psprintf("subject table \"%s\" has no primary key", table->rel->relname),
					  NULL,
					  "Name its identifier columns with the label key \"subject_id_columns\".");
		else
		{
			table->nkey = primary->nkeys;
			table->key = primary->keys;
		}
		return;
	}
	check_names(table, "subject_id_columns", names);
	table->key = palloc(sizeof(AttrNumber) * list_length(names));
	foreach_ptr(char, name, names)
	{
		EffColumn  *column = EffRelationColumnByName(table->rel, name);

		if (column == NULL)
			return;
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
	table->fully_pii_owned = true;
	if (table->label != NULL && table->label->owned)
		return;
	for (int i = 0; i < table->rel->ncolumns; i++)
		table->fully_pii_owned &= EffMapIsCovered(map, table, table->rel->columns[i].attnum);

	/* columns that an inheritance child adds have nowhere to be labelled */
	if (table->rel->relkind == RELKIND_PARTITIONED_TABLE)
		return;
	foreach_oid(oid, table->rel->inheritors)
	{
		EffRelation *child = EffMapFind(map, oid);

		for (int i = 0; child != NULL && i < child->ncolumns; i++)
			if (EffRelationColumnByName(table->rel, child->columns[i].name) == NULL)
				table->fully_pii_owned = false;
	}
}

/* watch_type notes a type, what a domain is made of, and what an array has as its elements. */
static void
watch_type(DataMap *map, Oid type)
{
	while (type >= FirstNormalObjectId)
	{
		Oid			element = get_element_type(type);

		map->watched_types = lappend_int(map->watched_types,
										 GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(type)));
		type = OidIsValid(element) ? element :
			get_typtype(type) == TYPTYPE_DOMAIN ? domain_base(type) : InvalidOid;
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

static int
compare_relations(const ListCell *a, const ListCell *b)
{
	return strcmp(((EffRelation *) lfirst(a))->name, ((EffRelation *) lfirst(b))->name);
}
