/*
 * rectify.c
 *	  Rectification (Art. 16): a fact about a subject, corrected wherever the
 *	  labels say that it is held.
 */
#include "postgres.h"

#include "audit.h"
#include "exec.h"
#include "json.h"
#include "outbox.h"
#include "rectify_plan.h"
#include "ref_plan.h"
#include "refs.h"
#include "resolver.h"
#include "spi.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(effaced_rectify);

#define CORRECTION_FORM "Write [{\"category\": \"...\", \"value\": ..., \"fact\": \"...\"}], \"fact\" where the category has several, null for the columns without one."

/* Types that take dates in several ways, of which one is accepted: what is left of a text without those */
#define DAY "[0-9]{4,6}-[0-9]{2}-[0-9]{2}"
#define TIME "[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
#define ZONE " ?(Z|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)"
#define ERA "( BC)?"
#define NO_DATE "|-?infinity|null|empty"


/* One entry of corrections */
typedef struct Correction
{
	char	   *category;
	char	   *fact;			/* NULL where none is named */
	bool		no_fact;		/* of the columns that have none */
	bool		fact_known;		/* some label has it */
	Jsonb	   *value;
} Correction;

/* What was done in a table, over its own rows and those by its links */
typedef struct RectifiedTable
{
	MapTable   *table;
	List	   *columns;		/* of char * */
	uint64		rectified;
	uint64		shared;
	bool		may_share;
} RectifiedTable;

static Datum rectify(FunctionCallInfo fcinfo);
static List *read_corrections(FunctionCallInfo fcinfo, int argno);
static char *text_member(JsonbContainer *object, const char *key, int number);
static void bad_correction(int number, const char *what) pg_attribute_noreturn();
static List *matching_columns(DataMap *map, MapTable *subject, List *corrections);
static List *relations_of(List *columns);
static void check_facts(Correction *correction, List *columns);
static void check_once(List *columns);
static void check_generated(RectifyColumn *column, List *columns);
static ExecValue *convert_values(List *columns, List *corrections);
static void convert_value(RectifyColumn *column, Jsonb *json, ExecValue *value);
static bool is_true(const char *query, Jsonb *json);
static Oid date_type(Oid type);
static const char *dates_pattern(Oid type);
static const char *dates_hint(Oid type);
static const char *json_sql(Oid type);
static void does_not_fit(RectifyColumn *column, int sqlstate) pg_attribute_noreturn();
static List *run_plan(ErasureRun *run, RectifyPlan *plan);
static RectifiedTable *result_for(List **results, MapTable *table);
static uint64 *count_due(ErasureRun *run, RectifyStep *step);
static void run_step(ErasureRun *run, RectifyTable *table, RectifyStep *step, uint64 *due, RectifiedTable *result);
static bool correct_aftermath(ErasureRun *run, RectifyTable *table, bool again, RectifiedTable *result);
static void not_as_planned(RectifyTable *table) pg_attribute_noreturn();
static List *make_events(MapTable *subject, SubjectKey *key, List *corrections, List *results,
						 TimestampTz requested_at, int enqueued);

/*
 * effaced_rectify(subject_id, corrections, refs, subject) sets every labelled
 * column of a correction's category, and fact, that the subject owns.  The
 * statement that calls it holds the values: whatever fails, it is not logged.
 */
Datum
effaced_rectify(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = rectify(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->hide_stmt)
			PG_RE_THROW();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != MAKE_SQLSTATE('Z', 'E', '0', '0', '0'))
			EffRethrowWithoutValues(&(EffStatementPlace) {.action = "rectification of", .relation = "the subject"});
		FlushErrorState();
		error->hide_stmt = true;
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

