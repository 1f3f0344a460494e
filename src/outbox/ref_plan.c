/*
 * ref_plan.c
 *	  Writes the statements that read references out of columns with "ref".
 */
#include "postgres.h"

#include "outbox/ref_plan.h"
#include "outbox/refs.h"
#include "plan/ownership.h"
#include "plan/plan.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* What tells one plan of a map from another */
typedef struct RefKey
{
	MapTable   *subject;
	RefOwner	owner;
} RefKey;

typedef struct RefPlan
{
	RequestPlan base;
	RefOwner	owner;
} RefPlan;

/* The writing of a plan's references */
typedef struct RefBuild
{
	DataMap    *map;
	RequestPlan *plan;
	RefOwner	owner;
} RefBuild;

static bool is_plan_of(const void *entry, const void *key);
static void *build_plan(DataMap *map, const void *key);
static void reference_too_long(MapTable *table, MapColumn *column) pg_attribute_noreturn();
static List *add_source(List *sources, RefBuild *build, PlannedTable *planned);
static void add_table(RefBuild *build, MapTable *table, bool own_links);
static const Condition *condition_of(RefBuild *build, Statement *st, PlannedTable *planned,
									 MapColumn *column);
static const Condition *mine_by_link(RefBuild *build, Statement *st, PlannedTable *planned,
									 const char *name);
static const Condition *mine_by_row(RefBuild *build, Statement *st, PlannedTable *planned);

static const MapCacheSlot ref_slot = {"references to external systems", is_plan_of, build_plan};

/*
 * EffRefPlanForErasure fills the sources of references of an erasure's plan, the
 * first time that it is called for the plan; they live as long as the plan.
 * Rows that the erasure will delete or change are locked as they are read: a
 * reference that is written meanwhile would be lost with its row, and its
 * external system would never be told.
 */
void
EffRefPlanForErasure(DataMap *map, ErasurePlan *plan)
{
	RefBuild	build = {.map = map, .plan = &plan->base, .owner = REF_GONE};
	List	   *sources = NIL;
	MemoryContext previous;
	EffBracket	bracket;
	ListCell   *lc;

	/* a part of the tables is not the whole erasure: nobody else is told of it */
	if (plan->refs_known || plan->base.restricted != NIL)
		return;
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(plan));
	EffPinBegin(&bracket);
	foreach(lc, plan->base.tables)
		sources = add_source(sources, &build, lfirst(lc));
	if (plan->base.own_links != NULL)
		sources = add_source(sources, &build, plan->base.own_links);
	EffPinEnd(&bracket);
	MemoryContextSwitchTo(previous);
	plan->base.refs = sources;
	plan->refs_known = true;
}

/*
 * EffRefPlanGet returns a plan that only reads references: it has sources, and
 * the row sets and owners that they need, and no steps.  It is made once per map,
 * kind of subject and owner, and lives as long as the map.
 */
RequestPlan *
EffRefPlanGet(DataMap *map, MapTable *subject, RefOwner owner)
{
	RefKey		key = {subject, owner};
	RefPlan    *plan = EffMapCacheGet(map, &ref_slot, &key);

	return &plan->base;
}

static bool
is_plan_of(const void *entry, const void *key)
{
	const RefPlan *plan = entry;
	const RefKey *wanted = key;

	return plan->base.subject == wanted->subject && plan->owner == wanted->owner;
}

static void *
build_plan(DataMap *map, const void *key)
{
	MapTable   *subject = ((const RefKey *) key)->subject;
	RefPlan    *plan = palloc0(sizeof(RefPlan));
	RefBuild	build = {.map = map, .plan = &plan->base, .owner = ((const RefKey *) key)->owner};

	plan->base.subject = subject;
	plan->owner = build.owner;
	foreach_ptr(MapTable, table, EffGraphTables(map, subject))
	{
		bool		linked = EffGraphRoleLinks(table, subject, ROLE_OWNER) != NIL;

		if (table == subject)
			add_table(&build, table, false);
		if (linked)
			add_table(&build, table, table == subject);
	}
	return plan;
}

