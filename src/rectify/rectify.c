/*
 * rectify.c
 *	  Rectification (Art. 16): a fact about a subject, corrected wherever the
 *	  labels say that it is held.
 */
#include "postgres.h"

#include "map/admission.h"
#include "outbox/outbox.h"
#include "outbox/ref_plan.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"
#include "rectify/corrections.h"
#include "rectify/run.h"
#include "rectify/values.h"
#include "rectify/ways.h"
#include "trail/trail.h"

#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(effaced_rectify);

static Datum rectify(FunctionCallInfo fcinfo);
static List *relations_of(List *columns);
static List *make_events(MapTable *subject, SubjectKey *key, List *corrections, List *results,
						 TimestampTz requested_at, int enqueued);
static void write_corrections(JsonbWriter *payload, List *corrections);

/*
 * effaced_rectify(subject_id, corrections, refs, subject) sets every labelled
 * column of a correction's category, and fact, that the subject owns.  The
 * statement that calls it holds the values: whatever fails, it is not logged.
 */
Datum
effaced_rectify(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = rectify(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->hide_stmt)
			PG_RE_THROW();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != MAKE_SQLSTATE('Z', 'E', '0', '0', '0'))
			EffRethrowWithoutValues(&(EffStatementPlace) {.action = "rectification of",
														  .relation = "the subject"});
		FlushErrorState();
		error->hide_stmt = true;
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

static Datum
rectify(FunctionCallInfo fcinfo)
{
	DataMap    *map;
	MapTable   *subject;
	SubjectKey *key;
	List	   *corrections;
	List	   *columns;
	List	   *results = NIL;
	List	   *resolvers;
	List	   *refs;
	RequestPlan *ref_plan;
	List	   *entries;
	TimestampTz requested_at = GetCurrentTimestamp();
	EffBracket	bracket;
	MemoryContext context = CurrentMemoryContext;
	JsonbWriter object;
	Jsonb	   *result;
	int			attempts = 0;

	EffExecRequireReadCommitted("effaced_rectify");
	do
	{
		EffMapTryAgain(&attempts);
		map = EffGraphGet();
		subject = EffGraphSubjectArgument(map, fcinfo, 3);
		key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
		corrections = EffCorrectionsArgument(fcinfo, 1);
		columns = EffRectifyWays(map, subject, EffCorrectionColumns(map, subject, corrections));
	} while (!EffMapHold(map, relations_of(columns)));
	resolvers = EffResolvers();
	ref_plan = EffRefPlanGet(map, subject, REF_ALONE);
	EffRefPlanCheck(ref_plan, resolvers);
	refs = EffRefsRead(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), resolvers);

	EffSpiBegin(&bracket);
	if (columns != NIL || refs != NIL || ref_plan->refs != NIL)
	{
		SubjectState state;
		BoundValue *values = EffRectifyConvert(columns, corrections);
		RectifyPlan *plan = EffRectifyPlanGet(map, subject, SUBJECT_NOT_ERASED, columns);
		Call	   *call = EffExecNew(map, &plan->base, &key, 1);

		(void) EffExecLock(call->runs[0], plan->base.lock_subject.one);
		/* what an erasure that had the lock has recorded is seen now */
		state = EffSubjectState(map, subject, key);
		if (state != SUBJECT_NOT_ERASED)
		{
			plan = EffRectifyPlanGet(map, subject, state, columns);
			call = EffExecNew(map, &plan->base, &key, 1);
		}
		call->values = values;
		/* who is erased stays so elsewhere too */
		refs = state == SUBJECT_ERASED ? NIL :
			EffRefsUnite(refs, EffRefPlanRead(map, ref_plan, key));
		results = EffRectifyRun(call->runs[0], plan);
	}
	entries = corrections == NIL ? NIL : EffOutboxEntries(NIL, key->text, refs);
	(void) EffOutboxEnqueue("rectify", subject->kind, &entries,
							entries != NIL ? JsonbToCString(NULL, &PG_GETARG_JSONB_P(1)->root, 0) :
							NULL,
							list_make1(key->text));
	(void) EffTrailAppend(make_events(subject, key, corrections, results, requested_at,
									  list_length(entries)));

	EffObjectBegin(&object);
	EffObjectText(&object, "subject_id", key->text);
	EffObjectOpen(&object, "rectified");
	foreach_ptr(RectifiedTable, rectified, results)
		EffObjectNumber(&object, rectified->table->name, rectified->rectified);
	EffObjectClose(&object);
	EffObjectOpen(&object, "shared");
	foreach_ptr(RectifiedTable, rectified, results)
		if (rectified->may_share)
			EffObjectNumber(&object, rectified->table->name, rectified->shared);
	EffObjectClose(&object);
	EffOutboxWrite(&object, entries, resolvers);
	EffAdmissionWrite(&object, map);
	MemoryContextSwitchTo(context);	/* to outlive the bracket */
	result = EffObjectDone(&object);
	EffSpiEnd(&bracket);
	PG_RETURN_JSONB_P(result);
}

/* relations_of lists the tables of columns. */
static List *
relations_of(List *columns)
{
	List	   *relations = NIL;

	foreach_ptr(RectifyColumn, column, columns)
		relations = list_append_unique_ptr(relations, column->table->rel);
	return relations;
}

/* make_events writes categories, facts, names and counts; no value. */
static List *
make_events(MapTable *subject, SubjectKey *key, List *corrections, List *results,
			TimestampTz requested_at,
			int enqueued)
{
	List	   *events = NIL;
	TrailEvent *requested;
	uint64		rectified = 0;
	uint64		shared = 0;
	JsonbWriter payload;

	EffObjectBegin(&payload);
	write_corrections(&payload, corrections);
	requested = EffTrailEvent("rectification_requested", subject->kind, key->text,
							  EffObjectDone(&payload));
	requested->occurred_at = requested_at;
	events = lappend(events, requested);
	foreach_ptr(RectifiedTable, result, results)
	{
		rectified += result->rectified;
		shared += result->shared;
		if (result->rectified == 0)
			continue;
		EffObjectBegin(&payload);
		EffObjectText(&payload, "target", result->table->name);
		EffObjectTexts(&payload, "columns", result->columns);
		EffObjectNumber(&payload, "rows", result->rectified);
		events = lappend(events,
						 EffTrailEvent("rectification_step_succeeded", subject->kind, key->text,
											   EffObjectDone(&payload)));
	}
	EffObjectBegin(&payload);
	write_corrections(&payload, corrections);
	EffObjectNumber(&payload, "rectified", rectified);
	EffObjectNumber(&payload, "shared", shared);
	EffObjectNumber(&payload, "enqueued", enqueued);
	return lappend(events, EffTrailEvent("rectification_local_completed", subject->kind, key->text,
										 EffObjectDone(&payload)));
}

static void
write_corrections(JsonbWriter *payload, List *corrections)
{
	EffObjectOpenArray(payload, "corrections");
	foreach_ptr(Correction, correction, corrections)
	{
		EffObjectOpen(payload, NULL);
		EffObjectText(payload, "category", correction->category);
		/* what no label has is the caller's own text */
		EffObjectText(payload, "fact", correction->fact_known ? correction->fact : NULL);
		EffObjectClose(payload);
	}
	EffObjectCloseArray(payload);
}
