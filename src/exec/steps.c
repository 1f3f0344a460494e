/*
 * steps.c
 *	  Runs the steps of a plan, counts rows, and checks that they were written.
 */
#include "postgres.h"

#include "base/citus.h"
#include "exec/exec.h"
#include "rows/large_objects.h"

#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"

static void probe(Call *call);
static bool reaches_nothing(Call *call, List *probes);
static bool has_nothing(SubjectRun *run, PlannedTable *planned);
static void lock_rows(Call *call, SubjectRun *run);
static void lock_subjects(Call *call, SubjectRun *run);
static void read_objects(SubjectRun *run, ErasureStep *step);
static void run_each(Call *call, ErasureStep *step, int number);
static void run_together(Call *call, ErasureStep *step, int number);
static void run_counted(Call *call, ErasureStep *step, int number);
static SubjectRun *run_of_row(Call *call, SPITupleTable *rows, uint64 row);
static Statement *statement_of(SubjectRun *run, ErasureStep *step);
static void run_step(SubjectRun *run, ErasureStep *step, uint64 *count);
static void check_step(SubjectRun *run, ErasureStep *step);
static void erase_what_triggers_wrote(SubjectRun *run);
static void not_as_planned(EffRelation *rel, const char *what) pg_attribute_noreturn();

/*
 * EffExecLockRows locks from the subjects outward and finds the rows that must
 * be known before anything changes.  Call inside the SPI bracket.
 */
void
EffExecLockRows(Call *call)
{
	/* Citus locks rows of one shard at a time; the keys are in order */
	if (call->nkeys == 1 || EffCitusPresent())
		for (int i = 0; i < call->nkeys; i++)
			lock_rows(call, call->runs[i]);
	else
		lock_rows(call, call->all);
	EffExecFindRows(call, true);
}

/*
 * EffExecRunSteps runs the steps in their order, after EffExecLockRows() and in
 * the same SPI bracket.  Each step runs for every subject before the next one
 * does: rows of one subject may reference rows of another.  ERROR where
 * something kept rows from being written as planned.
 */
void
EffExecRunSteps(Call *call)
{
	ErasurePlan *plan = call->erasure;
	ListCell   *lc;

	EffExecDeferConstraints(&plan->base);
	foreach(lc, plan->steps)
	{
		ErasureStep *step = lfirst(lc);
		int			number = foreach_current_index(lc);

		if (step->sql.find != NULL && reaches_nothing(call, step->sql.find->probes))
			continue;
		switch (call->nkeys > 1 ? step->sql.form : FORM_EACH)
		{
			case FORM_COUNTED:
				run_counted(call, step, number);
				break;
			case FORM_TOGETHER:
				run_together(call, step, number);
				break;
			case FORM_EACH:
			case FORM_NOTHING:
				run_each(call, step, number);
				break;
		}
	}
	if (plan->has_triggers)
		for (int i = 0; i < call->nkeys; i++)
			erase_what_triggers_wrote(call->runs[i]);

	EffExecCheckConstraints(&plan->base);
}

/*
 * probe looks for the subjects in the indexes of a large plan, once their rows
 * are locked and no row that references them can come in.
 */
static void
probe(Call *call)
{
	ErasurePlan *plan = call->erasure;
	ListCell   *lc;

	if (plan->probes == NIL || !EffProbeGranted(plan->probe_accesses, plan->probe_schemas))
		return;
	AcceptInvalidationMessages();
	call->nothing = palloc(sizeof(bool) * list_length(plan->probes));
	foreach(lc, plan->probes)
		call->nothing[foreach_current_index(lc)] = EffProbeNothing(lfirst(lc), call->keys,
																   call->nkeys);
}

/*
 * reaches_nothing: triggers may write what was not there at first, so that where
 * there are some each statement is asked about when its turn comes.
 */
static bool
reaches_nothing(Call *call, List *probes)
{
	if (call->nothing == NULL || probes == NIL)
		return false;
	foreach_ptr(KeyProbe, one, probes)
	{
		if (!call->nothing[one->id] ||
			(call->erasure->has_triggers && !EffProbeNothing(one, call->keys, call->nkeys)))
			return false;
	}
	return true;
}

/* lock_rows locks subjects, and then what their children hang from. */
static void
lock_rows(Call *call, SubjectRun *run)
{
	lock_subjects(call, run);
	probe(call);
	foreach_ptr(RowLock, rows, call->plan->locks)
	{
		if (!reaches_nothing(call, rows->lock.one->probes))
			(void) EffExecLock(run, run->key ? rows->lock.one : rows->lock.all);
	}
}

