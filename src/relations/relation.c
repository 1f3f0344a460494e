/*
 * relation.c
 *	  Reads relations, foreign keys and stored labels from the system catalogs.
 */
#include "postgres.h"

#include "relations/relations.h"
#include "label/label.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_description.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/extension.h"
#include "commands/seclabel.h"
#include "commands/trigger.h"
#include "nodes/bitmapset.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* Where effaced's own objects are, until its own table changes */
static Oid	extension_schema = InvalidOid;
static Oid	extension_table = InvalidOid;

static void extension_changed(Datum arg, Oid relid);
static void load_columns(EffRelation *rel, int natts);
static bool is_not_null_domain(Oid type);
static bool has_namesake(ForeignKey *fk);
static List *load_indexes(Oid relid);
static void set_uses(EffIndex *index, const char *predicate);
static int	columns_needed(EffIndex *index, const char *predicate);
static void load_triggers(EffRelation *rel, Oid relid);
static AttrNumber *attnum_array(Datum array, int *n);
static int	compare_foreign_keys(const ListCell *a, const ListCell *b);
static int	compare_labels(const ListCell *a, const ListCell *b);
static StoredLabel *make_label(Oid relid, int attnum, const char *json, bool from_comment);

/*
 * EffCatalogInit registers what makes the place of the extension uncertain.
 */
void
EffCatalogInit(void)
{
	CacheRegisterRelcacheCallback(extension_changed, (Datum) 0);
}

/*
 * EffRelationLoad reads one relation; NULL where it does not exist.
 */
EffRelation *
EffRelationLoad(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	EffRelation *rel;
	int			natts;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	rel = palloc0(sizeof(EffRelation));
	rel->oid = relid;
	rel->relname = pstrdup(NameStr(form->relname));
	rel->schema = get_namespace_name(form->relnamespace);
	rel->relkind = form->relkind;
	rel->persistence = form->relpersistence;
	rel->is_partition = form->relispartition;
	natts = form->relnatts;
	ReleaseSysCache(tuple);
	if (rel->schema == NULL)
		return NULL;

	rel->sql = quote_qualified_identifier(rel->schema, rel->relname);
	rel->name = strcmp(rel->schema, "public") == 0 ?
		pstrdup(quote_identifier(rel->relname)) : rel->sql;
	load_columns(rel, natts);
	rel->indexes = load_indexes(relid);
	rel->inheritors = find_all_inheritors(relid, NoLock, NULL);
	foreach(lc, rel->inheritors)
		load_triggers(rel, lfirst_oid(lc));
	return rel;
}

EffColumn *
EffRelationColumn(EffRelation *rel, AttrNumber attnum)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (rel->columns[i].attnum == attnum)
			return &rel->columns[i];
	return NULL;
}

EffColumn *
EffRelationColumnByName(EffRelation *rel, const char *name)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (strcmp(rel->columns[i].name, name) == 0)
			return &rel->columns[i];
	return NULL;
}

EffIndex *
EffRelationPrimaryKey(EffRelation *rel)
{
	EffIndex   *first = rel->indexes == NIL ? NULL : linitial(rel->indexes);

	return first != NULL && first->primary ? first : NULL;
}

/*
 * EffRelationHasUnique tells whether a unique index makes rows distinct in
 * (a subset of) the columns given, so that a join on them meets one row.
 */
bool
EffRelationHasUnique(EffRelation *rel, const AttrNumber *columns, int n)
{
	ListCell   *lc;

	foreach(lc, rel->indexes)
	{
		EffIndex   *index = lfirst(lc);
		int			matched = 0;

		if (!index->unique || index->partial)
			continue;
		for (int i = 0; i < index->nkeys; i++)
			for (int j = 0; j < n; j++)
				if (index->keys[i] == columns[j])
				{
					matched++;
					break;
				}
		if (matched == index->nkeys)
			return true;
	}
	return false;
}

