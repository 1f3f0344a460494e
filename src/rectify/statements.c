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
static const Condition *guarded_rows(DataMap *map, RectifyPlan *plan, Statement *st,
									 RectifyStep *step, bool now);
static const Condition *rows_of(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
								bool now);
static const Condition *about_alone(DataMap *map, RectifyPlan *plan, Statement *st,
									TableLink *link);

/*
 * EffRectifyMakeStep returns a step over these rows, NULL where it would write no
 * column.  The step counts its rows before it writes where not every row that was
 * found gets a value, and checks them afterwards where the table has triggers.
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
	guards = EffRectifyGuards(map, plan, st, step);
	appendStringInfo(&st->text, " WHERE %s",
					 EffConditionSql(st, guarded_rows(map, plan, st, step, step->anew)));
	if (list_length(step->columns) > 1)
		foreach_oid(oid, rel->inheritors)
			st->place.constraints = list_concat(st->place.constraints,
												EffConstraintsOn(oid, step->columns));

	if (rows == NULL ? rel->has_triggers : guards != NULL ||
		(part == PART_LINK && !planned->contested))
	{
		step->due = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
		appendStringInfo(&step->due->text, "SELECT pg_catalog.count(*) FROM %s t WHERE %s",
						 rel->sql,
						 EffConditionSql(step->due,
										 guarded_rows(map, plan, step->due, step, false)));
	}
	if (rel->has_triggers)
	{
		char	   *wrong;

		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		wrong = EffRectifyWrong(map, plan, step->check, step, false);
		appendStringInfo(&step->check->text,
						 "SELECT pg_catalog.count(*) FILTER (WHERE %s), pg_catalog.count(*)"
						 " FROM %s "
						 "t WHERE %s",
						 wrong, rel->sql,
						 EffConditionSql(step->check,
										 rows_of(map, plan, step->check, step, step->anew)));
	}
	return step;
}

/*
 * EffRectifyMakeRows adds to the plan the part of a contested table's row set in
 * which a step writes, and returns it.  Rows that an erased subject owned too are a
 * part of their own, for they may hold surrogates.
 */
RowSet *
EffRectifyMakeRows(DataMap *map, RectifyPlan *plan, PlannedTable *planned, RectifyPart part,
				   TableLink *link)
{
	RowSet	   *all = planned->rows;
	RowSet	   *rows = palloc0(sizeof(RowSet));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", all->rel);
	const Condition *found;

	rows->id = list_length(plan->base.rowsets);
	rows->rel = all->rel;
	rows->nkey = all->nkey;
	rows->key = all->key;
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", rows->rel, rows->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	found = EffScopeRows(st, "t", all, ROWS_ALL);
	if (part == PART_LINK)
		found = EffConditionAnd(found, about_alone(map, plan, st, link));
	else
	{
		const Condition *erased;

		found = EffConditionAnd(found, EffConditionNot(EffOwnershipOthers(map, st, &plan->base,
																		  planned->table)));
		erased = EffOwnershipErased(map, st, planned->table);
		found = EffConditionAnd(found, part == PART_OWN ? EffConditionNot(erased) : erased);
	}
	EffConditionAppend(st, found);
	rows->find = st;
	plan->base.rowsets = lappend(plan->base.rowsets, rows);
	return rows;
}

/*
 * EffRectifyMakeCount returns a statement that counts the rows that any of the
 * steps writes, once.
 */
Statement *
EffRectifyMakeCount(DataMap *map, RectifyPlan *plan, List *steps)
{
	EffRelation *rel = ((RectifyStep *) linitial(steps))->planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	const Condition *any = &EffFalse;

	foreach_ptr(RectifyStep, step, steps)
	{
		any = EffConditionOr(any, guarded_rows(map, plan, st, step, false));
	}
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE %s", rel->sql,
					 EffConditionSql(st, any));
	return st;
}

/*
 * EffRectifyMakeShared returns a statement that counts the rows in which a column
 * is left as it is, because it is about another owner too; NULL where there can
 * be no such row.
 */
Statement *
EffRectifyMakeShared(DataMap *map, RectifyPlan *plan, PlannedTable *planned)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	ScopeOwner	others = {SCOPE_OTHERS, plan->base.subject};
	const Condition *found = EffScopeRows(st, "t", planned->rows, ROWS_ALL);
	const Condition *shared = &EffFalse;

	if (EffRectifyWrites(plan, planned, NULL))
		shared = planned->own_links ? &EffTrue :
			EffOwnershipOthers(map, st, &plan->base, planned->table);
	foreach_ptr(TableLink, link, planned->links)
	{
		const Condition *mine;

		if (!link->reverse || !EffRectifyWrites(plan, planned, link))
			continue;
		mine = EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
		mine = EffConditionAnd(mine, EffScopeLink(map, st, "t", link, 0, &others));
		shared = EffConditionOr(shared, mine);
	}
	if (shared->kind == CONDITION_FALSE)
		return NULL;
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE %s",
					 planned->table->rel->sql,
					 EffConditionSql(st, EffConditionAnd(found, shared)));
	return st;
}

