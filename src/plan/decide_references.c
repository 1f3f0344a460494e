/*
 * decide_references.c
 *	  What foreign keys into rows that go mean for an erasure.
 */
#include "postgres.h"

#include "plan/plan_int.h"
#include "rows/ways.h"

#include "utils/lsyscache.h"

static bool chain_covers(PlannedTable *source, PlannedTable *target, ForeignKey *fk);
static bool is_link_reference(PlannedTable *source, ForeignKey *fk);
static bool is_accessor_reference(MapTable *table, MapTable *subject, ForeignKey *fk);

/*
 * EffPlanReference decides what a foreign key into rows that go means: nothing,
 * a detach, a side effect, a blocker, or a conflict.
 */
void
EffPlanReference(PlanBuild *build, PlannedTable *target, ForeignKey *fk)
{
	MapTable   *table = EffMapTableOver(build->map, fk->relid);
	PlannedTable *source = table ? EffPlanTable(build->request, table->rel->oid) : NULL;
	bool		by_action = EffForeignKeySets(fk) != NIL;
	bool		detaches;
	bool		linked;
	bool		rewritten;
	bool		left_out;
	PlannedOperation *operation;

	/* a restricted run knows only the tables that it was given */
	left_out = build->request->restricted != NIL && source == NULL && table != NULL;
	if (left_out)
		table = NULL;
	if (source != NULL && chain_covers(source, target, fk))
		return;
	detaches = table != NULL && EffDetachAllowed(build->map, table, fk);
	rewritten = source != NULL && EffPlanRewrites(build, source, fk);

	if (target->reverse)
	{
		/* what else references such a row has been looked at: it would stay */
		if (detaches && !by_action)
		{
			operation = EffPlanAddOperation(build, STEP_DETACH, target);
			operation->fk = fk;
			operation->set_null = EffDetachColumns(build->map, fk);
			operation->outside = source != NULL && (source->deleted || rewritten) ? source : NULL;
			operation->outside_part = source != NULL && source->contested ? ROWS_GONE : ROWS_ALL;
		}
		return;
	}
	if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
	{
		if (source == NULL ? !left_out : !source->deleted && !rewritten)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RETENTION),
					 errmsg("deleting from table \"%s\" would cascade into table \"%s\", which the "
							"plan %s",
							target->table->rel->relname, get_rel_name(fk->relid),
							table == NULL ? "does not know" : "keeps"),
					 errdetail("Constraint \"%s\" is ON DELETE CASCADE.", fk->name),
					 table == NULL ?
					 errhint("Label %s, or change the constraint's action.",
							 EffRelationDisplayName(fk->relid)) :
					 errhint("Let the rows of %s survive, or change the constraint's action, or "
							 "label its column with a \"surrogate\": the key of a row that stays.",
							 target->table->name),
					 errhidestmt(true)));
		operation = EffPlanAddOperation(build, STEP_BLOCKER, target);
		operation->fk = fk;
		operation->outside = source;
		operation->outside_part = source != NULL && source->contested ? ROWS_GONE : ROWS_ALL;
		return;
	}
	if (table != NULL && !detaches && source == NULL &&
		is_accessor_reference(table, build->request->subject, fk))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("rows of table \"%s\" stay, but reference rows of table \"%s\", which are "
						"deleted",
						table->rel->relname, target->table->rel->relname),
				 errdetail("The reference \"%s\" of an accessor cannot be set to NULL.",
						   fk->name),
				 errhint("Make its column nullable, or let the rows of %s survive.",
						 target->table->name),
				 errhidestmt(true)));

	/* rows shared with others are released by a step of their own */
	linked = source != NULL && source->contested && detaches && !by_action &&
		is_link_reference(source, fk);
	operation = EffPlanAddOperation(build, !(table == NULL && by_action) && !detaches ?
									STEP_BLOCKER :
							  by_action ? STEP_SIDE_EFFECT : STEP_DETACH, target);
	operation->fk = fk;
	operation->set_null = by_action ? NIL : EffDetachColumns(build->map, fk);
	operation->outside = source != NULL && (source->deleted || linked || rewritten) ? source : NULL;
	operation->outside_part = linked || source == NULL || !source->contested ? ROWS_ALL : ROWS_GONE;
}

