/*
 * audit.c
 *	  Writes audit events and keeps the secret, as the owner of their tables.
 */
#include "postgres.h"

#include "audit.h"
#include "arrays.h"
#include "catalog.h"
#include "citus.h"
#include "spi.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
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

/* Events on their way into the trail */
static const struct
{
	const char *name;
	Oid			type;
}			event_columns[] =
{
	{"event_type", TEXTOID},
	{"subject", TEXTOID},
	{"subject_ref", TEXTOID},
	{"occurred_at", TIMESTAMPTZOID},
	{"event_id", UUIDOID},
	{"payload", JSONBOID},
};

#define NCOLUMNS lengthof(event_columns)

static EffOwnStatement append_events = {
	"INSERT INTO %s.effaced_audit_events"
	" (event_type, subject, subject_ref, occurred_at, event_id, actor, payload)"
	" SELECT e.event_type, e.subject, e.subject_ref, e.occurred_at, e.event_id, $1, e.payload FROM events e"
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
static TupleDesc event_descriptor(void);
static void put_event(Tuplestorestate *store, TupleDesc desc, AuditEvent *event, pg_uuid_t *id);
static pg_uuid_t next_id(uint64 ms);
static int	compare_refs(const void *a, const void *b, void *refs);

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
EffAuditEvent(const char *type, const char *subject, const char *subject_ref, Jsonb *payload)
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
 * It reads them from a tuplestore, for which values need not be put into arrays
 * and taken out again.
 */
char *
EffAuditAppend(List *events)
{
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	EphemeralNamedRelationData relation = {.reldata = store};
	Oid			types[] = {TEXTOID};
	Datum		actor = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	uint64		ms = (GetCurrentTimestamp() + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY) / 1000;
	pg_uuid_t	id = {{0}};
	EffBracket	bracket;
	ListCell   *lc;

	relation.md.name = "events";
	relation.md.tupdesc = event_descriptor();
	relation.md.enrtype = ENR_NAMED_TUPLESTORE;
	relation.md.enrtuples = list_length(events);
	foreach(lc, events)
	{
		id = next_id(ms);
		put_event(store, relation.md.tupdesc, lfirst(lc), &id);
	}

	EffSpiBeginAsOwner(&bracket);
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the events");
	(void) EffSpiExecuteOwn(&append_events, lengthof(types), types, &actor, NULL, SPI_OK_INSERT, &trail);
	if (EffCitusPresent() && is_committed_with_citus())
		(void) EffSpiExecuteOwn(&join_commit, 0, NULL, NULL, NULL, SPI_OK_DELETE, &trail);
	EffSpiEnd(&bracket);
	tuplestore_end(store);
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id)));
}

/* event_descriptor describes the rows of event_columns, which never change. */
static TupleDesc
event_descriptor(void)
{
	static TupleDesc desc = NULL;

	if (desc == NULL)
	{
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	made = CreateTemplateTupleDesc(NCOLUMNS);

		for (int i = 0; i < NCOLUMNS; i++)
			TupleDescInitEntry(made, i + 1, event_columns[i].name, event_columns[i].type, -1, 0);
		desc = made;
		MemoryContextSwitchTo(previous);
	}
	return desc;
}

static void
put_event(Tuplestorestate *store, TupleDesc desc, AuditEvent *event, pg_uuid_t *id)
{
	Datum		values[NCOLUMNS] = {0};
	bool		nulls[NCOLUMNS] = {false, event->subject == NULL, event->subject_ref == NULL};

	values[0] = CStringGetTextDatum(event->type);
	if (event->subject != NULL)
		values[1] = CStringGetTextDatum(event->subject);
	if (event->subject_ref != NULL)
		values[2] = CStringGetTextDatum(event->subject_ref);
	values[3] = TimestampTzGetDatum(event->occurred_at);
	values[4] = UUIDPGetDatum(id);
	values[5] = JsonbPGetDatum(event->payload);
	tuplestore_putvalues(store, desc, values, nulls);
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
 * next_id makes an identifier that begins with the time (version 7 of RFC 9562),
 * so that it goes to one end of its index: 48 bits of milliseconds, and 74 that
 * are random once per session and then count, as method 2 of its section 6.2
 * has it for those of one millisecond.
 */
static pg_uuid_t
next_id(uint64 ms)
{
	static uint16 high = 0;
	static uint64 low = 0;
	uint64		first;
	uint64		second;
	pg_uuid_t	id = {{0}};

	if (low == 0)
	{
		if (!pg_strong_random(&high, sizeof(high)) || !pg_strong_random(&low, sizeof(low)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		/* no carry: the topmost of the 62 bits is left for counting */
		low >>= 3;
	}
	low++;
	first = pg_hton64(ms << 16 | 0x7000 | (high & 0x0FFF));
	second = pg_hton64(UINT64CONST(0x8000000000000000) | low);
	memcpy(id.data, &first, 8);
	memcpy(id.data + 8, &second, 8);
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
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	int		   *by_ref = palloc(sizeof(int) * Max(n, 1));
	EffBracket	bracket;

	if (n == 0)
		return erased;
	for (int i = 0; i < n; i++)
		by_ref[i] = i;
	qsort_arg(by_ref, n, sizeof(int), compare_refs, refs);
	values[0] = CStringGetTextDatum(kind);
	values[1] = EffTextArray(refs, n);
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
