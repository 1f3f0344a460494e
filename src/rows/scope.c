/*
 * scope.c
 *	  From a link to the condition that its rows fulfil.
 */
#include "postgres.h"

#include "base/citus.h"
#include "label/expression.h"
#include "map/graph.h"
#include "relations/types.h"
#include "rows/scope_int.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void join_begin(Statement *st, const char *alias, EffRelation *rel,
					   const AttrNumber *columns,
					   const char *inner, EffRelation *target, const AttrNumber *target_columns,
						   int n,
					   bool by_key, bool by_row);
static const Condition *subject_condition(Statement *st, const char *alias, MapTable *subject);
static void append_subject(Statement *st, const char *alias, MapTable *subject,
						   const ScopeOwner *owner);
static void append_link(DataMap *map, Statement *st, const char *alias, TableLink *link, int i,
						const ScopeOwner *owner);
static void append_key_of(Statement *st, const char *alias, EffRelation *rel,
						  const AttrNumber *columns,
						  MapTable *subject, const AttrNumber *target_columns, int n,
							  const ScopeOwner *owner);
static void append_hop(DataMap *map, Statement *st, const char *alias, TableLink *link, int i,
					   const ScopeOwner *owner);
static const char *key_param(Statement *st, EffParamKind kind, MapTable *subject, int place);
static void append_rows(Statement *st, const char *alias, const RowSet *rows, int part,
						EffParamKind kind);
static void append_tuples(Statement *st, const char *alias, EffRelation *rel,
						  const AttrNumber *columns,
						  EffRelation *key_rel, const AttrNumber *key_columns, const char **params,
							  int n);
static char *where_sql(Statement *st, const char *alias, EffRelation *rel, const char *where);
static void append_where(Statement *st, const char *alias, EffRelation *rel, const char *where);
static List *add_read(List *reads, Oid relid, AttrNumber attnum);
static List *add_where_reads(List *reads, EffRelation *rel, const char *where);

const ScopeOwner EffScopeMine = {.whose = SCOPE_MINE};
const ScopeOwner EffScopeEither = {.whose = SCOPE_MINE, .either = true};
const ScopeOwner EffScopeCall = {.whose = SCOPE_CALL};
const ScopeOwner EffScopeAny = {.whose = SCOPE_ANY};
const ScopeOwner EffScopeRestricted = {.whose = SCOPE_RESTRICTED};

/*
 * EffScopeSubject returns the condition that a row of the subject table is that
 * of whom the scope names.
 */
const Condition *
EffScopeSubject(DataMap *map, Statement *st, const char *alias, MapTable *subject,
				const ScopeOwner *owner)
{
	ConditionMark mark = EffConditionBegin(st);

	append_subject(st, alias, subject, owner);
	return EffConditionEnd(st, &mark);
}

/*
 * EffScopeLink returns the condition that a row of the table at the i-th hop of a
 * link belongs to whom the scope names, by that link.
 */
const Condition *
EffScopeLink(DataMap *map, Statement *st, const char *alias, TableLink *link, int i,
			 const ScopeOwner *owner)
{
	ConditionMark mark = EffConditionBegin(st);

	append_link(map, st, alias, link, i, owner);
	return EffConditionEnd(st, &mark);
}

/*
 * EffScopeReach returns the condition that a link reaches a row of its own table,
 * whatever "where" says of the row or of those on the way.
 */
const Condition *
EffScopeReach(DataMap *map, Statement *st, const char *alias, TableLink *link,
			  const ScopeOwner *owner)
{
	ConditionMark mark = EffConditionBegin(st);
	ScopeOwner	regardless = *owner;

	regardless.regardless = true;
	append_hop(map, st, alias, link, 0, &regardless);
	return EffConditionEnd(st, &mark);
}

/*
 * EffScopeKey returns the condition that columns of a row hold an identifier of
 * whom the scope names.  A row with a NULL in one of them is nobody's.
 */
