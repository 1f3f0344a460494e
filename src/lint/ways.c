/*
 * ways.c
 *	  Ways from rows to their subjects that end with an erasure, and the rows that
 *	  references are moved to.
 */
#include "postgres.h"

#include "label/expression.h"
#include "lint/lint_int.h"
#include "rows/ways.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rls.h"

/* A look for the row that a surrogate references; run by EffLintTry() */
typedef struct GhostLookup
{
	EffRelation *rel;
	AttrNumber	attnum;
	char	   *key;			/* SQL of the surrogate */
	bool		found;
} GhostLookup;

static void lint_ghost(LintRun *run, TableLink *link, MapColumn *column, JoinHop *hop);
static void look_for_ghost(void *arg);

/*
 * EffLintPlanWays finds the ways that end when an erasure has run by its plan: rows
 * that are written later are not found by what it has changed.
 */
void
EffLintPlanWays(LintRun *run, ErasurePlan *plan)
{
	foreach_ptr(WayCut, cut, plan->ends)
	{
		EffColumn  *column = EffRelationColumn(cut->rel, cut->attnum);

		(void) EffLintAdd(run, LINT_WAY_ENDS_WITH_ERASURE, cut->table->rel, 0,
						  psprintf("rows of %s are found by %s.%s, which an erasure from %s "
								   "changes: rows that are written afterwards are not found",
								   cut->table->name, cut->rel->name,
								   quote_identifier(column->name), plan->base.subject->name),
						  psprintf("Link %s by a key that no erasure changes.", cut->table->name));
	}
}

/*
 * EffLintGhosts finds surrogates of references which name a row that is not there, so
 * that erasures fail or leave references to nothing.  It reads the tables that they
 * reference, as the caller.
 */
void
EffLintGhosts(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
		foreach_ptr(TableLink, link, run->map->tables[i]->links)
		{
			JoinHop    *first = link->error == NULL ? linitial(link->hops) : NULL;

			if (first == NULL || first->reverse || first->n != 1)
				continue;
			foreach_ptr(MapColumn, column, run->map->tables[i]->columns)
				if (column->column->attnum == first->source_columns[0] &&
					column->label->surrogate != NULL &&
					column->label->erasure != ERASURE_RETAIN)
					lint_ghost(run, link, column, first);
		}
}

static void
lint_ghost(LintRun *run, TableLink *link, MapColumn *column, JoinHop *hop)
{
	GhostLookup lookup = {.rel = hop->target, .attnum = hop->target_columns[0]};
	EffExpression *expression;

	if (pg_class_aclcheck(lookup.rel->oid, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
		check_enable_rls(lookup.rel->oid, InvalidOid, true) == RLS_ENABLED)
		return;
	expression = EffExpressionAnalyze(link->table->rel, "t", column->label->surrogate,
									  column->column, "surrogate");
	/* what it makes of each row's columns is looked at when it is written */
	if (expression->is_null || !bms_is_empty(expression->columns))
		return;
	lookup.key = expression->sql;
	if (EffLintTry(look_for_ghost, &lookup) != NULL || lookup.found)
		return;
	(void) EffLintAdd(run, LINT_GHOST_MISSING, link->table->rel, column->column->attnum,
					  psprintf("the surrogate of %s.%s references a row that %s does not have",
							   link->table->name, quote_identifier(column->column->name),
							   lookup.rel->name),
					  psprintf("INSERT the row into %s whose %s is %s, and leave it out of the"
							   " subjects by a \"where\".",
							   lookup.rel->sql,
							   quote_identifier(EffRelationColumn(lookup.rel,
																  lookup.attnum)->name),
							   lookup.key));
}

static void
look_for_ghost(void *arg)
{
	GhostLookup *lookup = arg;
	EffBracket	bracket;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.count(*) FROM %s t WHERE (%s) IS NOT TRUE",
					 lookup->rel->sql,
					 EffDistinctSql(lookup->rel, EffRelationColumn(lookup->rel, lookup->attnum),
									psprintf("(%s)", lookup->key)));
	EffSpiBegin(&bracket);
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count rows");
	lookup->found = EffSpiNumber(1) > 0;
	EffSpiEnd(&bracket);
}
