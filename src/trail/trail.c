/*
 * trail.c
 *	  Appends events to the trail.
 *
 * An erasure writes an event for each of its steps, and with INSERT that takes
 * a tenth of its time.  So rows are given to the table and its indexes many at
 * a time, as COPY does, unless somebody has given the trail what only an
 * INSERT respects: a trigger, a policy, a rule, a column.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/citus.h"
#include "base/own.h"
#include "trail/trail.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define TRAIL "effaced_audit_events"
#define CITUS_MARKER "effaced_citus_commit"	/* made by effaced_enable_citus() */

/* Rows that are given to the table at once */
#define ROWS_AT_ONCE 64

PG_FUNCTION_INFO_V1(effaced_is_event_type);

/* The words that the trail has for what happens; those of every erasure first */
static const char *const event_types[] = {
	"erasure_step_succeeded", "erasure_requested", "erasure_local_completed", "erasure_completed",
	"consent_granted", "consent_withdrawn", "export_requested", "export_completed",
	"erasure_expiry_scheduled", "erasure_step_failed", "erasure_verified",
	"erasure_verification_failed", "erasure_requeued", "erasure_replayed", "manifest_snapshot",
	"rectification_requested", "rectification_local_completed", "rectification_step_succeeded",
	"rectification_step_failed", "rectification_completed", "restriction_placed",
	"restriction_lifted", "retention_expired", "retention_enforced",
	"request_opened", "request_identified", "request_extended", "request_answered", "hold_placed",
	"hold_released", "erasure_refused", "erasure_scheduled", "erasure_cancelled",
	"restriction_step_succeeded", "restriction_step_failed", "labels_admitted", "labels_expelled",
	"trail_pruned"
};

/* The trail's columns, as trail.sql has them */
static const struct
{
	const char *name;
	Oid			type;
	bool		required;
}			columns[] =
{
	{"seq", INT8OID, true},
	{"event_id", UUIDOID, true},
	{"event_type", TEXTOID, true},
	{"subject", TEXTOID, false},
	{"subject_ref", TEXTOID, false},
	{"occurred_at", TIMESTAMPTZOID, true},
	{"actor", TEXTOID, true},
	{"on_behalf_of", TEXTOID, false},
	{"payload", JSONBOID, true},
};

enum
{
	SEQ, EVENT_ID, EVENT_TYPE, SUBJECT, SUBJECT_REF, OCCURRED_AT, ACTOR, ON_BEHALF_OF, PAYLOAD,
	NCOLUMNS
};
StaticAssertDecl(NCOLUMNS == lengthof(columns), "columns of the trail");

/* effaced.actor: on whose behalf the session works */
static char *on_behalf_of = "";

/* What was found out about the trail, until it changes */
static Oid	known_trail = InvalidOid;
static Oid	known_sequence = InvalidOid;	/* of seq; InvalidOid where it takes an INSERT */

/* All columns but the first, which numbers itself */
static EffOwnStatement insert_events = {
	"INSERT INTO effaced." TRAIL
	" (event_id, event_type, subject, subject_ref, occurred_at, actor, on_behalf_of, payload)"
	" SELECT e.event_id, e.event_type, e.subject, e.subject_ref, e.occurred_at, e.actor,"
	" e.on_behalf_of, e.payload FROM events e"
};

/* nothing is there to delete: Citus commits in two phases what such a table was written to in */
static EffOwnStatement join_commit = {
	"DELETE FROM effaced." CITUS_MARKER
};

/* A refused INSERT must not have the caller's statement logged */
static const EffStatementPlace place = {.action = "writing to", .relation = "the audit trail"};

static void trail_changed(Datum arg, Oid relid);
static Oid	sequence_of_plain(Relation trail);
static bool is_plain(Relation trail);
static bool is_check_of_words(const char *expression);
static void write_rows(Relation trail, Oid sequence, List *events, Datum *values);
static void flush_rows(ResultRelInfo *target, EState *estate, TupleTableSlot **slots, int n);
static void insert_rows(List *events, Datum *values);
static TupleDesc row_descriptor(void);
static void fill_row(TrailEvent *event, TrailEvent *before, uint64 ms, Datum *values, bool *nulls);
static uint64 milliseconds(void);
static pg_uuid_t *next_id(uint64 ms);
static bool is_committed_with_citus(void);

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

/*
 * EffTrailInit registers what makes this session look at the trail again.
 * Called once, by _PG_init.
 */
void
EffTrailInit(void)
{
	DefineCustomStringVariable("effaced.actor",
							   "On whose behalf the session works.",
							   "Recorded in the audit trail beside the role that the session "
							   "logged in as.",
							   &on_behalf_of, "", PGC_USERSET, 0, NULL, NULL, NULL);
	CacheRegisterRelcacheCallback(trail_changed, (Datum) 0);
}

