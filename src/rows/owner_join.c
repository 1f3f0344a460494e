/*
 * owner_join.c
 *	  The way from a row to its owner as a join.
 */
#include "postgres.h"

#include "base/citus.h"
#include "label/expression.h"
#include "map/graph.h"
#include "rows/scope_int.h"

/*
 * EffScopeOwners: with link NULL the rows are the subject's own table.
 */
void
EffScopeOwners(DataMap *map, Statement *st, EffRelation *rel, MapTable *subject, TableLink *link)
{
	OwnerJoin  *join = EffScopeOwnerJoin(map, st, subject, link);

	appendStringInfoString(&st->text, "SELECT DISTINCT ");
	for (int k = 0; k < subject->nkey; k++)
		appendStringInfo(&st->text, "%s%s", k > 0 ? ", " : "", join->keys[k]);
	appendStringInfo(&st->text, " FROM %s t%s WHERE %s", rel->sql, join->from.data,
					 join->where.data);
	for (int k = 0; k < subject->nkey; k++)
		appendStringInfo(&st->text, "%s IS NOT NULL AND ", join->keys[k]);
}

/* EffScopeJoins: Citus joins what one node has, row by row with each other. */
bool
EffScopeJoins(TableLink *link)
{
	int			n = list_length(link->hops) - (EffLinkCarriesKey(link) ? 1 : 0);

	for (int i = 0; i < n && EffCitusPresent(); i++)
	{
		JoinHop    *hop = list_nth(link->hops, i);
		bool		together = false;
		CitusPlace	source;
		CitusPlace	target;

		EffCitusPlaceOf(hop->source->oid, &source);
		EffCitusPlaceOf(hop->target->oid, &target);
		switch (source.kind)
		{
			case CITUS_UNKNOWN:
			case CITUS_LOCAL:
			case CITUS_REFERENCE:
				together = target.kind == source.kind;
				break;
			case CITUS_DISTRIBUTED:
				together = target.kind == CITUS_REFERENCE ||
					(target.kind == CITUS_DISTRIBUTED && target.colocation == source.colocation &&
					 source.column == InvalidAttrNumber);
				for (int k = 0; k < hop->n && target.kind == CITUS_DISTRIBUTED; k++)
					together |= target.colocation == source.colocation &&
						hop->source_columns[k] == source.column &&
							hop->target_columns[k] == target.column;
				break;
		}
		if (!together)
			return false;
	}
	return true;
}

/*
 * EffScopeOwnerJoin follows a link as a join, whose last table has the key.
 */
OwnerJoin *
EffScopeOwnerJoin(DataMap *map, Statement *st, MapTable *subject, TableLink *link)
{
	OwnerJoin  *join = palloc0(sizeof(OwnerJoin));
	const char *alias = "t";
	EffRelation *holder = link ? link->table->rel : subject->rel;
	AttrNumber *columns = subject->key; /* in order of the key, on holder */
	bool		carried = false;

	initStringInfo(&join->from);
	initStringInfo(&join->where);
	for (int i = 0; link != NULL && i < list_length(link->hops); i++)
	{
		JoinHop    *hop = list_nth(link->hops, i);
		char	   *condition = EffScopeWhereAt(map, alias, link, i, NULL);
		char	   *next;

		join->aliases = lappend(join->aliases, pstrdup(alias));
		if (condition != NULL)
			appendStringInfo(&join->where, "(%s) AND ", condition);
		if (i == list_length(link->hops) - 1 && EffLinkCarriesKey(link))
		{
			holder = hop->source;
			carried = true;
			columns = palloc(sizeof(AttrNumber) * hop->n);
			for (int k = 0; k < hop->n; k++)
				for (int place = 0; place < hop->n; place++)
					if (subject->key[k] == hop->target_columns[place])
						columns[k] = hop->source_columns[place];
			break;
		}
		next = EffStatementAlias(st);
		appendStringInfo(&join->from, ", %s%s %s",
						 EffScopeOnly(hop->target, hop->fk != NULL && !hop->reverse),
						 hop->target->sql, next);
		for (int k = 0; k < hop->n; k++)
		{
			EffScopeAppendEqual(&join->where,
								EffScopeJoinSide(st, alias, hop->source, hop->source_columns[k],
												 hop->target, hop->target_columns[k]),
						 EffColumnSql(next, hop->target, hop->target_columns[k]),
						 EffRelationColumn(hop->target, hop->target_columns[k])->type);
			appendStringInfoString(&join->where, " AND ");
		}
		alias = next;
		holder = hop->target;
	}
	if (!carried && subject->label->subject_where != NULL)
		appendStringInfo(&join->where, "(%s) AND ",
						 EffExpressionAnalyze(subject->rel, alias, subject->label->subject_where,
											  NULL, "where")->sql);
	join->keys = palloc(sizeof(char *) * subject->nkey);
	for (int k = 0; k < subject->nkey; k++)
		join->keys[k] = EffColumnSql(alias, holder, columns[k]);
	join->alias = alias;
	join->holder = holder;
	join->columns = columns;
	return join;
}

/*
 * EffScopeOwnerIs: the key that a join leads to is a subject's of the call.
 */
void
EffScopeOwnerIs(Statement *st, MapTable *subject, TableLink *link, const OwnerJoin *join)
{
	ListCell   *lc;

	EffScopeAppendKey(st, join->alias, join->holder, join->columns, subject, subject->key,
					  subject->nkey, PARAM_CALL);
	foreach(lc, join->aliases)
		if (strcmp(lfirst(lc), join->alias) != 0)
			EffScopeAppendCarried(st, lfirst(lc), link, foreach_current_index(lc), &EffScopeCall);
}
