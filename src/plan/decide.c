/*
 * decide.c
 *	  From the data map to the steps of an erasure, or to the conflict that
 *	  forbids it.
 */
#include "postgres.h"

#include "plan/plan.h"
#include "base/arrays.h"
#include "label/expression.h"
#include "plan/ownership.h"
#include "plan/plan_int.h"
#include "rows/scope.h"

#include "access/table.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static ErasurePlan *build_plan(DataMap *map, MapTable *subject, List *tables);
static List *choose_tables(PlanBuild *build, List *tables);
static bool may_slip_in(MapTable *table, TableLink *link);
static PlannedTable *plan_own_links(PlanBuild *build, List *links);
static PlannedTable *plan_table(PlanBuild *build, MapTable *table);
static void choose_surrogates(PlanBuild *build, PlannedTable *planned);
static void check_set(PlannedTable *planned, EffColumn *column, const char *text);
static void check_generated(PlannedTable *planned, Surrogate *surrogate);
static void check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column);
static void check_chain(PlanBuild *build, PlannedTable *planned);
static void plan_operations(PlanBuild *build);
static void add_generated(PlannedOperation *operation, EffRelation *rel);
static Bitmapset *generated_from(EffRelation *rel, EffColumn *column);
static void check_ways(PlanBuild *build);
static bool changes_columns(PlanBuild *build, EffRelation *rel, const AttrNumber *columns, int n, bool rows);
static void find_conflicting_reads(PlanBuild *build);
static bool reads_changed(List *reads, List *changes);

/*
 * EffPlanGet returns the plan, from the map's own list where it is known.
 * tables are relation OIDs, NIL for all; conflicts are not kept.
 */
ErasurePlan *
EffPlanGet(DataMap *map, MapTable *subject, List *tables)
{
	ErasurePlan *plan;
	MemoryContext context;
	MemoryContext previous;
	EffBracket	bracket;
	ListCell   *lc;

	tables = list_copy(tables);
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);
	foreach(lc, map->plans)
	{
		plan = lfirst(lc);
		if (plan->subject == subject && equal(plan->restricted, tables))
			return plan;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "effaced plan", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	EffPinBegin(&bracket);
	plan = build_plan(map, subject, list_copy(tables));
	EffPinEnd(&bracket);
	MemoryContextSetParent(context, map->context);
	MemoryContextSwitchTo(map->context);
	map->plans = lappend(map->plans, plan);
	MemoryContextSwitchTo(previous);
	return plan;
}

const char *
EffStrategyWord(StepStrategy strategy)
{
	static const char *const words[] = {
		"blocker", "detach", "side_effect", "delete", "anonymize", "retain", "shared"
	};

	return words[strategy];
}

PlannedTable *
EffPlanTable(ErasurePlan *plan, Oid relid)
{
	ListCell   *lc;

	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->table->rel->oid == relid)
			return lfirst(lc);
	return NULL;
}

void
EffPlanScope(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan, PlannedTable *planned)
{
	EffPlanScopePart(map, st, alias, plan, planned, planned->contested ? ROWS_GONE : ROWS_ALL);
}

void
EffPlanScopePart(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan, PlannedTable *planned, int part)
{
	if (planned->rows != NULL)
		EffScopeRows(st, alias, planned->rows, part);
	else
		EffPlanScopeNow(map, st, alias, plan, planned, &EffScopeMine);
}

/*
 * EffPlanScopeNow: the subject's own row, or rows that any owner link reaches.
 */
void
EffPlanScopeNow(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan, PlannedTable *planned,
				const ScopeOwner *owner)
{
	ScopeOwner	either = *owner;
	ListCell   *lc;

	if (planned->links == NIL)
	{
		EffScopeSubject(map, st, alias, plan->subject, owner);
		return;
	}
	either.either = list_length(planned->links) > 1;
	appendStringInfoString(&st->text, list_length(planned->links) > 1 ? "(" : "");
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR " : "");
		EffScopeLink(map, st, alias, lfirst(lc), 0, &either);
	}
	appendStringInfoString(&st->text, list_length(planned->links) > 1 ? ")" : "");
	if (planned->own_links)
	{
		/* the subject's own row is not one that merely belongs to it */
		appendStringInfoString(&st->text, " AND (");
		EffScopeSubject(map, st, alias, plan->subject, owner);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
}