/*
 * EffRelationHasIndexOn tells whether rows are found by these columns through
 * an index: one that begins with them, in any order among themselves.
 */
bool
EffRelationHasIndexOn(EffRelation *rel, const AttrNumber *columns, int n)
{
	ListCell   *lc;

	foreach(lc, rel->indexes)
	{
		EffIndex   *index = lfirst(lc);
		int			matched = 0;

		if (index->lookup == 0 || n < index->lookup || index->nkeys < n)
			continue;
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				if (index->keys[i] == columns[j])
				{
					matched++;
					break;
				}
		if (matched == n)
			return true;
	}
	return false;
}

/*
 * EffRelationHasRangeIndexOn tells whether an index finds the rows whose column
 * is below or above something.
 */
bool
EffRelationHasRangeIndexOn(EffRelation *rel, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, rel->indexes)
	{
		EffIndex   *index = lfirst(lc);

		if (index->ranges && index->keys[0] == attnum)
			return true;
	}
	return false;
}

/*
 * EffRelationDisplayName gives the name that JSON and messages use, or NULL.
 */
char *
EffRelationDisplayName(Oid relid)
{
	char	   *relname = get_rel_name(relid);
	char	   *schema = relname ? get_namespace_name(get_rel_namespace(relid)) : NULL;

	if (schema == NULL)
		return NULL;
	return strcmp(schema, "public") == 0 ? pstrdup(quote_identifier(relname)) :
		quote_qualified_identifier(schema, relname);
}

/*
 * EffForeignKeysLoad reads every foreign key of the database.
 */
List *
EffForeignKeysLoad(void)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_constraint, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *result = NIL;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		ForeignKey *fk;
		bool		isnull;
		Datum		datum;
		int			n;

		if (form->contype != CONSTRAINT_FOREIGN || OidIsValid(form->conparentid))
			continue;
		fk = palloc0(sizeof(ForeignKey));
		fk->oid = form->oid;
		fk->name = pstrdup(NameStr(form->conname));
		fk->schema = get_namespace_name(form->connamespace);
		fk->relid = form->conrelid;
		fk->target = form->confrelid;
		fk->on_delete = form->confdeltype;
		fk->on_update = form->confupdtype;
		fk->match_full = form->confmatchtype == FKCONSTR_MATCH_FULL;
		fk->deferrable = form->condeferrable;
		fk->initially_deferred = form->condeferred;
		fk->validated = form->convalidated;
		datum = heap_getattr(tuple, Anum_pg_constraint_conkey, RelationGetDescr(pg_constraint), &isnull);
		fk->columns = attnum_array(datum, &fk->nkeys);
		datum = heap_getattr(tuple, Anum_pg_constraint_confkey, RelationGetDescr(pg_constraint), &isnull);
		fk->target_columns = attnum_array(datum, &n);
		datum = heap_getattr(tuple, Anum_pg_constraint_confdelsetcols, RelationGetDescr(pg_constraint), &isnull);
		if (!isnull)
			fk->set_columns = attnum_array(datum, &fk->nset);
		result = lappend(result, fk);
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	foreach(lc, result)
		if (((ForeignKey *) lfirst(lc))->deferrable)
			((ForeignKey *) lfirst(lc))->namesake = has_namesake(lfirst(lc));
	list_sort(result, compare_foreign_keys);
	return result;
}

/*
 * EffForeignKeyHas: columns are those of the relation that the constraint is
 * on, not of its partitions.
 */
bool
EffForeignKeyHas(ForeignKey *fk, Oid relid, AttrNumber attnum)
{
	for (int i = 0; i < fk->nkeys; i++)
		if ((fk->relid == relid && fk->columns[i] == attnum) ||
			(fk->target == relid && fk->target_columns[i] == attnum))
			return true;
	return false;
}

/*
 * EffForeignKeySets: all columns of the key, where the action names none.
 */
