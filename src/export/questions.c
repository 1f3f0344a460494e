/*
 * questions.c
 *	  Saved questions: queries whose answers belong to an access request.
 *
 * A question is code that somebody else wrote.  It runs as the role that
 * registered it, security-restricted and reading only, so that it can do
 * nothing with the privileges of whoever runs it; and whoever runs it must be
 * allowed to read its tables, so that it lends no privileges either.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/csv.h"
#include "base/own.h"
#include "export/questions.h"
#include "relations/types.h"
#include "subject/identifier.h"

#include "catalog/namespace.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#define MAX_NAME 255			/* bytes, of a question and of a file */
#define MAX_SHORT_NAME 64
#define BATCH_ROWS 1000

#define DENIED "The role that registered the question and the role that runs it both need SELECT on the tables that it reads, and no row-level security in the way."

PG_FUNCTION_INFO_V1(effaced_register_question);
PG_FUNCTION_INFO_V1(effaced_drop_question);
PG_FUNCTION_INFO_V1(effaced_run_questions);

typedef struct Question
{
	char	   *name;
	char	   *short_name;
	char	   *query;
	char	   *search_path;	/* of the session that registered it */
	char	   *role;			/* that registered it */
} Question;

/* A question that is ready to run */
typedef struct PreparedQuestion
{
	SPIPlanPtr	plan;
	Oid			type;			/* of $1 */
	const char *objection;		/* why it is none; NULL where it is one */
} PreparedQuestion;

/* All questions about one subject */
typedef struct Batch
{
	const char *subject_id;
	Oid			caller;
	List	   *questions;		/* of Question */
	List	   *answers;		/* of Answer */
} Batch;

/* A question that is looked at, but not asked */
typedef struct Check
{
	const Question *question;
	const char *objection;
} Check;

/* What the parser makes of a query */
typedef struct Analysis
{
	const char *text;
	bool		as_text;		/* $1 is text; otherwise what fits its place */
	int			nparams;
	Oid		   *types;
	Query	   *query;
} Analysis;

static char *text_argument(FunctionCallInfo fcinfo, int argno, const char *name);
static ErrorData *rolled_back(void (*work) (void *arg), void *arg);
static void ask_all(void *arg);
static void check_question(const Question *question);
static void prepare_only(void *arg);
static List *load_questions(void);
static void check_file_prefix(const char *prefix);
static char *file_stamp(TimestampTz at);
static char *file_name(const Question *question, const char *prefix, const char *stamp);
static Answer *ask(const Question *question, const char *subject_id, Oid caller);
static void prepare(const Question *question, Oid caller, PreparedQuestion *prepared);
static void analyze(void *arg);
static const char *objection_to_columns(Query *query);
static bool objection_walker(Node *node, void *found);
static void check_caller(SPIPlanPtr plan, Oid caller);
static uint64 write_answer(StringInfo content, Portal portal);
static bool is_number(Oid type);
static const char *trouble(int sqlstate);
static void refuse(const Question *question, const char *objection) pg_attribute_noreturn();
static EffStatementPlace place_of(const Question *question);

/*
 * effaced_register_question(name, short_name, query) saves a question that
 * could be asked now.
 */
Datum
effaced_register_question(PG_FUNCTION_ARGS)
{
	Question	question = {
		.name = text_argument(fcinfo, 0, "name"),
		.short_name = text_argument(fcinfo, 1, "short_name"),
		.query = text_argument(fcinfo, 2, "query"),
		.search_path = pstrdup(GetConfigOption("search_path", false, false)),
		.role = GetUserNameFromId(GetUserId(), false)
	};
	size_t		length = strlen(question.short_name);
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[5];
	EffBracket	bracket;

	if (question.name[0] == '\0' || strlen(question.name) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("name of a question is empty or longer than %d bytes", MAX_NAME),
				 errhint("Say shortly what it asks, such as 'orders and their totals'."),
				 errhidestmt(true)));
	if (length == 0 || length > MAX_SHORT_NAME ||
		strspn(question.short_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != length)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("short name of question \"%s\" is no part of a file name", question.name),
				 errdetail("Files are named after it."),
				 errhint("Allowed: 1 to %d letters from A to Z, digits, \"_\" and \"-\", such as 'order_totals'.", MAX_SHORT_NAME),
				 errhidestmt(true)));
	check_question(&question);

	values[0] = CStringGetTextDatum(question.name);
	values[1] = CStringGetTextDatum(question.short_name);
	values[2] = CStringGetTextDatum(question.query);
	values[3] = CStringGetTextDatum(question.search_path);
	values[4] = CStringGetTextDatum(question.role);
	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(psprintf("INSERT INTO %s.effaced_questions (name, short_name, query, search_path, registered_by)"
									   " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", EffExtensionSchemaSql()),
							  5, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not save a question");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("question \"%s\", or another one called \"%s\" in file names, is registered already",
						question.name, question.short_name),
				 errhint("Choose other names, or drop that question first: SELECT effaced_drop_question(%s);",
						 quote_literal_cstr(question.name)),
				 errhidestmt(true)));
	EffSpiEnd(&bracket);
	PG_RETURN_VOID();
}

