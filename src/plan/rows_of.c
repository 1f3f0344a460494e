/*
 * rows_of.c
 *	  FIXME
 */
#include "postgres.h"

#include "plan/plan_int.h"

void
EffPlanScope(DataMap *map, Statement *st, const char *alias, RequestPlan *plan, PlannedTable *planned)
{
	EffPlanScopePart(map, st, alias, plan, planned, planned->contested ? ROWS_GONE : ROWS_ALL);
}

void
EffPlanScopePart(DataMap *map, Statement *st, const char *alias, RequestPlan *plan, PlannedTable *planned, int part)
{
	if (planned->rows != NULL)
		EffScopeRows(st, alias, planned->rows, part);
	else
		EffPlanScopeNow(map, st, alias, plan, planned, &EffScopeMine);
}

/*
 * EffPlanScopeNow: the subject's own row, or rows that any owner link reaches.
 */
void
EffPlanScopeNow(DataMap *map, Statement *st, const char *alias, RequestPlan *plan, PlannedTable *planned,
				const ScopeOwner *owner)
{
	ScopeOwner	either = *owner;
	ListCell   *lc;

	if (planned->links == NIL)
	{
		EffScopeSubject(map, st, alias, plan->subject, owner);
		return;
	}
	either.either = list_length(planned->links) > 1;
	appendStringInfoString(&st->text, list_length(planned->links) > 1 ? "(" : "");
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR " : "");
		EffScopeLink(map, st, alias, lfirst(lc), 0, &either);
	}
	appendStringInfoString(&st->text, list_length(planned->links) > 1 ? ")" : "");
	if (planned->own_links)
	{
		/* the subject's own row is not one that merely belongs to it */
		appendStringInfoString(&st->text, " AND (");
		EffScopeSubject(map, st, alias, plan->subject, owner);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
}

bool
EffPlanIsKeyReference(PlanBuild *build, PlannedTable *planned, ForeignKey *fk)
{
	MapTable   *subject = build->request->subject;

	return planned->table == subject && fk->target == subject->rel->oid && planned->rows == NULL &&
		subject->label->subject_where == NULL && EffLinkIsKey(subject, fk->target_columns, fk->nkeys);
}
