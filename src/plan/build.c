/*
 * build.c
 *	  Plans of erasures, kept with the data map: decides first, then writes.
 */
#include "postgres.h"

#include "plan/plan_int.h"

/* What tells one plan of a map from another */
typedef struct PlanKey
{
	MapTable   *subject;
	List	   *tables;			/* of Oid, sorted; NIL for all */
} PlanKey;

static bool is_plan_of(const void *entry, const void *key);
static void *build_plan(DataMap *map, const void *key);

static const MapCacheSlot plan_slot = {"erasure plan", is_plan_of, build_plan};

/*
 * EffPlanGet returns the plan, from the map's own list where it is known.
 * tables are relation OIDs, NIL for all; conflicts are not kept.
 */
ErasurePlan *
EffPlanGet(DataMap *map, MapTable *subject, List *tables)
{
	PlanKey		key = {subject, list_copy(tables)};

	list_sort(key.tables, list_oid_cmp);
	list_deduplicate_oid(key.tables);
	return EffMapCacheGet(map, &plan_slot, &key);
}

static bool
is_plan_of(const void *entry, const void *key)
{
	const ErasurePlan *plan = entry;
	const PlanKey *wanted = key;

	return plan->base.subject == wanted->subject && equal(plan->base.restricted, wanted->tables);
}

static void *
build_plan(DataMap *map, const void *key)
{
	MapTable   *subject = ((const PlanKey *) key)->subject;
	List	   *tables = list_copy(((const PlanKey *) key)->tables);
	ErasurePlan *plan = palloc0(sizeof(ErasurePlan));
	RequestPlan *request = &plan->base;
	PlanBuild	build = {.map = map, .plan = plan, .request = request};
	List	   *own_links;
	List	   *relids = NIL;
	List	   *ordered = NIL;
	ListCell   *lc;

	request->subject = subject;
	request->restricted = tables;

	foreach(lc, EffDecideTables(&build, tables))
		request->tables = lappend(request->tables, EffDecideTable(&build, lfirst(lc)));
	own_links = tables == NIL || list_member_oid(tables, subject->rel->oid) ?
		EffGraphRoleLinks(subject, subject, ROLE_OWNER) : NIL;
	if (own_links != NIL)
		request->own_links = EffDecideOwnLinks(&build, own_links);
	foreach_ptr(PlannedTable, each_table, request->tables)
		relids = lappend_oid(relids, each_table->table->rel->oid);
	foreach_oid(oid, EffGraphOrder(map, relids, EffPlanDeletes, request, &build.broken))
		ordered = lappend(ordered, EffPlanTable(request, oid));
	request->tables = ordered;

	EffPlanCheckChains(&build);
	foreach(lc, request->tables)
		EffDecideSurrogates(&build, lfirst(lc));
	if (request->own_links != NULL)
		EffDecideSurrogates(&build, request->own_links);
	foreach(lc, request->tables)
		EffPlanForetell(&build, lfirst(lc));

	EffPlanOperations(&build);
	EffPlanCheckWays(&build);
	EffPlanFindConflictingReads(&build);

	EffPlanMakeProbes(&build);
	EffPlanMakeSubjectLock(map, request);
	EffPlanMakeLocks(map, request);
	EffPlanLockCascades(&build);
	EffPlanProbeLocks(&build);
	foreach(lc, request->tables)
		if (((PlannedTable *) lfirst(lc))->find_first)
			EffPlanMakeRowSet(map, request, lfirst(lc));
	if (request->own_links != NULL)
		EffPlanMakeRowSet(map, request, request->own_links);
	foreach(lc, request->tables)
		if (((PlannedTable *) lfirst(lc))->contested)
			EffPlanMakeClassify(&build, lfirst(lc));
	if (request->own_links != NULL)
		EffPlanMakeClassify(&build, request->own_links);
	foreach(lc, build.operations)
		EffStepMake(&build, lfirst(lc));
	EffPlanProbeSteps(&build);
	foreach_ptr(BrokenEdge, edge, build.broken)
	{
		if (edge->how == BREAK_DEFER)
			request->defer = lappend(request->defer, edge->fk);
	}
	return plan;
}
