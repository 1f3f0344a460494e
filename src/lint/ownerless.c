/*
 * ownerless.c
 *	  Rows that hold personal values and that no request reaches, since nobody owns
 *	  them; and references that lead to the same person by another account.
 */
#include "postgres.h"

#include "lint/lint_int.h"
#include "rows/scope.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rls.h"

/* Words in the name of a column that leads to the account that goes on */
static const char *const merge_words[] = {
	"merge", "duplicate", "canonical", "same_as", "superseded", "replaced_by"
};

typedef struct OwnerlessRows
{
	DataMap    *map;
	MapTable   *table;
	char	   *condition;
	int64		rows;
} OwnerlessRows;

static void count_ownerless(void *arg);
static char *ownerless_condition(DataMap *map, MapTable *table, Statement *st);

/*
 * EffLintOwnerless counts labelled rows that no link leads from to anybody.  It reads
 * tables as a whole, and so does so only for callers who let lint look into rows.
 */
void
EffLintOwnerless(LintRun *run)
{
	for (int i = 0; run->sample > 0 && i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		OwnerlessRows count = {.map = run->map, .table = table};

		if (table->is_subject || !EffLintErases(table) ||
			pg_class_aclcheck(table->rel->oid, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
			check_enable_rls(table->rel->oid, InvalidOid, true) == RLS_ENABLED)
			continue;
		/* what is wrong with its labels is told elsewhere */
		if (EffLintTry(count_ownerless, &count) != NULL || count.rows == 0)
			continue;
		(void) EffLintAdd(run, LINT_ROWS_WITHOUT_OWNER, table->rel, 0,
						  psprintf(INT64_FORMAT " %s of %s %s labelled values and belong to"
								   " nobody: no request reaches them",
								   count.rows, count.rows == 1 ? "row" : "rows", table->name,
								   count.rows == 1 ? "holds" : "hold"),
						  psprintf("SELECT * FROM %s t WHERE %s;", table->rel->sql,
								   count.condition));
	}
}

static void
count_ownerless(void *arg)
{
	OwnerlessRows *count = arg;
	EffBracket	bracket;
	Statement  *st;

	EffGraphRaiseErrors(count->table);
	EffPinBegin(&bracket);
	st = EffStatementNew(SPI_OK_SELECT, "counting rows of", count->table->rel);
	count->condition = ownerless_condition(count->map, count->table, st);
	EffPinEnd(&bracket);
	if (count->condition == NULL)
		return;
	count->rows = EffLintCountRows(count->table->rel, count->condition);
}

/*
 * ownerless_condition returns NULL where the rows are not looked for.  Rows that a
 * "where" leaves out are told by EffLintWhere().
 */
static char *
ownerless_condition(DataMap *map, MapTable *table, Statement *st)
{
	ScopeOwner	anybody = {.whose = SCOPE_ANY, .regardless = true};
	const Condition *owned = &EffFalse;
	StringInfoData held;

	initStringInfo(&held);
	foreach_ptr(MapColumn, column, table->columns)
		appendStringInfo(&held, "%s%s IS NOT NULL", held.len > 0 ? " OR " : "",
						 EffColumnSql("t", table->rel, column->column->attnum));
	foreach_ptr(TableLink, link, table->links)
		if (link->label->role == ROLE_OWNER)
			owned = EffConditionOr(owned, EffScopeLink(map, st, "t", link, 0, &anybody));
	if (owned->kind == CONDITION_FALSE || held.len == 0)
		return NULL;
	return psprintf("(%s) AND (%s) IS NOT TRUE", held.data, EffConditionSql(st, owned));
}

/*
 * EffLintMerged finds references from one account to another of the same table that, by
 * their name, lead to the same person: an erasure of the account that goes on sets them
 * to NULL, and nobody knows any more whose the other one was.
 */
void
EffLintMerged(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (!table->is_subject)
			continue;
		foreach_ptr(ForeignKey, fk, EffMapRelation(run->map, table->rel->oid)->references)
		{
			EffColumn  *column = EffRelationColumn(table->rel, fk->columns[0]);

			if (fk->target != table->rel->oid || column->not_null)
				continue;
			for (int word = 0; word < lengthof(merge_words); word++)
				if (strstr(column->name, merge_words[word]) != NULL)
				{
					(void) EffLintAdd(run, LINT_MERGED_INTO, table->rel, column->attnum,
									  psprintf("%s.%s leads to the account that the same person"
											   " goes on with: when that one is erased it becomes"
											   " NULL, and the other account stays",
											   table->name, quote_identifier(column->name)),
									  psprintf("Erase both in one call: effaced_erase_many() with"
											   " the account and those whose %s is its key.",
											   quote_identifier(column->name)));
					break;
				}
		}
	}
}
