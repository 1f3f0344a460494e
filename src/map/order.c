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
	bool		gone;			/* no longer makes anything wait */
} OrderEdge;

/* Which tables go first where nothing else decides */
typedef enum OrderRank
{
	RANK_LAST,
	RANK_BEFORE_REFERENCE,		/* a reference table waits for it */
	RANK_REFERENCE				/* a copy on every node of Citus */
} OrderRank;

/* A table to be put in order */
typedef struct OrderNode
{
	EffRelation *rel;
	OrderRank	rank;
	int			waiting;		/* edges into it that are not gone */
	List	   *leaving;		/* of OrderEdge: out of it */
	bool		done;			/* it has its place */
} OrderNode;

/* Where a table is among the nodes; partitions and children are where their table is */
typedef struct OrderPosition
{
	Oid			relid;			/* hash key */
	int			node;
} OrderPosition;

typedef struct Order
{
	DataMap    *map;
	EffDeletedTest deleted;
	void	   *arg;
	int			n;
	OrderNode  *nodes;
	HTAB	   *positions;		/* of OrderPosition */
	List	   *edges;			/* of OrderEdge */
} Order;

static void add_nodes(Order *order, List *relids);
static void build_edges(Order *order);
static void add_key_edges(Order *order, int from);
static void add_link_edges(Order *order, int node);
static void add_edge(Order *order, int from, int to, ForeignKey *fk, EdgeBreak how);
static int	position_of(Order *order, Oid relid);
static void rank_predecessors(Order *order);
static int	next_free(Order *order);
static void place(Order *order, int node);
static BrokenEdge *break_cycle(Order *order);
static bool is_better(const OrderEdge *edge, const OrderEdge *best);
static bool reaches(Order *order, int from, int to);
static void raise_cycle(Order *order) pg_attribute_noreturn();
static char *describe_cycle(Order *order);
static EdgeBreak classify_reference(Order *order, ForeignKey *fk);

/*
 * EffGraphOrder returns the OIDs of relids so that rows are deleted before the
 * rows that they reference.  Where nothing decides, reference tables of Citus
 * come first, which Citus wants to be changed before the shards of others are,
 * then what they wait for, and then tables by name.  *broken is set to the
 * foreign keys (BrokenEdge) that the order goes against since they form a
 * cycle; deleted() tells which tables' rows are deleted, for no other foreign
 * key matters.  ERROR ZE002 naming the cycle where it cannot be broken.
 */
List *
EffGraphOrder(DataMap *map, List *relids, EffDeletedTest deleted, void *arg, List **broken)
{
	Order		order = {.map = map, .deleted = deleted, .arg = arg};
	List	   *result = NIL;

	*broken = NIL;
	add_nodes(&order, relids);
	build_edges(&order);
	while (list_length(result) < order.n)
	{
		int			next = next_free(&order);

		if (next >= 0)
		{
			place(&order, next);
			result = lappend_oid(result, order.nodes[next].rel->oid);
		}
		else
		{
			BrokenEdge *edge = break_cycle(&order);

			if (edge != NULL)
				*broken = lappend(*broken, edge);
		}
	}
	hash_destroy(order.positions);
	return result;
}

static void
add_nodes(Order *order, List *relids)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(OrderPosition)};
	bool		citus = EffCitusPresent();

	control.hcxt = CurrentMemoryContext;
	order->nodes = palloc0(sizeof(OrderNode) * Max(list_length(relids), 1));
	order->positions = hash_create("effaced order", Max(list_length(relids), 16), &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach_oid(relid, relids)
	{
		OrderNode  *node = &order->nodes[order->n];

		node->rel = EffMapFind(order->map, relid);
		if (node->rel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 errmsg("relation with OID %u does not exist", relid),
					 errhidestmt(true)));
		if (citus && EffCitusKindOf(relid) == CITUS_REFERENCE)
			node->rank = RANK_REFERENCE;
		/* foreign keys from and to a partition are the whole table's */
		foreach_oid(child, node->rel->inheritors)
		{
			bool		found;
			OrderPosition *position = hash_search(order->positions, &child, HASH_ENTER, &found);

			if (!found || child == relid)
				position->node = order->n;
		}
		order->n++;
	}
}

