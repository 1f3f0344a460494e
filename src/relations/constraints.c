/*
 * constraints.c
 *	  Checks deferrable constraints before a call returns, and tells which
 *	  columns a constraint is on.
 */
#include "postgres.h"

#include "relations/constraints.h"
#include "base/spi.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static char *command_for(List *constraints);
static bool is_ambiguous(const char *name, Oid schema);
static List *add_constraint(List *result, Oid relid, const char *name, const int16 *attnums, int n, List *columns);

/*
 * EffConstraintsCheck sets them IMMEDIATE in a subtransaction that is rolled
 * back: what the caller has deferred stays deferred, and what a trigger did in
 * the course of its check is undone until it is done in earnest.
 */
void
EffConstraintsCheck(List *constraints)
{
	static const EffStatementPlace place = {.action = "checking deferred constraints of", .relation = "the changed rows"};
	EffSubtransaction sub;
	char	   *sql;

	if (constraints == NIL)
		return;
	sql = command_for(constraints);
	EffSubBegin(&sub);
	PG_TRY();
	{
		EffSpiCommand(sql, &place);
	}
	PG_CATCH();
	{
		ReThrowError(EffSubCatch(&sub));
	}
	PG_END_TRY();
	EffSubEnd(&sub, false);
}

/* command_for names the constraints, or all where a name would meet one that cannot be deferred. */
static char *
command_for(List *constraints)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, constraints)
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_constraint form;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for constraint %u", lfirst_oid(lc));
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ", " : "SET CONSTRAINTS ",
						 quote_qualified_identifier(get_namespace_name(form->connamespace), NameStr(form->conname)));
		if (is_ambiguous(NameStr(form->conname), form->connamespace))
		{
			ReleaseSysCache(tuple);
			return pstrdup("SET CONSTRAINTS ALL IMMEDIATE");
		}
		ReleaseSysCache(tuple);
	}
	appendStringInfoString(&sql, " IMMEDIATE");
	return sql.data;
}

static bool
is_ambiguous(const char *name, Oid schema)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(pg_constraint, ConstraintNameNspIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		found |= !((Form_pg_constraint) GETSTRUCT(tuple))->condeferrable;
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	return found;
}

/*
 * EffConstraintsOn: an index that is no constraint is named in an error, too.
 */
List *
EffConstraintsOn(Oid relid, List *columns)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	Relation	relation = table_open(relid, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_constraint, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conkey, RelationGetDescr(pg_constraint), &isnull);
		ArrayType  *array;

		if (isnull)
			continue;
		array = DatumGetArrayTypeP(datum);
		result = add_constraint(result, relid, NameStr(((Form_pg_constraint) GETSTRUCT(tuple))->conname),
								(int16 *) ARR_DATA_PTR(array), ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), columns);
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	foreach(lc, RelationGetIndexList(relation))
	{
		Form_pg_index index;

		tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(lc));
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisunique)
			result = add_constraint(result, relid, get_rel_name(lfirst_oid(lc)),
									index->indkey.values, index->indnkeyatts, columns);
		ReleaseSysCache(tuple);
	}
	table_close(relation, AccessShareLock);
	return result;
}

/* add_constraint notes which of the columns a constraint is on, if any. */
static List *
add_constraint(List *result, Oid relid, const char *name, const int16 *attnums, int n, List *columns)
{
	EffPlaceConstraint *constraint = palloc0(sizeof(EffPlaceConstraint));
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, columns)
		for (int i = 0; i < n; i++)
		{
			/* 0 stands for an expression of an index */
			if (attnums[i] == 0 || strcmp(get_attname(relid, attnums[i], false), lfirst(lc)) != 0)
				continue;
			if (constraint->column == NULL)
				constraint->column = lfirst(lc);
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", quote_identifier(lfirst(lc)));
		}
	if (constraint->column == NULL)
		return result;
	constraint->name = pstrdup(name);
	constraint->columns = buf.data;
	return lappend(result, constraint);
}
