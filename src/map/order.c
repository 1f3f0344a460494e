/*
 * order.c
 *	  Sorts tables so that rows go before the rows that they reference, and
 *	  finds out how a cycle of references is broken.
 */
#include "postgres.h"

#include "base/citus.h"
#include "map/graph.h"

#include "nodes/parsenodes.h"

typedef struct OrderEdge
{
	int			from;			/* goes first */
	int			to;
	ForeignKey *fk;				/* NULL for a join without one */
	EdgeBreak	how;
	bool		gone;
} OrderEdge;

/* Which tables go first where nothing else decides */
typedef enum OrderRank
{
	RANK_LAST,
	RANK_BEFORE_REFERENCE,		/* a reference table waits for it */
	RANK_REFERENCE				/* a copy on every node of Citus */
} OrderRank;

static void rank_predecessors(List *edges, OrderRank *ranks);
static List *add_edge(List *edges, int from, int to, ForeignKey *fk, EdgeBreak how);
static bool reaches(List *edges, int nnodes, int from, int to);
static char *describe_cycle(DataMap *map, List *relids, List *edges, bool *done);
static EdgeBreak classify_reference(DataMap *map, ForeignKey *fk, EffDeletedTest deleted, void *arg);

/*
 * EffGraphOrder sorts tables topologically.  Where nothing decides, reference
 * tables of Citus go first, which it wants to be changed before the shards of
 * others are, and what they wait for; and then by name.
 */
List *
EffGraphOrder(DataMap *map, List *relids, EffDeletedTest deleted, void *arg, List **broken)
{
	int			n = list_length(relids);
	List	   *edges = NIL;
	List	   *result = NIL;
	bool		citus = EffCitusPresent();
	bool	   *done = palloc0(sizeof(bool) * Max(n, 1));
	int		   *waiting = palloc0(sizeof(int) * Max(n, 1)); /* edges into each */
	List	  **leaving = palloc0(sizeof(List *) * Max(n, 1));	/* of OrderEdge: out of each */
	char	  **names = palloc(sizeof(char *) * Max(n, 1));
	OrderRank  *ranks = palloc0(sizeof(OrderRank) * Max(n, 1));
	HTAB	   *positions;
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid) + sizeof(int), .hcxt = CurrentMemoryContext};
	struct
	{
		Oid			relid;
		int			position;
	}		   *entry;
	ListCell   *lc;

	*broken = NIL;
	positions = hash_create("effaced order", Max(n, 16), &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		EffRelation *rel = EffMapFind(map, relid);

		if (rel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 errmsg("relation with OID %u does not exist", relid),
					 errhidestmt(true)));
		names[foreach_current_index(lc)] = rel->name;
		if (citus && EffCitusKindOf(relid) == CITUS_REFERENCE)
			ranks[foreach_current_index(lc)] = RANK_REFERENCE;
		/* keys from and to partitions are keys of the table */
		foreach_oid(child, rel->inheritors)
		{
			bool		found;

			entry = hash_search(positions, &child, HASH_ENTER, &found);
			if (!found || child == relid)
				entry->position = foreach_current_index(lc);
		}
	}

	foreach(lc, relids)
	{
		EffRelation *rel = EffMapLoad(map, lfirst_oid(lc));
		MapTable   *table = EffMapTable(map, rel->oid);

		foreach_oid(oid, rel->inheritors)
		{
			MapRelation *relation = EffMapRelation(map, oid);

			foreach_ptr(ForeignKey, fk, relation->references)
			{
				entry = hash_search(positions, &fk->target, HASH_FIND, NULL);
				if (entry == NULL || entry->position == foreach_current_index(lc))
					continue;
				edges = add_edge(edges, foreach_current_index(lc), entry->position, fk,
								 classify_reference(map, fk, deleted, arg));
			}
		}
		if (table == NULL)
			continue;
		foreach_ptr(TableLink, link, table->links)
		{
			foreach_ptr(JoinHop, hop, link->hops)
			{
				if (hop->reverse)
				{
					/* what is reached against a reference comes after its subject */
					entry = hash_search(positions, &link->subject->rel->oid, HASH_FIND, NULL);
					if (entry == NULL || entry->position == foreach_current_index(lc))
						continue;
					edges = add_edge(edges, entry->position, foreach_current_index(lc), NULL, BREAK_FREE);
					continue;
				}
				if (hop->fk != NULL)
					continue;
				entry = hash_search(positions, &hop->target->oid, HASH_FIND, NULL);
				if (entry == NULL || entry->position == foreach_current_index(lc))
					continue;
				edges = add_edge(edges, foreach_current_index(lc), entry->position, NULL, BREAK_FREE);
			}
		}
	}

	if (citus)
		rank_predecessors(edges, ranks);
	foreach_ptr(OrderEdge, edge, edges)
	{
		waiting[edge->to]++;
		leaving[edge->from] = lappend(leaving[edge->from], edge);
	}
	while (list_length(result) < n)
	{
		int			next = -1;

		for (int i = 0; i < n; i++)
			if (!done[i] && waiting[i] == 0 &&
				(next < 0 || ranks[i] > ranks[next] ||
				 (ranks[i] == ranks[next] && strcmp(names[i], names[next]) < 0)))
				next = i;
		if (next >= 0)
		{
			done[next] = true;
			result = lappend_oid(result, list_nth_oid(relids, next));
			foreach_ptr(OrderEdge, edge, leaving[next])
			{
				if (edge->gone)
					continue;
				edge->gone = true;
				waiting[edge->to]--;
			}
			continue;
		}

		/* a cycle: take out its cheapest reference */
		{
			OrderEdge  *best = NULL;

			foreach_ptr(OrderEdge, edge, edges)
			{
				if (edge->gone || edge->how == BREAK_NONE)
					continue;
				if (best != NULL &&
					(edge->how > best->how ||
					 (edge->how == best->how &&
					  (edge->fk == NULL || best->fk == NULL ||
					   strcmp(edge->fk->name, best->fk->name) >= 0))))
					continue;
				if (reaches(edges, n, edge->to, edge->from))
					best = edge;
			}
			if (best == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_SUBJECT),
						 errmsg("there is no deletion order: foreign keys form a cycle"),
						 errdetail("Cycle: %s.", describe_cycle(map, relids, edges, done)),
						 errhint("Make one of its foreign keys DEFERRABLE (ALTER TABLE ... ALTER CONSTRAINT ... DEFERRABLE), under a name that no other constraint of its schema has, or one of its columns nullable."),
						 errhidestmt(true)));
			best->gone = true;
			waiting[best->to]--;
			if (best->fk != NULL && best->how != BREAK_FREE)
			{
				BrokenEdge *edge = palloc(sizeof(BrokenEdge));

				edge->fk = best->fk;
				edge->how = best->how;
				*broken = lappend(*broken, edge);
			}
		}
	}
	hash_destroy(positions);
	return result;
}

