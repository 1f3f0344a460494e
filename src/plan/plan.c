/*
 * plan.c
 *	  Looks tables of a plan up, and adds operations.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "plan/plan_int.h"

/*
 * EffPlanAddOperation adds an operation at the end and returns it.  It is about the
 * rows that are the subject's alone until the caller says otherwise.
 */
PlannedOperation *
EffPlanAddOperation(PlanBuild *build, StepStrategy strategy, PlannedTable *planned)
{
	PlannedOperation *operation = palloc0(sizeof(PlannedOperation));

	operation->strategy = strategy;
	operation->planned = planned;
	operation->part = planned->contested ? ROWS_GONE : ROWS_ALL;
	build->operations = lappend(build->operations, operation);
	return operation;
}

/*
 * EffStrategyWord returns the word for what a step does, as effaced_plan() and the trail
 * have it.
 */
const char *
EffStrategyWord(StepStrategy strategy)
{
	static const char *const words[] = {
		"blocker", "detach", "side_effect", "delete", "anonymize", "retain", "shared"
	};

	return words[strategy];
}

/* EffPlanTable returns the planned table of a relation, NULL where the plan has none. */
PlannedTable *
EffPlanTable(RequestPlan *plan, Oid relid)
{
	ListCell   *lc;

	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->table->rel->oid == relid)
			return lfirst(lc);
	return NULL;
}

/*
 * EffPlanTablesArgument returns the tables that an argument names, as a list of OIDs;
 * NIL for NULL, which stands for all tables.  ERROR ZE005 where it is empty, or holds a
 * NULL.
 */
List *
EffPlanTablesArgument(FunctionCallInfo fcinfo, int argno)
{
	List	   *tables;
	int			n;

	if (PG_ARGISNULL(argno))
		return NIL;
	tables = EffOidArrayRead(PG_GETARG_DATUM(argno), &n);
	if (tables == NIL || list_length(tables) != n)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("tables must name at least one table and hold no NULL"),
				 errhint("Leave the argument out to erase from all tables."),
				 errhidestmt(true)));
	return tables;
}

/* EffPlanDeletes tells whether the plan deletes rows of a relation or of its parent. */
bool
EffPlanDeletes(Oid relid, void *arg)
{
	RequestPlan *plan = arg;

	foreach_ptr(PlannedTable, planned, plan->tables)
	{
		/* of most tables there is but the one relation */
		if (planned->table->rel->oid == relid ||
			(list_length(planned->table->rel->inheritors) > 1 &&
			 list_member_oid(planned->table->rel->inheritors, relid)))
			return planned->deleted;
	}
	return false;
}