static Datum
rectify(FunctionCallInfo fcinfo)
{
	DataMap    *map;
	MapTable   *subject;
	SubjectKey *key;
	List	   *corrections;
	List	   *columns;
	List	   *results = NIL;
	List	   *resolvers;
	List	   *refs;
	ErasurePlan *ref_plan;
	List	   *entries;
	TimestampTz requested_at = GetCurrentTimestamp();
	EffBracket	bracket;
	StringInfoData buf;
	ListCell   *lc;

	EffExecRequireReadCommitted("effaced_rectify");
	do
	{
		map = EffGraphGet();
		subject = EffGraphSubject(map, PG_ARGISNULL(3) ? InvalidOid : PG_GETARG_OID(3));
		key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
		corrections = read_corrections(fcinfo, 1);
		columns = matching_columns(map, subject, corrections);
	} while (!EffMapHold(map, relations_of(columns)));
	resolvers = EffResolvers();
	ref_plan = EffRefPlanGet(map, subject, REF_ALONE);
	EffRefPlanCheck(ref_plan, resolvers);
	refs = EffRefsArgument(fcinfo, 2, resolvers);

	initStringInfo(&buf);		/* outlives the bracket, as all else does not */
	EffSpiBegin(&bracket);
	if (columns != NIL || refs != NIL || ref_plan->refs != NIL)
	{
		RectifyPlan *plan;
		SubjectState state;
		ErasureCall *call;
		ExecValue  *values = convert_values(columns, corrections);

		plan = EffRectifyPlanGet(map, subject, SUBJECT_LIVING, columns);
		call = EffExecNew(map, &plan->base, &key, 1);
		(void) EffExecLock(call->runs[0], plan->base.lock_subject);
		/* what an erasure that had the lock has recorded is seen now */
		state = EffSubjectState(map, subject, key);
		if (state != SUBJECT_LIVING)
		{
			plan = EffRectifyPlanGet(map, subject, state, columns);
			call = EffExecNew(map, &plan->base, &key, 1);
		}
		call->values = values;
		/* who is erased stays so elsewhere too */
		refs = state == SUBJECT_ERASED ? NIL : EffRefsUnite(refs, EffRefPlanRead(map, ref_plan, key));
		results = run_plan(call->runs[0], plan);
	}
	entries = corrections == NIL ? NIL : EffOutboxEntries(NIL, key->text, refs);
	(void) EffOutboxEnqueue("rectify", subject->kind, &entries,
							   entries != NIL ? JsonbToCString(NULL, &PG_GETARG_JSONB_P(1)->root, 0) : NULL,
							   list_make1(key->text))[0];
	(void) EffAuditAppend(make_events(subject, key, corrections, results, requested_at,
									  list_length(entries)));

	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "subject_id", key->text);
	EffJsonKey(&buf, "rectified");
	appendStringInfoChar(&buf, '{');
	foreach(lc, results)
		EffJsonNumber(&buf, ((RectifiedTable *) lfirst(lc))->table->name, ((RectifiedTable *) lfirst(lc))->rectified);
	appendStringInfoChar(&buf, '}');
	EffJsonKey(&buf, "shared");
	appendStringInfoChar(&buf, '{');
	foreach(lc, results)
		if (((RectifiedTable *) lfirst(lc))->may_share)
			EffJsonNumber(&buf, ((RectifiedTable *) lfirst(lc))->table->name, ((RectifiedTable *) lfirst(lc))->shared);
	appendStringInfoChar(&buf, '}');
	EffOutboxWrite(&buf, entries, resolvers);
	appendStringInfoChar(&buf, '}');
	EffSpiEnd(&bracket);
	PG_RETURN_JSONB_P(EffJsonDone(&buf));
}

