/*
 * export_stream.c
 *	  The records of an export as rows, each given as soon as it is read.
 *
 * PostgreSQL keeps the whole result of a C function in FROM before it gives
 * the first row.  effaced_export_records() is an SQL function that is inlined,
 * with effaced_export_stream() in its select list, which gives a row per call.
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "export/export_plan.h"
#include "map/admission.h"
#include "trail/trail.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/expandedrecord.h"

/* Rows are read in batches of about this size */
#define BATCH_BYTES (256 * 1024)
#define MAX_BATCH_ROWS 1000

PG_FUNCTION_INFO_V1(effaced_export_stream);

/* Between two calls; in the multi-call context */
typedef struct RecordStream
{
	MapTable   *subject;
	SubjectKey *key;
	ExportPlan *plan;
	Call	   *call;
	ExpandedRecordHeader *record;	/* the one that is given; points into batch and plan */
	uint64		count;			/* records given */

	int			source;			/* place of the one that is read */
	char		cursor[NAMEDATALEN];	/* empty where none is open */
	Statement  *statement;		/* of the cursor */

	MemoryContext batch;		/* of the rows at hand */
	TupleDesc	desc;
	HeapTuple  *rows;
	int			nrows;
	int			batch_rows;		/* how many to read next */
	int			row;			/* next one */
	Datum	   *values;			/* of the row at hand */
	bool	   *nulls;
	int			place;			/* next column of it */
} RecordStream;

static RecordStream *begin_stream(FunctionCallInfo fcinfo, TupleDesc desc);
static bool next_record(RecordStream *stream);
static bool next_batch(RecordStream *stream);
static void open_source(RecordStream *stream, ExportSource *source);
static void fill_record(RecordStream *stream, ExportColumn *column, Datum value);
static void end_stream(RecordStream *stream);
static void close_cursor(Datum arg);

/*
 * effaced_export_stream(subject_id, subject) gives the records of
 * effaced_export(), one a call: tables by name, rows by key, columns by
 * position.  The export is recorded as completed once the last one is given.
 */
Datum
effaced_export_stream(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	RecordStream *stream;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext previous;
		TupleDesc	desc;

		if (fcinfo->resultinfo == NULL || !IsA(fcinfo->resultinfo, ReturnSetInfo))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("set-valued function called in context that cannot accept a set")));
		context = SRF_FIRSTCALL_INIT();
		previous = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		stream = begin_stream(fcinfo, BlessTupleDesc(desc));
		context->user_fctx = stream;
		MemoryContextSwitchTo(previous);
		RegisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext,
									close_cursor, PointerGetDatum(stream));
	}
	context = SRF_PERCALL_SETUP();
	stream = context->user_fctx;
	if (next_record(stream))
		SRF_RETURN_NEXT(context, ExpandedRecordGetRODatum(stream->record));
	end_stream(stream);
	UnregisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext,
								  close_cursor, PointerGetDatum(stream));
	SRF_RETURN_DONE(context);
}

static RecordStream *
begin_stream(FunctionCallInfo fcinfo, TupleDesc desc)
{
	RecordStream *stream = palloc0(sizeof(RecordStream));
	DataMap    *map = EffGraphGet();
	JsonbWriter payload;

	stream->subject = EffGraphSubjectArgument(map, fcinfo, 1);
	stream->key = EffIdentifierResolve(stream->subject, EffIdentifierArgument(fcinfo, 0));
	stream->plan = EffExportPlanGet(map, stream->subject, stream->key);
	stream->call = EffExecNew(map, &stream->plan->base, &stream->key, 1);
	stream->call->read_only = true;
	stream->batch = AllocSetContextCreate(CurrentMemoryContext, "effaced export rows",
										  ALLOCSET_DEFAULT_SIZES);
	stream->source = -1;
	/* whoever selects columns of it takes them as they are, and needs no tuple */
	stream->record = make_expanded_record_from_tupdesc(desc, CurrentMemoryContext);
	deconstruct_expanded_record(stream->record);
	EffObjectBegin(&payload);
	EffObjectText(&payload, "scope", "access");
	(void) EffTrailAppend(list_make1(EffTrailEvent("export_requested", stream->subject->kind,
												   stream->key->text,
												   EffObjectDone(&payload))));
	return stream;
}