const Condition *
EffScopeKey(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
			MapTable *subject, const AttrNumber *target_columns, int n, const ScopeOwner *owner)
{
	ConditionMark mark = EffConditionBegin(st);

	append_key_of(st, alias, rel, columns, subject, target_columns, n, owner);
	return EffConditionEnd(st, &mark);
}

static void
append_subject(Statement *st, const char *alias, MapTable *subject, const ScopeOwner *owner)
{
	append_key_of(st, alias, subject->rel, subject->key, subject, subject->key, subject->nkey,
				  owner);
	if (!owner->regardless)
		append_where(st, alias, subject->rel, subject->label->subject_where);
}

static void
append_link(DataMap *map, Statement *st, const char *alias, TableLink *link, int i,
			const ScopeOwner *owner)
{
	char	   *where;
	Bitmapset  *columns = NULL;

	if (i == list_length(link->hops))
	{
		append_subject(st, alias, link->subject, owner);
		return;
	}
	append_hop(map, st, alias, link, i, owner);
	where = owner->regardless ? NULL : EffScopeWhereAt(map, alias, link, i, &columns);
	if (where == NULL)
		return;
	appendStringInfo(&st->text, " AND (%s)", where);
	EffStatementReads(st, alias, columns);
}

/* EffScopeHasParents: keys of a type without arrays cannot be a parameter. */
bool
EffScopeHasParents(TableLink *link)
{
	JoinHop    *hop = linitial(link->hops);

	return hop->n == 1 && !hop->reverse && !(list_length(link->hops) == 1 &&
											 EffLinkCarriesKey(link)) &&
		OidIsValid(get_array_type(EffBaseType(EffRelationColumn(hop->target,
																hop->target_columns[0])->type)));
}

/*
 * EffScopeFindParents returns the statement that finds the keys of what a subject's rows
 * reference by a link, no more than one beyond MAX_PARENTS.  Only where
 * EffScopeHasParents().
 */
Statement *
EffScopeFindParents(DataMap *map, TableLink *link)
{
	JoinHop    *hop = linitial(link->hops);
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", hop->target);

	st->limit = MAX_PARENTS + 1;
	appendStringInfo(&st->text, "SELECT %s FROM %s%s t WHERE ",
					 EffStatementColumn(st, "t", hop->target, hop->target_columns[0]),
					 EffScopeOnly(hop->target, hop->fk != NULL), hop->target->sql);
	append_link(map, st, "t", link, 1, &EffScopeMine);
	return st;
}

/*
 * EffScopeByReferencedKeys returns the condition of EffScopeLink() for the link's
 * own table, by the keys of what its rows reference.
 */
const Condition *
EffScopeByReferencedKeys(DataMap *map, Statement *st, const char *alias, TableLink *link,
						 const ParentSet *parents)
{
	ConditionMark mark = EffConditionBegin(st);
	JoinHop    *hop = linitial(link->hops);
	Bitmapset  *columns = NULL;
	char	   *where = EffScopeWhereAt(map, alias, link, 0, &columns);

	EffScopeAppendEqual(&st->text, EffScopeJoinSide(st, alias, hop->source, hop->source_columns[0],
													hop->target, hop->target_columns[0]),
						psprintf("ANY (%s)",
								 EffStatementParam(st, PARAM_PARENTS, 0, parents, 0,
												   parents->type)),
						EffRelationColumn(hop->target, hop->target_columns[0])->type);
	EffScopeAppendCarried(st, alias, link, 0, &EffScopeMine);
	if (where != NULL)
	{
		appendStringInfo(&st->text, " AND (%s)", where);
		EffStatementReads(st, alias, columns);
	}
	return EffConditionEnd(st, &mark);
}

/*
 * EffScopeHasWhere returns whether a "where" leaves out rows that a link, or with NULL
 * being a subject, reaches.
 */
bool
EffScopeHasWhere(DataMap *map, MapTable *subject, TableLink *link)
{
	bool		any = subject->label->subject_where != NULL;

	for (int i = 0; link != NULL && i < list_length(link->hops); i++)
		any |= EffScopeWhereAt(map, "t", link, i, NULL) != NULL;
	return any;
}