List *
EffPlanTablesArgument(FunctionCallInfo fcinfo, int argno)
{
	List	   *tables;
	int			n;

	if (PG_ARGISNULL(argno))
		return NIL;
	tables = EffOidArrayRead(PG_GETARG_DATUM(argno), &n);
	if (tables == NIL || list_length(tables) != n)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("tables must name at least one table and hold no NULL"),
				 errhint("Leave the argument out to erase from all tables."),
				 errhidestmt(true)));
	return tables;
}

static ErasurePlan *
build_plan(DataMap *map, MapTable *subject, List *tables)
{
	ErasurePlan *plan = palloc0(sizeof(ErasurePlan));
	PlanBuild	build = {.map = map, .plan = plan};
	List	   *own_links;
	List	   *relids = NIL;
	List	   *ordered = NIL;
	ListCell   *lc;

	plan->subject = subject;
	plan->restricted = tables;

	foreach(lc, choose_tables(&build, tables))
		plan->tables = lappend(plan->tables, plan_table(&build, lfirst(lc)));
	own_links = tables == NIL || list_member_oid(tables, subject->rel->oid) ?
		EffGraphRoleLinks(subject, subject, ROLE_OWNER) : NIL;
	if (own_links != NIL)
		plan->own_links = plan_own_links(&build, own_links);
	foreach(lc, plan->tables)
		relids = lappend_oid(relids, ((PlannedTable *) lfirst(lc))->table->rel->oid);
	foreach(lc, EffGraphOrder(map, relids, EffPlanDeletes, plan, &build.broken))
		ordered = lappend(ordered, EffPlanTable(plan, lfirst_oid(lc)));
	plan->tables = ordered;

	foreach(lc, plan->tables)
		check_chain(&build, lfirst(lc));
	foreach(lc, plan->tables)
		choose_surrogates(&build, lfirst(lc));
	if (plan->own_links != NULL)
		choose_surrogates(&build, plan->own_links);

	plan_operations(&build);
	if (tables != NIL)
		check_ways(&build);
	find_conflicting_reads(&build);

	EffPlanMakeProbes(&build);
	EffPlanMakeSubjectLock(&build);
	EffPlanMakeLocks(&build);
	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->find_first)
			EffPlanMakeRowSet(&build, lfirst(lc));
	if (plan->own_links != NULL)
		EffPlanMakeRowSet(&build, plan->own_links);
	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->contested)
			EffPlanMakeClassify(&build, lfirst(lc));
	if (plan->own_links != NULL)
		EffPlanMakeClassify(&build, plan->own_links);
	foreach(lc, build.operations)
		EffPlanMakeStep(&build, lfirst(lc));
	EffPlanProbeSteps(&build);
	foreach(lc, build.broken)
	{
		BrokenEdge *edge = lfirst(lc);

		if (edge->how == BREAK_DEFER)
			plan->defer = lappend(plan->defer, edge->fk);
	}
	return plan;
}

/*
 * choose_tables takes the tables that the subject owns rows of, or those of
 * them that were asked for.  What it may merely access is none of them.
 */
static List *
choose_tables(PlanBuild *build, List *tables)
{
	MapTable   *subject = build->plan->subject;
	List	   *chosen = NIL;
	ListCell   *lc;

	if (tables == NIL)
	{
		foreach(lc, EffGraphTables(build->map, subject))
			if (lfirst(lc) == subject || EffGraphRoleLinks(lfirst(lc), subject, ROLE_OWNER) != NIL)
				chosen = lappend(chosen, lfirst(lc));
		return chosen;
	}
	foreach(lc, tables)
	{
		MapTable   *table = EffMapTable(build->map, lfirst_oid(lc));

		if (table != NULL)
			EffGraphRaiseErrors(table);
		if (table == NULL || (table != subject && EffGraphRoleLinks(table, subject, ROLE_OWNER) == NIL))
		{
			char	   *name = EffRelationDisplayName(lfirst_oid(lc));

			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 name ? errmsg("table %s holds no rows that belong to a subject of %s", name, subject->name) :
					 errmsg("relation with OID %u does not exist", lfirst_oid(lc)),
					 errhint("SELECT relation FROM effaced_subject_graph('%s') WHERE role = 'owner' lists the tables that do.",
							 subject->name),
					 errhidestmt(true)));
		}
		chosen = lappend(chosen, table);
	}
	return chosen;
}

