/*
 * plan.c
 *	  From the data map to the steps of an erasure, or to the conflict that
 *	  forbids it.
 */
#include "postgres.h"

#include "plan.h"
#include "expression.h"
#include "scope.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

/* One statement to be, while the order of changes is worked out */
typedef struct PlannedOperation
{
	StepStrategy strategy;
	PlannedTable *planned;		/* whose rows it looks up */
	ForeignKey *fk;				/* of detaches, blockers and side effects */
	PlannedTable *outside;		/* rows of this table stay out, or NULL */
	bool		breaks_cycle;
	Oid			changes;		/* relation written to, or invalid */
	Bitmapset  *columns;		/* what it writes; NULL where rows go */
	List	   *set_null;		/* of int: columns of a detach */
} PlannedOperation;

typedef struct PlanBuild
{
	DataMap    *map;
	ErasurePlan *plan;
	List	   *operations;		/* of PlannedOperation, in order */
	List	   *broken;			/* of BrokenEdge */
} PlanBuild;

static void append_scope(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan,
						 PlannedTable *planned, bool with_where);
static ErasurePlan *build_plan(DataMap *map, MapTable *subject, List *tables);
static List *choose_tables(PlanBuild *build, List *tables);
static PlannedTable *plan_table(PlanBuild *build, MapTable *table);
static void choose_surrogates(PlanBuild *build, PlannedTable *planned);
static void check_generated(PlannedTable *planned, Surrogate *surrogate);
static void check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column);
static void check_chain(PlanBuild *build, PlannedTable *planned);
static bool is_deleted(Oid relid, void *plan);
static void plan_reference(PlanBuild *build, PlannedTable *target, ForeignKey *fk);
static bool chain_covers(PlannedTable *source, PlannedTable *target, ForeignKey *fk);
static bool writes_retained(PlannedTable *source, const AttrNumber *columns, int n);
static void plan_operations(PlanBuild *build);
static PlannedOperation *add_operation(PlanBuild *build, StepStrategy strategy, PlannedTable *planned);
static void find_conflicting_reads(PlanBuild *build);
static bool reads_changed(List *reads, List *changes);
static void make_rowset(PlanBuild *build, PlannedTable *planned);
static void make_locks(PlanBuild *build);
static void make_step(PlanBuild *build, PlannedOperation *operation);
static void make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static void make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static void make_retain(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static void make_reference_step(PlanBuild *build, ErasureStep *step, PlannedOperation *operation);
static char *residual_condition(PlannedTable *planned, Statement *st);
static char *set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression);
static void append_reference(PlanBuild *build, Statement *st, PlannedTable *planned, ForeignKey *fk);
static const char *action_word(char action);

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
	if (planned->rows != NULL)
		EffScopeRows(st, alias, planned->rows);
	else
		append_scope(map, st, alias, plan, planned, true);
}

/*
 * EffPlanVerifyStatement makes the count of what is left in a table.  Rows
 * that a "where" of the table's links leaves out are reached, but excluded.
 */
Statement *
EffPlanVerifyStatement(DataMap *map, ErasurePlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	MemoryContext previous;
	EffBracket	bracket;
	Statement  *st;
	char	   *residual = "true";
	StringInfoData where;
	RowSet	   *rows = planned->rows;
	ListCell   *lc;

	if (planned->verify != NULL)
		return planned->verify;
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(plan));
	EffPinBegin(&bracket);
	st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	if (!planned->deleted)
	{
		residual = residual_condition(planned, st);
		if (residual == NULL)
			residual = "false";
	}
	initStringInfo(&where);
	foreach(lc, planned->links)
	{
		TableLink  *link = lfirst(lc);

		appendStringInfo(&where, "%s(%s)", foreach_current_index(lc) > 0 ? " OR " : "",
						 link->label->where == NULL ? "true" :
						 EffExpressionAnalyze(rel, "t", link->label->where, NULL, "where")->sql);
	}
	if (where.len == 0)
		appendStringInfoString(&where, "true");
	appendStringInfo(&st->text,
					 "SELECT pg_catalog.count(*) FILTER (WHERE (%s) AND (%s)),"
					 " pg_catalog.count(*) FILTER (WHERE %s AND (%s)),"
					 " pg_catalog.count(*) FILTER (WHERE (%s) IS NOT TRUE) FROM %s t WHERE ",
					 where.data, residual, planned->deleted ? "false" : "true", where.data,
					 where.data, rel->sql);
	planned->rows = NULL;		/* nothing is changed between finding and counting */
	append_scope(map, st, "t", plan, planned, false);
	planned->rows = rows;
	EffPinEnd(&bracket);
	MemoryContextSwitchTo(previous);
	planned->verify = st;
	return st;
}