/*
 * EffScopeOpen returns the condition of rows that a link, or with link NULL being
 * a subject, may be about: those that somebody has by it, and those that nobody
 * has but its "where" lets through.  Without "where" that is every row.
 */
const Condition *
EffScopeOpen(DataMap *map, Statement *st, const char *alias, MapTable *subject, TableLink *link)
{
	const Condition *owned;
	const Condition *reached;

	if (!EffScopeHasWhere(map, subject, link))
		return &EffTrue;
	if (link == NULL)
		return subject_condition(st, alias, subject);
	owned = EffScopeLink(map, st, alias, link, 0, &EffScopeAny);
	reached = EffScopeReach(map, st, alias, link, &EffScopeAny);
	return EffConditionOr(owned, EffConditionAnd(EffConditionNot(reached),
												  EffScopeWhere(map, alias, link)));
}

/* subject_condition is the "where" of a subject table, which has one. */
static const Condition *
subject_condition(Statement *st, const char *alias, MapTable *subject)
{
	ConditionMark mark = EffConditionBegin(st);

	appendStringInfo(&st->text, "(%s)", where_sql(st, alias, subject->rel,
												  subject->label->subject_where));
	return EffConditionEnd(st, &mark);
}

/* append_hop joins the i-th hop and what lies behind it. */
static void
append_hop(DataMap *map, Statement *st, const char *alias, TableLink *link, int i,
		   const ScopeOwner *owner)
{
	JoinHop    *hop = list_nth(link->hops, i);
	char	   *inner;

	if (i == list_length(link->hops) - 1 && EffLinkCarriesKey(link))
		/* the row carries the key: it is found also where the subject's row is gone */
		append_key_of(st, alias, hop->source, hop->source_columns,
					link->subject, hop->target_columns, hop->n, owner);
	else if (owner->either && i == 0 && hop->n == 1 &&
			 EffEqualitySchema(EffRelationColumn(hop->target,
												 hop->target_columns[0])->type) == NULL)
	{
		/* an IN under an OR would be asked of every row of the table */
		inner = EffStatementAlias(st);
		appendStringInfo(&st->text, "%s = ANY (ARRAY(SELECT %s FROM %s%s %s WHERE ",
						 EffScopeJoinSide(st, alias, hop->source, hop->source_columns[0],
										  hop->target, hop->target_columns[0]),
						 EffStatementColumn(st, inner, hop->target, hop->target_columns[0]),
						 EffScopeOnly(hop->target, hop->fk != NULL && !hop->reverse),
							 hop->target->sql, inner);
		append_link(map, st, inner, link, i + 1, owner);
		appendStringInfoString(&st->text, "))");
		EffScopeAppendCarried(st, alias, link, i, owner);
	}
	else
	{
		inner = EffStatementAlias(st);
		join_begin(st, alias, hop->source, hop->source_columns,
				   inner, hop->target, hop->target_columns, hop->n, hop->fk != NULL &&
					   !hop->reverse,
				   owner->whose != SCOPE_MINE && owner->whose != SCOPE_CALL);
		append_link(map, st, inner, link, i + 1, owner);
		appendStringInfoChar(&st->text, ')');
		EffScopeAppendCarried(st, alias, link, i, owner);
	}
}

/*
 * EffScopeAppendCarried: where every hop carries the subject's identifier along, as
 * keys of distributed tables do, rows are known by it themselves.  It changes
 * nothing, but leads Citus to the one shard, without which it locks no row.
 */
