/*
 * terms.c
 *	  Terms of retention, and the conditions that they have ended, as SQL.
 */
#include "postgres.h"

#include "relations/types.h"
#include "retention/terms.h"
#include "rows/bind.h"

#include "utils/lsyscache.h"
#include "utils/timestamp.h"

static RetentionTerm *make_term(DataMap *map, MapTable *table, MapColumn *column);
static bool is_replaced(MapTable *table, EffColumn *column);

/*
 * EffRetentionTerms returns the columns of the map whose labels name a retention (of
 * RetentionTerm), tables in order of their names and columns of their positions.
 * A broken label of any table is an error.  The caller has pinned the settings.
 */
List *
EffRetentionTerms(DataMap *map)
{
	List	   *terms = NIL;

	for (int i = 0; i < map->ntables; i++)
	{
		MapTable   *table = map->tables[i];

		EffGraphRaiseErrors(table);
		foreach_ptr(MapColumn, column, table->columns)
			if (column->label->retention != NULL)
				terms = lappend(terms, make_term(map, table, column));
	}
	return terms;
}

/* make_term makes the term of one column. */
static RetentionTerm *
make_term(DataMap *map, MapTable *table, MapColumn *column)
{
	RetentionTerm *term = palloc0(sizeof(RetentionTerm));

	term->table = table;
	term->column = column;
	term->policy = column->label->retention;
	term->surrogate = EffSurrogateChoose(map, table, column);
	term->claims = EffOwnersOfValue(table, column->label->link);
	if (term->policy->anchor != NULL && term->policy->duration != NULL)
	{
		MapColumn  *labelled;

		term->anchor = EffRelationColumnByName(table->rel, term->policy->anchor);
		labelled = EffMapColumn(table, term->anchor->attnum);
		if (labelled != NULL && is_replaced(table, term->anchor))
			term->anchor_surrogate = EffSurrogateChoose(map, table, labelled);
	}
	return term;
}

/* is_replaced returns whether an erasure replaces an anchor, or the end of its own term does. */
static bool
is_replaced(MapTable *table, EffColumn *column)
{
	RetentionPolicy *policy = EffMapColumn(table, column->attnum)->label->retention;

	return EffErasureChanges(table, column) ||
		(policy != NULL && policy->on_expiry == EXPIRY_ANONYMIZE);
}

/*
 * EffRetentionHeld returns the condition that the column has a value which a term can
 * be about: it is not NULL, and not the surrogate.
 */
char *
EffRetentionHeld(RetentionTerm *term, Statement *st)
{
	char	   *residual = term->surrogate->error ? NULL :
		EffSurrogateResidualSql(term->surrogate, st, "t");

	return residual ? psprintf("(%s)", residual) :
		psprintf("(%s IS NOT NULL)",
				 EffColumnSql("t", term->table->rel, term->column->column->attnum));
}

/*
 * EffRetentionExpired returns the condition that the term has ended, or NULL if the
 * term has no anchor.  The statement gets a parameter for the cutoff.
 */
char *
EffRetentionExpired(RetentionTerm *term, Statement *st)
{
	char	   *anchor;
	char	   *sql;
	char	   *residual;

	if (term->anchor == NULL)
		return NULL;
	anchor = EffColumnSql("t", term->table->rel, term->anchor->attnum);
	sql = psprintf("%s <= %s", anchor,
				   EffStatementParam(st, PARAM_CUTOFF, 0, term->policy, 0,
									 EffBaseType(term->anchor->type)));
	residual = term->anchor_surrogate && !term->anchor_surrogate->error ?
		EffSurrogateResidualSql(term->anchor_surrogate, st, "t") : NULL;
	return residual ? psprintf("(%s AND %s)", sql, residual) : sql;
}

/*
 * EffRetentionIndeterminate returns the condition that nobody can tell whether the term
 * has ended.
 */
char *
EffRetentionIndeterminate(RetentionTerm *term, Statement *st)
{
	char	   *anchor;
	char	   *residual;

	if (term->anchor == NULL)
		return pstrdup("true");
	anchor = EffColumnSql("t", term->table->rel, term->anchor->attnum);
	residual = term->anchor_surrogate && !term->anchor_surrogate->error ?
		EffSurrogateResidualSql(term->anchor_surrogate, st, "t") : NULL;
	return residual ? psprintf("(%s IS NULL OR (%s) IS NOT TRUE)", anchor, residual) :
		psprintf("%s IS NULL", anchor);
}

/*
 * EffRetentionScope returns the condition that the "where" of at least one of the
 * links is true of the row; the value is nobody's personal data otherwise.  Whether
 * the subject that the row references is still there does not matter.
 */
char *
EffRetentionScope(DataMap *map, RetentionTerm *term, Statement *st)
{
	const Condition *any = term->claims == NIL ? &EffTrue : &EffFalse;

	foreach_ptr(OwnerClaim, claim, term->claims)
	{
		any = EffConditionOr(any, EffScopeOpen(map, st, "t", claim->subject, claim->link));
	}
	return psprintf("(%s)", EffConditionSql(st, any));
}

/*
 * EffRetentionOwned returns the condition that by at least one of the claims the row
 * has an owner whom the scope admits.
 */
char *
EffRetentionOwned(DataMap *map, List *claims, Statement *st, const ScopeOwner *owner)
{
	const Condition *any = &EffFalse;

	foreach_ptr(OwnerClaim, claim, claims)
	{
		any = EffConditionOr(any, claim->link == NULL ?
							 EffScopeSubject(map, st, "t", claim->subject, owner) :
							 EffScopeLink(map, st, "t", claim->link, 0, owner));
	}
	return psprintf("(%s)", EffConditionSql(st, any));
}

/*
 * EffRetentionCutoff returns when a retention began that ends at the instant as_of.  A
 * duration that reaches further back than a timestamp can is an error (ZE001).
 */
TimestampTz
EffRetentionCutoff(RetentionTerm *term, TimestampTz as_of)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz volatile cutoff = 0;

	PG_TRY();
	{
		cutoff = EffSubtractDuration(term->policy, as_of);
	}
	PG_CATCH();
	{
		(void) EffCatchUserError(context);
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("duration of the retention of column \"%s\" of table \"%s\" reaches"
						" further back than a timestamp can", term->column->column->name,
						term->table->name),
				 errhint("Leave \"duration\" out of a retention that never ends."),
				 errhidestmt(true)));
	}
	PG_END_TRY();
	return cutoff;
}

/*
 * EffRetentionAsOf returns an argument of a function as the instant; NULL and infinity
 * are errors (ZE005).
 */
TimestampTz
EffRetentionAsOf(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno) || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(argno)))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 PG_ARGISNULL(argno) ? errmsg("as_of must not be NULL") :
				 errmsg("as_of must not be infinite"),
				 errhint("Leave it out for the current time."),
				 errhidestmt(true)));
	return PG_GETARG_TIMESTAMPTZ(argno);
}
