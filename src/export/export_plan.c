/*
 * export_plan.c
 *	  Writes the statements that read what is exported to a subject.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/gone.h"
#include "base/json_text.h"
#include "export/export_plan.h"
#include "plan/ownership.h"
#include "relations/types.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define DENIED_HINT "Grant the calling role SELECT on the tables that hold data of the subject."

/* Rows of one table that are sorted by their key, also where they are streamed */
#define MAX_SORTED_ROWS 1000

/* The last whole year of a timestamp */
#define LAST_YEAR 294275

/* The rows of a table that reach a subject, as conditions */
typedef struct ExportReach
{
	MapTable   *table;
	const Condition *owned;
	const Condition *accessible;	/* by any link, whatever it redacts */
	bool		several;		/* some rows are owned, and some may only be accessed */
} ExportReach;

/* What tells one plan of a map from another */
typedef struct ExportKey
{
	MapTable   *subject;
	SubjectState state;
} ExportKey;

static bool is_plan_of(const void *entry, const void *key);
static void *build_plan(DataMap *map, const void *key);
static ExportSource *make_source(DataMap *map, ExportPlan *plan, MapTable *table);
static void describe_column(MapTable *table, ExportColumn *column);
static void set_text(ExportColumn *column, int place, const char *text);
static char *record_head(MapTable *table, MapColumn *column);
static Statement *make_statement(DataMap *map, ExportPlan *plan, ExportSource *source,
								 const char *json, bool sorted);
static void append_row_key(DataMap *map, Statement *st, StringInfo buf, ExportPlan *plan,
						   ExportReach *reach,
						   const char *json);
static void append_value(Statement *st, StringInfo buf, EffRelation *rel, EffColumn *column,
						 const Condition *included, const char *json);
static Statement *make_is_small(DataMap *map, ExportPlan *plan, ExportSource *source);
static ExportReach reach_of(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table);
static const Condition *reach_condition(DataMap *map, Statement *st, ExportPlan *plan,
										MapTable *table,
								   LinkRole role, const char *redacted);
static const Condition *column_condition(DataMap *map, Statement *st, ExportPlan *plan,
										 ExportReach *reach,
									MapColumn *column);
static const Condition *who_sees(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
								 EffColumn *column,
							const char *tied, const Condition *still);
static const Condition *who_accesses(DataMap *map, Statement *st, ExportPlan *plan,
									 ExportReach *reach,
									 EffColumn *column, const Condition *owned);
static bool is_redacted(TableLink *link, const char *column);
static void append_order(Statement *st, EffRelation *rel);
static char *value_sql(Statement *st, EffRelation *rel, EffColumn *column, const char *json);
static bool is_users(Oid type);
static char *base64_sql(const char *value, const char *json);
static char *expiry_sql(Statement *st, EffRelation *rel, MapColumn *column);
static double expiry_years(EffRelation *rel, MapColumn *column);
static void append_columns(Statement *st, EffRelation *rel, const Bitmapset *columns);

static const MapCacheSlot export_slot = {"export", is_plan_of, build_plan};

/*
 * EffExportPlanGet makes the statements once per map, kind, and whether
 * surrogates count.
 */
ExportPlan *
EffExportPlanGet(DataMap *map, MapTable *subject, SubjectKey *key)
{
	ExportKey	wanted = {subject, EffSubjectState(map, subject, key)};

	return EffMapCacheGet(map, &export_slot, &wanted);
}

static bool
is_plan_of(const void *entry, const void *key)
{
	const ExportPlan *plan = entry;
	const ExportKey *wanted = key;

	return plan->base.subject == wanted->subject && plan->state == wanted->state;
}

static void *
build_plan(DataMap *map, const void *key)
{
	const ExportKey *wanted = key;
	ExportPlan *plan = palloc0(sizeof(ExportPlan));

	plan->base.subject = wanted->subject;
	plan->state = wanted->state;
	foreach_ptr(MapTable, table, EffGraphTables(map, wanted->subject))
		if (table->columns != NIL)
			plan->sources = lappend(plan->sources, make_source(map, plan, table));
	return plan;
}

