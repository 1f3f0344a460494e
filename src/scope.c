/*
 * scope.c
 *	  From a link to the condition that its rows fulfil.
 */
#include "postgres.h"

#include "scope.h"
#include "expression.h"

#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void append_hop(DataMap *map, Statement *st, const char *alias, TableLink *link, int i);
static void append_where(DataMap *map, Statement *st, const char *alias, EffRelation *rel, const char *where);
static TableLink *link_passing(DataMap *map, TableLink *link, int i);
static bool carries_key(TableLink *link);
static List *add_read(List *reads, Oid relid, AttrNumber attnum);
static List *add_where_reads(List *reads, EffRelation *rel, const char *where);
static bool same_hop(JoinHop *a, JoinHop *b);

void
EffScopeSubject(DataMap *map, Statement *st, const char *alias, MapTable *subject)
{
	EffScopeKey(st, alias, subject->rel, subject->key, subject, subject->key, subject->nkey);
	append_where(map, st, alias, subject->rel, subject->label->subject_where);
}

void
EffScopeLink(DataMap *map, Statement *st, const char *alias, TableLink *link, int i)
{
	TableLink  *own;

	if (i == list_length(link->hops))
	{
		EffScopeSubject(map, st, alias, link->subject);
		return;
	}
	append_hop(map, st, alias, link, i);
	own = i == 0 ? link : link_passing(map, link, i);
	if (own != NULL)
		append_where(map, st, alias, ((JoinHop *) list_nth(link->hops, i))->source, own->label->where);
}

void
EffScopeReach(DataMap *map, Statement *st, const char *alias, TableLink *link)
{
	append_hop(map, st, alias, link, 0);
}

/* append_hop joins the i-th hop and what lies behind it. */
static void
append_hop(DataMap *map, Statement *st, const char *alias, TableLink *link, int i)
{
	JoinHop    *hop = list_nth(link->hops, i);
	char	   *inner;

	if (i == list_length(link->hops) - 1 && carries_key(link))
		/* the row carries the key: it is found also where the subject's row is gone */
		EffScopeKey(st, alias, hop->source, hop->source_columns,
					link->subject, hop->target_columns, hop->n);
	else
	{
		inner = EffStatementAlias(st);
		EffScopeJoinBegin(st, alias, hop->source, hop->source_columns,
						  inner, hop->target, hop->target_columns, hop->n);
		EffScopeLink(map, st, inner, link, i + 1);
		appendStringInfoChar(&st->text, ')');
	}
}

void
EffScopeRows(Statement *st, const char *alias, RowSet *rows)
{
	EffColumn  *column = EffRelationColumn(rows->rel, rows->key[0]);

	if (rows->nkey == 1)
	{
		const char *schema = EffForeignEquality(column->type);

		appendStringInfo(&st->text, "%s %s ANY (%s)", EffColumnSql(alias, rows->rel, rows->key[0]),
						 schema ? psprintf("OPERATOR(%s.=)", schema) : "=",
						 EffStatementParam(st, PARAM_ROWS, 0, rows, getBaseType(column->type)));
		return;
	}
	appendStringInfoChar(&st->text, '(');
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql(alias, rows->rel, rows->key[i]));
	appendStringInfoString(&st->text, ") IN (SELECT * FROM ROWS FROM (");
	for (int i = 0; i < rows->nkey; i++)
	{
		column = EffRelationColumn(rows->rel, rows->key[i]);
		appendStringInfo(&st->text, "%spg_catalog.unnest(%s)", i > 0 ? ", " : "",
						 EffStatementParam(st, PARAM_ROWS, i, rows, getBaseType(column->type)));
	}
	appendStringInfoString(&st->text, ") AS k)");
}

/*
 * EffScopeJoinBegin opens "(a, b) IN (SELECT h.x, h.y FROM target h WHERE ",
 * or the EXISTS form where an = is not pg_catalog's and must be named.
 */
void
EffScopeJoinBegin(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
				  const char *inner, EffRelation *target, const AttrNumber *target_columns, int n)
{
	bool		foreign = false;

	for (int i = 0; i < n; i++)
		foreign |= EffForeignEquality(EffRelationColumn(target, target_columns[i])->type) != NULL;
	if (foreign)
	{
		appendStringInfo(&st->text, "EXISTS (SELECT FROM %s %s WHERE ", target->sql, inner);
		for (int i = 0; i < n; i++)
		{
			const char *schema = EffForeignEquality(EffRelationColumn(target, target_columns[i])->type);

			appendStringInfo(&st->text, "%s %s %s AND ", EffColumnSql(inner, target, target_columns[i]),
							 schema ? psprintf("OPERATOR(%s.=)", schema) : "=",
							 EffColumnSql(alias, rel, columns[i]));
		}
		return;
	}
	if (n > 1)
		appendStringInfoChar(&st->text, '(');
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql(alias, rel, columns[i]));
	appendStringInfo(&st->text, "%s IN (SELECT ", n > 1 ? ")" : "");
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql(inner, target, target_columns[i]));
	appendStringInfo(&st->text, " FROM %s %s WHERE ", target->sql, inner);
}

/*
 * EffScopeIsKey tells whether columns of a subject table are its whole
 * identifier, in whatever order.
 */