static List *
read_corrections(FunctionCallInfo fcinfo, int argno)
{
	static const char *const keys[] = {"category", "value", "fact", NULL};
	List	   *corrections = NIL;
	Jsonb	   *array;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("corrections must not be NULL"),
				 errhint(CORRECTION_FORM),
				 errhidestmt(true)));
	array = PG_GETARG_JSONB_P(argno);
	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("corrections is not a JSON array"),
				 errhint(CORRECTION_FORM),
				 errhidestmt(true)));
	for (int i = 0; i < JB_ROOT_COUNT(array); i++)
	{
		JsonbValue *entry = getIthJsonbValueFromContainer(&array->root, i);
		JsonbContainer *object;
		Correction *correction = palloc0(sizeof(Correction));
		JsonbValue	value;
		int			known = 0;

		if (entry->type != jbvBinary || !JsonContainerIsObject(entry->val.binary.data))
			bad_correction(i + 1, "is not an object");
		object = entry->val.binary.data;
		for (int k = 0; keys[k] != NULL; k++)
			known += getKeyJsonValueFromContainer(object, keys[k], strlen(keys[k]), &value) != NULL ? 1 : 0;
		if (known < JsonContainerSize(object))
			bad_correction(i + 1, "has an unknown key");
		correction->category = text_member(object, "category", i + 1);
		if (correction->category == NULL)
			bad_correction(i + 1, "has no category");
		if (!EffLabelIsCategory(correction->category))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_CONFIGURATION),
					 errmsg("entry %d of corrections has an unknown category", i + 1),
					 errhint("Allowed: %s.", EffLabelCategories()),
					 errhidestmt(true)));
		correction->fact = text_member(object, "fact", i + 1);
		correction->no_fact = correction->fact == NULL &&
			getKeyJsonValueFromContainer(object, "fact", strlen("fact"), &value) != NULL;
		if (getKeyJsonValueFromContainer(object, "value", strlen("value"), &value) == NULL)
			bad_correction(i + 1, "has no value");
		correction->value = JsonbValueToJsonb(&value);
		corrections = lappend(corrections, correction);
	}
	return corrections;
}

static char *
text_member(JsonbContainer *object, const char *key, int number)
{
	JsonbValue *member = EffJsonbMember(object, key);

	if (member == NULL)
		return NULL;
	if (member->type != jbvString)
		bad_correction(number, "has a category or fact that is not a string");
	return pnstrdup(member->val.string.val, member->val.string.len);
}

static void
bad_correction(int number, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("entry %d of corrections %s", number, what),
			 errhint(CORRECTION_FORM),
			 errhidestmt(true)));
}

/* matching_columns lists the columns that corrections are about, in order of the map's tables. */
static List *
matching_columns(DataMap *map, MapTable *subject, List *corrections)
{
	List	   *result = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, corrections)
	{
		Correction *correction = lfirst(lc);
		List	   *matching = NIL;

		foreach(lc2, EffGraphTables(map, subject))
		{
			MapTable   *table = lfirst(lc2);

			foreach(lc3, table->columns)
			{
				MapColumn  *column = lfirst(lc3);
				RectifyColumn *match;

				bool		has_fact = column->label->fact != NULL && correction->fact != NULL &&
					strcmp(column->label->fact, correction->fact) == 0;

				correction->fact_known |= has_fact;
				if (strcmp(column->label->category, correction->category) != 0 ||
					!EffRectifyOwns(table, column, subject) ||
					(correction->fact != NULL && !has_fact) ||
					(correction->no_fact && column->label->fact != NULL))
					continue;
				match = palloc(sizeof(RectifyColumn));
				match->table = table;
				match->column = column;
				match->correction = foreach_current_index(lc);
				matching = lappend(matching, match);
			}
		}
		if (correction->fact == NULL && !correction->no_fact)
			check_facts(correction, matching);
		result = list_concat(result, matching);
	}
	check_once(result);
	/* a generated column follows what it is made of */
	foreach(lc, result)
		if (((RectifyColumn *) lfirst(lc))->column->column->generated)
			check_generated(lfirst(lc), result);
	foreach(lc, result)
		if (((RectifyColumn *) lfirst(lc))->column->column->generated)
			result = foreach_delete_current(result, lc);
	return result;
}

/* relations_of lists the tables of columns. */
static List *
relations_of(List *columns)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		relations = list_append_unique_ptr(relations, ((RectifyColumn *) lfirst(lc))->table->rel);
	return relations;
}

