/*
 * export.c
 *	  Access and portability (Art. 15, 20): every value held on a subject, one
 *	  record each.
 *
 * A row is exported to whoever owns it and to whoever may access it.  What a
 * link redacts is left out for those who only may access the row, and what is
 * tied to another owner's link is left out for the owners.
 */
#include "postgres.h"

#include "audit.h"
#include "exec.h"
#include "expression.h"
#include "json.h"
#include "refs.h"
#include "scope.h"
#include "spi.h"

#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SCHEMA_VERSION 3

PG_FUNCTION_INFO_V1(effaced_export);
PG_FUNCTION_INFO_V1(effaced_export_records);

/* A table that holds something of the subject, or that it may look into */
typedef struct ExportSource
{
	MapTable   *table;
	Statement  *records;		/* row key, place of the column, value, expiry */
} ExportSource;

/* How a kind of subject is exported; lives as long as the map */
typedef struct ExportPlan
{
	ErasurePlan base;			/* whose subject the parameters are about */
	bool		erased;			/* surrogates are nobody's data any more */
	List	   *sources;		/* of ExportSource */
} ExportPlan;

/* One value of one row */
typedef struct ExportRecord
{
	MapTable   *table;
	MapColumn  *column;
	Datum		row_key;		/* jsonb */
	Datum		value;			/* jsonb */
	bool		expires;
	TimestampTz expires_at;
} ExportRecord;

typedef void (*RecordReceiver) (const ExportRecord *record, void *arg);

/* The records of a bundle as JSON text */
typedef struct Bundle
{
	StringInfoData records;
	bool		portable;		/* only what rests on consent or contract */
	uint64		count;
} Bundle;

static void export_subject(DataMap *map, MapTable *subject, SubjectKey *key, RecordReceiver receive, void *arg);
static ExportPlan *export_plan(DataMap *map, MapTable *subject, bool erased);
static ExportSource *make_source(DataMap *map, ExportPlan *plan, MapTable *table);
static char *reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
							 LinkRole role, const char *redacted);
static char *column_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
							  MapColumn *column, const char *owned);
static bool is_redacted(TableLink *link, const char *column);
static char *value_sql(EffRelation *rel, EffColumn *column);
static char *expiry_sql(EffRelation *rel, MapColumn *column);
static void add_to_bundle(const ExportRecord *record, void *arg);
static void add_to_rows(const ExportRecord *record, void *arg);
static void write_timestamp(StringInfo buf, TimestampTz at);
static void write_jsonb(StringInfo buf, Datum value);

/*
 * effaced_export(subject_id, refs, subject, scope) gives the bundle of one
 * snapshot, and records that it was asked for and given.
 */
Datum
effaced_export(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubject(map, PG_ARGISNULL(2) ? InvalidOid : PG_GETARG_OID(2));
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	char	   *scope = PG_ARGISNULL(3) ? "access" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Bundle		bundle = {.portable = strcmp(scope, "portability") == 0};
	StringInfoData buf;
	AuditEvent *requested;

	if (!bundle.portable && strcmp(scope, "access") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("unknown scope of an export"),
				 errhint("Allowed: access, portability."),
				 errhidestmt(true)));
	EffRefsCheck(fcinfo, 1);

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "scope", scope);
	appendStringInfoChar(&buf, '}');
	requested = EffAuditEvent("export_requested", subject->kind, key->text, buf.data);

	initStringInfo(&bundle.records);
	export_subject(map, subject, key, add_to_bundle, &bundle);

	resetStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "scope", scope);
	EffJsonNumber(&buf, "records", bundle.count);
	EffJsonKey(&buf, "incomplete_sources");
	EffJsonStrings(&buf, NIL);
	appendStringInfoChar(&buf, '}');
	(void) EffAuditAppend(list_make2(requested, EffAuditEvent("export_completed", subject->kind, key->text, buf.data)));

	resetStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "subject_id", key->text);
	EffJsonKey(&buf, "generated_at");
	write_timestamp(&buf, requested->occurred_at);
	EffJsonNumber(&buf, "schema_version", SCHEMA_VERSION);
	EffJsonKey(&buf, "records");
	appendStringInfo(&buf, "[%s]", bundle.records.data);
	EffJsonKey(&buf, "incomplete_sources");
	EffJsonStrings(&buf, NIL);
	appendStringInfoChar(&buf, '}');
	PG_RETURN_JSONB_P(EffJsonDone(&buf));
}

