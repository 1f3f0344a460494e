/*
 * rectify_plan.c
 *	  Writes the statements of a rectification.
 *
 * Referenced tables come before those that reference them, so that keys which
 * follow by ON UPDATE CASCADE do.  Rows that several may own, and rows whose
 * way to the subject is changed, are found before anything is.  Where their
 * keys change too, all else is written before any key is.
 */
#include "postgres.h"

#include "rectify_plan.h"
#include "constraints.h"
#include "ownership.h"
#include "plan_build.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* Which columns of a table a step writes */
typedef enum StepColumns
{
	COLUMNS_ALL,
	COLUMNS_FREE,				/* of no key, neither the row's nor a foreign one */
	COLUMNS_KEYS
} StepColumns;

static RectifyPlan *build_plan(DataMap *map, MapTable *subject, SubjectState state, List *columns);
static void find_followers(DataMap *map, RectifyPlan *plan);
static bool add_follower(DataMap *map, RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool is_corrected(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static bool follows(RectifyPlan *plan, Oid relid, AttrNumber attnum);
static List *tables_in_order(DataMap *map, List *columns);
static bool nothing_is_deleted(Oid relid, void *arg);
static PlannedTable *plan_rows(DataMap *map, RectifyPlan *plan, MapTable *table, bool own_links);
static bool is_changed(RectifyPlan *plan, List *reads);
static bool has_row_key(MapTable *table);
static void add_table(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned);
static void add_steps(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
					  RectifyPart part, TableLink *link);
static RectifyStep *make_step(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned, RectifyPart part,
							  TableLink *link, RowSet *rows, StepColumns columns);
static bool any_written(RectifyPlan *plan, PlannedTable *planned, TableLink *link);
static void append_values(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
						  RectifyStep *step, StepColumns columns);
static void append_rows(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
						RectifyStep *step, bool now);
static void append_reach(PlanBuild *build, Statement *st, PlannedTable *planned, TableLink *link);
static const char *guards_of(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
							 RectifyStep *step, StepColumns columns);
static char *wrong_condition(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
							 RectifyStep *step, StepColumns columns, bool keys_changed);
static void add_aftermath(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned);
static void add_aftermath_contested(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned);
static RowSet *make_rows(PlanBuild *build, PlannedTable *planned, RectifyPart part, TableLink *link);
static Statement *make_count(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned, List *steps);
static Statement *make_shared(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned);
static bool is_written(RectifyColumn *column, PlannedTable *planned, TableLink *link);
static bool is_chosen(PlanBuild *build, RectifyColumn *column, PlannedTable *planned, StepColumns columns);
static char *guard_condition(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
							 MapColumn *column, RectifyPart part, TableLink *link);
static bool may_be_left_by_others(MapTable *table, Surrogate *surrogate);
static void add_deferrable(DataMap *map, RectifyPlan *plan);
static bool key_changes(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n);
static bool key_follows(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n);

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
	find_followers(map, plan);
	foreach(lc, tables_in_order(map, plan->columns))
	{
		MapTable   *table = lfirst(lc);

		plan->triggers |= table->rel->has_triggers;
		plan->base.changed = list_concat_unique_oid(plan->base.changed, table->rel->inheritors);
		plan->base.tables = lappend(plan->base.tables, plan_rows(map, plan, table, false));
		/* the subject's own row, and other subjects' rows that belong to it */
		if (table == subject && EffGraphRoleLinks(subject, subject, ROLE_OWNER) != NIL)
			plan->base.tables = lappend(plan->base.tables, plan_rows(map, plan, table, true));
	}
	foreach(lc, plan->follows)
		plan->base.changed = list_append_unique_oid(plan->base.changed, ((ScopeRead *) lfirst(lc))->relid);
	EffPlanMakeLocks(&build);
	foreach(lc, plan->base.tables)
		add_table(&build, plan, lfirst(lc));
	add_deferrable(map, plan);
	return plan;
}

/* find_followers lists the columns that change because of a foreign key's ON UPDATE. */
static void
find_followers(DataMap *map, RectifyPlan *plan)
{
	bool		more = true;

	while (more)
	{
		ListCell   *lc;

		more = false;
		foreach(lc, map->foreign_keys)
		{
			ForeignKey *fk = lfirst(lc);

			if (fk->on_update == FKCONSTR_ACTION_NOACTION || fk->on_update == FKCONSTR_ACTION_RESTRICT)
				continue;
			for (int i = 0; i < fk->nkeys; i++)
			{
				Oid			target = fk->target;
				AttrNumber	attnum = fk->target_columns[i];
				MapTable   *over = EffMapTableOver(map, target);

				if (over != NULL && over->rel->oid != target)
				{
					EffColumn  *column = EffRelationColumnByName(over->rel,
																 EffRelationColumn(EffMapLoad(map, target), attnum)->name);

					target = over->rel->oid;
					attnum = column->attnum;
				}
				if (is_corrected(plan, target, attnum) || follows(plan, target, attnum))
					more |= add_follower(map, plan, fk->relid, fk->columns[i]);
			}
		}
	}
}

/* add_follower notes a column, of the labelled table that its relation is part of; false where it is known. */
static bool
add_follower(DataMap *map, RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	MapTable   *over = EffMapTableOver(map, relid);
	ScopeRead  *follower;

	if (over != NULL && over->rel->oid != relid)
	{
		attnum = EffRelationColumnByName(over->rel, EffRelationColumn(EffMapLoad(map, relid), attnum)->name)->attnum;
		relid = over->rel->oid;
	}
	if (follows(plan, relid, attnum))
		return false;
	follower = palloc0(sizeof(ScopeRead));
	follower->relid = relid;
	follower->attnums = bms_make_singleton(attnum);
	plan->follows = lappend(plan->follows, follower);
	return true;
}

static bool
is_corrected(RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, plan->columns)
		if (((RectifyColumn *) lfirst(lc))->table->rel->oid == relid &&
			((RectifyColumn *) lfirst(lc))->column->column->attnum == attnum)
			return true;
	return false;
}