/* check_facts: one value cannot be several facts. */
static void
check_facts(Correction *correction, List *columns)
{
	const char *first = NULL;
	bool		differ = false;
	StringInfoData facts;
	List	   *named = NIL;
	List	   *unnamed = NIL;
	ListCell   *lc;

	initStringInfo(&facts);
	foreach(lc, columns)
	{
		RectifyColumn *column = lfirst(lc);
		const char *fact = column->column->label->fact;
		bool		known = false;
		ListCell   *lc2;

		if (fact == NULL)
		{
			unnamed = lappend(unnamed, column);
			continue;
		}
		if (first == NULL)
			first = fact;
		differ |= strcmp(first, fact) != 0;
		foreach(lc2, named)
			known |= strcmp(lfirst(lc2), fact) == 0;
		if (known)
			continue;
		named = lappend(named, unconstify(char *, fact));
		appendStringInfo(&facts, "%s%s", facts.len > 0 ? ", " : "", fact);
	}
	if (differ || (named != NIL && unnamed != NIL))
	{
		RectifyColumn *column = unnamed != NIL ? linitial(unnamed) : NULL;

		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("a correction of category %s must say which fact it is about", correction->category),
				 column ? errdetail("Facts of the category: %s, and columns without one, as %s.%s.", facts.data,
									column->table->name, quote_identifier(column->column->column->name)) :
				 errdetail("Facts of the category: %s.", facts.data),
				 unnamed != NIL ? errhint("Add \"fact\": \"%s\" to the correction, or \"fact\": null for the columns without one.", first) :
				 errhint("Add \"fact\": \"%s\" to the correction.", first),
				 errhidestmt(true)));
	}
}

/* check_once: two corrections of one column contradict each other. */
static void
check_once(List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, columns)
		for_each_from(lc2, columns, foreach_current_index(lc) + 1)
		{
			RectifyColumn *a = lfirst(lc);
			RectifyColumn *b = lfirst(lc2);

			if (a->column == b->column)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_CONFIGURATION),
						 errmsg("entries %d and %d of corrections are about the same column",
								a->correction + 1, b->correction + 1),
						 errdetail("Column %s.%s has category %s%s%s.", a->table->name,
								   quote_identifier(a->column->column->name), a->column->label->category,
								   a->column->label->fact ? " and fact " : "",
								   a->column->label->fact ? a->column->label->fact : ""),
						 errhint("Correct each fact once."),
						 errhidestmt(true)));
		}
}

/* check_generated: some column that it is made of is corrected with it, or it would keep its value. */
static void
check_generated(RectifyColumn *column, List *columns)
{
	EffColumn  *c = column->column->column;
	EffRelation *rel = column->table->rel;
	Relation	relation = table_open(rel->oid, AccessShareLock);
	Bitmapset  *attnums = NULL;
	ListCell   *lc;

	pull_varattnos(build_column_default(relation, c->attnum), 1, &attnums);
	table_close(relation, AccessShareLock);
	foreach(lc, columns)
	{
		RectifyColumn *other = lfirst(lc);

		if (other->table == column->table && !other->column->column->generated &&
			bms_is_member(other->column->column->attnum - FirstLowInvalidHeapAttributeNumber, attnums))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("entry %d of corrections cannot be written to generated column %s.%s", column->correction + 1,
					rel->name, quote_identifier(c->name)),
			 errdetail("No column that it is generated from is corrected with it.  Nothing was changed."),
			 errhint("Label the columns that %s.%s is generated from with the same category and fact, or correct theirs.",
					 rel->name, quote_identifier(c->name)),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 err_generic_string(PG_DIAG_COLUMN_NAME, c->name),
			 errhidestmt(true)));
}

/* convert_values casts each correction to the types of its columns, before anything is changed. */
static ExecValue *
convert_values(List *columns, List *corrections)
{
	ExecValue  *values = palloc0(sizeof(ExecValue) * list_length(columns));
	ListCell   *lc;

	foreach(lc, columns)
	{
		RectifyColumn *column = lfirst(lc);
		Correction *correction = list_nth(corrections, column->correction);

		if (column->column->column->identity_always)
			does_not_fit(column, ERRCODE_GENERATED_ALWAYS);
		convert_value(column, correction->value, &values[foreach_current_index(lc)]);
	}
	return values;
}

/*
 * convert_value lets PostgreSQL take the value out of JSON: text by the type's
 * input, with its length and its domain's checks; arrays as arrays; bytea as an
 * export gives it.
 */