/*
 * effaced_drop_question(name) is for the role that registered it, and for the
 * owner of effaced's tables.
 */
Datum
effaced_drop_question(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0, "name");
	Oid			caller = GetUserId();
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(name);
	EffBracket	bracket;
	Oid			role;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(psprintf("SELECT registered_by FROM %s.effaced_questions WHERE name = $1 FOR UPDATE",
									   EffExtensionSchemaSql()),
							  1, &type, &value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the questions");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("question \"%s\" is not registered", name),
				 errhint("SELECT name FROM %s.effaced_questions;", EffExtensionSchemaSql()),
				 errhidestmt(true)));
	role = get_role_oid(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), true);
	if (!has_privs_of_role(caller, GetUserId()) && !(OidIsValid(role) && has_privs_of_role(caller, role)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for question \"%s\"", name),
				 errhint("Drop it as the role that registered it, or as the owner of the extension."),
				 errhidestmt(true)));
	if (SPI_execute_with_args(psprintf("DELETE FROM %s.effaced_questions WHERE name = $1", EffExtensionSchemaSql()),
							  1, &type, &value, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not drop a question");
	EffSpiEnd(&bracket);
	PG_RETURN_VOID();
}

/*
 * effaced_run_questions(subject_id, file_prefix, at) gives a row per question,
 * by name.
 */
Datum
effaced_run_questions(PG_FUNCTION_ARGS)
{
	SubjectIdentifier *identifier = EffIdentifierArgument(fcinfo, 0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (identifier->is_null)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifier is NULL"),
				 errhint("Give the identifier of one subject."),
				 errhidestmt(true)));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("time of an access request is NULL"),
				 errhint("Leave out \"at\" for the time of the call."),
				 errhidestmt(true)));
	InitMaterializedSRF(fcinfo, 0);
	foreach_ptr(Answer, answer, EffQuestionsRun(identifier->serialized,
								PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)),
								PG_GETARG_TIMESTAMPTZ(2)))
	{
		Datum		values[3] = {CStringGetTextDatum(answer->file_name), Int64GetDatum(answer->rows), CStringGetTextDatum(answer->content)};
		bool		nulls[3] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * EffQuestionsRun asks all questions or none.
 */
List *
EffQuestionsRun(const char *subject_id, const char *prefix, TimestampTz at)
{
	char	   *stamp = file_stamp(at);
	Batch		batch = {.subject_id = subject_id, .caller = GetUserId(), .questions = load_questions()};
	ErrorData  *error;
	ListCell   *question;
	ListCell   *answer;

	check_file_prefix(prefix);
	foreach(question, batch.questions)
		(void) file_name(lfirst(question), prefix, stamp);
	error = rolled_back(ask_all, &batch);
	if (error != NULL)
		ReThrowError(error);
	forboth(question, batch.questions, answer, batch.answers)
		((Answer *) lfirst(answer))->file_name = file_name(lfirst(question), prefix, stamp);
	return batch.answers;
}

static char *
text_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("argument \"%s\" of a question is NULL", name),
				 errhint("SELECT %s.effaced_register_question('orders and their totals', 'order_totals', 'SELECT ... WHERE customer_id = $1::int');",
						 EffExtensionSchemaSql()),
				 errhidestmt(true)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * rolled_back does something in a subtransaction that is rolled back whatever
 * happens, and returns the error, or NULL where there is none.
 */
static ErrorData *
rolled_back(void (*work) (void *arg), void *arg)
{
	EffSubtransaction sub;
	ErrorData  *volatile error = NULL;

	EffSubBegin(&sub);
	PG_TRY();
	{
		work(arg);
		EffSubEnd(&sub, false);
	}
	PG_CATCH();
	{
		error = EffSubCatch(&sub);
	}
	PG_END_TRY();
	return error;
}

/*
 * ask_all: what writes makes the subtransaction have an XID.  That catches what
 * a read-only transaction lets pass, such as large objects and temporary tables.
 */
static void
ask_all(void *arg)
{
	Batch	   *batch = arg;

	foreach_ptr(Question, question, batch->questions)
	{
		batch->answers = lappend(batch->answers, ask(question, batch->subject_id, batch->caller));
		if (TransactionIdIsValid(GetCurrentTransactionIdIfAny()))
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("question \"%s\" writes", question->name),
					 errdetail("Nothing of it was kept."),
					 errhint("Register a query that only reads; look at the functions that it calls."),
					 errhidestmt(true)));
	}
}

