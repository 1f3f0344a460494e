/*
 * step_text.c
 *	  FIXME
 */
#include "postgres.h"

#include "plan/plan_int.h"

/* EffPlanBeginWhere returns where the condition of a statement begins, for EffPlanAddCheck(). */
int
EffPlanBeginWhere(Statement *st)
{
	int			where = st->text.len;

	appendStringInfoString(&st->text, " WHERE ");
	return where;
}

/*
 * EffPlanAddCheck: a trigger or rule may keep the statement from its work, so the
 * rows that it should have changed are counted once more.
 */
void
EffPlanAddCheck(ErasureStep *step, EffRelation *rel, const char *only, int where)
{
	if (!rel->has_triggers)
		return;
	step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	step->check->params = step->statement->params;
	appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FROM %s%s t%s",
					 only, rel->sql, step->statement->text.data + where);
}
