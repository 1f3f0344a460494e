/*
 * rectify_plan.c
 *	  Writes the statements of a rectification.
 *
 * Referenced tables come before those that reference them, so that keys which
 * follow by ON UPDATE CASCADE do.  Rows that several may own, and rows whose
 * way to the subject is changed, are found before anything is.
 */
#include "postgres.h"

#include "rectify_plan.h"
#include "ownership.h"
#include "plan_build.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

static RectifyPlan *build_plan(DataMap *map, MapTable *subject, SubjectState state, List *columns);
static List *tables_in_order(DataMap *map, List *columns);
static bool nothing_is_deleted(Oid relid, void *arg);
static PlannedTable *plan_rows(DataMap *map, RectifyPlan *plan, MapTable *table, bool own_links);
static bool is_changed(DataMap *map, RectifyPlan *plan, List *reads);
static bool has_row_key(MapTable *table);
static void add_table(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned);
static void add_step(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
					 RectifyPart part, TableLink *link);
static const char *guards_of(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
							 RectifyStep *step);
static RowSet *make_rows(PlanBuild *build, PlannedTable *planned, RectifyStep *step);
static Statement *make_count(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned, List *steps);
static Statement *make_shared(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned);
static bool is_written(RectifyColumn *column, PlannedTable *planned, TableLink *link);
static char *guard_condition(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
							 MapColumn *column, RectifyStep *step);
static char *distinct_condition(EffRelation *rel, EffColumn *column, const char *value);
static void add_deferrable(DataMap *map, RectifyPlan *plan);
static bool holds_key(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n);

/*
 * EffRectifyPlanGet makes a plan once per map, kind, state and set of columns.
 * Call with the settings pinned.
 */
RectifyPlan *
EffRectifyPlanGet(DataMap *map, MapTable *subject, SubjectState state, List *columns)
{
	RectifyPlan *plan;
	MemoryContext context;
	MemoryContext previous;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, map->rectifications)
	{
		bool		same;

		plan = lfirst(lc);
		same = plan->base.subject == subject && plan->state == state &&
			list_length(plan->columns) == list_length(columns);
		if (same)
			forboth(lc2, plan->columns, lc3, columns)
				same &= ((RectifyColumn *) lfirst(lc2))->column == ((RectifyColumn *) lfirst(lc3))->column;
		if (same)
			return plan;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced rectification", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	plan = build_plan(map, subject, state, columns);
	MemoryContextSetParent(context, map->context);
	MemoryContextSwitchTo(map->context);
	map->rectifications = lappend(map->rectifications, plan);
	MemoryContextSwitchTo(previous);
	return plan;
}

/*
 * EffRectifyOwns: a column that is tied to a link is about that link's subject,
 * any other about every owner of the row.
 */
bool
EffRectifyOwns(MapTable *table, MapColumn *column, MapTable *subject)
{
	List	   *links = EffGraphRoleLinks(table, subject, ROLE_OWNER);
	ListCell   *lc;

	if (column->label->link == NULL)
		return table == subject || links != NIL;
	foreach(lc, links)
		if (((TableLink *) lfirst(lc))->name != NULL &&
			strcmp(((TableLink *) lfirst(lc))->name, column->label->link) == 0)
			return true;
	return false;
}

static RectifyPlan *
build_plan(DataMap *map, MapTable *subject, SubjectState state, List *columns)
{
	RectifyPlan *plan = palloc0(sizeof(RectifyPlan));
	PlanBuild	build = {.map = map, .plan = &plan->base};
	ListCell   *lc;

	plan->base.subject = subject;
	plan->state = state;
	foreach(lc, columns)
	{
		RectifyColumn *column = palloc(sizeof(RectifyColumn));

		*column = *(RectifyColumn *) lfirst(lc);
		plan->columns = lappend(plan->columns, column);
	}
	EffPlanMakeSubjectLock(&build);
	foreach(lc, tables_in_order(map, plan->columns))
	{
		MapTable   *table = lfirst(lc);

		if (table != subject || EffGraphRoleLinks(subject, subject, ROLE_OWNER) == NIL)
			add_table(&build, plan, plan_rows(map, plan, table, false));
		else
		{
			/* the subject's own row, and other subjects' rows that belong to it */
			add_table(&build, plan, plan_rows(map, plan, table, false));
			add_table(&build, plan, plan_rows(map, plan, table, true));
		}
	}
	add_deferrable(map, plan);
	return plan;
}

