/*
 * subjects.c
 *	  The kind of a subject table, and the identifiers of its subjects.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "map/graph.h"
#include "rows/scope.h"
#include "subject/subject.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define FETCH_ROWS 10000		/* read at once */

PG_FUNCTION_INFO_V1(effaced_subject_kind);
PG_FUNCTION_INFO_V1(effaced_subject_ids);
PG_FUNCTION_INFO_V1(effaced_subject_ref);
PG_FUNCTION_INFO_V1(effaced_subject_refs);

static Statement *identifiers_statement(DataMap *map, MapTable *subject);
static void put_identifiers(ReturnSetInfo *rsinfo, MapTable *subject);

/*
 * effaced_subject_kind(subject) returns the kind of a subject table's subjects, by which
 * records name it.
 */
Datum
effaced_subject_kind(PG_FUNCTION_ARGS)
{
	MapTable   *subject = EffGraphSubjectArgument(EffGraphGet(), fcinfo, 0);

	PG_RETURN_TEXT_P(cstring_to_text(subject->kind));
}

/*
 * effaced_subject_ids(subject) returns the identifiers of all subjects of the table that
 * its "where" admits, in no order.  They are read through a cursor, since they may be
 * many.
 */
Datum
effaced_subject_ids(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 0);
	Statement  *st = identifiers_statement(map, subject);
	MemoryContext context = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(context, "effaced identifiers",
												ALLOCSET_DEFAULT_SIZES);
	EffBracket	bracket;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	EffSpiBegin(&bracket);
	PG_TRY();
	{
		Portal		portal = SPI_cursor_open_with_args(NULL, st->text.data, 0, NULL, NULL, NULL,
													   true, 0);

		do
		{
			SPI_cursor_fetch(portal, true, FETCH_ROWS);
			MemoryContextSwitchTo(batch);
			put_identifiers(rsinfo, subject);
			MemoryContextSwitchTo(context);
			MemoryContextReset(batch);
			SPI_freetuptable(SPI_tuptable);
		} while (SPI_processed > 0);
		SPI_cursor_close(portal);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&st->place);
	}
	PG_END_TRY();
	EffSpiEnd(&bracket);
	return (Datum) 0;
}

/*
 * effaced_subject_ref(subject_id, subject) returns the one spelling that stands for all
 * identifiers that are equal.
 */
Datum
effaced_subject_ref(PG_FUNCTION_ARGS)
{
	MapTable   *subject = EffGraphSubjectArgument(EffGraphGet(), fcinfo, 1);

	PG_RETURN_TEXT_P(cstring_to_text(EffIdentifierResolve(subject,
														  EffIdentifierArgument(fcinfo, 0))->text));
}

/*
 * effaced_subject_refs(subject_ids, subject) returns the same of many identifiers, and
 * leaves NULLs out.  It runs no CHECK of a domain behind the key, since functions
 * call it that run as effaced's owner.
 */
Datum
effaced_subject_refs(PG_FUNCTION_ARGS)
{
	MapTable   *subject = EffGraphSubjectArgument(EffGraphGet(), fcinfo, 1);
	List	   *refs = NIL;
	char	  **ids;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	ids = EffTextArrayRead(PG_GETARG_DATUM(0), &n);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (ids[i] != NULL)
			refs = lappend(refs, EffIdentifierSpell(subject, EffIdentifierFromText(ids[i])));
	}
	PG_RETURN_DATUM(EffTextArrayOfList(refs));
}

/* identifiers_statement reads the keys of all subjects. */
static Statement *
identifiers_statement(DataMap *map, MapTable *subject)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading identifiers of", subject->rel);

	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", subject->rel, subject->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", subject->rel->sql);
	EffConditionAppend(st, EffScopeSubject(map, st, "t", subject, &EffScopeAny));
	return st;
}

/* put_identifiers adds the identifiers of the rows that were fetched to the result. */
static void
put_identifiers(ReturnSetInfo *rsinfo, MapTable *subject)
{
	Datum	   *key = palloc(sizeof(Datum) * subject->nkey);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		value;
		bool		isnull = false;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < subject->nkey; i++)
			key[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
		value = CStringGetTextDatum(EffIdentifierFromValues(subject, key)->text);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
}