/* rank_predecessors: what a reference table has to wait for goes before what it has not. */
static void
rank_predecessors(List *edges, OrderRank *ranks)
{
	bool		more = true;

	while (more)
	{
		more = false;
		foreach_ptr(OrderEdge, edge, edges)
		{
			if (ranks[edge->from] != RANK_LAST || ranks[edge->to] == RANK_LAST)
				continue;
			ranks[edge->from] = RANK_BEFORE_REFERENCE;
			more = true;
		}
	}
}

static List *
add_edge(List *edges, int from, int to, ForeignKey *fk, EdgeBreak how)
{
	OrderEdge  *edge = palloc0(sizeof(OrderEdge));

	edge->from = from;
	edge->to = to;
	edge->fk = fk;
	edge->how = how;
	return lappend(edges, edge);
}

/* reaches tells whether edges that still count lead from one node to another. */
static bool
reaches(List *edges, int nnodes, int from, int to)
{
	bool	   *seen = palloc0(sizeof(bool) * nnodes);
	List	   *todo = list_make1_int(from);

	seen[from] = true;
	while (todo != NIL)
	{
		int			node = llast_int(todo);

		if (node == to)
			return true;
		todo = list_delete_last(todo);
		foreach_ptr(OrderEdge, edge, edges)
		{
			if (!edge->gone && edge->from == node && !seen[edge->to])
			{
				seen[edge->to] = true;
				todo = lappend_int(todo, edge->to);
			}
		}
	}
	return false;
}

static char *
describe_cycle(DataMap *map, List *relids, List *edges, bool *done)
{
	int			n = list_length(relids);
	StringInfoData buf;
	List	   *walk = NIL;
	int			node = -1;

	/* every node left has a predecessor left: walking back must meet itself */
	for (int i = 0; i < n && node < 0; i++)
		if (!done[i])
			node = i;
	while (!list_member_int(walk, node))
	{
		walk = lcons_int(node, walk);
		foreach_ptr(OrderEdge, edge, edges)
		{
			if (!edge->gone && edge->to == node && !done[edge->from])
			{
				node = edge->from;
				break;
			}
		}
	}
	initStringInfo(&buf);
	appendStringInfoString(&buf, EffMapLoad(map, list_nth_oid(relids, node))->name);
	foreach_int(number, walk)
	{
		appendStringInfo(&buf, " -> %s", EffMapLoad(map, list_nth_oid(relids, number))->name);
		if (number == node)
			break;
	}
	return buf.data;
}

static EdgeBreak
classify_reference(DataMap *map, ForeignKey *fk, EffDeletedTest deleted, void *arg)
{
	if (deleted != NULL && (!deleted(fk->relid, arg) || !deleted(fk->target, arg)))
		return BREAK_FREE;
	if (EffForeignKeySets(fk) != NIL)
		return BREAK_ACTION;
	if (fk->deferrable && !fk->namesake && fk->on_delete == FKCONSTR_ACTION_NOACTION)
		return BREAK_DEFER;
	if (EffDetachColumns(map, fk) != NIL)
		return BREAK_NULL;
	return BREAK_NONE;
}
