/*
 * detach.c
 *	  Which columns of a row to set to NULL, so that it no longer references
 *	  another row, or no longer belongs to a subject.
 *
 * A surviving row is detached from the row of a subject that an erasure deletes.
 */
#include "postgres.h"

#include "map/graph.h"

#include "nodes/parsenodes.h"

static bool is_on_other_way(DataMap *map, ForeignKey *fk, EffRelation *rel, EffColumn *column);
static bool joins_on(EffRelation *side, const AttrNumber *columns, int n,
					 EffRelation *rel, EffColumn *column);

/*
 * EffDetachColumns returns the columns (int attnums) of a foreign key that end
 * the reference when they are set to NULL, NIL where none can be.  MATCH FULL
 * needs all of them.  Otherwise one is enough: the last column that no link joins
 * by in another way and, if there is one, that no other foreign key has.
 */
List *
EffDetachColumns(DataMap *map, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(map, fk->relid);
	List	   *nullable = NIL;
	AttrNumber	best = InvalidAttrNumber;
	bool		best_shared = true;

	for (int i = 0; i < fk->nkeys; i++)
	{
		EffColumn  *column = EffRelationFindColumn(rel, fk->columns[i]);
		bool		shared = false;

		if (column == NULL || column->not_null || column->generated)
			continue;
		nullable = lappend_int(nullable, column->attnum);
		if (is_on_other_way(map, fk, rel, column))
			continue;
		foreach_ptr(ForeignKey, other, EffMapRelation(map, fk->relid)->references)
		{
			for (int k = 0; other != fk && k < other->nkeys; k++)
				shared |= other->columns[k] == column->attnum;
		}
		if (best == InvalidAttrNumber || shared <= best_shared)
		{
			best = column->attnum;
			best_shared = shared;
		}
	}
	if (fk->match_full)
		return list_length(nullable) == fk->nkeys ? nullable : NIL;
	return best == InvalidAttrNumber ? NIL : list_make1_int(best);
}

/* is_on_other_way returns whether a link joins by the column, and not as this foreign key does. */
static bool
is_on_other_way(DataMap *map, ForeignKey *fk, EffRelation *rel, EffColumn *column)
{
	foreach_ptr(JoinHop, hop, EffMapRelation(map, rel->oid)->joins)
	{
		if (hop->fk != fk && (joins_on(hop->source, hop->source_columns, hop->n, rel, column) ||
							  joins_on(hop->target, hop->target_columns, hop->n, rel, column)))
			return true;
	}
	return false;
}

/*
 * joins_on returns whether n columns of one side of a hop include a column of a
 * relation, which may be a partition or a child of the table on that side.
 */
static bool
joins_on(EffRelation *side, const AttrNumber *columns, int n, EffRelation *rel, EffColumn *column)
{
	for (int k = 0; k < n; k++)
		if (list_member_oid(side->inheritors, rel->oid) &&
			strcmp(EffRelationColumn(side, columns[k])->name, column->name) == 0)
			return true;
	return false;
}

/*
 * EffDetachAllowed returns whether rows of a labelled table can be detached from
 * the rows that a foreign key of theirs references, by the foreign key's own
 * action or by an UPDATE, without changing a column that is retained.
 */
bool
EffDetachAllowed(DataMap *map, MapTable *source, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(map, fk->relid);
	List	   *columns = EffForeignKeySets(fk);

	if (fk->on_delete == FKCONSTR_ACTION_CASCADE ||
		(columns != NIL && !EffForeignKeyReleases(fk, rel)))
		return false;
	if (columns == NIL)
		columns = EffDetachColumns(map, fk);
	foreach_int(number, columns)
	{
		/* a partition has its columns in an order of its own */
		EffColumn  *referencing = EffRelationColumn(rel, number);
		EffColumn  *whole = EffRelationColumnByName(source->rel, referencing->name);
		MapColumn  *column = whole ? EffMapColumn(source, whole->attnum) : NULL;

		if (column != NULL && column->label->erasure == ERASURE_RETAIN)
			return false;
	}
	return columns != NIL;
}

/*
 * EffDetachLinkColumns returns the columns (int attnums) to set to NULL in a
 * surviving row so that it is no longer the subject's by a link.  NIL where the
 * link's first hop goes against a reference, where no column of it can be NULL,
 * or where one of them is retained.
 */
List *
EffDetachLinkColumns(DataMap *map, TableLink *link)
{
	JoinHop    *first = linitial(link->hops);
	List	   *columns = NIL;

	if (first->fk != NULL)
		columns = first->fk->relid == link->table->rel->oid && !first->reverse ?
			EffDetachColumns(map, first->fk) : NIL;
	else if (!first->reverse)
		for (int i = 0; i < first->n; i++)
		{
			EffColumn  *column = EffRelationColumn(first->source, first->source_columns[i]);

			if (!column->not_null && !column->generated)
				columns = lappend_int(columns, column->attnum);
		}
	foreach_int(number, columns)
	{
		MapColumn  *column = EffMapColumn(link->table, number);

		if (column != NULL && column->label->erasure == ERASURE_RETAIN)
			return NIL;
	}
	return columns;
}
