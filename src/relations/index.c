/*
 * index.c
 *	  Indexes, and which rows they find.
 */
#include "postgres.h"

#include "relations/fingerprint.h"
#include "relations/relations.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static void set_uses(EffIndex *index, const char *predicate);
static int	columns_needed(EffIndex *index, const char *predicate);

/*
 * EffRelationPrimaryKey returns the primary key, NULL where the relation has
 * none.
 */
EffIndex *
EffRelationPrimaryKey(EffRelation *rel)
{
	EffIndex   *first = rel->indexes == NIL ? NULL : linitial(rel->indexes);

	return first != NULL && first->primary ? first : NULL;
}

/*
 * EffRelationHasUnique tells whether a unique index is on these columns or on
 * some of them, so that a join on all of them meets one row at most.
 */
bool
EffRelationHasUnique(EffRelation *rel, const AttrNumber *columns, int n)
{
	foreach_ptr(EffIndex, index, rel->indexes)
	{
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
 * EffRelationHasIndexOn tells whether an index finds the rows with given
 * values of these columns: its first columns are these, in any order.
 */
bool
EffRelationHasIndexOn(EffRelation *rel, const AttrNumber *columns, int n)
{
	foreach_ptr(EffIndex, index, rel->indexes)
	{
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
 * EffRelationHasRangeIndexOn tells whether an index finds the rows whose
 * column is below or above a value.
 */
bool
EffRelationHasRangeIndexOn(EffRelation *rel, AttrNumber attnum)
{
	foreach_ptr(EffIndex, index, rel->indexes)
	{
		if (index->ranges && index->keys[0] == attnum)
			return true;
	}
	return false;
}

/*
 * EffIndexesLoad returns the valid indexes of a table as a list of EffIndex, the
 * primary key first, and adds their rows to the fingerprint.
 */
List *
EffIndexesLoad(Oid relid, uint64 *fingerprint)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
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
		EffFingerprintRow(fingerprint, tuple);
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
		expressions = heap_getattr(tuple, Anum_pg_index_indexprs, RelationGetDescr(pg_index),
								   &isnull);
		if (!isnull)
		{
			Node	   *tree = stringToNode(TextDatumGetCString(expressions));
			Bitmapset  *attnums = NULL;
			int			i = -1;

			pull_varattnos(tree, 1, &attnums);
			while ((i = bms_next_member(attnums, i)) >= 0)
				index->expr_columns = lappend_int(index->expr_columns,
												  i + FirstLowInvalidHeapAttributeNumber);
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
	List	   *tests = predicate != NULL ? make_ands_implicit(stringToNode(predicate)) : NIL;

	foreach_ptr(NullTest, test, tests)
	{
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
