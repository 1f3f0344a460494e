/*
 * ways.c
 *	  An erasure never cuts the way to a row that keeps a value without a word.
 */
#include "postgres.h"

#include "plan/plan_int.h"
#include "rows/ways.h"

#include "utils/builtins.h"

static void check_planned(PlanBuild *build, PlannedTable *planned, TableLink *link, List *written);
static void check_chain(PlanBuild *build, PlannedTable *planned, TableLink *link);
static void check_release(PlanBuild *build, PlannedTable *planned, TableLink *link);
static void check_others(PlanBuild *build, MapTable *table, TableLink *link, List *written);
static void check_left_out(PlanBuild *build, MapTable *table, TableLink *link);
static List *written_by(PlanBuild *build, MapTable *beside);
static MapColumn *retained_for(PlannedTable *planned, TableLink *link, bool tied_only);
static void raise_cut(WayCut *cut, const char *what) pg_attribute_noreturn();
static bool changes_columns(PlanBuild *build, EffRelation *rel, const AttrNumber *columns, int n,
							bool rows);

/*
 * EffPlanCheckChains raises ZE003 or ZE001 where rows that survive hang from rows that
 * are deleted, by a reference that the plan does not rewrite.
 */
void
EffPlanCheckChains(PlanBuild *build)
{
	foreach_ptr(PlannedTable, planned, build->request->tables)
	{
		foreach_ptr(TableLink, link, planned->deleted ? NIL : planned->links)
			check_chain(build, planned, link);
	}
}

/*
 * EffPlanCheckWays looks at every way of the data map, once the operations of a plan
 * are known.
 *
 * ERROR ZE003 where rows would be released with a retained value.  ERROR ZE001 where
 * rows keep a value and are found by a column that the plan writes.  Ways that end with
 * nothing retained are noted in the plan.
 */
void
EffPlanCheckWays(PlanBuild *build)
{
	RequestPlan *plan = build->request;
	List	   *written = written_by(build, NULL);

	foreach_ptr(PlannedTable, planned, plan->tables)
	{
		if (planned->links == NIL)
			check_planned(build, planned, NULL, written);
		foreach_ptr(TableLink, link, planned->links)
			check_planned(build, planned, link, written);
	}
	for (int i = 0; i < build->map->ntables; i++)
	{
		MapTable   *table = build->map->tables[i];
		List	   *others;

		if (table->error != NULL)
			continue;
		/* whose its own rows are is found out row by row */
		others = written_by(build, table);
		foreach_ptr(TableLink, link, table->links)
		{
			if (link->error != NULL || link->label->role != ROLE_OWNER)
				continue;
			if (link->subject != plan->subject)
				check_others(build, table, link, others);
			else if (table != plan->subject && EffPlanTable(plan, table->rel->oid) == NULL)
				check_left_out(build, table, link);
		}
	}
}

/*
 * EffPlanRewrites returns whether the plan rewrites a foreign key in rows of a table
 * that survive: a column of it has a label that does not retain it.
 */
bool
EffPlanRewrites(PlanBuild *build, PlannedTable *source, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(build->map, fk->relid);

	if (source->deleted || source->own_links)
		return false;
	for (int i = 0; i < fk->nkeys; i++)
	{
		EffColumn  *whole = EffRelationColumnByName(source->table->rel,
													EffRelationColumn(rel, fk->columns[i])->name);
		MapColumn  *column = whole ? EffMapColumn(source->table, whole->attnum) : NULL;

		if (column != NULL && column->label->erasure != ERASURE_RETAIN && !whole->generated)
			return true;
	}
	return false;
}

/* check_planned looks at one way of a table of the plan. */
static void
check_planned(PlanBuild *build, PlannedTable *planned, TableLink *link, List *written)
{
	MapColumn  *retained = retained_for(planned, link, false);

	if (link != NULL && !planned->deleted)
	{
		check_release(build, planned, link);
		/* such rows may keep what they have */
		if (link->label->release && EffWaysRelease(link))
			return;
	}
	foreach_ptr(WayCut, cut, EffWaysCut(build->map, planned->table, link, written))
	{
		if (cut->own_reference && EffWaysRelease(link) && !planned->deleted)
			continue;
		if (retained != NULL && !planned->deleted)
			raise_cut(cut, psprintf("Column \"%s\" is retained: %s.",
									retained->column->name,
									retained->label->retention->reason));
		build->plan->ends = lappend(build->plan->ends, cut);
	}
}