/*
 * plan_table decides whether the rows of a table go or survive.
 */
static PlannedTable *
plan_table(PlanBuild *build, MapTable *table)
{
	PlannedTable *planned = palloc0(sizeof(PlannedTable));
	MapColumn  *keeping = NULL;
	ListCell   *lc;

	planned->table = table;
	if (table == build->plan->subject)
		planned->reads = EffScopeReads(build->map, table, NULL);
	else
	{
		planned->links = EffGraphRoleLinks(table, build->plan->subject, ROLE_OWNER);
		planned->contested = EffOwnershipContested(table, build->plan->subject);
		/* whoever reaches rows against a reference, the reference is there */
		foreach(lc, table->links)
			if (((TableLink *) lfirst(lc))->label->role == ROLE_OWNER)
				planned->reverse |= ((JoinHop *) linitial(((TableLink *) lfirst(lc))->hops))->reverse;
		/* who else owns a row must be found out before anything changes */
		planned->find_first = planned->contested;
		foreach(lc, planned->links)
		{
			TableLink  *link = lfirst(lc);

			planned->reads = list_concat(planned->reads,
										 EffScopeReads(build->map, build->plan->subject, link));
			planned->find_first |= may_slip_in(table, link);
		}
	}

	foreach(lc, table->columns)
	{
		MapColumn  *column = lfirst(lc);

		if (column->label->erasure != ERASURE_DELETE &&
			(keeping == NULL || column->label->erasure == ERASURE_RETAIN))
			keeping = column;
	}
	planned->deleted = keeping == NULL && table->fully_pii_owned;
	planned->has_set = !planned->deleted && table->label != NULL && table->label->set != NIL;
	if (planned->deleted)
		planned->why = table->label != NULL && table->label->owned ?
			"every labelled column is \"delete\" and the label says \"owned\"" :
			"every labelled column is \"delete\" and no other column but keys is left";
	else if (keeping != NULL)
		planned->why = psprintf("the row survives: column %s is \"%s\"",
								quote_identifier(keeping->column->name),
								EffErasureWord(keeping->label->erasure));
	else
		planned->why = "the row survives: it has columns that are neither labelled nor keys";
	return planned;
}

/*
 * may_slip_in: where no foreign key keeps rows from coming in, one with a
 * reference may come after those were read, and must not go unheard with them.
 */
static bool
may_slip_in(MapTable *table, TableLink *link)
{
	AttrNumber *key;
	ListCell   *lc;

	/* rows that have no key cannot be told apart; none holds across inheritance children */
	if (!EffMapHoldsRefs(table) || EffRowKey(table, &key) == 0 ||
		(table->rel->relkind != RELKIND_PARTITIONED_TABLE && list_length(table->rel->inheritors) > 1))
		return false;
	foreach(lc, link->hops)
		if (((JoinHop *) lfirst(lc))->fk == NULL)
			return true;
	return false;
}

/* plan_own_links: other rows of the subject table belong to the subject by its links. */
static PlannedTable *
plan_own_links(PlanBuild *build, List *links)
{
	PlannedTable *planned = palloc0(sizeof(PlannedTable));

	planned->table = build->plan->subject;
	planned->links = links;
	planned->why = "the rows are subjects of their own";
	planned->contested = true;
	planned->own_links = true;
	planned->find_first = true;
	return planned;
}

/*
 * choose_surrogates splits the columns of rows that survive.  Rows of a table
 * that erasure deletes from survive where others own or reference them.
 */
