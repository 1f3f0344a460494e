/*
 * residual.c
 *	  Conditions that rows still hold what an erasure replaces.
 */
#include "postgres.h"

#include "plan/plan_int.h"

static const Condition *tied_elsewhere(DataMap *map, PlannedTable *planned, Surrogate *surrogate);

/*
 * EffPlanResidual returns the condition that some column still holds a value.
 * Tokens come last, since comparing with one means to make it.
 */
const Condition *
EffPlanResidual(DataMap *map, PlannedTable *planned, Statement *st)
{
	const Condition *residual = &EffFalse;

	for (int tokens = 0; tokens <= 1; tokens++)
		foreach_ptr(Surrogate, surrogate, planned->anonymize)
		{
			const Condition *held;
			const Condition *others;

			if ((surrogate->kind == SURROGATE_TEXT ||
				 surrogate->kind == SURROGATE_UUID) != tokens ||
				(held = EffSurrogateResidual(surrogate, st, "t")) == NULL)
				continue;
			others = EffPlanOthers(map, planned, surrogate, st);
			residual = EffConditionOr(residual, EffConditionAnd(held, EffConditionNot(others)));
		}
	return residual;
}

/*
 * EffPlanOthers returns the condition that the value of a column is about somebody
 * else: about the subject of a link that the column is tied to, whose erasure replaces
 * it, and not about the subject whose own row it is; or, in a row that belongs to the
 * subject by a link, about whomever it is that the column's own link does not lead to.
 */
const Condition *
EffPlanOthers(DataMap *map, PlannedTable *planned, Surrogate *surrogate, Statement *st)
{
	if (planned->links != NIL)
		return tied_elsewhere(map, planned, surrogate);
	foreach_ptr(TableLink, link, planned->table->links)
	{
		const Condition *others;

		if (link->label->role != ROLE_OWNER || !EffPlanIsTied(surrogate, link))
			continue;
		others = EffScopeLink(map, st, "t", link, 0, &EffScopeAny);
		/* it may lead back to where it starts */
		if (link->subject == planned->table && !link->reverse)
			others = EffConditionAnd(others,
									 EffConditionNot(EffScopeLink(map, st, "t", link, 0,
																  &EffScopeMine)));
		return others;
	}
	return &EffFalse;
}

/*
 * tied_elsewhere: the column is tied to a link whose "where" is false for the row.  A
 * reference that is NULL says nothing: the erasure itself may have cut it.
 */
static const Condition *
tied_elsewhere(DataMap *map, PlannedTable *planned, Surrogate *surrogate)
{
	foreach_ptr(TableLink, link, planned->table->links)
	{
		if (list_length(planned->table->links) > 1 && EffPlanIsTied(surrogate, link))
			return EffConditionNot(EffScopeWhere(map, "t", link));
	}
	return &EffFalse;
}

/*
 * EffPlanTied returns the condition that a column tied to a link that reaches the row
 * still holds a value.
 */
const Condition *
EffPlanTied(DataMap *map, PlannedTable *planned, Statement *st)
{
	const Condition *tied = &EffFalse;

	foreach_ptr(TableLink, link, planned->contested ? planned->links : NIL)
	{
		foreach_ptr(Surrogate, surrogate, planned->anonymize)
		{
			const Condition *held;

			if (!EffPlanIsTied(surrogate, link) ||
				(held = EffSurrogateResidual(surrogate, st, "t")) == NULL)
				continue;
			tied = EffConditionOr(tied, EffConditionAnd(held,
														EffScopeLink(map, st, "t", link, 0,
																	 &EffScopeMine)));
		}
	}
	return tied;
}

/* EffPlanIsTied returns whether a column is tied to a link by its label. */
bool
EffPlanIsTied(Surrogate *surrogate, TableLink *link)
{
	const char *name = surrogate->column->label->link;

	return name != NULL && link->name != NULL && strcmp(name, link->name) == 0;
}

/*
 * EffPlanSubjectResidual: where erasure deletes the row, any row is one that
 * was made since; else one that holds something other than surrogates.
 */
char *
EffPlanSubjectResidual(DataMap *map, MapTable *subject, Statement *st)
{
	StringInfoData buf;

	if (EffMapDeletesRows(subject))
		return pstrdup("true");
	initStringInfo(&buf);
	foreach_ptr(MapColumn, column, subject->columns)
	{
		Surrogate  *surrogate;
		char	   *sql;

		/* what is tied to a link is about that link's subject */
		if (column->label->erasure == ERASURE_RETAIN || column->label->link != NULL)
			continue;
		surrogate = EffSurrogateChoose(map, subject, column);
		/* what cannot be anonymized was never erased: any row holds a value */
		sql = surrogate->error ? pstrdup("true") : EffSurrogateResidualSql(surrogate, st, "t");
		if (sql != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", sql);
	}
	return buf.len > 0 ? buf.data : pstrdup("false");
}