/* tables_in_order: what is referenced comes before what references it. */
static List *
tables_in_order(DataMap *map, List *columns)
{
	List	   *relids = NIL;
	List	   *tables = NIL;
	List	   *broken = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		relids = list_append_unique_oid(relids, ((RectifyColumn *) lfirst(lc))->table->rel->oid);
	foreach(lc, EffGraphOrder(map, relids, nothing_is_deleted, NULL, &broken))
		tables = lcons(EffMapTable(map, lfirst_oid(lc)), tables);
	return tables;
}

static bool
nothing_is_deleted(Oid relid, void *arg)
{
	return false;
}

/* plan_rows says which rows of a table are the subject's, and whether they are found first. */
static PlannedTable *
plan_rows(DataMap *map, RectifyPlan *plan, MapTable *table, bool own_links)
{
	MapTable   *subject = plan->base.subject;
	PlannedTable *planned = palloc0(sizeof(PlannedTable));
	ListCell   *lc;

	planned->table = table;
	planned->own_links = own_links;
	planned->primary_key = true;
	if (table == subject && !own_links)
		planned->reads = EffScopeReads(map, table, NULL);
	else
	{
		planned->links = EffGraphRoleLinks(table, subject, ROLE_OWNER);
		planned->contested = own_links || EffOwnershipContested(table, subject);
		foreach(lc, planned->links)
			planned->reads = list_concat(planned->reads, EffScopeReads(map, subject, lfirst(lc)));
	}
	/* what a trigger makes of the values is looked at afterwards, in the same rows */
	planned->find_first = planned->contested || is_changed(map, plan, planned->reads) ||
		(table->rel->has_triggers && has_row_key(table));
	return planned;
}

/* is_changed: a column that is read is written, or follows one that is by a foreign key. */
static bool
is_changed(DataMap *map, RectifyPlan *plan, List *reads)
{
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, plan->columns)
	{
		MapTable   *table = ((RectifyColumn *) lfirst(lc))->table;
		AttrNumber	attnum = ((RectifyColumn *) lfirst(lc))->column->column->attnum;

		foreach(lc2, reads)
		{
			ScopeRead  *read = lfirst(lc2);

			if (read->relid == table->rel->oid && bms_is_member(attnum, read->attnums))
				return true;
			foreach(lc3, EffMapRelation(map, table->rel->oid)->referenced_by)
			{
				ForeignKey *fk = lfirst(lc3);

				for (int i = 0; fk->relid == read->relid && i < fk->nkeys; i++)
					if (fk->target_columns[i] == attnum && bms_is_member(fk->columns[i], read->attnums))
						return true;
			}
		}
	}
	return false;
}

static bool
has_row_key(MapTable *table)
{
	AttrNumber *key;

	return EffRowKey(table, &key) > 0 &&
		(table->rel->relkind == RELKIND_PARTITIONED_TABLE || list_length(table->rel->inheritors) == 1);
}

/* add_table makes a step for each group of columns that go by the same rows. */
static void
add_table(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned)
{
	RectifyTable *table = palloc0(sizeof(RectifyTable));
	ListCell   *lc;

	table->table = planned->table;
	if (planned->find_first)
	{
		EffPlanMakeRowSet(build, planned);
		plan->row_sets = lappend(plan->row_sets, planned->rows);
	}
	if (planned->contested)
	{
		EffOwnershipQueries(build->map, build->plan, planned);
		table->shared = make_shared(build, plan, planned);
	}
	if (!planned->own_links)
		add_step(build, plan, table, planned, PART_OWN, NULL);
	if (planned->contested)
	{
		if (!planned->own_links)
			add_step(build, plan, table, planned, PART_OWN_ONCE_SHARED, NULL);
		foreach(lc, planned->links)
			add_step(build, plan, table, planned, PART_LINK, lfirst(lc));
	}
	if (list_length(table->steps) > 1)
		table->count = make_count(build, plan, planned, table->steps);
	if (table->steps != NIL || table->shared != NULL)
		plan->tables = lappend(plan->tables, table);
}

/*
 * is_written: where a table has one owner link and no other owners, what is
 * tied to that link is like what is tied to none.
 */
static bool
is_written(RectifyColumn *column, PlannedTable *planned, TableLink *link)
{
	const char *tied = column->column->label->link;

	if (column->table != planned->table)
		return false;
	if (link == NULL)
		return tied == NULL || (!planned->contested && planned->links != NIL);
	return tied != NULL && link->name != NULL && strcmp(tied, link->name) == 0;
}