/*
 * EffRectifyMakeAftermath returns what to do about triggers, a list of
 * RectifyAftermath.  A trigger may have copied an old value into rows that were
 * not there yet when their table had its turn.
 */
List *
EffRectifyMakeAftermath(DataMap *map, RectifyPlan *plan, PlannedTable *planned, List *steps)
{
	return planned->contested ? aftermath_contested(map, plan, planned) :
		aftermath_of(map, plan, planned, steps);
}

/*
 * aftermath_of makes, for each part of the columns, a statement that corrects
 * and one that counts.
 */
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
		const Condition *where;
		char	   *wrong;

		/* both halves of a split step */
		if (last != NULL && last->part == step->part && last->link == step->link)
			continue;
		last = step;
		aftermath = palloc0(sizeof(RectifyAftermath));
		aftermath->left = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		where = rows_of(map, plan, aftermath->left, &all, true);
		wrong = EffRectifyWrong(map, plan, aftermath->left, &all, keys_changed);
		appendStringInfo(&aftermath->left->text,
						 "SELECT pg_catalog.count(*) FROM %s t WHERE %s AND (%s)", rel->sql,
						 EffConditionSql(aftermath->left, where), wrong);

		aftermath->update = EffStatementNew(SPI_OK_UPDATE, "correction of", rel);
		EffRectifyValues(map, plan, aftermath->update, &all);
		where = rows_of(map, plan, aftermath->update, &all, true);
		wrong = EffRectifyWrong(map, plan, aftermath->update, &all, keys_changed);
		appendStringInfo(&aftermath->update->text, " WHERE %s AND (%s)",
						 EffConditionSql(aftermath->update, where), wrong);
		result = lappend(result, aftermath);
	}
	return result;
}

/*
 * aftermath_contested only counts, which stops the call: who else owns a row that
 * came in has not been found out.
 */
static List *
aftermath_contested(DataMap *map, RectifyPlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	bool		keys_changed = EffRectifyChangesKey(plan, planned->table, planned->rows->key,
													planned->rows->nkey);
	RectifyAftermath *aftermath = palloc0(sizeof(RectifyAftermath));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	const Condition *came = EffPlanScopeNow(map, st, "t", &plan->base, planned, &EffScopeMine);
	const Condition *any = &EffFalse;

	came = EffConditionAnd(came, EffConditionNot(EffScopeRows(st, "t", planned->rows, ROWS_ALL)));
	foreach_ptr(TableLink, link, planned->own_links ? planned->links :
				lcons(NULL, list_copy(planned->links)))
	{
		RectifyStep all = {.planned = planned, .part = link ? PART_LINK : PART_OWN_ONCE_SHARED,
						   .link = link};
		char	   *wrong = EffRectifyWrong(map, plan, st, &all, keys_changed);
		const Condition *mine;

		if (strcmp(wrong, "false") == 0)
			continue;
		mine = link != NULL ? about_alone(map, plan, st, link) :
			EffConditionNot(EffOwnershipOthers(map, st, &plan->base, planned->table));
		any = EffConditionOr(any, EffConditionAnd(EffConditionOf(psprintf("(%s)", wrong), NULL),
												  mine));
	}
	if (any->kind == CONDITION_FALSE)
		return NIL;
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE %s", rel->sql,
					 EffConditionSql(st, EffConditionAnd(came, any)));
	aftermath->left = st;
	return list_make1(aftermath);
}

/* guarded_rows: the rows of a step that hold no surrogate which must stay. */
static const Condition *
guarded_rows(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step, bool now)
{
	const Condition *rows = rows_of(map, plan, st, step, now);
	const char *guards = EffRectifyGuards(map, plan, st, step);

	return guards == NULL ? rows : EffConditionAnd(rows,
												   EffConditionOf(psprintf("(%s)", guards), NULL));
}

/* rows_of: the rows of a step, by their keys or, now, by what they are at present. */
static const Condition *
rows_of(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step, bool now)
{
	const Condition *rows = step->rows != NULL && !now ?
		EffScopeRows(st, "t", step->rows, ROWS_ALL) :
		EffPlanScopeNow(map, st, "t", &plan->base, step->planned, &EffScopeMine);

	if (step->part == PART_LINK && !step->planned->contested)
		rows = EffConditionAnd(rows, about_alone(map, plan, st, step->link));
	return rows;
}

/*
 * about_alone: a value is about this subject alone; a link that may lead to several makes
 * it about all of them.
 */
static const Condition *
about_alone(DataMap *map, RectifyPlan *plan, Statement *st, TableLink *link)
{
	ScopeOwner	others = {SCOPE_OTHERS, plan->base.subject};
	const Condition *mine = EffScopeLink(map, st, "t", link, 0, &EffScopeMine);

	if (link->reverse)
		mine = EffConditionAnd(mine, EffConditionNot(EffScopeLink(map, st, "t", link, 0, &others)));
	return mine;
}
