/*
 * erase.c
 *	  Erasure (Art. 17): one subject, or many in one transaction.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "erase/erase.h"
#include "map/admission.h"
#include "map/graph.h"
#include "outbox/outbox.h"
#include "outbox/ref_plan.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"
#include "rows/large_objects.h"
#include "trail/trail.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Subjects whose events are written at once: what stays in memory, and in caches */
#define EVENTS_OF_SUBJECTS 100

PG_FUNCTION_INFO_V1(effaced_erase);
PG_FUNCTION_INFO_V1(effaced_erase_many);

static EraseRequest arguments_of(FunctionCallInfo fcinfo, const char *function);
static Jsonb *finish_result(JsonbWriter *result, Erasure *erasure);
static Call *begin_call(const EraseRequest *request, int *held);
static int	leave_out_held(MapTable *subject, SubjectKey **keys, int n, bool skip);
static TrailEvent *refused_event(MapTable *subject, int held);
static void erase_rows(Erasure *erasure, TraceMode trace);
static void enqueue(Erasure *erasure, List *refs);
static void append_events(Erasure *erasure, TimestampTz requested_at);
static List *events_of(ErasedSubject *subject, TimestampTz requested_at);
static Jsonb *step_payload(ErasurePlan *plan, ErasureStep *step, uint64 rows);
static void write_counts(JsonbWriter *result, const char *key, ErasurePlan *plan,
						 const uint64 *counts, StepStrategy strategy);
static uint64 sum_counts(ErasurePlan *plan, const uint64 *counts, StepStrategy strategy);
static void write_objects_kept(JsonbWriter *result, uint64 n);
static uint64 objects_kept_of(SubjectRun *run);
static void write_restriction(JsonbWriter *payload, ErasurePlan *plan);

/*
 * effaced_erase(subject_id, refs, subject, tables, trace) erases one subject in the
 * caller's transaction and returns what was done.
 */
Datum
effaced_erase(PG_FUNCTION_ARGS)
{
	EraseRequest request = arguments_of(fcinfo, "effaced_erase");
	Erasure    *erasure;
	JsonbWriter result;

	request.identifiers = list_make1(EffIdentifierArgument(fcinfo, 0));
	erasure = EffErase(&request);
	EffObjectBegin(&result);
	EffObjectText(&result, "subject_id", erasure->call->keys[0]->text);
	EffObjectText(&result, "subject", erasure->call->plan->subject->kind);
	EffObjectBool(&result, "subject_found", erasure->not_found == 0);
	PG_RETURN_JSONB_P(finish_result(&result, erasure));
}

/*
 * effaced_erase_many(subject_ids, refs, subject, tables, trace, skip_held) erases several
 * subjects, all or none, and returns what was done in sum.
 */
Datum
effaced_erase_many(PG_FUNCTION_ARGS)
{
	EraseRequest request = arguments_of(fcinfo, "effaced_erase_many");
	Erasure    *erasure;
	JsonbWriter result;
	char	  **texts;
	int			n;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifiers must not be NULL"),
				 errhint("Give an array of identifiers, which may be empty.")));
	texts = EffTextArrayRead(PG_GETARG_DATUM(0), &n);
	request.skip_held = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	for (int i = 0; i < n; i++)
		request.identifiers = lappend(request.identifiers, EffIdentifierFromText(texts[i]));
	erasure = EffErase(&request);
	EffObjectBegin(&result);
	EffObjectNumber(&result, "subjects", erasure->call->nkeys);
	EffObjectNumber(&result, "not_found", erasure->not_found);
	if (request.skip_held)
		EffObjectNumber(&result, "held", erasure->held);
	PG_RETURN_JSONB_P(finish_result(&result, erasure));
}

/* arguments_of reads the arguments that both SQL functions have after the identifiers. */
static EraseRequest
arguments_of(FunctionCallInfo fcinfo, const char *function)
{
	EraseRequest request = {.function = function};

	EffExecRequireReadCommitted(function);
	if (!PG_ARGISNULL(1))
		request.refs = PG_GETARG_JSONB_P(1);
	if (!PG_ARGISNULL(2))
		request.subject = PG_GETARG_OID(2);
	request.tables = EffPlanTablesArgument(fcinfo, 3);
	if (PG_NARGS() > 4)			/* what effaced's own functions call has no more */
		request.trace = EffTraceArgument(fcinfo, 4);
	return request;
}