/* build_edges finds out which table has to wait for which. */
static void
build_edges(Order *order)
{
	for (int i = 0; i < order->n; i++)
	{
		add_key_edges(order, i);
		add_link_edges(order, i);
	}
	foreach_ptr(OrderEdge, edge, order->edges)
	{
		order->nodes[edge->to].waiting++;
		order->nodes[edge->from].leaving = lappend(order->nodes[edge->from].leaving, edge);
	}
	rank_predecessors(order);
}

/* add_key_edges: rows go before the rows that they reference by a foreign key. */
static void
add_key_edges(Order *order, int from)
{
	foreach_oid(relid, order->nodes[from].rel->inheritors)
		foreach_ptr(ForeignKey, fk, EffMapRelation(order->map, relid)->references)
		{
			int			to = position_of(order, fk->target);

			if (to >= 0 && to != from)
				add_edge(order, from, to, fk, classify_reference(order, fk));
		}
}

/*
 * add_link_edges: rows go before those that a declared hop joins them to, and
 * rows that are reached against a reference go after their subject, whose row
 * still references them.
 */
static void
add_link_edges(Order *order, int node)
{
	MapTable   *table = EffMapTable(order->map, order->nodes[node].rel->oid);

	if (table == NULL)
		return;
	foreach_ptr(TableLink, link, table->links)
		foreach_ptr(JoinHop, hop, link->hops)
		{
			if (hop->reverse)
				add_edge(order, position_of(order, link->subject->rel->oid), node, NULL,
						 BREAK_FREE);
			else if (hop->fk == NULL)
				add_edge(order, node, position_of(order, hop->target->oid), NULL, BREAK_FREE);
		}
}

/* add_edge adds nothing where an end (-1) is not among the tables, or both are one table. */
static void
add_edge(Order *order, int from, int to, ForeignKey *fk, EdgeBreak how)
{
	OrderEdge  *edge;

	if (from < 0 || to < 0 || from == to)
		return;
	edge = palloc0(sizeof(OrderEdge));
	edge->from = from;
	edge->to = to;
	edge->fk = fk;
	edge->how = how;
	order->edges = lappend(order->edges, edge);
}

static int
position_of(Order *order, Oid relid)
{
	OrderPosition *position = hash_search(order->positions, &relid, HASH_FIND, NULL);

	return position == NULL ? -1 : position->node;
}

/* rank_predecessors lets a table that a reference table has to wait for go before other tables. */
static void
rank_predecessors(Order *order)
{
	bool		more = true;

	while (more)
	{
		more = false;
		foreach_ptr(OrderEdge, edge, order->edges)
		{
			OrderNode  *from = &order->nodes[edge->from];

			if (from->rank != RANK_LAST || order->nodes[edge->to].rank == RANK_LAST)
				continue;
			from->rank = RANK_BEFORE_REFERENCE;
			more = true;
		}
	}
}

/* next_free returns the table that goes next, -1 where all that are left wait for each other. */
static int
next_free(Order *order)
{
	int			next = -1;

	for (int i = 0; i < order->n; i++)
	{
		OrderNode  *node = &order->nodes[i];

		if (node->done || node->waiting > 0)
			continue;
		if (next < 0 || node->rank > order->nodes[next].rank ||
			(node->rank == order->nodes[next].rank &&
			 strcmp(node->rel->name, order->nodes[next].rel->name) < 0))
			next = i;
	}
	return next;
}

/* place gives a table its place, so that others wait for it no longer. */
static void
place(Order *order, int node)
{
	order->nodes[node].done = true;
	foreach_ptr(OrderEdge, edge, order->nodes[node].leaving)
	{
		if (edge->gone)
			continue;
		edge->gone = true;
		order->nodes[edge->to].waiting--;
	}
}

