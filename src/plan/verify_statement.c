/*
 * verify_statement.c
 *	  The statement that counts what is left of a subject in a table.
 */
#include "postgres.h"

#include "plan/plan_int.h"

#include "utils/memutils.h"

static bool leaves_out(DataMap *map, RequestPlan *plan, PlannedTable *planned);

/*
 * EffPlanVerifyStatement makes the count of what is left in a table.  Rows
 * that a "where" of the table's links leaves out are reached, but excluded.
 */
Statement *
EffPlanVerifyStatement(DataMap *map, RequestPlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	ScopeOwner	regardless = {.whose = SCOPE_MINE, .regardless = true};
	MemoryContext previous;
	EffBracket	bracket;
	Statement  *st;
	char	   *residual = NULL;
	ListCell   *lc;

	if (planned->verify != NULL)
		return planned->verify;
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(plan));
	EffPinBegin(&bracket);
	st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	if (!planned->deleted)
		residual = EffPlanResidual(map, planned, st);

	appendStringInfoString(&st->text, "SELECT pg_catalog.count(*) FILTER (WHERE s.mine AND ");
	appendStringInfoString(&st->text, "CASE s.part");
	appendStringInfo(&st->text, " WHEN %d THEN s.tied WHEN %d THEN s.residual ELSE %s END)",
					 ROWS_KEPT, ROWS_PINNED, planned->deleted ? "true" : "s.residual");
	appendStringInfo(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine AND (s.part <> %d OR %s))",
					 ROWS_GONE, planned->deleted ? "false" : "true");
	appendStringInfoString(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine IS NOT TRUE) FROM (SELECT ");
	if (leaves_out(map, plan, planned))
	{
		appendStringInfoChar(&st->text, '(');
		EffPlanScopePart(map, st, "t", plan, planned, ROWS_ALL);
		appendStringInfoString(&st->text, ") IS TRUE AS mine, ");
	}
	else
		appendStringInfoString(&st->text, "true AS mine, ");
	if (planned->contested)
		EffPlanPartOf(map, st, plan, planned);
	else
		appendStringInfo(&st->text, "%d", ROWS_GONE);
	appendStringInfoString(&st->text, " AS part");
	if (residual == NULL && planned->reverse)
		residual = EffPlanResidual(map, planned, st);
	appendStringInfo(&st->text, ", (%s) AS residual", residual ? residual : "false");
	residual = EffPlanTied(map, planned, st);
	appendStringInfo(&st->text, ", (%s) AS tied FROM %s t WHERE ", residual ? residual : "false", rel->sql);
	if (planned->links == NIL)
		EffScopeSubject(map, st, "t", plan->subject, &regardless);
	appendStringInfoString(&st->text, planned->own_links ? "(" : "");
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR " : "");
		EffScopeReach(map, st, "t", lfirst(lc), &EffScopeMine);
	}
	if (planned->own_links)
	{
		/* the subject's own row is looked at apart */
		appendStringInfoString(&st->text, ") AND (");
		EffScopeSubject(map, st, "t", plan->subject, &regardless);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	appendStringInfoString(&st->text, ") AS s");
	EffPinEnd(&bracket);
	MemoryContextSwitchTo(previous);
	planned->verify = st;
	return st;
}

/* leaves_out: not every row that the links of a table reach is the subject's by them. */
static bool
leaves_out(DataMap *map, RequestPlan *plan, PlannedTable *planned)
{
	bool		any = planned->rows != NULL || EffScopeHasWhere(map, plan->subject, NULL);
	ListCell   *lc;

	foreach(lc, planned->links)
		any |= EffScopeHasWhere(map, plan->subject, lfirst(lc));
	return any;
}
