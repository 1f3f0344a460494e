/*
 * audit.c
 *	  Writes audit events and keeps the secret, as the owner of their tables.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog.h"
#include "spi.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SECRET_BYTES 32

/* A statement over effaced's own tables, prepared once per session */
typedef struct OwnStatement
{
	const char *sql;			/* %s stands for the schema */
	SPIPlanPtr	plan;
	Oid			relation;		/* of the trail for which it was prepared */
} OwnStatement;

static OwnStatement append_events = {
	"INSERT INTO %s.effaced_audit_events"
	" (event_type, subject, subject_ref, occurred_at, actor, payload)"
	" SELECT e.event_type, e.subject, e.subject_ref, e.occurred_at, $6, e.payload::pg_catalog.jsonb"
	" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
	" pg_catalog.unnest($4), pg_catalog.unnest($5)) WITH ORDINALITY"
	" AS e (event_type, subject, subject_ref, occurred_at, payload, ordinal)"
	" ORDER BY e.ordinal RETURNING event_id"
};

static OwnStatement find_erasures = {
	"SELECT r.ordinality, pg_catalog.bool_or((e.payload ->> 'subject_found')::boolean)"
	" FROM pg_catalog.unnest($2) WITH ORDINALITY AS r (ref, ordinality)"
	" JOIN %s.effaced_audit_events e ON e.subject_ref = r.ref AND e.subject = $1"
	" AND e.event_type = 'erasure_local_completed' AND NOT e.payload ? 'tables'"
	" GROUP BY r.ordinality"
};

static SPIPlanPtr own_plan(OwnStatement *own, int nargs, Oid *types);
static Datum text_array(List *events, int member);

AuditEvent *
EffAuditEvent(const char *type, const char *subject, const char *subject_ref, const char *payload)
{
	AuditEvent *event = palloc(sizeof(AuditEvent));

	event->type = type;
	event->subject = subject;
	event->subject_ref = subject_ref;
	event->occurred_at = GetCurrentTimestamp();
	event->payload = pstrdup(payload);
	return event;
}

/*
 * EffAuditAppend inserts the events with one statement, in order of the list.
 */
char *
EffAuditAppend(List *events)
{
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTOID};
	Datum		values[6];
	Datum	   *times = palloc(sizeof(Datum) * Max(list_length(events), 1));
	MemoryContext context = CurrentMemoryContext;
	EffBracket	bracket;
	char	   *id;
	ListCell   *lc;

	foreach(lc, events)
		times[foreach_current_index(lc)] = TimestampTzGetDatum(((AuditEvent *) lfirst(lc))->occurred_at);
	for (int member = 0; member < 3; member++)
		values[member] = text_array(events, member);
	values[3] = PointerGetDatum(construct_array(times, list_length(events), TIMESTAMPTZOID,
												sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[4] = text_array(events, 3);
	values[5] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));

	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecute(own_plan(&append_events, lengthof(types), types), values, NULL, false,
						 SPI_OK_INSERT_RETURNING, NULL);
	id = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[SPI_processed - 1],
												   SPI_tuptable->tupdesc, 1));
	EffSpiEnd(&bracket);
	return id;
}

/*
 * EffAuditErased looks for erasures of all tables; one that was restricted to
 * some does not count.
 */
ErasureRecord *
EffAuditErased(const char *kind, char **refs, int n)
{
	ErasureRecord *erased = palloc0(sizeof(ErasureRecord) * Max(n, 1));
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	EffBracket	bracket;

	if (n == 0)
		return erased;
	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(refs[i]);
	values[0] = CStringGetTextDatum(kind);
	values[1] = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecute(own_plan(&find_erasures, lengthof(types), types), values, NULL, false, SPI_OK_SELECT, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int64		place = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

		erased[place - 1] = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &isnull)) ?
			ERASURE_RECORDED : ERASURE_OF_NOBODY;
	}
	EffSpiEnd(&bracket);
	return erased;
}

/*
 * EffSecret reads the secret, and makes one where the database has none yet:
 * a restore must find the table empty to bring the old one over.
 */
const char *
EffSecret(DataMap *map)
{
	const char *schema;
	EffBracket	bracket;

	if (map->secret != NULL)
		return map->secret;
	schema = EffExtensionSchemaSql();

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute(psprintf("SELECT secret FROM %s.effaced_secret", schema), false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the secret");
	if (SPI_processed == 0)
	{
		uint8		bytes[SECRET_BYTES];
		char		digits[2 * SECRET_BYTES + 1];
		Oid			type = TEXTOID;
		Datum		value;

		if (!pg_strong_random(bytes, SECRET_BYTES))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		for (int i = 0; i < SECRET_BYTES; i++)
			snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
		value = CStringGetTextDatum(digits);
		if (SPI_execute_with_args(psprintf("INSERT INTO %s.effaced_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING", schema),
								  1, &type, &value, NULL, false, 0) != SPI_OK_INSERT ||
			SPI_execute(psprintf("SELECT secret FROM %s.effaced_secret", schema), false, 1) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not make the secret");
	}
	map->secret = MemoryContextStrdup(map->context,
									  SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	EffSpiEnd(&bracket);
	return map->secret;
}

/* own_plan prepares a statement once, and again where the extension was created anew. */
static SPIPlanPtr
own_plan(OwnStatement *own, int nargs, Oid *types)
{
	Oid			relation = EffOwnRelation("effaced_audit_events");

	if (own->plan != NULL && own->relation != relation)
	{
		SPI_freeplan(own->plan);
		own->plan = NULL;
	}
	if (own->plan == NULL)
	{
		own->plan = EffSpiPrepare(psprintf(own->sql, EffExtensionSchemaSql()), nargs, types);
		own->relation = relation;
	}
	return own->plan;
}

/* text_array gathers one member of every event; NULLs stay. */
static Datum
text_array(List *events, int member)
{
	int			n = list_length(events);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			lower = 1;
	ListCell   *lc;

	foreach(lc, events)
	{
		AuditEvent *event = lfirst(lc);
		const char *text = member == 0 ? event->type : member == 1 ? event->subject :
			member == 2 ? event->subject_ref : event->payload;
		int			i = foreach_current_index(lc);

		nulls[i] = text == NULL;
		values[i] = text ? CStringGetTextDatum(text) : (Datum) 0;
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}