/*
 * EffRefPlanCheck returns where each column that the plan reads references from
 * names a registered resolver; ERROR ZE006 where one does not.
 */
void
EffRefPlanCheck(RequestPlan *plan, List *resolvers)
{
	ListCell   *lc2;

	foreach_ptr(RefSource, source, plan->refs)
		foreach(lc2, source->columns)
			EffRefsRequireResolver(resolvers, source->table, lfirst(lc2));
}

/*
 * EffRefPlanRead returns the references that a subject's rows hold, as a list of
 * ExternalRef.  It opens an SPI bracket of its own and locks no row.  ERROR
 * ZE006 where a column holds a text that is longer than a reference may be.
 */
List *
EffRefPlanRead(DataMap *map, RequestPlan *plan, SubjectKey *key)
{
	SubjectRun *run;
	List	   *refs = NIL;
	EffBracket	bracket;

	if (plan->refs == NIL)
		return NIL;
	run = EffExecNew(map, plan, &key, 1)->runs[0];
	EffSpiBegin(&bracket);
	foreach_ptr(RowSet, rows, plan->rowsets)
		EffExecFind(run, rows, false);
	if (plan->owners != NIL)
		EffExecFindErased(run);
	foreach_ptr(RefSource, source, plan->refs)
		refs = EffRefPlanReadSource(refs, source, run);
	EffSpiEnd(&bracket);
	return refs;
}

/*
 * EffRefPlanReadSource appends to refs the references that the rows of the run's
 * subject hold in one table, and returns the list, which lives as long as the
 * run.  It is called inside an SPI bracket.  ERROR ZE006 where a column holds a
 * text that is longer than a reference may be.
 */
List *
EffRefPlanReadSource(List *refs, RefSource *source, SubjectRun *run)
{
	uint64		n = EffExecStatement(run, source->read);
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext previous = MemoryContextSwitchTo(GetMemoryChunkContext(run));

	for (uint64 row = 0; row < n; row++)
	{
		ExternalRef *ref = palloc0(sizeof(ExternalRef));
		bool		isnull;
		MapColumn  *column = list_nth(source->columns,
									  DatumGetInt32(SPI_getbinval(rows->vals[row], rows->tupdesc, 1,
																  &isnull)));

		ref->kind = column->label->ref;
		ref->value = SPI_getvalue(rows->vals[row], rows->tupdesc, 2);
		if (pg_mbstrlen(ref->value) > EFF_REF_LENGTH)
			reference_too_long(source->table, column);
		refs = lappend(refs, ref);
	}
	MemoryContextSwitchTo(previous);
	SPI_freetuptable(rows);
	return refs;
}

static void
reference_too_long(MapTable *table, MapColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_RESOLVER),
			 errmsg("column \"%s\" of table \"%s\" holds a reference of more than %d characters",
					column->column->name, table->rel->relname, EFF_REF_LENGTH),
			 errdetail("Its label says that it is an identifier in the external system \"%s\".",
					   column->label->ref),
			 errhint("Take \"ref\" out of the label, or correct the row."),
			 errhidestmt(true)));
}

/* add_table: own_links are other rows of the subject table, that belong to the subject. */
static void
add_table(RefBuild *build, MapTable *table, bool own_links)
{
	MapTable   *subject = build->plan->subject;
	PlannedTable *planned = palloc0(sizeof(PlannedTable));

	if (!EffMapHoldsRefs(table))
		return;
	planned->table = table;
	planned->own_links = own_links;
	planned->primary_key = true;
	if (table != subject || own_links)
	{
		planned->links = EffGraphRoleLinks(table, subject, ROLE_OWNER);
		planned->contested = own_links || EffOwnersContested(table, subject);
	}
	if (planned->contested && build->owner == REF_ALONE)
	{
		EffPlanMakeRowSet(build->map, build->plan, planned);
		EffOwnershipQueries(build->map, build->plan, planned);
	}
	build->plan->refs = add_source(build->plan->refs, build, planned);
}