/*
 * effaced_export_records(subject_id, subject) gives the same records as rows.
 */
Datum
effaced_export_records(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubject(map, PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1));
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));

	InitMaterializedSRF(fcinfo, 0);
	export_subject(map, subject, key, add_to_rows, fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * export_subject hands every record to a receiver: tables by name, rows by key,
 * columns by position.
 */
static void
export_subject(DataMap *map, MapTable *subject, SubjectKey *key, RecordReceiver receive, void *arg)
{
	bool		erased = EffAuditErased(subject->kind, &key->text, 1)[0] == ERASURE_RECORDED;
	ExportPlan *plan = export_plan(map, subject, erased);
	ErasureCall *call = EffExecNew(map, &plan->base, &key, 1);
	EffBracket	bracket;
	ListCell   *lc;

	call->read_only = true;
	EffSpiBegin(&bracket);
	foreach(lc, plan->sources)
	{
		ExportSource *source = lfirst(lc);
		uint64		n = EffExecStatement(call->runs[0], source->records);
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 row = 0; row < n; row++)
		{
			ExportRecord record = {.table = source->table};
			bool		isnull;

			CHECK_FOR_INTERRUPTS();
			record.row_key = SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull);
			record.column = list_nth(source->table->columns,
									 DatumGetInt32(SPI_getbinval(rows->vals[row], rows->tupdesc, 2, &isnull)));
			record.value = SPI_getbinval(rows->vals[row], rows->tupdesc, 3, &isnull);
			record.expires_at = DatumGetTimestampTz(SPI_getbinval(rows->vals[row], rows->tupdesc, 4, &isnull));
			record.expires = !isnull;
			receive(&record, arg);
		}
		SPI_freetuptable(rows);
	}
	EffSpiEnd(&bracket);
}

/* export_plan makes the statements once per map, kind, and whether surrogates count. */
static ExportPlan *
export_plan(DataMap *map, MapTable *subject, bool erased)
{
	ExportPlan *plan;
	MemoryContext context;
	MemoryContext previous;
	EffBracket	bracket;
	ListCell   *lc;

	foreach(lc, map->exports)
	{
		plan = lfirst(lc);
		if (plan->base.subject == subject && plan->erased == erased)
			return plan;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced export", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	EffPinBegin(&bracket);
	plan = palloc0(sizeof(ExportPlan));
	plan->base.subject = subject;
	plan->erased = erased;
	foreach(lc, EffGraphTables(map, subject))
		if (((MapTable *) lfirst(lc))->columns != NIL)
			plan->sources = lappend(plan->sources, make_source(map, plan, lfirst(lc)));
	EffPinEnd(&bracket);
	MemoryContextSetParent(context, map->context);
	MemoryContextSwitchTo(map->context);
	map->exports = lappend(map->exports, plan);
	MemoryContextSwitchTo(previous);
	return plan;
}

/*
 * make_source writes one statement per table: a row is taken apart into its
 * labelled columns.
 */
static ExportSource *
make_source(DataMap *map, ExportPlan *plan, MapTable *table)
{
	EffRelation *rel = table->rel;
	EffIndex   *primary = EffRelationPrimaryKey(rel);
	ExportSource *source = palloc0(sizeof(ExportSource));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", rel);
	char	   *owned = reach_condition(map, st, plan, table, ROLE_OWNER, NULL);
	char	   *accessible = reach_condition(map, st, plan, table, ROLE_ACCESSOR, NULL);
	ListCell   *lc;

	source->table = table;
	source->records = st;
	appendStringInfoString(&st->text, "SELECT pg_catalog.jsonb_build_object(");
	for (int i = 0; primary != NULL && i < primary->nkeys; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, primary->keys[i]);

		appendStringInfo(&st->text, "%s%s, %s", i > 0 ? ", " : "",
						 EffQuoteLiteral(column->name), value_sql(rel, column));
	}
	appendStringInfo(&st->text, "), c.place, c.value, c.expires_at FROM %s t CROSS JOIN LATERAL (VALUES ", rel->sql);
	foreach(lc, table->columns)
	{
		MapColumn  *column = lfirst(lc);
		char	   *included = column_condition(map, st, plan, table, column, owned);

		appendStringInfo(&st->text, "%s(%d, CASE WHEN %s IS NOT NULL AND %s THEN %s END, %s)",
						 foreach_current_index(lc) > 0 ? ", " : "", foreach_current_index(lc),
						 EffColumnSql("t", rel, column->column->attnum), included,
						 value_sql(rel, column->column), expiry_sql(rel, column));
	}
	appendStringInfo(&st->text, ") AS c (place, value, expires_at) WHERE (%s OR %s) AND c.value IS NOT NULL ORDER BY ",
					 owned, accessible);
	for (int i = 0; primary != NULL && i < primary->nkeys; i++)
		appendStringInfo(&st->text, "%s, ", EffColumnSql("t", rel, primary->keys[i]));
	appendStringInfoString(&st->text, "c.place");
	return source;
}

