/*
 * run_statement.c
 *	  A call with its subjects: binds parameters, runs single statements.
 */
#include "postgres.h"

#include "exec/exec.h"
#include "trail/trail.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

static Datum *bind_params(ErasureRun *run, Statement *st, const char **nulls);

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
		SubjectSet *erased;

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
				*value = CStringGetTextDatum(EffSecret());
				break;
			case PARAM_TOKEN:
				*value = CStringGetTextDatum(EffSurrogateToken(param->of, EffSecret(), run->key->text));
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
