/*
 * ledger.c
 *	  The ledgers of consent (Art. 7) and restriction (Art. 18).
 *
 * Subjects are resolved with the caller's privileges, since a type's input may
 * run somebody's code; only the tables of the ledgers are read and written as
 * their owner.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "base/run.h"
#include "ledger/ledger.h"
#include "map/graph.h"
#include "trail/trail.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(effaced_consent_grant);
PG_FUNCTION_INFO_V1(effaced_consent_withdraw);
PG_FUNCTION_INFO_V1(effaced_consent_status);
PG_FUNCTION_INFO_V1(effaced_consent_history);
PG_FUNCTION_INFO_V1(effaced_restrict);
PG_FUNCTION_INFO_V1(effaced_lift_restriction);
PG_FUNCTION_INFO_V1(effaced_restriction_status);
PG_FUNCTION_INFO_V1(effaced_restriction_history);

/* A record has the id and the time of its event in the trail */
#define RECORD_EVENT \
	" RETURNING *), event AS (INSERT INTO effaced.effaced_audit_events" \
	" (event_id, event_type, subject, subject_ref, occurred_at, payload)" \
	" SELECT r.record_id, $5, r.subject, r.subject_ref, r.recorded_at," \
	" pg_catalog.jsonb_build_object('purpose', r.purpose) FROM record r)" \
	" SELECT record_id FROM record"

static Datum record_consent(FunctionCallInfo fcinfo, bool granted);
static Datum record_restriction(FunctionCallInfo fcinfo, bool restricted);
static ParamListInfo subject_params(FunctionCallInfo fcinfo, int argno, int n);
static void set_text(ParamListInfo params, int i, const char *text);
static void set_bool(ParamListInfo params, int i, bool value);
static char *text_argument(FunctionCallInfo fcinfo, int argno);
static Datum write_record(const char *ledger, const char *sql, ParamListInfo params);
static bool ask_ledger(const char *ledger, const char *sql, ParamListInfo params);
static int	resolve_refs(SubjectSet *restricted, char **refs, int first, int n);
static void give_history(FunctionCallInfo fcinfo, const char *ledger);

/*
 * effaced_consent_grant(subject_id, purpose, source, subject) records a consent
 * and returns the id of the record, which is also that of its event.
 */
Datum
effaced_consent_grant(PG_FUNCTION_ARGS)
{
	return record_consent(fcinfo, true);
}

/* effaced_consent_withdraw(subject_id, purpose, source, subject) records that a consent ended. */
Datum
effaced_consent_withdraw(PG_FUNCTION_ARGS)
{
	return record_consent(fcinfo, false);
}

/*
 * effaced_consent_status(subject_id, purpose, subject) returns whether the latest
 * record is a consent.  Of two records of one moment the withdrawal counts.
 */
Datum
effaced_consent_status(PG_FUNCTION_ARGS)
{
	ParamListInfo params = subject_params(fcinfo, 2, 3);

	set_text(params, 2, EffLedgerPurpose(fcinfo, 1, true));
	PG_RETURN_BOOL(ask_ledger(LEDGER_CONSENTS,
							  psprintf("SELECT COALESCE((SELECT pg_catalog.bool_and(r.granted)"
									   " FROM %s." LEDGER_CONSENTS " r"
									   " WHERE r.subject = $1 AND r.subject_ref = $2"
									   " AND r.purpose = $3 GROUP BY r.recorded_at"
									   " ORDER BY r.recorded_at DESC LIMIT 1), false)",
									   EffExtensionSchemaSql()),
							  params));
}

/* effaced_consent_history(subject_id, subject) returns the records of a subject, oldest first. */
Datum
effaced_consent_history(PG_FUNCTION_ARGS)
{
	give_history(fcinfo, LEDGER_CONSENTS);
	return (Datum) 0;
}

/*
 * effaced_restrict(subject_id, purpose, reason, source, subject) records that a
 * subject's data is not to be processed, for a purpose or, where it is NULL, at
 * all; it returns the id of the record.
 */
Datum
effaced_restrict(PG_FUNCTION_ARGS)
{
	return record_restriction(fcinfo, true);
}

/* effaced_lift_restriction(...) has the same arguments, and records that a restriction ended. */
Datum
effaced_lift_restriction(PG_FUNCTION_ARGS)
{
	return record_restriction(fcinfo, false);
}

/*
 * effaced_restriction_status(subject_id, purpose, subject) returns whether a
 * restriction is in force for the purpose, or one for all purposes.
 */