List *
EffForeignKeySets(ForeignKey *fk)
{
	List	   *columns = NIL;

	if (fk->on_delete == FKCONSTR_ACTION_SETNULL || fk->on_delete == FKCONSTR_ACTION_SETDEFAULT)
		for (int i = 0; i < (fk->nset > 0 ? fk->nset : fk->nkeys); i++)
			columns = lappend_int(columns, fk->nset > 0 ? fk->set_columns[i] : fk->columns[i]);
	return columns;
}

bool
EffForeignKeyLetsGo(ForeignKey *fk, EffRelation *rel)
{
	List	   *columns = EffForeignKeySets(fk);
	ListCell   *lc;

	foreach(lc, columns)
	{
		EffColumn  *column = EffRelationColumn(rel, lfirst_int(lc));

		if (column->not_null && (fk->on_delete == FKCONSTR_ACTION_SETNULL || !column->has_default))
			return false;
	}
	return columns != NIL;
}

/*
 * EffLabelsLoad reads every label of the database, from security labels and
 * from comments; a comment behind a security label only marks it as shadowing.
 */
List *
EffLabelsLoad(void)
{
	Relation	catalog = table_open(SecLabelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	ScanKeyData key;
	List	   *all = NIL;
	List	   *result = NIL;
	StoredLabel *previous = NULL;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		FormData_pg_seclabel *form = (FormData_pg_seclabel *) GETSTRUCT(tuple);
		bool		isnull;
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider, RelationGetDescr(catalog), &isnull);
		Datum		label;

		if (form->classoid != RelationRelationId ||
			strcmp(TextDatumGetCString(provider), EFF_PROVIDER) != 0)
			continue;
		label = heap_getattr(tuple, Anum_pg_seclabel_label, RelationGetDescr(catalog), &isnull);
		all = lappend(all, make_label(form->objoid, form->objsubid, TextDatumGetCString(label), false));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	/* the thousands of built-in comments stand before the first user object */
	catalog = table_open(DescriptionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_description_objoid, BTGreaterEqualStrategyNumber,
				F_OIDGE, ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(catalog, DescriptionObjIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_description form = (Form_pg_description) GETSTRUCT(tuple);
		bool		isnull;
		Datum		comment;
		const char *json;

		if (form->classoid != RelationRelationId)
			continue;
		comment = heap_getattr(tuple, Anum_pg_description_description, RelationGetDescr(catalog), &isnull);
		json = EffLabelFromComment(TextDatumGetCString(comment));
		if (json != NULL)
			all = lappend(all, make_label(form->objoid, form->objsubid, json, true));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	list_sort(all, compare_labels);
	foreach(lc, all)
	{
		StoredLabel *label = lfirst(lc);

		if (previous != NULL && previous->relid == label->relid && previous->attnum == label->attnum)
			previous->shadowed = true;
		else
		{
			result = lappend(result, label);
			previous = label;
		}
	}
	return result;
}

/*
 * EffLabelsOf reads the labels of one relation.
 */
List *
EffLabelsOf(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts;
	List	   *result = NIL;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);

	for (int attnum = 0; attnum <= natts; attnum++)
	{
		ObjectAddress address;
		char	   *security;
		char	   *comment;
		const char *json;

		ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
		security = GetSecurityLabel(&address, EFF_PROVIDER);
		comment = GetComment(relid, RelationRelationId, attnum);
		json = comment == NULL ? NULL : EffLabelFromComment(comment);
		if (security != NULL)
		{
			StoredLabel *label = make_label(relid, attnum, security, false);

			label->shadowed = json != NULL;
			result = lappend(result, label);
		}
		else if (json != NULL)
			result = lappend(result, make_label(relid, attnum, json, true));
	}
	return result;
}

/*
 * EffAncestors lists every table that this one inherits from or is a partition of.
 */
List *
EffAncestors(Oid relid)
{
	Relation	pg_inherits = table_open(InheritsRelationId, AccessShareLock);
	List	   *result = NIL;
	List	   *todo = list_make1_oid(relid);

	while (todo != NIL)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(linitial_oid(todo)));
		todo = list_delete_first(todo);
		scan = systable_beginscan(pg_inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Oid			parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;

			if (!list_member_oid(result, parent))
			{
				result = lappend_oid(result, parent);
				todo = lappend_oid(todo, parent);
			}
		}
		systable_endscan(scan);
	}
	table_close(pg_inherits, AccessShareLock);
	return result;
}

