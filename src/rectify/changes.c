/*
 * changes.c
 *	  Which columns a rectification changes: those that it is about, and those
 *	  that follow them, since they are generated or by a foreign key's ON UPDATE.
 */
#include "postgres.h"

#include "rectify/changes.h"
#include "rows/ways.h"

static bool changes(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool is_corrected(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool follows(RectifyPlan *plan, Oid relid, AttrNumber attnum);

/*
 * EffRectifyFollow fills plan->follows: the columns that change because they are
 * generated from a column that is written, or because a foreign key's ON UPDATE copies
 * one.  The other functions of this file need it.
 */
void
EffRectifyFollow(DataMap *map, RectifyPlan *plan)
{
	/* a column that is corrected may follow another one that is */
	foreach_ptr(RectifyColumn, column, plan->columns)
	{
		AttrNumber	attnum = column->column->column->attnum;

		foreach_ptr(ScopeRead, follower, EffWaysAdd(map, NIL, column->table->rel->oid,
													bms_make_singleton(attnum)))
		{
			if (follower->relid == column->table->rel->oid)
				follower->attnums = bms_del_member(follower->attnums, attnum);
			if (!bms_is_empty(follower->attnums))
				plan->follows = lappend(plan->follows, follower);
		}
	}
}

/*
 * EffRectifyIsOnWay returns whether a column that is written in a table leads from rows
 * to the subject.
 */
bool
EffRectifyIsOnWay(DataMap *map, RectifyPlan *plan, MapTable *table)
{
	MapTable   *subject = plan->base.subject;
	List	   *reads = NIL;

	foreach_ptr(MapTable, other, EffGraphTables(map, subject))
	{
		foreach_ptr(TableLink, link, EffGraphRoleLinks(other, subject, ROLE_OWNER))
			reads = list_concat(reads, EffScopeReads(map, subject, link));
	}
	foreach_ptr(ScopeRead, read, reads)
	{
		foreach_ptr(RectifyColumn, column, plan->columns)
			if (column->table == table && read->relid == table->rel->oid &&
				bms_is_member(column->column->column->attnum, read->attnums))
				return true;
	}
	return false;
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