static void
convert_value(RectifyColumn *column, Jsonb *json, ExecValue *value)
{
	EffColumn  *c = column->column->column;
	EffStatementPlace place = {.action = "correction of", .relation = column->table->rel->name, .column = c->name};
	Oid			type = JSONBOID;
	Datum		arg = JsonbPGetDatum(json);
	MemoryContext current = CurrentMemoryContext;
	const char *dates = dates_pattern(c->type);
	int volatile sqlstate = 0;
	volatile bool is_date = true;
	int16		typlen;
	bool		typbyval;

	PG_TRY();
	{
		if (dates != NULL)
			is_date = is_true(psprintf("SELECT pg_catalog.regexp_replace($1 #>> '{}', %s, '', 'g') !~ '[^][{}(), \"\\\\]'", EffQuoteLiteral(dates)),
							  json);
		if (is_date &&
			(SPI_execute_with_args(psprintf("SELECT r.v FROM pg_catalog.jsonb_to_record(pg_catalog.jsonb_build_object('v', %s)) AS r (v %s)",
											json_sql(c->type), EffTypeSql(c->type, c->typmod)),
								   1, &type, &arg, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1))
			elog(ERROR, "a value could not be converted");
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(current);
		/* not the value's fault, but its statement must not be logged either */
		if (geterrcode() == ERRCODE_QUERY_CANCELED || ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_INSUFFICIENT_RESOURCES)
			EffRethrowWithoutValues(&place);
		sqlstate = EffCatchUserError(current)->sqlerrcode;
	}
	PG_END_TRY();
	if (!is_date)
		sqlstate = ERRCODE_INVALID_DATETIME_FORMAT;
	if (sqlstate != 0)
		does_not_fit(column, sqlstate);
	value->value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &value->isnull);
	MemoryContextSwitchTo(current);
	if (!value->isnull)
	{
		get_typlenbyval(c->type, &typlen, &typbyval);
		value->value = datumCopy(value->value, typbyval, typlen);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* is_true runs a query over a JSON value; NULL is true. */
static bool
is_true(const char *query, Jsonb *json)
{
	Oid			type = JSONBOID;
	Datum		arg = JsonbPGetDatum(json);
	bool		isnull;
	Datum		value;

	if (SPI_execute_with_args(query, 1, &type, &arg, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "a value could not be looked at");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_freetuptable(SPI_tuptable);
	return isnull || DatumGetBool(value);
}

/* date_type gives the type of dates in a column, in its arrays and ranges too; InvalidOid where it has none. */
static Oid
date_type(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			inner = get_element_type(base);

	if (OidIsValid(inner))
		base = getBaseType(inner);
	if (OidIsValid(inner = get_multirange_range(base)))
		base = inner;
	if (OidIsValid(inner = get_range_subtype(base)))
		base = getBaseType(inner);
	return base == DATEOID || base == TIMESTAMPOID || base == TIMESTAMPTZOID ? base : InvalidOid;
}

/*
 * dates_pattern: what depends on settings is no date, neither 05/04/1980 nor a
 * moment without a time zone.  Nor is what the type would drop: a time of day
 * from a date, a zone from a time without one.
 */
static const char *
dates_pattern(Oid type)
{
	switch (date_type(type))
	{
		case DATEOID:
			return "(" DAY ERA NO_DATE ")";
		case TIMESTAMPOID:
			return "(" DAY "(" TIME ")?" ERA NO_DATE ")";
		case TIMESTAMPTZOID:
			return "(" DAY TIME ZONE ERA NO_DATE ")";
		default:
			return NULL;
	}
}

static const char *
dates_hint(Oid type)
{
	switch (date_type(type))
	{
		case DATEOID:
			return "Write dates as YYYY-MM-DD.";
		case TIMESTAMPOID:
			return "Write times as 2026-01-31T12:00:00, without a time zone.";
		default:
			return "Write times with their time zone, as 2026-01-31T12:00:00Z.";
	}
}

/* json_sql turns base64 into what bytea reads; \x and hexadecimal digits stay. */
static const char *
json_sql(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);

#define HEX(json) \
	"CASE WHEN pg_catalog.jsonb_typeof(" json ") = 'string' AND NOT " json " #>> '{}' ~ '^\\\\x'" \
	" THEN pg_catalog.to_jsonb(pg_catalog.decode(" json " #>> '{}', 'base64')) ELSE " json " END"

	if (base == BYTEAOID)
		return HEX("$1");
	if (OidIsValid(element) && getBaseType(element) == BYTEAOID)
		return "CASE WHEN pg_catalog.jsonb_typeof($1) = 'array' THEN (SELECT coalesce(pg_catalog.jsonb_agg("
			HEX("e.v") " ORDER BY e.n), '[]') FROM pg_catalog.jsonb_array_elements($1) WITH ORDINALITY AS e (v, n)) ELSE $1 END";
	return "$1";
}

static void
does_not_fit(RectifyColumn *column, int sqlstate)
{
	EffColumn  *c = column->column->column;
	EffRelation *rel = column->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("entry %d of corrections does not fit column %s.%s", column->correction + 1,
					rel->name, quote_identifier(c->name)),
			 sqlstate == ERRCODE_GENERATED_ALWAYS ? errdetail("The column is GENERATED ALWAYS AS IDENTITY.") :
			 errdetail("SQLSTATE %s: the value is none of type %s.  Nothing was changed.",
					   unpack_sql_state(sqlstate), EffTypeSql(c->type, c->typmod)),
			 sqlstate == ERRCODE_INVALID_DATETIME_FORMAT && date_type(c->type) != InvalidOid ?
			 errhint("%s", dates_hint(c->type)) :
			 errhint("Give a value that the column takes, or a \"fact\" that tells this column from the others of the category."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 err_generic_string(PG_DIAG_COLUMN_NAME, c->name),
			 errhidestmt(true)));
}

/*
 * run_plan: rows are locked, from the subject outward, then in later statements
 * who else owns them is found out, then they are written.
 */
static List *
run_plan(ErasureRun *run, RectifyPlan *plan)
{
	List	   *results = NIL;
	List	   *due = NIL;		/* of uint64 *, by table and step */
	bool		more;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, plan->base.locks)
		(void) EffExecLock(run, lfirst(lc));
	foreach(lc, plan->row_sets)
		EffExecFind(run, lfirst(lc), true);
	if (plan->base.owners != NIL)
		EffExecFindErased(run);
	foreach(lc, plan->parts)
		EffExecFind(run, lfirst(lc), false);
	foreach(lc, plan->tables)
	{
		RectifyTable *table = lfirst(lc);
		RectifiedTable *result = result_for(&results, table->table);

		if (table->shared != NULL)
		{
			result->may_share = true;
			result->shared += EffExecCount(run, table->shared);
		}
		if (table->count != NULL)
			result->rectified += EffExecCount(run, table->count);
		foreach(lc2, table->steps)
			due = lappend(due, count_due(run, lfirst(lc2)));
	}

	EffExecDeferConstraints(&plan->base);
	for (int early = 1; early >= 0; early--)
	{
		ListCell   *next = list_head(due);

		foreach(lc, plan->tables)
		{
			RectifyTable *table = lfirst(lc);

			foreach(lc2, table->steps)
			{
				RectifyStep *step = lfirst(lc2);

				if (step->early == (early != 0))
					run_step(run, table, step, lfirst(next), result_for(&results, table->table));
				next = lnext(due, next);
			}
		}
	}
	/* what is corrected here may make a trigger write there */
	more = plan->triggers;
	for (bool again = false; more; again = true)
	{
		more = false;
		foreach(lc, plan->tables)
			more |= correct_aftermath(run, lfirst(lc), again, result_for(&results, ((RectifyTable *) lfirst(lc))->table));
	}
	EffExecCheckConstraints(&plan->base);
	return results;
}