void
EffScopeAppendCarried(Statement *st, const char *alias, TableLink *link, int i,
					  const ScopeOwner *owner)
{
	MapTable   *subject = link->subject;

	if ((owner->whose != SCOPE_MINE && owner->whose != SCOPE_CALL) || !EffCitusPresent())
		return;
	for (int k = 0; k < subject->nkey; k++)
	{
		EffColumn  *key = EffRelationColumn(subject->rel, subject->key[k]);
		AttrNumber	attnum = key->attnum;
		EffColumn  *column;

		for (int h = list_length(link->hops) - 1; h >= i && attnum != InvalidAttrNumber; h--)
		{
			JoinHop    *hop = list_nth(link->hops, h);
			AttrNumber	source = InvalidAttrNumber;

			for (int place = 0; place < hop->n; place++)
				if (hop->target_columns[place] == attnum)
					source = hop->source_columns[place];
			attnum = source;
		}
		if (attnum == InvalidAttrNumber)
			continue;
		column = EffRelationColumn(((JoinHop *) list_nth(link->hops, i))->source, attnum);
		if (column->type != key->type || column->collation != key->collation)
			continue;
		appendStringInfoString(&st->text, " AND ");
		EffScopeAppendEqual(&st->text, psprintf("%s.%s", alias, quote_identifier(column->name)),
					 owner->whose == SCOPE_MINE && !st->all ? key_param(st, PARAM_KEY, subject, k) :
					 psprintf("ANY (%s)", key_param(st, PARAM_CALL, subject, k)),
					 key->type);
	}
}

/* EffScopeRows returns the condition that a row's key is in a part of the run's row set. */
const Condition *
EffScopeRows(Statement *st, const char *alias, const RowSet *rows, int part)
{
	ConditionMark mark = EffConditionBegin(st);

	append_rows(st, alias, rows, part, PARAM_ROWS);
	return EffConditionEnd(st, &mark);
}

/* EffScopeCallRows returns the same condition for the row sets of all subjects of the call. */
const Condition *
EffScopeCallRows(Statement *st, const char *alias, const RowSet *rows, int part)
{
	ConditionMark mark = EffConditionBegin(st);

	append_rows(st, alias, rows, part, PARAM_CALL_ROWS);
	return EffConditionEnd(st, &mark);
}

static void
append_rows(Statement *st, const char *alias, const RowSet *rows, int part, EffParamKind kind)
{
	EffColumn  *column = EffRelationColumn(rows->rel, rows->key[0]);
	const char *param[INDEX_MAX_KEYS];

	if (rows->nkey == 1)
	{
		EffScopeAppendEqual(&st->text, EffStatementColumn(st, alias, rows->rel, rows->key[0]),
					 psprintf("ANY (%s)", EffStatementParam(st, kind, 0, rows, part,
															EffBaseType(column->type))),
					 column->type);
		return;
	}
	for (int i = 0; i < rows->nkey; i++)
	{
		column = EffRelationColumn(rows->rel, rows->key[i]);
		param[i] = EffStatementParam(st, kind, i, rows, part, EffBaseType(column->type));
	}
	append_tuples(st, alias, rows->rel, rows->key, rows->rel, rows->key, param, rows->nkey);
}

/*
 * EffScopeJoin returns the condition that a row's columns equal those of a row of
 * another table, of the alias inner, which meets a condition of its own.
 */
const Condition *
EffScopeJoin(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
			 const char *inner, EffRelation *target, const AttrNumber *target_columns, int n,
			 bool by_key, const Condition *condition)
{
	ConditionMark mark = EffConditionBegin(st);

	join_begin(st, alias, rel, columns, inner, target, target_columns, n, by_key, false);
	EffConditionAppend(st, condition);
	appendStringInfoChar(&st->text, ')');
	return EffConditionEnd(st, &mark);
}

/*
 * join_begin opens "(a, b) IN (SELECT h.x, h.y FROM target h WHERE ", or the
 * EXISTS form: where an = is not pg_catalog's and must be named, and by_row,
 * where it is asked of few rows and the sub-select alone would find many.
 */