/*
 * check_question prepares a question as it will be when it is asked.  What the
 * parser says of it may quote constants of the query, and is not repeated.
 */
static void
check_question(const Question *question)
{
	Check		check = {.question = question};
	ErrorData  *error = rolled_back(prepare_only, &check);

	if (error != NULL)
	{
		int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

		if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
			category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		refuse(question, psprintf("%s (SQLSTATE %s)", trouble(error->sqlerrcode), unpack_sql_state(error->sqlerrcode)));
	}
	if (check.objection != NULL)
		refuse(question, check.objection);
}

static void
prepare_only(void *arg)
{
	Check	   *check = arg;
	MemoryContext context = CurrentMemoryContext;
	EffStatementPlace place = place_of(check->question);
	PreparedQuestion prepared = {0};
	EffBracket	bracket;

	EffSpiBeginReader(&bracket, GetUserId(), check->question->search_path);
	PG_TRY();
	{
		prepare(check->question, GetUserId(), &prepared);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
	check->objection = prepared.objection;
	EffSpiEnd(&bracket);
}

/* load_questions reads all of them, by name. */
static List *
load_questions(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *questions = NIL;
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute(psprintf("SELECT name, short_name, query, search_path, registered_by FROM %s.effaced_questions"
							 " ORDER BY name COLLATE \"C\"", EffExtensionSchemaSql()), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the questions");
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Question   *question = palloc(sizeof(Question));
		HeapTuple	tuple = SPI_tuptable->vals[row];

		question->name = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
		question->short_name = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2);
		question->query = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 3);
		question->search_path = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 4);
		question->role = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 5);
		questions = lappend(questions, question);
	}
	EffSpiEnd(&bracket);
	return questions;
}

/* check_file_prefix lets pass what stays a plain name in any directory. */
static void
check_file_prefix(const char *prefix)
{
	bool		plain = strcmp(prefix, ".") != 0 && strcmp(prefix, "..") != 0;

	for (const char *c = prefix; *c != '\0'; c++)
		plain &= *c != '/' && *c != '\\' && (unsigned char) *c >= ' ' && *c != '\x7f';
	if (!plain)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("file prefix is no part of a file name"),
				 errdetail("It holds a slash, a backslash or a control character, or is \".\" or \"..\"."),
				 errhint("Give the beginning of a name without a folder, such as 'request-17_'."),
				 errhidestmt(true)));
}

/* file_stamp writes a time as ISO 8601 has it: 2026-01-02T03:04:05Z. */
static char *
file_stamp(TimestampTz at)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(at) || timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("time of an access request is out of range"),
				 errhint("Give a time of the years 1 to 9999, or leave out \"at\" for the time of the call."),
				 errhidestmt(true)));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02dZ",
					tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static char *
file_name(const Question *question, const char *prefix, const char *stamp)
{
	char	   *name = psprintf("%s%s_%s.csv", prefix, question->short_name, stamp);

	if (strlen(name) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("file name of question \"%s\" would be longer than %d bytes", question->name, MAX_NAME),
				 errhint("Give a shorter file_prefix."),
				 errhidestmt(true)));
	return name;
}

