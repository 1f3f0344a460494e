/*
 * enforce.c
 *	  Enforces retention: anonymizes values whose term has ended, or deletes their
 *	  rows, if the label says so.
 *
 * The procedure works in batches, each in a transaction of its own.  A first
 * statement picks rows by the anchor and locks them, without those that others
 * have locked.  A second one does the work; its snapshot sees everything that
 * was committed before the locks were taken.  From batch to batch only the place
 * to go on from is kept.  The data map is fetched anew, since labels may change.
 */
#include "postgres.h"

#include "rows/bind.h"
#include "rows/large_objects.h"
#include "base/jsonb.h"
#include "ledger/ledger.h"
#include "map/admission.h"
#include "retention/enforce_rows.h"
#include "retention/runs.h"
#include "trail/trail.h"

#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_BATCH_ROWS 1000000

PG_FUNCTION_INFO_V1(effaced_enforce_retention);

/* One call of effaced_enforce_retention() */
typedef struct EnforcementRun
{
	uint64		number;			/* of the calls of this session */
	int64		id;				/* in effaced_retention_runs */
	TimestampTz as_of;
	int			batch_rows;
	MemoryContext context;		/* outlives transactions */
	MemoryContext batch;		/* does not outlive a batch */
	uint64		deleted_in_pass;	/* since the steps that delete began anew */

	/* rows, for the report */
	uint64		anonymized;
	uint64		deleted;
	uint64		restricted;		/* left, since an owner is under a restriction */
	uint64		kept;			/* left, since other rows or values keep them */
	uint64		left;			/* left, since others had locked or have added them */
} EnforcementRun;

static uint64 last_run = 0;

static void require_own_transactions(FunctionCallInfo fcinfo);
static void warn_of_lost_kinds(DataMap *map);
static void commit(void);
static bool run_batch(EnforcementRun *run);
static EnforcementStep *next_step(EnforcementRun *run, List *steps);
static void begin_step(EnforcementStep *step, uint64 run);
static List *restricted_of(EnforcementStep *step);
static void count_left(EnforcementRun *run);
static TrailEvent *make_event(EnforcementStep *step, const char *strategy, uint64 rows,
							  uint64 objects_kept);

/*
 * effaced_enforce_retention(as_of, batch_rows) carries out what labels say of values
 * whose term has ended at as_of, and commits after each batch.
 */
Datum
effaced_enforce_retention(PG_FUNCTION_ARGS)
{
	EnforcementRun run = {0};
	MemoryContext previous;
	EffBracket	bracket;

	require_own_transactions(fcinfo);
	run.as_of = EffRetentionAsOf(fcinfo, 0);
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1 || PG_GETARG_INT32(1) > MAX_BATCH_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("batch_rows must be between 1 and %d", MAX_BATCH_ROWS),
				 errhint("Leave it out for batches of 1000 rows."),
				 errhidestmt(true)));
	run.batch_rows = PG_GETARG_INT32(1);
	run.number = ++last_run;
	run.context = AllocSetContextCreate(PortalContext, "effaced retention", ALLOCSET_DEFAULT_SIZES);
	run.batch = AllocSetContextCreate(run.context, "effaced retention batch",
									  ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(run.context);

	EffAdmissionTell(EffGraphGet());
	warn_of_lost_kinds(EffGraphGet());
	/* labels that cannot be carried out are errors before anything is changed */
	EffPinBegin(&bracket);
	foreach_ptr(EnforcementStep, step, EffEnforcePlanGet(EffGraphGet()))
	{
		(void) EffRetentionCutoff(linitial(step->terms), run.as_of);
	}
	EffPinEnd(&bracket);

	run.id = EffRetentionRunStart(run.as_of, run.batch_rows);
	commit();
	while (run_batch(&run))
	{
		CHECK_FOR_INTERRUPTS();
		commit();
	}
	count_left(&run);
	EffRetentionRunEnd(run.id, run.restricted, run.kept, run.left);
	commit();
	ereport(NOTICE,
			(errmsg("retention enforced, in rows: " UINT64_FORMAT " anonymized, " UINT64_FORMAT
					" deleted",
					run.anonymized, run.deleted),
			 errdetail("Left as they are: " UINT64_FORMAT " under a restriction, " UINT64_FORMAT
					   " that something else keeps, " UINT64_FORMAT " that others had locked or"
					   " added.",
					   run.restricted, run.kept, run.left)));
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(run.context);
	PG_RETURN_VOID();
}

