/*
 * steps_one_owner.c
 *	  Further statements of steps on rows that have one owner each: one that goes
 *	  by what they reference, and one about all subjects of a call.
 */
#include "postgres.h"

#include "plan/plan_int.h"

/*
 * EffStepHasOneOwner: each row has one owner, which a join leads to, and
 * nothing needs to be looked at again afterwards.
 */
bool
EffStepHasOneOwner(PlannedTable *planned)
{
	return !planned->contested && planned->rows == NULL && list_length(planned->links) <= 1 &&
		(planned->links == NIL || !((TableLink *) linitial(planned->links))->reverse) &&
		!planned->table->rel->has_triggers;
}

/*
 * EffStepByParentsBegin: the statement is like the one that the step has already
 * but for how it finds its rows.
 */
bool
EffStepByParentsBegin(PlanBuild *build, ErasureStep *step, int expected)
{
	TableLink  *link = step->planned->links ? linitial(step->planned->links) : NULL;

	if (link == NULL || step->planned->own_links || !EffScopeHasParents(link))
		return false;
	step->sql.by_parents = EffStatementNew(expected, step->sql.find->place.action, step->rel);
	step->sql.parents = EffPlanParents(build, link);
	return true;
}

/* EffStepByParentsEnd appends the condition of the statement that EffStepByParentsBegin() began. */
void
EffStepByParentsEnd(PlanBuild *build, ErasureStep *step)
{
	(void) EffStepBeginWhere(step->sql.by_parents);
	EffConditionAppend(step->sql.by_parents,
					   EffScopeByReferencedKeys(build->map, step->sql.by_parents, "t",
												linitial(step->planned->links), step->sql.parents));
}

/* EffStepJoinsToOwner: else there is a statement for each subject of a call. */
bool
EffStepJoinsToOwner(PlannedTable *planned)
{
	return planned->links == NIL || EffScopeJoins(linitial(planned->links));
}

/*
 * EffStepForAllBegin: the statement says how many rows of each subject it was.
 */
Statement *
EffStepForAllBegin(const char *action, EffRelation *rel)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, action, rel);

	st->all = true;
	appendStringInfoString(&st->text, "WITH done AS (");
	return st;
}

/* EffStepForAllEnd joins the rows to their subjects. */
void
EffStepForAllEnd(PlanBuild *build, Statement *st, PlannedTable *planned, const char *joiner,
				 const char *rest)
{
	MapTable   *subject = build->request->subject;
	TableLink  *link = planned->links ? linitial(planned->links) : NULL;
	OwnerJoin  *join = EffScopeOwnerJoin(build->map, st, subject, link);
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&keys, "%sk%d", i > 0 ? ", " : "", i + 1);
	if (join->from.len > 0)
		appendStringInfo(&st->text, "%s%s", joiner, join->from.data + strlen(", "));
	appendStringInfo(&st->text, " WHERE %s", join->where.data);
	EffScopeOwnerIs(st, subject, link, join);
	appendStringInfo(&st->text, "%s RETURNING ", rest);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s%s AS k%d", i > 0 ? ", " : "", join->keys[i], i + 1);
	appendStringInfo(&st->text, ") SELECT %s, pg_catalog.count(*) FROM done GROUP BY %s", keys.data,
					 keys.data);
}

/* EffStepForAllCount: the same for rows that are only counted. */
Statement *
EffStepForAllCount(PlanBuild *build, PlannedTable *planned)
{
	MapTable   *subject = build->request->subject;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	TableLink  *link = planned->links ? linitial(planned->links) : NULL;
	OwnerJoin  *join = EffScopeOwnerJoin(build->map, st, subject, link);
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&keys, "%s%s", i > 0 ? ", " : "", join->keys[i]);
	appendStringInfo(&st->text, "SELECT %s, pg_catalog.count(*) FROM %s t%s WHERE %s",
					 keys.data, planned->table->rel->sql, join->from.data, join->where.data);
	EffScopeOwnerIs(st, subject, link, join);
	appendStringInfo(&st->text, " GROUP BY %s", keys.data);
	return st;
}
