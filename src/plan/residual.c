/*
 * residual.c
 *	  Conditions that rows still hold what an erasure replaces.
 */
#include "postgres.h"

#include "plan/plan_int.h"

/*
 * EffPlanResidual: some column still holds a value; NULL where none can.
 * Tokens come last, since comparing with one means to make it.
 */
char *
EffPlanResidual(DataMap *map, PlannedTable *planned, Statement *st)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int tokens = 0; tokens <= 1; tokens++)
		foreach_ptr(Surrogate, surrogate, planned->anonymize)
		{
			char	   *sql;
			char	   *others;

			if ((surrogate->kind == SURROGATE_TEXT || surrogate->kind == SURROGATE_UUID) != tokens)
				continue;
			sql = EffSurrogateResidualSql(surrogate, st, "t");
			others = EffPlanOthers(map, planned, surrogate, st);
			if (sql != NULL && others != NULL)
				sql = psprintf("(%s AND (%s) IS NOT TRUE)", sql, others);
			if (sql != NULL)
				appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", sql);
		}
	return buf.len > 0 ? buf.data : NULL;
}

/*
 * EffPlanOthers: a column of a subject's own row that is tied to a link is
 * about that link's subject, whose erasure replaces it.  NULL for all others,
 * which are the row's own.
 */
char *
EffPlanOthers(DataMap *map, PlannedTable *planned, Surrogate *surrogate, Statement *st)
{
	int			length = st->text.len;

	if (planned->links != NIL)
		return NULL;
	foreach_ptr(TableLink, link, planned->table->links)
	{
		if (link->label->role != ROLE_OWNER || !EffPlanIsTied(surrogate, link))
			continue;
		appendStringInfoChar(&st->text, '(');
		EffScopeLink(map, st, "t", link, 0, &EffScopeAny);
		appendStringInfoChar(&st->text, ')');
		if (link->subject == planned->table && !link->reverse)
		{
			/* it may lead back to where it starts */
			appendStringInfoString(&st->text, " AND (");
			EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
			appendStringInfoString(&st->text, ") IS NOT TRUE");
		}
		return EffStatementTake(st, length);
	}
	return NULL;
}

/* EffPlanTied: a column tied to a link that reaches the row still holds a value. */
char *
EffPlanTied(DataMap *map, PlannedTable *planned, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	if (planned->contested)
		foreach(lc, planned->links)
		{
			ListCell   *lc2;

			foreach(lc2, planned->anonymize)
			{
				char	   *sql;
				int			length;

				if (!EffPlanIsTied(lfirst(lc2), lfirst(lc)) ||
					(sql = EffSurrogateResidualSql(lfirst(lc2), st, "t")) == NULL)
					continue;
				length = st->text.len;
				EffScopeLink(map, st, "t", lfirst(lc), 0, &EffScopeMine);
				appendStringInfo(&buf, "%s(%s AND (%s))", buf.len > 0 ? " OR " : "", sql,
								 EffStatementTake(st, length));
			}
		}
	return buf.len > 0 ? buf.data : NULL;
}

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
		/* what cannot be anonymized was never erased: the row is living */
		sql = surrogate->error ? pstrdup("true") : EffSurrogateResidualSql(surrogate, st, "t");
		if (sql != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", sql);
	}
	return buf.len > 0 ? buf.data : pstrdup("false");
}
