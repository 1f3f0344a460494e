/*
 * export_plan.c
 *	  Writes the statements that read what is exported to a subject.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/json_text.h"
#include "export/export_plan.h"
#include "plan/ownership.h"
#include "relations/types.h"

#include "catalog/dependency.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define DENIED_HINT "Grant the calling role SELECT on the tables that hold data of the subject."

/* Rows of one table that are sorted by their key, also where they are streamed */
#define MAX_SORTED_ROWS 1000

/* The last whole year of a timestamp */
#define LAST_YEAR 294275

/* The rows of a table that reach a subject, as conditions; constants where they are always so */
typedef struct ExportReach
{
	MapTable   *table;
	const char *owned;
	const char *accessible;		/* by any link, whatever it redacts */
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
static void append_row_key(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
						   const char *json);
static Statement *make_is_small(DataMap *map, ExportPlan *plan, ExportSource *source);
static ExportReach reach_of(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table);
static const char *reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
								   LinkRole role, const char *redacted);
static const char *column_condition(DataMap *map, Statement *st, ExportPlan *plan,
									ExportReach *reach,
									MapColumn *column);
static const char *who_sees(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
							EffColumn *column,
							const char *tied, const char *still);
static const char *conjunction(const char *a, const char *b);
static const char *disjunction(const char *a, const char *b);
static bool is_redacted(TableLink *link, const char *column);
static void append_order(Statement *st, EffRelation *rel);
static char *value_sql(EffRelation *rel, EffColumn *column, const char *json);
static char *base64_sql(const char *value, const char *json);
static char *expiry_sql(EffRelation *rel, MapColumn *column);
static bool names_column(const char *sql, const char *column);
static void append_named(Statement *st, EffRelation *rel, const char *sql);

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
		if (expiry_sql(table->rel, column->column) != NULL)
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
	char	   *outer;

	st->place.denied_hint = DENIED_HINT;

	append_row_key(map, st, plan, &reach, json);
	foreach_ptr(MapColumn, column, table->columns)
	{
		const char *included = column_condition(map, st, plan, &reach, column);

		if (strcmp(included, "true") == 0)
			appendStringInfo(&st->text, ", %s", value_sql(rel, column->column, json));
		else
			appendStringInfo(&st->text, ", CASE WHEN %s THEN %s END", included,
							 value_sql(rel, column->column, json));
	}
	for (int place = 0; place < source->ncolumns; place++)
		if (source->columns[place].expires_at != InvalidAttrNumber)
			appendStringInfo(&st->text, ", %s", expiry_sql(rel, source->columns[place].column));
	/*
	 * the rows are sorted as they are stored, not with what is made of them;
	 * Citus forgets the order of a sub-select
	 */
	outer = EffStatementTake(st, 0);
	where = disjunction(reach.owned, reach.accessible);
	appendStringInfo(&st->text, "SELECT %s FROM ", outer);
	if (sorted && !EffCitusPresent())
	{
		appendStringInfoString(&st->text, "(SELECT ");
		append_named(st, rel, outer);
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

/*
 * append_row_key: without the columns that must not be seen; the object then
 * has the rest of the key.
 */
static void
append_row_key(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach, const char *json)
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
		const char *seen = who_sees(map, st, plan, reach, column, labelled ? labelled->label->link :
									NULL, NULL);

		appendStringInfo(&members, "%s%s, ", i > 0 ? ", " : "", EffQuoteLiteral(column->name));
		if (strcmp(seen, "true") == 0)
			appendStringInfoString(&members, value_sql(rel, column, json));
		else
		{
			appendStringInfo(&members, "CASE WHEN %s THEN %s END", seen,
							 value_sql(rel, column, json));
			hidden = true;
		}
	}
	/* a key has no NULLs of its own */
	if (hidden)
		appendStringInfo(&st->text, "pg_catalog.%s_strip_nulls(", json);
	appendStringInfo(&st->text, "pg_catalog.%s_build_object(%s)%s", json, members.data, hidden ?
					 ")" : "");
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
	appendStringInfo(&st->text,
					 "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM %s t WHERE %s LIMIT %d) AS s",
					 rel->sql, disjunction(reach.owned, reach.accessible), MAX_SORTED_ROWS + 1);
	appendStringInfo(&st->text, " HAVING pg_catalog.count(*) <= %d", MAX_SORTED_ROWS);
	return st;
}