/*
 * require_own_transactions refuses a call that cannot commit: its batches would hold
 * their locks until the caller's transaction ends.
 */
static void
require_own_transactions(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced_enforce_retention cannot run inside a transaction block"),
				 errdetail("It commits after each batch."),
				 errhint("Send CALL effaced_enforce_retention(); as a statement of its own,"
						 " without BEGIN."),
				 errhidestmt(true)));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced_enforce_retention must run at isolation level READ COMMITTED"),
				 errdetail("The snapshot of a transaction would hide rows that are committed while"
						   " locks are waited for."),
				 errhint("SET default_transaction_isolation = 'read committed';"),
				 errhidestmt(true)));
}

/*
 * warn_of_lost_kinds warns of restrictions on subjects of a kind that no table has.
 * A table that was renamed may have become of another kind, so that its restricted
 * subjects are not found.  It is no error, since the table may be gone for good.
 */
static void
warn_of_lost_kinds(DataMap *map)
{
	ListCell   *lc;

	foreach(lc, EffLedgerLostKinds(map, LEDGER_RESTRICTIONS))
		ereport(WARNING,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("restrictions are in force for subjects of kind \"%s\", which no table has",
						(char *) lfirst(lc)),
				 errdetail("They keep no rows."),
				 errhint("SELECT hint FROM %s.effaced_lint() WHERE code = 'lost_kind';",
						 EffExtensionSchemaSql())));
}

/*
 * commit ends the transaction of a batch and begins the next one.  Deferred triggers
 * and constraints run now; the values that their errors quote are taken out.
 */
static void
commit(void)
{
	const EffStatementPlace place = {.action = "commit of",
		.relation = "an enforcement of retention", .batch = true};
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	EnsurePortalSnapshotExists();
}

/*
 * run_batch does one batch of the first step that is not finished.  It returns false
 * if all steps are.
 */
static bool
run_batch(EnforcementRun *run)
{
	BindValues values = {.as_of = run->as_of};
	MemoryContext previous;
	EnforcementStep *step;
	uint64		picked;
	uint64		done = 0;
	uint64		objects_kept = 0;
	EffBracket	bracket;

	MemoryContextReset(run->batch);
	previous = MemoryContextSwitchTo(run->batch);
	values.map = EffGraphGet();
	EffPinBegin(&bracket);
	step = next_step(run, EffEnforcePlanGet(values.map));
	EffPinEnd(&bracket);
	/* if the map has changed meanwhile, the next batch goes by the new one */
	if (step == NULL || !EffMapHold(values.map, list_make1(step->table->rel)))
	{
		MemoryContextSwitchTo(previous);
		return step != NULL;
	}
	/* the caller's snapshot is older than what was waited for */
	EffTrailStopRestrictions();
	PushActiveSnapshot(GetTransactionSnapshot());
	values.restricted = restricted_of(step);
	PopActiveSnapshot();

	EffSpiBegin(&bracket);
	picked = EffEnforcePick(step, &values, run->batch_rows);
	if (picked > 0)
	{
		List	   *objects = EffEnforceObjects(step, &values);

		done = EffEnforceWrite(step, &values, picked);
		objects_kept = EffLargeObjectsUnlink(objects);
	}
	EffSpiEnd(&bracket);

	step->finished = picked == 0;
	if (done > 0)
		(void) EffTrailAppend(list_make1(make_event(step, step->deletes ? "delete" : "anonymize",
													done, objects_kept)));
	EffRetentionRunBatch(run->id, step->table->name, step->deletes, done);
	if (step->deletes)
	{
		run->deleted += done;
		run->deleted_in_pass += done;
	}
	else
		run->anonymized += done;
	MemoryContextSwitchTo(previous);
	return true;
}

