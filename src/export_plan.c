/*
 * export_plan.c
 *	  Writes the statements that read what is exported to a subject.
 */
#include "postgres.h"

#include "export_plan.h"
#include "expression.h"
#include "json.h"
#include "ownership.h"
#include "scope.h"

#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define DENIED_HINT "Grant the calling role SELECT on the tables that hold data of the subject."

/* Rows of one table that are sorted by their key, also where they are streamed */
#define MAX_SORTED_ROWS 1000

/* The rows of a table that reach a subject, as conditions; constants where they are always so */
typedef struct ExportReach
{
	MapTable   *table;
	const char *owned;
	const char *accessible;		/* by any link, whatever it redacts */
	bool		several;		/* some rows are owned, and some may only be accessed */
} ExportReach;

static ExportSource *make_source(DataMap *map, ExportPlan *plan, MapTable *table);
static char *record_head(MapTable *table, MapColumn *column);
static Statement *make_statement(DataMap *map, ExportPlan *plan, ExportSource *source, bool sorted);
static Statement *make_is_small(DataMap *map, ExportPlan *plan, ExportSource *source);
static ExportReach reach_of(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table);
static const char *reach_condition(DataMap *map, Statement *st, ExportPlan *plan, MapTable *table,
								   LinkRole role, const char *redacted);
static const char *column_condition(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach,
									MapColumn *column);
static const char *conjunction(const char *a, const char *b);
static const char *disjunction(const char *a, const char *b);
static bool is_redacted(TableLink *link, const char *column);
static void append_order(Statement *st, EffRelation *rel);
static char *value_sql(EffRelation *rel, EffColumn *column);
static char *expiry_sql(EffRelation *rel, MapColumn *column);

/*
 * EffExportPlanGet makes the statements once per map, kind, and whether
 * surrogates count.
 */
ExportPlan *
EffExportPlanGet(DataMap *map, MapTable *subject, SubjectKey *key)
{
	SubjectState state = EffSubjectState(map, subject, key);
	ExportPlan *plan;
	MemoryContext context;
	MemoryContext previous;
	EffBracket	bracket;
	ListCell   *lc;

	foreach(lc, map->exports)
	{
		plan = lfirst(lc);
		if (plan->base.subject == subject && plan->state == state)
			return plan;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced export", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	EffPinBegin(&bracket);
	plan = palloc0(sizeof(ExportPlan));
	plan->base.subject = subject;
	plan->state = state;
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

static ExportSource *
make_source(DataMap *map, ExportPlan *plan, MapTable *table)
{
	ExportSource *source = palloc0(sizeof(ExportSource));
	ListCell   *lc;

	source->table = table;
	source->ncolumns = list_length(table->columns);
	source->heads = palloc(sizeof(char *) * Max(source->ncolumns, 1));
	foreach(lc, table->columns)
		source->heads[foreach_current_index(lc)] = record_head(table, lfirst(lc));
	source->sorted = make_statement(map, plan, source, true);
	source->unsorted = make_statement(map, plan, source, false);
	source->is_small = make_is_small(map, plan, source);
	return source;
}

/* record_head writes what does not depend on the row. */
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

/* make_statement reads a table's rows once, whatever number of columns is labelled. */
static Statement *
make_statement(DataMap *map, ExportPlan *plan, ExportSource *source, bool sorted)
{
	MapTable   *table = source->table;
	EffRelation *rel = table->rel;
	EffIndex   *primary = EffRelationPrimaryKey(rel);
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", rel);
	ExportReach reach = reach_of(map, st, plan, table);
	ListCell   *lc;

	st->place.denied_hint = DENIED_HINT;

	appendStringInfoString(&st->text, "SELECT pg_catalog.json_build_object(");
	for (int i = 0; primary != NULL && i < primary->nkeys; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, primary->keys[i]);

		appendStringInfo(&st->text, "%s%s, %s", i > 0 ? ", " : "",
						 EffQuoteLiteral(column->name), value_sql(rel, column));
	}
	appendStringInfoChar(&st->text, ')');
	foreach(lc, table->columns)
	{
		MapColumn  *column = lfirst(lc);
		const char *included = column_condition(map, st, plan, &reach, column);

		if (strcmp(included, "true") == 0)
			appendStringInfo(&st->text, ", %s", value_sql(rel, column->column));
		else
			appendStringInfo(&st->text, ", CASE WHEN %s THEN %s END", included, value_sql(rel, column->column));
	}
	foreach(lc, table->columns)
		appendStringInfo(&st->text, ", %s", expiry_sql(rel, lfirst(lc)));
	/* the rows are sorted as they are stored, not with what is made of them */
	appendStringInfo(&st->text, sorted ? " FROM (SELECT t.* FROM %s t WHERE %s" : " FROM %s t WHERE %s",
					 rel->sql, disjunction(reach.owned, reach.accessible));
	if (sorted)
	{
		append_order(st, rel);
		appendStringInfoString(&st->text, ") AS t");
	}
	return st;
}

/* make_is_small reads no more rows than it takes to tell. */
static Statement *
make_is_small(DataMap *map, ExportPlan *plan, ExportSource *source)
{
	EffRelation *rel = source->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	ExportReach reach = reach_of(map, st, plan, source->table);

	st->place.denied_hint = DENIED_HINT;
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM (SELECT FROM %s t WHERE %s LIMIT %d) AS s",
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
	bool		either = (table == plan->base.subject) + list_length(EffGraphLinks(table, plan->base.subject)) > 1;
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
		EffScopeLink(map, st, "t", link, 0, either ? &EffScopeEither : &EffScopeMine);
		any = true;
	}
	appendStringInfoChar(&st->text, ')');
	return any ? EffStatementTake(st, length) : (EffStatementTake(st, length), "false");
}

