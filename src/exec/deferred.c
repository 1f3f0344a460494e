/*
 * deferred.c
 *	  Deferrable constraints: deferred where keys change in turn, and checked
 *	  before the call returns.
 */
#include "postgres.h"

#include "base/gone.h"
#include "exec/exec.h"
#include "relations/constraints.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void set_constraints(List *foreign_keys, const char *mode);
static void check_constraints(List *constraints);
static char *command_for(List *constraints);

/* EffExecDeferConstraints defers the foreign keys that a plan can only satisfy at its end. */
void
EffExecDeferConstraints(RequestPlan *plan)
{
	if (plan->defer != NIL)
		set_constraints(plan->defer, "DEFERRED");
}

/*
 * EffExecCheckConstraints: whatever is deferred is checked before the call
 * returns, so that its outcome is known here and an error of COMMIT cannot show
 * a value.
 */
void
EffExecCheckConstraints(RequestPlan *plan)
{
	List	   *declared = NIL;
	ListCell   *lc;

	if (plan->defer != NIL)
		set_constraints(plan->defer, "IMMEDIATE");
	if (plan->check_now != NIL)
		set_constraints(plan->check_now, "IMMEDIATE");
	foreach(lc, list_concat_copy(plan->defer, plan->check_now))
		if (((ForeignKey *) lfirst(lc))->initially_deferred)
			declared = lappend(declared, lfirst(lc));
	if (declared != NIL)
		set_constraints(declared, "DEFERRED");
	check_constraints(plan->deferrable);
}

/* set_constraints issues SET CONSTRAINTS for foreign keys. */
static void
set_constraints(List *foreign_keys, const char *mode)
{
	StringInfoData sql;
	EffStatementPlace place = {.action = "checking foreign keys of",
							   .relation = "the changed rows"};
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SET CONSTRAINTS ");
	foreach(lc, foreign_keys)
	{
		ForeignKey *fk = lfirst(lc);

		appendStringInfo(&sql, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_qualified_identifier(fk->schema, fk->name));
	}
	appendStringInfo(&sql, " %s", mode);
	EffSpiCommand(sql.data, &place);
}

/*
 * check_constraints sets them IMMEDIATE in a subtransaction that is rolled
 * back: what the caller has deferred stays deferred, and what a trigger did in
 * the course of its check is undone until it is done in earnest.
 */
static void
check_constraints(List *constraints)
{
	static const EffStatementPlace place = {.action = "checking deferred constraints of",
											.relation = "the changed rows"};
	EffSubtransaction sub;
	char	   *sql;

	if (constraints == NIL)
		return;
	sql = command_for(constraints);
	if (sql == NULL)
		return;
	EffSubBegin(&sub);
	PG_TRY();
	{
		EffSpiCommand(sql, &place);
	}
	PG_CATCH();
	{
		ReThrowError(EffSubCatch(&sub));
	}
	PG_END_TRY();
	EffSubEnd(&sub, false);
}

/*
 * command_for names the constraints, or all where a name would meet one that
 * cannot be deferred; NULL where none of them is left.
 */
static char *
command_for(List *constraints)
{
	StringInfoData sql;

	initStringInfo(&sql);
	foreach_oid(oid, constraints)
	{
		HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
		Form_pg_constraint form;

		/* it has just been dropped, and nothing is left to check */
		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ", " : "SET CONSTRAINTS ",
						 quote_qualified_identifier(EffSchemaName(form->connamespace),
													NameStr(form->conname)));
		if (EffConstraintHasNamesake(oid, NameStr(form->conname), form->connamespace, true))
		{
			ReleaseSysCache(tuple);
			return pstrdup("SET CONSTRAINTS ALL IMMEDIATE");
		}
		ReleaseSysCache(tuple);
	}
	if (sql.len == 0)
		return NULL;
	appendStringInfoString(&sql, " IMMEDIATE");
	return sql.data;
}