/* ask runs one question as its role. */
static Answer *
ask(const Question *question, const char *subject_id, Oid caller)
{
	MemoryContext context = CurrentMemoryContext;
	EffStatementPlace place = place_of(question);
	Answer	   *answer = palloc0(sizeof(Answer));
	Oid			role = get_role_oid(question->role, true);
	PreparedQuestion prepared = {0};
	EffBracket	bracket;
	StringInfoData content;

	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("role \"%s\", which registered question \"%s\", does not exist", question->role, question->name),
				 errhint("SELECT %s.effaced_drop_question(%s); and register it again as another role.",
						 EffExtensionSchemaSql(), quote_literal_cstr(question->name)),
				 errhidestmt(true)));
	initStringInfo(&content);
	EffSpiBeginReader(&bracket, role, question->search_path);
	PG_TRY();
	{
		prepare(question, caller, &prepared);
		if (prepared.objection == NULL)
		{
			Oid			input;
			Oid			param;
			Datum		value;

			EffTypeInput(prepared.type, &input, &param);
			value = OidInputFunctionCall(input, pstrdup(subject_id), param, -1);
			answer->rows = write_answer(&content, SPI_cursor_open(NULL, prepared.plan, &value, NULL, true));
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
	if (prepared.objection != NULL)
		refuse(question, prepared.objection);
	EffSpiEnd(&bracket);
	answer->content = content.data;
	return answer;
}

/*
 * prepare parses, analyses and plans.  The identifier is text; where that does
 * not fit, as in "id = $1" of an integer, it is what the query makes of it.
 */
static void
prepare(const Question *question, Oid caller, PreparedQuestion *prepared)
{
	Analysis	analysis = {.text = question->query, .as_text = true};
	List	   *raw = raw_parser(question->query, RAW_PARSE_DEFAULT);
	ErrorData  *error;

	if (list_length(raw) != 1 || !IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt))
	{
		prepared->objection = "It is not one SELECT";
		return;
	}
	error = rolled_back(analyze, &analysis);
	if (error != NULL)
	{
		if (error->sqlerrcode != ERRCODE_UNDEFINED_FUNCTION &&
			error->sqlerrcode != ERRCODE_DATATYPE_MISMATCH &&
			error->sqlerrcode != ERRCODE_CANNOT_COERCE)
			ReThrowError(error);
		analysis.as_text = false;
		analyze(&analysis);
	}
	prepared->type = analysis.types[0];
	if (analysis.query->commandType != CMD_SELECT || analysis.query->utilityStmt != NULL)
		prepared->objection = "It is not one SELECT";
	else if (analysis.nparams > 1)
		prepared->objection = "It has other parameters than $1";
	else if (!objection_walker((Node *) analysis.query, &prepared->objection))
		prepared->objection = objection_to_columns(analysis.query);
	if (prepared->objection != NULL)
		return;
	prepared->plan = SPI_prepare_cursor(question->query, 1, &prepared->type, 0);
	if (prepared->plan == NULL)
		elog(ERROR, "could not prepare a question: %s", SPI_result_code_string(SPI_result));
	check_caller(prepared->plan, caller);
}

/* analyze scribbles on what the grammar made of the text, so it parses again. */
static void
analyze(void *arg)
{
	Analysis   *analysis = arg;
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(analysis->text, RAW_PARSE_DEFAULT));

	analysis->nparams = 1;
	analysis->types = palloc(sizeof(Oid));
	analysis->types[0] = analysis->as_text ? TEXTOID : InvalidOid;
	analysis->query = analysis->as_text ?
		parse_analyze_fixedparams(raw, analysis->text, analysis->types, 1, NULL) :
		parse_analyze_varparams(raw, analysis->text, &analysis->types, &analysis->nparams, NULL);
}

static const char *
objection_to_columns(Query *query)
{
	List	   *names = NIL;

	foreach_ptr(TargetEntry, entry, query->targetList)
	{
		if (entry->resjunk)
			continue;
		if (list_member(names, makeString(entry->resname)))
			return "Two of its columns have the same name";
		names = lappend(names, makeString(entry->resname));
	}
	return names == NIL ? "It has no columns" : NULL;
}

