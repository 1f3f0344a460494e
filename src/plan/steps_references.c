/*
 * steps_references.c
 *	  Steps on rows that reference rows which are deleted.
 */
#include "postgres.h"

#include "plan/ownership.h"
#include "plan/plan_int.h"

#include "utils/builtins.h"

static const Condition *outside_rows(PlanBuild *build, Statement *st, PlannedOperation *operation);
static const Condition *references_planned(PlanBuild *build, Statement *st, PlannedTable *planned,
										   ForeignKey *fk);
static char *blocker_hint(PlanBuild *build, EffRelation *rel, ForeignKey *fk,
						  PlannedOperation *operation);
static const char *action_word(char action);

/*
 * EffStepMakeReference: rows that reference rows which are deleted are counted,
 * detached, or left to the foreign key's own action.
 */
void
EffStepMakeReference(PlanBuild *build, ErasureStep *step, PlannedOperation *operation)
{
	ForeignKey *fk = operation->fk;
	EffRelation *rel = EffMapLoad(build->map, fk->relid);
	const char *only = EffScopeOnly(rel, fk->oid != InvalidOid && !operation->breaks_cycle);
	Statement  *st;
	int			where;
	ListCell   *lc;

	step->rel = rel;
	step->fk = fk;
	step->link = NULL;
	for (int i = 0; i < fk->nkeys; i++)
		step->columns = lappend(step->columns, EffRelationColumn(rel, fk->columns[i])->name);
	if (operation->strategy == STEP_SIDE_EFFECT)
	{
		step->reason = psprintf("constraint %s is ON DELETE %s", quote_identifier(fk->name),
								action_word(fk->on_delete));
		return;
	}
	if (operation->strategy == STEP_BLOCKER)
	{
		st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
		appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s%s t", only, rel->sql);
		where = EffStepBeginWhere(st);
		EffConditionAppend(st, references_planned(build, st, operation->planned, fk));
		step->reason = psprintf("rows that reference %s by %s (ON DELETE %s) %sstop the erasure",
								operation->planned->table->name, quote_identifier(fk->name),
								action_word(fk->on_delete), operation->outside ?
									"and are not the subject's " : "");
		step->hint = blocker_hint(build, rel, fk, operation);
	}
	else
	{
		st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
		appendStringInfo(&st->text, "UPDATE %s%s t SET ", only, rel->sql);
		step->columns = NIL;
		foreach(lc, operation->set_null)
		{
			EffColumn  *column = EffRelationColumn(rel, lfirst_int(lc));

			step->columns = lappend(step->columns, column->name);
			appendStringInfo(&st->text, "%s%s = NULL", foreach_current_index(lc) > 0 ? ", " : "",
							 quote_identifier(column->name));
		}
		where = EffStepBeginWhere(st);
		if (operation->breaks_cycle)
		{
			EffConditionAppend(st, EffPlanScope(build->map, st, "t", build->request,
												operation->planned));
			appendStringInfo(&st->text, " AND %s IS NOT NULL",
							 EffColumnSql("t", rel, linitial_int(operation->set_null)));
			step->reason = psprintf("the reference %s is part of a cycle of foreign keys",
									quote_identifier(fk->name));
		}
		else
		{
			EffConditionAppend(st, references_planned(build, st, operation->planned, fk));
			step->reason = psprintf("rows that stay reference rows of %s that go, by %s",
									operation->planned->table->name, quote_identifier(fk->name));
		}
	}
	if (operation->outside != NULL)
	{
		appendStringInfoString(&st->text, " AND ");
		EffConditionAppend(st, EffConditionNot(outside_rows(build, st, operation)));
	}
	step->sql.find = st;
	if (operation->strategy == STEP_DETACH)
		EffStepAddCheck(step, rel, only, where);
}

/*
 * outside_rows: the rows that are deleted anyway.  A blocker leaves out those of
 * every subject of the call; a detach those of this one, since each subject's
 * rows are deleted by a statement of their own.
 */
static const Condition *
outside_rows(PlanBuild *build, Statement *st, PlannedOperation *operation)
{
	PlannedTable *outside = operation->outside;
	const Condition *gone;

	if (operation->strategy == STEP_BLOCKER)
		return outside->rows != NULL ? EffScopeCallRows(st, "t", outside->rows,
														operation->outside_part) :
			EffPlanScopeNow(build->map, st, "t", build->request, outside, &EffScopeCall);
	if (!outside->contested)
		return EffPlanScopePart(build->map, st, "t", build->request, outside,
								operation->outside_part);
	/* of a contested table, also those that the step for shared rows releases before */
	gone = EffScopeRows(st, "t", outside->rows, ROWS_GONE);
	return EffConditionOr(gone, EffOwnershipReleased(build->map, st, "t", build->request, outside,
													 operation->fk,
													 operation->planned, &EffScopeMine));
}

/* references_planned: the row references a row of a planned table. */
static const Condition *
references_planned(PlanBuild *build, Statement *st, PlannedTable *planned, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(build->map, fk->relid);
	EffRelation *target = EffMapLoad(build->map, fk->target);
	char	   *inner;

	if (EffPlanIsKeyReference(build, planned, fk))
		return EffScopeKey(st, "t", rel, fk->columns, build->request->subject, fk->target_columns,
						   fk->nkeys,
						   &EffScopeMine);
	inner = EffStatementAlias(st);
	return EffScopeJoin(st, "t", rel, fk->columns, inner, target, fk->target_columns, fk->nkeys,
						fk->oid != InvalidOid,
							EffPlanScope(build->map, st, inner, build->request, planned));
}

/* blocker_hint says what helps where rows stop an erasure. */
static char *
blocker_hint(PlanBuild *build, EffRelation *rel, ForeignKey *fk, PlannedOperation *operation)
{
	MapTable   *source = EffMapTableOver(build->map, rel->oid);
	char	   *survive = psprintf("let the rows of %s survive", operation->planned->table->name);

	if (source == NULL)
		return psprintf("Label %s, or %s.", rel->name, survive);
	if (build->request->restricted != NIL && EffPlanTable(build->request, source->rel->oid) == NULL)
		return psprintf("Add %s to the tables of the call, or leave them out.", source->name);
	if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
		return psprintf("Give constraint %s another action, or %s.", quote_identifier(fk->name),
						survive);
	if (EffDetachColumns(build->map, fk) == NIL)
		return psprintf("Make the reference nullable, or %s.", survive);
	return psprintf("The reference is retained: change the label of its column, or %s.", survive);
}

static const char *
action_word(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_CASCADE:
			return "CASCADE";
		case FKCONSTR_ACTION_SETNULL:
			return "SET NULL";
		case FKCONSTR_ACTION_SETDEFAULT:
			return "SET DEFAULT";
		case FKCONSTR_ACTION_RESTRICT:
			return "RESTRICT";
		default:
			return "NO ACTION";
	}
}
