/*
 * statements.c
 *	  Writes the statements of a rectification.
 */
#include "postgres.h"

#include "plan/ownership.h"
#include "rectify/changes.h"
#include "rectify/columns.h"
#include "rectify/statements.h"
#include "relations/constraints.h"

static List *aftermath_of(DataMap *map, RectifyPlan *plan, PlannedTable *planned, List *steps);
static List *aftermath_contested(DataMap *map, RectifyPlan *plan, PlannedTable *planned);
static void append_rows(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
						bool now);
static void append_reach(DataMap *map, RectifyPlan *plan, Statement *st, TableLink *link);

/*
 * EffRectifyMakeStep looks before it writes where not all of the rows found get
 * a value, and afterwards where triggers may have had their way.
 */
RectifyStep *
EffRectifyMakeStep(DataMap *map, RectifyPlan *plan, PlannedTable *planned, RectifyPart part,
				   TableLink *link,
				   RowSet *rows, StepColumns which)
{
	EffRelation *rel = planned->table->rel;
	RectifyStep *step = palloc0(sizeof(RectifyStep));
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
	const char *guards;

	step->planned = planned;
	step->which = which;
	step->part = part;
	step->link = link;
	step->rows = rows;
	step->anew = which == COLUMNS_KEYS && !planned->contested;
	step->early = which == COLUMNS_FREE;
	step->update = st;
	EffRectifyValues(map, plan, st, step);
	if (step->columns == NIL)
		return NULL;
	step->changes_key = rows != NULL && which != COLUMNS_FREE &&
		EffRectifyChangesKey(plan, planned->table, rows->key, rows->nkey);
	append_rows(map, plan, st, step, step->anew);
	guards = EffRectifyGuards(map, plan, st, step);
	if (guards != NULL)
		appendStringInfo(&st->text, " AND (%s)", guards);
	if (list_length(step->columns) > 1)
		foreach_oid(oid, rel->inheritors)
			st->place.constraints = list_concat(st->place.constraints,
												EffConstraintsOn(oid, step->columns));

	if (rows == NULL ? rel->has_triggers : guards != NULL ||
		(part == PART_LINK && !planned->contested))
	{
		step->due = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
		appendStringInfo(&step->due->text, "SELECT pg_catalog.count(*) FROM %s t", rel->sql);
		append_rows(map, plan, step->due, step, false);
		guards = EffRectifyGuards(map, plan, step->due, step);
		if (guards != NULL)
			appendStringInfo(&step->due->text, " AND (%s)", guards);
	}
	if (rel->has_triggers)
	{
		char	   *wrong;

		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		wrong = EffRectifyWrong(map, plan, step->check, step, false);
		appendStringInfo(&step->check->text,
						 "SELECT pg_catalog.count(*) FILTER (WHERE %s), pg_catalog.count(*) FROM"
						 " %s t",
						 wrong, rel->sql);
		append_rows(map, plan, step->check, step, step->anew);
	}
	return step;
}

/*
 * EffRectifyMakeRows: what an erased subject owned too is told apart.
 */
RowSet *
EffRectifyMakeRows(DataMap *map, RectifyPlan *plan, PlannedTable *planned, RectifyPart part,
				   TableLink *link)
{
	RowSet	   *all = planned->rows;
	RowSet	   *rows = palloc0(sizeof(RowSet));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", all->rel);

	rows->id = list_length(plan->base.rowsets);
	rows->rel = all->rel;
	rows->nkey = all->nkey;
	rows->key = all->key;
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", rows->rel, rows->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffScopeRows(st, "t", all, ROWS_ALL);
	appendStringInfoString(&st->text, " AND (");
	if (part == PART_LINK)
		append_reach(map, plan, st, link);
	else
	{
		EffOwnershipOthers(map, st, &plan->base, planned);
		appendStringInfoString(&st->text, ") IS NOT TRUE AND (");
		EffOwnershipErased(map, st, planned);
		appendStringInfoString(&st->text, part == PART_OWN ? ") IS NOT TRUE" : ")");
	}
	rows->find = st;
	plan->base.rowsets = lappend(plan->base.rowsets, rows);
	return rows;
}

/*
 * EffRectifyMakeCount: a row that several steps write is one row.
 */
Statement *
EffRectifyMakeCount(DataMap *map, RectifyPlan *plan, List *steps)
{
	EffRelation *rel = ((RectifyStep *) linitial(steps))->planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	ListCell   *lc;

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	foreach(lc, steps)
	{
		RectifyStep *step = lfirst(lc);
		const char *guards = EffRectifyGuards(map, plan, st, step);
		int			length;
		char	   *rows;

		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR (" : "(");
		length = st->text.len;
		append_rows(map, plan, st, step, false);
		rows = EffStatementTake(st, length);
		appendStringInfoString(&st->text, rows + strlen(" WHERE "));
		if (guards != NULL)
			appendStringInfo(&st->text, " AND (%s)", guards);
		appendStringInfoChar(&st->text, ')');
	}
	return st;
}

/*
 * EffRectifyMakeShared: a column is left where it is about another living owner
 * too.
 */
Statement *
EffRectifyMakeShared(DataMap *map, RectifyPlan *plan, PlannedTable *planned)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	ScopeOwner	living = {SCOPE_OTHERS, plan->base.subject};
	const char *separator = " AND (";

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ",
					 planned->table->rel->sql);
	EffScopeRows(st, "t", planned->rows, ROWS_ALL);
	if (EffRectifyWrites(plan, planned, NULL))
	{
		appendStringInfoString(&st->text, separator);
		separator = " OR ";
		if (planned->own_links)
			appendStringInfoString(&st->text, "true");
		else
			EffOwnershipOthers(map, st, &plan->base, planned);
	}
	foreach_ptr(TableLink, link, planned->links)
	{
		if (!link->reverse || !EffRectifyWrites(plan, planned, link))
			continue;
		appendStringInfo(&st->text, "%s((", separator);
		separator = " OR ";
		EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
		appendStringInfoString(&st->text, ") AND (");
		EffScopeLink(map, st, "t", link, 0, &living);
		appendStringInfoString(&st->text, "))");
	}
	if (strcmp(separator, " OR ") != 0)
		return NULL;
	appendStringInfoChar(&st->text, ')');
	return st;
}

