/*
 * export.c
 *	  Access and portability (Art. 15, 20): everything held on a subject, as
 *	  one document.
 */
#include "postgres.h"

#include "base/json_text.h"
#include "base/jsonb.h"
#include "export/export.h"
#include "export/export_plan.h"
#include "map/admission.h"
#include "outbox/ref_plan.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"
#include "trail/trail.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define SCHEMA_VERSION 3
#define FETCH_ROWS 1000

/* What jsonb can hold: lengths inside an array have 28 bits */
#define MAX_BUNDLE_BYTES 0x0FFFFFFF

PG_FUNCTION_INFO_V1(effaced_export);

/* Members of a record that are text */
static const char *const record_texts[] = {
	"source", "field", "category", "legal_basis", "purpose", "retention_reason", "expires_at"
};

/* The records of a bundle as JSON text */
typedef struct Bundle
{
	StringInfoData records;
	bool		portable;		/* only what rests on consent or contract */
	uint64		count;
	List	   *incomplete;		/* of char *: sources that could not be read */
} Bundle;

static TrailEvent *event_of(const ExportRequest *request, const char *type, Bundle *bundle);
static void add_external(Bundle *bundle, const ExportRequest *request);
static void add_tables(Bundle *bundle, const ExportRequest *request);
static void join_bundles(Bundle *bundle, Bundle *other);
static void write_document(StringInfo buf, const ExportRequest *request, TimestampTz generated_at,
						   Bundle *bundle);
static void add_source(Bundle *bundle, SubjectRun *run, ExportSource *source);
static void read_source(Bundle *bundle, SubjectRun *run, ExportSource *source);
static void add_row(Bundle *bundle, ExportSource *source, HeapTuple row, TupleDesc desc);
static void add_resolver(Bundle *bundle, Resolver *resolver, List *refs);
static bool add_answer(Bundle *bundle, const char *resolver, Jsonb *answer);
static bool is_record(JsonbValue *element);
static bool is_moment(const char *text);
static bool is_portable(MapColumn *column);
static bool is_portable_basis(const char *basis, int length);
static void append_text(StringInfo buf, text *value);
static bool is_callers_concern(int sqlstate);
static Jsonb *finish_bundle(StringInfo buf);
static void bundle_too_large(void) pg_attribute_noreturn();
static void write_timestamp(StringInfo buf, TimestampTz at);

/*
 * effaced_export(subject_id, refs, subject, scope) returns the document of an
 * export.
 */
Datum
effaced_export(PG_FUNCTION_ARGS)
{
	ExportRequest request = {.map = EffGraphGet()};
	char	   *scope = PG_ARGISNULL(3) ? "access" : text_to_cstring(PG_GETARG_TEXT_PP(3));

	request.subject = EffGraphSubjectArgument(request.map, fcinfo, 2);
	request.key = EffIdentifierResolve(request.subject, EffIdentifierArgument(fcinfo, 0));
	request.refs = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	request.portability = strcmp(scope, "portability") == 0;
	if (!request.portability && strcmp(scope, "access") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("unknown scope of an export"),
				 errhint("Allowed: access, portability."),
				 errhidestmt(true)));
	PG_RETURN_JSONB_P(EffExportBundle(&request));
}

/*
 * EffExportBundle returns the document of an export, in the current memory
 * context: {"subject_id", "generated_at", "schema_version", "records",
 * "incomplete_sources"}.  All records of the database are of one snapshot.  A
 * table or an external system that cannot be read is named as incomplete; ERROR
 * where the call itself may not or cannot go on, and where the document would be
 * larger than a jsonb can be.
 */
Jsonb *
EffExportBundle(const ExportRequest *request)
{
	Bundle		bundle = {.portable = request->portability};
	Bundle		external = {.portable = request->portability};
	TrailEvent *requested;
	StringInfoData buf;
	EffBracket	bracket;

	requested = event_of(request, "export_requested", NULL);
	add_external(&external, request);
	initStringInfo(&bundle.records);
	initStringInfo(&buf);		/* outlives the bracket */
	EffSpiBegin(&bracket);
	add_tables(&bundle, request);
	join_bundles(&bundle, &external);
	(void) EffTrailAppend(list_make2(requested, event_of(request, "export_completed", &bundle)));
	write_document(&buf, request, requested->occurred_at, &bundle);
	EffSpiEnd(&bracket);
	return finish_bundle(&buf);
}