static void
choose_surrogates(PlanBuild *build, PlannedTable *planned)
{
	bool		survive = !planned->deleted && !planned->own_links;
	ListCell   *lc;

	if (planned->deleted && !planned->contested)
		return;
	foreach(lc, planned->table->columns)
	{
		MapColumn  *column = lfirst(lc);
		bool		tied = planned->contested && column->label->link != NULL;
		Surrogate  *surrogate;

		if (column->label->erasure == ERASURE_RETAIN)
		{
			if (survive)
				planned->retain = lappend(planned->retain, column);
			continue;
		}
		if (!survive && !tied && !planned->reverse)
			continue;
		surrogate = EffSurrogateChoose(build->map, planned->table, column);
		if (survive || tied)
		{
			check_referenced(build, planned, column);
			if (surrogate->error)
				EffMapErrorRaise(surrogate->error);
		}
		else if (surrogate->error)
		{
			/* it matters only where a row turns out to be referenced */
			planned->pinned_error = surrogate->error;
			continue;
		}
		planned->anonymize = lappend(planned->anonymize, surrogate);
	}
	foreach(lc, planned->anonymize)
		if (((Surrogate *) lfirst(lc))->kind == SURROGATE_GENERATED && survive)
			check_generated(planned, lfirst(lc));
	if (planned->has_set)
		foreach(lc, planned->table->label->set)
		{
			SetLabel   *set = lfirst(lc);
			EffColumn  *column = EffRelationColumnByName(planned->table->rel, set->column);

			if (EffMapColumn(planned->table, column->attnum) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"set\" of %s names column \"%s\", which has a label of its own",
								planned->table->name, set->column),
						 errhint("Write what the column gets as its \"surrogate\", or remove one of the two."),
						 errhidestmt(true)));
			check_set(planned, column, set->expression);
		}
}

/*
 * check_set: what is written must not depend on what the erasure changes, or
 * running it again would change it once more.
 */
static void
check_set(PlannedTable *planned, EffColumn *column, const char *text)
{
	EffRelation *rel = planned->table->rel;
	Bitmapset  *reads = EffExpressionAnalyze(rel, "t", text, column, "set")->columns;

	for (int i = 0; i < rel->ncolumns; i++)
		if (bms_is_member(rel->columns[i].attnum, reads) &&
			EffErasureChanges(planned->table, &rel->columns[i]))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("expression of label key \"set\" for column %s.%s reads column \"%s\", which the erasure changes",
							rel->name, quote_identifier(column->name), rel->columns[i].name),
					 errdetail("\"%s\" would give another value when the erasure is run again.", text),
					 errhint("Read keys and columns that erasure leaves alone."),
					 errhidestmt(true)));
}

/* check_generated: a generated column is anonymized through what it is made of. */
static void
check_generated(PlannedTable *planned, Surrogate *surrogate)
{
	EffColumn  *column = surrogate->column->column;
	Bitmapset  *attnums = generated_from(planned->table->rel, column);
	bool		covered = false;
	ListCell   *lc;

	foreach(lc, planned->anonymize)
	{
		Surrogate  *other = lfirst(lc);

		covered |= other->kind != SURROGATE_GENERATED &&
			bms_is_member(other->column->column->attnum, attnums);
	}
	if (!covered)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("generated column %s.%s cannot be anonymized",
						planned->table->name, quote_identifier(column->name)),
				 errdetail("None of the columns that it is generated from is anonymized."),
				 errhint("Label the columns that it is generated from."),
				 errhidestmt(true)));
}