/* lock_subjects locks the subjects' rows of a run in the order of their key. */
static void
lock_subjects(Call *call, SubjectRun *run)
{
	uint64		n = EffExecStatement(run, run->key ? call->plan->lock_subject.one :
									 call->plan->lock_subject.all);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 row = 0; row < n; row++)
		run_of_row(call, rows, row)->found++;
	SPI_freetuptable(rows);
}

/*
 * EffExecUnlinkObjects also marks in each subject's run which of its objects stay.
 * Call inside the SPI bracket.
 */
uint64
EffExecUnlinkObjects(Call *call)
{
	List	   *objects = NIL;

	for (int i = 0; i < call->nkeys; i++)
		objects = list_concat(objects, call->runs[i]->objects);
	return EffLargeObjectsUnlink(objects);
}

/* read_objects notes which large objects go with the values that a step is about to change. */
static void
read_objects(SubjectRun *run, ErasureStep *step)
{
	if (step->sql.objects == NULL)
		return;
	(void) EffExecStatement(run, step->sql.objects);
	run->objects = EffLargeObjectsRead(run->objects, step->rel->oid, GetMemoryChunkContext(run));
}

/* run_each runs a step for one subject after the other. */
static void
run_each(Call *call, ErasureStep *step, int number)
{
	for (int i = 0; i < call->nkeys; i++)
	{
		CHECK_FOR_INTERRUPTS();
		run_step(call->runs[i], step, &call->runs[i]->counts[number]);
	}
}

/* run_together counts each subject's rows, and then deletes them all by one statement. */
static void
run_together(Call *call, ErasureStep *step, int number)
{
	for (int i = 0; i < call->nkeys; i++)
	{
		CHECK_FOR_INTERRUPTS();
		call->runs[i]->counts[number] = EffExecCount(call->runs[i], step->sql.count);
		read_objects(call->runs[i], step);
	}
	(void) EffExecStatement(call->runs[0], step->sql.for_call);
	for (int i = 0; i < call->nkeys; i++)
		check_step(call->runs[i], step);
}

/* run_counted runs a step by one statement, which says how many rows of each subject it was. */
static void
run_counted(Call *call, ErasureStep *step, int number)
{
	SPITupleTable *rows;
	uint64		n;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < call->nkeys; i++)
		read_objects(call->runs[i], step);
	n = EffExecStatement(call->all, step->sql.per_subject);
	rows = SPI_tuptable;
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;

		run_of_row(call, rows, row)->counts[number] =
			DatumGetInt64(SPI_getbinval(rows->vals[row], rows->tupdesc,
										call->plan->subject->nkey + 1, &isnull));
	}
	SPI_freetuptable(rows);
}

/*
 * run_of_row finds the subject whose key a result row begins with: by its value,
 * by its text or, where its type takes several texts for equal, by that.
 */
static SubjectRun *
run_of_row(Call *call, SPITupleTable *rows, uint64 row)
{
	MapTable   *subject = call->plan->subject;
	MemoryContext previous;
	SubjectKey *key;
	SubjectRun *run;
	int			place;

	if (call->nkeys == 1)
		return call->runs[0];
	if (call->runs_by_value != NULL)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull);
		RunByValue *entry = hash_search(call->runs_by_value, &value, HASH_FIND, NULL);

		if (entry != NULL)
			return entry->run;
	}
	previous = MemoryContextSwitchTo(call->scratch);
	key = EffExecKeyOfRow(subject, rows, row);
	place = EffExecPlaceOf(call, key->text);
	run = place >= 0 ? call->runs[place] : NULL;
	for (int i = 0; run == NULL && i < call->nkeys; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (EffIdentifierEqual(subject, call->keys[i], key))
			run = call->runs[i];
	}
	if (run == NULL)
		elog(ERROR, "a row of relation %u belongs to none of the subjects of the call",
			 subject->rel->oid);
	MemoryContextSwitchTo(previous);
	MemoryContextReset(call->scratch);
	return run;
}

/*
 * statement_of: triggers may give a subject further rows in the course of a call,
 * which a statement finds that looks for them itself.
 */
static Statement *
statement_of(SubjectRun *run, ErasureStep *step)
{
	return step->sql.parents != NULL && !run->call->erasure->has_triggers &&
		EffExecFindParents(run, step->sql.parents) ?
		step->sql.by_parents : step->sql.find;
}