static void
add_step(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
		 RectifyPart part, TableLink *link)
{
	EffRelation *rel = planned->table->rel;
	RectifyStep *step = palloc0(sizeof(RectifyStep));
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
	StringInfoData differ;
	const char *guards;
	int			where;
	ListCell   *lc;

	st->place.denied_hint = "Grant the calling role SELECT and UPDATE on the tables of the plan.";
	step->part = part;
	step->link = link;
	initStringInfo(&differ);
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		EffColumn  *c = column->column->column;
		const char *value;
		char	   *guard;

		if (!is_written(column, planned, link))
			continue;
		value = EffStatementParam(st, PARAM_VALUE, foreach_current_index(lc), NULL, 0, c->type);
		guard = guard_condition(build, plan, st, planned, column->column, step);
		appendStringInfo(&st->text, "%s%s = ", step->columns != NIL ? ", " : "", quote_identifier(c->name));
		if (guard == NULL)
			appendStringInfoString(&st->text, value);
		else
			appendStringInfo(&st->text, "CASE WHEN %s THEN %s ELSE %s END", guard, value,
							 EffColumnSql("t", rel, c->attnum));
		if (guard == NULL)
			appendStringInfo(&differ, "%s%s", differ.len > 0 ? " OR " : "", distinct_condition(rel, c, value));
		step->columns = lappend(step->columns, c->name);
	}
	if (step->columns == NIL)
		return;
	if (list_length(step->columns) == 1)
		st->place.column = linitial(step->columns);
	if (planned->contested)
	{
		step->rows = make_rows(build, planned, step);
		plan->parts = lappend(plan->parts, step->rows);
	}
	else
		step->rows = planned->rows;
	where = st->text.len;
	appendStringInfoString(&st->text, " WHERE ");
	if (step->rows != NULL)
		EffScopeRows(st, "t", step->rows, ROWS_ALL);
	else
		EffPlanScopeNow(build->map, st, "t", build->plan, planned, &EffScopeMine);
	step->update = st;
	if (rel->has_triggers && differ.len > 0 &&
		(step->rows == NULL || !holds_key(plan, planned->table, step->rows->key, step->rows->nkey)))
	{
		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		step->check->params = st->params;
		appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FROM %s t%s AND (%s)",
						 rel->sql, st->text.data + where, differ.data);
	}
	guards = guards_of(build, plan, st, planned, step);
	if (guards != NULL)
		appendStringInfo(&st->text, " AND (%s)", guards);
	table->steps = lappend(table->steps, step);
}

/* guards_of: some column of the step is written; NULL where one always is. */
static const char *
guards_of(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned, RectifyStep *step)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		char	   *guard;

		if (!is_written(column, planned, step->link))
			continue;
		guard = guard_condition(build, plan, st, planned, column->column, step);
		if (guard == NULL)
			return NULL;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", guard);
	}
	return buf.data;
}