static ExportSource *
make_source(DataMap *map, ExportPlan *plan, MapTable *table)
{
	ExportSource *source = palloc0(sizeof(ExportSource));
	AttrNumber	expires_at = EXPORT_VALUE(list_length(table->columns));
	ListCell   *lc;

	source->table = table;
	source->ncolumns = list_length(table->columns);
	source->columns = palloc0(sizeof(ExportColumn) * source->ncolumns);
	foreach(lc, table->columns)
	{
		ExportColumn *column = &source->columns[foreach_current_index(lc)];

		column->column = lfirst(lc);
		if (expiry_years(table->rel, column->column) >= 0)
			column->expires_at = expires_at++;
		describe_column(table, column);
	}
	source->document = make_statement(map, plan, source, "json", true);
	source->sorted = make_statement(map, plan, source, "jsonb", true);
	source->unsorted = make_statement(map, plan, source, "jsonb", false);
	source->is_small = make_is_small(map, plan, source);
	return source;
}

/* describe_column makes what does not depend on the row once, not for each of millions. */
static void
describe_column(MapTable *table, ExportColumn *column)
{
	ColumnLabel *label = column->column->label;

	column->head = record_head(table, column->column);
	memset(column->nulls, true, sizeof(column->nulls));
	set_text(column, RECORD_SOURCE, table->name);
	set_text(column, RECORD_FIELD, column->column->column->name);
	set_text(column, RECORD_CATEGORY, label->category);
	set_text(column, RECORD_LEGAL_BASIS, label->legal_basis);
	set_text(column, RECORD_PURPOSE, label->purpose);
	set_text(column, RECORD_RETENTION_REASON, label->retention ? label->retention->reason : NULL);
}

static void
set_text(ExportColumn *column, int place, const char *text)
{
	if (text == NULL)
		return;
	column->values[place] = CStringGetTextDatum(text);
	column->nulls[place] = false;
}

static char *
record_head(MapTable *table, MapColumn *column)
{
	ColumnLabel *label = column->label;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "source", table->name);
	EffJsonMember(&buf, "field", column->column->name);
	EffJsonMember(&buf, "category", label->category);
	EffJsonMember(&buf, "legal_basis", label->legal_basis);
	EffJsonMember(&buf, "purpose", label->purpose);
	EffJsonMember(&buf, "retention_reason", label->retention ? label->retention->reason : NULL);
	EffJsonKey(&buf, "value");
	return buf.data;
}

/*
 * make_statement reads a table's rows once, whatever number of columns is
 * labelled; json is the type of keys and values.
 */
static Statement *
make_statement(DataMap *map, ExportPlan *plan, ExportSource *source, const char *json, bool sorted)
{
	MapTable   *table = source->table;
	EffRelation *rel = table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", rel);
	ExportReach reach = reach_of(map, st, plan, table);
	const char *where;
	Bitmapset  *read;
	StringInfoData outer;

	st->place.denied_hint = DENIED_HINT;
	initStringInfo(&outer);
	append_row_key(map, st, &outer, plan, &reach, json);
	foreach_ptr(MapColumn, column, table->columns)
	{
		const Condition *included = column_condition(map, st, plan, &reach, column);

		appendStringInfoString(&outer, ", ");
		append_value(st, &outer, rel, column->column, included, json);
	}
	for (int place = 0; place < source->ncolumns; place++)
		if (source->columns[place].expires_at != InvalidAttrNumber)
			appendStringInfo(&outer, ", %s", expiry_sql(st, rel, source->columns[place].column));
	read = st->columns;
	where = EffConditionSql(st, EffConditionOr(reach.owned, reach.accessible));
	appendStringInfo(&st->text, "SELECT %s FROM ", outer.data);
	/*
	 * the rows are sorted as they are stored, not with what is made of them; Citus
	 * forgets the order of a sub-select
	 */
	if (sorted && !EffCitusPresent())
	{
		appendStringInfoString(&st->text, "(SELECT ");
		append_columns(st, rel, read);
		appendStringInfo(&st->text, " FROM %s t WHERE %s", rel->sql, where);
		append_order(st, rel);
		appendStringInfoString(&st->text, ") AS t");
	}
	else
	{
		appendStringInfo(&st->text, "%s t WHERE %s", rel->sql, where);
		if (sorted)
			append_order(st, rel);
	}
	return st;
}