static bool
follows(RectifyPlan *plan, Oid relid, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, plan->follows)
		if (((ScopeRead *) lfirst(lc))->relid == relid && bms_is_member(attnum, ((ScopeRead *) lfirst(lc))->attnums))
			return true;
	return false;
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
	planned->find_first = planned->contested || is_changed(plan, planned->reads) ||
		(table->rel->has_triggers && has_row_key(table));
	return planned;
}

/* is_changed: a column that is read is written, or follows one that is by a foreign key. */
static bool
is_changed(RectifyPlan *plan, List *reads)
{
	ListCell   *lc;

	foreach(lc, reads)
	{
		ScopeRead  *read = lfirst(lc);
		int			attnum = -1;

		while ((attnum = bms_next_member(read->attnums, attnum)) >= 0)
			if (is_corrected(plan, read->relid, attnum) || follows(plan, read->relid, attnum))
				return true;
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

/* add_table makes steps for each group of columns that go by the same rows. */
static void
add_table(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned)
{
	RectifyTable *table = palloc0(sizeof(RectifyTable));
	MapTable   *subject = build->plan->subject;
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
		add_steps(build, plan, table, planned, PART_OWN, NULL);
	if (planned->contested)
	{
		if (!planned->own_links)
			add_steps(build, plan, table, planned, PART_OWN_ONCE_SHARED, NULL);
		foreach(lc, planned->links)
			add_steps(build, plan, table, planned, PART_LINK, lfirst(lc));
	}
	else if (planned->table == subject)
	{
		/* a link of the subject's own row may lead to the row itself */
		foreach(lc, EffGraphRoleLinks(subject, subject, ROLE_OWNER))
			add_steps(build, plan, table, planned, PART_LINK, lfirst(lc));
	}
	if (list_length(table->steps) > 1)
		table->count = make_count(build, plan, planned, table->steps);
	if (plan->triggers && table->steps != NIL)
	{
		if (planned->contested)
			add_aftermath_contested(build, plan, table, planned);
		else
			add_aftermath(build, plan, table, planned);
	}
	if (table->steps != NIL || table->shared != NULL)
		plan->tables = lappend(plan->tables, table);
}

/*
 * add_steps: where the key by which rows are found follows another table's, or
 * goes from under a later step, what is no key is written beforehand.
 */
static void
add_steps(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned,
		  RectifyPart part, TableLink *link)
{
	RowSet	   *rows = planned->rows;
	bool		anew = false;
	bool		split = false;

	if (!any_written(plan, planned, link))
		return;
	if (rows != NULL)
	{
		anew = !planned->contested && key_follows(plan, planned->table, rows->key, rows->nkey);
		split = anew || (planned->contested && key_changes(plan, planned->table, rows->key, rows->nkey));
	}
	if (planned->contested)
	{
		rows = make_rows(build, planned, part, link);
		plan->parts = lappend(plan->parts, rows);
	}
	for (StepColumns columns = split ? COLUMNS_FREE : COLUMNS_ALL; columns <= (split ? COLUMNS_KEYS : COLUMNS_ALL); columns++)
	{
		RectifyStep *step = make_step(build, plan, planned, part, link, rows, columns);

		if (step == NULL)
			continue;
		step->early = columns == COLUMNS_FREE;
		table->steps = lappend(table->steps, step);
	}
}

/* make_step: NULL where it would write no column. */
static RectifyStep *
make_step(PlanBuild *build, RectifyPlan *plan, PlannedTable *planned, RectifyPart part,
		  TableLink *link, RowSet *rows, StepColumns columns)
{
	EffRelation *rel = planned->table->rel;
	RectifyStep *step = palloc0(sizeof(RectifyStep));
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
	const char *guards;
	ListCell   *lc;

	step->part = part;
	step->link = link;
	step->rows = rows;
	step->anew = columns == COLUMNS_KEYS && !planned->contested;
	step->update = st;
	append_values(build, plan, st, planned, step, columns);
	if (step->columns == NIL)
		return NULL;
	step->changes_key = rows != NULL && columns != COLUMNS_FREE &&
		key_changes(plan, planned->table, rows->key, rows->nkey);
	append_rows(build, plan, st, planned, step, step->anew);
	guards = guards_of(build, plan, st, planned, step, columns);
	if (guards != NULL)
		appendStringInfo(&st->text, " AND (%s)", guards);
	if (list_length(step->columns) > 1)
		foreach(lc, rel->inheritors)
			st->place.constraints = list_concat(st->place.constraints, EffConstraintsOn(lfirst_oid(lc), step->columns));

	if (rows == NULL ? rel->has_triggers : guards != NULL || (part == PART_LINK && !planned->contested))
	{
		step->due = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
		appendStringInfo(&step->due->text, "SELECT pg_catalog.count(*) FROM %s t", rel->sql);
		append_rows(build, plan, step->due, planned, step, false);
		guards = guards_of(build, plan, step->due, planned, step, columns);
		if (guards != NULL)
			appendStringInfo(&step->due->text, " AND (%s)", guards);
	}
	if (rel->has_triggers)
	{
		char	   *wrong;

		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		wrong = wrong_condition(build, plan, step->check, planned, step, columns, false);
		appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FILTER (WHERE %s), pg_catalog.count(*) FROM %s t",
						 wrong, rel->sql);
		append_rows(build, plan, step->check, planned, step, step->anew);
	}
	return step;
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

/* is_chosen: the column is part of no key, or of one, as is asked. */
static bool
is_chosen(PlanBuild *build, RectifyColumn *column, PlannedTable *planned, StepColumns columns)
{
	RowSet	   *rows = planned->rows;
	AttrNumber	attnum = column->column->column->attnum;
	const char *name = column->column->column->name;
	bool		is_key = false;
	ListCell   *lc;
	ListCell   *lc2;

	if (columns == COLUMNS_ALL)
		return true;
	for (int i = 0; i < rows->nkey; i++)
		is_key |= rows->key[i] == attnum;
	foreach(lc, planned->table->rel->inheritors)
	{
		EffRelation *part = EffMapLoad(build->map, lfirst_oid(lc));
		MapRelation *relation = EffMapRelation(build->map, part->oid);

		foreach(lc2, list_concat_copy(relation->references, relation->referenced_by))
		{
			ForeignKey *fk = lfirst(lc2);

			for (int i = 0; i < fk->nkeys; i++)
				is_key |= (fk->relid == part->oid && strcmp(EffRelationColumn(part, fk->columns[i])->name, name) == 0) ||
					(fk->target == part->oid && strcmp(EffRelationColumn(part, fk->target_columns[i])->name, name) == 0);
		}
	}
	return is_key == (columns == COLUMNS_KEYS);
}

static bool
any_written(RectifyPlan *plan, PlannedTable *planned, TableLink *link)
{
	ListCell   *lc;

	foreach(lc, plan->columns)
		if (is_written(lfirst(lc), planned, link))
			return true;
	return false;
}

/* append_values begins an UPDATE with the values of a step's columns, and lists these. */
static void
append_values(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned,
			  RectifyStep *step, StepColumns columns)
{
	EffRelation *rel = planned->table->rel;
	ListCell   *lc;

	st->place.denied_hint = "Grant the calling role SELECT and UPDATE on the tables of the plan.";
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	step->columns = NIL;
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		EffColumn  *c = column->column->column;
		const char *value;
		char	   *guard;

		if (!is_written(column, planned, step->link) || !is_chosen(build, column, planned, columns))
			continue;
		value = EffStatementParam(st, PARAM_VALUE, foreach_current_index(lc), NULL, 0, c->type);
		guard = guard_condition(build, plan, st, planned, column->column, step->part, step->link);
		appendStringInfo(&st->text, "%s%s = ", step->columns != NIL ? ", " : "", quote_identifier(c->name));
		if (guard == NULL)
			appendStringInfoString(&st->text, value);
		else
			appendStringInfo(&st->text, "CASE WHEN %s THEN %s ELSE %s END", guard, value,
							 EffColumnSql("t", rel, c->attnum));
		step->columns = lappend(step->columns, c->name);
	}
	if (list_length(step->columns) == 1)
		st->place.column = linitial(step->columns);
}

/* append_rows: the rows of a step, by their keys or, now, by what they are at present. */
static void
append_rows(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned, RectifyStep *step, bool now)
{
	appendStringInfoString(&st->text, " WHERE ");
	if (step->rows != NULL && !now)
		EffScopeRows(st, "t", step->rows, ROWS_ALL);
	else
		EffPlanScopeNow(build->map, st, "t", build->plan, planned, &EffScopeMine);
	if (step->part == PART_LINK && !planned->contested)
	{
		appendStringInfoString(&st->text, " AND (");
		append_reach(build, st, planned, step->link);
	}
}

/* append_reach: the value is about this subject alone; closes a parenthesis. */
static void
append_reach(PlanBuild *build, Statement *st, PlannedTable *planned, TableLink *link)
{
	ScopeOwner	living = {SCOPE_LIVING, build->plan->subject};

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

/* guards_of: some column of the step is written; NULL where one always is. */
static const char *
guards_of(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned, RectifyStep *step,
		  StepColumns columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		char	   *guard;

		if (!is_written(column, planned, step->link) || !is_chosen(build, column, planned, columns))
			continue;
		guard = guard_condition(build, plan, st, planned, column->column, step->part, step->link);
		if (guard == NULL)
			return NULL;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", guard);
	}
	return buf.data;
}

/*
 * wrong_condition: some column holds neither the value nor a surrogate that
 * must stay.  Surrogates are not known any more once the row's key has changed.
 */
static char *
wrong_condition(PlanBuild *build, RectifyPlan *plan, Statement *st, PlannedTable *planned, RectifyStep *step,
				StepColumns columns, bool keys_changed)
{
	EffRelation *rel = planned->table->rel;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		EffColumn  *c = column->column->column;
		char	   *differs;
		char	   *guard;

		if (!is_written(column, planned, step->link) || !is_chosen(build, column, planned, columns))
			continue;
		guard = guard_condition(build, plan, st, planned, column->column, step->part, step->link);
		if (guard != NULL && keys_changed)
			continue;
		differs = EffDistinctSql(rel, c, EffStatementParam(st, PARAM_VALUE, foreach_current_index(lc), NULL, 0, c->type));
		appendStringInfo(&buf, "%s(%s%s%s)", buf.len > 0 ? " OR " : "", differs, guard ? " AND " : "", guard ? guard : "");
	}
	return buf.len > 0 ? buf.data : pstrdup("false");
}