bool
EffScopeIsKey(MapTable *subject, const AttrNumber *target_columns, int n)
{
	if (n != subject->nkey)
		return false;
	for (int i = 0; i < n; i++)
	{
		bool		found = false;

		for (int k = 0; k < n; k++)
			found |= subject->key[k] == target_columns[i];
		if (!found)
			return false;
	}
	return true;
}

void
EffScopeKey(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
			MapTable *subject, const AttrNumber *target_columns, int n)
{
	const char *param[INDEX_MAX_KEYS];

	for (int i = 0; i < n; i++)
	{
		EffColumn  *key = EffRelationColumn(subject->rel, target_columns[i]);
		int			place = 0;

		while (subject->key[place] != target_columns[i])
			place++;
		param[i] = EffStatementParam(st, PARAM_KEY, place, NULL, getBaseType(key->type));
	}
	if (n == 1)
	{
		const char *schema = EffForeignEquality(EffRelationColumn(subject->rel, target_columns[0])->type);

		appendStringInfo(&st->text, "%s %s ANY (%s)", EffColumnSql(alias, rel, columns[0]),
						 schema ? psprintf("OPERATOR(%s.=)", schema) : "=", param[0]);
		return;
	}
	appendStringInfoChar(&st->text, '(');
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql(alias, rel, columns[i]));
	appendStringInfoString(&st->text, ") IN (SELECT * FROM ROWS FROM (");
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%spg_catalog.unnest(%s)", i > 0 ? ", " : "", param[i]);
	appendStringInfoString(&st->text, ") AS k)");
}

List *
EffScopeReads(DataMap *map, MapTable *subject, TableLink *link)
{
	List	   *reads = NIL;
	ListCell   *lc;

	if (link == NULL || !carries_key(link))
	{
		for (int i = 0; i < subject->nkey; i++)
			reads = add_read(reads, subject->rel->oid, subject->key[i]);
		reads = add_where_reads(reads, subject->rel, subject->label->subject_where);
	}
	if (link == NULL)
		return reads;
	foreach(lc, link->hops)
	{
		JoinHop    *hop = lfirst(lc);
		int			i = foreach_current_index(lc);
		TableLink  *own = i == 0 ? link : link_passing(map, link, i);
		bool		last = i == list_length(link->hops) - 1;

		for (int k = 0; k < hop->n; k++)
		{
			reads = add_read(reads, hop->source->oid, hop->source_columns[k]);
			if (!last || !carries_key(link))
				reads = add_read(reads, hop->target->oid, hop->target_columns[k]);
		}
		if (own != NULL)
			reads = add_where_reads(reads, hop->source, own->label->where);
	}
	return reads;
}

bool
EffScopeSameHops(TableLink *link, int i, TableLink *other)
{
	int			rest = list_length(link->hops) - i;

	if (other->subject != link->subject || list_length(other->hops) != rest)
		return false;
	for (int k = 0; k < rest; k++)
		if (!same_hop(list_nth(link->hops, i + k), list_nth(other->hops, k)))
			return false;
	return true;
}

/* append_where adds a label's condition, deparsed with every name qualified. */
static void
append_where(DataMap *map, Statement *st, const char *alias, EffRelation *rel, const char *where)
{
	if (where != NULL)
		appendStringInfo(&st->text, " AND (%s)",
						 EffExpressionAnalyze(rel, alias, where, NULL, "where")->sql);
}

/*
 * link_passing finds the link of the table at the i-th hop that goes on the
 * same way: its where holds for what passes through.
 */
static TableLink *
link_passing(DataMap *map, TableLink *link, int i)
{
	JoinHop    *hop = list_nth(link->hops, i);
	MapTable   *table = EffMapTable(map, hop->source->oid);
	ListCell   *lc;

	if (table != NULL)
		foreach(lc, table->links)
			if (((TableLink *) lfirst(lc))->error == NULL &&
				EffScopeSameHops(link, i, lfirst(lc)))
				return lfirst(lc);
	return NULL;
}

/*
 * carries_key tells whether the last hop's source columns are the subject's
 * whole identifier, so that the subject table need not be read.
 */
static bool
carries_key(TableLink *link)
{
	JoinHop    *last = llast(link->hops);

	return link->subject->label->subject_where == NULL &&
		EffScopeIsKey(link->subject, last->target_columns, last->n);
}

static List *
add_read(List *reads, Oid relid, AttrNumber attnum)
{
	ScopeRead  *read;
	ListCell   *lc;

	foreach(lc, reads)
	{
		read = lfirst(lc);
		if (read->relid == relid)
		{
			read->attnums = bms_add_member(read->attnums, attnum);
			return reads;
		}
	}
	read = palloc(sizeof(ScopeRead));
	read->relid = relid;
	read->attnums = bms_make_singleton(attnum);
	return lappend(reads, read);
}

static List *
add_where_reads(List *reads, EffRelation *rel, const char *where)
{
	int			attnum = -1;
	Bitmapset  *columns;

	if (where == NULL)
		return reads;
	columns = EffExpressionAnalyze(rel, "t", where, NULL, "where")->columns;
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		reads = add_read(reads, rel->oid, attnum);
	return reads;
}

static bool
same_hop(JoinHop *a, JoinHop *b)
{
	return a->source == b->source && a->target == b->target && a->n == b->n &&
		memcmp(a->source_columns, b->source_columns, sizeof(AttrNumber) * a->n) == 0 &&
		memcmp(a->target_columns, b->target_columns, sizeof(AttrNumber) * a->n) == 0;
}
