/*
 * bracket.c
 *	  The bracket in which SQL runs: pinned settings, SPI, and a role.
 *
 * Triggers of the user's tables run with the caller's own search_path and
 * row_security, as they do for the caller's own DELETE: many name their tables
 * without a schema.  The caller's settings are kept in a setting themselves, so
 * that whatever unwinds the bracket restores them too.
 *
 * Code of users that runs in the bracket may set whatever its caller may.  What
 * it sets of the pinned settings lasts until the statement ends that ran it, in
 * a trigger until the trigger returns; every other setting keeps what it set,
 * as it would without effaced.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/gone.h"
#include "base/run.h"
#include "base/settings.h"

#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define CALLER_SETTINGS "effaced.caller_settings"

/* A setting of the server that has a fixed value in the bracket */
typedef struct PinnedSetting
{
	const char *name;
	const char *value;
	bool		at_least;		/* a higher value of the caller's stays */
	struct config_generic *setting; /* of the server, which never moves it */
	int			number;			/* the value, where it is no text */
} PinnedSetting;

static PinnedSetting pinned_settings[] =
{
	/* what names and rows mean, and how values are written as text */
	{"search_path", "pg_catalog, pg_temp"},
	{"row_security", "off"},
	{"standard_conforming_strings", "on"},
	{"quote_all_identifiers", "off"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"array_nulls", "on"},
	/* an index gives all rows, and the same rows come in the same order */
	{"gin_fuzzy_search_limit", "0"},
	{"synchronize_seqscans", "off"},
	/* statements by key take less time than their compilation, whatever the planner thinks */
	{"jit", "off"},
	/* plans are the generic ones that are asked for, and nobody is sent a plan or its parameters */
	{"plan_cache_mode", "auto"},
	{"debug_print_parse", "off"},
	{"debug_print_rewritten", "off"},
	{"debug_print_plan", "off"},
	{"client_min_messages", "notice", .at_least = true},
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

static void find_settings(void);
static int	number_of(const PinnedSetting *pinned);
static void pin(PinnedSetting *pinned);
static bool is_pinned(const PinnedSetting *pinned);
static bool are_all_pinned(void);
static const char *value_of(const PinnedSetting *pinned);
static void end_level(int level);
static void note_identity(EffIdentity *identity);
static void check_identity(const EffIdentity *identity);
static void identity_changed(const char *what, const char *command);
static bool is_in_bracket(void);
static bool is_trigger_in_bracket(Oid function);
static void trigger_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg);
static int	give_caller_settings(Oid function);
static bool setting_of(Oid function, const char *name);

/*
 * EffSpiInit defines the setting that keeps the caller's settings, and chains
 * the hook that gives these to triggers.  Called once, by _PG_init.
 */
