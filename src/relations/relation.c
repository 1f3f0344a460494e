/*
 * relation.c
 *	  Relations and columns, read from the system catalogs.
 */
#include "postgres.h"

#include "base/gone.h"
#include "relations/fingerprint.h"
#include "relations/relations.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

static void load_columns(EffRelation *rel, int natts);
static bool is_not_null_domain(Oid type);
static void load_triggers(EffRelation *rel, Oid relid);


/*
 * EffRelationLoad reads one relation; NULL where it does not exist.
 *
 * The fingerprint is of the rows that were read, and of those that are read
 * later to make something of the relation: CHECK constraints, rules and
 * expressions of generated columns.
 */
EffRelation *
EffRelationLoad(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	EffRelation *rel;
	int			natts;
	bool		has_checks;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	rel = palloc0(sizeof(EffRelation));
	rel->oid = relid;
	rel->relname = pstrdup(NameStr(form->relname));
	rel->schema = get_namespace_name(form->relnamespace);
	rel->owner = form->relowner;
	rel->relkind = form->relkind;
	rel->persistence = form->relpersistence;
	rel->is_partition = form->relispartition;
	natts = form->relnatts;
	has_checks = form->relchecks > 0;
	EffFingerprintClass(&rel->fingerprint, tuple);
	ReleaseSysCache(tuple);
	if (rel->schema == NULL)
		return NULL;
	EffFingerprintBytes(&rel->fingerprint, rel->schema, strlen(rel->schema));

	rel->sql = quote_qualified_identifier(rel->schema, rel->relname);
	rel->name = strcmp(rel->schema, "public") == 0 ?
		pstrdup(quote_identifier(rel->relname)) : rel->sql;
	load_columns(rel, natts);
	rel->indexes = EffIndexesLoad(relid, &rel->fingerprint);
	rel->inheritors = EffInheritors(relid);
	foreach_oid(oid, rel->inheritors)
		load_triggers(rel, oid);
	if (has_checks)
		EffFingerprintRowsOf(&rel->fingerprint, ConstraintRelationId,
							 ConstraintRelidTypidNameIndexId,
							 Anum_pg_constraint_conrelid, relid);
	return rel;
}

/*
 * EffRelationColumn returns a column that a key, an index or a label of the
 * relation is about.  These are read apart from the columns: it raises
 * undefined_column where the column was dropped in between.
 */
EffColumn *
EffRelationColumn(EffRelation *rel, AttrNumber attnum)
{
	EffColumn  *column = EffRelationFindColumn(rel, attnum);

	if (column == NULL)
		EffGoneColumn(rel->relname, attnum);
	return column;
}

/* EffRelationFindColumn returns NULL where the relation has no such column. */
EffColumn *
EffRelationFindColumn(EffRelation *rel, AttrNumber attnum)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (rel->columns[i].attnum == attnum)
			return &rel->columns[i];
	return NULL;
}

/*
 * EffRelationColumnByName returns a column by its name, NULL where the
 * relation has none of that name.
 */
EffColumn *
EffRelationColumnByName(EffRelation *rel, const char *name)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (strcmp(rel->columns[i].name, name) == 0)
			return &rel->columns[i];
	return NULL;
}

/*
 * EffRelationColumnNamed returns a column that the relation must have, since
 * its parent has it or its label names it; it raises undefined_column where
 * the column was dropped or renamed in between.
 */
EffColumn *
EffRelationColumnNamed(EffRelation *rel, const char *name)
{
	EffColumn  *column = EffRelationColumnByName(rel, name);

	if (column == NULL)
		EffGoneColumnNamed(rel->relname, name);
	return column;
}

/*
 * EffRelationOpen opens a relation that was read earlier, with AccessShareLock;
 * it raises undefined_table where the relation was dropped in between.
 */
Relation
EffRelationOpen(EffRelation *rel)
{
	Relation	relation = try_table_open(rel->oid, AccessShareLock);

	if (relation == NULL)
		EffGoneRelation(rel->oid, rel->relname);
	return relation;
}

/*
 * EffRelationDisplayName returns the name that JSON and messages use, NULL
 * where the relation is gone.
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
 * EffAncestors returns, as a list of Oid, every table that a table inherits
 * from or is a partition of, itself not included.
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
 * EffRelationByName returns the relation that a label or manifest names,
 * InvalidOid where there is none.  The name is as JSON writes it: quoted where
 * needed, and in schema public where it has no schema.
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
 * EffJoinNames returns the quoted names of columns, divided by commas, for a
 * message.
 */