/* finish_result adds what both SQL functions report after the subjects. */
static Jsonb *
finish_result(JsonbWriter *result, Erasure *erasure)
{
	ErasurePlan *plan = erasure->call->erasure;

	write_counts(result, "deleted", plan, erasure->totals, STEP_DELETE);
	write_counts(result, "anonymized", plan, erasure->totals, STEP_ANONYMIZE);
	write_counts(result, "retained", plan, erasure->totals, STEP_RETAIN);
	write_counts(result, "shared", plan, erasure->totals, STEP_SHARED);
	write_objects_kept(result, erasure->objects_kept);
	EffOutboxWrite(result, erasure->entries, erasure->resolvers);
	EffTraceWrite(erasure->trace, result);
	EffAdmissionWrite(result, erasure->call->map);
	return EffObjectDone(result);
}

/*
 * EffErase returns, in the current memory context, what the erasure of all
 * subjects of the request did; it has then changed their rows, made the entries
 * of the outbox and appended the events to the trail.  ERROR of the class ZE
 * where the labels, the identifiers or the references do not allow it, or where
 * something kept rows from being written as planned: then nothing is changed.
 *
 * Tables and identifiers are given unresolved, because the map may become
 * another one while the locks on the tables are waited for; they are resolved
 * again by that one.
 */
Erasure *
EffErase(const EraseRequest *request)
{
	Erasure    *erasure = palloc0(sizeof(Erasure));
	TimestampTz requested_at = GetCurrentTimestamp();
	Call	   *call;
	ErasurePlan *plan;
	List	   *refs;
	EffBracket	pin;

	EffExecRequireReadCommitted(request->function);
	call = erasure->call = begin_call(request, &erasure->held);
	plan = call->erasure;
	EffPinBegin(&pin);			/* once for all brackets in it */
	erasure->resolvers = EffResolvers();
	EffRefPlanForErasure(call->map, plan);
	EffRefPlanCheck(&plan->base, erasure->resolvers);
	refs = EffRefsRead(request->refs, erasure->resolvers);

	erase_rows(erasure, request->trace);
	EffTraceLook(erasure->trace);
	enqueue(erasure, refs);
	append_events(erasure, requested_at);
	if (erasure->held > 0)
		(void) EffTrailAppend(list_make1(refused_event(plan->base.subject, erasure->held)));
	EffPinEnd(&pin);
	return erasure;
}

/*
 * begin_call returns the call of a request, with the plan, and holds the locks
 * on the tables that the plan may write into.  The subjects are in the order of
 * their canonical identifiers: two calls lock the subjects of both in one order.
 * Those who are held are none of them, and are counted.
 */
static Call *
begin_call(const EraseRequest *request, int *held)
{
	SubjectKey **keys = palloc(sizeof(SubjectKey *) * Max(list_length(request->identifiers), 1));
	DataMap    *map;
	ErasurePlan *plan;
	ListCell   *lc;
	int			n;
	int			attempts = 0;

	do
	{
		MapTable   *subject;

		EffMapTryAgain(&attempts);
		map = EffGraphGet();
		subject = EffGraphSubject(map, request->subject);
		foreach(lc, request->identifiers)
			keys[foreach_current_index(lc)] = EffIdentifierResolve(subject, lfirst(lc));
		plan = EffPlanGet(map, subject, request->tables);
	} while (!EffMapHold(map, plan->written));
	n = EffIdentifierUnique(keys, list_length(request->identifiers));
	*held = leave_out_held(plan->base.subject, keys, n, request->skip_held);
	return EffExecNewErasure(map, plan, keys, n - *held);
}

/*
 * leave_out_held takes subjects under a restriction of everything out of n keys, and
 * returns how many they were; ERROR ZE007 unless they may be skipped.  It locks all of
 * them, before any row of theirs is locked.
 */
static int
leave_out_held(MapTable *subject, SubjectKey **keys, int n, bool skip)
{
	char	  **refs = palloc(sizeof(char *) * Max(n, 1));
	List	   *held;
	ListCell   *next;
	int			left = 0;

	for (int i = 0; i < n; i++)
		refs[i] = keys[i]->text;
	held = EffTrailHeld(subject->kind, refs, n);
	if (held != NIL && !skip)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_HOLD),
				 errmsg_plural("%d subject is under a restriction of all processing",
							   "%d subjects are under a restriction of all processing",
							   list_length(held), list_length(held)),
				 errdetail("Nothing was changed: what is restricted is kept (GDPR Art. 18)."),
				 errhint(n == 1 ? "SELECT %s.effaced_lift_restriction(subject_id);" :
						 "Call %s.effaced_erase_many() with skip_held => true, or lift the"
						 " restrictions before.", EffExtensionSchemaSql()),
				 errhidestmt(true)));
	/* both are in order of their bytes */
	next = list_head(held);
	for (int i = 0; i < n; i++)
	{
		if (next != NULL && strcmp(lfirst(next), keys[i]->text) == 0)
			next = lnext(held, next);
		else
			keys[left++] = keys[i];
	}
	return n - left;
}