static void
join_begin(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
		   const char *inner, EffRelation *target, const AttrNumber *target_columns, int n,
			   bool by_key,
		   bool by_row)
{
	bool		foreign = by_row;

	for (int i = 0; i < n; i++)
		foreign |= EffEqualitySchema(EffRelationColumn(target, target_columns[i])->type) != NULL;
	if (foreign)
	{
		appendStringInfo(&st->text, "EXISTS (SELECT FROM %s%s %s WHERE ",
						 EffScopeOnly(target, by_key), target->sql, inner);
		for (int i = 0; i < n; i++)
		{
			EffScopeAppendEqual(&st->text, EffStatementColumn(st, inner, target, target_columns[i]),
						 EffScopeJoinSide(st, alias, rel, columns[i], target, target_columns[i]),
						 EffRelationColumn(target, target_columns[i])->type);
			appendStringInfoString(&st->text, " AND ");
		}
		return;
	}
	if (n > 1)
		appendStringInfoChar(&st->text, '(');
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffScopeJoinSide(st, alias, rel, columns[i], target, target_columns[i]));
	appendStringInfo(&st->text, "%s IN (SELECT ", n > 1 ? ")" : "");
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffStatementColumn(st, inner, target, target_columns[i]));
	appendStringInfo(&st->text, " FROM %s%s %s WHERE ", EffScopeOnly(target, by_key), target->sql,
					 inner);
}

/*
 * EffScopeReferenced returns the condition that a row of another table has the
 * values of a row, or references it; the row itself does not count.
 */
const Condition *
EffScopeReferenced(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
				   EffRelation *source, const AttrNumber *source_columns, int n)
{
	ConditionMark mark = EffConditionBegin(st);
	char	   *inner = EffStatementAlias(st);

	appendStringInfo(&st->text, "EXISTS (SELECT FROM %s %s WHERE ", source->sql, inner);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&st->text, " AND ");
		EffScopeAppendEqual(&st->text, EffScopeJoinSide(st, inner, source, source_columns[i], rel,
														columns[i]),
					 EffStatementColumn(st, alias, rel, columns[i]),
						 EffRelationColumn(rel, columns[i])->type);
	}
	if (list_member_oid(source->inheritors, rel->oid) ||
		list_member_oid(rel->inheritors, source->oid))
		appendStringInfo(&st->text, " AND (%s.tableoid, %s.ctid) <> (%s.tableoid, %s.ctid)", inner,
						 inner, alias, alias);
	appendStringInfoChar(&st->text, ')');
	return EffConditionEnd(st, &mark);
}

/*
 * EffScopeOnly: a foreign key references rows of the table itself, and not
 * those of its inheritance children.
 */
const char *
EffScopeOnly(EffRelation *target, bool by_key)
{
	return by_key && target->relkind != RELKIND_PARTITIONED_TABLE &&
		list_length(target->inheritors) > 1 ? "ONLY " : "";
}

/*
 * append_key_of compares columns with identifiers.  NULLs, nobody's, are neither
 * erased nor others'.
 */
static void
append_key_of(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
			MapTable *subject, const AttrNumber *target_columns, int n, const ScopeOwner *owner)
{
	if (owner->whose == SCOPE_MINE || owner->whose == SCOPE_CALL)
	{
		EffScopeAppendKey(st, alias, rel, columns, subject, target_columns, n,
				   owner->whose == SCOPE_MINE && !st->all ? PARAM_KEY : PARAM_CALL);
		return;
	}
	if (owner->whose == SCOPE_RESTRICTED)
	{
		EffScopeAppendKey(st, alias, rel, columns, subject, target_columns, n, PARAM_RESTRICTED);
		return;
	}
	if (owner->whose == SCOPE_ANY)
	{
		for (int i = 0; i < n; i++)
			appendStringInfo(&st->text, "%s%s IS NOT NULL", i > 0 ? " AND " : "",
							 EffStatementColumn(st, alias, rel, columns[i]));
		return;
	}
	appendStringInfoChar(&st->text, '(');
	if (owner->whose == SCOPE_OTHERS)
	{
		for (int i = 0; i < n; i++)
			appendStringInfo(&st->text, "%s IS NOT NULL AND ",
							 EffStatementColumn(st, alias, rel, columns[i]));
		appendStringInfoChar(&st->text, '(');
	}
	EffScopeAppendKey(st, alias, rel, columns, subject, target_columns, n, PARAM_ERASED);
	if (subject == owner->erasing)
	{
		appendStringInfoString(&st->text, " OR ");
		EffScopeAppendKey(st, alias, rel, columns, subject, target_columns, n, PARAM_CALL);
	}
	appendStringInfoString(&st->text, owner->whose == SCOPE_OTHERS ? ") IS NOT TRUE)" : ")");
}