static void
trail_changed(Datum arg, Oid relid)
{
	if (relid == known_trail || !OidIsValid(relid))
		known_trail = InvalidOid;
}

/*
 * EffTrailEvent returns an event that happens now, by the clock, in the
 * current memory context.  It keeps the pointers that it is given.
 */
TrailEvent *
EffTrailEvent(const char *type, const char *subject, const char *subject_ref, Jsonb *payload)
{
	TrailEvent *event = palloc(sizeof(TrailEvent));

	event->type = type;
	event->subject = subject;
	event->subject_ref = subject_ref;
	event->occurred_at = GetCurrentTimestamp();
	event->payload = payload;
	return event;
}

/*
 * EffTrailAppend writes the events in order of the list, as the owner of the
 * trail, and returns the identifier of the last one as text; NULL where the
 * list is empty.  An error has no value in it.
 */
char *
EffTrailAppend(List *events)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[NCOLUMNS] = {0};
	pg_uuid_t	last;
	EffBracket	bracket;

	if (events == NIL)
		return NULL;
	values[ACTOR] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	if (on_behalf_of[0] != '\0')
		values[ON_BEHALF_OF] = CStringGetTextDatum(on_behalf_of);
	EffSpiBeginAsOwner(&bracket);
	PG_TRY();
	{
		Relation	trail = table_open(EffOwnRelation(TRAIL), RowExclusiveLock);
		/* Citus may have come since the trail was looked at */
		Oid			sequence = EffCitusPresent() ? InvalidOid : sequence_of_plain(trail);

		if (OidIsValid(sequence))
			write_rows(trail, sequence, events, values);
		else
			insert_rows(events, values);
		table_close(trail, NoLock);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
	if (EffCitusPresent() && is_committed_with_citus())
		(void) EffSpiExecuteOwn(&join_commit, 0, NULL, NULL, NULL, SPI_OK_DELETE, &place);
	last = *DatumGetUUIDP(values[EVENT_ID]);	/* which goes with the bracket */
	EffSpiEnd(&bracket);
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&last)));
}

/*
 * sequence_of_plain returns the sequence of seq where rows may be written
 * without an INSERT, InvalidOid otherwise.  The lock on the trail keeps others
 * from changing that.
 */
static Oid
sequence_of_plain(Relation trail)
{
	if (known_trail != RelationGetRelid(trail))
	{
		known_sequence = is_plain(trail) ? EffIdentitySequence(trail, SEQ + 1) : InvalidOid;
		known_trail = RelationGetRelid(trail);
	}
	return known_sequence;
}

static bool
is_plain(Relation trail)
{
	TupleDesc	desc = RelationGetDescr(trail);
	TriggerDesc *triggers = trail->trigdesc;

	if (trail->rd_rel->relkind != RELKIND_RELATION || trail->rd_rel->relispartition ||
		trail->rd_rules != NULL || trail->rd_rel->relrowsecurity || desc->natts != NCOLUMNS)
		return false;
	if (triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
		 triggers->trig_insert_instead_row ||
		 triggers->trig_insert_before_statement || triggers->trig_insert_after_statement))
		return false;
	for (int i = 0; i < NCOLUMNS; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (strcmp(NameStr(attribute->attname), columns[i].name) != 0 ||
			attribute->atttypid != columns[i].type ||
			attribute->atttypmod >= 0 || attribute->attgenerated != '\0' ||
			(attribute->attnotnull && !columns[i].required) ||
			(attribute->attidentity != '\0') != (i == SEQ))
			return false;
	}
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
		if (!is_check_of_words(desc->constr->check[i].ccbin))
			return false;
	return true;
}

/*
 * is_check_of_words: a check is effaced_is_event_type(event_type), which the
 * words above meet.  Its name tells nothing: another may have been given it.
 */
static bool
is_check_of_words(const char *expression)
{
	FuncExpr   *call = stringToNode(expression);
	FmgrInfo	function;
	Var		   *column;

	if (!IsA(call, FuncExpr) || list_length(call->args) != 1)
		return false;
	column = linitial(call->args);
	if (!IsA(column, Var) || column->varattno != EVENT_TYPE + 1)
		return false;
	fmgr_info(call->funcid, &function);
	return function.fn_addr == effaced_is_event_type;
}

/*
 * write_rows gives rows to the table and its indexes; values has the actor, and
 * gets the rest of the last row.
 */
static void
write_rows(Relation trail, Oid sequence, List *events, Datum *values)
{
	TupleTableSlot *slots[ROWS_AT_ONCE];
	int			nslots = Min(list_length(events), ROWS_AT_ONCE);
	int			n = 0;
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	bool		nulls[NCOLUMNS] = {0};
	uint64		ms = milliseconds();
	TrailEvent *before = NULL;
	ListCell   *lc;

	target->ri_RelationDesc = trail;
	ExecOpenIndices(target, false);
	for (int i = 0; i < nslots; i++)
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(trail), &TTSOpsHeapTuple);
	foreach(lc, events)
	{
		fill_row(lfirst(lc), before, ms, values, nulls);
		/* which also refuses where nothing may be written */
		values[SEQ] = Int64GetDatum(nextval_internal(sequence, false));
		ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(trail), values, nulls), slots[n++],
						   true);
		if (n == nslots)
		{
			flush_rows(target, estate, slots, n);
			n = 0;
		}
		before = lfirst(lc);
	}
	flush_rows(target, estate, slots, n);
	for (int i = 0; i < nslots; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
}

