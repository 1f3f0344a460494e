/*
 * ways.c
 *	  Which columns lead from a row to its subject, and whether writing columns
 *	  cuts that way.
 */
#include "postgres.h"

#include "label/expression.h"
#include "map/graph.h"
#include "rows/scope_int.h"
#include "rows/ways.h"

#include "nodes/parsenodes.h"

static bool add_column(DataMap *map, List **written, EffRelation *rel, AttrNumber attnum);
static bool add_generated(DataMap *map, List **written);
static bool add_following(DataMap *map, List **written);
static bool follows_target(JoinHop *hop);
static List *add_cut(DataMap *map, List *cuts, const WayCut *like, EffRelation *rel,
					 AttrNumber attnum, List *written);
static List *cut_by_hop(DataMap *map, List *cuts, const WayCut *like, int i, List *written);
static List *cut_by_where(DataMap *map, List *cuts, const WayCut *like, EffRelation *rel,
						  Bitmapset *columns, List *written);
static List *cut_by_subject(DataMap *map, List *cuts, const WayCut *like, MapTable *subject,
							List *written);

/*
 * EffWaysAdd returns written (of ScopeRead) with columns of a relation added to it,
 * and every column that changes with them: one that is generated from them, and one
 * that follows by a foreign key's ON UPDATE.
 */
List *
EffWaysAdd(DataMap *map, List *written, Oid relid, const Bitmapset *columns)
{
	EffRelation *rel = EffMapLoad(map, relid);
	int			attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		(void) add_column(map, &written, rel, attnum);
	while (add_generated(map, &written) || add_following(map, &written))
		;
	return written;
}

/*
 * EffWaysWrites returns whether a column is among those that are written.  A column of
 * a partition or child is also written with that of its parent, and the other way round.
 */
bool
EffWaysWrites(DataMap *map, List *written, EffRelation *rel, AttrNumber attnum)
{
	foreach_ptr(ScopeRead, change, written)
	{
		EffRelation *changed;
		EffColumn  *same;

		if (change->relid == rel->oid)
		{
			if (bms_is_member(attnum, change->attnums))
				return true;
			continue;
		}
		changed = EffMapLoad(map, change->relid);
		if (!list_member_oid(changed->inheritors, rel->oid) &&
			!list_member_oid(rel->inheritors, changed->oid))
			continue;
		same = EffRelationColumnByName(changed, EffRelationColumn(rel, attnum)->name);
		if (same != NULL && bms_is_member(same->attnum, change->attnums))
			return true;
	}
	return false;
}

/*
 * EffWaysCut returns what is written of the columns by which rows of a table are found
 * (of WayCut): along a link or, with link NULL, as a subject's own rows.  NIL where the
 * rows are found afterwards as before.  A foreign key ON UPDATE CASCADE leads on, since
 * both of its ends change together.
 */
List *
EffWaysCut(DataMap *map, MapTable *table, TableLink *link, List *written)
{
	WayCut		like = {.table = table, .link = link};
	List	   *cuts = NIL;

	if (link == NULL)
		return cut_by_subject(map, NIL, &like, table, written);
	for (int i = 0; i < list_length(link->hops); i++)
	{
		JoinHop    *hop = list_nth(link->hops, i);
		Bitmapset  *columns = NULL;

		cuts = cut_by_hop(map, cuts, &like, i, written);
		(void) EffScopeWhereAt(map, "t", link, i, &columns);
		cuts = cut_by_where(map, cuts, &like, hop->source, columns, written);
	}
	if (!EffLinkCarriesKey(link))
		cuts = cut_by_subject(map, cuts, &like, link->subject, written);
	return cuts;
}

/*
 * EffWaysRelease returns whether an erasure rewrites, in rows that survive it, the
 * reference by which a link leads on from them: a column of it has a label that does
 * not retain it.  Such a row is nobody's from then on.
 */
bool
EffWaysRelease(TableLink *link)
{
	JoinHop    *first = linitial(link->hops);
	List	   *labelled = NIL;

	if (first->reverse || EffMapDeletesRows(link->table))
		return false;
	foreach_ptr(MapColumn, column, link->table->columns)
		if (column->label->erasure != ERASURE_RETAIN)
			labelled = lappend_int(labelled, column->column->attnum);
	for (int i = 0; i < first->n; i++)
	{
		EffColumn  *column = EffRelationColumn(first->source, first->source_columns[i]);
		Bitmapset  *sources = column->generated ? EffGeneratedFrom(first->source, column) :
			bms_make_singleton(column->attnum);
		int			attnum = -1;

		while ((attnum = bms_next_member(sources, attnum)) >= 0)
			if (list_member_int(labelled, attnum))
				return true;
	}
	return false;
}

