/*
 * audit.c
 *	  Writes audit events and keeps the secret, as the owner of their tables.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog.h"
#include "citus.h"
#include "spi.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define SECRET_BYTES 32
#define CITUS_MARKER "effaced_citus_commit"	/* made by effaced_enable_citus() */

PG_FUNCTION_INFO_V1(effaced_is_event_type);

/* The words of section 5 of the contract; those of every erasure first */
static const char *const event_types[] = {
	"erasure_step_succeeded", "erasure_requested", "erasure_local_completed", "erasure_completed",
	"consent_granted", "consent_withdrawn", "export_requested", "export_completed",
	"erasure_expiry_scheduled", "erasure_step_failed", "erasure_verified",
	"erasure_verification_failed", "erasure_requeued", "erasure_replayed", "manifest_snapshot",
	"rectification_requested", "rectification_local_completed", "rectification_step_succeeded",
	"rectification_step_failed", "rectification_completed", "restriction_placed",
	"restriction_lifted", "retention_expired", "retention_enforced"
};

static EffOwnStatement append_events = {
	"INSERT INTO %s.effaced_audit_events"
	" (event_type, subject, subject_ref, occurred_at, event_id, actor, payload)"
	" SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
	" pg_catalog.unnest($5), $7, pg_catalog.unnest($6)"
};

/* nothing is there to delete: Citus commits in two phases what such a table was written to in */
static EffOwnStatement join_commit = {
	"DELETE FROM %s." CITUS_MARKER
};

static EffOwnStatement find_erasures = {
	"SELECT e.subject_ref, pg_catalog.bool_or((e.payload ->> 'subject_found')::boolean)"
	" FROM %s.effaced_audit_events e"
	" WHERE e.subject_ref = ANY ($2) AND e.subject = $1"
	" AND e.event_type = 'erasure_local_completed' AND NOT e.payload ? 'tables'"
	" GROUP BY e.subject_ref"
};

/* A refused INSERT must not have the caller's statement logged */
static const EffStatementPlace trail = {.action = "writing to", .relation = "the audit trail"};

static bool is_committed_with_citus(void);
static Datum *make_ids(int n);
static int	compare_refs(const void *a, const void *b, void *refs);
static Datum text_array(List *events, int member);

/* effaced_is_event_type(event_type) is the check of the trail's column. */
Datum
effaced_is_event_type(PG_FUNCTION_ARGS)
{
	text	   *word;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	word = PG_GETARG_TEXT_PP(0);
	for (int i = 0; i < lengthof(event_types); i++)
		if (strlen(event_types[i]) == VARSIZE_ANY_EXHDR(word) &&
			memcmp(event_types[i], VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word)) == 0)
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

AuditEvent *
EffAuditEvent(const char *type, const char *subject, const char *subject_ref, const char *payload)
{
	return EffAuditEventOf(type, subject, subject_ref,
						   DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(payload))));
}

AuditEvent *
EffAuditEventOf(const char *type, const char *subject, const char *subject_ref, Jsonb *payload)
{
	AuditEvent *event = palloc(sizeof(AuditEvent));

	event->type = type;
	event->subject = subject;
	event->subject_ref = subject_ref;
	event->occurred_at = GetCurrentTimestamp();
	event->payload = payload;
	return event;
}

/*
 * EffAuditAppend inserts the events with one statement, in order of the list.
 */