/*
 * reach_condition: the row is the subject's by a link of that role; redacted
 * names a column that accessors' links must let through.
 */
static char *
reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
				LinkRole role, const char *redacted)
{
	int			length = st->text.len;
	bool		any = false;
	ListCell   *lc;

	appendStringInfoChar(&st->text, '(');
	if (table == plan->base.subject && role == ROLE_OWNER)
	{
		EffScopeSubject(map, st, "t", table, &EffScopeMine);
		any = true;
	}
	foreach(lc, EffGraphRoleLinks(table, plan->base.subject, role))
	{
		TableLink  *link = lfirst(lc);

		if (redacted != NULL && is_redacted(link, redacted))
			continue;
		appendStringInfoString(&st->text, any ? " OR " : "");
		EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
		any = true;
	}
	appendStringInfoString(&st->text, any ? ")" : "false)");
	return EffStatementTake(st, length);
}

/*
 * column_condition: an owner gets what is tied to no other owner, somebody with
 * access what is not redacted, and an erased subject no surrogates.
 */
static char *
column_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
				 MapColumn *column, const char *owned)
{
	/* who owns the row and may access it too gets it as its owner */
	char	   *accessible = psprintf("(%s IS NOT TRUE AND %s)", owned,
									  reach_condition(map, st, plan, table, ROLE_ACCESSOR, column->column->name));
	char	   *mine = pstrdup(owned);
	ListCell   *lc;

	foreach(lc, table->links)
	{
		TableLink  *link = lfirst(lc);
		int			length = st->text.len;
		char	   *others;

		if (column->label->link == NULL || link->name == NULL || link->label->role != ROLE_OWNER ||
			strcmp(link->name, column->label->link) != 0)
			continue;
		EffScopeLink(map, st, "t", link, 0, &EffScopeAny);
		others = EffStatementTake(st, length);
		mine = psprintf("(%s AND (%s) IS NOT TRUE)", owned, others);
		if (link->subject == plan->base.subject)
		{
			EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
			mine = psprintf("(%s OR (%s))", mine, EffStatementTake(st, length));
		}
	}
	if (plan->erased && column->label->erasure != ERASURE_RETAIN)
	{
		Surrogate  *surrogate = EffSurrogateChoose(map, table, column);
		char	   *residual = surrogate->error ? NULL : EffSurrogateResidualSql(surrogate, st, "t");

		if (residual != NULL)
			return psprintf("((%s OR %s) AND %s)", mine, accessible, residual);
	}
	return psprintf("(%s OR %s)", mine, accessible);
}

static bool
is_redacted(TableLink *link, const char *column)
{
	ListCell   *lc;

	foreach(lc, link->label->redact)
		if (strcmp(lfirst(lc), column) == 0)
			return true;
	return false;
}

/*
 * value_sql keeps numbers, booleans, json and arrays what they are; bytea is
 * base64.  A user's type is text: to_jsonb() would call a cast that its owner
 * has made.
 */