/*
 * add_aftermath: a trigger may have copied what was just corrected into rows
 * that nobody knew of when their table had its turn.
 */
static void
add_aftermath(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	AttrNumber *key;
	int			nkey = EffRowKey(planned->table, &key);
	bool		keys_changed = key_changes(plan, planned->table, key, nkey);
	RectifyStep *last = NULL;
	ListCell   *lc;

	foreach(lc, table->steps)
	{
		RectifyStep *step = lfirst(lc);
		RectifyStep all = {.part = step->part, .link = step->link};
		RectifyAftermath *aftermath;
		char	   *wrong;

		/* both halves of a split step */
		if (last != NULL && last->part == step->part && last->link == step->link)
			continue;
		last = step;
		aftermath = palloc0(sizeof(RectifyAftermath));
		aftermath->left = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		appendStringInfo(&aftermath->left->text, "SELECT pg_catalog.count(*) FROM %s t", rel->sql);
		append_rows(build, plan, aftermath->left, planned, &all, true);
		wrong = wrong_condition(build, plan, aftermath->left, planned, &all, COLUMNS_ALL, keys_changed);
		appendStringInfo(&aftermath->left->text, " AND (%s)", wrong);

		aftermath->update = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
		append_values(build, plan, aftermath->update, planned, &all, COLUMNS_ALL);
		append_rows(build, plan, aftermath->update, planned, &all, true);
		wrong = wrong_condition(build, plan, aftermath->update, planned, &all, COLUMNS_ALL, keys_changed);
		appendStringInfo(&aftermath->update->text, " AND (%s)", wrong);
		table->aftermath = lappend(table->aftermath, aftermath);
	}
}