/* refused_event tells how many subjects of a call were left out. */
static TrailEvent *
refused_event(MapTable *subject, int held)
{
	JsonbWriter payload;

	EffObjectBegin(&payload);
	EffObjectNumber(&payload, "held", held);
	return EffTrailEvent("erasure_refused", subject->kind, NULL, EffObjectDone(&payload));
}

/*
 * erase_rows deletes, anonymizes and retains.  References to external systems
 * are read once the subjects' rows are locked and before any row changes.
 */
static void
erase_rows(Erasure *erasure, TraceMode trace)
{
	Call	   *call = erasure->call;
	ErasurePlan *plan = call->erasure;
	EffBracket	bracket;

	erasure->subjects = palloc0(sizeof(ErasedSubject) * Max(call->nkeys, 1));
	erasure->totals = palloc(sizeof(uint64) * Max(list_length(plan->steps), 1));
	EffSpiBegin(&bracket);
	EffExecLockRows(call);
	foreach_ptr(RefSource, source, plan->base.refs)
		for (int i = 0; i < call->nkeys; i++)
			erasure->subjects[i].refs = EffRefPlanReadSource(erasure->subjects[i].refs, source,
															 call->runs[i]);
	erasure->trace = EffTraceTake(call, trace);
	EffExecRunSteps(call);
	erasure->objects_kept = EffExecUnlinkObjects(call);
	for (int step = 0; step < list_length(plan->steps); step++)
		erasure->totals[step] = EffExecTotal(call, step);
	EffSpiEnd(&bracket);
	for (int i = 0; i < call->nkeys; i++)
	{
		erasure->subjects[i].run = call->runs[i];
		erasure->not_found += call->runs[i]->found == 0 ? 1 : 0;
	}
}

/*
 * enqueue makes the entries of the outbox: for each subject those of the
 * references that its rows held, and of those that the request gives.
 */
static void
enqueue(Erasure *erasure, List *refs)
{
	Call	   *call = erasure->call;
	List	   *finished = NIL;	/* subjects that may have nothing left to be done */
	int			asked_for;
	bool	   *waiting;
	ListCell   *lc;

	for (int i = 0; i < call->nkeys; i++)
	{
		ErasedSubject *subject = &erasure->subjects[i];
		List	   *united = EffRefsUnite(refs, subject->refs);

		subject->enqueued = list_length(united);
		erasure->entries = EffOutboxEntries(erasure->entries, call->keys[i]->text, united);
		if (call->plan->restricted == NIL)
			finished = lappend(finished, call->keys[i]->text);
	}
	asked_for = list_length(erasure->entries);
	waiting = EffOutboxEnqueue("erase", call->plan->subject->kind, &erasure->entries, NULL,
							   finished);
	for (int i = 0; i < list_length(finished); i++)
		erasure->subjects[i].waits = waiting[i];
	/* the outbox adds entries of corrections that did not reach a system */
	for_each_from(lc, erasure->entries, asked_for)
	{
		int			i = EffExecPlaceOf(call, ((OutboxEntry *) lfirst(lc))->subject_id);

		if (i >= 0)
			erasure->subjects[i].enqueued++;
	}
}

/*
 * append_events appends the events of all subjects to the trail, those of
 * EVENTS_OF_SUBJECTS subjects at a time: they stay in memory until they are
 * written.
 */
static void
append_events(Erasure *erasure, TimestampTz requested_at)
{
	int			n = erasure->call->nkeys;
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "effaced events",
												ALLOCSET_DEFAULT_SIZES);

	for (int first = 0; first < n; first += EVENTS_OF_SUBJECTS)
	{
		MemoryContext previous = MemoryContextSwitchTo(chunk);
		List	   *events = NIL;

		for (int i = first; i < Min(first + EVENTS_OF_SUBJECTS, n); i++)
			events = list_concat(events, events_of(&erasure->subjects[i], requested_at));
		(void) EffTrailAppend(events);
		MemoryContextSwitchTo(previous);
		MemoryContextReset(chunk);
	}
	MemoryContextDelete(chunk);
}

/*
 * events_of returns the events of one subject's erasure, in order; only the last
 * of them where there was no row of that subject.
 */