/*
 * EffRelationByName finds the relation behind a name as JSON writes it: quoted
 * where needed, and in schema public where it is unqualified.
 */
Oid
EffRelationByName(const char *name)
{
	List	   *parts;
	Oid			schema;

	if (!SplitIdentifierString(pstrdup(name), '.', &parts) ||
		list_length(parts) < 1 || list_length(parts) > 2)
		return InvalidOid;
	schema = get_namespace_oid(list_length(parts) == 2 ? linitial(parts) : "public", true);
	return OidIsValid(schema) ? get_relname_relid(llast(parts), schema) : InvalidOid;
}

/*
 * EffExtensionSchema gives the schema that CREATE EXTENSION put effaced into.
 */
Oid
EffExtensionSchema(void)
{
	Oid			extension;
	Relation	pg_extension;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	if (OidIsValid(extension_schema))
		return extension_schema;
	extension = get_extension_oid(EFF_PROVIDER, true);
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("extension \"effaced\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION effaced;")));
	pg_extension = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(pg_extension, ExtensionOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(pg_extension, AccessShareLock);
	extension_table = get_relname_relid(EFF_SENTINEL, schema);
	if (OidIsValid(extension_table))
		extension_schema = schema;
	return schema;
}

const char *
EffExtensionSchemaSql(void)
{
	return quote_identifier(get_namespace_name(EffExtensionSchema()));
}

/*
 * EffOwnRelation finds one of effaced's own tables.
 */
Oid
EffOwnRelation(const char *relname)
{
	Oid			relid = get_relname_relid(relname, EffExtensionSchema());

	if (!OidIsValid(relid))
		elog(ERROR, "table \"%s\" of extension effaced is missing", relname);
	return relid;
}

/*
 * EffOwnRelationIsEmpty tells a table that holds no row, of whatever
 * transaction, by its having no page.  One that was emptied may still have some.
 */
bool
EffOwnRelationIsEmpty(const char *relname)
{
	Relation	relation = table_open(EffOwnRelation(relname), AccessShareLock);
	bool		empty = RelationGetNumberOfBlocks(relation) == 0;

	table_close(relation, AccessShareLock);
	return empty;
}

/* EffJoinNames lists quoted column names for a message. */
char *
EffJoinNames(EffRelation *rel, const AttrNumber *attnums, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, attnums[i]);

		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 column ? quote_identifier(column->name) : "?");
	}
	return buf.data;
}

/*
 * EffLabelStatement writes the statement that sets a label.
 */
char *
EffLabelStatement(Oid relid, AttrNumber attnum, const char *json)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	return psprintf("SECURITY LABEL FOR " EFF_PROVIDER " ON %s %s%s%s IS %s;",
					attnum == 0 ? (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" : "TABLE") : "COLUMN",
					name, attnum == 0 ? "" : ".",
					attnum == 0 ? "" : quote_identifier(get_attname(relid, attnum, false)),
					json == NULL ? "NULL" : quote_literal_cstr(json));
}

/*
 * EffCommentStatement writes the statement that takes the label out of
 * a comment and leaves its free text.
 */