/*
 * chain_covers: where the only link of a table, whose rows are deleted or released,
 * runs by this very foreign key through the rows that are deleted, no row outside can
 * reference them.
 */
static bool
chain_covers(PlannedTable *source, PlannedTable *target, ForeignKey *fk)
{
	TableLink  *link;
	JoinHop    *first;

	if (source == target || list_length(source->links) != 1 || source->contested ||
		target->contested)
		return false;
	link = linitial(source->links);
	if (!source->deleted && !EffWaysRelease(link))
		return false;
	first = linitial(link->hops);
	if (first->fk != fk || first->reverse || link->label->where != NULL ||
		first->target != target->table->rel)
		return false;
	if (target->links == NIL)
		return list_length(link->hops) == 1;
	return list_length(target->links) == 1 && EffLinkSameHops(link, 1, linitial(target->links));
}

/* is_link_reference: an owner link of a table that goes along this key. */
static bool
is_link_reference(PlannedTable *source, ForeignKey *fk)
{
	foreach_ptr(TableLink, each_link, source->links)
	{
		JoinHop    *first = linitial(each_link->hops);

		if (first->fk == fk && !first->reverse)
			return true;
	}
	return false;
}

static bool
is_accessor_reference(MapTable *table, MapTable *subject, ForeignKey *fk)
{
	foreach_ptr(TableLink, link, EffGraphRoleLinks(table, subject, ROLE_ACCESSOR))
		if (((JoinHop *) linitial(link->hops))->fk == fk)
			return true;
	return false;
}

/*
 * EffPlanDetachAccessors: an accessor's declared hop to rows that go is a reference
 * too, though no foreign key says so.
 */
void
EffPlanDetachAccessors(PlanBuild *build)
{
	for (int i = 0; i < build->map->ntables; i++)
	{
		MapTable   *table = build->map->tables[i];

		foreach_ptr(TableLink, link, EffGraphRoleLinks(table, build->request->subject,
													   ROLE_ACCESSOR))
		{
			JoinHop    *first = linitial(link->hops);
			PlannedTable *target = EffPlanTable(build->request, first->target->oid);
			PlannedTable *source = EffPlanTable(build->request, table->rel->oid);
			PlannedOperation *operation;
			ForeignKey *reference;

			if (first->fk != NULL || first->reverse || target == NULL || !target->deleted)
				continue;
			reference = palloc0(sizeof(ForeignKey));
			reference->name = link->name ? link->name : "hops";
			reference->relid = table->rel->oid;
			reference->target = first->target->oid;
			reference->nkeys = first->n;
			reference->columns = first->source_columns;
			reference->target_columns = first->target_columns;
			reference->on_delete = FKCONSTR_ACTION_NOACTION;
			operation = EffPlanAddOperation(build, STEP_DETACH, target);
			operation->fk = reference;
			operation->outside = source != NULL && source->deleted ? source : NULL;
			operation->outside_part = source != NULL && source->contested ? ROWS_GONE : ROWS_ALL;
			for (int k = first->n - 1; k >= 0 && operation->set_null == NIL; k--)
			{
				EffColumn  *column = EffRelationColumn(table->rel, first->source_columns[k]);
				MapColumn  *labelled = EffMapColumn(table, column->attnum);

				if (!column->not_null && !column->generated &&
					(labelled == NULL || labelled->label->erasure != ERASURE_RETAIN))
					operation->set_null = list_make1_int(column->attnum);
			}
			if (operation->set_null == NIL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("rows of table \"%s\" stay, but reference rows of table \"%s\", "
								"which are deleted",
								table->rel->relname, target->table->rel->relname),
						 errdetail("The reference (%s) of an accessor cannot be set to NULL.",
								   EffJoinNames(table->rel, first->source_columns, first->n)),
						 errhint("Make its column nullable, or let the rows of %s survive.",
								 target->table->name),
						 errhidestmt(true)));
		}
	}
}