static List *
events_of(ErasedSubject *subject, TimestampTz requested_at)
{
	SubjectRun *run = subject->run;
	ErasurePlan *plan = run->call->erasure;
	const char *kind = plan->base.subject->kind;
	const char *ref = run->key->text;
	TrailEvent *requested;
	List	   *events;
	JsonbWriter payload;
	uint64		deleted = sum_counts(plan, run->counts, STEP_DELETE);
	uint64		anonymized = sum_counts(plan, run->counts, STEP_ANONYMIZE);
	uint64		retained = sum_counts(plan, run->counts, STEP_RETAIN);
	uint64		shared = sum_counts(plan, run->counts, STEP_SHARED);
	TrailEvent *completed;
	ListCell   *lc;

	EffObjectBegin(&payload);
	write_restriction(&payload, plan);
	requested = EffTrailEvent("erasure_requested", kind, ref, EffObjectDone(&payload));
	requested->occurred_at = requested_at;
	events = list_make1(requested);

	foreach(lc, plan->steps)
	{
		ErasureStep *step = lfirst(lc);
		uint64		rows = run->counts[foreach_current_index(lc)];

		if (rows == 0 && step->strategy != STEP_RETAIN)
			continue;
		events = lappend(events,
						 EffTrailEvent("erasure_step_succeeded", kind, ref,
									   step_payload(plan, step, rows)));
	}

	EffObjectBegin(&payload);
	EffObjectBool(&payload, "subject_found", run->found > 0);
	EffObjectNumber(&payload, "deleted", deleted);
	EffObjectNumber(&payload, "anonymized", anonymized);
	EffObjectNumber(&payload, "retained", retained);
	EffObjectNumber(&payload, "shared", shared);
	EffObjectNumber(&payload, "enqueued", subject->enqueued);
	write_objects_kept(&payload, objects_kept_of(run));
	write_restriction(&payload, plan);
	completed = EffTrailEvent("erasure_local_completed", kind, ref, EffObjectDone(&payload));

	if (run->found == 0 &&
		deleted + anonymized + retained + shared + sum_counts(plan, run->counts, STEP_DETACH) == 0)
		return list_make1(completed);
	events = lappend(events, completed);
	/* a part of the tables is not the whole erasure */
	if (plan->base.restricted == NIL && !subject->waits)
	{
		EffObjectBegin(&payload);
		events = lappend(events,
						 EffTrailEvent("erasure_completed", kind, ref, EffObjectDone(&payload)));
	}
	return events;
}

/*
 * step_payload returns what an event says of a step.  Most steps change few rows of
 * a subject, so payloads of small counts are kept with the step for the next one.
 */
static Jsonb *
step_payload(ErasurePlan *plan, ErasureStep *step, uint64 rows)
{
	bool		kept = rows < STEP_PAYLOADS;
	MemoryContext previous;
	JsonbWriter object;
	Jsonb	   *payload;

	if (kept && step->payloads[rows] != NULL)
		return step->payloads[rows];
	EffObjectBegin(&object);
	EffObjectText(&object, "target", step->rel->name);
	EffObjectText(&object, "strategy", EffStrategyWord(step->strategy));
	EffObjectNumber(&object, "rows", rows);
	if (step->strategy != STEP_DELETE)
		EffObjectTexts(&object, "columns", step->columns);
	if (step->strategy == STEP_RETAIN)
		EffObjectText(&object, "reason", step->reason);
	previous = MemoryContextSwitchTo(kept ? GetMemoryChunkContext(plan) : CurrentMemoryContext);
	payload = EffObjectDone(&object);
	MemoryContextSwitchTo(previous);
	if (kept)
		step->payloads[rows] = payload;
	return payload;
}

/* write_counts writes {table: rows} for every step of a strategy, zeros too. */
static void
write_counts(JsonbWriter *result, const char *key, ErasurePlan *plan, const uint64 *counts,
			 StepStrategy strategy)
{
	ListCell   *lc;

	EffObjectOpen(result, key);
	foreach(lc, plan->steps)
		if (((ErasureStep *) lfirst(lc))->strategy == strategy)
			EffObjectNumber(result, ((ErasureStep *) lfirst(lc))->rel->name,
							counts[foreach_current_index(lc)]);
	EffObjectClose(result);
}

static uint64
sum_counts(ErasurePlan *plan, const uint64 *counts, StepStrategy strategy)
{
	uint64		sum = 0;
	ListCell   *lc;

	foreach(lc, plan->steps)
		if (((ErasureStep *) lfirst(lc))->strategy == strategy)
			sum += counts[foreach_current_index(lc)];
	return sum;
}

/* write_objects_kept tells of large objects that stay, where there are some. */
static void
write_objects_kept(JsonbWriter *result, uint64 n)
{
	if (n > 0)
		EffObjectNumber(result, "large_objects_kept", n);
}

static uint64
objects_kept_of(SubjectRun *run)
{
	uint64		n = 0;

	foreach_ptr(LargeObject, object, run->objects)
		n += object->kept ? 1 : 0;
	return n;
}

/* write_restriction names the tables that a run was restricted to. */
static void
write_restriction(JsonbWriter *payload, ErasurePlan *plan)
{
	List	   *names = NIL;

	if (plan->base.restricted == NIL)
		return;
	foreach_ptr(PlannedTable, planned, plan->base.tables)
		names = lappend(names, planned->table->name);
	EffObjectTexts(payload, "tables", names);
}
