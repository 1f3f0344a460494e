/*
 * bracket.c
 *	  The bracket for SQL: settings, privileges, errors without values.
 *
 * Triggers of the user's tables run with the caller's own search_path and
 * row_security, as they do for the caller's own DELETE: many name their tables
 * without a schema.  The caller's settings are kept in a setting themselves, so
 * that whatever unwinds the bracket takes them back too.
 */
#include "postgres.h"

#include "base/spi.h"
#include "base/arrays.h"
#include "relations/relations.h"
#include "base/citus.h"
#include "base/prepare.h"
#include "base/settings.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/syscache.h"


#define CALLER_SETTINGS "effaced.caller_settings"

/* What names and rows mean, and how values are written as text */
static const struct
{
	const char *name;
	const char *value;
}			pinned_settings[] =
{
	{"search_path", "pg_catalog, pg_temp"},
	{"row_security", "off"},
	{"standard_conforming_strings", "on"},
	{"quote_all_identifiers", "off"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	/* the same rows come in the same order */
	{"synchronize_seqscans", "off"},
	/* statements by key take less time than their compilation, whatever the planner thinks */
	{"jit", "off"},
};

#define SETTING_SEPARATOR '\x01'

/* What trigger_hook keeps between the start and the end of a function */
typedef struct TriggerCall
{
	int			guc_level;		/* 0 where none was opened */
	Datum		next_arg;		/* of the next hook */
} TriggerCall;

static needs_fmgr_hook_type next_needs_fmgr_hook = NULL;
static fmgr_hook_type next_fmgr_hook = NULL;

/* the caller's values of the pinned settings, divided; empty outside the bracket */
static char *caller_settings = NULL;

static void begin_as(EffBracket *bracket, Oid relid, int security);
static bool is_in_bracket(void);
static bool is_trigger_in_bracket(Oid function);
static void trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg);
static int	give_caller_settings(Oid function);
static bool setting_of(Oid function, const char *name, bool *any);

/*
 * EffSpiInit defines the setting behind the bracket and chains the hook that
 * gives triggers the caller's settings.
 */
void
EffSpiInit(void)
{
	DefineCustomStringVariable(CALLER_SETTINGS,
							   "Settings that triggers see while effaced runs a request.",
							   NULL, &caller_settings, "", PGC_INTERNAL,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, NULL);
	next_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = is_trigger_in_bracket;
	next_fmgr_hook = fmgr_hook;
	fmgr_hook = trigger_hook;
}

/*
 * EffPinBegin pins the settings; an error unwinds them with the transaction.
 * In a bracket they are pinned already, and ending a level costs a look at each
 * setting there is.
 */
void
EffPinBegin(EffBracket *bracket)
{
	StringInfoData settings;

	memset(bracket, 0, sizeof(EffBracket));
	if (is_in_bracket())
		return;
	bracket->guc_level = NewGUCNestLevel();
	initStringInfo(&settings);
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		const char *value = GetConfigOption(pinned_settings[i].name, false, false);

		appendStringInfoString(&settings, value);
		appendStringInfoChar(&settings, SETTING_SEPARATOR);
		if (strcmp(value, pinned_settings[i].value) != 0)
			EffSettingSet(pinned_settings[i].name, pinned_settings[i].value);
	}
	EffSettingSet(CALLER_SETTINGS, settings.data);
	pfree(settings.data);
}

void
EffPinEnd(EffBracket *bracket)
{
	if (bracket->guc_level > 0)
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
	EffCitusRefuseWorker();
	begin_as(bracket, EffOwnRelation("effaced_audit_events"), SECURITY_LOCAL_USERID_CHANGE);
}

/*
 * EffSpiBeginAs opens the bracket as the owner of somebody's table.  What runs
 * there may be that owner's code (an operator of a type of theirs), so it must
 * not get at the session.
 */