/*
 * EffRectifyMakeAftermath: a trigger may have copied what was just corrected
 * into rows that nobody knew of when their table had its turn.
 */
List *
EffRectifyMakeAftermath(DataMap *map, RectifyPlan *plan, PlannedTable *planned, List *steps)
{
	return planned->contested ? aftermath_contested(map, plan, planned) :
		aftermath_of(map, plan, planned, steps);
}

/* aftermath_of: each kind of columns, once more. */
static List *
aftermath_of(DataMap *map, RectifyPlan *plan, PlannedTable *planned, List *steps)
{
	EffRelation *rel = planned->table->rel;
	AttrNumber *key;
	int			nkey = EffRowKey(planned->table, &key);
	bool		keys_changed = EffRectifyChangesKey(plan, planned->table, key, nkey);
	RectifyStep *last = NULL;
	List	   *result = NIL;

	foreach_ptr(RectifyStep, step, steps)
	{
		RectifyStep all = {.planned = planned, .part = step->part, .link = step->link};
		RectifyAftermath *aftermath;
		char	   *wrong;

		/* both halves of a split step */
		if (last != NULL && last->part == step->part && last->link == step->link)
			continue;
		last = step;
		aftermath = palloc0(sizeof(RectifyAftermath));
		aftermath->left = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		appendStringInfo(&aftermath->left->text, "SELECT pg_catalog.count(*) FROM %s t", rel->sql);
		append_rows(map, plan, aftermath->left, &all, true);
		wrong = EffRectifyWrong(map, plan, aftermath->left, &all, keys_changed);
		appendStringInfo(&aftermath->left->text, " AND (%s)", wrong);

		aftermath->update = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
		EffRectifyValues(map, plan, aftermath->update, &all);
		append_rows(map, plan, aftermath->update, &all, true);
		wrong = EffRectifyWrong(map, plan, aftermath->update, &all, keys_changed);
		appendStringInfo(&aftermath->update->text, " AND (%s)", wrong);
		result = lappend(result, aftermath);
	}
	return result;
}

/* aftermath_contested: who else owns a row that came in has not been found out. */
static List *
aftermath_contested(DataMap *map, RectifyPlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	bool		keys_changed = EffRectifyChangesKey(plan, planned->table, planned->rows->key,
													planned->rows->nkey);
	RectifyAftermath *aftermath = palloc0(sizeof(RectifyAftermath));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	const char *separator = " AND (";

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	EffPlanScopeNow(map, st, "t", &plan->base, planned, &EffScopeMine);
	appendStringInfoString(&st->text, " AND (");
	EffScopeRows(st, "t", planned->rows, ROWS_ALL);
	appendStringInfoString(&st->text, ") IS NOT TRUE");
	foreach_ptr(TableLink, link, planned->own_links ? planned->links :
				lcons(NULL, list_copy(planned->links)))
	{
		RectifyStep all = {.planned = planned, .part = link ? PART_LINK : PART_OWN_ONCE_SHARED,
						   .link = link};
		char	   *wrong = EffRectifyWrong(map, plan, st, &all, keys_changed);

		if (strcmp(wrong, "false") == 0)
			continue;
		appendStringInfo(&st->text, "%s((%s) AND (", separator, wrong);
		separator = " OR ";
		if (link != NULL)
			append_reach(map, plan, st, link);
		else
		{
			EffOwnershipOthers(map, st, &plan->base, planned);
			appendStringInfoString(&st->text, ") IS NOT TRUE");
		}
		appendStringInfoChar(&st->text, ')');
	}
	if (strcmp(separator, " OR ") != 0)
		return NIL;
	appendStringInfoChar(&st->text, ')');
	aftermath->left = st;
	return list_make1(aftermath);
}

/* append_rows: the rows of a step, by their keys or, now, by what they are at present. */
static void
append_rows(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step, bool now)
{
	appendStringInfoString(&st->text, " WHERE ");
	if (step->rows != NULL && !now)
		EffScopeRows(st, "t", step->rows, ROWS_ALL);
	else
		EffPlanScopeNow(map, st, "t", &plan->base, step->planned, &EffScopeMine);
	if (step->part == PART_LINK && !step->planned->contested)
	{
		appendStringInfoString(&st->text, " AND (");
		append_reach(map, plan, st, step->link);
	}
}

/* append_reach: the value is about this subject alone; closes a parenthesis. */
static void
append_reach(DataMap *map, RectifyPlan *plan, Statement *st, TableLink *link)
{
	ScopeOwner	living = {SCOPE_OTHERS, plan->base.subject};

	EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
	if (link->reverse)
	{
		/* a way that may lead to several: the value is about all of them */
		appendStringInfoString(&st->text, ") AND (");
		EffScopeLink(map, st, "t", link, 0, &living);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	else
		appendStringInfoChar(&st->text, ')');
}
