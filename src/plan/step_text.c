/*
 * step_text.c
 *	  The WHERE of a step, and the check that it was written.
 */
#include "postgres.h"

#include "plan/plan_int.h"
#include "rows/large_objects.h"

/* EffStepBeginWhere returns where the condition of a statement begins, for EffStepAddCheck(). */
int
EffStepBeginWhere(Statement *st)
{
	int			where = st->text.len;

	appendStringInfoString(&st->text, " WHERE ");
	return where;
}

/*
 * EffStepAddCheck: a trigger or rule may keep the statement from its work, so the
 * rows that it should have changed are counted once more.
 */
void
EffStepAddCheck(ErasureStep *step, EffRelation *rel, const char *only, int where)
{
	if (!rel->has_triggers)
		return;
	step->sql.check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	step->sql.check->params = step->sql.find->params;
	appendStringInfo(&step->sql.check->text, "SELECT pg_catalog.count(*) FROM %s%s t%s",
					 only, rel->sql, step->sql.find->text.data + where);
}

/*
 * EffStepAddObjects: what the columns (of EffColumn) of the rows that the step changes
 * point to goes with them.
 */
void
EffStepAddObjects(ErasureStep *step, EffRelation *rel, List *columns, int where)
{
	step->sql.objects = EffLargeObjectsStatement(rel, columns, step->sql.find->text.data + where,
												 step->sql.find->params);
}