List *
EffPlanTablesArgument(FunctionCallInfo fcinfo, int argno)
{
	List	   *tables = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(argno))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argno), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			tables = lappend_oid(tables, DatumGetObjectId(elements[i]));
	if (tables == NIL || list_length(tables) != n)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("tables must name at least one table and hold no NULL"),
				 errhint("Leave the argument out to erase from all tables.")));
	return tables;
}

static ErasurePlan *
build_plan(DataMap *map, MapTable *subject, List *tables)
{
	ErasurePlan *plan = palloc0(sizeof(ErasurePlan));
	PlanBuild	build = {.map = map, .plan = plan};
	List	   *relids = NIL;
	List	   *ordered = NIL;
	ListCell   *lc;

	plan->subject = subject;
	plan->restricted = tables;

	foreach(lc, choose_tables(&build, tables))
		plan->tables = lappend(plan->tables, plan_table(&build, lfirst(lc)));
	foreach(lc, plan->tables)
		relids = lappend_oid(relids, ((PlannedTable *) lfirst(lc))->table->rel->oid);
	foreach(lc, EffGraphOrder(map, relids, is_deleted, plan, &build.broken))
		ordered = lappend(ordered, EffPlanTable(plan, lfirst_oid(lc)));
	plan->tables = ordered;

	foreach(lc, plan->tables)
		check_chain(&build, lfirst(lc));
	foreach(lc, plan->tables)
		choose_surrogates(&build, lfirst(lc));

	plan_operations(&build);
	find_conflicting_reads(&build);

	plan->lock_subject = EffStatementNew(SPI_OK_SELECT, "locking rows of", subject->rel);
	appendStringInfo(&plan->lock_subject->text, "SELECT FROM %s t WHERE ", subject->rel->sql);
	EffScopeSubject(map, plan->lock_subject, "t", subject);
	appendStringInfoString(&plan->lock_subject->text, " ORDER BY ");
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&plan->lock_subject->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", subject->rel, subject->key[i]));
	appendStringInfoString(&plan->lock_subject->text, " FOR UPDATE");

	make_locks(&build);
	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->find_first)
			make_rowset(&build, lfirst(lc));
	foreach(lc, build.operations)
		make_step(&build, lfirst(lc));
	foreach(lc, build.broken)
	{
		BrokenEdge *edge = lfirst(lc);

		if (edge->how == BREAK_DEFER)
			plan->defer = lappend(plan->defer, edge->fk);
	}
	return plan;
}

/* append_scope: rows that any owner link reaches, with or without the links' own "where". */
static void
append_scope(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan,
			 PlannedTable *planned, bool with_where)
{
	ListCell   *lc;

	if (planned->table == plan->subject)
	{
		EffScopeSubject(map, st, alias, plan->subject);
		return;
	}
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, list_length(planned->links) == 1 ? "" :
							   foreach_current_index(lc) == 0 ? "(" : " OR ");
		if (with_where)
			EffScopeLink(map, st, alias, lfirst(lc), 0);
		else
			EffScopeReach(map, st, alias, lfirst(lc));
	}
	if (list_length(planned->links) > 1)
		appendStringInfoChar(&st->text, ')');
}