static ExportReach
reach_of(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table)
{
	ExportReach reach = {.table = table};

	reach.owned = reach_condition(map, st, plan, table, ROLE_OWNER, NULL);
	reach.accessible = reach_condition(map, st, plan, table, ROLE_ACCESSOR, NULL);
	reach.several = strcmp(reach.owned, "false") != 0 && strcmp(reach.accessible, "false") != 0;
	return reach;
}

/*
 * reach_condition: the row is the subject's by a link of that role; redacted
 * names a column that accessors' links must let through.
 */
static const char *
reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
				LinkRole role, const char *redacted)
{
	int			length = st->text.len;
	bool		any = false;
	bool		either =
		(table == plan->base.subject) + list_length(EffGraphLinks(table, plan->base.subject)) > 1;

	appendStringInfoChar(&st->text, '(');
	if (table == plan->base.subject && role == ROLE_OWNER)
	{
		EffScopeSubject(map, st, "t", table, &EffScopeMine);
		any = true;
	}
	foreach_ptr(TableLink, link, EffGraphRoleLinks(table, plan->base.subject, role))
	{
		if (redacted != NULL && is_redacted(link, redacted))
			continue;
		appendStringInfoString(&st->text, any ? " OR " : "");
		EffScopeLink(map, st, "t", link, 0, either ? &EffScopeEither : &EffScopeMine);
		any = true;
	}
	appendStringInfoChar(&st->text, ')');
	return any ? EffStatementTake(st, length) : (EffStatementTake(st, length), "false");
}

/*
 * column_condition: who may see the column gets it, and an erased subject no
 * surrogates.
 */
static const char *
column_condition(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
				 MapColumn *column)
{
	const char *included = who_sees(map, st, plan, reach, column->column, column->label->link,
									NULL);

	if (plan->state == SUBJECT_ERASED && column->label->erasure != ERASURE_RETAIN &&
		column->label->link == NULL &&
		EffOwnersContested(reach->table, plan->base.subject))
	{
		/* what was left for another owner is that owner's */
		int			length = st->text.len;

		EffOwnershipOthers(map, st, &plan->base, &(PlannedTable) {.table = reach->table});
		included = who_sees(map, st, plan, reach, column->column, NULL,
							psprintf("(%s) IS NOT TRUE", EffStatementTake(st, length)));
	}
	if (plan->state != SUBJECT_NOT_ERASED && EffMayHoldSurrogate(reach->table, column))
	{
		Surrogate  *surrogate = EffSurrogateChoose(map, reach->table, column);
		char	   *residual = surrogate->error ? NULL :
			EffSurrogateResidualSql(surrogate, st, "t");

		if (residual != NULL)
			return conjunction(included, residual);
	}
	return included;
}

/*
 * who_sees: an owner gets what is tied to no other owner, somebody with access
 * what is not redacted.  What holds for every row that the statement finds is
 * not asked for again.  still, if any, is what an owner has to fulfil besides.
 */
static const char *
who_sees(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach, EffColumn *column,
		 const char *tied, const char *still)
{
	const char *owned = reach->several || strcmp(reach->owned, "false") == 0 ? reach->owned :
		"true";
	const char *accessible = reach->accessible;
	const char *mine = owned;
	ListCell   *lc;

	if (strcmp(accessible, "false") != 0)
	{
		bool		redacted = false;

		foreach(lc, EffGraphRoleLinks(reach->table, plan->base.subject, ROLE_ACCESSOR))
			redacted |= is_redacted(lfirst(lc), column->name);
		if (redacted)
			accessible = reach_condition(map, st, plan, reach->table, ROLE_ACCESSOR, column->name);
		else if (!reach->several)
			accessible = "true";
		/* who owns the row and may access it too gets it as its owner */
		if (reach->several && strcmp(accessible, "false") != 0)
			accessible = psprintf("(%s IS NOT TRUE AND %s)", owned, accessible);
	}

	foreach_ptr(TableLink, link, reach->table->links)
	{
		int			length = st->text.len;
		char	   *others;

		if (tied == NULL || link->name == NULL || link->label->role != ROLE_OWNER ||
			strcmp(link->name, tied) != 0)
			continue;
		EffScopeLink(map, st, "t", link, 0, &EffScopeAny);
		others = EffStatementTake(st, length);
		mine = conjunction(owned, psprintf("(%s) IS NOT TRUE", others));
		if (link->subject == plan->base.subject)
		{
			EffScopeLink(map, st, "t", link, 0, &EffScopeEither);
			mine = disjunction(mine, psprintf("(%s)", EffStatementTake(st, length)));
		}
	}
	if (still != NULL)
		mine = conjunction(mine, still);
	return disjunction(mine, accessible);
}

