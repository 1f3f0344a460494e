/*
 * hops.c
 *	  Hops: joins of two tables on the way from a table to a subject, and what
 *	  can be told of a link from its hops.
 */
#include "postgres.h"

#include "map/map_int.h"

static bool same_hop(JoinHop *a, JoinHop *b);

/*
 * EffHopFinish adds a hop to those of a link, and returns whether the way ends
 * there because the hop leads to a subject table.
 */
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

/*
 * EffHopRequireSubject raises ZE001 about a link whose hops end before a subject
 * table.  what names that which was written: a path, or a chain of hops.
 */
void
EffHopRequireSubject(TableLink *link, const char *what)
{
	JoinHop    *last = llast(link->hops);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("%s of table \"%s\" ends at table \"%s\", which is not a subject table",
					what, link->table->rel->relname, last->target->relname),
			 errhint("Go on to a subject table, or mark this one: "
					 "SECURITY LABEL FOR effaced ON TABLE %s IS '{\"path\": \"\"}';",
					 last->target->sql)));
}

/* EffHopAlong returns the hop from the table of a foreign key to the table that it references. */
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

/*
 * EffHopAgainst returns the hop from the table that a foreign key references to
 * its own table, where several rows may reference each row.
 */
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

/*
 * EffLinkIsKey returns whether n columns of a subject table are its whole
 * identifier, in whatever order.
 */
bool
EffLinkIsKey(MapTable *subject, const AttrNumber *target_columns, int n)
{
	if (n != subject->nkey)
		return false;
	for (int i = 0; i < n; i++)
	{
		bool		found = false;

		for (int k = 0; k < n; k++)
			found |= subject->key[k] == target_columns[i];
		if (!found)
			return false;
	}
	return true;
}

/*
 * EffLinkCarriesKey returns whether the rows before the subject's own hold its
 * whole identifier, so that the subject table need not be read.
 */
bool
EffLinkCarriesKey(TableLink *link)
{
	JoinHop    *last = llast(link->hops);

	return link->subject->label->subject_where == NULL &&
		EffLinkIsKey(link->subject, last->target_columns, last->n);
}

/* EffLinkStartsAt returns whether a link's first hop joins by one of the columns (int attnums). */
bool
EffLinkStartsAt(TableLink *link, List *columns)
{
	JoinHop    *first = linitial(link->hops);

	for (int i = 0; i < first->n && !first->reverse; i++)
		if (list_member_int(columns, first->source_columns[i]))
			return true;
	return false;
}

/*
 * EffLinkSameHops returns whether the hops of a link from its i-th on (from 0)
 * are the hops of another link, and lead to the same subject.
 */
bool
EffLinkSameHops(TableLink *link, int i, TableLink *other)
{
	int			rest = list_length(link->hops) - i;

	if (other->subject != link->subject || list_length(other->hops) != rest)
		return false;
	for (int k = 0; k < rest; k++)
		if (!same_hop(list_nth(link->hops, i + k), list_nth(other->hops, k)))
			return false;
	return true;
}

static bool
same_hop(JoinHop *a, JoinHop *b)
{
	return a->source == b->source && a->target == b->target && a->n == b->n &&
		memcmp(a->source_columns, b->source_columns, sizeof(AttrNumber) * a->n) == 0 &&
		memcmp(a->target_columns, b->target_columns, sizeof(AttrNumber) * a->n) == 0;
}