/* event_of makes an event of the trail; with a bundle it says what was given. */
static TrailEvent *
event_of(const ExportRequest *request, const char *type, Bundle *bundle)
{
	JsonbWriter payload;

	EffObjectBegin(&payload);
	EffObjectText(&payload, "scope", request->portability ? "portability" : "access");
	if (bundle != NULL)
	{
		EffObjectNumber(&payload, "records", bundle->count);
		EffObjectTexts(&payload, "incomplete_sources", bundle->incomplete);
		EffAdmissionWrite(&payload, request->map);
	}
	return EffTrailEvent(type, request->subject->kind, request->key->text, EffObjectDone(&payload));
}

/*
 * add_external asks the external systems.  It runs outside of the bracket, for
 * the functions of resolvers run with the caller's settings.
 */
static void
add_external(Bundle *bundle, const ExportRequest *request)
{
	List	   *resolvers = EffResolvers();
	RequestPlan *plan = EffRefPlanGet(request->map, request->subject, REF_ANY);
	List	   *refs;

	EffRefPlanCheck(plan, resolvers);
	refs = EffRefsRead(request->refs, resolvers);
	refs = EffRefsUnite(refs, EffRefPlanRead(request->map, plan, request->key));
	initStringInfo(&bundle->records);
	foreach_ptr(Resolver, resolver, resolvers)
		add_resolver(bundle, resolver, refs);
}

/* add_tables reads the tables of the map, inside the bracket, in the caller's snapshot. */
static void
add_tables(Bundle *bundle, const ExportRequest *request)
{
	ExportPlan *plan = EffExportPlanGet(request->map, request->subject, request->key);
	SubjectKey *key = request->key;
	Call	   *call = EffExecNew(request->map, &plan->base, &key, 1);

	call->read_only = true;
	foreach_ptr(ExportSource, source, plan->sources)
		add_source(bundle, call->runs[0], source);
}

/* join_bundles adds to a bundle what another one holds. */
static void
join_bundles(Bundle *bundle, Bundle *other)
{
	if (other->records.len > 0)
		appendStringInfo(&bundle->records, "%s%s", bundle->records.len > 0 ? "," : "",
						 other->records.data);
	bundle->count += other->count;
	bundle->incomplete = list_concat(bundle->incomplete, other->incomplete);
}

/* write_document writes the document as JSON text. */
static void
write_document(StringInfo buf, const ExportRequest *request, TimestampTz generated_at,
			   Bundle *bundle)
{
	List	   *not_admitted = EffAdmissionNames(request->map);

	appendStringInfoChar(buf, '{');
	EffJsonMember(buf, "subject_id", request->key->text);
	EffJsonKey(buf, "generated_at");
	write_timestamp(buf, generated_at);
	EffJsonNumber(buf, "schema_version", SCHEMA_VERSION);
	EffJsonKey(buf, "records");
	appendStringInfoChar(buf, '[');
	appendBinaryStringInfo(buf, bundle->records.data, bundle->records.len);
	appendStringInfoChar(buf, ']');
	EffJsonKey(buf, "incomplete_sources");
	EffJsonStrings(buf, bundle->incomplete);
	if (not_admitted != NIL)
	{
		EffJsonKey(buf, "not_admitted");
		EffJsonStrings(buf, not_admitted);
	}
	appendStringInfoChar(buf, '}');
}

/*
 * add_source reads a source in a subtransaction of its own: one that cannot be
 * read is named, and the others are given all the same.
 */
static void
add_source(Bundle *bundle, SubjectRun *run, ExportSource *source)
{
	EffSubtransaction sub;
	int			length = bundle->records.len;
	uint64		count = bundle->count;

	EffSubBegin(&sub);
	PG_TRY();
	{
		read_source(bundle, run, source);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		ErrorData  *error = EffSubCatch(&sub);

		if (is_callers_concern(error->sqlerrcode))
			ReThrowError(error);
		MemoryContextReset(run->call->scratch);

		bundle->records.len = length;
		bundle->records.data[length] = '\0';
		bundle->count = count;
		bundle->incomplete = lappend(bundle->incomplete, source->table->name);
	}
	PG_END_TRY();
}