char *
EffCommentStatement(EffRelation *rel, AttrNumber attnum)
{
	char	   *comment = GetComment(rel->oid, RelationRelationId, attnum);
	int			length = EffLabelFromComment(comment) - comment - strlen(EFF_COMMENT_TAG);

	while (length > 0 && strchr(" \t\r\n", comment[length - 1]) != NULL)
		length--;
	comment[length] = '\0';
	return psprintf("COMMENT ON %s %s%s%s IS %s;",
					attnum != 0 ? "COLUMN" :
					rel->relkind == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" :
					rel->relkind == RELKIND_VIEW ? "VIEW" :
					rel->relkind == RELKIND_MATVIEW ? "MATERIALIZED VIEW" : "TABLE",
					rel->sql, attnum != 0 ? "." : "",
					attnum != 0 ? quote_identifier(EffRelationColumn(rel, attnum)->name) : "",
					length > 0 ? quote_literal_cstr(comment) : "NULL");
}

/* extension_changed: the table is gone, or somebody tells of a change by it. */
static void
extension_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == extension_table)
		extension_schema = InvalidOid;
}

static void
load_columns(EffRelation *rel, int natts)
{
	rel->columns = palloc0(sizeof(EffColumn) * Max(natts, 1));
	for (int attnum = 1; attnum <= natts; attnum++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(rel->oid), Int16GetDatum(attnum));
		Form_pg_attribute att;
		EffColumn  *column;

		if (!HeapTupleIsValid(tuple))
			continue;
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		if (!att->attisdropped)
		{
			column = &rel->columns[rel->ncolumns++];
			column->attnum = attnum;
			column->name = pstrdup(NameStr(att->attname));
			column->type = att->atttypid;
			column->typmod = att->atttypmod;
			column->collation = att->attcollation;
			column->not_null = att->attnotnull || is_not_null_domain(att->atttypid);
			column->has_default = att->atthasdef;
			column->generated = att->attgenerated != '\0';
			column->identity_always = att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
		}
		ReleaseSysCache(tuple);
	}
}

static bool
is_not_null_domain(Oid type)
{
	while (OidIsValid(type))
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;
		bool		not_null;

		if (!HeapTupleIsValid(tuple))
			return false;
		form = (Form_pg_type) GETSTRUCT(tuple);
		not_null = form->typtype == TYPTYPE_DOMAIN && form->typnotnull;
		type = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : InvalidOid;
		ReleaseSysCache(tuple);
		if (not_null)
			return true;
	}
	return false;
}

/* has_namesake: names of constraints are unique in a table only. */
static bool
has_namesake(ForeignKey *fk)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(fk->name));
	ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(get_namespace_oid(fk->schema, false)));
	scan = systable_beginscan(pg_constraint, ConstraintNameNspIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_constraint) GETSTRUCT(tuple))->oid != fk->oid;
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	return found;
}

/* load_indexes reads the valid indexes of a table, the primary key first. */
static List *
load_indexes(Oid relid)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		EffIndex   *index;
		bool		isnull;
		Datum		predicate;
		Datum		expressions;

		if (!form->indisvalid || !form->indislive)
			continue;
		index = palloc0(sizeof(EffIndex));
		index->oid = form->indexrelid;
		index->unique = form->indisunique;
		index->primary = form->indisprimary;
		index->exclusion = form->indisexclusion;
		index->immediate = form->indimmediate;
		index->partial = !heap_attisnull(tuple, Anum_pg_index_indpred, RelationGetDescr(pg_index));
		index->nkeys = form->indnkeyatts;
		index->keys = palloc(sizeof(AttrNumber) * index->nkeys);
		for (int i = 0; i < index->nkeys; i++)
			index->keys[i] = form->indkey.values[i];
		for (int i = index->nkeys; i < form->indnatts; i++)
			index->included = lappend_int(index->included, form->indkey.values[i]);
		predicate = heap_getattr(tuple, Anum_pg_index_indpred, RelationGetDescr(pg_index), &isnull);
		set_uses(index, isnull ? NULL : TextDatumGetCString(predicate));
		expressions = heap_getattr(tuple, Anum_pg_index_indexprs, RelationGetDescr(pg_index), &isnull);
		if (!isnull)
		{
			Node	   *tree = stringToNode(TextDatumGetCString(expressions));
			Bitmapset  *attnums = NULL;
			int			i = -1;

			pull_varattnos(tree, 1, &attnums);
			while ((i = bms_next_member(attnums, i)) >= 0)
				index->expr_columns = lappend_int(index->expr_columns, i + FirstLowInvalidHeapAttributeNumber);
		}
		result = index->primary ? lcons(index, result) : lappend(result, index);
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
	return result;
}