/* objection_walker looks into sub-selects too. */
static bool
objection_walker(Node *node, void *found)
{
	const char **objection = found;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, objection_walker, found);
	if (((Query *) node)->commandType != CMD_SELECT)
		*objection = "It changes data";
	else if (((Query *) node)->rowMarks != NIL)
		*objection = "It locks rows";
	/* another session has none, or somebody else's */
	foreach_ptr(RangeTblEntry, entry, ((Query *) node)->rtable)
	{
		if (entry->rtekind == RTE_RELATION && isAnyTempNamespace(get_rel_namespace(entry->relid)))
			*objection = "It reads a temporary table";
	}
	return *objection != NULL || query_tree_walker((Query *) node, objection_walker, found, 0);
}

/*
 * check_caller requires that the caller could read what the question reads; the
 * plan was made as the question's role, and is run as it.
 */
static void
check_caller(SPIPlanPtr plan, Oid caller)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);
	List	   *statements;
	Oid			role;
	int			security_context;
	ListCell   *lc;

	if (cached == NULL)
		elog(ERROR, "could not plan a question");
	statements = copyObject(cached->stmt_list);
	ReleaseCachedPlan(cached, NULL);	/* no owner: the plan is not saved */

	GetUserIdAndSecContext(&role, &security_context);
	SetUserIdAndSecContext(caller, security_context);
	foreach(lc, statements)
	{
		PlannedStmt *statement = lfirst_node(PlannedStmt, lc);

		(void) EffCheckPermissions(statement);
		foreach_ptr(RangeTblEntry, entry, statement->rtable)
		{
			if (entry->rtekind == RTE_RELATION)
				(void) check_enable_rls(entry->relid, EffCheckAsUser(statement, entry), false);
		}
	}
	SetUserIdAndSecContext(role, security_context);
}

/* write_answer reads some rows at a time, for only their text is kept. */
static uint64
write_answer(StringInfo content, Portal portal)
{
	TupleDesc	desc = portal->tupDesc;
	FmgrInfo   *output = palloc(sizeof(FmgrInfo) * desc->natts);
	bool	   *number = palloc(sizeof(bool) * desc->natts);
	MemoryContext texts = AllocSetContextCreate(CurrentMemoryContext, "effaced answer", ALLOCSET_DEFAULT_SIZES);
	uint64		rows = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		Oid			function;

		EffTypeOutput(column->atttypid, &function);
		fmgr_info(function, &output[i]);
		number[i] = is_number(EffBaseType(column->atttypid));
		EffCsvCell(content, i, NameStr(column->attname), false);
	}
	EffCsvEndLine(content);
	do
	{
		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			MemoryContext previous = MemoryContextSwitchTo(texts);

			CHECK_FOR_INTERRUPTS();
			for (int i = 0; i < desc->natts; i++)
			{
				bool		isnull;
				Datum		value = SPI_getbinval(SPI_tuptable->vals[row], desc, i + 1, &isnull);

				EffCsvCell(content, i, isnull ? NULL : OutputFunctionCall(&output[i], value), number[i]);
			}
			EffCsvEndLine(content);
			MemoryContextSwitchTo(previous);
			MemoryContextReset(texts);
		}
		rows += SPI_processed;
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	return rows;
}

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == OIDOID ||
		type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID;
}

/* trouble says without the query's words what the parser does not accept. */
static const char *
trouble(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_SYNTAX_ERROR:
			return "It has a syntax error";
		case ERRCODE_UNDEFINED_TABLE:
			return "It names a table that does not exist";
		case ERRCODE_UNDEFINED_COLUMN:
			return "It names a column that does not exist";
		case ERRCODE_UNDEFINED_FUNCTION:
			return "It calls a function or operator that does not exist for these types";
		case ERRCODE_UNDEFINED_PARAMETER:
			return "It has other parameters than $1";
		case ERRCODE_AMBIGUOUS_COLUMN:
			return "It names a column that several of its tables have";
		default:
			return "PostgreSQL does not accept it";
	}
}

static void
refuse(const Question *question, const char *objection)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("question \"%s\" cannot be asked", question->name),
			 errdetail("%s.", objection),
			 errhint("Write one SELECT that reads only, takes the identifier as $1, text, and gives each column a name of its own; PREPARE q (text) AS SELECT ... shows where it fails."),
			 errhidestmt(true)));
}

static EffStatementPlace
place_of(const Question *question)
{
	return (EffStatementPlace) {.action = "question", .relation = psprintf("\"%s\"", question->name), .denied_hint = DENIED};
}