static char *
value_sql(EffRelation *rel, EffColumn *column)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);
	Oid			base = getBaseType(column->type);
	Oid			element = get_element_type(base);
	Oid			type = OidIsValid(element) ? getBaseType(element) : base;
	const char *array = OidIsValid(element) ? "[]" : "";

	if (base == BYTEAOID)
		return psprintf("pg_catalog.to_jsonb(pg_catalog.translate(pg_catalog.encode(%s, 'base64'), E'\\n', ''))", value);
	if (type >= FirstNormalObjectId && !OidIsValid(getExtensionOfObject(TypeRelationId, type)))
		return psprintf("pg_catalog.to_jsonb(%s::pg_catalog.text%s)", value, array);
	return psprintf("pg_catalog.to_jsonb(%s::%s)", value, EffTypeSql(base, -1));
}

/* expiry_sql: anchor and duration, by the calendar and in UTC. */
static char *
expiry_sql(EffRelation *rel, MapColumn *column)
{
	RetentionPolicy *retention = column->label->retention;
	EffColumn  *anchor = retention && retention->anchor ? EffRelationColumnByName(rel, retention->anchor) : NULL;

	if (anchor == NULL || retention->duration == NULL)
		return "NULL::pg_catalog.timestamptz";
	return psprintf("(%s::pg_catalog.timestamptz + %s::pg_catalog.interval)",
					EffColumnSql("t", rel, anchor->attnum), EffQuoteLiteral(retention->duration));
}

/* add_to_bundle writes a record as an object, where its legal basis is asked for. */
static void
add_to_bundle(const ExportRecord *record, void *arg)
{
	Bundle	   *bundle = arg;
	StringInfo	buf = &bundle->records;
	ColumnLabel *label = record->column->label;

	if (bundle->portable &&
		(label->legal_basis == NULL ||
		 (strcmp(label->legal_basis, "consent") != 0 && strcmp(label->legal_basis, "contract") != 0)))
		return;
	bundle->count++;
	EffJsonComma(buf);
	appendStringInfoChar(buf, '{');
	EffJsonMember(buf, "source", record->table->name);
	EffJsonKey(buf, "row_key");
	write_jsonb(buf, record->row_key);
	EffJsonMember(buf, "field", record->column->column->name);
	EffJsonMember(buf, "category", label->category);
	EffJsonKey(buf, "value");
	write_jsonb(buf, record->value);
	EffJsonMember(buf, "legal_basis", label->legal_basis);
	EffJsonMember(buf, "purpose", label->purpose);
	EffJsonMember(buf, "retention_reason", label->retention ? label->retention->reason : NULL);
	EffJsonKey(buf, "expires_at");
	if (record->expires)
		write_timestamp(buf, record->expires_at);
	else
		appendStringInfoString(buf, "null");
	appendStringInfoChar(buf, '}');
}

/* add_to_rows writes a record as a row of the result. */
static void
add_to_rows(const ExportRecord *record, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	ColumnLabel *label = record->column->label;
	const char *reason = label->retention ? label->retention->reason : NULL;
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = CStringGetTextDatum(record->table->name);
	values[1] = record->row_key;
	values[2] = CStringGetTextDatum(record->column->column->name);
	values[3] = CStringGetTextDatum(label->category);
	values[4] = record->value;
	nulls[5] = label->legal_basis == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(label->legal_basis);
	nulls[6] = label->purpose == NULL;
	values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(label->purpose);
	nulls[7] = reason == NULL;
	values[7] = nulls[7] ? (Datum) 0 : CStringGetTextDatum(reason);
	nulls[8] = !record->expires;
	values[8] = TimestampTzGetDatum(record->expires_at);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* write_timestamp writes ISO 8601, as to_jsonb() does. */
static void
write_timestamp(StringInfo buf, TimestampTz at)
{
	char		text[MAXDATELEN + 1];

	JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, NULL);
	appendStringInfo(buf, "\"%s\"", text);
}

static void
write_jsonb(StringInfo buf, Datum value)
{
	Jsonb	   *jsonb = DatumGetJsonbP(value);

	(void) JsonbToCString(buf, &jsonb->root, VARSIZE(jsonb));
}
