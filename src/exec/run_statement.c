/*
 * run_statement.c
 *	  A call with its subjects: binds parameters, runs single statements.
 */
#include "postgres.h"

#include "exec/exec.h"
#include "trail/erasures.h"
#include "outbox/refs.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static HTAB *hash_runs(ErasureCall *call);
static ErasureRun *new_run(ErasureCall *call, SubjectKey *key);
static Datum *bind_params(ErasureRun *run, Statement *st, const char **nulls);

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
				 errdetail("The snapshot of this transaction would hide rows that are committed while locks are waited for."),
				 errhint("BEGIN ISOLATION LEVEL READ COMMITTED;"),
				 errhidestmt(true)));
}

ErasureCall *
EffExecNew(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys)
{
	ErasureCall *call = palloc0(sizeof(ErasureCall));

	call->map = map;
	call->plan = plan;
	call->keys = keys;
	call->nkeys = nkeys;
	call->scratch = AllocSetContextCreate(CurrentMemoryContext, "effaced parameters", ALLOCSET_DEFAULT_SIZES);
	call->all = new_run(call, NULL);
	call->runs = palloc(sizeof(ErasureRun *) * Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
		call->runs[i] = new_run(call, keys[i]);
	if (nkeys > 1 && plan->subject->nkey == 1 && get_typbyval(EffKeyType(plan->subject, 0)))
		call->runs_by_value = hash_runs(call);
	return call;
}

/* hash_runs: statements for all subjects tell of each by its key. */
static HTAB *
hash_runs(ErasureCall *call)
{
	HASHCTL		control = {.keysize = sizeof(Datum), .entrysize = sizeof(RunByValue), .hcxt = CurrentMemoryContext};
	HTAB	   *runs = hash_create("effaced subjects", call->nkeys, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = 0; i < call->nkeys; i++)
	{
		RunByValue *entry = hash_search(runs, &call->keys[i]->values[0], HASH_ENTER, NULL);

		entry->run = call->runs[i];
	}
	return runs;
}

static ErasureRun *
new_run(ErasureCall *call, SubjectKey *key)
{
	ErasurePlan *plan = call->plan;
	ErasureRun *run = palloc0(sizeof(ErasureRun));

	run->map = call->map;
	run->plan = plan;
	run->call = call;
	run->key = key;
	if (plan->rowsets != NIL)
		run->found_rows = palloc0(sizeof(FoundRows) * list_length(plan->rowsets));
	if (plan->parents != NIL)
		run->found_parents = palloc0(sizeof(FoundParents) * list_length(plan->parents));
	run->counts = palloc0(sizeof(uint64) * Max(list_length(plan->steps), 1));
	return run;
}

/*
 * EffExecStatement binds what the parameters stand for.  A result is in
 * SPI_tuptable, for the caller to free.
 */
uint64
EffExecStatement(ErasureRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind_params(run, st, &nulls);
	uint64		rows;

	EffStatementPrepare(st);
	rows = EffSpiExecute(st->plan, values, nulls, run->call->read_only, st->limit, st->expected, &st->place);
	MemoryContextReset(run->call->scratch);
	return rows;
}

/*
 * EffExecOpen opens a cursor over what a statement reads, in the snapshot of
 * the caller's command; the name is for EffSpiFetch().
 */
const char *
EffExecOpen(ErasureRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind_params(run, st, &nulls);
	const char *name;

	EffStatementPrepare(st);
	name = EffSpiOpen(st->plan, values, nulls, &st->place);
	MemoryContextReset(run->call->scratch);
	return name;
}

/* bind_params gives the values of a statement's parameters, in the scratch context; nulls as SPI takes them. */
static Datum *
bind_params(ErasureRun *run, Statement *st, const char **nulls)
{
	MemoryContext context = MemoryContextSwitchTo(run->call->scratch);
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(st->params), 1));
	char	   *null = NULL;
	MapTable   *subject = run->plan->subject;
	ListCell   *lc;

	foreach(lc, st->params)
	{
		StatementParam *param = lfirst(lc);
		Datum	   *value = &values[foreach_current_index(lc)];
		ErasedSubjects *erased;

		switch (param->kind)
		{
			case PARAM_KEY:
				if (run->key == NULL)
					elog(ERROR, "a statement about one subject was run for all");
				*value = run->key->values[param->index];
				break;
			case PARAM_CALL:
				*value = EffKeyArray(subject, param->index, run->call->keys, run->call->nkeys);
				break;
			case PARAM_ERASED:
				erased = EffExecErased(run, param->of);
				*value = EffKeyArray(erased->subject, param->index, erased->keys, erased->nkeys);
				break;
			case PARAM_SECRET:
				*value = CStringGetTextDatum(EffSecret(run->map));
				break;
			case PARAM_TOKEN:
				*value = CStringGetTextDatum(EffSurrogateToken(param->of, EffSecret(run->map), run->key->text));
				break;
			case PARAM_ROWS:
				*value = run->found_rows[((const RowSet *) param->of)->id].parts[param->part][param->index];
				break;
			case PARAM_CALL_ROWS:
				*value = (run->call->nkeys > 1 ? run->call : &(ErasureCall) {.found_rows = run->found_rows})
					->found_rows[((const RowSet *) param->of)->id].parts[param->part][param->index];
				break;
			case PARAM_PARENTS:
				*value = run->found_parents[((const ParentSet *) param->of)->id].keys;
				break;
			case PARAM_VALUE:
				*value = run->call->values[param->index].value;
				if (!run->call->values[param->index].isnull)
					break;
				if (null == NULL)
				{
					null = palloc0(list_length(st->params) + 1);
					memset(null, ' ', list_length(st->params));
				}
				null[foreach_current_index(lc)] = 'n';
				break;
			case PARAM_RESTRICTED:
			case PARAM_CUTOFF:
			case PARAM_BATCH:
				elog(ERROR, "parameter of a retention in the statement of a plan");
		}
	}
	MemoryContextSwitchTo(context);
	*nulls = null;
	return values;
}

