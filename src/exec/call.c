/*
 * call.c
 *	  A call and its subjects.
 */
#include "postgres.h"

#include "exec/exec.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"

static HTAB *hash_runs(Call *call);
static SubjectRun *new_run(Call *call, SubjectKey *key);

/*
 * EffExecRequireReadCommitted: a snapshot of the transaction cannot see what was
 * committed while a lock was waited for.
 */
void
EffExecRequireReadCommitted(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("%s() must run at isolation level READ COMMITTED", function),
				 errdetail("The snapshot of this transaction would hide rows that are committed "
						   "while locks are waited for."),
				 errhint("BEGIN ISOLATION LEVEL READ COMMITTED;"),
				 errhidestmt(true)));
}

/*
 * EffExecNew returns a call for subjects, whose keys must be in order of their text
 * and live as long.  It lives in the current memory context.
 */
Call *
EffExecNew(DataMap *map, RequestPlan *plan, SubjectKey **keys, int nkeys)
{
	Call *call = palloc0(sizeof(Call));

	call->map = map;
	call->plan = plan;
	call->keys = keys;
	call->nkeys = nkeys;
	call->scratch = AllocSetContextCreate(CurrentMemoryContext, "effaced parameters",
										  ALLOCSET_DEFAULT_SIZES);
	call->all = new_run(call, NULL);
	call->runs = palloc(sizeof(SubjectRun *) * Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
		call->runs[i] = new_run(call, keys[i]);
	if (plan->rowsets != NIL)
		call->found_rows = nkeys == 1 ? call->runs[0]->found_rows :
			palloc0(sizeof(FoundRows) * list_length(plan->rowsets));
	if (nkeys > 1 && plan->subject->nkey == 1 && get_typbyval(EffKeyType(plan->subject, 0)))
		call->runs_by_value = hash_runs(call);
	return call;
}

/*
 * EffExecNewErasure: the same for the steps of an erasure, whose rows are counted for
 * each subject.
 */
Call *
EffExecNewErasure(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys)
{
	Call *call = EffExecNew(map, &plan->base, keys, nkeys);

	call->erasure = plan;
	for (int i = 0; i < nkeys; i++)
		call->runs[i]->counts = palloc0(sizeof(uint64) * Max(list_length(plan->steps), 1));
	return call;
}

/* hash_runs: statements for all subjects tell of each by its key. */
static HTAB *
hash_runs(Call *call)
{
	HASHCTL		control = {.keysize = sizeof(Datum), .entrysize = sizeof(RunByValue),
						   .hcxt = CurrentMemoryContext};
	HTAB	   *runs = hash_create("effaced subjects", call->nkeys, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = 0; i < call->nkeys; i++)
	{
		RunByValue *entry = hash_search(runs, &call->keys[i]->values[0], HASH_ENTER, NULL);

		entry->run = call->runs[i];
	}
	return runs;
}

static SubjectRun *
new_run(Call *call, SubjectKey *key)
{
	RequestPlan *plan = call->plan;
	SubjectRun *run = palloc0(sizeof(SubjectRun));

	run->map = call->map;
	run->plan = plan;
	run->call = call;
	run->key = key;
	if (plan->rowsets != NIL)
		run->found_rows = palloc0(sizeof(FoundRows) * list_length(plan->rowsets));
	if (plan->parents != NIL)
		run->found_parents = palloc0(sizeof(FoundParents) * list_length(plan->parents));
	return run;
}

/* EffExecPlaceOf searches by halves: the call's subjects are in order of their text. */
int
EffExecPlaceOf(Call *call, const char *text)
{
	int			low = 0;
	int			high = call->nkeys;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(call->keys[middle]->text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < call->nkeys && strcmp(call->keys[low]->text, text) == 0 ? low : -1;
}

/* EffExecKeyOfRow returns the subject whose identifier is in the first columns of a result row. */
SubjectKey *
EffExecKeyOfRow(MapTable *subject, SPITupleTable *rows, uint64 row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull;

	for (int i = 0; i < subject->nkey; i++)
		values[i] = SPI_getbinval(rows->vals[row], rows->tupdesc, i + 1, &isnull);
	return EffIdentifierFromValues(subject, values);
}