char *
EffAuditAppend(List *events)
{
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, UUIDARRAYOID, JSONBARRAYOID, TEXTOID};
	Datum		values[7];
	int			n = list_length(events);
	Datum	   *times = palloc(sizeof(Datum) * Max(n, 1));
	Datum	   *payloads = palloc(sizeof(Datum) * Max(n, 1));
	Datum	   *ids = make_ids(n);
	EffBracket	bracket;
	ListCell   *lc;

	foreach(lc, events)
	{
		times[foreach_current_index(lc)] = TimestampTzGetDatum(((AuditEvent *) lfirst(lc))->occurred_at);
		payloads[foreach_current_index(lc)] = JsonbPGetDatum(((AuditEvent *) lfirst(lc))->payload);
	}
	for (int member = 0; member < 3; member++)
		values[member] = text_array(events, member);
	values[3] = PointerGetDatum(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[4] = PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[5] = PointerGetDatum(construct_array(payloads, n, JSONBOID, -1, false, TYPALIGN_INT));
	values[6] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));

	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteOwn(&append_events, lengthof(types), types, values, NULL, SPI_OK_INSERT, &trail);
	if (EffCitusPresent() && is_committed_with_citus())
		(void) EffSpiExecuteOwn(&join_commit, 0, NULL, NULL, NULL, SPI_OK_DELETE, &trail);
	EffSpiEnd(&bracket);
	return DatumGetCString(DirectFunctionCall1(uuid_out, ids[n - 1]));
}

/*
 * is_committed_with_citus: effaced_enable_citus() was called.  A table of that
 * name that is somebody else's would run its triggers as the trail's owner.
 */
static bool
is_committed_with_citus(void)
{
	Oid			relid = get_relname_relid(CITUS_MARKER, EffExtensionSchema());
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		own;

	if (!HeapTupleIsValid(tuple))
		return false;
	own = ((Form_pg_class) GETSTRUCT(tuple))->relowner == GetUserId();
	ReleaseSysCache(tuple);
	return own && EffCitusKindOf(relid) == CITUS_LOCAL;
}

/*
 * make_ids makes identifiers that begin with the time (version 7 of RFC 9562),
 * so that they go to one end of their index: 48 bits of milliseconds, and 74
 * of a random number that each one is one more than the last.
 */
static Datum *
make_ids(int n)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(n, 1));
	pg_uuid_t  *uuids = palloc(sizeof(pg_uuid_t) * Max(n, 1));
	uint64		ms = (GetCurrentTimestamp() + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY) / 1000;
	uint16		high;
	uint64		low;

	if (!pg_strong_random(&high, sizeof(high)) || !pg_strong_random(&low, sizeof(low)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	/* no carry: the topmost of the 62 bits is left for counting */
	low >>= 3;
	for (int i = 0; i < n; i++)
	{
		uint64		first = pg_hton64(ms << 16 | 0x7000 | (high & 0x0FFF));
		uint64		second = pg_hton64(UINT64CONST(0x8000000000000000) | (low + i));

		memcpy(uuids[i].data, &first, 8);
		memcpy(uuids[i].data + 8, &second, 8);
		ids[i] = UUIDPGetDatum(&uuids[i]);
	}
	return ids;
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
	int		   *by_ref = palloc(sizeof(int) * Max(n, 1));
	EffBracket	bracket;

	if (n == 0)
		return erased;
	for (int i = 0; i < n; i++)
	{
		elements[i] = CStringGetTextDatum(refs[i]);
		by_ref[i] = i;
	}
	qsort_arg(by_ref, n, sizeof(int), compare_refs, refs);
	values[0] = CStringGetTextDatum(kind);
	values[1] = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteOwn(&find_erasures, lengthof(types), types, values, NULL, SPI_OK_SELECT, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		char	   *ref = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		ErasureRecord record = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &isnull)) ?
			ERASURE_RECORDED : ERASURE_OF_NOBODY;
		int			low = 0;
		int			high = n;

		while (low < high)
		{
			int			middle = low + (high - low) / 2;

			if (strcmp(refs[by_ref[middle]], ref) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < n && strcmp(refs[by_ref[low]], ref) == 0; low++)
			erased[by_ref[low]] = record;
	}
	EffSpiEnd(&bracket);
	return erased;
}

static int
compare_refs(const void *a, const void *b, void *refs)
{
	return strcmp(((char **) refs)[*(const int *) a], ((char **) refs)[*(const int *) b]);
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
		const char *text = member == 0 ? event->type : member == 1 ? event->subject : event->subject_ref;
		int			i = foreach_current_index(lc);

		nulls[i] = text == NULL;
		values[i] = text ? CStringGetTextDatum(text) : (Datum) 0;
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}
