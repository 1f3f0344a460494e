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
 * EffRectifyWrites returns whether a step over the rows of a table would write a
 * column: one that is tied to the link or, where link is NULL, to no link.
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
 * EffRectifyValues begins an UPDATE with the values of the step's columns, and
 * lists the names of these columns in the step; there may be none.
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
 * EffRectifyGuards returns the condition that the step writes some column of a row
 * of alias t, NULL where it writes one in every row.
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
 * EffRectifyWrong returns the condition that some column of a row of alias t holds
 * neither the corrected value nor a surrogate that has to stay; "false" where no
 * column can be checked.  With keys_changed columns that may hold surrogates are
 * left out: a surrogate depends on the key that the row had before.
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
 * guard_condition returns the condition that a column holds no surrogate, for the
 * surrogate of an erased subject is never overwritten; NULL where the column can
 * hold none.  By a link that may lead to several owners, an erased owner may have
 * been released and nothing in the row says so.
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
 * may_be_left_by_others returns whether a surrogate of another, erased owner can be
 * in a row that this owner has now.  The erasure of one owner does not change
 * columns that are tied to no link while another owner is there; so a 0 or {} is a
 * value, unless a link under "shared": "erase" anonymized the row all the same.  A
 * surrogate text or UUID cannot be a value: this owner came to the row afterwards.
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