/* conjunction and disjunction fold the constants "true" and "false". */
static const char *
conjunction(const char *a, const char *b)
{
	if (strcmp(a, "true") == 0 || strcmp(b, "false") == 0)
		return b;
	if (strcmp(b, "true") == 0 || strcmp(a, "false") == 0)
		return a;
	return psprintf("(%s AND %s)", a, b);
}

static const char *
disjunction(const char *a, const char *b)
{
	if (strcmp(a, "false") == 0 || strcmp(b, "true") == 0)
		return b;
	if (strcmp(b, "false") == 0 || strcmp(a, "true") == 0)
		return a;
	return psprintf("(%s OR %s)", a, b);
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
 * base64.  A user's type is text: to_json() would call a cast that its owner
 * has made.
 */
static char *
value_sql(EffRelation *rel, EffColumn *column, const char *json)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);
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
						" FROM pg_catalog.unnest(%s::pg_catalog.bytea[]) WITH ORDINALITY AS e (v, n)) END",
						value, json, value, value, json, base64_sql("e.v", json), value);
	/* what jsonb cannot hold must fail where the source is read, which then is named */
	if (type == JSONOID)
		return psprintf("pg_catalog.to_%s(%s::pg_catalog.jsonb%s)", json, value, array);
	if (type >= FirstNormalObjectId && !OidIsValid(getExtensionOfObject(TypeRelationId, type)))
		return psprintf("pg_catalog.to_%s(%s::pg_catalog.text%s)", json, value, array);
	return psprintf("pg_catalog.to_%s(%s::%s)", json, value, EffTypeSql(base, -1));
}

static char *
base64_sql(const char *value, const char *json)
{
	return psprintf("pg_catalog.to_%s(pg_catalog.translate(pg_catalog.encode(%s, 'base64'),"
					" E'\\n', ''))", json, value);
}

/*
 * expiry_sql: anchor and duration, by the calendar and in UTC.  NULL where there
 * is none, or it would end beyond what a timestamp can hold.
 */
static char *
expiry_sql(EffRelation *rel, MapColumn *column)
{
	RetentionPolicy *retention = column->label->retention;
	EffColumn  *anchor = retention && retention->anchor ?
		EffRelationColumnByName(rel, retention->anchor) : NULL;
	Interval   *duration;
	double		years;
	char	   *value;
	Oid			type;

	if (anchor == NULL || retention->duration == NULL)
		return NULL;
	duration = DatumGetIntervalP(DirectFunctionCall3(interval_in,
													 CStringGetDatum(retention->duration),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	/* rounded up, and a year to spare */
	years = 2 + duration->month / 12.0 + duration->day / 365.0 +
		duration->time / (double) USECS_PER_DAY / 365;
	if (years < 0 || years > LAST_YEAR)
		return NULL;
	value = EffColumnSql("t", rel, anchor->attnum);
	type = EffBaseType(anchor->type);
	return psprintf("CASE WHEN %s < '%d-01-01'::%s THEN %s::pg_catalog.timestamptz +"
					" %s::pg_catalog.interval END",
					value, (int) (LAST_YEAR - years), EffTypeSql(type, -1), value,
					EffQuoteLiteral(retention->duration));
}

/*
 * append_named: the columns of t that a text names, so that the caller needs
 * privileges on no others.
 */
static void
append_named(Statement *st, EffRelation *rel, const char *sql)
{
	const char *separator = "";

	for (int i = 0; i < rel->ncolumns; i++)
	{
		char	   *column = EffColumnSql("t", rel, rel->columns[i].attnum);

		/* an expression of a label may read the whole row */
		if (!names_column(sql, column) && strstr(sql, "t.*") == NULL)
			continue;
		appendStringInfo(&st->text, "%s%s", separator, column);
		separator = ", ";
	}
}

/* names_column: one too many does no harm. */
static bool
names_column(const char *sql, const char *column)
{
	for (const char *at = strstr(sql, column); at != NULL; at = strstr(at + 1, column))
	{
		unsigned char next = at[strlen(column)];

		if (!isalnum(next) && next != '_' && next != '$' && next < 0x80)
			return true;
	}
	return false;
}