static void
flush_rows(ResultRelInfo *target, EState *estate, TupleTableSlot **slots, int n)
{
	MemoryContext previous = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));

	if (n > 0)
		table_multi_insert(target->ri_RelationDesc, slots, n, GetCurrentCommandId(true), 0, NULL);
	MemoryContextSwitchTo(previous);
	for (int i = 0; i < n; i++)
		list_free(EffInsertIndexTuples(target, slots[i], estate));
	ResetPerTupleExprContext(estate);
}

/*
 * insert_rows does the same by an INSERT.  It reads the rows from a tuplestore, for
 * which values need not be put into arrays and taken out again.
 */
static void
insert_rows(List *events, Datum *values)
{
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	EphemeralNamedRelationData relation = {.reldata = store};
	bool		nulls[NCOLUMNS] = {0};
	uint64		ms = milliseconds();
	TrailEvent *before = NULL;
	ListCell   *lc;

	relation.md.name = "events";
	relation.md.tupdesc = row_descriptor();
	relation.md.enrtype = ENR_NAMED_TUPLESTORE;
	relation.md.enrtuples = list_length(events);
	foreach(lc, events)
	{
		fill_row(lfirst(lc), before, ms, values, nulls);
		tuplestore_putvalues(store, relation.md.tupdesc, values, nulls);
		before = lfirst(lc);
	}
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the events");
	(void) EffSpiExecuteOwn(&insert_events, 0, NULL, NULL, NULL, SPI_OK_INSERT, NULL);
	/* other statements follow in the bracket, which outlives it */
	(void) SPI_unregister_relation(relation.md.name);
	tuplestore_end(store);
}

static TupleDesc
row_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(NCOLUMNS);

	for (int i = 0; i < NCOLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type, -1, 0);
	return desc;
}

/*
 * fill_row gives the values of all columns but seq and the two actors.  The events of a
 * subject share their words: the text made of one for the event before serves again.
 */
static void
fill_row(TrailEvent *event, TrailEvent *before, uint64 ms, Datum *values, bool *nulls)
{
	values[EVENT_ID] = UUIDPGetDatum(next_id(ms));
	if (before == NULL || before->type != event->type)
		values[EVENT_TYPE] = CStringGetTextDatum(event->type);
	nulls[ON_BEHALF_OF] = values[ON_BEHALF_OF] == (Datum) 0;
	nulls[SUBJECT] = event->subject == NULL;
	if (event->subject != NULL && (before == NULL || before->subject != event->subject))
		values[SUBJECT] = CStringGetTextDatum(event->subject);
	nulls[SUBJECT_REF] = event->subject_ref == NULL;
	if (event->subject_ref != NULL && (before == NULL || before->subject_ref != event->subject_ref))
		values[SUBJECT_REF] = CStringGetTextDatum(event->subject_ref);
	values[OCCURRED_AT] = TimestampTzGetDatum(event->occurred_at);
	values[PAYLOAD] = JsonbPGetDatum(event->payload);
}

/* milliseconds since 1970 */
static uint64
milliseconds(void)
{
	int64		epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	return (GetCurrentTimestamp() + epoch) / 1000;
}

/*
 * next_id makes an identifier that begins with the time (version 7 of RFC 9562):
 * 48 bits of milliseconds, and 74 that are random once per session and then count,
 * as method 2 of its section 6.2 has it for those of one millisecond.  The trail
 * has no index on it; where somebody makes one, events of a call go to one end of it.
 */
static pg_uuid_t *
next_id(uint64 ms)
{
	static uint16 high = 0;
	static uint64 low = 0;
	uint64		first;
	uint64		second;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

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
	memcpy(id->data, &first, 8);
	memcpy(id->data + 8, &second, 8);
	return id;
}

/*
 * is_committed_with_citus: effaced_enable_citus() was called.  A table of that
 * name that is somebody else's would run its triggers as the trail's owner.
 */
static bool
is_committed_with_citus(void)
{
	Oid			relid = get_relname_relid(CITUS_MARKER, EffOwnSchema());
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		own;

	if (!HeapTupleIsValid(tuple))
		return false;
	own = ((Form_pg_class) GETSTRUCT(tuple))->relowner == GetUserId();
	ReleaseSysCache(tuple);
	return own && EffCitusKindOf(relid) == CITUS_LOCAL;
}