/*
 * EffScopeReads returns the columns that the condition of a link or, with link NULL, of
 * the subject's own row reads, as a list of ScopeRead, one for each relation.
 */
List *
EffScopeReads(DataMap *map, MapTable *subject, TableLink *link)
{
	List	   *reads = NIL;
	ListCell   *lc;

	if (link == NULL || !EffLinkCarriesKey(link))
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
		Bitmapset  *columns = NULL;
		int			attnum = -1;
		bool		last = i == list_length(link->hops) - 1;

		for (int k = 0; k < hop->n; k++)
		{
			reads = add_read(reads, hop->source->oid, hop->source_columns[k]);
			if (!last || !EffLinkCarriesKey(link))
				reads = add_read(reads, hop->target->oid, hop->target_columns[k]);
		}
		(void) EffScopeWhereAt(map, "t", link, i, &columns);
		while ((attnum = bms_next_member(columns, attnum)) >= 0)
			reads = add_read(reads, hop->source->oid, attnum);
	}
	return reads;
}

/*
 * EffScopeAppendKey compares columns of a row with the subject's identifier, or with one
 * of the arrays of identifiers.
 */
void
EffScopeAppendKey(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
		   MapTable *subject, const AttrNumber *target_columns, int n, EffParamKind kind)
{
	const char *param[INDEX_MAX_KEYS];

	for (int i = 0; i < n; i++)
	{
		int			place = 0;

		while (subject->key[place] != target_columns[i])
			place++;
		param[i] = key_param(st, kind, subject, place);
	}
	if (n > 1 && kind != PARAM_KEY)
	{
		append_tuples(st, alias, rel, columns, subject->rel, target_columns, param, n);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		if (n > 1)
			appendStringInfoString(&st->text, i > 0 ? " AND " : "(");
		EffScopeAppendEqual(&st->text, EffStatementColumn(st, alias, rel, columns[i]),
					 kind == PARAM_KEY ? param[i] : psprintf("ANY (%s)", param[i]),
					 EffRelationColumn(subject->rel, target_columns[i])->type);
	}
	if (n > 1)
		appendStringInfoChar(&st->text, ')');
}

/* key_param gives the parameter for a column of the identifier, at that place in it. */
static const char *
key_param(Statement *st, EffParamKind kind, MapTable *subject, int place)
{
	return EffStatementParam(st, kind, place, kind == PARAM_ERASED || kind == PARAM_RESTRICTED ?
							 subject : NULL, 0,
							 EffBaseType(EffRelationColumn(subject->rel,
														   subject->key[place])->type));
}

/*
 * append_tuples compares several columns with several arrays, element by
 * element; as EXISTS where an = is not pg_catalog's and must be named.
 */
static void
append_tuples(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
			  EffRelation *key_rel, const AttrNumber *key_columns, const char **params, int n)
{
	bool		foreign = false;

	for (int i = 0; i < n; i++)
		foreign |= EffEqualitySchema(EffRelationColumn(key_rel, key_columns[i])->type) != NULL;
	if (!foreign)
		appendStringInfoChar(&st->text, '(');
	for (int i = 0; i < n && !foreign; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffStatementColumn(st, alias, rel, columns[i]));
	appendStringInfoString(&st->text, foreign ? "EXISTS (SELECT FROM ROWS FROM (" :
						   ") IN (SELECT * FROM ROWS FROM (");
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%spg_catalog.unnest(%s)", i > 0 ? ", " : "", params[i]);
	appendStringInfoString(&st->text, ") AS k");
	for (int i = 0; i < n && foreign; i++)
		appendStringInfo(&st->text, "%sk%d", i > 0 ? ", " : " (", i + 1);
	for (int i = 0; i < n && foreign; i++)
	{
		appendStringInfoString(&st->text, i > 0 ? " AND " : ") WHERE ");
		EffScopeAppendEqual(&st->text, EffStatementColumn(st, alias, rel, columns[i]),
							psprintf("k.k%d", i + 1),
					 EffRelationColumn(key_rel, key_columns[i])->type);
	}
	appendStringInfoChar(&st->text, ')');
}

