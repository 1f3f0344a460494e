/*
 * ledger.c
 *	  What the ledgers of consent (Art. 7) and restriction (Art. 18) ask of the
 *	  data map; the ledgers themselves are tables.
 */
#include "postgres.h"

#include "ledger.h"
#include "graph.h"
#include "identifier.h"
#include "spi.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_resolve_subject);
PG_FUNCTION_INFO_V1(effaced_check_purpose);

/*
 * effaced_resolve_subject(subject_id, subject) gives the kind of subject and
 * the canonical identifier, as every verb records them.
 */
Datum
effaced_resolve_subject(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubject(map, PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1));
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	TupleDesc	desc;
	Datum		values[2] = {CStringGetTextDatum(subject->kind), CStringGetTextDatum(key->text)};
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * effaced_check_purpose(purpose, required) returns the purpose, or fails.
 * PL/pgSQL could not keep the caller's statement, with its free text, out of
 * the log.
 */
Datum
effaced_check_purpose(PG_FUNCTION_ARGS)
{
	if (EffLedgerPurpose(fcinfo, 0, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1)) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

char *
EffLedgerPurpose(FunctionCallInfo fcinfo, int argno, bool required)
{
	char	   *purpose = PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));

	if (purpose == NULL ? required : purpose[strspn(purpose, " \t\r\n\f\v")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 purpose == NULL ? errmsg("purpose must not be NULL") : errmsg("purpose must not be empty"),
				 required ? errhint("Name what the data is processed for, such as 'newsletter'.") :
				 errhint("Name what the data is processed for, such as 'newsletter', or leave it out for every purpose."),
				 errhidestmt(true)));
	return purpose;
}

/*
 * EffLedgerRestricted reads the ledger as its owner.  An identifier that does
 * not fit the key any more, since its type was changed, can be nobody's.
 */
RestrictedSubjects *
EffLedgerRestricted(MapTable *subject, const char *purpose, bool any)
{
	RestrictedSubjects *restricted = palloc0(sizeof(RestrictedSubjects));
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TEXTOID, BOOLOID};
	Datum		values[] = {CStringGetTextDatum(subject->kind), (Datum) 0, BoolGetDatum(any)};
	char		nulls[] = {' ', purpose ? ' ' : 'n', ' ', '\0'};
	char	  **refs;
	int			n;
	EffBracket	bracket;

	if (purpose != NULL)
		values[1] = CStringGetTextDatum(purpose);
	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(psprintf("SELECT DISTINCT r.subject_ref FROM %s.effaced_restrictions r"
									   " WHERE r.subject = $1 AND (r.purpose IS NULL OR r.purpose = $2 OR $3)",
									   EffExtensionSchemaSql()),
							  3, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the ledger of restrictions");
	n = SPI_processed;
	refs = MemoryContextAlloc(context, sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		refs[i] = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	EffSpiEnd(&bracket);

	restricted->subject = subject;
	restricted->keys = palloc(sizeof(SubjectKey *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PG_TRY();
		{
			restricted->keys[restricted->nkeys] = EffIdentifierResolve(subject, EffIdentifierFromText(refs[i]));
			restricted->nkeys++;
		}
		PG_CATCH();
		{
			(void) EffCatchUserError(context);
		}
		PG_END_TRY();
	}
	return restricted;
}
