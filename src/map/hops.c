/*
 * hops.c
 *	  FIXME
 */
#include "postgres.h"

#include "map/map_int.h"

/* EffHopFinish adds a hop to the link and tells whether it met a subject table. */
bool
EffHopFinish(DataMap *map, TableLink *link, JoinHop *hop)
{
	MapTable   *target = EffMapTable(map, hop->target->oid);

	link->hops = lappend(link->hops, hop);
	link->reverse |= hop->reverse;
	if (target == NULL || !target->is_subject)
		return false;
	link->subject = target;
	return true;
}

void
EffHopRequireSubject(TableLink *link, const char *what)
{
	JoinHop    *last = llast(link->hops);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("%s of table %s ends at %s, which is not a subject table",
					what, link->table->name, last->target->name),
			 errhint("Go on to a subject table, or mark this one: SECURITY LABEL FOR effaced ON TABLE %s IS '{\"path\": \"\"}';",
					 last->target->sql)));
}

JoinHop *
EffHopAlong(DataMap *map, ForeignKey *fk)
{
	JoinHop    *hop = palloc0(sizeof(JoinHop));

	hop->source = EffMapLoad(map, fk->relid);
	hop->target = EffMapLoad(map, fk->target);
	hop->n = fk->nkeys;
	hop->source_columns = fk->columns;
	hop->target_columns = fk->target_columns;
	hop->fk = fk;
	return hop;
}

JoinHop *
EffHopAgainst(DataMap *map, ForeignKey *fk)
{
	JoinHop    *hop = palloc0(sizeof(JoinHop));

	hop->source = EffMapLoad(map, fk->target);
	hop->target = EffMapLoad(map, fk->relid);
	hop->n = fk->nkeys;
	hop->source_columns = fk->target_columns;
	hop->target_columns = fk->columns;
	hop->fk = fk;
	hop->reverse = true;
	return hop;
}
