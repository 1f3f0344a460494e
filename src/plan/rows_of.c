/*
 * rows_of.c
 *	  The subject's rows of a planned table as a condition.
 */
#include "postgres.h"

#include "plan/plan_int.h"

/*
 * EffPlanScope returns the condition that a row is one of the subject's rows of a
 * planned table, and nobody else's: by the row set where they were found first.
 */
const Condition *
EffPlanScope(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
			 PlannedTable *planned)
{
	return EffPlanScopePart(map, st, alias, plan, planned, planned->contested ? ROWS_GONE :
							ROWS_ALL);
}

/* EffPlanScopePart returns the condition for a part of the row set, where there is one. */
const Condition *
EffPlanScopePart(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
				 PlannedTable *planned, int part)
{
	if (planned->rows != NULL)
		return EffScopeRows(st, alias, planned->rows, part);
	return EffPlanScopeNow(map, st, alias, plan, planned, &EffScopeMine);
}

/*
 * EffPlanScopeNow returns the condition that a row is the subject's own, or one
 * that any owner link of the planned table reaches, as the rows are when the
 * statement runs.
 */
const Condition *
EffPlanScopeNow(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
				PlannedTable *planned,
				const ScopeOwner *owner)
{
	ScopeOwner	either = *owner;
	const Condition *reached = &EffFalse;

	if (planned->links == NIL)
		return EffScopeSubject(map, st, alias, plan->subject, owner);
	either.either = list_length(planned->links) > 1;
	foreach_ptr(TableLink, link, planned->links)
	{
		reached = EffConditionOr(reached, EffScopeLink(map, st, alias, link, 0, &either));
	}
	/* the subject's own row is not one that merely belongs to it */
	if (planned->own_links)
		reached = EffConditionAnd(reached, EffConditionNot(EffScopeSubject(map, st, alias,
																		   plan->subject, owner)));
	return reached;
}

/*
 * EffPlanIsKeyReference returns whether rows that reference the subject's own row
 * by a foreign key are found by the subject's key alone.
 */
bool
EffPlanIsKeyReference(PlanBuild *build, PlannedTable *planned, ForeignKey *fk)
{
	MapTable   *subject = build->request->subject;

	return planned->table == subject && fk->target == subject->rel->oid && planned->rows == NULL &&
		subject->label->subject_where == NULL &&
			EffLinkIsKey(subject, fk->target_columns, fk->nkeys);
}
