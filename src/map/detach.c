/*
 * detach.c
 *	  FIXME
 */
#include "postgres.h"

#include "map/graph.h"

#include "nodes/parsenodes.h"

static bool is_on_other_way(DataMap *map, ForeignKey *fk, EffRelation *rel, EffColumn *column);
static bool joins_on(EffRelation *side, const AttrNumber *columns, int n, EffRelation *rel, EffColumn *column);

/*
 * EffDetachColumns lists the columns (int attnums) that end a reference when
 * set to NULL.  One is enough, but for MATCH FULL: the last one that nothing
 * else needs, neither another foreign key nor the way of a link.
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

/* is_on_other_way: a link joins on the column by something else than this key. */
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

/* joins_on: one of the columns of a side of a hop is the column of a relation, or of the table that it is part of. */
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
 * EffDetachAllowed: by the foreign key's own action, or by an UPDATE.
 */
bool
EffDetachAllowed(DataMap *map, MapTable *source, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(map, fk->relid);
	List	   *columns = EffForeignKeySets(fk);

	if (fk->on_delete == FKCONSTR_ACTION_CASCADE || (columns != NIL && !EffForeignKeyLetsGo(fk, rel)))
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
 * EffDetachLinkColumns: what a kept row lets go of its subject by, NIL where
 * the link runs against a reference, or the columns are not nullable or retained.
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