void
EffSpiBeginAs(EffBracket *bracket, Oid relid)
{
	begin_as(bracket, relid, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

static void
begin_as(EffBracket *bracket, Oid relid, int security)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	EffSpiBegin(bracket);
	GetUserIdAndSecContext(&bracket->user, &bracket->security_context);
	SetUserIdAndSecContext(owner, bracket->security_context | security);
}

/*
 * EffSpiBeginReader: inside, effaced's functions pin their settings anew, since
 * search_path is the query's.  Temporary tables come last in it, or any of them
 * could stand for a table of the same name.  An error undoes all of it with the
 * (sub)transaction.
 */
void
EffSpiBeginReader(EffBracket *bracket, Oid role, const char *search_path)
{
	EffSpiBegin(bracket);
	if (bracket->guc_level == 0)
		bracket->guc_level = NewGUCNestLevel();
	EffSettingSet(CALLER_SETTINGS, "");
	EffSettingSet("search_path", psprintf("%s%spg_temp", search_path, search_path[0] != '\0' ? ", " : ""));
	/* its setting would do, but from 16 on takes no value for a while */
	bracket->reader = true;
	bracket->was_read_only = XactReadOnly;
	XactReadOnly = true;
	GetUserIdAndSecContext(&bracket->user, &bracket->security_context);
	SetUserIdAndSecContext(role, bracket->security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

/*
 * EffSpiEnd closes any kind; SPI's results are gone afterwards.
 */
void
EffSpiEnd(EffBracket *bracket)
{
	if (OidIsValid(bracket->user))
		SetUserIdAndSecContext(bracket->user, bracket->security_context);
	if (bracket->spi && SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	EffPinEnd(bracket);
	if (bracket->reader)
		XactReadOnly = bracket->was_read_only;
}

/*
 * EffSpiExecute runs a prepared statement until it gave limit rows, 0 being all
 * of them, and returns the number of rows it processed.  With a place, an error inside is raised anew without its text.
 */
uint64
EffSpiExecute(SPIPlanPtr plan, Datum *values, const char *nulls,
			  bool read_only, long limit, int expected, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	int			volatile result = 0;

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
 * EffSpiOpen opens a cursor; an error is raised anew without its text.  It
 * lasts as long as the one that it is read for: where that is held over COMMIT,
 * PostgreSQL reads the rest while the transaction ends, when it has already
 * closed the cursors that are not.
 */
const char *
EffSpiOpen(SPIPlanPtr plan, Datum *values, const char *nulls, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	Portal volatile portal = NULL;

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
	if (portal == NULL)
		elog(ERROR, "could not open cursor: %s", SPI_result_code_string(SPI_result));
	MemoryContextSwitchTo(context);
	return portal->name;
}

/*
 * EffSpiFetch reads on from a cursor.  It is gone where a savepoint before its
 * opening was rolled back to.
 */
uint64
EffSpiFetch(const char *name, long rows, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	Portal		portal = SPI_cursor_find(name);

	if (portal == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_CURSOR_STATE),
				 errmsg("the rows of %s can no longer be read", place->relation),
				 errdetail("The transaction was rolled back to a savepoint before them."),
				 errhint("Run the query again."),
				 errhidestmt(true)));
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
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

/*
 * EffSpiClose closes a cursor, if it is still there; it needs no bracket.
 * Where a loop of PL/pgSQL ends the transaction, its cursor is read to the end
 * from within a scan of all cursors, which would trip over one that goes: the
 * end of the transaction, which follows, takes it.
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
 * EffSpiExecuteFor is for statements that read ranges: how much they read
 * depends on the values, and so does the plan.  Returns the number of rows.
 */
uint64
EffSpiExecuteFor(const char *sql, ParamListInfo params, bool read_only,
				 DestReceiver *dest, const EffStatementPlace *place)
{
	MemoryContext context = CurrentMemoryContext;
	SPIExecuteOptions options = {.params = params, .read_only = read_only, .dest = dest};
	int			volatile result = 0;

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
	if (result != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of statement: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * EffSpiExecuteOwn prepares a statement once, and again where the extension was
 * created anew.
 */
uint64
EffSpiExecuteOwn(EffOwnStatement *own, int nargs, Oid *types, Datum *values, const char *nulls,
				 int expected, const EffStatementPlace *place)
{
	Oid			relation = EffOwnRelation("effaced_audit_events");

	if (own->plan != NULL && own->relation != relation)
	{
		SPI_freeplan(own->plan);
		own->plan = NULL;
	}
	if (own->plan == NULL)
	{
		own->plan = EffPrepare(psprintf(own->sql, EffExtensionSchemaSql()), nargs, types);
		own->relation = relation;
	}
	return EffSpiExecute(own->plan, values, nulls, false, 0, expected, place);
}

/*
 * EffSpiNumber is for counts and the like.
 */
int64
EffSpiNumber(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

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
 * EffCatchUserError is called in PG_CATCH around code that only computes: the
 * error is what somebody wrote, and the caller says so in words of its own.
 * The struct is in the context given.
 */
ErrorData *
EffCatchUserError(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
		PG_RE_THROW();
	FlushErrorState();
	return error;
}

void
EffSubBegin(EffSubtransaction *sub)
{
	sub->context = CurrentMemoryContext;
	sub->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(sub->context);
}

/* EffSubEnd keeps what was done, or takes it back. */
void
EffSubEnd(const EffSubtransaction *sub, bool keep)
{
	if (keep)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(sub->context);
	CurrentResourceOwner = sub->owner;
}

/* EffSubCatch gives the error in the context of the beginning. */
ErrorData *
EffSubCatch(const EffSubtransaction *sub)
{
	ErrorData  *error;

	MemoryContextSwitchTo(sub->context);
	error = CopyErrorData();
	FlushErrorState();
	EffSubEnd(sub, false);
	return error;
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
	const char *hint = error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ? place->denied_hint : NULL;
	const char *undone = place->batch ? "This batch was undone, those before it stay" : "Nothing was changed";
	const char *column = error->column_name ? error->column_name : place->column;
	const char *of_columns = "";
	ListCell   *lc;

	FlushErrorState();
	foreach(lc, place->constraints)
	{
		EffPlaceConstraint *constraint = lfirst(lc);

		if (error->constraint_name == NULL || strcmp(constraint->name, error->constraint_name) != 0)
			continue;
		column = column ? column : constraint->column;
		of_columns = psprintf(" on %s", constraint->columns);
		break;
	}
	switch (error->sqlerrcode)
	{
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_LOCK_NOT_AVAILABLE:
			hint = "Run the call again; repeating it is safe.";
			break;
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_INTERNAL_ERROR:
			/* Citus refuses by both; its library has such a setting, asked without the catalog */
			if (GetConfigOption("citus.version", true, false) != NULL)
				hint = "Citus may take no such statement on distributed tables, or not after others of the transaction.  See \"Many nodes\" in doc/scaling.md.";
			break;
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			hint = "A row that references what goes came in meanwhile, or nothing in the data map knows of it.  Run the call again; repeating it is safe.";
			break;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			/* the format of the message, which no translation changes */
			if (error->message_id != NULL && strstr(error->message_id, "row-level security") != NULL)
				hint = "Row-level security hides rows of this table, or of one that the statement reads, from the calling role.  Call as the tables' owner or as a role with BYPASSRLS.";
			else if (place->denied_hint == NULL)
				hint = "Grant the calling role SELECT, UPDATE and DELETE on the tables of the plan.";
			break;
	}
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 place->column ? errmsg("%s %s.%s failed", place->action, place->relation, quote_identifier(place->column)) :
			 errmsg("%s %s failed", place->action, place->relation),
			 error->constraint_name ?
			 errdetail("SQLSTATE %s, constraint \"%s\"%s.  %s; the original message is withheld, since it may hold personal data.",
					   unpack_sql_state(error->sqlerrcode), error->constraint_name, of_columns, undone) :
			 errdetail("SQLSTATE %s.  %s; the original message is withheld, since it may hold personal data.",
					   unpack_sql_state(error->sqlerrcode), undone),
			 hint ? errhint("%s", hint) : 0,
			 error->schema_name ? err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema_name) : 0,
			 error->table_name ? err_generic_string(PG_DIAG_TABLE_NAME, error->table_name) : 0,
			 column ? err_generic_string(PG_DIAG_COLUMN_NAME, column) : 0,
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
is_in_bracket(void)
{
	return caller_settings != NULL && caller_settings[0] != '\0';
}

/*
 * is_trigger_in_bracket asks fmgr to tell trigger_hook of user triggers that
 * fire inside the bracket.  Foreign keys are checked by internal functions,
 * which pin what they need.
 */
static bool
is_trigger_in_bracket(Oid function)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		needed;

	if (next_needs_fmgr_hook && next_needs_fmgr_hook(function))
		return true;
	if (!is_in_bracket())
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	needed = form->prorettype == TRIGGEROID && form->prolang != INTERNALlanguageId;
	ReleaseSysCache(tuple);
	return needed;
}

/*
 * trigger_hook gives a trigger function the caller's settings while it runs.
 */
static void
trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	TriggerCall *call = (TriggerCall *) DatumGetPointer(*arg);

	if (call == NULL)
	{
		call = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(TriggerCall));
		*arg = PointerGetDatum(call);
	}
	if (event == FHET_START)
		call->guc_level = is_in_bracket() && get_func_rettype(flinfo->fn_oid) == TRIGGEROID ?
			give_caller_settings(flinfo->fn_oid) : 0;
	if (next_fmgr_hook)
		next_fmgr_hook(event, flinfo, &call->next_arg);
	/* after an error the aborting transaction takes the settings back */
	if (event == FHET_END && call->guc_level > 0)
		AtEOXact_GUC(true, call->guc_level);
}

/*
 * give_caller_settings leaves the bracket for a function.  What its own SET
 * clauses say wins; their level is open already and takes ours back with it.
 */
static int
give_caller_settings(Oid function)
{
	char	   *settings = pstrdup(caller_settings);
	char	   *value = settings;
	bool		own[lengthof(pinned_settings)];
	bool		any = false;
	int			level;

	for (int i = 0; i < lengthof(pinned_settings); i++)
		own[i] = setting_of(function, pinned_settings[i].name, &any);
	level = any ? 0 : NewGUCNestLevel();
	EffSettingSet(CALLER_SETTINGS, "");
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		char	   *end = strchr(value, SETTING_SEPARATOR);

		*end = '\0';
		if (!own[i] && strcmp(value, pinned_settings[i].value) != 0)
			EffSettingSet(pinned_settings[i].name, value);
		value = end + 1;
	}
	pfree(settings);
	return level;
}

/* setting_of tells whether a function's SET clauses name a setting; any, whether there are some. */
static bool
setting_of(Oid function, const char *name, bool *any)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	size_t		length = strlen(name);
	bool		found = false;
	Datum		config;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
	{
		int			n;
		char	  **settings = EffTextArrayRead(config, &n);

		*any = true;
		for (int i = 0; i < n; i++)
			found |= pg_strncasecmp(settings[i], name, length) == 0 && settings[i][length] == '=';
	}
	ReleaseSysCache(tuple);
	return found;
}