/* choose_tables takes the subject's tables, or those of them that were asked for. */
static List *
choose_tables(PlanBuild *build, List *tables)
{
	MapTable   *subject = build->plan->subject;
	List	   *chosen = NIL;
	ListCell   *lc;

	if (tables == NIL)
		return EffGraphTables(build->map, subject);
	foreach(lc, tables)
	{
		MapTable   *table = EffMapTable(build->map, lfirst_oid(lc));

		if (table != NULL)
			EffGraphRaiseErrors(table);
		if (table == NULL || (table != subject && EffGraphLinks(table, subject) == NIL))
		{
			char	   *name = EffRelationDisplayName(lfirst_oid(lc));

			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 name ? errmsg("table %s does not belong to subject table %s", name, subject->name) :
					 errmsg("relation with OID %u does not exist", lfirst_oid(lc)),
					 errhint("SELECT relation FROM effaced_subject_graph('%s') lists the tables that do.",
							 subject->name)));
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
	foreach(lc, EffGraphLinks(table, build->plan->subject))
	{
		TableLink  *link = lfirst(lc);

		if (link->label->role == ROLE_OWNER)
			planned->links = lappend(planned->links, link);
		planned->reads = list_concat(planned->reads, EffScopeReads(build->map, build->plan->subject, link));
	}
	if (table == build->plan->subject)
		planned->reads = EffScopeReads(build->map, table, NULL);

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

/* choose_surrogates splits the columns of a surviving row. */
static void
choose_surrogates(PlanBuild *build, PlannedTable *planned)
{
	ListCell   *lc;

	if (planned->deleted)
		return;
	foreach(lc, planned->table->columns)
	{
		MapColumn  *column = lfirst(lc);
		Surrogate  *surrogate;

		if (column->label->erasure == ERASURE_RETAIN)
		{
			planned->retain = lappend(planned->retain, column);
			continue;
		}
		check_referenced(build, planned, column);
		surrogate = EffSurrogateChoose(build->map, planned->table, column);
		if (surrogate->error)
			EffMapErrorRaise(surrogate->error);
		planned->anonymize = lappend(planned->anonymize, surrogate);
	}
	foreach(lc, planned->anonymize)
		if (((Surrogate *) lfirst(lc))->kind == SURROGATE_GENERATED)
			check_generated(planned, lfirst(lc));
}

/* check_generated: a generated column is anonymized through what it is made of. */
static void
check_generated(PlannedTable *planned, Surrogate *surrogate)
{
	EffColumn  *column = surrogate->column->column;
	Relation	relation = table_open(planned->table->rel->oid, AccessShareLock);
	Bitmapset  *attnums = NULL;
	bool		covered = false;
	ListCell   *lc;

	pull_varattnos(build_column_default(relation, column->attnum), 1, &attnums);
	table_close(relation, AccessShareLock);
	foreach(lc, planned->anonymize)
	{
		Surrogate  *other = lfirst(lc);

		covered |= other->kind != SURROGATE_GENERATED &&
			bms_is_member(other->column->column->attnum - FirstLowInvalidHeapAttributeNumber, attnums);
	}
	if (!covered)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("generated column %s.%s cannot be anonymized",
						planned->table->name, quote_identifier(column->name)),
				 errdetail("None of the columns that it is generated from is anonymized."),
				 errhint("Label the columns that it is generated from.")));
}

/* check_referenced: what a foreign key points at must keep its value. */
static void
check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column)
{
	ListCell   *lc;

	foreach(lc, EffMapRelation(build->map, planned->table->rel->oid)->referenced_by)
	{
		ForeignKey *fk = lfirst(lc);

		for (int i = 0; i < fk->nkeys; i++)
			if (fk->target_columns[i] == column->column->attnum)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("column %s.%s is referenced by a foreign key and must be \"retain\"",
								planned->table->name, quote_identifier(column->column->name)),
						 errdetail("The row survives erasure, and constraint %s of %s references the column.",
								   quote_identifier(fk->name), EffRelationDisplayName(fk->relid)),
						 errhint("Label it \"erasure\": \"retain\" with a reason, or remove the label.")));
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

			if (hop->reverse || !is_deleted(hop->target->oid, build->plan))
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
								 hop->target->name)));
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("rows of %s survive, but hang from rows of %s, which are deleted",
							planned->table->name, hop->target->name),
					 errdetail("Table %s: %s.", planned->table->name, planned->why),
					 errhint("Label the remaining columns of %s or mark it \"owned\": true, or let the rows of %s survive.",
							 planned->table->name, hop->target->name)));
		}
	}
}