/*
 * is_callers_concern: not the source has failed, but the call, and all of it is
 * to be mended or run again.
 */
static bool
is_callers_concern(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case MAKE_SQLSTATE('Z', 'E', '0', '0', '0'):
			return true;
		default:
			return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE;
	}
}

static void
read_source(Bundle *bundle, SubjectRun *run, ExportSource *source)
{
	const char *cursor = EffExecOpen(run, source->document);
	uint64		n;

	do
	{
		SPITupleTable *rows;

		CHECK_FOR_INTERRUPTS();
		n = EffSpiFetch(cursor, FETCH_ROWS, &source->document->place);
		rows = SPI_tuptable;
		for (uint64 row = 0; row < n; row++)
			add_row(bundle, source, rows->vals[row], rows->tupdesc);
		SPI_freetuptable(rows);
	} while (n == FETCH_ROWS);
	EffSpiClose(cursor);
}

/* add_row adds a record for each value of a row. */
static void
add_row(Bundle *bundle, ExportSource *source, HeapTuple row, TupleDesc desc)
{
	StringInfo	buf = &bundle->records;
	bool		isnull;
	text	   *row_key = DatumGetTextPP(SPI_getbinval(row, desc, EXPORT_ROW_KEY, &isnull));

	for (int place = 0; place < source->ncolumns; place++)
	{
		ExportColumn *column = &source->columns[place];
		Datum		value = SPI_getbinval(row, desc, EXPORT_VALUE(place), &isnull);
		Datum		expires_at = (Datum) 0;

		if (isnull || (bundle->portable && !is_portable(column->column)))
			continue;
		bundle->count++;
		if (buf->len > 0)
			appendStringInfoChar(buf, ',');
		appendStringInfoString(buf, column->head);
		append_text(buf, DatumGetTextPP(value));
		EffJsonKey(buf, "row_key");
		append_text(buf, row_key);
		EffJsonKey(buf, "expires_at");
		isnull = column->expires_at == InvalidAttrNumber;
		if (!isnull)
			expires_at = SPI_getbinval(row, desc, column->expires_at, &isnull);
		if (isnull)
			appendStringInfoString(buf, "null}");
		else
		{
			write_timestamp(buf, DatumGetTimestampTz(expires_at));
			appendStringInfoChar(buf, '}');
		}
		if (buf->len > MAX_BUNDLE_BYTES)
			bundle_too_large();
	}
}

/*
 * add_resolver asks an external system for the subject's references in it.  If
 * it fails for one of them the system is named, and the others are given all
 * the same.
 */
static void
add_resolver(Bundle *bundle, Resolver *resolver, List *refs)
{
	bool		failed = false;

	if (resolver->export_function == NULL)
		return;
	foreach_ptr(ExternalRef, ref, refs)
	{
		Jsonb	   *arg;
		Jsonb	   *answer;
		char	   *sqlstate;

		if (strcmp(ref->kind, resolver->name) != 0)
			continue;
		arg = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(EffRefJson(ref))));
		answer = EffResolverCall(resolver->export_function, 1, &arg, false, &sqlstate);
		failed |= answer == NULL || !add_answer(bundle, resolver->name, answer);
	}
	if (failed)
		bundle->incomplete = lappend(bundle->incomplete, resolver->name);
}

/*
 * add_answer takes an array of records, completed by what they leave out; false,
 * and nothing added, where it is none.
 */