/*
 * next_step returns the step to go on with, or NULL.  A row that was deleted may have
 * kept another row, so the steps that delete begin anew until they have gone through
 * once without deleting any.
 */
static EnforcementStep *
next_step(EnforcementRun *run, List *steps)
{
	bool		again = false;

	foreach_ptr(EnforcementStep, step, steps)
	{
		if (step->run != run->number)
			begin_step(step, run->number);
		if (step->deletes && !step->finished)
			return step;
		again |= step->deletes && step->references != NIL;
	}
	if (again && run->deleted_in_pass > 0)
	{
		run->deleted_in_pass = 0;
		foreach_ptr(EnforcementStep, step, steps)
			if (step->references != NIL)
				begin_step(step, run->number);
		return next_step(run, steps);
	}
	foreach_ptr(EnforcementStep, step, steps)
		if (!step->finished)
			return step;
	return NULL;
}

/* begin_step lets a step of this run begin before its first row. */
static void
begin_step(EnforcementStep *step, uint64 run)
{
	step->run = run;
	step->finished = false;
	EffEnforceRewind(step);
}

/* restricted_of returns the subjects under a restriction whose rows a step may be about. */
static List *
restricted_of(EnforcementStep *step)
{
	List	   *restricted = NIL;
	List	   *kinds = NIL;
	ListCell   *lc;

	foreach_ptr(OwnerClaim, claim, step->claims)
		kinds = list_append_unique_ptr(kinds, claim->subject);
	foreach(lc, kinds)
		restricted = lappend(restricted, EffLedgerRestricted(lfirst(lc), NULL, false));
	return restricted;
}

/* count_left counts the expired rows that were left, and records those that something kept. */
static void
count_left(EnforcementRun *run)
{
	BindValues values = {.as_of = run->as_of};
	List	   *events = NIL;
	List	   *steps;
	EffBracket	bracket;

	MemoryContextReset(run->batch);
	MemoryContextSwitchTo(run->batch);
	values.map = EffGraphGet();
	EffPinBegin(&bracket);
	steps = EffEnforcePlanGet(values.map);
	EffPinEnd(&bracket);
	foreach_ptr(EnforcementStep, step, steps)
	{
		EnforcementRest rest;

		values.restricted = restricted_of(step);
		EffSpiBegin(&bracket);
		rest = EffEnforceRest(step, steps, &values);
		EffSpiEnd(&bracket);
		run->restricted += rest.first_restricted;
		run->kept += rest.first_kept;
		run->left += rest.first_left;
		if (rest.restricted > 0)
			events = lappend(events, make_event(step, "restricted", rest.restricted, 0));
		if (rest.kept > 0)
			events = lappend(events, make_event(step, "kept", rest.kept, 0));
	}
	(void) EffTrailAppend(events);
	MemoryContextSwitchTo(run->context);
}

/* make_event makes the event of a batch, or of rows that a step has left. */
static TrailEvent *
make_event(EnforcementStep *step, const char *strategy, uint64 rows, uint64 objects_kept)
{
	JsonbWriter payload;
	List	   *columns = NIL;

	foreach_ptr(RetentionTerm, term, step->terms)
		columns = lappend(columns, term->column->column->name);
	EffObjectBegin(&payload);
	EffObjectText(&payload, "target", step->table->name);
	EffObjectText(&payload, "strategy", strategy);
	EffObjectTexts(&payload, "columns", columns);
	EffObjectNumber(&payload, "rows", rows);
	if (objects_kept > 0)
		EffObjectNumber(&payload, "large_objects_kept", objects_kept);
	return EffTrailEvent("retention_enforced", NULL, NULL, EffObjectDone(&payload));
}
