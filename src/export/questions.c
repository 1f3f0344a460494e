/*
 * questions.c
 *	  The registry of questions: saved queries whose answers belong to an access
 *	  request.  question_run.c asks them.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/own.h"
#include "export/questions.h"
#include "subject/subject.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define MAX_NAME 255			/* bytes, of a question and of a file */
#define MAX_SHORT_NAME 64

PG_FUNCTION_INFO_V1(effaced_register_question);
PG_FUNCTION_INFO_V1(effaced_drop_question);
PG_FUNCTION_INFO_V1(effaced_run_questions);

static char *text_argument(FunctionCallInfo fcinfo, int argno, const char *name);
static List *load_questions(void);
static void check_file_prefix(const char *prefix);
static char *file_stamp(TimestampTz at);
static char *file_name(const Question *question, const char *prefix, const char *stamp);

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
		strspn(question.short_name,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != length)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("short name of question \"%s\" is no part of a file name", question.name),
				 errdetail("Files are named after it."),
				 errhint("Allowed: 1 to %d letters from A to Z, digits, \"_\" and \"-\", such as"
						 " 'order_totals'.", MAX_SHORT_NAME),
				 errhidestmt(true)));
	EffQuestionCheck(&question);

	values[0] = CStringGetTextDatum(question.name);
	values[1] = CStringGetTextDatum(question.short_name);
	values[2] = CStringGetTextDatum(question.query);
	values[3] = CStringGetTextDatum(question.search_path);
	values[4] = CStringGetTextDatum(question.role);
	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args("INSERT INTO effaced.effaced_questions (name, short_name, query,"
							  " search_path, registered_by)"
							  " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
							  5, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not save a question");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("question \"%s\", or another one called \"%s\" in file names, is"
						" registered already",
						question.name, question.short_name),
				 errhint("Choose other names, or drop that question first: SELECT"
						 " effaced_drop_question(%s);",
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
	if (SPI_execute_with_args("SELECT registered_by FROM effaced.effaced_questions"
							  " WHERE name = $1 FOR UPDATE",
							  1, &type, &value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the questions");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("question \"%s\" is not registered", name),
				 errhint("SELECT name FROM %s.effaced_questions;", EffExtensionSchemaSql()),
				 errhidestmt(true)));
	role = get_role_oid(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), true);
	if (!has_privs_of_role(caller, GetUserId()) &&
		!(OidIsValid(role) && has_privs_of_role(caller, role)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for question \"%s\"", name),
				 errhint("Drop it as the role that registered it, or as the owner of the"
						 " extension."),
				 errhidestmt(true)));
	if (SPI_execute_with_args("DELETE FROM effaced.effaced_questions WHERE name = $1",
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
	const char *prefix;

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
	prefix = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	foreach_ptr(Answer, answer,
				EffQuestionsRun(identifier->serialized, prefix, PG_GETARG_TIMESTAMPTZ(2)))
	{
		Datum		values[3] = {
			CStringGetTextDatum(answer->file_name),
			Int64GetDatum(answer->rows),
			CStringGetTextDatum(answer->content)
		};
		bool		nulls[3] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * EffQuestionsRun asks all questions that are registered, by name, and returns
 * their answers as a list of Answer, with file names that begin with file_prefix
 * and end with the time.  ERROR, and no answer at all, where the prefix or the
 * time does not make a file name, or where a question cannot be asked.
 */
List *
EffQuestionsRun(const char *subject_id, const char *file_prefix, TimestampTz at)
{
	char	   *stamp = file_stamp(at);
	List	   *questions = load_questions();
	List	   *answers;
	ListCell   *question;
	ListCell   *answer;

	check_file_prefix(file_prefix);
	foreach(question, questions)
		(void) file_name(lfirst(question), file_prefix, stamp);
	answers = EffQuestionsAsk(questions, subject_id);
	forboth(question, questions, answer, answers)
		((Answer *) lfirst(answer))->file_name = file_name(lfirst(question), file_prefix, stamp);
	return answers;
}

static char *
text_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("argument \"%s\" of a question is NULL", name),
				 errhint("SELECT %s.effaced_register_question('orders and their totals',"
						 " 'order_totals', 'SELECT ... WHERE customer_id = $1::int');",
						 EffExtensionSchemaSql()),
				 errhidestmt(true)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/* load_questions reads the registry: a list of Question, by name. */
static List *
load_questions(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *questions = NIL;
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT name, short_name, query, search_path, registered_by"
					" FROM effaced.effaced_questions"
					" ORDER BY name COLLATE \"C\"", true, 0) != SPI_OK_SELECT)
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
				 errdetail("It holds a slash, a backslash or a control character, or is \".\" or"
						   " \"..\"."),
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
				 errhint("Give a time of the years 1 to 9999, or leave out \"at\" for the time of"
						 " the call."),
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
				 errmsg("file name of question \"%s\" would be longer than %d bytes",
						question->name, MAX_NAME),
				 errhint("Give a shorter file_prefix."),
				 errhidestmt(true)));
	return name;
}