/* is_deleted tells whether the plan deletes rows of a relation or of its parent. */
static bool
is_deleted(Oid relid, void *arg)
{
	ErasurePlan *plan = arg;
	ListCell   *lc;

	foreach(lc, plan->tables)
	{
		PlannedTable *planned = lfirst(lc);

		if (list_member_oid(planned->table->rel->inheritors, relid))
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

				if (fk->initially_deferred)
					plan->check_now = lappend(plan->check_now, fk);
				plan_reference(build, target, fk);
			}
		}
	}
	foreach(lc, build->broken)
	{
		BrokenEdge *edge = lfirst(lc);
		PlannedOperation *operation;

		if (edge->how != BREAK_NULL)
			continue;
		operation = add_operation(build, STEP_DETACH,
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

		if (planned->deleted)
			(void) add_operation(build, STEP_DELETE, planned);
		else
		{
			if (planned->anonymize != NIL || planned->has_set)
				(void) add_operation(build, STEP_ANONYMIZE, planned);
			if (planned->retain != NIL)
				(void) add_operation(build, STEP_RETAIN, planned);
		}
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
			default:
				break;
		}
	}
}

static PlannedOperation *
add_operation(PlanBuild *build, StepStrategy strategy, PlannedTable *planned)
{
	PlannedOperation *operation = palloc0(sizeof(PlannedOperation));

	operation->strategy = strategy;
	operation->planned = planned;
	build->operations = lappend(build->operations, operation);
	return operation;
}

/*
 * plan_reference decides what a foreign key into rows that go means: nothing,
 * a detach, a side effect, a blocker, or a conflict.
 */
static void
plan_reference(PlanBuild *build, PlannedTable *target, ForeignKey *fk)
{
	MapTable   *table = EffMapTableOver(build->map, fk->relid);
	PlannedTable *source = table ? EffPlanTable(build->plan, table->rel->oid) : NULL;
	PlannedOperation *operation;
	List	   *columns;
	AttrNumber *written;
	int			n = 0;
	ListCell   *lc;

	if (source != NULL && chain_covers(source, target, fk))
		return;

	if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
	{
		if (source == NULL || !source->deleted)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RETENTION),
					 errmsg("deleting from %s would cascade into %s, which the plan %s",
							target->table->name, EffRelationDisplayName(fk->relid),
							source == NULL ? "does not know" : "keeps"),
					 errdetail("Constraint %s is ON DELETE CASCADE.", quote_identifier(fk->name)),
					 source == NULL ?
					 errhint("Label %s, or change the constraint's action.", EffRelationDisplayName(fk->relid)) :
					 errhint("Let the rows of %s survive, or change the constraint's action.", target->table->name)));
		operation = add_operation(build, STEP_BLOCKER, target);
		operation->fk = fk;
		operation->outside = source;
		return;
	}

	columns = EffDetachColumns(build->map, fk);
	written = palloc(sizeof(AttrNumber) * fk->nkeys);
	if (fk->on_delete == FKCONSTR_ACTION_SETNULL || fk->on_delete == FKCONSTR_ACTION_SETDEFAULT)
	{
		n = fk->nset > 0 ? fk->nset : fk->nkeys;
		memcpy(written, fk->nset > 0 ? fk->set_columns : fk->columns, sizeof(AttrNumber) * n);
		operation = add_operation(build, source != NULL && !source->deleted && writes_retained(source, written, n) ?
								  STEP_BLOCKER : STEP_SIDE_EFFECT, target);
	}
	else
	{
		foreach(lc, columns)
			written[n++] = lfirst_int(lc);
		operation = add_operation(build,
								  source == NULL || columns == NIL ||
								  (!source->deleted && writes_retained(source, written, n)) ?
								  STEP_BLOCKER : STEP_DETACH, target);
		operation->set_null = columns;
	}
	operation->fk = fk;
	operation->outside = source != NULL && source->deleted ? source : NULL;
}

/*
 * chain_covers: where the only link of a table that goes runs by this very
 * foreign key through the rows that go, no row outside can reference them.
 */
static bool
chain_covers(PlannedTable *source, PlannedTable *target, ForeignKey *fk)
{
	TableLink  *link;
	JoinHop    *first;

	if (!source->deleted || list_length(source->links) != 1 ||
		list_length(source->table->links) != 1 || source == target)
		return false;
	link = linitial(source->links);
	first = linitial(link->hops);
	if (first->fk != fk || first->reverse || link->label->where != NULL ||
		first->target != target->table->rel)
		return false;
	if (target->links == NIL)
		return list_length(link->hops) == 1;
	return list_length(target->links) == 1 && EffScopeSameHops(link, 1, linitial(target->links));
}

