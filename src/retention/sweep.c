/*
 * sweep.c
 *	  Storage limitation (Art. 5(1)(e)): reports and records which values have
 *	  outlived their term, and whose they are.  It changes no data.
 *
 * Subjects may be many.  The scans write them into a tuplestore, which spills to
 * disk, and from there their events go into the trail, a batch at a time.
 */
#include "postgres.h"

#include "rows/bind.h"
#include "base/jsonb.h"
#include "map/admission.h"
#include "retention/sweep_scan.h"
#include "trail/trail.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

#define MAX_SUBJECT_IDS 1000	/* listed per row of the report */
#define EVENTS_AT_A_TIME 1000	/* appended to the trail at once */

PG_FUNCTION_INFO_V1(effaced_sweep);

/* The payload of an event, which all subjects share of whom the same columns have expired */
typedef struct ExpiryPayload
{
	Bitmapset  *places;			/* hash key: positions of the columns' entries in the report */
	Jsonb	   *payload;
} ExpiryPayload;

/* One call of effaced_sweep() */
typedef struct Sweep
{
	TimestampTz as_of;
	List	   *entries;		/* of SweepEntry */
	List	   *scans;			/* of SweepScan, by kind of subject */
	TupleDesc	desc;			/* of the rows that scans write */
	MapTable   *subject;		/* the kind whose rows are being read */
	Tuplesortstate *several;	/* rows of this kind that several scans may have; or NULL */
	MemoryContext batch;		/* of the events that are not appended yet */
	List	   *events;
	HTAB	   *payloads;		/* of these events, of ExpiryPayload */
} Sweep;

static void read_found(Sweep *sweep, Tuplestorestate *found);
static void count_rows(SweepScan *scan, uint64 columns, uint64 expired, uint64 indeterminate);
static void end_of_subject(Sweep *sweep, SweepScan *scan, uint64 columns, text *ref);
static Tuplesortstate *begin_several(TupleDesc desc);
static void end_of_kind(Sweep *sweep);
static bool is_same_text(const text *a, const text *b);
static Bitmapset *add_places(Sweep *sweep, Bitmapset *places, SweepScan *scan, uint64 columns);
static void add_event(Sweep *sweep, text *ref, Bitmapset *places);
static void write_events(Sweep *sweep);
static Jsonb *payload_of(Sweep *sweep, Bitmapset *places);
static void report(List *entries, ReturnSetInfo *result);

/*
 * effaced_sweep(as_of) returns a row per labelled column with a duration and per kind
 * of subject, and appends an event to the trail per subject whose data has expired.
 */
Datum
effaced_sweep(PG_FUNCTION_ARGS)
{
	Sweep		sweep = {.as_of = EffRetentionAsOf(fcinfo, 0)};
	BindValues values = {.as_of = sweep.as_of};
	Tuplestorestate *found = tuplestore_begin_heap(false, false, work_mem);
	DestReceiver *dest = CreateDestReceiver(DestTuplestore);
	EffBracket	pin;
	EffBracket	bracket;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	values.map = EffGraphGet();
	EffPinBegin(&pin);			/* once for all brackets in it */
	sweep.entries = EffSweepEntries(EffRetentionTerms(values.map), sweep.as_of);
	sweep.scans = EffSweepScans(sweep.entries);
	sweep.desc = EffSweepFoundDescriptor();
	sweep.batch = AllocSetContextCreate(CurrentMemoryContext, "effaced events",
										ALLOCSET_DEFAULT_SIZES);

	SetTuplestoreDestReceiverParams(dest, found, CurrentMemoryContext, false, NULL, NULL);
	EffSpiBegin(&bracket);
	foreach(lc, sweep.scans)
	{
		CHECK_FOR_INTERRUPTS();
		EffSweepFind(lfirst(lc), foreach_current_index(lc), &values, dest);
	}
	EffSpiEnd(&bracket);
	dest->rDestroy(dest);

	read_found(&sweep, found);
	write_events(&sweep);
	EffPinEnd(&pin);
	tuplestore_end(found);
	MemoryContextDelete(sweep.batch);
	report(sweep.entries, (ReturnSetInfo *) fcinfo->resultinfo);
	EffAdmissionTell(values.map);
	return (Datum) 0;
}

/*
 * read_found reads what the scans have written, counts rows and subjects, and makes the
 * events.  A scan writes the rows of one subject one after the other, each for another
 * set of columns.
 */
