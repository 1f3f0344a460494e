/*
 * run.c
 *	  Runs the plan of a rectification, and sees that it was carried out.
 */
#include "postgres.h"

#include "rectify/run.h"

static uint64 *count_due(SubjectRun *run, RectifyStep *step);
static void run_step(SubjectRun *run, RectifyTable *table, RectifyStep *step, uint64 *due,
					 RectifiedTable *result);
static bool correct_aftermath(SubjectRun *run, RectifyTable *table, bool again,
							  RectifiedTable *result);
static RectifiedTable *result_for(List **results, MapTable *table);
static uint64 *count_reached(SubjectRun *run, RectifyPlan *plan);
static void left_behind(MapTable *table, const char *why) pg_attribute_noreturn();
static void not_as_planned(RectifyTable *table) pg_attribute_noreturn();

/*
 * EffRectifyRun runs a plan inside the SPI bracket and returns what was done, a
 * list of RectifiedTable; the values are those of the run's call.  ERROR ZE004
 * where something kept a row from being written.
 *
 * Rows are locked from the subject outward; who else owns them is found out by
 * later statements, which see what was committed while a lock was waited for.
 */
List *
EffRectifyRun(SubjectRun *run, RectifyPlan *plan)
{
	List	   *results = NIL;
	List	   *due = NIL;		/* of uint64 *, by table and step */
	uint64	   *reached;		/* by plan->ways */
	bool		more;
	ListCell   *lc;
	ListCell   *lc2;

	foreach_ptr(RowLock, rows, plan->base.locks)
		(void) EffExecLock(run, rows->lock.one);
	foreach(lc, plan->row_sets)
		EffExecFind(run, lfirst(lc), true);
	if (plan->base.owners != NIL)
		EffExecFindErased(run);
	foreach(lc, plan->parts)
		EffExecFind(run, lfirst(lc), false);
	foreach_ptr(RectifyTable, table, plan->tables)
	{
		RectifiedTable *result = result_for(&results, table->table);

		if (table->shared != NULL)
		{
			result->may_share = true;
			result->shared += EffExecCount(run, table->shared);
			if (table->on_way && result->shared > 0)
				left_behind(table->table, "Rows of it are somebody else's too, who still has the"
							" value.");
		}
		if (table->count != NULL)
			result->rectified += EffExecCount(run, table->count);
		foreach(lc2, table->steps)
			due = lappend(due, count_due(run, lfirst(lc2)));
	}

	reached = count_reached(run, plan);

	EffExecDeferConstraints(&plan->base);
	for (int early = 1; early >= 0; early--)
	{
		ListCell   *next = list_head(due);

		foreach_ptr(RectifyTable, table, plan->tables)
		{
			foreach_ptr(RectifyStep, step, table->steps)
			{
				if (step->early == (early != 0))
					run_step(run, table, step, lfirst(next), result_for(&results, table->table));
				next = lnext(due, next);
			}
		}
	}
	/* what is corrected here may make a trigger write there */
	more = plan->triggers;
	for (bool again = false; more; again = true)
	{
		more = false;
		foreach(lc, plan->tables)
			more |= correct_aftermath(run, lfirst(lc), again,
									  result_for(&results, ((RectifyTable *) lfirst(lc))->table));
	}
	EffExecCheckConstraints(&plan->base);
	foreach(lc, plan->ways)
	{
		RectifyWay *way = lfirst(lc);

		if (EffExecCount(run, way->count) < reached[foreach_current_index(lc)])
			left_behind(way->table, "Rows of it were the subject's, and would not be found any"
						" more.");
	}
	return results;
}

/* count_reached counts the rows whose way reads what will be changed, by plan->ways. */
static uint64 *
count_reached(SubjectRun *run, RectifyPlan *plan)
{
	uint64	   *reached = palloc(sizeof(uint64) * Max(list_length(plan->ways), 1));
	ListCell   *lc;

	foreach(lc, plan->ways)
		reached[foreach_current_index(lc)] = EffExecCount(run,
														  ((RectifyWay *) lfirst(lc))->count);
	return reached;
}

/* left_behind: a correction goes along the way, or not at all. */
static void
left_behind(MapTable *table, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("the correction would leave rows of table \"%s\" behind",
					table->rel->relname),
			 errdetail("%s  Nothing was changed.", why),
			 errhint("Link %s by a key that no correction changes.", table->name),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, table->rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, table->rel->relname),
			 errhidestmt(true)));
}

/*
 * count_due: rows that a step is to write, as it stands before anything is;
 * NULL where nothing can go wrong.
 */
static uint64 *
count_due(SubjectRun *run, RectifyStep *step)
{
	uint64	   *due;

	if (step->due == NULL && step->rows == NULL)
		return NULL;
	due = palloc(sizeof(uint64));
	*due = step->due != NULL ? EffExecCount(run, step->due) :
		run->found_rows[step->rows->id].counts[ROWS_ALL];
	return due;
}

/*
 * run_step writes, and looks whether all has been written.  Fewer rows than
 * are due are right only where a trigger spared those that hold the value.
 */
static void
run_step(SubjectRun *run, RectifyTable *table, RectifyStep *step, uint64 *due,
		 RectifiedTable *result)
{
	uint64		rows = EffExecStatement(run, step->update);
	uint64		wrong = 0;
	uint64		present = 0;

	if (table->count == NULL)
		result->rectified += rows;
	if (rows > 0)
		result->columns = list_concat_unique_ptr(result->columns, step->columns);
	if (step->check != NULL)
	{
		if (EffExecStatement(run, step->check) != 1)
			elog(ERROR, "a count returned no row");
		wrong = EffSpiNumber(1);
		present = EffSpiNumber(2);
		SPI_freetuptable(SPI_tuptable);
	}
	if (wrong > 0 || (due != NULL && (step->check == NULL ? rows != *due :
									  rows < *due &&
										  (step->changes_key && !step->anew ? rows :
										   0) + present < *due)))
		not_as_planned(table);
}

/*
 * correct_aftermath: what triggers wrote about the subject meanwhile is
 * corrected once; true where there was any.
 */
static bool
correct_aftermath(SubjectRun *run, RectifyTable *table, bool again, RectifiedTable *result)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, table->aftermath)
	{
		RectifyAftermath *aftermath = lfirst(lc);
		uint64		rows;

		if (EffExecCount(run, aftermath->left) == 0)
			continue;
		if (again || aftermath->update == NULL)
			not_as_planned(table);
		rows = EffExecStatement(run, aftermath->update);
		result->rectified += rows;
		any = true;
	}
	return any;
}

/* result_for: the subject's own row and those of its links are rows of one table. */
static RectifiedTable *
result_for(List **results, MapTable *table)
{
	RectifiedTable *result;
	ListCell   *lc;

	foreach(lc, *results)
		if (((RectifiedTable *) lfirst(lc))->table == table)
			return lfirst(lc);
	result = palloc0(sizeof(RectifiedTable));
	result->table = table;
	*results = lappend(*results, result);
	return result;
}

static void
not_as_planned(RectifyTable *table)
{
	EffRelation *rel = table->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of table \"%s\" were not written as planned", rel->relname),
			 errdetail("After the correction there are rows that do not hold the corrected value."),
			 errhint("A row trigger or a rule on %s changes what is written or keeps it from being"
					 " written: give the value as the trigger would write it, or disable it for"
					 " this call.",
					 rel->name),
			 errhidestmt(true)));
}
