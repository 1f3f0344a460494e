/*
 * prepare.c
 *	  Prepares statements that are kept, and has rows looked up by key without a
 *	  bitmap.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/prepare.h"
#include "base/settings.h"

#include "access/genam.h"
#include "catalog/pg_am_d.h"
#include "optimizer/optimizer.h"

/* What the planner may think that it costs to do without a bitmap */
#define DEARER 1.5

static Cost make_plan(SPIPlanPtr prepared, bool (*test) (Plan *scan), bool *found);
static bool find_scan(Plan *plan, bool (*test) (Plan *scan));
static bool is_bitmap(Plan *scan);
static bool is_out_of_order(Plan *scan);
static int	count_columns(List *indexqual);

/*
 * EffPrepare returns a prepared statement that is kept until SPI_freeplan().
 * Its plan is the generic one: a call must not pay for planning, and the
 * statements look rows up by key.  Only Citus has to see the keys, to know
 * their shards.
 */
SPIPlanPtr
EffPrepare(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	prepared = SPI_prepare_cursor(sql, nargs, types,
											  EffCitusPresent() ? CURSOR_OPT_CUSTOM_PLAN :
											  CURSOR_OPT_GENERIC_PLAN);

	if (prepared == NULL)
		elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(prepared) != 0)
		elog(ERROR, "could not keep statement");
	return prepared;
}

/*
 * EffPrepareLookup returns the same for a statement that looks rows of one
 * subject up by key, with a plan that makes no bitmap where that costs about
 * the same.
 *
 * The planner prefers a bitmap, so that pages are read in their order.  But the
 * rows of one key stand in a B-tree in that order already
 * (src/backend/access/nbtree/README, on duplicates), and are read sooner than
 * a bitmap of them is made.  The planner goes by the average subject; for one
 * with far more rows than others no page may be read as often as it has rows
 * there, so an index that sorts the rows of a key by further columns does not
 * count.
 */
SPIPlanPtr
EffPrepareLookup(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	prepared = EffPrepare(sql, nargs, types);
	SPIPlanPtr volatile other = NULL;

	if (EffCitusPresent())
		return prepared;
	PG_TRY();
	{
		bool		found;
		Cost		cost = make_plan(prepared, is_bitmap, &found);

		if (found)
		{
			int			level = NewGUCNestLevel();

			EffSettingSet("enable_bitmapscan", "off");
			EffSettingSet("enable_seqscan", "off");
			other = EffPrepare(sql, nargs, types);
			if (make_plan(other, is_out_of_order, &found) > cost * DEARER || found)
			{
				SPI_freeplan(other);
				other = NULL;
			}
			AtEOXact_GUC(true, level);
		}
	}
	PG_CATCH();
	{
		if (other != NULL)
			SPI_freeplan(other);
		SPI_freeplan(prepared);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (other == NULL)
		return prepared;
	SPI_freeplan(prepared);
	return other;
}

/*
 * make_plan has the generic plan made, which is kept for the first run, and
 * returns its cost, and whether it has such a scan.
 */
static Cost
make_plan(SPIPlanPtr prepared, bool (*test) (Plan *scan), bool *found)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(prepared);
	Cost		cost = 0;

	*found = false;
	if (cached == NULL)
		return cost;
	/* a rule may make several statements of it, or none */
	if (list_length(cached->stmt_list) == 1 &&
		linitial_node(PlannedStmt, cached->stmt_list)->commandType != CMD_UTILITY)
	{
		Plan	   *plan = linitial_node(PlannedStmt, cached->stmt_list)->planTree;

		cost = plan->total_cost;
		*found = find_scan(plan, test);
	}
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	return cost;
}

/* find_scan looks at what a plan's rows come from; the plans of expressions are not looked at. */
static bool
find_scan(Plan *plan, bool (*test) (Plan *scan))
{
	List	   *children = NIL;
	ListCell   *lc;

	if (plan == NULL)
		return false;
	if (test(plan))
		return true;
	if (IsA(plan, SubqueryScan))
		return find_scan(((SubqueryScan *) plan)->subplan, test);
	if (IsA(plan, Append))
		children = ((Append *) plan)->appendplans;
	else if (IsA(plan, MergeAppend))
		children = ((MergeAppend *) plan)->mergeplans;
	foreach(lc, children)
		if (find_scan(lfirst(lc), test))
			return true;
	return find_scan(outerPlan(plan), test) || find_scan(innerPlan(plan), test);
}

static bool
is_bitmap(Plan *scan)
{
	return IsA(scan, BitmapHeapScan);
}

/* is_out_of_order: rows of one key may come in another order than they are stored in. */
static bool
is_out_of_order(Plan *scan)
{
	Relation	index;
	bool		ordered;

	if (!IsA(scan, IndexScan))
		return is_bitmap(scan);
	/* locked with the plan's tables */
	index = index_open(((IndexScan *) scan)->indexid, NoLock);
	ordered = index->rd_rel->relam == BTREE_AM_OID &&
		count_columns(((IndexScan *) scan)->indexqual) ==
		IndexRelationGetNumberOfKeyAttributes(index);
	index_close(index, NoLock);
	return !ordered;
}

/* count_columns: how many columns of an index are given; lookups know of nothing but equality. */
static int
count_columns(List *indexqual)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	foreach(lc, indexqual)
	{
		List	   *vars = pull_var_clause(lfirst(lc), 0);
		ListCell   *lv;

		foreach(lv, vars)
			if (lfirst_node(Var, lv)->varno == INDEX_VAR)
				columns = bms_add_member(columns, lfirst_node(Var, lv)->varattno);
	}
	return bms_num_members(columns);
}