static bool
writes_retained(PlannedTable *source, const AttrNumber *columns, int n)
{
	for (int i = 0; i < n; i++)
	{
		MapColumn  *column = EffMapColumn(source->table, columns[i]);

		if (column != NULL && column->label->erasure == ERASURE_RETAIN)
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

/* make_rowset finds and locks the rows of a table by their key, before anything changes. */
static void
make_rowset(PlanBuild *build, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	RowSet	   *rows = palloc0(sizeof(RowSet));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding rows of", rel);

	rows->id = list_length(build->plan->rowsets);
	rows->rel = rel;
	rows->nkey = EffRowKey(planned->table, &rows->key);
	if (rows->nkey == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("table %s needs a key that erasure does not change", rel->name),
				 errdetail("Its rows must be found before a column that its path joins on is changed."),
				 errhint("Give it a primary key.")));
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql("t", rel, rows->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", rel->sql);
	EffPlanScope(build->map, st, "t", build->plan, planned);
	appendStringInfoString(&st->text, " FOR UPDATE");
	rows->select = st;
	planned->rows = rows;
	build->plan->rowsets = lappend(build->plan->rowsets, rows);
}

/*
 * make_locks: where rows survive that children hang from, they are locked from
 * the subject outward, so that no child slips in unseen.
 */
static void
make_locks(PlanBuild *build)
{
	List	   *locks = NIL;
	ListCell   *lc;
	int			depth = 1;
	bool		more = true;

	for (; more; depth++)
	{
		more = false;
		foreach(lc, build->plan->tables)
		{
			PlannedTable *planned = lfirst(lc);
			ListCell   *lc2;

			foreach(lc2, planned->links)
			{
				TableLink  *link = lfirst(lc2);
				int			i = list_length(link->hops) - depth;
				JoinHop    *hop;
				Statement  *st;
				ListCell   *lc3;
				bool		known = false;

				if (i < 1)
					continue;
				more = true;
				hop = list_nth(link->hops, i - 1);
				if (hop->fk == NULL || hop->reverse || is_deleted(hop->target->oid, build->plan))
					continue;
				st = EffStatementNew(SPI_OK_SELECT, "locking rows of", hop->target);
				appendStringInfo(&st->text, "SELECT FROM %s t WHERE ", hop->target->sql);
				EffScopeLink(build->map, st, "t", link, i);
				appendStringInfoString(&st->text, " FOR UPDATE");
				foreach(lc3, locks)
					known |= strcmp(((Statement *) lfirst(lc3))->text.data, st->text.data) == 0;
				if (!known)
					locks = lappend(locks, st);
			}
		}
	}
	build->plan->locks = locks;
}

static void
make_step(PlanBuild *build, PlannedOperation *operation)
{
	ErasureStep *step = palloc0(sizeof(ErasureStep));
	PlannedTable *planned = operation->planned;

	step->strategy = operation->strategy;
	step->rel = planned->table->rel;
	step->planned = planned;
	if (list_length(planned->links) == 1)
		step->link = ((TableLink *) linitial(planned->links))->name;
	switch (operation->strategy)
	{
		case STEP_DELETE:
			make_delete(build, step, planned);
			break;
		case STEP_ANONYMIZE:
			make_anonymize(build, step, planned);
			break;
		case STEP_RETAIN:
			make_retain(build, step, planned);
			break;
		default:
			make_reference_step(build, step, operation);
			break;
	}
	build->plan->steps = lappend(build->plan->steps, step);
	if (step->statement != NULL)
	{
		ListCell   *lc;

		foreach(lc, step->statement->params)
			build->plan->uses_secret |= ((StatementParam *) lfirst(lc))->kind == PARAM_SECRET;
	}
}

static void
make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;

	step->reason = planned->why;
	step->statement = EffStatementNew(SPI_OK_DELETE, "deletion from", rel);
	appendStringInfo(&step->statement->text, "DELETE FROM %s t WHERE ", rel->sql);
	EffPlanScope(build->map, step->statement, "t", build->plan, planned);
	if (rel->has_triggers)
	{
		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
		EffPlanScope(build->map, step->check, "t", build->plan, planned);
	}
}

/*
 * make_anonymize writes surrogates and "set" in one statement, into the rows
 * that still hold something.
 */
static void
make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
	StringInfoData pending;
	const char *comma = "";
	const char *residual;
	ListCell   *lc;

	initStringInfo(&pending);
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach(lc, planned->anonymize)
	{
		Surrogate  *surrogate = lfirst(lc);
		EffColumn  *column = surrogate->column->column;
		char	   *sql;

		step->columns = lappend(step->columns, column->name);
		if (surrogate->kind == SURROGATE_GENERATED)
			continue;
		sql = EffSurrogateSql(surrogate, st, "t");
		/* a NULL stays NULL */
		if (!column->not_null && surrogate->kind != SURROGATE_NULL)
			sql = psprintf("CASE WHEN %s IS NOT NULL THEN %s END",
						   EffColumnSql("t", rel, column->attnum), sql);
		appendStringInfo(&st->text, "%s%s = %s", comma, quote_identifier(column->name), sql);
		comma = ", ";
	}
	if (planned->has_set)
		foreach(lc, planned->table->label->set)
		{
			SetLabel   *set = lfirst(lc);
			EffColumn  *column = EffRelationColumnByName(rel, set->column);
			EffExpression *expression;

			if (column == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"set\" of %s names the unknown column \"%s\"", rel->name, set->column),
						 errhint("Write the label anew: SECURITY LABEL FOR effaced ON TABLE %s IS '...';", rel->sql)));
			if (EffMapColumn(planned->table, column->attnum) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"set\" of %s names column \"%s\", which has a label of its own",
								rel->name, set->column),
						 errhint("Write what the column gets as its \"surrogate\", or remove one of the two.")));
			expression = EffExpressionAnalyze(rel, "t", set->expression, column, "set");
			step->columns = lappend(step->columns, column->name);
			appendStringInfo(&st->text, "%s%s = %s", comma, quote_identifier(column->name), expression->sql);
			appendStringInfo(&pending, " OR %s", set_condition(rel, column, expression));
			comma = ", ";
		}
	appendStringInfoString(&st->text, " WHERE ");
	EffPlanScope(build->map, st, "t", build->plan, planned);
	residual = residual_condition(planned, st);
	appendStringInfo(&st->text, " AND (%s%s)",
					 residual ? residual : pending.data + strlen(" OR "),
					 residual ? pending.data : "");
	step->statement = st;
	step->reason = planned->why;

	if (rel->has_triggers && residual != NULL)
	{
		step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
		appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
		EffPlanScope(build->map, step->check, "t", build->plan, planned);
		appendStringInfo(&step->check->text, " AND (%s)", residual_condition(planned, step->check));
	}
}