/* make_rows: the rows of a contested table in which a step writes, once they are locked. */
static RowSet *
make_rows(PlanBuild *build, PlannedTable *planned, RectifyStep *step)
{
	TableLink  *link = step->link;
	RowSet	   *all = planned->rows;
	RowSet	   *rows = palloc0(sizeof(RowSet));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", all->rel);
	ScopeOwner	living = {SCOPE_LIVING, build->plan->subject};

	rows->id = list_length(build->plan->rowsets);
	rows->rel = all->rel;
	rows->nkey = all->nkey;
	rows->key = all->key;
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql("t", rows->rel, rows->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffScopeRows(st, "t", all, ROWS_ALL);
	appendStringInfoString(&st->text, " AND (");
	if (step->part == PART_LINK)
	{
		EffScopeLink(build->map, st, "t", link, 0, &EffScopeMine);
		if (link->reverse)
		{
			/* a way that may lead to several: the value is about all of them */
			appendStringInfoString(&st->text, ") AND (");
			EffScopeLink(build->map, st, "t", link, 0, &living);
			appendStringInfoString(&st->text, ") IS NOT TRUE");
		}
		else
			appendStringInfoChar(&st->text, ')');
	}
	else
	{
		EffOwnershipLiving(build->map, st, build->plan, planned);
		appendStringInfoString(&st->text, ") IS NOT TRUE AND (");
		EffOwnershipErased(build->map, st, planned);
		appendStringInfoString(&st->text, step->part == PART_OWN ? ") IS NOT TRUE" : ")");
	}
	rows->find = st;
	build->plan->rowsets = lappend(build->plan->rowsets, rows);
	return rows;
}

/* make_count: a row that several steps write is one row. */
static Statement *
make_count(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned, List *steps)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	ListCell   *lc;

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", planned->table->rel->sql);
	foreach(lc, steps)
	{
		const char *guards = guards_of(build, plan, st, planned, lfirst(lc));

		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR (" : "(");
		EffScopeRows(st, "t", ((RectifyStep *) lfirst(lc))->rows, ROWS_ALL);
		if (guards != NULL)
			appendStringInfo(&st->text, " AND (%s)", guards);
		appendStringInfoChar(&st->text, ')');
	}
	return st;
}

/* make_shared: rows in which a column is left because it is about another living owner too. */
static Statement *
make_shared(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	ScopeOwner	living = {SCOPE_LIVING, build->plan->subject};
	const char *separator = " AND (";
	ListCell   *lc;
	ListCell   *lc2;
	bool		untied = false;

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", planned->table->rel->sql);
	EffScopeRows(st, "t", planned->rows, ROWS_ALL);
	foreach(lc, plan->columns)
		untied |= is_written(lfirst(lc), planned, NULL);
	if (untied)
	{
		appendStringInfoString(&st->text, separator);
		separator = " OR ";
		if (planned->own_links)
			appendStringInfoString(&st->text, "true");
		else
			EffOwnershipLiving(build->map, st, build->plan, planned);
	}
	foreach(lc2, planned->links)
	{
		TableLink  *link = lfirst(lc2);
		bool		tied = false;

		foreach(lc, plan->columns)
			tied |= is_written(lfirst(lc), planned, link);
		if (!tied || !link->reverse)
			continue;
		appendStringInfo(&st->text, "%s((", separator);
		separator = " OR ";
		EffScopeLink(build->map, st, "t", link, 0, &EffScopeMine);
		appendStringInfoString(&st->text, ") AND (");
		EffScopeLink(build->map, st, "t", link, 0, &living);
		appendStringInfoString(&st->text, "))");
	}
	if (strcmp(separator, " OR ") != 0)
		return NULL;
	appendStringInfoChar(&st->text, ')');
	return st;
}

/*
 * guard_condition: surrogates of erased subjects are never overwritten.  NULL
 * where none can be in the column.  By a link that may lead to several, an
 * erased one may have been let go of without a trace in the row.
 */
static char *
guard_condition(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
				MapColumn *column, RectifyStep *step)
{
	bool		others = step->part == PART_OWN_ONCE_SHARED;
	bool		traceless = step->part == PART_LINK && step->link->reverse;
	Surrogate  *surrogate;
	char	   *residual;

	if (column->label->erasure == ERASURE_RETAIN ||
		(plan->state == SUBJECT_LIVING && !others && !traceless))
		return NULL;
	surrogate = EffSurrogateChoose(build->map, planned->table, column);
	/* what cannot be anonymized never was */
	if (surrogate->error != NULL || (residual = EffSurrogateResidualSql(surrogate, st, "t")) == NULL)
		return NULL;
	if (plan->state != SUBJECT_ERASED && !others)
		return psprintf("(%s IS NULL OR %s)", EffColumnSql("t", planned->table->rel, column->column->attnum), residual);
	return psprintf("(%s)", residual);
}

/* distinct_condition: the column does not hold the value; by text where the type has no equality. */
static char *
distinct_condition(EffRelation *rel, EffColumn *column, const char *value)
{
	char	   *current = EffColumnSql("t", rel, column->attnum);
	const char *schema;

	if (!OidIsValid(lookup_type_cache(getBaseType(column->type), TYPECACHE_EQ_OPR)->eq_opr))
		return psprintf("%s::text IS DISTINCT FROM (%s)::text", current, value);
	if ((schema = EffForeignEquality(column->type)) != NULL)
		return psprintf("((%s OPERATOR(%s.=) %s) IS NOT TRUE AND (%s IS NOT NULL OR %s IS NOT NULL))",
						current, schema, value, current, value);
	return psprintf("%s IS DISTINCT FROM %s", current, value);
}

/* holds_key: a correction changes the key by which the rows were found. */
static bool
holds_key(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n)
{
	ListCell   *lc;

	foreach(lc, plan->columns)
		for (int i = 0; i < n; i++)
			if (((RectifyColumn *) lfirst(lc))->table == table &&
				((RectifyColumn *) lfirst(lc))->column->column->attnum == columns[i])
				return true;
	return false;
}

/* add_deferrable: keys on both ends of a foreign key may get their new value in turn. */
static void
add_deferrable(DataMap *map, RectifyPlan *plan)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		MapRelation *relation = EffMapRelation(map, column->table->rel->oid);
		AttrNumber	attnum = column->column->column->attnum;

		foreach(lc2, list_concat_copy(relation->references, relation->referenced_by))
		{
			ForeignKey *fk = lfirst(lc2);
			bool		touched = false;

			for (int i = 0; i < fk->nkeys; i++)
				touched |= (fk->relid == relation->oid && fk->columns[i] == attnum) ||
					(fk->target == relation->oid && fk->target_columns[i] == attnum);
			if (touched && fk->deferrable && !fk->namesake)
				plan->base.defer = list_append_unique_ptr(plan->base.defer, fk);
		}
	}
}