/* append_value: the value of a column, where it is included. */
static void
append_value(Statement *st, StringInfo buf, EffRelation *rel, EffColumn *column,
			 const Condition *included,
			 const char *json)
{
	if (included->kind == CONDITION_TRUE)
		appendStringInfoString(buf, value_sql(st, rel, column, json));
	else
		appendStringInfo(buf, "CASE WHEN %s THEN %s END", EffConditionSql(st, included),
						 value_sql(st, rel, column, json));
}

/*
 * append_row_key: without the columns that must not be seen; the object then
 * has the rest of the key.
 */
static void
append_row_key(DataMap *map, Statement *st, StringInfo buf, ExportPlan *plan, ExportReach *reach,
			   const char *json)
{
	EffRelation *rel = reach->table->rel;
	EffIndex   *primary = EffRelationPrimaryKey(rel);
	bool		hidden = false;
	StringInfoData members;

	initStringInfo(&members);
	for (int i = 0; primary != NULL && i < primary->nkeys; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, primary->keys[i]);
		MapColumn  *labelled = EffMapColumn(reach->table, column->attnum);
		const Condition *seen = who_sees(map, st, plan, reach, column, labelled ?
										 labelled->label->link : NULL, NULL);

		appendStringInfo(&members, "%s%s, ", i > 0 ? ", " : "", EffQuoteLiteral(column->name));
		append_value(st, &members, rel, column, seen, json);
		hidden |= seen->kind != CONDITION_TRUE;
	}
	/* a key has no NULLs of its own */
	if (hidden)
		appendStringInfo(buf, "pg_catalog.%s_strip_nulls(", json);
	appendStringInfo(buf, "pg_catalog.%s_build_object(%s)%s", json, members.data, hidden ? ")" :
					 "");
}

/*
 * make_is_small reads no more rows than it takes to tell.  The sub-select has a
 * column, without which Citus cannot read its result from several shards.
 */
static Statement *
make_is_small(DataMap *map, ExportPlan *plan, ExportSource *source)
{
	EffRelation *rel = source->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	ExportReach reach = reach_of(map, st, plan, source->table);

	st->place.denied_hint = DENIED_HINT;
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM %s t WHERE %s"
					 " LIMIT %d) AS s",
					 rel->sql, EffConditionSql(st, EffConditionOr(reach.owned, reach.accessible)),
						 MAX_SORTED_ROWS + 1);
	appendStringInfo(&st->text, " HAVING pg_catalog.count(*) <= %d", MAX_SORTED_ROWS);
	return st;
}

static ExportReach
reach_of(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table)
{
	ExportReach reach = {.table = table};

	reach.owned = reach_condition(map, st, plan, table, ROLE_OWNER, NULL);
	reach.accessible = reach_condition(map, st, plan, table, ROLE_ACCESSOR, NULL);
	reach.several = reach.owned->kind != CONDITION_FALSE &&
		reach.accessible->kind != CONDITION_FALSE;
	return reach;
}

/*
 * reach_condition: the row is the subject's by a link of that role; redacted
 * names a column that accessors' links must let through.
 */
static const Condition *
reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
				LinkRole role, const char *redacted)
{
	int			nlinks = list_length(EffGraphLinks(table, plan->base.subject));
	bool		either = (table == plan->base.subject) + nlinks > 1;
	const Condition *any = &EffFalse;

	if (table == plan->base.subject && role == ROLE_OWNER)
		any = EffScopeSubject(map, st, "t", table, &EffScopeMine);
	foreach_ptr(TableLink, link, EffGraphRoleLinks(table, plan->base.subject, role))
	{
		if (redacted == NULL || !is_redacted(link, redacted))
			any = EffConditionOr(any, EffScopeLink(map, st, "t", link, 0, either ? &EffScopeEither :
												   &EffScopeMine));
	}
	return any;
}

/*
 * column_condition: who may see the column gets it, and an erased subject no
 * surrogates.
 */