static void
make_retain(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	StringInfoData reason;
	ListCell   *lc;

	initStringInfo(&reason);
	foreach(lc, planned->retain)
	{
		MapColumn  *column = lfirst(lc);
		char	   *one = psprintf("%s (%s)", column->label->retention->reason, column->label->retention->basis);

		step->columns = lappend(step->columns, column->column->name);
		if (strstr(reason.data, one) == NULL)
			appendStringInfo(&reason, "%s%s", reason.len > 0 ? "; " : "kept: ", one);
	}
	step->reason = reason.data;
	step->statement = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	appendStringInfo(&step->statement->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	EffPlanScope(build->map, step->statement, "t", build->plan, planned);
}

/*
 * make_reference_step: rows that reference what goes are counted, detached, or
 * left to the foreign key's own action.
 */
static void
make_reference_step(PlanBuild *build, ErasureStep *step, PlannedOperation *operation)
{
	ForeignKey *fk = operation->fk;
	EffRelation *rel = EffMapLoad(build->map, fk->relid);
	Statement  *st;
	ListCell   *lc;

	step->rel = rel;
	step->fk = fk;
	step->link = NULL;
	for (int i = 0; i < fk->nkeys; i++)
		step->columns = lappend(step->columns, EffRelationColumn(rel, fk->columns[i])->name);
	if (operation->strategy == STEP_SIDE_EFFECT)
	{
		step->reason = psprintf("constraint %s is ON DELETE %s", quote_identifier(fk->name), action_word(fk->on_delete));
		return;
	}
	if (operation->strategy == STEP_BLOCKER)
	{
		st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
		appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
		append_reference(build, st, operation->planned, fk);
		step->reason = psprintf("rows that reference %s by %s (ON DELETE %s) %sstop the erasure",
								operation->planned->table->name, quote_identifier(fk->name),
								action_word(fk->on_delete), operation->outside ? "and are not the subject's " : "");
	}
	else
	{
		st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
		appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
		step->columns = NIL;
		foreach(lc, operation->set_null)
		{
			EffColumn  *column = EffRelationColumn(rel, lfirst_int(lc));

			step->columns = lappend(step->columns, column->name);
			appendStringInfo(&st->text, "%s%s = NULL", foreach_current_index(lc) > 0 ? ", " : "",
							 quote_identifier(column->name));
		}
		appendStringInfoString(&st->text, " WHERE ");
		if (operation->breaks_cycle)
		{
			EffPlanScope(build->map, st, "t", build->plan, operation->planned);
			appendStringInfo(&st->text, " AND %s IS NOT NULL",
							 EffColumnSql("t", rel, linitial_int(operation->set_null)));
			step->reason = psprintf("the reference %s is part of a cycle of foreign keys", quote_identifier(fk->name));
		}
		else
		{
			append_reference(build, st, operation->planned, fk);
			step->reason = psprintf("rows that stay reference rows of %s that go, by %s",
									operation->planned->table->name, quote_identifier(fk->name));
		}
	}
	if (operation->outside != NULL)
	{
		appendStringInfoString(&st->text, " AND (");
		EffPlanScope(build->map, st, "t", build->plan, operation->outside);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	step->statement = st;
}

/* append_reference: the row references a row of a planned table. */
static void
append_reference(PlanBuild *build, Statement *st, PlannedTable *planned, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(build->map, fk->relid);
	MapTable   *subject = build->plan->subject;
	EffRelation *target = EffMapLoad(build->map, fk->target);
	char	   *inner;

	if (planned->table == subject && target == subject->rel && planned->rows == NULL &&
		subject->label->subject_where == NULL && EffScopeIsKey(subject, fk->target_columns, fk->nkeys))
	{
		EffScopeKey(st, "t", rel, fk->columns, subject, fk->target_columns, fk->nkeys);
		return;
	}
	inner = EffStatementAlias(st);
	EffScopeJoinBegin(st, "t", rel, fk->columns, inner, target, fk->target_columns, fk->nkeys);
	EffPlanScope(build->map, st, inner, build->plan, planned);
	appendStringInfoChar(&st->text, ')');
}

/* residual_condition: some column still holds a value; NULL where none can. */
static char *
residual_condition(PlannedTable *planned, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, planned->anonymize)
	{
		char	   *sql = EffSurrogateResidualSql(lfirst(lc), st, "t");

		if (sql != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", sql);
	}
	return buf.len > 0 ? buf.data : NULL;
}

/* set_condition: "set" is still to be done; a moving expression is done once it is not NULL. */
static char *
set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);
	const char *schema;

	if (!expression->immutable)
		return psprintf("%s IS NULL", value);
	if (expression->is_null)
		return psprintf("%s IS NOT NULL", value);
	if (!OidIsValid(lookup_type_cache(getBaseType(column->type), TYPECACHE_EQ_OPR)->eq_opr))
		return psprintf("%s::text IS DISTINCT FROM (%s)::text", value, expression->sql);
	if ((schema = EffForeignEquality(column->type)) != NULL)
		return psprintf("(%s OPERATOR(%s.=) (%s)) IS NOT TRUE", value, schema, expression->sql);
	return psprintf("%s IS DISTINCT FROM (%s)", value, expression->sql);
}

static const char *
action_word(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_CASCADE:
			return "CASCADE";
		case FKCONSTR_ACTION_SETNULL:
			return "SET NULL";
		case FKCONSTR_ACTION_SETDEFAULT:
			return "SET DEFAULT";
		case FKCONSTR_ACTION_RESTRICT:
			return "RESTRICT";
		default:
			return "NO ACTION";
	}
}