/*
 * check_chain raises ZE003 or ZE001 where rows that survive reference, on their way to
 * the subject, rows that are deleted, and the plan does not rewrite that reference: no
 * later erasure would find them.
 */
static void
check_chain(PlanBuild *build, PlannedTable *planned, TableLink *link)
{
	MapColumn  *retained = retained_for(planned, NULL, false);

	foreach_ptr(JoinHop, hop, link->hops)
	{
		PlannedTable *source = EffPlanTable(build->request, hop->source->oid);

		if (!EffPlanDeletes(hop->target->oid, build->request))
			continue;
		if (hop->reverse)
		{
			if (retained_for(planned, link, false) == NULL)
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RETENTION),
					 errmsg("rows of table \"%s\" must be kept, but are found through rows of "
							"table \"%s\", which are deleted",
							planned->table->rel->relname, hop->target->relname),
					 errdetail("Column \"%s\" is retained: %s.",
							   retained->column->name,
							   retained->label->retention->reason),
					 errhint("Let the rows of %s survive: give one of its columns \"erasure\": "
							 "\"anonymize\".",
							 hop->target->name),
					 errhidestmt(true)));
		}
		/* rows of the table before the hop are released before */
		if (hop == linitial(link->hops) ? EffWaysRelease(link) :
			source != NULL && hop->fk != NULL && EffPlanRewrites(build, source, hop->fk))
			continue;
		if (retained != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RETENTION),
					 errmsg("rows of table \"%s\" must be kept, but hang from rows of table "
							"\"%s\", which are deleted",
							planned->table->rel->relname, hop->target->relname),
					 errdetail("Column \"%s\" is retained: %s.",
							   retained->column->name,
							   retained->label->retention->reason),
					 errhint("Let the rows of %s survive: give one of its columns \"erasure\": "
							 "\"anonymize\".  Or let the rows of %s outlive them: label their "
							 "reference (%s) with a \"surrogate\" and add \"release\": true to the "
							 "link.",
							 hop->target->name, hop->source->name,
							 EffJoinNames(hop->source, hop->source_columns, hop->n)),
					 errhidestmt(true)));
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("rows of table \"%s\" survive, but hang from rows of table \"%s\", which "
						"are deleted",
						planned->table->rel->relname, hop->target->relname),
				 errdetail("Table \"%s\": %s.", planned->table->rel->relname, planned->why),
				 errhint("Label the remaining columns of %s or mark it \"owned\": true, or let "
						 "the rows of %s survive, or label the reference %s (%s) with a "
						 "\"surrogate\", NULL or the key of a row that stays.",
						 planned->table->name, hop->target->name, hop->source->name,
						 EffJoinNames(hop->source, hop->source_columns, hop->n)),
				 errhidestmt(true)));
	}
}

/*
 * check_release raises ZE003 where rows would be released with a retained value of the
 * subject, and their link does not allow it: no request would find that value again.
 */
static void
check_release(PlanBuild *build, PlannedTable *planned, TableLink *link)
{
	MapColumn  *retained = NULL;

	if (link->label->release)
		return;
	if (EffWaysRelease(link))
		retained = retained_for(planned, link, false);
	else if (planned->contested && EffDetachLinkColumns(build->map, link) != NIL)
		retained = retained_for(planned, link, true);
	if (retained == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_RETENTION),
			 errmsg("rows of table \"%s\" would keep a retained value that no request finds again",
					planned->table->rel->relname),
			 errdetail("Column \"%s\" is retained: %s.  The erasure rewrites the reference (%s) by "
					   "which the rows are the subject's.",
					   retained->column->name,
					   retained->label->retention->reason,
					   EffJoinNames(((JoinHop *) linitial(link->hops))->source,
									((JoinHop *) linitial(link->hops))->source_columns,
									((JoinHop *) linitial(link->hops))->n)),
			 errhint("Label the reference \"erasure\": \"retain\", or add \"release\": true to %s "
					 "of %s, where the value tells nothing about whom it was.",
					 link->name ? psprintf("the link \"%s\"", link->name) : "the label",
					 planned->table->name),
			 errhidestmt(true)));
}