/*
 * set_uses: a btree or hash index finds values, a btree or BRIN index ranges.
 */
static void
set_uses(EffIndex *index, const char *predicate)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index->oid));
	Oid			am;
	int			needed = columns_needed(index, predicate);

	if (!HeapTupleIsValid(tuple))
		return;
	/* an index of a partitioned table has the access method of its parts */
	am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	index->lookup = am == BTREE_AM_OID || am == HASH_AM_OID ? needed : 0;
	index->ranges = needed == 1 && (am == BTREE_AM_OID || am == BRIN_AM_OID);
}

/*
 * columns_needed: a partial index may leave out nothing but NULLs in its own columns,
 * and then has every row with given values of the first columns up to the last of
 * those.  0 where no columns are enough.
 */
static int
columns_needed(EffIndex *index, const char *predicate)
{
	int			needed = 1;
	ListCell   *lc;

	foreach(lc, predicate != NULL ? make_ands_implicit(stringToNode(predicate)) : NIL)
	{
		NullTest   *test = lfirst(lc);
		int			place = 0;

		if (!IsA(test, NullTest) || test->nulltesttype != IS_NOT_NULL || !IsA(test->arg, Var))
			return 0;
		while (place < index->nkeys && index->keys[place] != ((Var *) test->arg)->varattno)
			place++;
		if (place == index->nkeys)
			return 0;
		needed = Max(needed, place + 1);
	}
	return needed;
}

/*
 * load_triggers finds enabled triggers and rules that are not the system's, and
 * constraints that may be checked later than a statement.
 */
static void
load_triggers(EffRelation *rel, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Relation	pg_trigger;
	ScanKeyData key;
	SysScanDesc scan;
	bool		maybe_trigger;

	if (!HeapTupleIsValid(tuple))
		return;
	maybe_trigger = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	rel->has_triggers |= ((Form_pg_class) GETSTRUCT(tuple))->relhasrules;
	ReleaseSysCache(tuple);
	if (!maybe_trigger)
		return;

	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		rel->has_triggers |= !form->tgisinternal && form->tgenabled != TRIGGER_DISABLED;
		if (form->tgdeferrable && OidIsValid(form->tgconstraint))
			rel->deferrable = list_append_unique_oid(rel->deferrable, form->tgconstraint);
	}
	systable_endscan(scan);
	table_close(pg_trigger, AccessShareLock);
}

static AttrNumber *
attnum_array(Datum array, int *n)
{
	ArrayType  *values = DatumGetArrayTypeP(array);
	AttrNumber *result;

	*n = ARR_DIMS(values)[0];
	result = palloc(sizeof(AttrNumber) * *n);
	memcpy(result, ARR_DATA_PTR(values), sizeof(AttrNumber) * *n);
	return result;
}

static int
compare_foreign_keys(const ListCell *a, const ListCell *b)
{
	ForeignKey *x = lfirst(a);
	ForeignKey *y = lfirst(b);

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* compare_labels puts the security label of an object before its comment. */
static int
compare_labels(const ListCell *a, const ListCell *b)
{
	StoredLabel *x = lfirst(a);
	StoredLabel *y = lfirst(b);

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	if (x->attnum != y->attnum)
		return x->attnum - y->attnum;
	return (int) x->from_comment - (int) y->from_comment;
}

static StoredLabel *
make_label(Oid relid, int attnum, const char *json, bool from_comment)
{
	StoredLabel *label = palloc0(sizeof(StoredLabel));

	label->relid = relid;
	label->attnum = attnum;
	label->json = pstrdup(json);
	label->from_comment = from_comment;
	return label;
}