/* add_aftermath_contested: who else owns a row that came in has not been found out. */
static void
add_aftermath_contested(PlanBuild *build, RectifyPlan *plan, RectifyTable *table, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	bool		keys_changed = key_changes(plan, planned->table, planned->rows->key, planned->rows->nkey);
	RectifyAftermath *aftermath = palloc0(sizeof(RectifyAftermath));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	const char *separator = " AND (";
	ListCell   *lc;

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	EffPlanScopeNow(build->map, st, "t", build->plan, planned, &EffScopeMine);
	appendStringInfoString(&st->text, " AND (");
	EffScopeRows(st, "t", planned->rows, ROWS_ALL);
	appendStringInfoString(&st->text, ") IS NOT TRUE");
	foreach(lc, planned->own_links ? planned->links : lcons(NULL, list_copy(planned->links)))
	{
		TableLink  *link = lfirst(lc);
		RectifyStep all = {.part = link ? PART_LINK : PART_OWN_ONCE_SHARED,.link = link};
		char	   *wrong = wrong_condition(build, plan, st, planned, &all, COLUMNS_ALL, keys_changed);

		if (strcmp(wrong, "false") == 0)
			continue;
		appendStringInfo(&st->text, "%s((%s) AND (", separator, wrong);
		separator = " OR ";
		if (link != NULL)
			append_reach(build, st, planned, link);
		else
		{
			EffOwnershipLiving(build->map, st, build->plan, planned);
			appendStringInfoString(&st->text, ") IS NOT TRUE");
		}
		appendStringInfoChar(&st->text, ')');
	}
	if (strcmp(separator, " OR ") != 0)
		return;
	appendStringInfoChar(&st->text, ')');
	aftermath->left = st;
	table->aftermath = lappend(table->aftermath, aftermath);
}