static void
run_step(SubjectRun *run, ErasureStep *step, uint64 *count)
{
	switch (step->strategy)
	{
		case STEP_SIDE_EFFECT:
			return;
		case STEP_BLOCKER:
			*count = EffExecCount(run, step->sql.find);
			if (*count > 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_RETENTION),
						 errmsg_plural("%llu row of table \"%s\" references rows that would go",
									   "%llu rows of table \"%s\" reference rows that would go",
									   *count, (unsigned long long) *count, step->rel->relname),
						 errdetail("Constraint \"%s\": %s.", step->fk->name, step->reason),
						 errhint("%s", step->hint),
						 err_generic_string(PG_DIAG_SCHEMA_NAME, step->rel->schema),
						 err_generic_string(PG_DIAG_TABLE_NAME, step->rel->relname),
						 err_generic_string(PG_DIAG_CONSTRAINT_NAME, step->fk->name),
						 errhidestmt(true)));
			return;
		case STEP_RETAIN:
			*count = EffExecCount(run, statement_of(run, step));
			return;
		case STEP_SHARED:
			*count = run->found_rows[step->planned->rows->id].counts[ROWS_KEPT];
			if (step->sql.find == NULL || *count == 0)
				return;
			read_objects(run, step);
			(void) EffExecStatement(run, step->sql.find);
			break;
		default:
			read_objects(run, step);
			*count = EffExecStatement(run, statement_of(run, step));
			break;
	}
	check_step(run, step);
}

static void
check_step(SubjectRun *run, ErasureStep *step)
{
	if (step->sql.check != NULL && EffExecCount(run, step->sql.check) > 0)
		not_as_planned(step->rel, EffStrategyWord(step->strategy));
}

/*
 * erase_what_triggers_wrote: a history trigger may have copied what was just
 * replaced into a table whose turn was before.  Such tables get their steps
 * once more; what is there even then is an error.
 */
static void
erase_what_triggers_wrote(SubjectRun *run)
{
	ListCell   *lc2;

	foreach_ptr(PlannedTable, planned, run->plan->tables)
	{
		TableVerdict verdict;

		/* rows found first are those that were there then: others have no owner yet */
		if (planned->rows != NULL)
		{
			if (EffExecCount(run, planned->rows->added) > 0)
				not_as_planned(planned->table->rel, "last");
			continue;
		}
		if (has_nothing(run, planned))
			continue;
		EffExecVerify(run, planned, &verdict);
		if (verdict.residual == 0)
			continue;
		foreach(lc2, run->call->erasure->steps)
		{
			ErasureStep *step = lfirst(lc2);
			uint64		more;

			if (step->planned != planned || (step->strategy != STEP_DELETE &&
											 step->strategy != STEP_ANONYMIZE))
				continue;
			run_step(run, step, &more);
			run->counts[foreach_current_index(lc2)] += more;
		}
		EffExecVerify(run, planned, &verdict);
		if (verdict.residual > 0)
			not_as_planned(planned->table->rel, "last");
	}
}

/* has_nothing: of the subject in a planned table, as its index shows now. */
static bool
has_nothing(SubjectRun *run, PlannedTable *planned)
{
	ListCell   *lc;

	if (run->call->nothing == NULL || planned->probes == NIL)
		return false;
	foreach(lc, planned->probes)
		if (!EffProbeNothing(lfirst(lc), &run->key, 1))
			return false;
	return true;
}

/*
 * EffExecVerify counts, in a planned table, the subject's rows that hold a value which
 * an erasure replaces, those that survive one, and those that a "where" leaves out.
 */
void
EffExecVerify(SubjectRun *run, PlannedTable *planned, TableVerdict *verdict)
{
	Statement  *st = EffPlanVerifyStatement(run->map, run->plan, planned);

	verdict->name = planned->table->name;
	if (EffExecStatement(run, st) != 1)
		elog(ERROR, "a count returned no row");
	verdict->residual = EffSpiNumber(1);
	verdict->surviving = EffSpiNumber(2);
	verdict->excluded = EffSpiNumber(3);
	SPI_freetuptable(SPI_tuptable);
}

static void
not_as_planned(EffRelation *rel, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of table \"%s\" were not written as planned", rel->relname),
			 errdetail("After the %s step there are still rows with values of the subject.", what),
			 errhint("A row trigger or a rule on %s keeps the statement from its work; disable it "
					 "for this call or let it pass.",
					 rel->name),
			 errhidestmt(true)));
}

/*
 * EffExecTotal sums a step's rows up over the subjects of a call.  A row that
 * several of them share is one row.
 */
uint64
EffExecTotal(Call *call, int number)
{
	ErasureStep *step = list_nth(call->erasure->steps, number);
	RowSet	   *rows = step->planned->rows;
	uint64		total = 0;

	for (int i = 0; i < call->nkeys; i++)
		total += call->runs[i]->counts[number];
	if (call->nkeys > 1 && rows != NULL && total > 0 &&
		(step->strategy == STEP_SHARED || step->strategy == STEP_RETAIN ||
		 step->sql.form == FORM_TOGETHER))
	{
		int			part = step->strategy == STEP_SHARED ? ROWS_KEPT :
			step->planned->contested ? ROWS_GONE : ROWS_ALL;

		total = EffExecCountDistinct(rows, call->found_rows[rows->id].parts[part]);
	}
	return total;
}
