/*
 * foreign_key.c
 *	  Foreign keys, and which columns their actions set.
 */
#include "postgres.h"

#include "relations/constraints.h"
#include "relations/relations.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static AttrNumber *attnum_array(Datum array, int *n);
static int	compare_foreign_keys(const ListCell *a, const ListCell *b);

/*
 * EffForeignKeysLoad returns every foreign key of the database, in order of
 * relation and name.  Those that PostgreSQL made for partitions are left out:
 * the key of the parent stands for them.
 */
List *
EffForeignKeysLoad(void)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_constraint, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *result = NIL;

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
		/* it is being dropped, with all that is in it */
		if (fk->schema == NULL)
			continue;
		fk->relid = form->conrelid;
		fk->target = form->confrelid;
		fk->on_delete = form->confdeltype;
		fk->on_update = form->confupdtype;
		fk->match_full = form->confmatchtype == FKCONSTR_MATCH_FULL;
		fk->deferrable = form->condeferrable;
		fk->initially_deferred = form->condeferred;
		fk->validated = form->convalidated;
		datum = heap_getattr(tuple, Anum_pg_constraint_conkey, RelationGetDescr(pg_constraint),
							 &isnull);
		fk->columns = attnum_array(datum, &fk->nkeys);
		datum = heap_getattr(tuple, Anum_pg_constraint_confkey, RelationGetDescr(pg_constraint),
							 &isnull);
		fk->target_columns = attnum_array(datum, &n);
		datum = heap_getattr(tuple, Anum_pg_constraint_confdelsetcols,
							 RelationGetDescr(pg_constraint), &isnull);
		if (!isnull)
			fk->set_columns = attnum_array(datum, &fk->nset);
		result = lappend(result, fk);
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	foreach_ptr(ForeignKey, fk, result)
		if (fk->deferrable)
			fk->namesake = EffConstraintHasNamesake(fk->oid, fk->name,
													get_namespace_oid(fk->schema, true), false);
	list_sort(result, compare_foreign_keys);
	return result;
}

/*
 * EffForeignKeyHas tells whether a foreign key is about a column, on either
 * end.  The relation is the one that the constraint is on, not one of its
 * partitions.
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
 * EffForeignKeySets returns the attnums of the columns that ON DELETE SET NULL
 * or SET DEFAULT writes: all columns of the key, where the action names none.
 * NIL for any other action.
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

/*
 * EffForeignKeyReleases tells whether the action of a foreign key releases the
 * reference when the referenced row is deleted: it sets columns, and each of
 * them can take the value.
 */
bool
EffForeignKeyReleases(ForeignKey *fk, EffRelation *rel)
{
	List	   *columns = EffForeignKeySets(fk);

	foreach_int(number, columns)
	{
		EffColumn  *column = EffRelationColumn(rel, number);

		if (column->not_null && (fk->on_delete == FKCONSTR_ACTION_SETNULL || !column->has_default))
			return false;
	}
	return columns != NIL;
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
