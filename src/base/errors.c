/*
 * errors.c
 *	  Errors of other code: caught in subtransactions, or raised again without
 *	  the values that they may quote.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/run.h"

#include "utils/builtins.h"

static bool is_nobodys_fault(int sqlstate);

/*
 * EffCatchUserError is called in PG_CATCH around code that only computes what
 * somebody wrote: an expression, a value.  It returns the error, in the given
 * memory context, so that the caller says in words of its own what is wrong, and
 * raises that: nothing is undone, whatever role the code ran as.  A cancel and a
 * lack of resources are raised again, since they say nothing about the text.
 */
ErrorData *
EffCatchUserError(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (is_nobodys_fault(error->sqlerrcode))
		PG_RE_THROW();
	FlushErrorState();
	return error;
}

/*
 * EffCatchDataError is called in PG_CATCH around code that only reads a text.
 * It returns the error, in the given memory context, where the text is to
 * blame: the error is a data exception.  The caller raises one of its own.  Any
 * other error is raised again.
 */
ErrorData *
EffCatchDataError(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		PG_RE_THROW();
	FlushErrorState();
	return error;
}

/*
 * EffSubBegin begins a subtransaction, in which an error can be caught and
 * gone on from.  Called before PG_TRY; the memory context stays the caller's.
 */
void
EffSubBegin(EffSubtransaction *sub)
{
	sub->context = CurrentMemoryContext;
	sub->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(sub->context);
}

/*
 * EffSubEnd ends the subtransaction, and keeps what was done in it or takes it
 * back.  The memory context and the resource owner of the beginning are
 * restored.
 */
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

/*
 * EffSubCatch is called in PG_CATCH: it takes the subtransaction back and
 * returns the error, in the memory context of the beginning.
 */
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
 * EffSubCatchUserError is the same for code that only computes what somebody
 * wrote, where any failure is an answer.  A cancel and a lack of resources are
 * raised again.
 */
ErrorData *
EffSubCatchUserError(const EffSubtransaction *sub)
{
	ErrorData  *error = EffSubCatch(sub);

	if (is_nobodys_fault(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

/* is_nobodys_fault: the error says nothing about what was computed. */
static bool
is_nobodys_fault(int sqlstate)
{
	return sqlstate == ERRCODE_QUERY_CANCELED ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INSUFFICIENT_RESOURCES;
}

/*
 * EffRethrowWithoutValues is called in PG_CATCH.  It raises the error again
 * with its SQLSTATE and the names of objects, and without message, detail,
 * context and statement, since any of them may quote a row.
 */
void
EffRethrowWithoutValues(const EffStatementPlace *place)
{
	ErrorData  *error = CopyErrorData();
	const char *hint = error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ? place->denied_hint :
	NULL;
	const char *undone = place->batch ? "This batch was undone, those before it stay" :
	"Nothing was changed";
	const char *column = error->column_name ? error->column_name : place->column;
	const char *of_columns = "";

	FlushErrorState();
	foreach_ptr(EffPlaceConstraint, constraint, place->constraints)
	{
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
				hint = "Citus may take no such statement on distributed tables, or not after "
					   "others of the transaction.  See \"Many nodes\" in doc/scaling.md.";
			break;
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			hint = "A row that references what goes came in meanwhile, or nothing in the data map "
				   "knows of it.  Run the call again; repeating it is safe.";
			break;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			/* the format of the message, which no translation changes */
			if (error->message_id != NULL && strstr(error->message_id,
													"row-level security") != NULL)
				hint = "Row-level security hides rows of this table, or of one that the statement "
					   "reads, from the calling role.  Call as the tables' owner or as a role "
					   "with BYPASSRLS.";
			else if (place->denied_hint == NULL)
				hint = "Grant the calling role SELECT, UPDATE and DELETE on the tables of the "
					   "plan.";
			break;
	}
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 place->column ? errmsg("%s %s.%s failed", place->action, place->relation,
									quote_identifier(place->column)) :
			 errmsg("%s %s failed", place->action, place->relation),
			 error->constraint_name ?
			 errdetail("SQLSTATE %s, constraint \"%s\"%s.  %s; the original message is withheld, "
					   "since it may hold personal data.",
					   unpack_sql_state(error->sqlerrcode), error->constraint_name, of_columns,
					   undone) :
			 errdetail("SQLSTATE %s.  %s; the original message is withheld, since it may hold "
					   "personal data.",
					   unpack_sql_state(error->sqlerrcode), undone),
			 hint ? errhint("%s", hint) : 0,
			 error->schema_name ? err_generic_string(PG_DIAG_SCHEMA_NAME, error->schema_name) : 0,
			 error->table_name ? err_generic_string(PG_DIAG_TABLE_NAME, error->table_name) : 0,
			 column ? err_generic_string(PG_DIAG_COLUMN_NAME, column) : 0,
			 error->datatype_name ? err_generic_string(PG_DIAG_DATATYPE_NAME,
													   error->datatype_name) : 0,
			 error->constraint_name ? err_generic_string(PG_DIAG_CONSTRAINT_NAME,
														 error->constraint_name) : 0,
			 errhidestmt(true)));
}

/*
 * EffQuoteLiteral returns a string constant, in the current memory context,
 * that reads the same whatever standard_conforming_strings is: a text with a
 * backslash gets the form E'...'.
 */
char *
EffQuoteLiteral(const char *text)
{
	return quote_literal_cstr(text);
}