/* add_column adds a column; false where it is there already. */
static bool
add_column(DataMap *map, List **written, EffRelation *rel, AttrNumber attnum)
{
	MapTable   *over = EffMapTableOver(map, rel->oid);
	ScopeRead  *change;

	/* a column of a partition or child is that of the labelled table */
	if (over != NULL && over->rel->oid != rel->oid)
	{
		EffColumn  *whole = EffRelationColumnByName(over->rel,
													EffRelationColumn(rel, attnum)->name);

		if (whole != NULL)
		{
			rel = over->rel;
			attnum = whole->attnum;
		}
	}
	foreach_ptr(ScopeRead, known, *written)
	{
		if (known->relid != rel->oid)
			continue;
		if (bms_is_member(attnum, known->attnums))
			return false;
		known->attnums = bms_add_member(known->attnums, attnum);
		return true;
	}
	change = palloc(sizeof(ScopeRead));
	change->relid = rel->oid;
	change->attnums = bms_make_singleton(attnum);
	*written = lappend(*written, change);
	return true;
}

/* add_generated adds the columns that are generated from those that are written. */
static bool
add_generated(DataMap *map, List **written)
{
	bool		any = false;

	foreach_ptr(ScopeRead, change, list_copy(*written))
	{
		EffRelation *rel = EffMapLoad(map, change->relid);

		for (int i = 0; i < rel->ncolumns; i++)
			if (rel->columns[i].generated &&
				bms_overlap(EffGeneratedFrom(rel, &rel->columns[i]), change->attnums))
				any |= add_column(map, written, rel, rel->columns[i].attnum);
	}
	return any;
}

/* add_following adds the columns that a foreign key's ON UPDATE writes. */
static bool
add_following(DataMap *map, List **written)
{
	bool		any = false;

	foreach_ptr(ForeignKey, fk, map->foreign_keys)
	{
		EffRelation *target;
		EffRelation *source;

		if (fk->on_update == FKCONSTR_ACTION_NOACTION ||
			fk->on_update == FKCONSTR_ACTION_RESTRICT ||
			(target = EffMapFind(map, fk->target)) == NULL ||
			(source = EffMapFind(map, fk->relid)) == NULL)
			continue;
		for (int i = 0; i < fk->nkeys; i++)
			if (EffWaysWrites(map, *written, target, fk->target_columns[i]))
				any |= add_column(map, written, source, fk->columns[i]);
	}
	return any;
}

/* follows_target: a foreign key gives the rows before a hop the values of those after it. */
static bool
follows_target(JoinHop *hop)
{
	return hop->fk != NULL && !hop->reverse && hop->fk->on_update == FKCONSTR_ACTION_CASCADE;
}

static List *
add_cut(DataMap *map, List *cuts, const WayCut *like, EffRelation *rel, AttrNumber attnum,
		List *written)
{
	WayCut	   *cut;

	if (!EffWaysWrites(map, written, rel, attnum))
		return cuts;
	cut = palloc(sizeof(WayCut));
	*cut = *like;
	cut->rel = rel;
	cut->attnum = attnum;
	return lappend(cuts, cut);
}

/* cut_by_hop looks at both ends of the i-th hop of a link. */
static List *
cut_by_hop(DataMap *map, List *cuts, const WayCut *like, int i, List *written)
{
	TableLink  *link = like->link;
	JoinHop    *hop = list_nth(link->hops, i);
	bool		carried = i == list_length(link->hops) - 1 && EffLinkCarriesKey(link);
	WayCut		own = *like;

	own.own_reference = i == 0 && !hop->reverse;
	for (int k = 0; k < hop->n; k++)
	{
		if (follows_target(hop) &&
			EffWaysWrites(map, written, hop->target, hop->target_columns[k]))
			continue;
		cuts = add_cut(map, cuts, &own, hop->source, hop->source_columns[k], written);
		if (!carried)
			cuts = add_cut(map, cuts, like, hop->target, hop->target_columns[k], written);
	}
	return cuts;
}

static List *
cut_by_where(DataMap *map, List *cuts, const WayCut *like, EffRelation *rel, Bitmapset *columns,
			 List *written)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		cuts = add_cut(map, cuts, like, rel, attnum, written);
	return cuts;
}

/* cut_by_subject looks at the identifier of a subject, and at the "where" of its table. */
static List *
cut_by_subject(DataMap *map, List *cuts, const WayCut *like, MapTable *subject, List *written)
{
	for (int i = 0; i < subject->nkey; i++)
		cuts = add_cut(map, cuts, like, subject->rel, subject->key[i], written);
	if (subject->label->subject_where == NULL)
		return cuts;
	return cut_by_where(map, cuts, like, subject->rel,
						EffExpressionAnalyze(subject->rel, "t", subject->label->subject_where, NULL,
											 "where")->columns, written);
}
