/*
 * plan_report.c
 *	  effaced_plan(): the steps of an erasure as rows, without running them.
 */
#include "postgres.h"

#include "plan/plan.h"

#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_plan);

static Datum name_array(List *names);

/*
 * effaced_plan(subject_id, subject, tables): the identifier is only checked,
 * the plan is the same for every subject.
 */
Datum
effaced_plan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	ErasurePlan *plan;
	ListCell   *lc;

	(void) EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	plan = EffPlanGet(map, subject, EffPlanTablesArgument(fcinfo, 2));

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, plan->steps)
	{
		ErasureStep *step = lfirst(lc);
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = Int32GetDatum(foreach_current_index(lc) + 1);
		values[1] = ObjectIdGetDatum(step->rel->oid);
		nulls[2] = step->link == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(step->link);
		values[3] = CStringGetTextDatum(EffStrategyWord(step->strategy));
		values[4] = name_array(step->columns);
		values[5] = CStringGetTextDatum(step->reason);
		nulls[6] = step->sql.find == NULL;
		values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(step->sql.find->text.data);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
name_array(List *names)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(names), 1));
	ListCell   *lc;

	foreach(lc, names)
		values[foreach_current_index(lc)] = DirectFunctionCall1(namein,
																CStringGetDatum(lfirst(lc)));
	return PointerGetDatum(construct_array(values, list_length(names), NAMEOID, NAMEDATALEN, false,
										   TYPALIGN_CHAR));
}
