/*
 * statement.c
 *	  Parameters, aliases and preparation of generated statements.
 */
#include "postgres.h"

#include "base/prepare.h"
#include "relations/types.h"
#include "rows/statement.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static bool is_lookup(Statement *st);
static void free_plan(void *arg);

/*
 * EffStatementNew makes an empty statement in the current context, which must
 * live as long as the statement is used.  action reads on into the relation's
 * name in an error: "deletion from", "update of".
 */
Statement *
EffStatementNew(int expected, const char *action, EffRelation *rel)
{
	Statement  *st = palloc0(sizeof(Statement));

	initStringInfo(&st->text);
	st->expected = expected;
	st->place.action = action;
	st->place.relation = rel->name;
	st->place.relid = rel->oid;
	return st;
}

/*
 * EffStatementParam returns the parameter's text, "$2::integer[]"; asking again
 * for the same thing gives the same number.
 */
const char *
EffStatementParam(Statement *st, EffParamKind kind, int index, const void *of,
				  int part, Oid element_type)
{
	bool		single = kind == PARAM_KEY || kind == PARAM_SECRET || kind == PARAM_TOKEN ||
		kind == PARAM_VALUE || kind == PARAM_CUTOFF || kind == PARAM_BATCH;
	Oid			type = single ? element_type : get_array_type(element_type);
	StatementParam *param;
	ListCell   *lc;
	int			number = 0;

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("type %s of a key has no array type", EffTypeName(element_type)),
				 errhint("Use a key of a built-in type."),
				 errhidestmt(true)));
	foreach(lc, st->params)
	{
		param = lfirst(lc);
		number++;
		if (param->kind == kind && param->index == index && param->of == of && param->part == part)
			return psprintf("$%d::%s", number, EffTypeSql(type, -1));
	}
	param = palloc0(sizeof(StatementParam));
	param->kind = kind;
	param->index = index;
	param->of = of;
	param->part = part;
	param->type = type;
	st->params = lappend(st->params, param);
	return psprintf("$%d::%s", number + 1, EffTypeSql(type, -1));
}

/* EffStatementAlias returns an alias that the statement has not used yet. */
char *
EffStatementAlias(Statement *st)
{
	return psprintf("h%d", ++st->naliases);
}

/*
 * EffStatementColumn returns a column of the row of an alias as SQL, and notes it
 * in the statement where that is t, the statement's own row.
 */
char *
EffStatementColumn(Statement *st, const char *alias, EffRelation *rel, AttrNumber attnum)
{
	if (strcmp(alias, "t") == 0)
		st->columns = bms_add_member(st->columns, attnum);
	return EffColumnSql(alias, rel, attnum);
}

/* EffStatementReads notes columns that an expression over the row of an alias reads. */
void
EffStatementReads(Statement *st, const char *alias, const Bitmapset *columns)
{
	if (strcmp(alias, "t") == 0)
		st->columns = bms_union(st->columns, columns);
}

/*
 * EffStatementPrepare prepares the statement once, inside the SPI bracket.  An
 * error (row-level security is found here) is raised anew without its text.
 */
void
EffStatementPrepare(Statement *st)
{
	Oid		   *types;
	ListCell   *lc;
	MemoryContextCallback *callback;
	MemoryContext context = GetMemoryChunkContext(st);
	MemoryContext current = CurrentMemoryContext;

	if (st->plan != NULL)
		return;
	types = palloc(sizeof(Oid) * Max(list_length(st->params), 1));
	foreach(lc, st->params)
		types[foreach_current_index(lc)] = ((StatementParam *) lfirst(lc))->type;
	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	PG_TRY();
	{
		st->plan = (is_lookup(st) ? EffPrepareLookup : EffPrepare) (st->text.data,
																	list_length(st->params), types);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(current);
		EffRethrowWithoutValues(&st->place);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(current);
	callback->func = free_plan;
	callback->arg = st->plan;
	MemoryContextRegisterResetCallback(context, callback);
}

/* is_lookup: a statement looks up rows of one subject, and of nobody else. */
static bool
is_lookup(Statement *st)
{
	bool		lookup = false;

	foreach_ptr(StatementParam, param, st->params)
	{
		switch (param->kind)
		{
			case PARAM_KEY:
			case PARAM_PARENTS:
				lookup = true;
				break;
			case PARAM_SECRET:
			case PARAM_TOKEN:
			case PARAM_VALUE:
				break;
			default:
				return false;
		}
	}
	return lookup;
}

static void
free_plan(void *arg)
{
	SPI_freeplan(arg);
}
