/*
 * run_statement.c
 *	  Runs one statement for a subject of a call, or for all of them.
 */
#include "postgres.h"

#include "exec/exec.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

static Datum *bind(SubjectRun *run, const Statement *st, const char **nulls);

/*
 * EffExecStatement binds what the parameters stand for.  A result is in
 * SPI_tuptable, for the caller to free.
 */
uint64
EffExecStatement(SubjectRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind(run, st, &nulls);
	uint64		rows;

	EffStatementPrepare(st);
	rows = EffSpiExecute(st->plan, values, nulls, run->call->read_only, st->limit, st->expected,
						 &st->place);
	MemoryContextReset(run->call->scratch);
	return rows;
}

/*
 * EffExecOpen opens a cursor over what a statement reads, in the snapshot of
 * the caller's command; the name is for EffSpiFetch().
 */
const char *
EffExecOpen(SubjectRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind(run, st, &nulls);
	const char *name;

	EffStatementPrepare(st);
	name = EffSpiOpen(st->plan, values, nulls, &st->place);
	MemoryContextReset(run->call->scratch);
	return name;
}

/*
 * bind gives the values of a statement's parameters in the scratch context; nulls as SPI
 * takes them.
 */
static Datum *
bind(SubjectRun *run, const Statement *st, const char **nulls)
{
	Call *call = run->call;
	BindValues	values = {
		.subject = run->plan->subject,
		.key = run->key,
		.call_keys = call->keys,
		.ncall_keys = call->nkeys,
		.rows = run->found_rows,
		.call_rows = call->found_rows,
		.parents = run->found_parents,
		.values = call->values,
		.erased = run->erased
	};
	MemoryContext previous = MemoryContextSwitchTo(call->scratch);
	Datum	   *bound = EffBind(st, &values, nulls);

	MemoryContextSwitchTo(previous);
	return bound;
}

/*
 * EffExecCount runs a statement that returns one count.
 */
uint64
EffExecCount(SubjectRun *run, Statement *st)
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
EffExecLock(SubjectRun *run, Statement *st)
{
	uint64		rows = EffExecStatement(run, st);

	SPI_freetuptable(SPI_tuptable);
	return rows;
}