Datum
effaced_restriction_status(PG_FUNCTION_ARGS)
{
	ParamListInfo params = subject_params(fcinfo, 2, 3);

	set_text(params, 2, EffLedgerPurpose(fcinfo, 1, false));
	PG_RETURN_BOOL(ask_ledger(LEDGER_RESTRICTIONS,
							  "SELECT EXISTS (SELECT FROM effaced.effaced_restrictions r"
							  " WHERE r.subject = $1 AND r.subject_ref = $2"
							  " AND (r.purpose IS NULL OR r.purpose = $3))", params));
}

/*
 * effaced_restriction_history(subject_id, subject) returns the records of a
 * subject, oldest first.
 */
Datum
effaced_restriction_history(PG_FUNCTION_ARGS)
{
	give_history(fcinfo, LEDGER_RESTRICTIONS);
	return (Datum) 0;
}

static Datum
record_consent(FunctionCallInfo fcinfo, bool granted)
{
	ParamListInfo params = subject_params(fcinfo, 3, 6);

	set_text(params, 2, EffLedgerPurpose(fcinfo, 1, true));
	set_bool(params, 3, granted);
	set_text(params, 4, granted ? "consent_granted" : "consent_withdrawn");
	set_text(params, 5, text_argument(fcinfo, 2));
	return write_record(LEDGER_CONSENTS, "WITH record AS (INSERT INTO effaced." LEDGER_CONSENTS
										   " (subject, subject_ref, purpose, granted, source)"
										   " VALUES ($1, $2, $3, $4, $6)" RECORD_EVENT, params);
}

static Datum
record_restriction(FunctionCallInfo fcinfo, bool restricted)
{
	ParamListInfo params = subject_params(fcinfo, 4, 7);

	set_text(params, 2, EffLedgerPurpose(fcinfo, 1, false));
	set_bool(params, 3, restricted);
	set_text(params, 4, restricted ? "restriction_placed" : "restriction_lifted");
	set_text(params, 5, text_argument(fcinfo, 2));
	set_text(params, 6, text_argument(fcinfo, 3));
	EffTrailMeetErasures(TextDatumGetCString(params->params[0].value),
						 TextDatumGetCString(params->params[1].value));
	return write_record(LEDGER_RESTRICTIONS,
						"WITH record AS (INSERT INTO effaced." LEDGER_RESTRICTIONS
						" (subject, subject_ref, purpose, restricted, reason, source)"
						" VALUES ($1, $2, $3, $4, $6, $7)" RECORD_EVENT,
						params);
}

/* subject_params makes n parameters and fills the first two: kind and canonical identifier. */
static ParamListInfo
subject_params(FunctionCallInfo fcinfo, int argno, int n)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, argno);
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	ParamListInfo params = makeParamList(n);

	set_text(params, 0, subject->kind);
	set_text(params, 1, key->text);
	return params;
}

static void
set_text(ParamListInfo params, int i, const char *text)
{
	params->params[i].ptype = TEXTOID;
	params->params[i].pflags = PARAM_FLAG_CONST;
	params->params[i].isnull = text == NULL;
	params->params[i].value = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
set_bool(ParamListInfo params, int i, bool value)
{
	params->params[i].ptype = BOOLOID;
	params->params[i].pflags = PARAM_FLAG_CONST;
	params->params[i].isnull = false;
	params->params[i].value = BoolGetDatum(value);
}

static char *
text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/* write_record writes a record with its event, and returns the id of both. */
static Datum
write_record(const char *ledger, const char *sql, ParamListInfo params)
{
	const EffStatementPlace place = {.action = "writing to", .relation = ledger};
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	EffBracket	bracket;
	bool		isnull;

	EffSpiBeginAsOwner(&bracket);
	if (EffSpiExecuteFor(sql, params, false, NULL, &place) != 1)
		elog(ERROR, "a record was not written");
	memcpy(id,
		   DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)),
		   sizeof(pg_uuid_t));
	EffSpiEnd(&bracket);
	return UUIDPGetDatum(id);
}

static bool
ask_ledger(const char *ledger, const char *sql, ParamListInfo params)
{
	const EffStatementPlace place = {.action = "reading", .relation = ledger};
	EffBracket	bracket;
	bool		isnull;
	bool		answer;

	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteFor(sql, params, true, NULL, &place);
	answer = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	EffSpiEnd(&bracket);
	return answer;
}