/* next_record moves on to the next value that is not NULL; false at the end. */
static bool
next_record(RecordStream *stream)
{
	for (;;)
	{
		ExportSource *source;

		if (stream->row >= stream->nrows)
		{
			if (!next_batch(stream))
				return false;
			continue;
		}
		source = list_nth(stream->plan->sources, stream->source);
		if (stream->place == 0)
			heap_deform_tuple(stream->rows[stream->row], stream->desc, stream->values,
							  stream->nulls);
		while (stream->place < source->ncolumns)
		{
			int			place = stream->place++;

			if (stream->nulls[EXPORT_VALUE(place) - 1])
				continue;
			fill_record(stream, &source->columns[place], stream->values[EXPORT_VALUE(place) - 1]);
			return true;
		}
		stream->row++;
		stream->place = 0;
	}
}

static void
fill_record(RecordStream *stream, ExportColumn *column, Datum value)
{
	Datum	   *values = stream->record->dvalues;
	bool	   *nulls = stream->record->dnulls;

	memcpy(values, column->values, sizeof(column->values));
	memcpy(nulls, column->nulls, sizeof(column->nulls));
	values[RECORD_ROW_KEY] = stream->values[EXPORT_ROW_KEY - 1];
	nulls[RECORD_ROW_KEY] = false;
	values[RECORD_VALUE] = value;
	nulls[RECORD_VALUE] = false;
	if (column->expires_at != InvalidAttrNumber)
	{
		values[RECORD_EXPIRES_AT] = stream->values[column->expires_at - 1];
		nulls[RECORD_EXPIRES_AT] = stream->nulls[column->expires_at - 1];
	}
	/* what is known of the size is that of the last one */
	stream->record->flat_size = 0;
	stream->count++;
}

/* next_batch reads on, in this table or the next; false where there is none. */
static bool
next_batch(RecordStream *stream)
{
	MemoryContext previous;
	EffBracket	bracket;
	SPITupleTable *rows;
	uint64		n;
	Size		bytes = 0;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(stream->batch);
	stream->nrows = 0;
	stream->row = 0;
	stream->place = 0;
	if (stream->cursor[0] == '\0' && ++stream->source >= list_length(stream->plan->sources))
		return false;

	EffSpiBegin(&bracket);
	if (stream->cursor[0] == '\0')
		open_source(stream, list_nth(stream->plan->sources, stream->source));
	n = EffSpiFetch(stream->cursor, stream->batch_rows, &stream->statement->place);
	rows = SPI_tuptable;
	previous = MemoryContextSwitchTo(stream->batch);
	stream->desc = CreateTupleDescCopy(rows->tupdesc);
	stream->values = palloc(sizeof(Datum) * stream->desc->natts);
	stream->nulls = palloc(sizeof(bool) * stream->desc->natts);
	stream->rows = palloc(sizeof(HeapTuple) * Max(n, 1));
	for (uint64 row = 0; row < n; row++)
	{
		stream->rows[row] = heap_copytuple(rows->vals[row]);
		bytes += stream->rows[row]->t_len;
	}
	MemoryContextSwitchTo(previous);
	if (n < stream->batch_rows)
	{
		EffSpiClose(stream->cursor);
		stream->cursor[0] = '\0';
	}
	EffSpiEnd(&bracket);
	stream->nrows = n;
	if (n > 0)
		stream->batch_rows = Min(Max(BATCH_BYTES / (bytes / n + 1), 1), MAX_BATCH_ROWS);
	return true;
}

/*
 * open_source: few rows are sorted; many are given as they are found, for a
 * sort would hold them all.
 */
static void
open_source(RecordStream *stream, ExportSource *source)
{
	SubjectRun *run = stream->call->runs[0];
	bool		small = EffExecStatement(run, source->is_small) > 0;

	SPI_freetuptable(SPI_tuptable);
	stream->statement = small ? source->sorted : source->unsorted;
	strlcpy(stream->cursor, EffExecOpen(run, stream->statement), NAMEDATALEN);
	stream->batch_rows = 16;
}

static void
end_stream(RecordStream *stream)
{
	JsonbWriter payload;

	EffObjectBegin(&payload);
	EffObjectText(&payload, "scope", "access");
	EffObjectNumber(&payload, "records", stream->count);
	EffObjectTexts(&payload, "incomplete_sources", NIL);
	EffAdmissionWrite(&payload, stream->call->map);
	(void) EffTrailAppend(list_make1(EffTrailEvent("export_completed", stream->subject->kind,
												   stream->key->text, EffObjectDone(&payload))));
}

/* close_cursor: whoever asked has stopped before the end. */
static void
close_cursor(Datum arg)
{
	RecordStream *stream = (RecordStream *) DatumGetPointer(arg);

	if (stream->cursor[0] != '\0')
		EffSpiClose(stream->cursor);
	stream->cursor[0] = '\0';
}
