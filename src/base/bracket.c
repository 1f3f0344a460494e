/*
 * bracket.c
 *	  The bracket in which SQL runs: pinned settings, SPI, and a role.
 *
 * Triggers of the user's tables run with the caller's own search_path and
 * row_security, as they do for the caller's own DELETE: many name their tables
 * without a schema.  The caller's settings are kept in a setting themselves, so
 * that whatever unwinds the bracket restores them too.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/gone.h"
#include "base/run.h"
#include "base/settings.h"

#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
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

static bool is_in_bracket(void);
static bool is_trigger_in_bracket(Oid function);
static void trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg);
static int	give_caller_settings(Oid function);
static bool setting_of(Oid function, const char *name, bool *any);

/*
 * EffSpiInit defines the setting that keeps the caller's settings, and chains
 * the hook that gives these to triggers.  Called once, by _PG_init.
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
 * EffPinBegin pins the settings until EffPinEnd(); an error unwinds them with
 * the transaction.  Inside a bracket it does nothing: the settings are pinned
 * already, and ending a nesting level costs a look at every setting of the
 * server.
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

/*
 * EffPinEnd restores the settings of the caller, where EffPinBegin() pinned
 * any.
 */
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
 * EffSpiBeginAs opens the bracket as the owner of a user's table.  What runs
 * there may be that owner's code (an operator of a type of theirs), so the
 * operation is security-restricted: that code must not change the session, nor
 * leave anything behind that later runs as somebody else.
 */
void
EffSpiBeginAs(EffBracket *bracket, Oid relid)
{
	EffSpiBeginWithUser(bracket, relid,
						SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

/*
 * EffSpiBeginWithUser opens the bracket as the owner of a relation, and adds
 * the given bits to the security context.  ERROR undefined_table where the
 * relation has just been dropped.
 */
void
EffSpiBeginWithUser(EffBracket *bracket, Oid relid, int security)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		EffGoneRelation(relid, NULL);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	EffSpiBegin(bracket);
	GetUserIdAndSecContext(&bracket->user, &bracket->security_context);
	SetUserIdAndSecContext(owner, bracket->security_context | security);
}

/*
 * EffSpiBeginReader opens the bracket for a query that somebody wrote: as that
 * role, read-only, security-restricted, and with the search_path that the
 * query was written for. pg_temp comes last in it, or a temporary table of the
 * caller could stand for any table of the same name.  Functions of effaced that
 * the query calls pin their settings anew, since search_path is the query's.
 * An error undoes all of it with the (sub)transaction.
 */
void
EffSpiBeginReader(EffBracket *bracket, Oid role, const char *search_path)
{
	EffSpiBegin(bracket);
	if (bracket->guc_level == 0)
		bracket->guc_level = NewGUCNestLevel();
	EffSettingSet(CALLER_SETTINGS, "");
	EffSettingSet("search_path", psprintf("%s%spg_temp", search_path, search_path[0] != '\0' ?
										  ", " : ""));
	/* its setting would do, but from 16 on takes no value for a while */
	bracket->reader = true;
	bracket->was_read_only = XactReadOnly;
	XactReadOnly = true;
	GetUserIdAndSecContext(&bracket->user, &bracket->security_context);
	SetUserIdAndSecContext(role,
						   bracket->security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

/*
 * EffSpiEnd closes a bracket, however it was opened.  The results of SPI are
 * freed with it.
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

static bool
is_in_bracket(void)
{
	return caller_settings != NULL && caller_settings[0] != '\0';
}

/*
 * is_trigger_in_bracket asks fmgr to tell trigger_hook of the triggers of
 * users that fire inside the bracket.  Foreign keys are checked by internal
 * functions, which pin what they need.
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
 * give_caller_settings leaves the bracket while a function runs, and returns
 * the nesting level to end afterwards, or 0.  A setting that a SET clause of
 * the function names keeps the value of that clause; the level of the clauses
 * is open already, and its end restores the others too.
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
		EffGoneObject("function", function);
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