static bool
add_answer(Bundle *bundle, const char *resolver, Jsonb *answer)
{
	StringInfo	buf = &bundle->records;
	int			n = JB_ROOT_COUNT(answer);
	StringInfoData defaults;
	Datum		complete;

	if (!JB_ROOT_IS_ARRAY(answer) || JB_ROOT_IS_SCALAR(answer))
		return false;
	for (int i = 0; i < n; i++)
		if (!is_record(getIthJsonbValueFromContainer(&answer->root, i)))
			return false;
	initStringInfo(&defaults);
	appendStringInfoChar(&defaults, '{');
	EffJsonMember(&defaults, "source", resolver);
	for (int k = 1; k < lengthof(record_texts); k++)
		EffJsonMember(&defaults, record_texts[k], NULL);
	appendStringInfoString(&defaults, ", \"value\": null, \"row_key\": {}}");
	complete = DirectFunctionCall1(jsonb_in, CStringGetDatum(defaults.data));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&answer->root, i);
		JsonbValue *basis = EffJsonbMember(element->val.binary.data, "legal_basis");
		Jsonb	   *record;

		if (bundle->portable &&
			(basis == NULL || !is_portable_basis(basis->val.string.val, basis->val.string.len)))
			continue;
		record =
			DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, complete,
											   JsonbPGetDatum(JsonbValueToJsonb(element))));
		bundle->count++;
		if (buf->len > 0)
			appendStringInfoChar(buf, ',');
		(void) JsonbToCString(buf, &record->root, VARSIZE(record));
		if (buf->len > MAX_BUNDLE_BYTES)
			bundle_too_large();
	}
	return true;
}

/* is_record: an object whose members are what those of our own records are. */
static bool
is_record(JsonbValue *element)
{
	JsonbValue *member;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		return false;
	for (int k = 0; k < lengthof(record_texts); k++)
	{
		member = getKeyJsonValueFromContainer(element->val.binary.data, record_texts[k],
											  strlen(record_texts[k]), NULL);
		/* the first one is the source, which has to be there */
		if (member != NULL && member->type != jbvString && (k == 0 || member->type != jbvNull))
			return false;
	}
	member = EffJsonbMember(element->val.binary.data, "expires_at");
	if (member != NULL && !is_moment(pnstrdup(member->val.string.val, member->val.string.len)))
		return false;
	member = getKeyJsonValueFromContainer(element->val.binary.data, "row_key", strlen("row_key"),
										  NULL);
	return member == NULL ||
		(member->type == jbvBinary && JsonContainerIsObject(member->val.binary.data));
}

static bool
is_moment(const char *text)
{
	EffSubtransaction sub;
	bool		volatile valid = true;

	EffSubBegin(&sub);
	PG_TRY();
	{
		(void) DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		FreeErrorData(EffSubCatchUserError(&sub));
		valid = false;
	}
	PG_END_TRY();
	return valid;
}

/* is_portable: the value was provided under consent or contract (Art. 20 (1)(a)). */
static bool
is_portable(MapColumn *column)
{
	const char *basis = column->label->legal_basis;

	return basis != NULL && is_portable_basis(basis, strlen(basis));
}

static bool
is_portable_basis(const char *basis, int length)
{
	return (length == 7 && memcmp(basis, "consent", 7) == 0) ||
		(length == 8 && memcmp(basis, "contract", 8) == 0);
}

static void
append_text(StringInfo buf, text *value)
{
	appendBinaryStringInfo(buf, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/* finish_bundle makes jsonb of the text, which may need more room than the text. */
static Jsonb *
finish_bundle(StringInfo buf)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile bundle = NULL;

	PG_TRY();
	{
		bundle = EffJsonDone(buf);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			EffRethrowWithoutValues(&(EffStatementPlace) {.action = "writing of",
														  .relation = "the export"});
		FlushErrorState();
		bundle_too_large();
	}
	PG_END_TRY();
	return bundle;
}

static void
bundle_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the export is larger than one jsonb can hold"),
			 errdetail("A jsonb holds at most %d bytes.", MAX_BUNDLE_BYTES),
			 errhint("COPY (SELECT * FROM effaced_export_records(...)) TO STDOUT; streams the same"
					 " records as rows."),
			 errhidestmt(true)));
}

/* write_timestamp writes ISO 8601, as to_json() does. */
static void
write_timestamp(StringInfo buf, TimestampTz at)
{
	char		text[MAXDATELEN + 1];

	JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, NULL);
	appendStringInfo(buf, "\"%s\"", text);
}
