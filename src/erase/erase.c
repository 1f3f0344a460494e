/*
 * erase.c
 *	  Erasure (Art. 17): one subject, or many in one transaction.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "outbox/outbox.h"
#include "outbox/ref_plan.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"
#include "trail/trail.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Subjects whose events are written at once: what stays in memory, and in caches */
#define EVENTS_OF_SUBJECTS 100

PG_FUNCTION_INFO_V1(effaced_erase);
PG_FUNCTION_INFO_V1(effaced_erase_many);

static List *enqueue(ErasureCall *call, List *refs);
static List *run_events(ErasureRun *run, TimestampTz requested_at);
static Jsonb *step_payload(ErasurePlan *plan, ErasureStep *step, uint64 rows);
static void write_totals(EffObject *result, ErasurePlan *plan, const uint64 *counts);
static void write_counts(EffObject *result, const char *key, ErasurePlan *plan, const uint64 *counts, StepStrategy strategy);
static uint64 sum_counts(ErasurePlan *plan, const uint64 *counts, StepStrategy strategy);
static void write_restriction(EffObject *payload, ErasurePlan *plan);

/*
 * effaced_erase(subject_id, refs, subject, tables) erases one subject in the
 * caller's transaction and returns what was done.
 */
Datum
effaced_erase(PG_FUNCTION_ARGS)
{
	DataMap    *map;
	MapTable   *subject;
	ErasurePlan *plan;
	SubjectKey *key;
	ErasureCall *call;
	TimestampTz requested_at = GetCurrentTimestamp();
	List	   *resolvers;
	List	   *refs;
	List	   *entries;
	EffBracket	pin;
	EffBracket	bracket;
	EffObject	result;

	EffExecRequireReadCommitted("effaced_erase");
	do
	{
		map = EffGraphGet();
		subject = EffGraphSubjectArgument(map, fcinfo, 2);
		key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
		plan = EffPlanGet(map, subject, EffPlanTablesArgument(fcinfo, 3));
	} while (!EffMapHold(map, plan->written));
	EffPinBegin(&pin);			/* once for all brackets in it */
	resolvers = EffResolvers();
	EffRefPlanForErasure(map, plan);
	EffRefPlanCheck(plan, resolvers);
	refs = EffRefsArgument(fcinfo, 1, resolvers);

	call = EffExecNew(map, plan, &key, 1);
	EffSpiBegin(&bracket);
	EffExecRun(call);
	EffSpiEnd(&bracket);
	entries = enqueue(call, refs);
	(void) EffTrailAppend(run_events(call->runs[0], requested_at));
	EffPinEnd(&pin);

	EffObjectBegin(&result);
	EffObjectText(&result, "subject_id", key->text);
	EffObjectText(&result, "subject", subject->kind);
	EffObjectBool(&result, "subject_found", call->runs[0]->found > 0);
	write_totals(&result, plan, call->runs[0]->counts);
	EffOutboxWrite(&result, entries, resolvers);
	PG_RETURN_JSONB_P(EffObjectDone(&result));
}

/*
 * effaced_erase_many(subject_ids, refs, subject, tables) erases several
 * subjects, all or none; their rows are locked in the order of the key.
 */
Datum
effaced_erase_many(PG_FUNCTION_ARGS)
{
	DataMap    *map;
	MapTable   *subject;
	ErasurePlan *plan;
	SubjectKey **keys;
	char	  **texts;
	int			n;
	int			nkeys;
	uint64	   *totals;
	uint64		not_found = 0;
	ErasureCall *call;
	TimestampTz requested_at = GetCurrentTimestamp();
	List	   *resolvers;
	List	   *refs;
	List	   *entries;
	EffBracket	pin;
	EffBracket	bracket;
	MemoryContext chunk;
	EffObject	result;

	EffExecRequireReadCommitted("effaced_erase_many");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifiers must not be NULL"),
				 errhint("Give an array of identifiers, which may be empty.")));
	texts = EffTextArrayRead(PG_GETARG_DATUM(0), &n);
	keys = palloc(sizeof(SubjectKey *) * Max(n, 1));
	do
	{
		map = EffGraphGet();
		subject = EffGraphSubjectArgument(map, fcinfo, 2);
		for (int i = 0; i < n; i++)
			keys[i] = EffIdentifierResolve(subject, EffIdentifierFromText(texts[i]));
		plan = EffPlanGet(map, subject, EffPlanTablesArgument(fcinfo, 3));
	} while (!EffMapHold(map, plan->written));
	nkeys = EffIdentifierUnique(keys, n);
	EffPinBegin(&pin);			/* once for all brackets in it */
	resolvers = EffResolvers();
	EffRefPlanForErasure(map, plan);
	EffRefPlanCheck(plan, resolvers);
	refs = EffRefsArgument(fcinfo, 1, resolvers);

	totals = palloc(sizeof(uint64) * Max(list_length(plan->steps), 1));
	call = EffExecNew(map, plan, keys, nkeys);
	EffSpiBegin(&bracket);
	EffExecRun(call);
	for (int step = 0; step < list_length(plan->steps); step++)
		totals[step] = EffExecTotal(call, step);
	EffSpiEnd(&bracket);
	entries = enqueue(call, refs);

	/* as many at a time as are written for little memory */
	chunk = AllocSetContextCreate(CurrentMemoryContext, "effaced events", ALLOCSET_DEFAULT_SIZES);
	for (int first = 0; first < nkeys; first += EVENTS_OF_SUBJECTS)
	{
		MemoryContext previous = MemoryContextSwitchTo(chunk);
		List	   *events = NIL;

		for (int i = first; i < Min(first + EVENTS_OF_SUBJECTS, nkeys); i++)
		{
			not_found += call->runs[i]->found == 0 ? 1 : 0;
			events = list_concat(events, run_events(call->runs[i], requested_at));
		}
		(void) EffTrailAppend(events);
		MemoryContextSwitchTo(previous);
		MemoryContextReset(chunk);
	}
	EffPinEnd(&pin);

	EffObjectBegin(&result);
	EffObjectNumber(&result, "subjects", nkeys);
	EffObjectNumber(&result, "not_found", not_found);
	write_totals(&result, plan, totals);
	EffOutboxWrite(&result, entries, resolvers);
	PG_RETURN_JSONB_P(EffObjectDone(&result));
}