/* check_referenced: what a foreign key points at must keep its value. */
static void
check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column)
{
	ListCell   *lc;

	foreach(lc, planned->table->rel->inheritors)
	{
		EffRelation *part = EffMapLoad(build->map, lfirst_oid(lc));
		ListCell   *lc2;

		foreach(lc2, EffMapRelation(build->map, part->oid)->referenced_by)
		{
			ForeignKey *fk = lfirst(lc2);

			for (int i = 0; i < fk->nkeys; i++)
				if (strcmp(EffRelationColumn(part, fk->target_columns[i])->name, column->column->name) == 0)
					ereport(ERROR,
							(errcode(ERRCODE_EFF_MANIFEST),
							 errmsg("column %s.%s is referenced by a foreign key and must be \"retain\"",
									planned->table->name, quote_identifier(column->column->name)),
							 errdetail("The row survives erasure, and constraint %s of %s references the column.",
									   quote_identifier(fk->name), EffRelationDisplayName(fk->relid)),
							 errhint("Label it \"erasure\": \"retain\" with a reason, or remove the label."),
							 errhidestmt(true)));
		}
	}
}

/*
 * check_chain: rows that survive must not hang from rows that go.
 */
static void
check_chain(PlanBuild *build, PlannedTable *planned)
{
	ListCell   *lc;

	if (planned->deleted)
		return;
	foreach(lc, planned->links)
	{
		TableLink  *link = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, link->hops)
		{
			JoinHop    *hop = lfirst(lc2);
			MapColumn  *retained = NULL;
			ListCell   *lc3;

			if (hop->reverse || !EffPlanDeletes(hop->target->oid, build->plan))
				continue;
			foreach(lc3, planned->table->columns)
				if (retained == NULL && ((MapColumn *) lfirst(lc3))->label->erasure == ERASURE_RETAIN)
					retained = lfirst(lc3);
			if (retained != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_RETENTION),
						 errmsg("rows of %s must be kept, but hang from rows of %s, which are deleted",
								planned->table->name, hop->target->name),
						 errdetail("Column %s is retained: %s.",
								   quote_identifier(retained->column->name), retained->label->retention->reason),
						 errhint("Let the rows of %s survive: give one of its columns \"erasure\": \"anonymize\".",
								 hop->target->name),
						 errhidestmt(true)));
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("rows of %s survive, but hang from rows of %s, which are deleted",
							planned->table->name, hop->target->name),
					 errdetail("Table %s: %s.", planned->table->name, planned->why),
					 errhint("Label the remaining columns of %s or mark it \"owned\": true, or let the rows of %s survive.",
							 planned->table->name, hop->target->name),
					 errhidestmt(true)));
		}
	}
}

/* EffPlanDeletes tells whether the plan deletes rows of a relation or of its parent. */
bool
EffPlanDeletes(Oid relid, void *arg)
{
	ErasurePlan *plan = arg;
	ListCell   *lc;

	foreach(lc, plan->tables)
	{
		PlannedTable *planned = lfirst(lc);

		/* of most tables there is but the one relation */
		if (planned->table->rel->oid == relid ||
			(list_length(planned->table->rel->inheritors) > 1 &&
			 list_member_oid(planned->table->rel->inheritors, relid)))
			return planned->deleted;
	}
	return false;
}

/*
 * plan_operations lists the statements in the order in which they run.
 */