static const Condition *
column_condition(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
				 MapColumn *column)
{
	const Condition *included = who_sees(map, st, plan, reach, column->column, column->label->link,
										 NULL);

	if (plan->state == SUBJECT_ERASED && column->label->erasure != ERASURE_RETAIN &&
		column->label->link == NULL &&
		EffOwnersContested(reach->table, plan->base.subject))
	{
		/* what was left for another owner is that owner's */
		const Condition *others = EffOwnershipOthers(map, st, &plan->base, reach->table);

		included = who_sees(map, st, plan, reach, column->column, NULL, EffConditionNot(others));
	}
	if (plan->state != SUBJECT_NOT_ERASED && EffMayHoldSurrogate(reach->table, column))
	{
		Surrogate  *surrogate = EffSurrogateChoose(map, reach->table, column);
		const Condition *residual = surrogate->error ? NULL :
			EffSurrogateResidual(surrogate, st, "t");

		if (residual != NULL)
			return EffConditionAnd(included, residual);
	}
	return included;
}

/*
 * who_sees: an owner gets what is tied to no other owner, somebody with access
 * what is not redacted.  What holds for every row that the statement finds is
 * not asked for again.  still, if any, is what an owner has to fulfil besides.
 */
static const Condition *
who_sees(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach, EffColumn *column,
		 const char *tied, const Condition *still)
{
	const Condition *owned = reach->several || reach->owned->kind == CONDITION_FALSE ?
		reach->owned : &EffTrue;
	const Condition *mine = owned;
	ListCell   *lc;

	foreach(lc, reach->table->links)
	{
		TableLink  *link = lfirst(lc);

		if (tied == NULL || link->name == NULL || link->label->role != ROLE_OWNER ||
			strcmp(link->name, tied) != 0)
			continue;
		mine = EffConditionAnd(owned, EffConditionNot(EffScopeLink(map, st, "t", link, 0,
																   &EffScopeAny)));
		if (link->subject == plan->base.subject)
			mine = EffConditionOr(mine, EffScopeLink(map, st, "t", link, 0, &EffScopeEither));
	}
	if (still != NULL)
		mine = EffConditionAnd(mine, still);
	return EffConditionOr(mine, who_accesses(map, st, plan, reach, column, owned));
}

/*
 * who_accesses: whoever may access the row by a link that does not redact the
 * column.  Who owns the row and may access it too gets it as its owner.
 */
