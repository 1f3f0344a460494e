/*
 * spi.c
 *	  The bracket for SQL: settings, privileges, errors without values.
 *
 * Triggers of the user's tables run with the caller's own search_path and
 * row_security, as they do for the caller's own DELETE: many name their tables
 * without a schema.
 */
#include "postgres.h"

#include "spi.h"
#include "catalog.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#define PINNED_SEARCH_PATH "pg_catalog, pg_temp"

static needs_fmgr_hook_type next_needs_fmgr_hook = NULL;
static fmgr_hook_type next_fmgr_hook = NULL;

/* settings of the caller of the outermost bracket, for its triggers */
static char *caller_search_path = NULL;
static bool caller_row_security = true;

static bool is_pinned(void);
static void set_guc(const char *name, const char *value);
static bool is_trigger_in_bracket(Oid function);
static void trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg);

/*
 * EffSpiInit chains the hook that gives triggers the caller's settings.
 */
void
EffSpiInit(void)
{
	next_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = is_trigger_in_bracket;
	next_fmgr_hook = fmgr_hook;
	fmgr_hook = trigger_hook;
}

/*
 * EffPinBegin pins the settings; an error unwinds them with the transaction.
 */
void
EffPinBegin(EffBracket *bracket)
{
	memset(bracket, 0, sizeof(EffBracket));
	if (!is_pinned())
	{
		char	   *copy = MemoryContextStrdup(TopMemoryContext, namespace_search_path);

		if (caller_search_path != NULL)
			pfree(caller_search_path);
		caller_search_path = copy;
		caller_row_security = row_security;
	}
	bracket->guc_level = NewGUCNestLevel();
	set_guc("search_path", PINNED_SEARCH_PATH);
	set_guc("row_security", "off");
	set_guc("standard_conforming_strings", "on");
}

void
EffPinEnd(EffBracket *bracket)
{
	AtEOXact_GUC(true, bracket->guc_level);
}

/*
 * EffSpiBegin opens the bracket with the caller's privileges.
 */
void
EffSpiBegin(EffBracket *bracket)
{
	EffPinBegin(bracket);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	bracket->spi = true;
}

/*
 * EffSpiBeginAsOwner opens the bracket as the owner of effaced's tables.
 */
void
EffSpiBeginAsOwner(EffBracket *bracket)
{
	Oid			relid = EffOwnRelation("effaced_audit_events");
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	EffSpiBegin(bracket);
	GetUserIdAndSecContext(&bracket->user, &bracket->security_context);
	SetUserIdAndSecContext(owner, bracket->security_context | SECURITY_LOCAL_USERID_CHANGE);
}

/*
 * EffSpiEnd closes either kind; SPI's results are gone afterwards.
 */