/*
 * column_condition: an owner gets what is tied to no other owner, somebody with
 * access what is not redacted, and an erased subject no surrogates.  What holds
 * for every row that the statement finds is not asked for again.
 */
static const char *
column_condition(DataMap *map, Statement *st, ExportPlan *plan, ExportReach *reach, MapColumn *column)
{
	const char *owned = reach->several || strcmp(reach->owned, "false") == 0 ? reach->owned : "true";
	const char *accessible = reach->accessible;
	const char *mine = owned;
	const char *included;
	ListCell   *lc;

	if (strcmp(accessible, "false") != 0)
	{
		bool		redacted = false;

		foreach(lc, EffGraphRoleLinks(reach->table, plan->base.subject, ROLE_ACCESSOR))
			redacted |= is_redacted(lfirst(lc), column->column->name);
		if (redacted)
			accessible = reach_condition(map, st, plan, reach->table, ROLE_ACCESSOR, column->column->name);
		else if (!reach->several)
			accessible = "true";
		/* who owns the row and may access it too gets it as its owner */
		if (reach->several && strcmp(accessible, "false") != 0)
			accessible = psprintf("(%s IS NOT TRUE AND %s)", owned, accessible);
	}

	foreach(lc, reach->table->links)
	{
		TableLink  *link = lfirst(lc);
		int			length = st->text.len;
		char	   *others;

		if (column->label->link == NULL || link->name == NULL || link->label->role != ROLE_OWNER ||
			strcmp(link->name, column->label->link) != 0)
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
	included = disjunction(mine, accessible);
	if (plan->state == SUBJECT_ERASED && column->label->erasure != ERASURE_RETAIN && column->label->link == NULL &&
		EffOwnershipContested(reach->table, plan->base.subject))
	{
		/* what was left for another owner is that owner's */
		int			length = st->text.len;

		EffOwnershipLiving(map, st, &plan->base, &(PlannedTable) {.table = reach->table});
		mine = conjunction(mine, psprintf("(%s) IS NOT TRUE", EffStatementTake(st, length)));
		included = disjunction(mine, accessible);
	}
	if (plan->state != SUBJECT_LIVING && column->label->erasure != ERASURE_RETAIN)
	{
		Surrogate  *surrogate = EffSurrogateChoose(map, reach->table, column);
		char	   *residual = surrogate->error ? NULL : EffSurrogateResidualSql(surrogate, st, "t");

		if (residual != NULL)
			return conjunction(included, residual);
	}
	return included;
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
	bool		children = rel->relkind != RELKIND_PARTITIONED_TABLE && list_length(rel->inheritors) > 1;
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
value_sql(EffRelation *rel, EffColumn *column)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);
	Oid			base = getBaseType(column->type);
	Oid			element = get_element_type(base);
	Oid			type = OidIsValid(element) ? getBaseType(element) : base;
	const char *array = OidIsValid(element) ? "[]" : "";

	if (base == BYTEAOID)
		return psprintf("pg_catalog.to_json(pg_catalog.translate(pg_catalog.encode(%s, 'base64'), E'\\n', ''))", value);
	if (type >= FirstNormalObjectId && !OidIsValid(getExtensionOfObject(TypeRelationId, type)))
		return psprintf("pg_catalog.to_json(%s::pg_catalog.text%s)", value, array);
	return psprintf("pg_catalog.to_json(%s::%s)", value, EffTypeSql(base, -1));
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