static const Condition *
who_accesses(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach, EffColumn *column,
			 const Condition *owned)
{
	const Condition *accessible = reach->accessible;
	bool		redacted = false;

	if (accessible->kind == CONDITION_FALSE)
		return accessible;
	foreach_ptr(TableLink, link, EffGraphRoleLinks(reach->table, plan->base.subject, ROLE_ACCESSOR))
	{
		redacted |= is_redacted(link, column->name);
	}
	if (redacted)
		accessible = reach_condition(map, st, plan, reach->table, ROLE_ACCESSOR, column->name);
	else if (!reach->several)
		accessible = &EffTrue;
	return reach->several ? EffConditionAnd(EffConditionNot(owned), accessible) : accessible;
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

/* append_order: by key and, where rows of several tables may share one, by their place. */
static void
append_order(Statement *st, EffRelation *rel)
{
	EffIndex   *primary = EffRelationPrimaryKey(rel);
	bool		children = rel->relkind != RELKIND_PARTITIONED_TABLE &&
		list_length(rel->inheritors) > 1;
	const char *separator = " ORDER BY ";

	for (int i = 0; primary != NULL && i < primary->nkeys; i++)
	{
		appendStringInfo(&st->text, "%s%s", separator, EffColumnSql("t", rel, primary->keys[i]));
		separator = ", ";
	}
	if ((primary == NULL || children) && rel->relkind != RELKIND_FOREIGN_TABLE)
		appendStringInfo(&st->text, "%st.tableoid, t.ctid", separator);
}

/*
 * value_sql keeps numbers, booleans, json and arrays what they are; bytea is
 * base64.  A user's type is text as its output function writes it: to_json() and
 * ::text would call a cast that its owner has made.
 */
static char *
value_sql(Statement *st, EffRelation *rel, EffColumn *column, const char *json)
{
	char	   *value = EffStatementColumn(st, "t", rel, column->attnum);
	Oid			base = EffBaseType(column->type);
	Oid			element = get_element_type(base);
	Oid			type = OidIsValid(element) ? EffBaseType(element) : base;
	const char *array = OidIsValid(element) ? "[]" : "";

	if (base == BYTEAOID)
		return base64_sql(value, json);
	if (type == BYTEAOID)
		return psprintf("CASE WHEN pg_catalog.array_ndims(%s) > 1"
						" THEN pg_catalog.to_%s(%s::pg_catalog.bytea[]) WHEN %s IS NOT NULL THEN"
						" (SELECT coalesce(pg_catalog.%s_agg(%s ORDER BY e.n), '[]')"
						" FROM pg_catalog.unnest(%s::pg_catalog.bytea[]) WITH ORDINALITY AS e (v, "
						"n)) END",
						value, json, value, value, json, base64_sql("e.v", json), value);
	/* what jsonb cannot hold must fail where the source is read, which then is named */
	if (type == JSONOID)
		return psprintf("pg_catalog.to_%s(%s::pg_catalog.jsonb%s)", json, value, array);
	if (is_users(type))
		return psprintf("pg_catalog.to_%s((CASE pg_catalog.num_nulls(%s) WHEN 0"
						" THEN pg_catalog.format('%%s', %s) END)::pg_catalog.text%s)",
						json, value, value, array);
	return psprintf("pg_catalog.to_%s(%s::%s)", json, value, EffTypeSql(base, -1));
}

/* is_users: a type whose owner may make casts of it, of an extension or not. */
static bool
is_users(Oid type)
{
	HeapTuple	tuple;
	bool		users;

	if (type < FirstNormalObjectId)
		return false;
	if (!OidIsValid(getExtensionOfObject(TypeRelationId, type)))
		return true;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		EffGoneObject("type", type);
	users = !superuser_arg(((Form_pg_type) GETSTRUCT(tuple))->typowner);
	ReleaseSysCache(tuple);
	return users;
}

static char *
base64_sql(const char *value, const char *json)
{
	return psprintf("pg_catalog.to_%s(pg_catalog.translate(pg_catalog.encode(%s, 'base64'),"
					" E'\\n', ''))", json, value);
}

/*
 * expiry_sql: anchor and duration, by the calendar and in UTC; NULL where it would end
 * beyond what a timestamp can hold.
 */
static char *
expiry_sql(Statement *st, EffRelation *rel, MapColumn *column)
{
	RetentionPolicy *retention = column->label->retention;
	EffColumn  *anchor = EffRelationColumnByName(rel, retention->anchor);
	char	   *value = EffStatementColumn(st, "t", rel, anchor->attnum);
	char	   *type = EffTypeSql(EffBaseType(anchor->type), -1);

	return psprintf("CASE WHEN %s < '%d-01-01'::%s THEN %s::pg_catalog.timestamptz + "
					"%s::pg_catalog.interval END",
					value, (int) (LAST_YEAR - expiry_years(rel, column)), type, value,
					EffQuoteLiteral(retention->duration));
}

/*
 * expiry_years: the years of a duration, rounded up and one to spare; -1 where no term
 * ends in what a timestamp can hold.
 */
static double
expiry_years(EffRelation *rel, MapColumn *column)
{
	RetentionPolicy *retention = column->label->retention;
	Interval   *duration;
	double		years;

	if (retention == NULL || retention->anchor == NULL || retention->duration == NULL ||
		EffRelationColumnByName(rel, retention->anchor) == NULL)
		return -1;
	duration = DatumGetIntervalP(DirectFunctionCall3(interval_in,
													 CStringGetDatum(retention->duration),
													 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	years = 2 + duration->month / 12.0 + duration->day / 365.0 +
		duration->time / (double) USECS_PER_DAY / 365;
	return years < 0 || years > LAST_YEAR ? -1 : years;
}

/*
 * append_columns: the columns that the outer statement reads, so that the caller needs
 * privileges on no others.
 */
static void
append_columns(Statement *st, EffRelation *rel, const Bitmapset *columns)
{
	const char *separator = "";

	for (int i = 0; i < rel->ncolumns; i++)
		if (bms_is_member(rel->columns[i].attnum, columns))
		{
			appendStringInfo(&st->text, "%s%s", separator,
							 EffColumnSql("t", rel, rel->columns[i].attnum));
			separator = ", ";
		}
}