/* count_due: rows that a step is to write, as it stands before anything is; NULL where nothing can go wrong. */
static uint64 *
count_due(ErasureRun *run, RectifyStep *step)
{
	uint64	   *due;

	if (step->due == NULL && step->rows == NULL)
		return NULL;
	due = palloc(sizeof(uint64));
	*due = step->due != NULL ? EffExecCount(run, step->due) : run->found_rows[step->rows->id].counts[ROWS_ALL];
	return due;
}

/*
 * run_step writes, and looks whether all has been written.  Fewer rows than
 * are due are right only where a trigger spared those that hold the value.
 */
static void
run_step(ErasureRun *run, RectifyTable *table, RectifyStep *step, uint64 *due, RectifiedTable *result)
{
	uint64		rows = EffExecStatement(run, step->update);
	uint64		wrong = 0;
	uint64		present = 0;

	if (table->count == NULL)
		result->rectified += rows;
	if (rows > 0)
		result->columns = list_concat_unique_ptr(result->columns, step->columns);
	if (step->check != NULL)
	{
		bool		isnull;

		if (EffExecStatement(run, step->check) != 1)
			elog(ERROR, "a count returned no row");
		wrong = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		present = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
		SPI_freetuptable(SPI_tuptable);
	}
	if (wrong > 0 || (due != NULL && (step->check == NULL ? rows != *due :
									  rows < *due && (step->changes_key && !step->anew ? rows : 0) + present < *due)))
		not_as_planned(table);
}

