/*
 * values.c
 *	  Turns a corrected value, which is JSON, into one of a column's type.
 */
#include "postgres.h"

#include "rectify/corrections.h"
#include "rectify/values.h"
#include "relations/types.h"

#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

/*
 * Types that take dates in several ways, of which one is accepted: what is left
 * of a text without those
 */
#define DAY "[0-9]{4,6}-[0-9]{2}-[0-9]{2}"
#define TIME "[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
#define ZONE " ?(Z|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)"
#define ERA "( BC)?"
#define NO_DATE "|-?infinity|null|empty"

static void convert_value(RectifyColumn *column, Jsonb *json, BoundValue *value);
static bool is_true(const char *query, Jsonb *json);
static Oid date_type(Oid type);
static const char *dates_pattern(Oid type);
static const char *dates_hint(Oid type);
static const char *json_sql(Oid type);
static void does_not_fit(RectifyColumn *column, int sqlstate) pg_attribute_noreturn();

/*
 * EffRectifyConvert: one correction may be about columns of several types.
 */
BoundValue *
EffRectifyConvert(List *columns, List *corrections)
{
	BoundValue  *values = palloc0(sizeof(BoundValue) * list_length(columns));
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
convert_value(RectifyColumn *column, Jsonb *json, BoundValue *value)
{
	EffColumn  *c = column->column->column;
	EffStatementPlace place = {.action = "correction of", .relation = column->table->rel->name,
							   .column = c->name};
	Oid			type = JSONBOID;
	Datum		arg = JsonbPGetDatum(json);
	MemoryContext current = CurrentMemoryContext;
	const char *dates = dates_pattern(c->type);
	volatile bool is_date = true;
	int16		typlen;
	bool		typbyval;

	PG_TRY();
	{
		if (dates != NULL)
			is_date = is_true(psprintf("SELECT pg_catalog.regexp_replace($1 #>> '{}', %s, '', 'g')"
									   " !~ '[^][{}(), \"\\\\]'", EffQuoteLiteral(dates)),
							  json);
		if (is_date &&
			(SPI_execute_with_args(psprintf("SELECT r.v FROM pg_catalog.jsonb_to_record("
											"pg_catalog.jsonb_build_object('v', %s)) AS r (v %s)",
											json_sql(c->type), EffTypeSql(c->type, c->typmod)),
								   1, &type, &arg, NULL, true, 1) != SPI_OK_SELECT ||
								   SPI_processed != 1))
			elog(ERROR, "a value could not be converted");
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(current);
		/* not the value's fault, but its statement must not be logged either */
		if (geterrcode() == ERRCODE_QUERY_CANCELED ||
			ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_INSUFFICIENT_RESOURCES)
			EffRethrowWithoutValues(&place);
		does_not_fit(column, EffCatchUserError(current)->sqlerrcode);
	}
	PG_END_TRY();
	if (!is_date)
		does_not_fit(column, ERRCODE_INVALID_DATETIME_FORMAT);
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

	if (SPI_execute_with_args(query, 1, &type, &arg, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "a value could not be looked at");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_freetuptable(SPI_tuptable);
	return isnull || DatumGetBool(value);
}

/*
 * date_type gives the type of dates in a column, in its arrays and ranges too;
 * InvalidOid where it has none.
 */
static Oid
date_type(Oid type)
{
	Oid			base = EffBaseType(type);
	Oid			inner = get_element_type(base);

	if (OidIsValid(inner))
		base = EffBaseType(inner);
	if (OidIsValid(inner = get_multirange_range(base)))
		base = inner;
	if (OidIsValid(inner = get_range_subtype(base)))
		base = EffBaseType(inner);
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
	Oid			base = EffBaseType(type);
	Oid			element = get_element_type(base);

#define HEX(json) \
	"CASE WHEN pg_catalog.jsonb_typeof(" json ") = 'string' AND NOT " json " #>> '{}' ~ '^\\\\x'" \
	" THEN pg_catalog.to_jsonb(pg_catalog.decode(" json " #>> '{}', 'base64')) ELSE " json " END"

	if (base == BYTEAOID)
		return HEX("$1");
	if (OidIsValid(element) && EffBaseType(element) == BYTEAOID)
		return "CASE WHEN pg_catalog.jsonb_typeof($1) = 'array'"
			" THEN (SELECT coalesce(pg_catalog.jsonb_agg(" HEX("e.v") " ORDER BY e.n), '[]')"
			" FROM pg_catalog.jsonb_array_elements($1) WITH ORDINALITY AS e (v, n)) ELSE $1 END";
	return "$1";
}

static void
does_not_fit(RectifyColumn *column, int sqlstate)
{
	EffColumn  *c = column->column->column;
	EffRelation *rel = column->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("entry %d of corrections does not fit column \"%s\" of table \"%s\"",
					column->correction + 1, c->name, rel->relname),
			 sqlstate == ERRCODE_GENERATED_ALWAYS ?
			 errdetail("The column is GENERATED ALWAYS AS IDENTITY.") :
			 errdetail("SQLSTATE %s: the value is none of type %s.  Nothing was changed.",
					   unpack_sql_state(sqlstate), EffTypeSql(c->type, c->typmod)),
			 sqlstate == ERRCODE_INVALID_DATETIME_FORMAT && date_type(c->type) != InvalidOid ?
			 errhint("%s", dates_hint(c->type)) :
			 errhint("Give a value that the column takes, or a \"fact\" that tells this column"
					 " from the others of the category."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 err_generic_string(PG_DIAG_COLUMN_NAME, c->name),
			 errhidestmt(true)));
}
