/*
 * exec.c
 *	  Binds parameters, runs the steps of a plan and counts rows.
 */
#include "postgres.h"

#include "exec.h"
#include "audit.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static void find_rows(ErasureRun *run, RowSet *rows);
static void run_step(ErasureRun *run, ErasureStep *step, uint64 *count);
static void set_constraints(List *foreign_keys, const char *mode);

ErasureRun *
EffExecNew(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys)
{
	ErasureRun *run = palloc0(sizeof(ErasureRun));

	run->map = map;
	run->plan = plan;
	run->keys = keys;
	run->nkeys = nkeys;
	run->rows = palloc0(sizeof(Datum *) * Max(list_length(plan->rowsets), 1));
	run->counts = palloc0(sizeof(uint64) * Max(list_length(plan->steps), 1));
	return run;
}

void
EffExecLock(ErasureRun *run)
{
	run->found = EffExecStatement(run, run->plan->lock_subject, false);
}

/*
 * EffExecRun: locks from the subject outward, rows that must be found before
 * anything changes, what may stop the call, and then the steps in their order.
 */
void
EffExecRun(ErasureRun *run)
{
	ErasurePlan *plan = run->plan;
	List	   *declared = NIL;
	ListCell   *lc;

	EffExecLock(run);
	foreach(lc, plan->locks)
		(void) EffExecStatement(run, lfirst(lc), false);
	foreach(lc, plan->rowsets)
		find_rows(run, lfirst(lc));

	if (plan->defer != NIL)
		set_constraints(plan->defer, "DEFERRED");
	foreach(lc, plan->steps)
		run_step(run, lfirst(lc), &run->counts[foreach_current_index(lc)]);

	/*
	 * Whatever is deferred is checked before the call returns, so that its
	 * outcome is known here and an error of COMMIT cannot show a value.
	 */
	if (plan->defer != NIL)
		set_constraints(plan->defer, "IMMEDIATE");
	if (plan->check_now != NIL)
		set_constraints(plan->check_now, "IMMEDIATE");
	foreach(lc, list_concat_copy(plan->defer, plan->check_now))
		if (((ForeignKey *) lfirst(lc))->initially_deferred)
			declared = lappend(declared, lfirst(lc));
	if (declared != NIL)
		set_constraints(declared, "DEFERRED");
}

uint64
EffExecStatement(ErasureRun *run, Statement *st, bool read_only)
{
	int			n = list_length(st->params);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	ListCell   *lc;

	foreach(lc, st->params)
	{
		StatementParam *param = lfirst(lc);
		Datum	   *value = &values[foreach_current_index(lc)];

		switch (param->kind)
		{
			case PARAM_KEY:
				*value = EffKeyArray(run->plan->subject, param->index, run->keys, run->nkeys);
				break;
			case PARAM_SECRET:
				*value = CStringGetTextDatum(EffSecret(run->map));
				break;
			case PARAM_ROWS:
				*value = run->rows[param->rows->id][param->index];
				break;
		}
	}
	EffStatementPrepare(st);
	return EffSpiExecute(st->plan, values, NULL, read_only, st->expected, &st->place);
}

/*
 * EffExecCount runs a statement that returns one count.
 */
uint64
EffExecCount(ErasureRun *run, Statement *st)
{
	bool		isnull;

	if (EffExecStatement(run, st, false) != 1)
		elog(ERROR, "a count returned no row");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* find_rows keeps the keys of a row set as arrays. */
static void
find_rows(ErasureRun *run, RowSet *rows)
{
	uint64		n = EffExecStatement(run, rows->select, false);

	run->rows[rows->id] = palloc(sizeof(Datum) * rows->nkey);
	for (int i = 0; i < rows->nkey; i++)
	{
		Oid			type = getBaseType(EffRelationColumn(rows->rel, rows->key[i])->type);
		Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
		bool		isnull;
		int16		length;
		bool		byval;
		char		align;

		for (uint64 row = 0; row < n; row++)
			values[row] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
		get_typlenbyvalalign(type, &length, &byval, &align);
		run->rows[rows->id][i] = PointerGetDatum(construct_array(values, n, type, length, byval, align));
		pfree(values);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
run_step(ErasureRun *run, ErasureStep *step, uint64 *count)
{
	switch (step->strategy)
	{
		case STEP_SIDE_EFFECT:
			return;
		case STEP_BLOCKER:
			*count = EffExecCount(run, step->statement);
			if (*count > 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_RETENTION),
						 errmsg_plural("%llu row of %s references rows that would go",
									   "%llu rows of %s reference rows that would go",
									   *count, (unsigned long long) *count, step->rel->name),
						 errdetail("Constraint %s: %s.", quote_identifier(step->fk->name), step->reason),
						 errhint("Label %s, make its reference nullable, or let the rows that it references survive.",
								 step->rel->name),
						 err_generic_string(PG_DIAG_SCHEMA_NAME, step->rel->schema),
						 err_generic_string(PG_DIAG_TABLE_NAME, step->rel->relname),
						 err_generic_string(PG_DIAG_CONSTRAINT_NAME, step->fk->name),
						 errhidestmt(true)));
			return;
		case STEP_RETAIN:
			*count = EffExecCount(run, step->statement);
			return;
		default:
			*count = EffExecStatement(run, step->statement, false);
			break;
	}
	if (step->check != NULL && EffExecCount(run, step->check) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("rows of %s were not written as planned", step->rel->name),
				 errdetail("After the %s step there are still rows with values of the subject.",
						   EffStrategyWord(step->strategy)),
				 errhint("A row trigger or a rule on %s keeps the statement from its work; disable it for this call or let it pass.",
						 step->rel->name),
				 errhidestmt(true)));
}

/* set_constraints issues SET CONSTRAINTS for foreign keys. */
static void
set_constraints(List *foreign_keys, const char *mode)
{
	StringInfoData sql;
	EffStatementPlace place = {.action = "checking foreign keys of", .relation = "the erased rows"};
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
