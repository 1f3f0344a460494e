/*
 * ledger.c
 *	  What the ledgers of consent (Art. 7) and restriction (Art. 18) ask of the
 *	  data map; the ledgers themselves are tables.
 */
#include "postgres.h"

#include "graph.h"
#include "identifier.h"

#include "access/htup_details.h"
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
 * effaced_check_purpose(purpose, required) returns the purpose, or ERROR ZE005
 * where it is blank, or missing though required.  PL/pgSQL could not keep the
 * caller's statement, with its free text, out of the log.
 */
Datum
effaced_check_purpose(PG_FUNCTION_ARGS)
{
	bool		required = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	char	   *purpose = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (purpose == NULL ? required : purpose[strspn(purpose, " \t\r\n\f\v")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 purpose == NULL ? errmsg("purpose must not be NULL") : errmsg("purpose must not be empty"),
				 required ? errhint("Name what the data is processed for, such as 'newsletter'.") :
				 errhint("Name what the data is processed for, such as 'newsletter', or leave it out for every purpose."),
				 errhidestmt(true)));
	if (purpose == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