void
EffSpiInit(void)
{
	find_settings();
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
 * the transaction.  Inside a bracket it does nothing where the settings are
 * pinned still: ending a nesting level costs a look at every setting of the
 * server.
 */
void
EffPinBegin(EffBracket *bracket)
{
	StringInfoData settings;

	memset(bracket, 0, sizeof(EffBracket));
	note_identity(&bracket->identity);
	if (is_in_bracket() && are_all_pinned())
		return;
	bracket->guc_level = NewGUCNestLevel();
	if (!is_in_bracket())
	{
		initStringInfo(&settings);
		for (int i = 0; i < lengthof(pinned_settings); i++)
		{
			appendStringInfoString(&settings, value_of(&pinned_settings[i]));
			appendStringInfoChar(&settings, SETTING_SEPARATOR);
		}
		EffSettingSet(CALLER_SETTINGS, settings.data);
		pfree(settings.data);
	}
	for (int i = 0; i < lengthof(pinned_settings); i++)
		if (!is_pinned(&pinned_settings[i]))
			EffSettingSet(pinned_settings[i].name, pinned_settings[i].value);
}

/*
 * EffKeepBegin opens a bracket that pins nothing: until EffPinEnd() the settings
 * are the caller's, and then they are so again, whatever code of a user's has
 * made of them meanwhile.
 */
void
EffKeepBegin(EffBracket *bracket)
{
	memset(bracket, 0, sizeof(EffBracket));
	note_identity(&bracket->identity);
	bracket->guc_level = NewGUCNestLevel();
}

/*
 * EffPinEnd restores the settings of the caller, where EffPinBegin() pinned
 * any, and otherwise has them pinned as they were.  ERROR ZE005 where the role or
 * session_replication_role is another than at the beginning.
 */
void
EffPinEnd(EffBracket *bracket)
{
	check_identity(&bracket->identity);
	if (bracket->guc_level > 0)
		end_level(bracket->guc_level);
	else
		EffPinAgain();
}

/*
 * EffPinAgain pins the settings that somebody's code has set since the bracket
 * was opened.  Outside a bracket, and in a trigger, it does nothing.
 */
void
EffPinAgain(void)
{
	if (!is_in_bracket() || are_all_pinned())
		return;
	for (int i = 0; i < lengthof(pinned_settings); i++)
		if (!is_pinned(&pinned_settings[i]))
			pin(&pinned_settings[i]);
}

/*
 * EffGuardBegin is called before a statement in the bracket, and has the
 * settings pinned, whatever code has run since the last one.
 */
void
EffGuardBegin(EffIdentity *identity)
{
	EffPinAgain();
	note_identity(identity);
}

/*
 * EffGuardEnd is called after the statement, and has the settings pinned again.
 * ERROR ZE005 where the statement's triggers and functions have left another role
 * or another session_replication_role: what follows would run as somebody else,
 * or without the foreign keys.
 */
void
EffGuardEnd(const EffIdentity *identity)
{
	check_identity(identity);
	EffPinAgain();
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

/* find_settings looks the settings up in the server's list of them, once. */
static void
find_settings(void)
{
	int			n;
	struct config_generic **settings = EffGucVariables(&n);

	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		for (int j = 0; j < n; j++)
			if (strcmp(settings[j]->name, pinned_settings[i].name) == 0)
				pinned_settings[i].setting = settings[j];
		if (pinned_settings[i].setting == NULL)
			elog(ERROR, "the server has no setting \"%s\"", pinned_settings[i].name);
		pinned_settings[i].number = number_of(&pinned_settings[i]);
	}
}

/* number_of returns the number that stands for a pinned value, 0 for a text. */
static int
number_of(const PinnedSetting *pinned)
{
	bool		on = false;
	int			number = 0;

	switch (pinned->setting->vartype)
	{
		case PGC_BOOL:
			(void) parse_bool(pinned->value, &on);
			return on;
		case PGC_ENUM:
			(void) config_enum_lookup_by_name((struct config_enum *) pinned->setting,
											  pinned->value, &number);
			return number;
		case PGC_INT:
			return atoi(pinned->value);
		default:
			return 0;
	}
}

static bool
are_all_pinned(void)
{
	for (int i = 0; i < lengthof(pinned_settings); i++)
		if (!is_pinned(&pinned_settings[i]))
			return false;
	return true;
}

static bool
is_pinned(const PinnedSetting *pinned)
{
	int			number;

	switch (pinned->setting->vartype)
	{
		case PGC_BOOL:
			return *((struct config_bool *) pinned->setting)->variable == (pinned->number != 0);
		case PGC_ENUM:
			number = *((struct config_enum *) pinned->setting)->variable;
			return pinned->at_least ? number >= pinned->number : number == pinned->number;
		case PGC_INT:
			return *((struct config_int *) pinned->setting)->variable == pinned->number;
		default:
			return strcmp(*((struct config_string *) pinned->setting)->variable,
						  pinned->value) == 0;
	}
}

/* value_of returns what a setting is now, as text; it may be gone after the next call. */
static const char *
value_of(const PinnedSetting *pinned)
{
	return GetConfigOption(pinned->name, false, false);
}

/*
 * pin sets a setting, and has the end of the nesting level undo it.  EffSettingSet()
 * does not take back a SET that somebody's code has made at the same level: there
 * the server remembers that the value is to stay.
 */
static void
pin(PinnedSetting *pinned)
{
	GucStack   *stack;

	(void) set_config_option(pinned->name, pinned->value, PGC_INTERNAL, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
	stack = pinned->setting->stack;
	Assert(stack->state == GUC_SET);
	stack->state = GUC_SAVE;
}

/*
 * end_level ends a nesting level, and with it whatever somebody's code has set of
 * the pinned settings there, with SET and with SET LOCAL.
 */
static void
end_level(int level)
{
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		GucStack   *stack = pinned_settings[i].setting->stack;

		if (stack != NULL && stack->nest_level >= level && stack->state != GUC_SAVE)
			pin(&pinned_settings[i]);
	}
	AtEOXact_GUC(true, level);
}

static void
note_identity(EffIdentity *identity)
{
	GetUserIdAndSecContext(&identity->user, &identity->security_context);
	identity->session_user = GetSessionUserId();
	identity->role = GetCurrentRoleId();
	identity->replication_role = SessionReplicationRole;
}

static void
check_identity(const EffIdentity *identity)
{
	EffIdentity now;

	note_identity(&now);
	if (now.user != identity->user || now.security_context != identity->security_context ||
		now.session_user != identity->session_user || now.role != identity->role)
		identity_changed("the role", "SET ROLE or SET SESSION AUTHORIZATION");
	if (now.replication_role != identity->replication_role)
		identity_changed("session_replication_role", "SET session_replication_role");
}

static void
identity_changed(const char *what, const char *command)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("code that ran during the call has changed %s", what),
			 errdetail("A trigger, a function of a CHECK, domain, cast or policy, or another"
					   " function ran %s and left it so.  Nothing was changed.", command),
			 errhint("Let that code take back what it sets, or give its function a SET clause or"
					 " SECURITY DEFINER."),
			 errhidestmt(true)));
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
		end_level(call->guc_level);
}

/*
 * give_caller_settings leaves the bracket while a function runs, and returns
 * the nesting level to end afterwards.  A setting that a SET clause of the
 * function names keeps the value of that clause.
 */
static int
give_caller_settings(Oid function)
{
	char	   *settings = pstrdup(caller_settings);
	char	   *value = settings;
	int			level = NewGUCNestLevel();

	EffSettingSet(CALLER_SETTINGS, "");
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		PinnedSetting *pinned = &pinned_settings[i];
		char	   *end = strchr(value, SETTING_SEPARATOR);

		*end = '\0';
		if (strcmp(value, value_of(pinned)) != 0 && !setting_of(function, pinned->name))
			EffSettingSet(pinned->name, value);
		value = end + 1;
	}
	pfree(settings);
	return level;
}

/* setting_of tells whether a function's SET clauses name a setting. */
static bool
setting_of(Oid function, const char *name)
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

		for (int i = 0; i < n; i++)
			found |= pg_strncasecmp(settings[i], name, length) == 0 && settings[i][length] == '=';
	}
	ReleaseSysCache(tuple);
	return found;
}
