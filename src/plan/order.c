/*
 * order.c
 *	  The operations of an erasure in the order in which they run, and which
 *	  rows must be found before the first of them.
 */
#include "postgres.h"

#include "plan/plan_int.h"

static void add_references(PlanBuild *build);
static void add_cycle_breaks(PlanBuild *build);
static void sort_references(PlanBuild *build);
static void add_steps_on_rows(PlanBuild *build, PlannedTable *planned);
static void note_changes(PlanBuild *build, PlannedOperation *operation);
static void note_detached(PlanBuild *build, PlannedOperation *operation);
static void note_anonymized(PlannedOperation *operation);
static void note_shared(PlanBuild *build, PlannedOperation *operation);
static void add_named(PlannedOperation *operation, EffRelation *rel, const char *name);
static void add_generated(PlannedOperation *operation, EffRelation *rel);
static bool reads_changed(List *reads, List *changes);

/*
 * EffPlanOperations lists the operations of a plan in the order in which their
 * statements run, and notes what each of them changes.  ERROR where a foreign
 * key into rows that are deleted conflicts with the labels.
 */
void
EffPlanOperations(PlanBuild *build)
{
	add_references(build);
	add_cycle_breaks(build);
	sort_references(build);
	foreach_ptr(PlannedTable, planned, build->request->tables)
	{
		add_steps_on_rows(build, planned);
	}
	foreach_ptr(PlannedOperation, operation, build->operations)
	{
		note_changes(build, operation);
	}
}

/* add_references adds what references to rows that are deleted ask for. */
static void
add_references(PlanBuild *build)
{
	RequestPlan *plan = build->request;

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
}

/* add_cycle_breaks sets to NULL the references that EffGraphOrder() chose to break cycles by. */
static void
add_cycle_breaks(PlanBuild *build)
{
	foreach_ptr(BrokenEdge, edge, build->broken)
	{
		MapTable   *table = EffMapTableOver(build->map, edge->fk->relid);
		PlannedOperation *operation;

		if (edge->how != BREAK_NULL)
			continue;
		operation = EffPlanAddOperation(build, STEP_DETACH,
										EffPlanTable(build->request, table->rel->oid));
		operation->fk = edge->fk;
		operation->breaks_cycle = true;
		operation->set_null = EffDetachColumns(build->map, edge->fk);
	}
}

/* sort_references: what may stop the call comes first, then what is set to NULL. */
static void
sort_references(PlanBuild *build)
{
	List	   *sorted = NIL;

	for (int strategy = STEP_BLOCKER; strategy <= STEP_SIDE_EFFECT; strategy++)
		foreach_ptr(PlannedOperation, operation, build->operations)
		{
			if (operation->strategy == strategy)
				sorted = lappend(sorted, operation);
		}
	build->operations = sorted;
}

/* add_steps_on_rows adds the operations on a table's own rows. */
static void
add_steps_on_rows(PlanBuild *build, PlannedTable *planned)
{
	RequestPlan *plan = build->request;

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

/* note_changes notes which columns of which relation an operation writes. */
static void
note_changes(PlanBuild *build, PlannedOperation *operation)
{
	switch (operation->strategy)
	{
		case STEP_DELETE:
			operation->changes = operation->planned->table->rel->oid;
			break;
		case STEP_DETACH:
			note_detached(build, operation);
			break;
		case STEP_ANONYMIZE:
			note_anonymized(operation);
			break;
		case STEP_SHARED:
			note_shared(build, operation);
			break;
		case STEP_BLOCKER:
		case STEP_SIDE_EFFECT:
		case STEP_RETAIN:
			break;
	}
	if (operation->columns != NULL)
		add_generated(operation, EffMapLoad(build->map, operation->changes));
}

/* note_detached: a foreign key of a partition writes to the table that it is part of. */
static void
note_detached(PlanBuild *build, PlannedOperation *operation)
{
	EffRelation *part = EffMapLoad(build->map, operation->fk->relid);
	EffRelation *whole = EffMapTableOver(build->map, part->oid)->rel;

	operation->changes = whole->oid;
	foreach_int(number, operation->set_null)
	{
		add_named(operation, whole, EffRelationColumn(part, number)->name);
	}
}

static void
note_anonymized(PlannedOperation *operation)
{
	PlannedTable *planned = operation->planned;

	operation->changes = planned->table->rel->oid;
	foreach_ptr(Surrogate, surrogate, planned->anonymize)
		operation->columns = bms_add_member(operation->columns, surrogate->column->column->attnum);
	foreach_ptr(SetLabel, set, planned->has_set ? planned->table->label->set : NIL)
		add_named(operation, planned->table->rel, set->column);
}

/* note_shared: the columns tied to the links, and the references that the links go by. */
static void
note_shared(PlanBuild *build, PlannedOperation *operation)
{
	PlannedTable *planned = operation->planned;

	foreach_ptr(Surrogate, surrogate, planned->anonymize)
	{
		if (surrogate->column->label->link != NULL)
			operation->columns = bms_add_member(operation->columns,
												surrogate->column->column->attnum);
	}
	foreach_ptr(TableLink, link, planned->links)
	{
		foreach_int(number, EffDetachLinkColumns(build->map, link))
			operation->columns = bms_add_member(operation->columns, number);
	}
	if (operation->columns != NULL)
		operation->changes = planned->table->rel->oid;
}

/* add_named adds a column by its name, where the relation has it. */
static void
add_named(PlannedOperation *operation, EffRelation *rel, const char *name)
{
	EffColumn  *column = EffRelationColumnByName(rel, name);

	if (column != NULL)
		operation->columns = bms_add_member(operation->columns, column->attnum);
}

/* add_generated adds the columns that are generated from those that are written. */
static void
add_generated(PlannedOperation *operation, EffRelation *rel)
{
	for (int i = 0; i < rel->ncolumns; i++)
		if (rel->columns[i].generated && bms_overlap(EffGeneratedFrom(rel, &rel->columns[i]),
													 operation->columns))
			operation->columns = bms_add_member(operation->columns, rel->columns[i].attnum);
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
