/*
 * resolver.c
 *	  Reads the registry of external systems, and calls their functions.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/gone.h"
#include "base/own.h"
#include "outbox/resolver.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

static EffOwnStatement read_resolvers = {
	"SELECT name, export FROM effaced.effaced_resolvers ORDER BY name"
};

/*
 * EffResolvers returns all registered resolvers, a list of Resolver by name, in
 * the current memory context.  It reads the registry as its owner: who may erase
 * need not be allowed to read it.
 */
List *
EffResolvers(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *resolvers = NIL;
	EffBracket	bracket;

	if (EffOwnRelationIsEmpty("effaced_resolvers"))
		return NIL;
	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteOwn(&read_resolvers, 0, NULL, NULL, NULL, SPI_OK_SELECT, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext previous = MemoryContextSwitchTo(context);
		Resolver   *resolver = palloc(sizeof(Resolver));

		resolver->name = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		resolver->export_function = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2);
		resolvers = lappend(resolvers, resolver);
		MemoryContextSwitchTo(previous);
	}
	EffSpiEnd(&bracket);
	return resolvers;
}

/* EffResolverByName returns the resolver of that name, NULL where there is none. */
Resolver *
EffResolverByName(List *resolvers, const char *name)
{
	ListCell   *lc;

	foreach(lc, resolvers)
		if (strcmp(((Resolver *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	return NULL;
}

/*
 * EffResolverCall calls a function that somebody registered, with the caller's
 * privileges and settings and in a subtransaction, and returns its result in the
 * current memory context.  Where the function fails it returns NULL, and sqlstate
 * is the five letters of the error: the message may hold anything and is dropped.
 * Where the function returns NULL both are NULL.  A cancel is raised again.
 *
 * Settings and role that the function leaves behind are taken back.  With at_end
 * its deferred constraints are checked too, inside the subtransaction.
 */
Jsonb *
EffResolverCall(const char *function, int nargs, Jsonb **args, bool at_end, char **sqlstate)
{
	EffSubtransaction sub;
	Oid			types[2] = {JSONBOID, JSONBOID};
	Datum		values[2];
	Jsonb	   *volatile result = NULL;

	Assert(nargs <= 2);
	*sqlstate = NULL;
	for (int i = 0; i < nargs; i++)
		values[i] = JsonbPGetDatum(args[i]);

	EffSubBegin(&sub);
	PG_TRY();
	{
		Oid			oid;
		char	   *name;
		bool		isnull;
		EffBracket	bracket;
		int			guc_level = NewGUCNestLevel();

		/* read as it was written, and then called with the caller's settings */
		EffPinBegin(&bracket);
		oid = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(function)));
		EffPinEnd(&bracket);
		name = quote_qualified_identifier(EffSchemaName(get_func_namespace(oid)),
										  EffFunctionName(oid));
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		if (SPI_execute_with_args(psprintf("SELECT %s($1%s)", name, nargs > 1 ? ", $2" : ""),
								  nargs, types, values, NULL, false, 1) != SPI_OK_SELECT ||
								  SPI_processed != 1)
			elog(ERROR, "a function returned no row");
		values[0] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (!isnull)
		{
			MemoryContextSwitchTo(sub.context);
			result = DatumGetJsonbPCopy(values[0]);
		}
		if (at_end)
			SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);
		SPI_finish();
		AtEOXact_GUC(false, guc_level);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		ErrorData  *error = EffSubCatch(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		*sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
		result = NULL;
	}
	PG_END_TRY();
	return result;
}