static void
plan_operations(PlanBuild *build)
{
	ErasurePlan *plan = build->plan;
	ListCell   *lc;
	List	   *sorted = NIL;

	foreach(lc, plan->tables)
	{
		PlannedTable *target = lfirst(lc);
		ListCell   *lc2;

		if (!target->deleted)
			continue;
		foreach(lc2, target->table->rel->inheritors)
		{
			ListCell   *lc3;

			foreach(lc3, EffMapRelation(build->map, lfirst_oid(lc2))->referenced_by)
			{
				ForeignKey *fk = lfirst(lc3);

				/* the caller may have deferred it, too */
				if (fk->deferrable && !fk->namesake)
					plan->check_now = lappend(plan->check_now, fk);
				EffPlanReference(build, target, fk);
			}
		}
	}
	if (plan->restricted == NIL)
		EffPlanDetachAccessors(build);
	foreach(lc, build->broken)
	{
		BrokenEdge *edge = lfirst(lc);
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

	foreach(lc, plan->tables)
	{
		PlannedTable *planned = lfirst(lc);

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

	foreach(lc, build->operations)
	{
		PlannedOperation *operation = lfirst(lc);
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
					EffRelation *whole = EffMapTableOver(build->map, part->oid)->rel;

					operation->changes = whole->oid;
					foreach(lc2, operation->set_null)
					{
						EffColumn  *column = EffRelationColumnByName(whole,
																	 EffRelationColumn(part, lfirst_int(lc2))->name);

						if (column != NULL)
							operation->columns = bms_add_member(operation->columns, column->attnum);
					}
				}
				break;
			case STEP_ANONYMIZE:
				operation->changes = operation->planned->table->rel->oid;
				foreach(lc2, operation->planned->anonymize)
					operation->columns = bms_add_member(operation->columns,
														((Surrogate *) lfirst(lc2))->column->column->attnum);
				if (operation->planned->has_set)
					foreach(lc2, operation->planned->table->label->set)
					{
						EffColumn  *column = EffRelationColumnByName(operation->planned->table->rel,
																	 ((SetLabel *) lfirst(lc2))->column);

						if (column != NULL)
							operation->columns = bms_add_member(operation->columns, column->attnum);
					}
				break;
			case STEP_SHARED:
				operation->changes = operation->planned->table->rel->oid;
				foreach(lc2, operation->planned->anonymize)
				{
					MapColumn  *column = ((Surrogate *) lfirst(lc2))->column;

					if (column->label->link != NULL)
						operation->columns = bms_add_member(operation->columns, column->column->attnum);
				}
				foreach(lc2, operation->planned->links)
				{
					ListCell   *lc3;

					foreach(lc3, EffPlanLinkReference(build->map, lfirst(lc2)))
						operation->columns = bms_add_member(operation->columns, lfirst_int(lc3));
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
		if (rel->columns[i].generated && bms_overlap(generated_from(rel, &rel->columns[i]), operation->columns))
			operation->columns = bms_add_member(operation->columns, rel->columns[i].attnum);
}

/* generated_from gives the attnums that the expression of a generated column reads, none of which is generated. */
static Bitmapset *
generated_from(EffRelation *rel, EffColumn *column)
{
	Relation	relation = table_open(rel->oid, AccessShareLock);
	Bitmapset  *read = NULL;
	Bitmapset  *attnums = NULL;
	int			member = -1;

	pull_varattnos(build_column_default(relation, column->attnum), 1, &read);
	table_close(relation, AccessShareLock);
	while ((member = bms_next_member(read, member)) >= 0)
		if (member + FirstLowInvalidHeapAttributeNumber > 0)
			attnums = bms_add_member(attnums, member + FirstLowInvalidHeapAttributeNumber);
	return attnums;
}

/*
 * check_ways: a restricted run must not cut the way to what it leaves, or no
 * later one would find it.  A foreign key along the way stops that by itself.
 */
static void
check_ways(PlanBuild *build)
{
	for (int i = 0; i < build->map->ntables; i++)
	{
		MapTable   *table = build->map->tables[i];
		ListCell   *lc;
		ListCell   *lc2;

		if (table == build->plan->subject || EffPlanTable(build->plan, table->rel->oid) != NULL)
			continue;
		foreach(lc, EffGraphRoleLinks(table, build->plan->subject, ROLE_OWNER))
			foreach(lc2, ((TableLink *) lfirst(lc))->hops)
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
	ListCell   *lc;

	foreach(lc, build->operations)
	{
		PlannedOperation *operation = lfirst(lc);

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
 * find_conflicting_reads marks the tables whose rows could no longer be found
 * when their turn comes: an earlier statement, or their own before it is
 * checked, changes what finding them reads.
 */
static void
find_conflicting_reads(PlanBuild *build)
{
	List	   *changes = NIL;	/* of PlannedOperation */
	ListCell   *lc;

	foreach(lc, build->operations)
	{
		PlannedOperation *operation = lfirst(lc);

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
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, changes)
	{
		PlannedOperation *change = lfirst(lc);

		foreach(lc2, reads)
		{
			ScopeRead  *read = lfirst(lc2);

			if (read->relid == change->changes &&
				(change->columns == NULL || bms_overlap(read->attnums, change->columns)))
				return true;
		}
	}
	return false;
}

