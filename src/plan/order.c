/*
 * order.c
 *	  FIXME
 */
#include "postgres.h"

#include "plan/plan_int.h"

static void add_generated(PlannedOperation *operation, EffRelation *rel);
static bool changes_columns(PlanBuild *build, EffRelation *rel, const AttrNumber *columns, int n, bool rows);
static bool reads_changed(List *reads, List *changes);

/*
 * EffPlanOperations lists the statements in the order in which they run.
 */
void
EffPlanOperations(PlanBuild *build)
{
	RequestPlan *plan = build->request;
	ListCell   *lc;
	List	   *sorted = NIL;

	foreach_ptr(PlannedTable, target, plan->tables)
	{
		if (!target->deleted)
			continue;
		foreach_oid(oid, target->table->rel->inheritors)
		{
			foreach_ptr(ForeignKey, fk, EffMapRelation(build->map, oid)->referenced_by)
			{
				/* the caller may have deferred it, too */
				if (fk->deferrable && !fk->namesake)
					plan->check_now = lappend(plan->check_now, fk);
				EffPlanReference(build, target, fk);
			}
		}
	}
	if (plan->restricted == NIL)
		EffPlanDetachAccessors(build);
	foreach_ptr(BrokenEdge, edge, build->broken)
	{
		PlannedOperation *operation;

		if (edge->how != BREAK_NULL)
			continue;
		operation = EffPlanAddOperation(build, STEP_DETACH,
								  EffPlanTable(plan, EffMapTableOver(build->map, edge->fk->relid)->rel->oid));
		operation->fk = edge->fk;
		operation->breaks_cycle = true;
		operation->set_null = EffDetachColumns(build->map, edge->fk);
	}
	/* what may stop the call comes first, then what is set to NULL */
	for (int strategy = STEP_BLOCKER; strategy <= STEP_SIDE_EFFECT; strategy++)
		foreach(lc, build->operations)
			if (((PlannedOperation *) lfirst(lc))->strategy == strategy)
				sorted = lappend(sorted, lfirst(lc));
	build->operations = sorted;

	foreach_ptr(PlannedTable, planned, plan->tables)
	{
		if (planned->table == plan->subject && plan->own_links != NULL)
			(void) EffPlanAddOperation(build, STEP_SHARED, plan->own_links);
		if (planned->deleted)
		{
			(void) EffPlanAddOperation(build, STEP_DELETE, planned);
			if (planned->reverse && planned->anonymize != NIL)
				EffPlanAddOperation(build, STEP_ANONYMIZE, planned)->part = ROWS_PINNED;
		}
		else
		{
			if (planned->anonymize != NIL || planned->has_set)
				(void) EffPlanAddOperation(build, STEP_ANONYMIZE, planned);
			if (planned->retain != NIL)
				(void) EffPlanAddOperation(build, STEP_RETAIN, planned);
		}
		if (planned->contested)
			(void) EffPlanAddOperation(build, STEP_SHARED, planned);
	}

	foreach_ptr(PlannedOperation, operation, build->operations)
	{
		ListCell   *lc2;

		switch (operation->strategy)
		{
			case STEP_DELETE:
				operation->changes = operation->planned->table->rel->oid;
				break;
			case STEP_DETACH:
				{
					/* a foreign key of a partition writes to the table that it is part of */
					EffRelation *part = EffMapLoad(build->map, operation->fk->relid);
					MapTable   *over = EffMapTableOver(build->map, part->oid);
					EffRelation *whole = over != NULL ? over->rel : part;

					operation->changes = whole->oid;
					foreach_int(number, operation->set_null)
					{
						EffColumn  *column = EffRelationColumnByName(whole,
																	 EffRelationColumn(part, number)->name);

						if (column != NULL)
							operation->columns = bms_add_member(operation->columns, column->attnum);
					}
				}
				break;
			case STEP_ANONYMIZE:
				operation->changes = operation->planned->table->rel->oid;
				foreach_ptr(Surrogate, surrogate, operation->planned->anonymize)
					operation->columns = bms_add_member(operation->columns,
														surrogate->column->column->attnum);
				if (operation->planned->has_set)
					foreach_ptr(SetLabel, label, operation->planned->table->label->set)
					{
						EffColumn  *column = EffRelationColumnByName(operation->planned->table->rel,
																	 label->column);

						if (column != NULL)
							operation->columns = bms_add_member(operation->columns, column->attnum);
					}
				break;
			case STEP_SHARED:
				operation->changes = operation->planned->table->rel->oid;
				foreach_ptr(Surrogate, surrogate, operation->planned->anonymize)
				{
					MapColumn  *column = surrogate->column;

					if (column->label->link != NULL)
						operation->columns = bms_add_member(operation->columns, column->column->attnum);
				}
				foreach(lc2, operation->planned->links)
				{
					foreach_int(number, EffDetachLinkColumns(build->map, lfirst(lc2)))
						operation->columns = bms_add_member(operation->columns, number);
				}
				if (operation->columns == NULL)
					operation->changes = InvalidOid;
				break;
			default:
				break;
		}
		if (operation->columns != NULL)
			add_generated(operation, EffMapLoad(build->map, operation->changes));
	}
}