char *
EffJoinNames(EffRelation *rel, const AttrNumber *attnums, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		EffColumn  *column = EffRelationFindColumn(rel, attnums[i]);

		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 column ? quote_identifier(column->name) : "?");
	}
	return buf.data;
}

static void
load_columns(EffRelation *rel, int natts)
{
	bool		has_generated = false;

	rel->columns = palloc0(sizeof(EffColumn) * Max(natts, 1));
	for (int attnum = 1; attnum <= natts; attnum++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(rel->oid),
											Int16GetDatum(attnum));
		Form_pg_attribute att;
		EffColumn  *column;

		if (!HeapTupleIsValid(tuple))
			continue;
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		EffFingerprintRow(&rel->fingerprint, tuple);
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
			EffFingerprintBytes(&rel->fingerprint, &column->not_null, sizeof(bool));
			has_generated |= column->generated;
		}
		ReleaseSysCache(tuple);
	}
	if (has_generated)
		EffFingerprintRowsOf(&rel->fingerprint, AttrDefaultRelationId, AttrDefaultIndexId,
							 Anum_pg_attrdef_adrelid, rel->oid);
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

/*
 * load_triggers finds the enabled triggers and the rules of users, and the
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
	bool		has_rules;

	EffFingerprintBytes(&rel->fingerprint, &relid, sizeof(Oid));
	if (!HeapTupleIsValid(tuple))
		return;
	maybe_trigger = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	has_rules = ((Form_pg_class) GETSTRUCT(tuple))->relhasrules;
	ReleaseSysCache(tuple);
	rel->has_triggers |= has_rules;
	/* the server does not plan a kept statement anew where a rule had left nothing of it */
	EffFingerprintBytes(&rel->fingerprint, &has_rules, sizeof(bool));
	if (has_rules)
		EffFingerprintRowsOf(&rel->fingerprint, RewriteRelationId, RewriteRelRulenameIndexId,
							 Anum_pg_rewrite_ev_class, relid);
	if (!maybe_trigger)
		return;

	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		EffFingerprintRow(&rel->fingerprint, tuple);
		rel->has_triggers |= !form->tgisinternal && form->tgenabled != TRIGGER_DISABLED;
		if (form->tgdeferrable && OidIsValid(form->tgconstraint))
			rel->deferrable = list_append_unique_oid(rel->deferrable, form->tgconstraint);
	}
	systable_endscan(scan);
	table_close(pg_trigger, AccessShareLock);
}

/*
 * EffGenerationExpression returns the expression of a generated column; it
 * raises undefined_column where the column is none any more.
 */
Node *
EffGenerationExpression(EffRelation *rel, AttrNumber attnum)
{
	Relation	relation = EffRelationOpen(rel);
	Node	   *node = NULL;

	if (attnum <= RelationGetNumberOfAttributes(relation) &&
		TupleDescAttr(RelationGetDescr(relation), attnum - 1)->attgenerated != '\0' &&
		!TupleDescAttr(RelationGetDescr(relation), attnum - 1)->attisdropped)
		node = build_column_default(relation, attnum);
	table_close(relation, AccessShareLock);
	if (node == NULL)
		EffGoneColumn(rel->relname, attnum);
	return node;
}

/*
 * EffGeneratedFrom returns the attnums of the columns that a generated column
 * is computed from; none of them is generated.  ERROR undefined_column where
 * the column is not generated any more.
 */
Bitmapset *
EffGeneratedFrom(EffRelation *rel, EffColumn *column)
{
	Bitmapset  *read = NULL;
	Bitmapset  *attnums = NULL;
	int			member = -1;

	pull_varattnos(EffGenerationExpression(rel, column->attnum), 1, &read);
	while ((member = bms_next_member(read, member)) >= 0)
		if (member + FirstLowInvalidHeapAttributeNumber > 0)
			attnums = bms_add_member(attnums, member + FirstLowInvalidHeapAttributeNumber);
	return attnums;
}

/*
 * EffInheritors lists a relation and all its children, of which the list has
 * none that has just been dropped; the server's find_all_inheritors() raises an
 * internal error there.
 */
List *
EffInheritors(Oid relid)
{
	List	   *result = list_make1_oid(relid);

	/* the list grows while it is gone over */
	for (int i = 0; i < list_length(result); i++)
	{
		Oid			parent = list_nth_oid(result, i);

		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(parent)))
			result = list_concat_unique_oid(result, find_inheritance_children(parent, NoLock));
	}
	return result;
}
