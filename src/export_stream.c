/*
 * export_stream.c
 *	  The records of an export as rows, each given as soon as it is read.
 *
 * PostgreSQL keeps the whole result of a C function in FROM before it gives
 * the first row.  effaced_export_records() is an SQL function that is inlined,
 * with effaced_export_stream() in its select list, which gives a row per call.
 */
#include "postgres.h"

#include "audit.h"
#include "export_plan.h"
#include "object.h"
#include "spi.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

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
	ErasureCall *call;
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
	int			place;			/* next column of it */
	Datum		row_key;		/* of the row at hand, jsonb */
} RecordStream;

static RecordStream *begin_stream(FunctionCallInfo fcinfo);
static bool next_value(RecordStream *stream, Datum *value);
static bool next_batch(RecordStream *stream);
static void open_source(RecordStream *stream, ExportSource *source);
static Datum make_record(RecordStream *stream, TupleDesc desc, Datum value);
static void end_stream(RecordStream *stream);
static void close_cursor(Datum arg);
static Datum jsonb_of(Datum json, Statement *source);

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
	Datum		value;

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
		context->tuple_desc = BlessTupleDesc(desc);
		stream = begin_stream(fcinfo);
		context->user_fctx = stream;
		MemoryContextSwitchTo(previous);
		RegisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext,
									close_cursor, PointerGetDatum(stream));
	}
	context = SRF_PERCALL_SETUP();
	stream = context->user_fctx;
	if (next_value(stream, &value))
		SRF_RETURN_NEXT(context, make_record(stream, context->tuple_desc, value));
	end_stream(stream);
	UnregisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext,
								  close_cursor, PointerGetDatum(stream));
	SRF_RETURN_DONE(context);
}

static RecordStream *
begin_stream(FunctionCallInfo fcinfo)
{
	RecordStream *stream = palloc0(sizeof(RecordStream));
	DataMap    *map = EffGraphGet();
	EffObject	payload;

	stream->subject = EffGraphSubject(map, PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1));
	stream->key = EffIdentifierResolve(stream->subject, EffIdentifierArgument(fcinfo, 0));
	stream->plan = EffExportPlanGet(map, stream->subject, stream->key);
	stream->call = EffExecNew(map, &stream->plan->base, &stream->key, 1);
	stream->call->read_only = true;
	stream->batch = AllocSetContextCreate(CurrentMemoryContext, "effaced export rows", ALLOCSET_DEFAULT_SIZES);
	stream->source = -1;
	EffObjectBegin(&payload);
	EffObjectText(&payload, "scope", "access");
	(void) EffAuditAppend(list_make1(EffAuditEvent("export_requested", stream->subject->kind, stream->key->text,
												   EffObjectDone(&payload))));
	return stream;
}

/* next_value moves on to the next value that is not NULL; false at the end. */
static bool
next_value(RecordStream *stream, Datum *value)
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
		while (stream->place < source->ncolumns)
		{
			bool		isnull;

			*value = heap_getattr(stream->rows[stream->row], EXPORT_VALUE(stream->place), stream->desc, &isnull);
			stream->place++;
			if (!isnull)
				return true;
		}
		stream->row++;
		stream->place = 0;
		stream->row_key = (Datum) 0;
	}
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
	stream->row_key = (Datum) 0;
	if (stream->cursor[0] == '\0' && ++stream->source >= list_length(stream->plan->sources))
		return false;

	EffSpiBegin(&bracket);
	if (stream->cursor[0] == '\0')
		open_source(stream, list_nth(stream->plan->sources, stream->source));
	n = EffSpiFetch(stream->cursor, stream->batch_rows, &stream->statement->place);
	rows = SPI_tuptable;
	previous = MemoryContextSwitchTo(stream->batch);
	stream->desc = CreateTupleDescCopy(rows->tupdesc);
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

/* open_source: few rows are sorted; many are given as they are found, for a sort would hold them all. */
static void
open_source(RecordStream *stream, ExportSource *source)
{
	ErasureRun *run = stream->call->runs[0];
	bool		small = EffExecStatement(run, source->is_small) > 0;

	SPI_freetuptable(SPI_tuptable);
	stream->statement = small ? source->sorted : source->unsorted;
	strlcpy(stream->cursor, EffExecOpen(run, stream->statement), NAMEDATALEN);
	stream->batch_rows = 16;
}

static Datum
make_record(RecordStream *stream, TupleDesc desc, Datum value)
{
	ExportSource *source = list_nth(stream->plan->sources, stream->source);
	int			place = stream->place - 1;
	HeapTuple	row = stream->rows[stream->row];
	MapColumn  *column = list_nth(source->table->columns, place);
	ColumnLabel *label = column->label;
	const char *reason = label->retention ? label->retention->reason : NULL;
	Datum		values[9];
	bool		nulls[9] = {false};
	bool		isnull;

	if (stream->row_key == (Datum) 0)
	{
		MemoryContext previous = MemoryContextSwitchTo(stream->batch);

		stream->row_key = jsonb_of(heap_getattr(row, EXPORT_ROW_KEY, stream->desc, &isnull), stream->statement);
		MemoryContextSwitchTo(previous);
	}
	stream->count++;
	values[0] = CStringGetTextDatum(source->table->name);
	values[1] = stream->row_key;
	values[2] = CStringGetTextDatum(column->column->name);
	values[3] = CStringGetTextDatum(label->category);
	values[4] = jsonb_of(value, stream->statement);
	nulls[5] = label->legal_basis == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(label->legal_basis);
	nulls[6] = label->purpose == NULL;
	values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(label->purpose);
	nulls[7] = reason == NULL;
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(reason);
	values[8] = heap_getattr(row, EXPORT_EXPIRES_AT(source, place), stream->desc, &nulls[8]);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

static void
end_stream(RecordStream *stream)
{
	EffObject	payload;

	EffObjectBegin(&payload);
	EffObjectText(&payload, "scope", "access");
	EffObjectNumber(&payload, "records", stream->count);
	EffObjectTexts(&payload, "incomplete_sources", NIL);
	(void) EffAuditAppend(list_make1(EffAuditEvent("export_completed", stream->subject->kind,
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

/* jsonb_of: an error of it would quote the value. */
static Datum
jsonb_of(Datum json, Statement *source)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum jsonb = (Datum) 0;

	PG_TRY();
	{
		jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&source->place);
	}
	PG_END_TRY();
	return jsonb;
}
