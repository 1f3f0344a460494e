/*
 * verify_statement.c
 *	  The statement that counts what is left of a subject in a table.
 */
#include "postgres.h"

#include "plan/plan_int.h"

#include "utils/memutils.h"

static const Condition *reached(DataMap *map, Statement *st, RequestPlan *plan,
								PlannedTable *planned);
static bool leaves_out(DataMap *map, RequestPlan *plan, PlannedTable *planned);

/*
 * EffPlanVerifyStatement makes the count of what is left in a table.  Rows
 * that a "where" of the table's links leaves out are reached, but excluded.
 */
Statement *
EffPlanVerifyStatement(DataMap *map, RequestPlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	MemoryContext previous;
	EffBracket	bracket;
	Statement  *st;
	const Condition *residual = &EffFalse;
	const Condition *tied;

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
	appendStringInfo(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine AND (s.part <> %d OR "
					 "%s))",
					 ROWS_GONE, planned->deleted ? "false" : "true");
	appendStringInfoString(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine IS NOT TRUE)"
						   " FROM (SELECT ");
	if (leaves_out(map, plan, planned))
	{
		appendStringInfo(&st->text, "(%s) IS TRUE AS mine, ",
						 EffConditionSql(st,
										 EffPlanScopePart(map, st, "t", plan, planned, ROWS_ALL)));
	}
	else
		appendStringInfoString(&st->text, "true AS mine, ");
	if (planned->contested)
		EffPlanPartOf(map, st, plan, planned);
	else
		appendStringInfo(&st->text, "%d", ROWS_GONE);
	appendStringInfoString(&st->text, " AS part");
	if (planned->deleted && planned->reverse)
		residual = EffPlanResidual(map, planned, st);
	tied = EffPlanTied(map, planned, st);
	appendStringInfo(&st->text, ", (%s) AS residual, (%s) AS tied FROM %s t WHERE ",
					 EffConditionSql(st, residual), EffConditionSql(st, tied), rel->sql);
	EffConditionAppend(st, reached(map, st, plan, planned));
	appendStringInfoString(&st->text, ") AS s");
	EffPinEnd(&bracket);
	MemoryContextSwitchTo(previous);
	planned->verify = st;
	return st;
}

/*
 * reached: the links reach the row, whatever "where" says; the subject's own row is
 * looked at apart.
 */
static const Condition *
reached(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	ScopeOwner	regardless = {.whose = SCOPE_MINE, .regardless = true};
	const Condition *any = &EffFalse;

	if (planned->links == NIL)
		return EffScopeSubject(map, st, "t", plan->subject, &regardless);
	foreach_ptr(TableLink, link, planned->links)
	{
		any = EffConditionOr(any, EffScopeReach(map, st, "t", link, &EffScopeMine));
	}
	if (planned->own_links)
		any = EffConditionAnd(any, EffConditionNot(EffScopeSubject(map, st, "t", plan->subject,
																   &regardless)));
	return any;
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