/*
 * correct_aftermath: what triggers wrote about the subject meanwhile is
 * corrected once; true where there was any.
 */
static bool
correct_aftermath(ErasureRun *run, RectifyTable *table, bool again, RectifiedTable *result)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, table->aftermath)
	{
		RectifyAftermath *aftermath = lfirst(lc);
		uint64		rows;

		if (EffExecCount(run, aftermath->left) == 0)
			continue;
		if (again || aftermath->update == NULL)
			not_as_planned(table);
		rows = EffExecStatement(run, aftermath->update);
		result->rectified += rows;
		any = true;
	}
	return any;
}

/* result_for: the subject's own row and those of its links are rows of one table. */
static RectifiedTable *
result_for(List **results, MapTable *table)
{
	RectifiedTable *result;
	ListCell   *lc;

	foreach(lc, *results)
		if (((RectifiedTable *) lfirst(lc))->table == table)
			return lfirst(lc);
	result = palloc0(sizeof(RectifiedTable));
	result->table = table;
	*results = lappend(*results, result);
	return result;
}

static void
not_as_planned(RectifyTable *table)
{
	EffRelation *rel = table->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of %s were not written as planned", rel->name),
			 errdetail("After the correction there are rows that do not hold the corrected value."),
			 errhint("A row trigger or a rule on %s changes what is written or keeps it from being written: give the value as the trigger would write it, or disable it for this call.",
					 rel->name),
			 errhidestmt(true)));
}

/* make_events writes categories, facts, names and counts; no value. */
static List *
make_events(MapTable *subject, SubjectKey *key, List *corrections, List *results, TimestampTz requested_at,
			int enqueued)
{
	List	   *events = NIL;
	AuditEvent *requested;
	uint64		rectified = 0;
	uint64		shared = 0;
	StringInfoData buf;
	StringInfoData what;
	ListCell   *lc;

	initStringInfo(&what);
	appendStringInfoChar(&what, '[');
	foreach(lc, corrections)
	{
		Correction *correction = lfirst(lc);

		EffJsonComma(&what);
		appendStringInfoChar(&what, '{');
		EffJsonMember(&what, "category", correction->category);
		/* what no label has is the caller's own text */
		EffJsonMember(&what, "fact", correction->fact_known ? correction->fact : NULL);
		appendStringInfoChar(&what, '}');
	}
	appendStringInfoChar(&what, ']');

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"corrections\": %s}", what.data);
	requested = EffAuditEvent("rectification_requested", subject->kind, key->text, buf.data);
	requested->occurred_at = requested_at;
	events = lappend(events, requested);
	foreach(lc, results)
	{
		RectifiedTable *result = lfirst(lc);

		rectified += result->rectified;
		shared += result->shared;
		if (result->rectified == 0)
			continue;
		resetStringInfo(&buf);
		appendStringInfoChar(&buf, '{');
		EffJsonMember(&buf, "target", result->table->name);
		EffJsonKey(&buf, "columns");
		EffJsonStrings(&buf, result->columns);
		EffJsonNumber(&buf, "rows", result->rectified);
		appendStringInfoChar(&buf, '}');
		events = lappend(events, EffAuditEvent("rectification_step_succeeded", subject->kind, key->text, buf.data));
	}
	resetStringInfo(&buf);
	appendStringInfo(&buf, "{\"corrections\": %s", what.data);
	EffJsonNumber(&buf, "rectified", rectified);
	EffJsonNumber(&buf, "shared", shared);
	EffJsonNumber(&buf, "enqueued", enqueued);
	appendStringInfoChar(&buf, '}');
	return lappend(events, EffAuditEvent("rectification_local_completed", subject->kind, key->text, buf.data));
}
