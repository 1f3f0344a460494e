/*
 * changes.c
 *	  Which columns a rectification changes: those that it is about, and those
 *	  that follow them by a foreign key's ON UPDATE.
 */
#include "postgres.h"

#include "rectify/changes.h"

static bool add_follower(DataMap *map, RectifyPlan *plan, Oid relid, AttrNumber attnum);
static void as_labelled(DataMap *map, Oid *relid, AttrNumber *attnum);
static bool changes(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool is_corrected(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool follows(RectifyPlan *plan, Oid relid, AttrNumber attnum);

/*
 * EffRectifyFollow fills plan->follows: the columns that change because a foreign
 * key's ON UPDATE copies a column that is written, or one that follows.  The other
 * functions of this file need it.
 */
void
EffRectifyFollow(DataMap *map, RectifyPlan *plan)
{
	bool		more = true;

	while (more)
	{
		more = false;
		foreach_ptr(ForeignKey, fk, map->foreign_keys)
		{
			if (fk->on_update == FKCONSTR_ACTION_NOACTION ||
				fk->on_update == FKCONSTR_ACTION_RESTRICT)
				continue;
			for (int i = 0; i < fk->nkeys; i++)
			{
				Oid			target = fk->target;
				AttrNumber	attnum = fk->target_columns[i];

				as_labelled(map, &target, &attnum);
				if (changes(plan, target, attnum))
					more |= add_follower(map, plan, fk->relid, fk->columns[i]);
			}
		}
	}
}

/*
 * EffRectifyChangesRead returns whether some column of reads (a list of ScopeRead)
 * changes.  Rows that are found by such columns have to be found before anything
 * is written.
 */
bool
EffRectifyChangesRead(RectifyPlan *plan, List *reads)
{
	foreach_ptr(ScopeRead, read, reads)
	{
		int			attnum = -1;

		while ((attnum = bms_next_member(read->attnums, attnum)) >= 0)
			if (changes(plan, read->relid, attnum))
				return true;
	}
	return false;
}

/* EffRectifyChangesKey returns whether one of n columns of a table is written or follows. */
bool
EffRectifyChangesKey(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n)
{
	for (int i = 0; i < n; i++)
		if (changes(plan, table->rel->oid, columns[i]))
			return true;
	return false;
}

/* EffRectifyFollowsKey returns whether one of n columns of a table follows another table's. */
bool
EffRectifyFollowsKey(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n)
{
	for (int i = 0; i < n; i++)
		if (follows(plan, table->rel->oid, columns[i]))
			return true;
	return false;
}

/*
 * EffRectifyDefer has the deferrable foreign keys of written columns checked at the
 * end of the call: both ends of one may be corrected, one after the other.
 */
void
EffRectifyDefer(DataMap *map, RectifyPlan *plan)
{
	foreach_ptr(RectifyColumn, column, plan->columns)
	{
		MapRelation *relation = EffMapRelation(map, column->table->rel->oid);
		AttrNumber	attnum = column->column->column->attnum;

		foreach_ptr(ForeignKey, fk, list_concat_copy(relation->references, relation->referenced_by))
		{
			if (fk->deferrable && !fk->namesake && EffForeignKeyHas(fk, relation->oid, attnum))
				plan->base.defer = list_append_unique_ptr(plan->base.defer, fk);
		}
	}
}

/* add_follower adds a column to plan->follows; false where it is there already. */
static bool
add_follower(DataMap *map, RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	ScopeRead  *follower;

	as_labelled(map, &relid, &attnum);
	if (follows(plan, relid, attnum))
		return false;
	follower = palloc0(sizeof(ScopeRead));
	follower->relid = relid;
	follower->attnums = bms_make_singleton(attnum);
	plan->follows = lappend(plan->follows, follower);
	return true;
}

/*
 * as_labelled: a column of a partition or child is that of the labelled table
 * which it is part of.
 */
static void
as_labelled(DataMap *map, Oid *relid, AttrNumber *attnum)
{
	MapTable   *over = EffMapTableOver(map, *relid);

	if (over == NULL || over->rel->oid == *relid)
		return;
	*attnum = EffRelationColumnNamed(over->rel,
									 EffRelationColumn(EffMapLoad(map, *relid),
													   *attnum)->name)->attnum;
	*relid = over->rel->oid;
}

static bool
changes(RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	return is_corrected(plan, relid, attnum) || follows(plan, relid, attnum);
}

static bool
is_corrected(RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	foreach_ptr(RectifyColumn, column, plan->columns)
		if (column->table->rel->oid == relid && column->column->column->attnum == attnum)
			return true;
	return false;
}

static bool
follows(RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	foreach_ptr(ScopeRead, read, plan->follows)
		if (read->relid == relid && bms_is_member(attnum, read->attnums))
			return true;
	return false;
}
