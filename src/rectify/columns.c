/*
 * columns.c
 *	  Which columns a step of a rectification writes, and where it must not.
 */
#include "postgres.h"

#include "rectify/columns.h"
#include "relations/types.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool is_written(RectifyColumn *column, PlannedTable *planned, TableLink *link);
static bool is_chosen(DataMap *map, RectifyColumn *column, RectifyStep *step);
static char *guard_condition(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
							 MapColumn *column);
static bool may_be_left_by_others(MapTable *table, Surrogate *surrogate);

/*
 * EffRectifyWrites: rows of the table get a value by the link, or where it is
 * NULL by none.
 */
bool
EffRectifyWrites(RectifyPlan *plan, PlannedTable *planned, TableLink *link)
{
	ListCell   *lc;

	foreach(lc, plan->columns)
		if (is_written(lfirst(lc), planned, link))
			return true;
	return false;
}

/*
 * EffRectifyValues lists the columns in the step, too.
 */
void
EffRectifyValues(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step)
{
	EffRelation *rel = step->planned->table->rel;
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

		if (!is_written(column, step->planned, step->link) || !is_chosen(map, column, step))
			continue;
		value = EffStatementParam(st, PARAM_VALUE, foreach_current_index(lc), NULL, 0, c->type);
		guard = guard_condition(map, plan, st, step, column->column);
		appendStringInfo(&st->text, "%s%s = ", step->columns != NIL ? ", " : "",
						 quote_identifier(c->name));
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

/*
 * EffRectifyGuards: NULL where one column always is written.
 */
const char *
EffRectifyGuards(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step)
{
	StringInfoData buf;

	initStringInfo(&buf);
	foreach_ptr(RectifyColumn, column, plan->columns)
	{
		char	   *guard;

		if (!is_written(column, step->planned, step->link) || !is_chosen(map, column, step))
			continue;
		guard = guard_condition(map, plan, st, step, column->column);
		if (guard == NULL)
			return NULL;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", guard);
	}
	return buf.data;
}

/*
 * EffRectifyWrong: surrogates are not known any more once the row's key has
 * changed.
 */
char *
EffRectifyWrong(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
				bool keys_changed)
{
	EffRelation *rel = step->planned->table->rel;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, plan->columns)
	{
		RectifyColumn *column = lfirst(lc);
		EffColumn  *c = column->column->column;
		char	   *differs;
		char	   *guard;

		if (!is_written(column, step->planned, step->link) || !is_chosen(map, column, step))
			continue;
		guard = guard_condition(map, plan, st, step, column->column);
		if (guard != NULL && keys_changed)
			continue;
		differs = EffDistinctSql(rel, c,
								 EffStatementParam(st, PARAM_VALUE, foreach_current_index(lc), NULL,
												   0, c->type));
		appendStringInfo(&buf, "%s(%s%s%s)", buf.len > 0 ? " OR " : "", differs, guard ? " AND " :
						 "", guard ? guard : "");
	}
	return buf.len > 0 ? buf.data : pstrdup("false");
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

/* is_chosen: the column is part of no key, or of one, as the step asks. */
static bool
is_chosen(DataMap *map, RectifyColumn *column, RectifyStep *step)
{
	RowSet	   *rows = step->planned->rows;
	AttrNumber	attnum = column->column->column->attnum;
	bool		is_key = false;
	ListCell   *lc2;

	if (step->which == COLUMNS_ALL)
		return true;
	for (int i = 0; i < rows->nkey; i++)
		is_key |= rows->key[i] == attnum;
	foreach_oid(oid, step->planned->table->rel->inheritors)
	{
		EffRelation *part = EffMapLoad(map, oid);
		MapRelation *relation = EffMapRelation(map, part->oid);
		EffColumn  *same = EffRelationColumnNamed(part, column->column->column->name);

		foreach(lc2, list_concat_copy(relation->references, relation->referenced_by))
			is_key |= EffForeignKeyHas(lfirst(lc2), part->oid, same->attnum);
	}
	return is_key == (step->which == COLUMNS_KEYS);
}

/*
 * guard_condition: surrogates of erased subjects are never overwritten.  NULL
 * where none can be in the column.  By a link that may lead to several, an
 * erased one may have been let go of without a trace in the row.
 */
static char *
guard_condition(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
				MapColumn *column)
{
	bool		others = step->part == PART_OWN_ONCE_SHARED;
	bool		traceless = step->part == PART_LINK && step->link->reverse;
	Surrogate  *surrogate;
	char	   *residual;

	if (!EffMayHoldSurrogate(step->planned->table, column) ||
		(plan->state == SUBJECT_NOT_ERASED && !others && !traceless))
		return NULL;
	surrogate = EffSurrogateChoose(map, step->planned->table, column);
	/* what cannot be anonymized never was */
	if (surrogate->error != NULL ||
		(residual = EffSurrogateResidualSql(surrogate, st, "t")) == NULL)
		return NULL;
	if (plan->state == SUBJECT_NOT_ERASED && others &&
		!may_be_left_by_others(step->planned->table, surrogate))
		return NULL;
	/* erasure leaves a NULL as it is: nothing says that it was there for somebody */
	if (plan->state != SUBJECT_ERASED)
		return psprintf("(%s IS NULL OR %s)",
						EffColumnSql("t", step->planned->table->rel, column->column->attnum),
						residual);
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

	if (surrogate->kind == SURROGATE_TEXT || surrogate->kind == SURROGATE_UUID)
		return true;
	category = EffTypeCategory(surrogate->column->column->type);
	if (surrogate->kind == SURROGATE_EXPRESSION && category == TYPCATEGORY_STRING)
		return true;
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->label->role == ROLE_OWNER &&
			(link->label->shared == SHARED_ERASE || ((JoinHop *) linitial(link->hops))->reverse))
			return true;
	}
	return false;
}
