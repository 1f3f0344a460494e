/*
 * batches.c
 *	  What deletion batches, which are tables and PL/pgSQL, need of C: settings,
 *	  a lock on one subject, and calls of producers whose plan is kept.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/prepare.h"
#include "base/settings.h"
#include "batches/batches.h"
#include "exec/exec.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_four_eyes);
PG_FUNCTION_INFO_V1(effaced_alert_resolver);
PG_FUNCTION_INFO_V1(effaced_lock_subject);
PG_FUNCTION_INFO_V1(effaced_ask_producer);

/* How a producer is asked about one subject; kept for the session */
typedef struct ProducerCall
{
	char	   *sql;
	Oid			role;			/* whose right to call the function was checked in planning */
	SPIPlanPtr	plan;
} ProducerCall;

static bool four_eyes = true;
static char *alert_resolver = NULL;
static List *producer_calls = NIL;

static void require_text_arrays(TupleDesc desc);
static SPIPlanPtr producer_plan(const char *sql);

/*
 * EffBatchesInit defines the settings.  Only a superuser may change them, since they
 * control what the other roles may do.
 */
void
EffBatchesInit(void)
{
	DefineCustomBoolVariable("effaced.four_eyes",
							 "Who has created a deletion batch may not review it.",
							 NULL, &four_eyes, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("effaced.alert_resolver",
							   "Resolver that gets an outbox entry for deletion batches that wait"
							   " for review.",
							   "Empty for none.", &alert_resolver, "", PGC_SUSET, 0, NULL, NULL,
							   NULL);
}

/*
 * effaced_four_eyes() returns the setting.  SQL does not read it with current_setting(),
 * since any role can make a setting of that name before the library is loaded.
 */
Datum
effaced_four_eyes(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(four_eyes);
}

/*
 * effaced_alert_resolver() returns the setting, NULL if it is empty.
 */
Datum
effaced_alert_resolver(PG_FUNCTION_ARGS)
{
	if (alert_resolver == NULL || alert_resolver[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(alert_resolver));
}

/*
 * effaced_lock_subject(subject_id, subject, tables) locks the subject's row as the
 * erasure of these tables will.  It waits for transactions that have changed the
 * subject or inserted rows that reference it, so that producers, who are asked next,
 * see what they did.
 */
Datum
effaced_lock_subject(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	RequestPlan *plan = &EffPlanGet(map, subject, EffPlanTablesArgument(fcinfo, 2))->base;
	Call *call = EffExecNew(map, plan, &key, 1);
	EffBracket	bracket;

	EffSpiBegin(&bracket);
	(void) EffExecLock(call->runs[0], plan->lock_subject.one);
	EffSpiEnd(&bracket);
	PG_RETURN_VOID();
}

/*
 * effaced_ask_producer(call, candidates) runs the statement that asks a producer, as the
 * caller and under the caller's search_path, and returns its answer.  For many
 * candidates the statement is planned anew.  For one candidate a generic plan is kept,
 * since planning would cost more than the answer, the more so the more index entries
 * of dead rows wait for VACUUM.  Citus does not work with generic plans.
 */
Datum
effaced_ask_producer(PG_FUNCTION_ARGS)
{
	char	   *sql = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			types[] = {TEXTARRAYOID};
	ArrayType  *candidates;
	Datum		values[1];
	TupleDesc	desc;
	HeapTuple	answer;
	int			level;
	int			result;

	if (sql == NULL || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	candidates = PG_GETARG_ARRAYTYPE_P(1);
	values[0] = PointerGetDatum(candidates);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	level = NewGUCNestLevel();
	/* rows hidden by a policy are an error: unseen, they would not make a producer object */
	EffSettingSet("row_security", "off");
	if (ArrayGetNItems(ARR_NDIM(candidates), ARR_DIMS(candidates)) == 1)
	{
		/* the setting is also for the statements in the producer's own function */
		EffSettingSet("plan_cache_mode", EffCitusPresent() ? "force_custom_plan" :
					  "force_generic_plan");
		result = SPI_execute_plan(producer_plan(sql), values, NULL, false, 0);
	}
	else
		result = SPI_execute_with_args(sql, 1, types, values, NULL, false, 0);
	AtEOXact_GUC(true, level);
	if (result != SPI_OK_SELECT || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("a producer was not asked"),
				 errdetail("The statement is not one SELECT of one row."),
				 errhint("Ask by effaced_deletion_status()."),
				 errhidestmt(true)));
	require_text_arrays(SPI_tuptable->tupdesc);
	answer = SPI_copytuple(SPI_tuptable->vals[0]);
	SPI_finish();
	PG_RETURN_DATUM(heap_copy_tuple_as_datum(answer, desc));
}

/*
 * require_text_arrays: a caller may give a statement of its own, and bytes of
 * another type would be read as what they are not.
 */
static void
require_text_arrays(TupleDesc desc)
{
	bool		fits = desc->natts == 2;

	for (int i = 0; fits && i < desc->natts; i++)
		fits = TupleDescAttr(desc, i)->atttypid == TEXTARRAYOID;
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("a producer was not asked"),
				 errdetail("The statement does not give two columns of type text[]."),
				 errhint("Ask by effaced_deletion_status()."),
				 errhidestmt(true)));
}

/* producer_plan returns the plan of a call for one candidate, kept per role for the session. */
static SPIPlanPtr
producer_plan(const char *sql)
{
	ProducerCall *call;
	MemoryContext context;
	SPIPlanPtr	plan;

	foreach_ptr(ProducerCall, known, producer_calls)
	{
		if (known->role == GetUserId() && strcmp(known->sql, sql) == 0)
			return known->plan;
	}
	plan = EffPrepare(sql, 1, (Oid[]) {TEXTARRAYOID});
	context = MemoryContextSwitchTo(TopMemoryContext);
	call = palloc(sizeof(ProducerCall));
	call->sql = pstrdup(sql);
	call->role = GetUserId();
	call->plan = plan;
	producer_calls = lappend(producer_calls, call);
	MemoryContextSwitchTo(context);
	return plan;
}
