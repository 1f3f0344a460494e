/*
 * constraints.c
 *	  Checks deferrable constraints before a call returns, and tells which
 *	  columns a constraint is on.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/run.h"
#include "relations/constraints.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static List *add_constraint(List *result, Oid relid, const char *name, const int16 *attnums, int n, List *columns);

/*
 * EffConstraintsOn: an index that is no constraint is named in an error, too.
 */
List *
EffConstraintsOn(Oid relid, List *columns)
{
	Relation	pg_constraint;
	Relation	relation = try_table_open(relid, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (relation == NULL)
		return NIL;
	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
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
	foreach_oid(oid, RelationGetIndexList(relation))
	{
		Form_pg_index index;
		char	   *name;

		tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(oid));
		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		name = get_rel_name(oid);
		if (index->indisunique && name != NULL)
			result = add_constraint(result, relid, name, index->indkey.values, index->indnkeyatts, columns);
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
			char	   *name_of_key = attnums[i] == 0 ? NULL : get_attname(relid, attnums[i], true);

			if (name_of_key == NULL || strcmp(name_of_key, lfirst(lc)) != 0)
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
