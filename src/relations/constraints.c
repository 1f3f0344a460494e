/*
 * constraints.c
 *	  Which columns a constraint is on, and whether its name tells it apart.
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

static List *add_constraint(List *result, Oid relid, const char *name, const int16 *attnums, int n,
							List *columns);

/*
 * EffConstraintHasNamesake tells whether SET CONSTRAINTS by the name of a
 * constraint would also meet another: names of constraints are unique in a table
 * only, not in a schema.  With only_undeferrable others count only where SET
 * CONSTRAINTS would fail for them.
 */
bool
EffConstraintHasNamesake(Oid constraint, const char *name, Oid schema, bool only_undeferrable)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(pg_constraint, ConstraintNameNspIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		found = form->oid != constraint && !(only_undeferrable && form->condeferrable);
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	return found;
}

/*
 * EffConstraintsOn returns an EffPlaceConstraint for each constraint and unique
 * index of a relation that is on one of these columns, in the current memory
 * context.  A unique index that is no constraint counts too, since an error
 * names it in the same field.
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
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_constraint, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conkey,
										 RelationGetDescr(pg_constraint), &isnull);
		ArrayType  *array;

		if (isnull)
			continue;
		array = DatumGetArrayTypeP(datum);
		result = add_constraint(result, relid,
								NameStr(((Form_pg_constraint) GETSTRUCT(tuple))->conname),
								(int16 *) ARR_DATA_PTR(array),
								ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), columns);
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
			result = add_constraint(result, relid, name, index->indkey.values, index->indnkeyatts,
									columns);
		ReleaseSysCache(tuple);
	}
	table_close(relation, AccessShareLock);
	return result;
}

/* add_constraint notes which of the columns a constraint is on, if any. */
static List *
add_constraint(List *result, Oid relid, const char *name, const int16 *attnums, int n,
			   List *columns)
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