/*
 * EffScopeJoinSide: columns of two collations are compared by that of the target, as
 * foreign keys are.
 */
char *
EffScopeJoinSide(Statement *st, const char *alias, EffRelation *rel, AttrNumber attnum,
				 EffRelation *target, AttrNumber target_attnum)
{
	Oid			collation = EffRelationColumn(target, target_attnum)->collation;
	char	   *sql = EffStatementColumn(st, alias, rel, attnum);

	if (!OidIsValid(collation) || EffRelationColumn(rel, attnum)->collation == collation)
		return sql;
	return psprintf("%s COLLATE %s", sql, EffCollationSql(collation));
}

/*
 * EffScopeAppendEqual writes an equality, naming the operator's schema where it is not
 * pg_catalog.
 */
void
EffScopeAppendEqual(StringInfo buf, const char *left, const char *right, Oid type)
{
	const char *schema = EffEqualitySchema(type);

	if (schema != NULL)
		appendStringInfo(buf, "%s OPERATOR(%s.=) %s", left, schema, right);
	else
		appendStringInfo(buf, "%s = %s", left, right);
}

static void
append_where(Statement *st, const char *alias, EffRelation *rel, const char *where)
{
	if (where != NULL)
		appendStringInfo(&st->text, " AND (%s)", where_sql(st, alias, rel, where));
}

/* where_sql is a label's condition, deparsed with every name qualified. */
static char *
where_sql(Statement *st, const char *alias, EffRelation *rel, const char *where)
{
	EffExpression *expression = EffExpressionAnalyze(rel, alias, where, NULL, "where");

	EffStatementReads(st, alias, expression->columns);
	return expression->sql;
}

/*
 * EffScopeWhere returns the "where" of a link as a condition on rows of its table; true
 * where it has none.  It reads the row alone, and so does not change with what becomes
 * of the rows on the way.
 */
const Condition *
EffScopeWhere(DataMap *map, const char *alias, TableLink *link)
{
	Bitmapset  *columns = NULL;
	char	   *where = EffScopeWhereAt(map, alias, link, 0, &columns);

	return where == NULL ? &EffTrue : EffConditionOf(psprintf("(%s)", where), columns);
}

/*
 * EffScopeWhereAt gives the condition that holds for the rows of the i-th hop of a
 * link: its own "where" at the start, and further on that of the links of the
 * table that go on the same way, any of which a row may pass by.  NULL where
 * there is none; columns, where not NULL, gets what it reads.
 */
char *
EffScopeWhereAt(DataMap *map, const char *alias, TableLink *link, int i, Bitmapset **columns)
{
	EffRelation *rel = ((JoinHop *) list_nth(link->hops, i))->source;
	MapTable   *table = EffMapTable(map, rel->oid);
	List	   *links = i == 0 ? list_make1(link) : NIL;
	StringInfoData buf;

	/* an owner's way goes by owner links where there are some */
	for (int any_role = 0; i > 0 && table != NULL && links == NIL && any_role <= 1; any_role++)
		foreach_ptr(TableLink, other, table->links)
		{
			if (other->error == NULL && (any_role || other->label->role == link->label->role) &&
				EffLinkSameHops(link, i, other))
				links = lappend(links, other);
		}
	initStringInfo(&buf);
	foreach_ptr(TableLink, each_link, links)
	{
		const char *where = each_link->label->where;
		EffExpression *expression;

		if (where == NULL)
			return NULL;
		expression = EffExpressionAnalyze(rel, alias, where, NULL, "where");
		if (columns != NULL)
			*columns = bms_union(*columns, expression->columns);
		appendStringInfo(&buf, list_length(links) == 1 ? "%s%s" : "%s(%s)",
						 buf.len > 0 ? " OR " : "", expression->sql);
	}
	return buf.len > 0 ? buf.data : NULL;
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