void
EffSpiEnd(EffBracket *bracket)
{
	if (OidIsValid(bracket->user))
		SetUserIdAndSecContext(bracket->user, bracket->security_context);
	if (bracket->spi && SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	EffPinEnd(bracket);
}

/*
 * EffSpiPrepare prepares a statement that is kept until SPI_freeplan().  The
 * plan is always the generic one: a call must not pay for planning, and the
 * statements look rows up by key.
 */
SPIPlanPtr
EffSpiPrepare(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare statement: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep statement");
	return plan;
}

/*
 * EffSpiExecute runs a prepared statement and returns the number of rows it
 * processed.  With a place, an error inside is raised anew without its text.
 */
uint64
EffSpiExecute(SPIPlanPtr plan, Datum *values, const char *nulls,
			  bool read_only, int expected, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	int			volatile result = 0;

	if (place == NULL)
		result = SPI_execute_plan(plan, values, nulls, read_only, 0);
	else
	{
		PG_TRY();
		{
			result = SPI_execute_plan(plan, values, nulls, read_only, 0);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			EffRethrowWithoutValues(place);
		}
		PG_END_TRY();
	}

	/*
	 * A rule may turn the statement into nothing at all; whether rows were
	 * left behind is for the caller to look at.
	 */
	if (result != expected && result != SPI_OK_REWRITTEN)
		elog(ERROR, "unexpected result of statement: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * EffSpiCommand runs a utility command.
 */
void
EffSpiCommand(const char *sql, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	int			volatile result = 0;

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
	if (result != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result of command: %s", SPI_result_code_string(result));
}

/*
 * EffRethrowWithoutValues is called in PG_CATCH: it keeps SQLSTATE and the
 * names of the objects, and drops message, detail, context and statement,
 * since any of them may quote a row.
 */
void
EffRethrowWithoutValues(const EffStatementPlace *place)
{
	ErrorData  *error = CopyErrorData();
	const char *hint = NULL;

	FlushErrorState();
	switch (error->sqlerrcode)
	{
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_LOCK_NOT_AVAILABLE:
			hint = "Run the call again; repeating it is safe.";
			break;
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			hint = "A row that references what goes came in meanwhile, or nothing in the data map knows of it.  Run the call again; repeating it is safe.";
			break;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			if (OidIsValid(place->relid) &&
				check_enable_rls(place->relid, InvalidOid, true) == RLS_ENABLED)
				hint = "Row-level security hides rows of this table from the calling role.  Call as the table's owner or as a role with BYPASSRLS.";
			else
				hint = "Grant the calling role SELECT, UPDATE and DELETE on the tables of the plan.";
			break;
	}
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 errmsg("%s %s failed", place->action, place->relation),
			 error->constraint_name ?
			 errdetail("SQLSTATE %s, constraint \"%s\".  Nothing was changed; the original message is withheld, since it may hold personal data.",
					   unpack_sql_state(error->sqlerrcode), error->constraint_name) :
			 errdetail("SQLSTATE %s.  Nothing was changed; the original message is withheld, since it may hold personal data.",
					   unpack_sql_state(error->sqlerrcode)),
			 hint ? errhint("%s", hint) : 0,
			 error->schema_name ? err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema_name) : 0,
			 error->table_name ? err_generic_string(PG_DIAG_TABLE_NAME, error->table_name) : 0,
			 error->column_name ? err_generic_string(PG_DIAG_COLUMN_NAME, error->column_name) : 0,
			 error->datatype_name ? err_generic_string(PG_DIAG_DATATYPE_NAME, error->datatype_name) : 0,
			 error->constraint_name ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, error->constraint_name) : 0,
			 errhidestmt(true)));
}

/*
 * EffQuoteLiteral quotes a string constant; backslashes give the E'' form.
 */
char *
EffQuoteLiteral(const char *text)
{
	return quote_literal_cstr(text);
}

static bool
is_pinned(void)
{
	return strcmp(namespace_search_path, PINNED_SEARCH_PATH) == 0;
}

static void
set_guc(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * is_trigger_in_bracket asks fmgr to tell trigger_hook of user triggers that
 * fire while the settings are pinned.
 */
static bool
is_trigger_in_bracket(Oid function)
{
	if (next_needs_fmgr_hook && next_needs_fmgr_hook(function))
		return true;
	if (!is_pinned() || caller_search_path == NULL)
		return false;
	if (get_func_rettype(function) != TRIGGEROID)
		return false;
	/* foreign keys are checked by internal functions, which pin what they need */
	{
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
		bool		user;

		if (!HeapTupleIsValid(tuple))
			return false;
		user = ((Form_pg_proc) GETSTRUCT(tuple))->prolang != INTERNALlanguageId;
		ReleaseSysCache(tuple);
		return user;
	}
}

/*
 * trigger_hook gives a trigger function the caller's settings while it runs.
 * A function's own SET clauses come after and win.
 */
static void
trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	if (get_func_rettype(flinfo->fn_oid) == TRIGGEROID)
	{
		switch (event)
		{
			case FHET_START:
				*arg = Int32GetDatum(0);
				if (is_pinned() && caller_search_path != NULL)
				{
					*arg = Int32GetDatum(NewGUCNestLevel());
					set_guc("search_path", caller_search_path);
					set_guc("row_security", caller_row_security ? "on" : "off");
				}
				break;
			case FHET_END:
				if (DatumGetInt32(*arg) > 0)
					AtEOXact_GUC(true, DatumGetInt32(*arg));
				break;
			case FHET_ABORT:
				/* the aborting transaction takes the settings back */
				break;
		}
	}
	else if (next_fmgr_hook)
		next_fmgr_hook(event, flinfo, arg);
}