/* make_rows: the rows of a contested table in which a step writes, once they are locked. */
static RowSet *
make_rows(PlanBuild *build, PlannedTable *planned, RectifyPart part, TableLink *link)
{
	RowSet	   *all = planned->rows;
	RowSet	   *rows = palloc0(sizeof(RowSet));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", all->rel);

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
	if (part == PART_LINK)
		append_reach(build, st, planned, link);
	else
	{
		EffOwnershipLiving(build->map, st, build->plan, planned);
		appendStringInfoString(&st->text, ") IS NOT TRUE AND (");
		EffOwnershipErased(build->map, st, planned);
		appendStringInfoString(&st->text, part == PART_OWN ? ") IS NOT TRUE" : ")");
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
		RectifyStep *step = lfirst(lc);
		StepColumns columns = step->early ? COLUMNS_FREE : step->anew ? COLUMNS_KEYS : COLUMNS_ALL;
		const char *guards = guards_of(build, plan, st, planned, step, columns);
		int			length;
		char	   *rows;

		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR (" : "(");
		length = st->text.len;
		append_rows(build, plan, st, planned, step, false);
		rows = EffStatementTake(st, length);
		appendStringInfoString(&st->text, rows + strlen(" WHERE "));
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
				MapColumn *column, RectifyPart part, TableLink *link)
{
	bool		others = part == PART_OWN_ONCE_SHARED;
	bool		traceless = part == PART_LINK && link->reverse;
	Surrogate  *surrogate;
	char	   *residual;

	if (!EffMayHoldSurrogate(planned->table, column) ||
		(plan->state == SUBJECT_LIVING && !others && !traceless))
		return NULL;
	surrogate = EffSurrogateChoose(build->map, planned->table, column);
	/* what cannot be anonymized never was */
	if (surrogate->error != NULL || (residual = EffSurrogateResidualSql(surrogate, st, "t")) == NULL)
		return NULL;
	if (plan->state == SUBJECT_LIVING && others && !may_be_left_by_others(planned->table, surrogate))
		return NULL;
	/* erasure leaves a NULL as it is: nothing says that it was there for somebody */
	if (plan->state != SUBJECT_ERASED)
		return psprintf("(%s IS NULL OR %s)", EffColumnSql("t", planned->table->rel, column->column->attnum), residual);
	return psprintf("(%s)", residual);
}

/*
 * may_be_left_by_others: the erasure of another owner leaves what is tied to
 * none of them to the living one.  So a 0 or {} is a value, unless a link under
 * "shared": "erase" took the row or what references it kept it; a token says
 * itself what it is, where the living one came to own the row afterwards.
 */
static bool
may_be_left_by_others(MapTable *table, Surrogate *surrogate)
{
	char		category;
	bool		preferred;
	ListCell   *lc;

	if (surrogate->kind == SURROGATE_TEXT || surrogate->kind == SURROGATE_UUID)
		return true;
	get_type_category_preferred(surrogate->column->column->type, &category, &preferred);
	if (surrogate->kind == SURROGATE_EXPRESSION && category == TYPCATEGORY_STRING)
		return true;
	foreach(lc, table->links)
	{
		TableLink  *link = lfirst(lc);

		if (link->label->role == ROLE_OWNER &&
			(link->label->shared == SHARED_ERASE || ((JoinHop *) linitial(link->hops))->reverse))
			return true;
	}
	return false;
}

/* key_changes: a correction changes columns by which rows are found, or they follow one. */
static bool
key_changes(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n)
{
	for (int i = 0; i < n; i++)
		if (is_corrected(plan, table->rel->oid, columns[i]))
			return true;
	return key_follows(plan, table, columns, n);
}

static bool
key_follows(RectifyPlan *plan, MapTable *table, const AttrNumber *columns, int n)
{
	for (int i = 0; i < n; i++)
		if (follows(plan, table->rel->oid, columns[i]))
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