/* add_generated adds the columns that are generated from those that are written. */
static void
add_generated(PlannedOperation *operation, EffRelation *rel)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (rel->columns[i].generated && bms_overlap(EffGeneratedFrom(rel, &rel->columns[i]), operation->columns))
			operation->columns = bms_add_member(operation->columns, rel->columns[i].attnum);
}

/*
 * EffPlanCheckWays: a restricted run must not cut the way to what it leaves, or no
 * later one would find it.  A foreign key along the way stops that by itself.
 */
void
EffPlanCheckWays(PlanBuild *build)
{
	for (int i = 0; i < build->map->ntables; i++)
	{
		MapTable   *table = build->map->tables[i];
		ListCell   *lc2;

		if (table == build->request->subject || EffPlanTable(build->request, table->rel->oid) != NULL)
			continue;
		foreach_ptr(TableLink, link, EffGraphRoleLinks(table, build->request->subject, ROLE_OWNER))
			foreach(lc2, link->hops)
			{
				JoinHop    *hop = lfirst(lc2);
				EffRelation *changed = NULL;

				if (foreach_current_index(lc2) > 0 &&
					changes_columns(build, hop->source, hop->source_columns, hop->n, false))
					changed = hop->source;
				else if (changes_columns(build, hop->target, hop->target_columns, hop->n,
										 hop->fk == NULL || hop->reverse))
					changed = hop->target;
				if (changed == NULL)
					continue;
				ereport(ERROR,
						(errcode(ERRCODE_EFF_RETENTION),
						 errmsg("rows of %s could no longer be found: they are reached through %s, which the call changes",
								table->name, changed->name),
						 errdetail("The tables of the call leave %s out.", table->name),
						 errhint("Add %s to the tables of the call.", table->name),
						 errhidestmt(true)));
			}
	}
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

/*
 * EffPlanFindConflictingReads marks the tables whose rows could no longer be found
 * when their turn comes: an earlier statement, or their own before it is
 * checked, changes what finding them reads.
 */
void
EffPlanFindConflictingReads(PlanBuild *build)
{
	List	   *changes = NIL;	/* of PlannedOperation */

	foreach_ptr(PlannedOperation, operation, build->operations)
	{
		if (reads_changed(operation->planned->reads, changes))
			operation->planned->find_first = true;
		if (operation->outside != NULL && reads_changed(operation->outside->reads, changes))
			operation->outside->find_first = true;
		if (!OidIsValid(operation->changes))
			continue;
		changes = lappend(changes, operation);
		/* what a step changed is looked at once more where there are triggers */
		if (operation->strategy == STEP_ANONYMIZE && operation->planned->table->rel->has_triggers &&
			reads_changed(operation->planned->reads, list_make1(operation)))
			operation->planned->find_first = true;
	}
}

static bool
reads_changed(List *reads, List *changes)
{
	foreach_ptr(PlannedOperation, change, changes)
	{
		foreach_ptr(ScopeRead, read, reads)
		{
			if (read->relid == change->changes &&
				(change->columns == NULL || bms_overlap(read->attnums, change->columns)))
				return true;
		}
	}
	return false;
}