static void
read_found(Sweep *sweep, Tuplestorestate *found)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(sweep->desc, &TTSOpsMinimalTuple);
	SweepScan  *of = NULL;
	uint64		held = 0;
	text	   *ref = NULL;

	while (tuplestore_gettupleslot(found, true, false, slot))
	{
		bool		isnull;
		SweepScan  *scan = list_nth(sweep->scans,
									DatumGetInt32(slot_getattr(slot, FOUND_SCAN, &isnull)));
		uint64		columns = DatumGetInt64(slot_getattr(slot, FOUND_COLUMNS, &isnull));
		Datum		subject;
		text	   *next;

		CHECK_FOR_INTERRUPTS();
		count_rows(scan, columns, DatumGetInt64(slot_getattr(slot, FOUND_EXPIRED, &isnull)),
				   DatumGetInt64(slot_getattr(slot, FOUND_INDETERMINATE, &isnull)));
		subject = slot_getattr(slot, FOUND_SUBJECT, &isnull);
		if (isnull)
			continue;
		next = DatumGetTextPP(subject);
		if (ref == NULL || scan != of || !is_same_text(ref, next))
		{
			end_of_subject(sweep, of, held, ref);
			if (scan->subject != sweep->subject)
				end_of_kind(sweep);
			sweep->subject = scan->subject;
			of = scan;
			held = 0;
			ref = DatumGetTextPCopy(PointerGetDatum(next));
		}
		held |= columns;
		if (!scan->shared)
			continue;
		if (sweep->several == NULL)
			sweep->several = begin_several(sweep->desc);
		tuplesort_puttupleslot(sweep->several, slot);
	}
	end_of_subject(sweep, of, held, ref);
	end_of_kind(sweep);
	ExecDropSingleTupleTableSlot(slot);
}

/* count_rows adds rows to the entries of these columns of a scan. */
static void
count_rows(SweepScan *scan, uint64 columns, uint64 expired, uint64 indeterminate)
{
	ListCell   *lc;

	foreach(lc, scan->entries)
	{
		SweepEntry *entry = lfirst(lc);

		if ((columns >> foreach_current_index(lc) & 1) == 0)
			continue;
		entry->expired += expired;
		entry->indeterminate += indeterminate;
	}
}

/*
 * end_of_subject counts a subject (NULL for none) with the columns that a scan has found
 * of it.  If no other scan finds subjects of this kind, it makes the subject's event.
 */
static void
end_of_subject(Sweep *sweep, SweepScan *scan, uint64 columns, text *ref)
{
	ListCell   *lc;

	if (ref == NULL)
		return;
	foreach(lc, scan->entries)
	{
		SweepEntry *entry = lfirst(lc);

		if ((columns >> foreach_current_index(lc) & 1) == 0)
			continue;
		if (entry->ids == NULL)
			entry->ids = palloc(sizeof(Datum) * MAX_SUBJECT_IDS);
		if (entry->nids < MAX_SUBJECT_IDS)
			entry->ids[entry->nids++] = PointerGetDatum(DatumGetTextPCopy(PointerGetDatum(ref)));
		entry->subjects++;
	}
	if (!scan->shared)
		add_event(sweep, ref, add_places(sweep, NULL, scan, columns));
	pfree(ref);
}

/* begin_several begins a sort that puts together what several scans have found of a subject. */
static Tuplesortstate *
begin_several(TupleDesc desc)
{
	AttrNumber	column = FOUND_SUBJECT;
	Oid			less = TextLessOperator;
	Oid			collation = C_COLLATION_OID;
	bool		nulls_first = false;

	return tuplesort_begin_heap(desc, 1, &column, &less, &collation, &nulls_first, work_mem, NULL,
								TUPLESORT_NONE);
}

/*
 * end_of_kind makes the events of the kind that has been read, if several scans find
 * subjects of it.
 */
