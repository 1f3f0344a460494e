/*
 * run.c
 *	  Statements, cursors and utility commands, run inside the bracket.  With
 *	  an EffStatementPlace an error inside is raised again without its values.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/run.h"

#include "tcop/pquery.h"

/*
 * EffSpiExecute runs a prepared statement until it has given limit rows, 0
 * being all of them, and returns the number of rows that it processed.
 * expected is the result code of SPI; any other is a can't-happen ERROR.
 */
uint64
EffSpiExecute(SPIPlanPtr plan, Datum *values, const char *nulls,
			  bool read_only, long limit, int expected, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	int			volatile result = 0;
	EffIdentity identity;

	EffGuardBegin(&identity);
	if (place == NULL)
		result = SPI_execute_plan(plan, values, nulls, read_only, limit);
	else
	{
		PG_TRY();
		{
			result = SPI_execute_plan(plan, values, nulls, read_only, limit);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			EffRethrowWithoutValues(place);
		}
		PG_END_TRY();
	}
	EffGuardEnd(&identity);

	/*
	 * A rule may turn the statement into nothing at all; whether rows were
	 * left behind is for the caller to look at.
	 */
	if (result != expected && result != SPI_OK_REWRITTEN)
		elog(ERROR, "unexpected result of statement: %s", SPI_result_code_string(result));
	/* SPI leaves its own context, which goes with the bracket */
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

/*
 * EffSpiOpen opens a cursor over a statement that only reads, and returns its
 * name.  It is held over COMMIT where the cursor is that it is read for: then
 * PostgreSQL reads the rest while the transaction ends, when it has already
 * closed the cursors that are not held.
 */
const char *
EffSpiOpen(SPIPlanPtr plan, Datum *values, const char *nulls, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	Portal volatile portal = NULL;
	EffIdentity identity;

	EffGuardBegin(&identity);
	PG_TRY();
	{
		portal = SPI_cursor_open(NULL, plan, values, nulls, true);
		if (portal != NULL && ActivePortal != NULL)
			portal->cursorOptions |= ActivePortal->cursorOptions & CURSOR_OPT_HOLD;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(place);
	}
	PG_END_TRY();
	EffGuardEnd(&identity);
	if (portal == NULL)
		elog(ERROR, "could not open cursor: %s", SPI_result_code_string(SPI_result));
	MemoryContextSwitchTo(context);
	return portal->name;
}

/*
 * EffSpiFetch reads the next rows of a cursor into SPI_tuptable and returns
 * their number.  ERROR invalid_cursor_state where a savepoint before its
 * opening was rolled back to, which closed it.
 */
uint64
EffSpiFetch(const char *name, long rows, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	Portal		portal = SPI_cursor_find(name);
	EffIdentity identity;

	if (portal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_CURSOR_STATE),
				 errmsg("the rows of %s can no longer be read", place->relation),
				 errdetail("The transaction was rolled back to a savepoint before them."),
				 errhint("Run the query again."),
				 errhidestmt(true)));
	EffGuardBegin(&identity);
	PG_TRY();
	{
		SPI_cursor_fetch(portal, true, rows);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(place);
	}
	PG_END_TRY();
	EffGuardEnd(&identity);
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

/*
 * EffSpiClose closes a cursor, if it is still there; it needs no bracket.
 * Where a loop of PL/pgSQL ends the transaction, the loop's cursor is read to
 * its end from within a scan of all cursors, and closing one of them would
 * break that scan.  So the cursor is then left to the end of the transaction,
 * which follows.
 */
void
EffSpiClose(const char *name)
{
	Portal		portal = SPI_cursor_find(name);

	if (portal == NULL)
		return;
	if (ActivePortal != NULL && ActivePortal->holdStore != NULL &&
		(ActivePortal->cursorOptions & CURSOR_OPT_HOLD) == 0)
		return;
	SPI_cursor_close(portal);
}

/*
 * EffSpiExecuteFor plans a SELECT for the values of its parameters, runs it
 * and returns the number of rows.  It is for statements that read ranges: how
 * much they read depends on the values, and so does the best plan.  Rows are
 * sent to dest, or, where that is NULL, to SPI_tuptable.
 */
uint64
EffSpiExecuteFor(const char *sql, ParamListInfo params, bool read_only,
				 DestReceiver *dest, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	SPIExecuteOptions options = {.params = params, .read_only = read_only, .dest = dest};
	int			volatile result = 0;
	EffIdentity identity;

	EffGuardBegin(&identity);
	PG_TRY();
	{
		result = SPI_execute_extended(sql, &options);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(place);
	}
	PG_END_TRY();
	EffGuardEnd(&identity);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of statement: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * EffSpiNumber returns a bigint of the first row of the result, by its column,
 * counted from 1.  It must not be NULL.
 */
int64
EffSpiNumber(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column,
									  &isnull);

	if (isnull)
		elog(ERROR, "a number is missing in a result");
	return DatumGetInt64(value);
}

/*
 * EffSpiCommand runs a utility command.
 */
void
EffSpiCommand(const char *sql, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	int			volatile result = 0;
	EffIdentity identity;

	EffGuardBegin(&identity);
	PG_TRY();
	{
		result = SPI_execute(sql, false, 0);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(place);
	}
	PG_END_TRY();
	EffGuardEnd(&identity);
	if (result != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result of command: %s", SPI_result_code_string(result));
}
