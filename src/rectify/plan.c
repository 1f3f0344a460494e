/*
 * plan.c
 *	  Plans a rectification: which tables and rows it writes, and in which order.
 *
 * Referenced tables come before those that reference them, so that keys which
 * follow by ON UPDATE CASCADE do.  Rows that several may own, and rows whose
 * way to the subject is changed, are found before anything is.  Where their
 * keys change too, all else is written before any key is.
 */
#include "postgres.h"

#include "plan/ownership.h"
#include "rectify/changes.h"
#include "rectify/columns.h"
#include "rectify/statements.h"

#include "utils/memutils.h"

/* What tells one plan of a map from another */
typedef struct RectifyKey
{
	MapTable   *subject;
	SubjectState state;
	List	   *columns;		/* of RectifyColumn */
} RectifyKey;

static bool is_plan_of(const void *entry, const void *key);
static void *build_plan(DataMap *map, const void *key);
static List *tables_in_order(DataMap *map, List *columns);
static bool nothing_is_deleted(Oid relid, void *arg);
static PlannedTable *plan_rows(DataMap *map, RectifyPlan *plan, MapTable *table, bool own_links);
static bool has_row_key(MapTable *table);
static void add_ways(DataMap *map, RectifyPlan *plan);
static void add_table(DataMap *map, RectifyPlan *plan, PlannedTable *planned);
static void add_steps(DataMap *map, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
					  RectifyPart part, TableLink *link);

static const MapCacheSlot rectify_slot = {"rectification", is_plan_of, build_plan};

/*
 * EffRectifyPlanGet makes a plan once per map, kind, state and set of columns.
 */
RectifyPlan *
EffRectifyPlanGet(DataMap *map, MapTable *subject, SubjectState state, List *columns)
{
	RectifyKey	key = {subject, state, columns};

	return EffMapCacheGet(map, &rectify_slot, &key);
}

static bool
is_plan_of(const void *entry, const void *key)
{
	const RectifyPlan *plan = entry;
	const RectifyKey *wanted = key;
	ListCell   *a;
	ListCell   *b;

	if (plan->base.subject != wanted->subject || plan->state != wanted->state ||
		list_length(plan->columns) != list_length(wanted->columns))
		return false;
	forboth(a, plan->columns, b, wanted->columns)
		if (((RectifyColumn *) lfirst(a))->column != ((RectifyColumn *) lfirst(b))->column)
			return false;
	return true;
}

static void *
build_plan(DataMap *map, const void *key)
{
	MapTable   *subject = ((const RectifyKey *) key)->subject;
	SubjectState state = ((const RectifyKey *) key)->state;
	List	   *columns = ((const RectifyKey *) key)->columns;
	RectifyPlan *plan = palloc0(sizeof(RectifyPlan));
	ListCell   *lc;

	plan->base.subject = subject;
	plan->state = state;
	foreach(lc, columns)
	{
		RectifyColumn *column = palloc(sizeof(RectifyColumn));

		*column = *(RectifyColumn *) lfirst(lc);
		plan->columns = lappend(plan->columns, column);
	}
	EffPlanMakeSubjectLock(map, &plan->base);
	EffRectifyFollow(map, plan);
	foreach_ptr(MapTable, table, tables_in_order(map, plan->columns))
	{
		plan->triggers |= table->rel->has_triggers;
		plan->base.deferrable = list_concat_unique_oid(plan->base.deferrable,
													   table->rel->deferrable);
		plan->base.tables = lappend(plan->base.tables, plan_rows(map, plan, table, false));
		/* the subject's own row, and other subjects' rows that belong to it */
		if (table == subject && EffGraphRoleLinks(subject, subject, ROLE_OWNER) != NIL)
			plan->base.tables = lappend(plan->base.tables, plan_rows(map, plan, table, true));
	}
	foreach_ptr(ScopeRead, read, plan->follows)
		plan->base.deferrable = list_concat_unique_oid(plan->base.deferrable,
													   EffMapLoad(map, read->relid)->deferrable);
	EffPlanMakeLocks(map, &plan->base);
	foreach(lc, plan->base.tables)
		add_table(map, plan, lfirst(lc));
	EffRectifyDefer(map, plan);
	add_ways(map, plan);
	return plan;
}

/*
 * tables_in_order lists the tables of columns, referenced tables before those
 * that reference them.
 */
static List *
tables_in_order(DataMap *map, List *columns)
{
	List	   *relids = NIL;
	List	   *tables = NIL;
	List	   *broken = NIL;

	foreach_ptr(RectifyColumn, column, columns)
		relids = list_append_unique_oid(relids, column->table->rel->oid);
	foreach_oid(oid, EffGraphOrder(map, relids, nothing_is_deleted, NULL, &broken))
		tables = lcons(EffMapTable(map, oid), tables);
	return tables;
}

static bool
nothing_is_deleted(Oid relid, void *arg)
{
	return false;
}