/*
 * break_cycle takes the cheapest edge of a cycle away.  It returns that edge
 * where it is a foreign key that somebody has to get out of the way, else NULL.
 */
static BrokenEdge *
break_cycle(Order *order)
{
	OrderEdge  *best = NULL;
	BrokenEdge *broken;

	foreach_ptr(OrderEdge, edge, order->edges)
		if (!edge->gone && edge->how != BREAK_NONE && is_better(edge, best) &&
			reaches(order, edge->to, edge->from))
			best = edge;
	if (best == NULL)
		raise_cycle(order);
	best->gone = true;
	order->nodes[best->to].waiting--;
	if (best->fk == NULL || best->how <= BREAK_REWRITTEN)
		return NULL;
	broken = palloc(sizeof(BrokenEdge));
	broken->fk = best->fk;
	broken->how = best->how;
	return broken;
}

/* is_better: an edge that is cheaper to break than the best one so far; by name among equals. */
static bool
is_better(const OrderEdge *edge, const OrderEdge *best)
{
	if (best == NULL || edge->how != best->how)
		return best == NULL || edge->how < best->how;
	return edge->fk != NULL && best->fk != NULL && strcmp(edge->fk->name, best->fk->name) < 0;
}

/* reaches tells whether edges that still count lead from one node to another. */
static bool
reaches(Order *order, int from, int to)
{
	bool	   *seen = palloc0(sizeof(bool) * order->n);
	List	   *todo = list_make1_int(from);

	seen[from] = true;
	while (todo != NIL)
	{
		int			node = llast_int(todo);

		if (node == to)
			return true;
		todo = list_delete_last(todo);
		foreach_ptr(OrderEdge, edge, order->nodes[node].leaving)
		{
			if (!edge->gone && !seen[edge->to])
			{
				seen[edge->to] = true;
				todo = lappend_int(todo, edge->to);
			}
		}
	}
	return false;
}

static void
raise_cycle(Order *order)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("there is no deletion order: foreign keys form a cycle"),
			 errdetail("Cycle: %s.", describe_cycle(order)),
			 errhint("Make one of its foreign keys DEFERRABLE "
					 "(ALTER TABLE ... ALTER CONSTRAINT ... DEFERRABLE), "
					 "under a name that no other constraint of its schema has, "
					 "or one of its columns nullable."),
			 errhidestmt(true)));
}

static char *
describe_cycle(Order *order)
{
	StringInfoData buf;
	List	   *walk = NIL;
	int			node = 0;

	/* every table that is left waits for one that is left: walking back must meet itself */
	while (order->nodes[node].done)
		node++;
	while (!list_member_int(walk, node))
	{
		walk = lcons_int(node, walk);
		foreach_ptr(OrderEdge, edge, order->edges)
		{
			if (!edge->gone && edge->to == node && !order->nodes[edge->from].done)
			{
				node = edge->from;
				break;
			}
		}
	}
	initStringInfo(&buf);
	appendStringInfoString(&buf, order->nodes[node].rel->name);
	foreach_int(number, walk)
	{
		appendStringInfo(&buf, " -> %s", order->nodes[number].rel->name);
		if (number == node)
			break;
	}
	return buf.data;
}

static EdgeBreak
classify_reference(Order *order, ForeignKey *fk)
{
	if (order->deleted != NULL && !order->deleted(fk->target, order->arg))
		return BREAK_FREE;
	if (order->deleted != NULL && !order->deleted(fk->relid, order->arg))
		return BREAK_REWRITTEN;
	if (EffForeignKeySets(fk) != NIL)
		return BREAK_ACTION;
	if (fk->deferrable && !fk->namesake && fk->on_delete == FKCONSTR_ACTION_NOACTION)
		return BREAK_DEFER;
	if (EffDetachColumns(order->map, fk) != NIL)
		return BREAK_NULL;
	return BREAK_NONE;
}
