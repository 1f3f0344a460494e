/*
 * question_run.c
 *	  Checks and asks saved questions.
 *
 * A question is code that somebody else wrote.  It runs as the role that
 * registered it, security-restricted and reading only, so that it can do nothing
 * with the privileges of the role that asks it; and the role that asks it must be
 * allowed to read its tables, so that the question lends no privileges either.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/csv.h"
#include "base/own.h"
#include "export/question_run.h"
#include "relations/types.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#define BATCH_ROWS 1000			/* rows of an answer that are read at a time */

#define DENIED \
	"The role that registered the question and the role that runs it both need SELECT" \
	" on the tables that it reads, and no row-level security in the way."

/* A question that is ready to run */
typedef struct PreparedQuestion
{
	SPIPlanPtr	plan;
	Oid			type;			/* of $1 */
	const char *objection;		/* why it is none; NULL where it is one */
} PreparedQuestion;

/* All questions about one subject */
typedef struct Inquiry
{
	const char *subject_id;
	Oid			caller;
	List	   *questions;		/* of Question */
	List	   *answers;		/* of Answer */
} Inquiry;

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

static ErrorData *rolled_back(void (*work) (void *arg), void *arg);
static void ask_all(void *arg);
static void prepare_only(void *arg);
static Answer *ask(const Question *question, const char *subject_id, Oid caller);
static void prepare(const Question *question, Oid caller, PreparedQuestion *prepared);
static void analyze(void *arg);
static List *session_locks(void);
static bool release_locks_but(List *held);
static const char *objection_to_columns(Query *query);
static bool objection_walker(Node *node, void *found);
static void check_caller(SPIPlanPtr plan, Oid caller);
static uint64 write_answer(StringInfo content, Portal portal);
static bool is_number(Oid type);
static const char *trouble(int sqlstate);
static void refuse(const Question *question, const char *objection) pg_attribute_noreturn();
static EffStatementPlace place_of(const Question *question);

/*
 * EffQuestionCheck returns where a question could be asked now, by its role; ERROR
 * ZE005 where it could not.  The question is prepared as when it is asked.  What
 * the parser says of it may quote constants of the query, and is not repeated.
 */
void
EffQuestionCheck(const Question *question)
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
		refuse(question,
			   psprintf("%s (SQLSTATE %s)", trouble(error->sqlerrcode),
						unpack_sql_state(error->sqlerrcode)));
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

/*
 * EffQuestionsAsk asks all questions of a list, or none, about one subject, and
 * returns a list of Answer in the same order, without file names, in the current
 * memory context.  The questions read the active snapshot, and what any of them
 * writes is rolled back.  ERROR where one of them cannot be asked, or writes.
 */
List *
EffQuestionsAsk(List *questions, const char *subject_id)
{
	Inquiry		inquiry = {.subject_id = subject_id, .caller = GetUserId(), .questions = questions};
	List	   *held = session_locks();
	ErrorData  *error = rolled_back(ask_all, &inquiry);
	bool		locked = release_locks_but(held);

	if (error != NULL)
		ReThrowError(error);
	if (locked)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a question takes a lock that would outlast it"),
				 errdetail("The advisory lock was released."),
				 errhint("Register queries that only read; look at the functions that they"
						 " call.")));
	return inquiry.answers;
}

/*
 * ask_all asks one question after the other.  A question that writes makes the
 * subtransaction have an XID: that catches what a read-only transaction lets pass,
 * such as large objects and temporary tables.
 */
static void
ask_all(void *arg)
{
	Inquiry    *inquiry = arg;

	foreach_ptr(Question, question, inquiry->questions)
	{
		inquiry->answers = lappend(inquiry->answers,
								   ask(question, inquiry->subject_id, inquiry->caller));
		if (TransactionIdIsValid(GetCurrentTransactionIdIfAny()))
			ereport(ERROR,
					(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					 errmsg("question \"%s\" writes", question->name),
					 errdetail("Nothing of it was kept."),
					 errhint("Register a query that only reads; look at the functions that it"
							 " calls."),
					 errhidestmt(true)));
	}
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
				 errmsg("role \"%s\", which registered question \"%s\", does not exist",
						question->role, question->name),
				 errhint("SELECT %s.effaced_drop_question(%s); and register it again as another"
						 " role.",
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
			answer->rows = write_answer(&content,
										SPI_cursor_open(NULL, prepared.plan, &value, NULL, true));
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
 * session_locks returns the advisory locks of this session, as LOCKTAGs: those of
 * a transaction are given up with it, and those of a session outlast a rollback.
 */
static List *
session_locks(void)
{
	LockData   *locks = GetLockStatusData();
	List	   *tags = NIL;

	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];

		if (lock->pid == MyProcPid && lock->holdMask != 0 &&
			lock->locktag.locktag_lockmethodid == USER_LOCKMETHOD)
			tags = lappend(tags, &lock->locktag);
	}
	return tags;
}

/* release_locks_but releases the session's advisory locks but these, and returns whether it did. */
static bool
release_locks_but(List *held)
{
	bool		released = false;

	foreach_ptr(LOCKTAG, tag, session_locks())
	{
		bool		kept = false;

		foreach_ptr(LOCKTAG, other, held)
			kept |= memcmp(tag, other, sizeof(LOCKTAG)) == 0;
		if (kept)
			continue;
		for (LOCKMODE mode = ShareLock; mode <= ExclusiveLock; mode++)
			while ((mode == ShareLock || mode == ExclusiveLock) &&
				   LockHeldByMe(tag, mode) && LockRelease(tag, mode, true))
				released = true;
	}
	return released;
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
	MemoryContext texts = AllocSetContextCreate(CurrentMemoryContext, "effaced answer",
												ALLOCSET_DEFAULT_SIZES);
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

				EffCsvCell(content, i, isnull ? NULL : OutputFunctionCall(&output[i], value),
						   number[i]);
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
			 errhint("Write one SELECT that reads only, takes the identifier as $1, text, and"
					 " gives each column a name of its own; PREPARE q (text) AS SELECT ... shows"
					 " where it fails."),
			 errhidestmt(true)));
}

static EffStatementPlace
place_of(const Question *question)
{
	return (EffStatementPlace) {.action = "question",
								.relation = psprintf("\"%s\"", question->name),
								.denied_hint = DENIED};
}

