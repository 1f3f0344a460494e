/*
 * steps_shared.c
 *	  Steps on rows that are somebody else's too.
 */
#include "postgres.h"

#include "plan/ownership.h"
#include "plan/plan_int.h"

#include "utils/builtins.h"

/* What rows shared with others get in one column */
typedef struct SharedChange
{
	EffColumn  *column;
	StringInfoData branches;	/* WHEN ... THEN ..., by link */
} SharedChange;

static List *add_change(List *changes, EffRelation *rel, EffColumn *column, const char *condition,
						const char *value, const char *residual, StringInfo pending);

/*
 * EffStepMakeShared makes the step on rows that others own too.  Columns tied to this
 * owner's links get surrogates, and the references that make the row this owner's are
 * set to NULL.
 */
void
EffStepMakeShared(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
	StringInfoData pending;
	List	   *changes = NIL;
	List	   *columns = NIL;
	int			where;
	ListCell   *lc;

	initStringInfo(&pending);
	step->reason = planned->own_links ? planned->why :
		planned->reverse ? "rows that are somebody else's too, or that somebody else's rows "
		"reference, stay" :
		"rows that are somebody else's too stay";
	foreach(lc, planned->links)
	{
		TableLink  *link = lfirst(lc);
		int			part = ROWS_KEPT_BY + foreach_current_index(lc);
		Bitmapset  *tied = NULL;
		const Condition *mine = EffScopeRows(st, "t", planned->rows, part);

		foreach_ptr(Surrogate, surrogate, planned->anonymize)
		{
			EffColumn  *column = surrogate->column->column;

			if (!EffPlanIsTied(surrogate, link) || surrogate->kind == SURROGATE_GENERATED)
				continue;
			tied = bms_add_member(tied, column->attnum);
			changes = add_change(changes, rel, column, mine->sql,
								 EffSurrogateSql(surrogate, st, "t"),
								 EffSurrogateResidualSql(surrogate, st, "t"), &pending);
		}
		/* another owner's reference to the row is not released for this owner */
		if (EffOwnersHaveTwin(build->map, link))
			mine = EffConditionAnd(mine, EffConditionNot(EffOwnershipTwins(build->map, st, "t",
																		   build->request, link)));
		foreach_int(number, EffDetachLinkColumns(build->map, link))
		{
			EffColumn  *column = EffRelationColumn(rel, number);

			if (!bms_is_member(column->attnum, tied))
				changes = add_change(changes, rel, column, mine->sql, "NULL", NULL, &pending);
		}
	}
	if (changes == NIL)
		return;
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach(lc, changes)
	{
		SharedChange *change = lfirst(lc);

		step->columns = lappend(step->columns, change->column->name);
		columns = lappend(columns, change->column);
		appendStringInfo(&st->text, "%s%s = CASE%s ELSE %s END",
						 foreach_current_index(lc) > 0 ? ", " : "",
							 quote_identifier(change->column->name),
						 change->branches.data, EffColumnSql("t", rel, change->column->attnum));
	}
	where = EffStepBeginWhere(st);
	EffConditionAppend(st, EffScopeRows(st, "t", planned->rows, ROWS_KEPT));
	appendStringInfo(&st->text, " AND (%s)", pending.data);
	step->sql.find = st;
	EffStepAddCheck(step, rel, "", where);
	EffStepAddObjects(step, rel, columns, where);
}

/*
 * add_change: rows under a condition get a value in a column, where there is
 * something; residual NULL stands for that.
 */
static List *
add_change(List *changes, EffRelation *rel, EffColumn *column, const char *condition,
		   const char *value, const char *residual, StringInfo pending)
{
	char	   *present = psprintf("%s IS NOT NULL", EffColumnSql("t", rel, column->attnum));
	SharedChange *change = NULL;
	ListCell   *lc;

	foreach(lc, changes)
		if (((SharedChange *) lfirst(lc))->column == column)
			change = lfirst(lc);
	if (change == NULL)
	{
		change = palloc0(sizeof(SharedChange));
		change->column = column;
		initStringInfo(&change->branches);
		changes = lappend(changes, change);
	}
	appendStringInfo(&change->branches, " WHEN %s AND %s THEN %s", condition, present, value);
	appendStringInfo(pending, "%s(%s AND %s)", pending->len > 0 ? " OR " : "",
					 condition, residual ? residual : present);
	return changes;
}