static void
end_of_kind(Sweep *sweep)
{
	TupleTableSlot *slot;
	Bitmapset  *places = NULL;
	text	   *ref = NULL;

	if (sweep->several == NULL)
		return;
	slot = MakeSingleTupleTableSlot(sweep->desc, &TTSOpsMinimalTuple);
	tuplesort_performsort(sweep->several);
	while (tuplesort_gettupleslot(sweep->several, true, false, slot, NULL))
	{
		bool		isnull;
		text	   *next = DatumGetTextPP(slot_getattr(slot, FOUND_SUBJECT, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (ref == NULL || !is_same_text(ref, next))
		{
			if (ref != NULL)
			{
				add_event(sweep, ref, places);
				pfree(ref);
			}
			places = NULL;
			ref = DatumGetTextPCopy(PointerGetDatum(next));
		}
		places = add_places(sweep, places,
							list_nth(sweep->scans, DatumGetInt32(slot_getattr(slot, FOUND_SCAN,
																			  &isnull))),
							DatumGetInt64(slot_getattr(slot, FOUND_COLUMNS, &isnull)));
	}
	add_event(sweep, ref, places);
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_end(sweep->several);
	sweep->several = NULL;
}

/* is_same_text compares byte by byte. */
static bool
is_same_text(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* add_places adds the positions in the report of columns of a scan. */
static Bitmapset *
add_places(Sweep *sweep, Bitmapset *places, SweepScan *scan, uint64 columns)
{
	MemoryContext previous = MemoryContextSwitchTo(sweep->batch);
	ListCell   *lc;

	foreach(lc, scan->places)
		if (columns >> foreach_current_index(lc) & 1)
			places = bms_add_member(places, lfirst_int(lc));
	MemoryContextSwitchTo(previous);
	return places;
}

/* add_event makes the event of one subject, and appends the batch when it is full. */
static void
add_event(Sweep *sweep, text *ref, Bitmapset *places)
{
	MemoryContext previous = MemoryContextSwitchTo(sweep->batch);

	sweep->events = lappend(sweep->events, EffTrailEvent("retention_expired", sweep->subject->kind,
														 text_to_cstring(ref),
														 payload_of(sweep, places)));
	MemoryContextSwitchTo(previous);
	if (list_length(sweep->events) == EVENTS_AT_A_TIME)
		write_events(sweep);
}

/* write_events appends the batch to the trail, and frees it. */
static void
write_events(Sweep *sweep)
{
	MemoryContext previous = MemoryContextSwitchTo(sweep->batch);

	(void) EffTrailAppend(sweep->events);
	MemoryContextSwitchTo(previous);
	MemoryContextReset(sweep->batch);
	sweep->events = NIL;
	sweep->payloads = NULL;
}

/* payload_of returns the payload that names these columns, made once per batch. */
static Jsonb *
payload_of(Sweep *sweep, Bitmapset *places)
{
	ExpiryPayload *known;
	bool		found;
	List	   *names = NIL;
	char		as_of[MAXDATELEN + 1];
	int			place = -1;
	JsonbWriter payload;

	if (sweep->payloads == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Bitmapset *), .entrysize = sizeof(ExpiryPayload),
		.hash = bitmap_hash, .match = bitmap_match, .hcxt = sweep->batch};

		sweep->payloads = hash_create("effaced payloads", 16, &control,
									  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	}
	known = hash_search(sweep->payloads, &places, HASH_ENTER, &found);
	if (found)
		return known->payload;
	while ((place = bms_next_member(places, place)) >= 0)
	{
		RetentionTerm *term = ((SweepEntry *) list_nth(sweep->entries, place))->term;

		names = lappend(names, psprintf("%s.%s", term->table->name,
										quote_identifier(term->column->column->name)));
	}
	EffObjectBegin(&payload);
	EffObjectText(&payload, "as_of",
				  JsonEncodeDateTime(as_of, TimestampTzGetDatum(sweep->as_of), TIMESTAMPTZOID,
									 NULL));
	EffObjectTexts(&payload, "columns", names);
	known->payload = EffObjectDone(&payload);
	return known->payload;
}

/* report puts the entries into the result. */
static void
report(List *entries, ReturnSetInfo *result)
{
	foreach_ptr(SweepEntry, entry, entries)
	{
		RetentionTerm *term = entry->term;
		NameData	column;
		Datum		values[9];
		bool		nulls[9] = {false};

		namestrcpy(&column, term->column->column->name);
		values[0] = ObjectIdGetDatum(term->table->rel->oid);
		values[1] = NameGetDatum(&column);
		nulls[2] = entry->subject == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(entry->subject->kind);
		values[3] = CStringGetTextDatum(term->policy->reason);
		values[4] = TimestampTzGetDatum(entry->cutoff);
		values[5] = Int64GetDatum(entry->expired);
		values[6] = Int64GetDatum(entry->subjects);
		values[7] = PointerGetDatum(construct_array(entry->ids, entry->nids, TEXTOID, -1, false,
													TYPALIGN_INT));
		values[8] = Int64GetDatum(entry->indeterminate);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