/* give_history returns the rows of a ledger that are about a subject, oldest first. */
static void
give_history(FunctionCallInfo fcinfo, const char *ledger)
{
	const EffStatementPlace place = {.action = "reading", .relation = ledger};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ParamListInfo params = subject_params(fcinfo, 1, 2);
	EffBracket	bracket;

	InitMaterializedSRF(fcinfo, 0);
	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteFor(psprintf("SELECT r.* FROM effaced.%s r WHERE r.subject = $1"
									 " AND r.subject_ref = $2"
									 " ORDER BY r.recorded_at, r.seq", ledger),
							params, true, NULL, &place);
	for (uint64 row = 0; row < SPI_processed; row++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
	EffSpiEnd(&bracket);
}

/*
 * EffLedgerPurpose returns a text argument as the purpose of processing, in the
 * current memory context; NULL, where that is allowed, stands for every purpose.
 * ERROR ZE005 where it is blank, which nobody would find again.
 */
char *
EffLedgerPurpose(FunctionCallInfo fcinfo, int argno, bool required)
{
	char	   *purpose = PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));

	if (purpose == NULL ? required : purpose[strspn(purpose, " \t\r\n\f\v")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 purpose == NULL ? errmsg("purpose must not be NULL") :
				 errmsg("purpose must not be empty"),
				 required ? errhint("Name what the data is processed for, such as 'newsletter'.") :
				 errhint("Name what the data is processed for, such as 'newsletter', or leave it"
						 " out for every purpose."),
				 errhidestmt(true)));
	return purpose;
}

/*
 * EffLedgerRestricted returns the subjects of a kind whose processing is
 * restricted, for the purpose or for all of them, in the current memory context;
 * with purpose NULL only the latter, with any those of every purpose.
 *
 * The ledger is read as its owner, the identifiers are resolved with the caller's
 * privileges.  An identifier that does not fit the key any more, because the
 * key's type was changed, is left out: no row can have it.
 */
SubjectSet *
EffLedgerRestricted(MapTable *subject, const char *purpose, bool any)
{
	SubjectSet *restricted = palloc0(sizeof(SubjectSet));
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
	if (SPI_execute_with_args("SELECT DISTINCT r.subject_ref FROM effaced.effaced_restrictions r"
							  " WHERE r.subject = $1 AND (r.purpose IS NULL OR r.purpose = $2"
							  " OR $3)",
							  3, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the ledger of restrictions");
	n = SPI_processed;
	refs = MemoryContextAlloc(context, sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		refs[i] = MemoryContextStrdup(context,
									  SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
												   1));
	EffSpiEnd(&bracket);

	restricted->subject = subject;
	restricted->keys = palloc(sizeof(SubjectKey *) * Max(n, 1));
	for (int i = 0; i < n;)
		i = resolve_refs(restricted, refs, i, n) + 1;
	return restricted;
}

/*
 * resolve_refs adds the identifiers from the first on, and returns the place of the
 * one that does not fit the key, or n.  All are resolved in one subtransaction, which
 * is undone at such a one.
 */
static int
resolve_refs(SubjectSet *restricted, char **refs, int first, int n)
{
	EffSubtransaction sub;
	int			volatile i = first;

	EffSubBegin(&sub);
	PG_TRY();
	{
		for (; i < n; i++)
		{
			SubjectIdentifier *identifier = EffIdentifierFromText(refs[i]);
			SubjectKey *key = EffIdentifierResolve(restricted->subject, identifier);

			restricted->keys[restricted->nkeys++] = key;
		}
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		ErrorData  *error = EffSubCatch(&sub);

		if (error->sqlerrcode != ERRCODE_EFF_SUBJECT)
			ReThrowError(error);
	}
	PG_END_TRY();
	return i;
}

/*
 * EffLedgerLostKinds returns the kinds of subjects that a ledger has records in
 * force of and no subject table of the map has, in the current memory context: a
 * table that was renamed, or labelled anew, may have become one of another kind.
 */
List *
EffLedgerLostKinds(DataMap *map, const char *ledger)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *kinds = NIL;
	Oid			types[] = {TEXTARRAYOID};
	Datum		values[1];
	List	   *lost = NIL;
	MemoryContext spi;
	EffBracket	bracket;

	for (int i = 0; i < map->ntables; i++)
		if (map->tables[i]->is_subject && map->tables[i]->kind != NULL)
			kinds = lappend(kinds, map->tables[i]->kind);
	values[0] = EffTextArrayOfList(kinds);
	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(strcmp(ledger, LEDGER_RESTRICTIONS) == 0 ?
							  "SELECT DISTINCT r.subject FROM effaced.effaced_restrictions r"
							  " WHERE r.subject <> ALL ($1) ORDER BY 1" :
							  "SELECT DISTINCT r.subject FROM effaced." LEDGER_CONSENTS " r"
							  " WHERE r.subject <> ALL ($1) ORDER BY 1",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a ledger");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		lost = lappend(lost, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
	return lost;
}