/*
 * EffExecCount runs a statement that returns one count.
 */
uint64
EffExecCount(ErasureRun *run, Statement *st)
{
	uint64		count;

	if (EffExecStatement(run, st) != 1)
		elog(ERROR, "a count returned no row");
	count = EffSpiNumber(1);
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* EffExecLock runs a SELECT ... FOR UPDATE for its locks and its count. */
uint64
EffExecLock(ErasureRun *run, Statement *st)
{
	uint64		rows = EffExecStatement(run, st);

	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/* EffExecRunOf: the call's subjects are in order of their text. */
ErasureRun *
EffExecRunOf(ErasureCall *call, const char *text)
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
	return low < call->nkeys && strcmp(call->keys[low]->text, text) == 0 ? call->runs[low] : NULL;
}

/*
 * EffExecReadRefs keeps what columns with "ref" hold, as long as the run.
 */
void
EffExecReadRefs(ErasureRun *run, RefSource *source)
{
	uint64		n = EffExecStatement(run, source->read);
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext previous = MemoryContextSwitchTo(GetMemoryChunkContext(run));

	for (uint64 row = 0; row < n; row++)
	{
		ExternalRef *ref = palloc0(sizeof(ExternalRef));
		bool		isnull;
		MapColumn  *column = list_nth(source->columns,
									  DatumGetInt32(SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull)));
		char	   *value = SPI_getvalue(rows->vals[row], rows->tupdesc, 2);

		if (pg_mbstrlen(value) > EFF_REF_LENGTH)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RESOLVER),
					 errmsg("column %s of %s holds a reference of more than %d characters",
							quote_identifier(column->column->name), source->table->name, EFF_REF_LENGTH),
					 errdetail("Its label says that it is an identifier in the external system \"%s\".", column->label->ref),
					 errhint("Take \"ref\" out of the label, or correct the row."),
					 errhidestmt(true)));
		ref->kind = column->label->ref;
		ref->value = value;
		run->refs = lappend(run->refs, ref);
	}
	MemoryContextSwitchTo(previous);
	SPI_freetuptable(rows);
}