/*
 * enqueue makes the entries of a call; the references that are given are those
 * of each of its subjects.
 */
static List *
enqueue(ErasureCall *call, List *refs)
{
	List	   *entries = NIL;
	List	   *subjects = NIL;
	int			n;
	bool	   *waiting;
	ListCell   *lc;

	for (int i = 0; i < call->nkeys; i++)
	{
		ErasureRun *run = call->runs[i];
		List	   *mine = EffRefsUnite(refs, run->refs);

		run->enqueued = list_length(mine);
		entries = EffOutboxEntries(entries, run->key->text, mine);
		if (call->plan->restricted == NIL)
			subjects = lappend(subjects, run->key->text);
	}
	n = list_length(entries);
	waiting = EffOutboxEnqueue("erase", call->plan->subject->kind, &entries, NULL, subjects);
	for (int i = 0; i < list_length(subjects); i++)
		call->runs[i]->waits = waiting[i];
	/* those that were added */
	for_each_from(lc, entries, n)
		EffExecRunOf(call, ((OutboxEntry *) lfirst(lc))->subject_id)->enqueued++;
	return entries;
}

/*
 * run_events makes the events of one subject's erasure, in order: one alone
 * where there was nothing of that subject.
 */
static List *
run_events(ErasureRun *run, TimestampTz requested_at)
{
	ErasurePlan *plan = run->plan;
	const char *kind = plan->subject->kind;
	const char *ref = run->key->text;
	TrailEvent *requested;
	List	   *events;
	EffObject	payload;
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
		events = lappend(events, EffTrailEvent("erasure_step_succeeded", kind, ref, step_payload(plan, step, rows)));
	}

	EffObjectBegin(&payload);
	EffObjectBool(&payload, "subject_found", run->found > 0);
	EffObjectNumber(&payload, "deleted", deleted);
	EffObjectNumber(&payload, "anonymized", anonymized);
	EffObjectNumber(&payload, "retained", retained);
	EffObjectNumber(&payload, "shared", shared);
	EffObjectNumber(&payload, "enqueued", run->enqueued);
	write_restriction(&payload, plan);
	completed = EffTrailEvent("erasure_local_completed", kind, ref, EffObjectDone(&payload));

	if (run->found == 0 &&
		deleted + anonymized + retained + shared + sum_counts(plan, run->counts, STEP_DETACH) == 0)
		return list_make1(completed);
	events = lappend(events, completed);
	/* a part of the tables is not the whole erasure */
	if (plan->restricted == NIL && !run->waits)
	{
		EffObjectBegin(&payload);
		events = lappend(events, EffTrailEvent("erasure_completed", kind, ref, EffObjectDone(&payload)));
	}
	return events;
}

/* step_payload says what a step did; the same is said for many subjects, and kept. */
static Jsonb *
step_payload(ErasurePlan *plan, ErasureStep *step, uint64 rows)
{
	bool		kept = rows < STEP_PAYLOADS;
	MemoryContext previous;
	EffObject	object;
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

static void
write_totals(EffObject *result, ErasurePlan *plan, const uint64 *counts)
{
	write_counts(result, "deleted", plan, counts, STEP_DELETE);
	write_counts(result, "anonymized", plan, counts, STEP_ANONYMIZE);
	write_counts(result, "retained", plan, counts, STEP_RETAIN);
	write_counts(result, "shared", plan, counts, STEP_SHARED);
}

/* write_counts writes {table: rows} for every step of a strategy, zeros too. */
static void
write_counts(EffObject *result, const char *key, ErasurePlan *plan, const uint64 *counts, StepStrategy strategy)
{
	ListCell   *lc;

	EffObjectOpen(result, key);
	foreach(lc, plan->steps)
		if (((ErasureStep *) lfirst(lc))->strategy == strategy)
			EffObjectNumber(result, ((ErasureStep *) lfirst(lc))->rel->name, counts[foreach_current_index(lc)]);
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

/* write_restriction names the tables that a run was restricted to. */
static void
write_restriction(EffObject *payload, ErasurePlan *plan)
{
	List	   *names = NIL;

	if (plan->restricted == NIL)
		return;
	foreach_ptr(PlannedTable, each_table, plan->tables)
		names = lappend(names, each_table->table->name);
	EffObjectTexts(payload, "tables", names);
}