/*
 * add_source: the values are read where they are not surrogates.  Rows that
 * are about to be changed are locked, so that nobody gets another value in
 * before.
 */
static List *
add_source(List *sources, RefBuild *build, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	RefSource  *source = palloc0(sizeof(RefSource));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading references of", rel);

	source->table = planned->table;
	source->read = st;
	appendStringInfo(&st->text, "SELECT r.place, r.value FROM %s t CROSS JOIN LATERAL (VALUES ",
					 rel->sql);
	foreach_ptr(MapColumn, column, planned->table->columns)
	{
		const Condition *condition;

		if (column->label->ref == NULL)
			continue;
		condition = condition_of(build, st, planned, column);
		if (condition->kind == CONDITION_FALSE)
			continue;
		appendStringInfo(&st->text, "%s(%d, CASE WHEN %s THEN %s::pg_catalog.text END)",
						 source->columns != NIL ? ", " : "", list_length(source->columns),
							 EffConditionSql(st, condition),
						 EffColumnSql("t", rel, column->column->attnum));
		source->columns = lappend(source->columns, column);
	}
	if (source->columns == NIL)
		return sources;
	appendStringInfoString(&st->text, ") AS r (place, value) WHERE r.value <> '' AND (");
	if (planned->rows != NULL)
		EffConditionAppend(st, EffScopeRows(st, "t", planned->rows, ROWS_ALL));
	else
		EffConditionAppend(st, EffPlanScopeNow(build->map, st, "t", build->plan, planned,
											   &EffScopeMine));
	appendStringInfoChar(&st->text, ')');
	if (build->owner == REF_GONE && rel->relkind != RELKIND_FOREIGN_TABLE &&
		(planned->deleted || planned->anonymize != NIL))
		appendStringInfoString(&st->text, " FOR UPDATE OF t");
	return lappend(sources, source);
}

/*
 * condition_of: the value is still there, and it is this subject's.
 */
static const Condition *
condition_of(RefBuild *build, Statement *st, PlannedTable *planned, MapColumn *column)
{
	const Condition *mine = column->label->link != NULL ?
		mine_by_link(build, st, planned, column->label->link) :
		mine_by_row(build, st, planned);
	Surrogate  *surrogate;
	const Condition *residual;

	if (mine->kind == CONDITION_FALSE || column->label->erasure == ERASURE_RETAIN)
		return mine;
	surrogate = EffSurrogateChoose(build->map, planned->table, column);
	residual = surrogate->error ? NULL : EffSurrogateResidual(surrogate, st, "t");
	return residual ? EffConditionAnd(mine, residual) : mine;
}

/* mine_by_link: a link that may lead to several makes the value be about all of them. */
static const Condition *
mine_by_link(RefBuild *build, Statement *st, PlannedTable *planned, const char *name)
{
	ScopeOwner	others = {SCOPE_OTHERS, build->plan->subject};

	foreach_ptr(TableLink, link, planned->links)
	{
		const Condition *mine;

		if (link->name == NULL || strcmp(link->name, name) != 0)
			continue;
		mine = EffScopeLink(build->map, st, "t", link, 0, &EffScopeMine);
		if (link->reverse && planned->rows != NULL)
			mine = EffConditionAnd(mine, EffConditionNot(EffScopeLink(build->map, st, "t", link, 0,
																	  &others)));
		return mine;
	}
	return &EffFalse;
}

static const Condition *
mine_by_row(RefBuild *build, Statement *st, PlannedTable *planned)
{
	const Condition *gone;

	if (!planned->contested || build->owner == REF_ANY)
		return &EffTrue;
	if (build->owner == REF_ALONE)
		return EffConditionNot(EffOwnershipOthers(build->map, st, build->plan, planned->table));
	gone = EffScopeRows(st, "t", planned->rows, ROWS_GONE);
	return EffConditionOr(gone, EffScopeRows(st, "t", planned->rows, ROWS_PINNED));
}