/* plan_rows says which rows of a table are the subject's, and whether they are found first. */
static PlannedTable *
plan_rows(DataMap *map, RectifyPlan *plan, MapTable *table, bool own_links)
{
	MapTable   *subject = plan->base.subject;
	PlannedTable *planned = palloc0(sizeof(PlannedTable));
	ListCell   *lc;

	planned->table = table;
	planned->own_links = own_links;
	planned->primary_key = true;
	if (table == subject && !own_links)
		planned->reads = EffScopeReads(map, table, NULL);
	else
	{
		planned->links = EffGraphRoleLinks(table, subject, ROLE_OWNER);
		planned->contested = own_links || EffOwnersContested(table, subject);
		foreach(lc, planned->links)
			planned->reads = list_concat(planned->reads, EffScopeReads(map, subject, lfirst(lc)));
	}
	/* what a trigger makes of the values is looked at afterwards, in the same rows */
	planned->find_first = planned->contested || EffRectifyChangesRead(plan, planned->reads) ||
		(table->rel->has_triggers && has_row_key(table));
	return planned;
}

static bool
has_row_key(MapTable *table)
{
	AttrNumber *key;

	return EffRowKey(table, &key) > 0 &&
		(table->rel->relkind == RELKIND_PARTITIONED_TABLE ||
		 list_length(table->rel->inheritors) == 1);
}

/*
 * add_ways adds the counts of rows whose way reads what is changed, of tables that the
 * corrections are not about too.  A subject whose identifier is corrected is found by
 * another one afterwards; its rows follow by the columns that they are joined by.
 */
static void
add_ways(DataMap *map, RectifyPlan *plan)
{
	MapTable   *subject = plan->base.subject;

	if (EffRectifyChangesKey(plan, subject, subject->key, subject->nkey))
		return;
	foreach_ptr(MapTable, table, EffGraphTables(map, subject))
	{
		PlannedTable *planned;
		RectifyWay *way;

		if (table != subject && EffGraphRoleLinks(table, subject, ROLE_OWNER) == NIL)
			continue;
		planned = plan_rows(map, plan, table, false);
		if (!EffRectifyChangesRead(plan, planned->reads))
			continue;
		way = palloc0(sizeof(RectifyWay));
		way->table = table;
		way->count = EffStatementNew(SPI_OK_SELECT, "counting rows of", table->rel);
		appendStringInfo(&way->count->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ",
						 table->rel->sql);
		EffConditionAppend(way->count, EffPlanScopeNow(map, way->count, "t", &plan->base, planned,
													   &EffScopeMine));
		plan->ways = lappend(plan->ways, way);
	}
}

/* add_table makes steps for each group of columns that go by the same rows. */
static void
add_table(DataMap *map, RectifyPlan *plan, PlannedTable *planned)
{
	RectifyTable *table = palloc0(sizeof(RectifyTable));
	MapTable   *subject = plan->base.subject;
	ListCell   *lc;

	table->table = planned->table;
	table->on_way = EffRectifyIsOnWay(map, plan, planned->table);
	if (planned->find_first)
	{
		EffPlanMakeRowSet(map, &plan->base, planned);
		plan->row_sets = lappend(plan->row_sets, planned->rows);
	}
	if (planned->contested)
	{
		EffOwnershipQueries(map, &plan->base, planned);
		table->shared = EffRectifyMakeShared(map, plan, planned);
	}
	if (!planned->own_links)
		add_steps(map, plan, table, planned, PART_OWN, NULL);
	if (planned->contested)
	{
		if (!planned->own_links)
			add_steps(map, plan, table, planned, PART_OWN_ONCE_SHARED, NULL);
		foreach(lc, planned->links)
			add_steps(map, plan, table, planned, PART_LINK, lfirst(lc));
	}
	else if (planned->table == subject)
	{
		/* a link of the subject's own row may lead to the row itself */
		foreach(lc, EffGraphRoleLinks(subject, subject, ROLE_OWNER))
			add_steps(map, plan, table, planned, PART_LINK, lfirst(lc));
	}
	if (list_length(table->steps) > 1)
		table->count = EffRectifyMakeCount(map, plan, table->steps);
	if (plan->triggers && table->steps != NIL)
		table->aftermath = EffRectifyMakeAftermath(map, plan, planned, table->steps);
	if (table->steps != NIL || table->shared != NULL)
		plan->tables = lappend(plan->tables, table);
}

/*
 * add_steps adds the step for the columns of one part.  It becomes two, columns of
 * no key first, where the key that the rows are found by follows another table's,
 * or where this step changes a key that a later step finds the same rows by.
 */
static void
add_steps(DataMap *map, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
		  RectifyPart part, TableLink *link)
{
	RowSet	   *rows = planned->rows;
	bool		anew = false;
	bool		split = false;

	if (!EffRectifyWrites(plan, planned, link))
		return;
	if (rows != NULL)
	{
		anew = !planned->contested &&
			EffRectifyFollowsKey(plan, planned->table, rows->key, rows->nkey);
		split = anew ||
			(planned->contested &&
			 EffRectifyChangesKey(plan, planned->table, rows->key, rows->nkey));
	}
	if (planned->contested)
	{
		rows = EffRectifyMakeRows(map, plan, planned, part, link);
		plan->parts = lappend(plan->parts, rows);
	}
	for (StepColumns which = split ? COLUMNS_FREE : COLUMNS_ALL;
		 which <= (split ? COLUMNS_KEYS : COLUMNS_ALL); which++)
	{
		RectifyStep *step = EffRectifyMakeStep(map, plan, planned, part, link, rows, which);

		if (step != NULL)
			table->steps = lappend(table->steps, step);
	}
}