/*
 * check_others raises ZE001 where the plan writes what rows are found by that belong to
 * a subject of another kind, whose values stay.
 */
static void
check_others(PlanBuild *build, MapTable *table, TableLink *link, List *written)
{
	List	   *cuts = table->columns != NIL ? EffWaysCut(build->map, table, link, written) : NIL;

	if (cuts != NIL)
		raise_cut(linitial(cuts), psprintf("They belong to a subject of table \"%s\", who is not "
										   "erased.",
										   link->subject->rel->relname));
}

/*
 * check_left_out: a restricted run must not cut the way to what it leaves, or no later
 * one would find it.  A foreign key along the way stops that by itself.
 */
static void
check_left_out(PlanBuild *build, MapTable *table, TableLink *link)
{
	foreach_ptr(JoinHop, hop, link->hops)
	{
		EffRelation *changed = NULL;

		if (hop != linitial(link->hops) &&
			changes_columns(build, hop->source, hop->source_columns, hop->n, false))
			changed = hop->source;
		else if (changes_columns(build, hop->target, hop->target_columns, hop->n,
								 hop->fk == NULL || hop->reverse))
			changed = hop->target;
		if (changed == NULL)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_EFF_RETENTION),
				 errmsg("rows of table \"%s\" could no longer be found: they are reached through "
						"table \"%s\", which the call changes",
						table->rel->relname, changed->relname),
				 errdetail("The tables of the call leave table \"%s\" out.",
						   table->rel->relname),
				 errhint("Add %s to the tables of the call.", table->name),
				 errhidestmt(true)));
	}
}

/*
 * written_by returns the columns (of ScopeRead) that the plan writes in the subject's
 * own rows, and what follows them; without those of the table beside, where given.
 */
static List *
written_by(PlanBuild *build, MapTable *beside)
{
	List	   *written = NIL;

	foreach_ptr(PlannedOperation, operation, build->operations)
		if (operation->strategy == STEP_ANONYMIZE && operation->planned->table != beside)
			written = EffWaysAdd(build->map, written, operation->changes, operation->columns);
	return written;
}

/*
 * retained_for returns a column of rows of a planned table that keeps a value of the
 * link's subject, NULL where there is none: one that is tied to the link or, unless
 * tied_only, to none.
 */
static MapColumn *
retained_for(PlannedTable *planned, TableLink *link, bool tied_only)
{
	foreach_ptr(MapColumn, column, planned->table->columns)
	{
		const char *tied = column->label->link;

		if (column->label->erasure != ERASURE_RETAIN || (tied_only && tied == NULL))
			continue;
		if (tied == NULL || link == NULL || link->name == NULL || strcmp(tied, link->name) == 0)
			return column;
	}
	return NULL;
}

static void
raise_cut(WayCut *cut, const char *what)
{
	char	   *name = EffRelationColumn(cut->rel, cut->attnum)->name;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("rows of table \"%s\" keep values and could no longer be found: the erasure "
					"changes column \"%s\" of table \"%s\"",
					cut->table->rel->relname, name, cut->rel->relname),
			 errdetail("%s  The way to the rows reads that column.", what),
			 errhint("Label %s.%s \"erasure\": \"retain\", or link %s by another key, or give the "
					 "reference of %s itself a label with a \"surrogate\" and add \"release\": "
					 "true to its link.",
					 cut->rel->name, quote_identifier(name), cut->table->name,
					 cut->table->name),
			 errhidestmt(true)));
}

/* changes_columns: an operation writes to one of the columns or, with rows, deletes rows. */
static bool
changes_columns(PlanBuild *build, EffRelation *rel, const AttrNumber *columns, int n, bool rows)
{
	foreach_ptr(PlannedOperation, operation, build->operations)
	{
		if (operation->changes != rel->oid)
			continue;
		if (operation->columns == NULL && rows)
			return true;
		for (int i = 0; i < n; i++)
			if (bms_is_member(columns[i], operation->columns))
				return true;
	}
	return false;
}
