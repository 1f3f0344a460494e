/*
 * find_rows.c
 *	  Finds and locks the rows of a plan, before anything changes.
 */
#include "postgres.h"

#include "base/citus.h"
#include "plan/ownership.h"
#include "plan/plan_int.h"
#include "relations/types.h"

#include "utils/lsyscache.h"

static void append_find(DataMap *map, RequestPlan *plan, Statement *st, PlannedTable *planned,
						RowSet *rows);
static void add_lock(RequestPlan *plan, RowLock *lock);
static RowLock *make_lock(DataMap *map, RequestPlan *plan, EffRelation *rel, PlannedTable *planned,
						  TableLink *link,
						  int i);
static bool may_change_hands(PlanBuild *build, JoinHop *hop);
static Statement *new_of_pair(StatementPair *pair, bool all, const char *action, EffRelation *rel);
static void append_row_key(Statement *st, RowSet *rows);

/*
 * EffPlanMakeRowSet adds the row set of a planned table: the statements that find its
 * rows by their key before anything changes.  ERROR ZE001 where the table has no key
 * that erasure leaves alone.
 */
void
EffPlanMakeRowSet(DataMap *map, RequestPlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	RowSet	   *rows = palloc0(sizeof(RowSet));

	rows->id = list_length(plan->rowsets);
	rows->rel = rel;
	rows->nlinks = list_length(planned->links);
	rows->nkey = EffRowKey(planned->table, &rows->key);
	if (rows->nkey == 0 && planned->primary_key && EffRelationPrimaryKey(rel) != NULL)
	{
		rows->nkey = EffRelationPrimaryKey(rel)->nkeys;
		rows->key = EffRelationPrimaryKey(rel)->keys;
	}
	/* no key holds across inheritance children */
	if (rel->relkind != RELKIND_PARTITIONED_TABLE && list_length(rel->inheritors) > 1)
		rows->nkey = 0;
	if (rows->nkey == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("table \"%s\" needs a key that erasure does not change", rel->relname),
				 errdetail("%s", planned->contested ?
						   "Its rows may have several owners, and are told apart by their key." :
						   "Its rows must be found before a column that its path joins on is "
						   "changed."),
				 errhint("Give it a primary key; inheritance children share none."),
				 errhidestmt(true)));
	rows->find = EffStatementNew(SPI_OK_SELECT, "finding rows of", rel);
	append_find(map, plan, rows->find, planned, rows);
	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(&rows->find_lock, all, "finding rows of", rel);

		append_find(map, plan, st, planned, rows);
		appendStringInfoString(&st->text, " ORDER BY ");
		append_row_key(st, rows);
		appendStringInfoString(&st->text, " FOR UPDATE");
	}
	rows->added = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	appendStringInfo(&rows->added->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	EffConditionAppend(rows->added, EffPlanScopeNow(map, rows->added, "t", plan, planned,
													&EffScopeMine));
	appendStringInfoString(&rows->added->text, " AND (");
	EffConditionAppend(rows->added, EffScopeRows(rows->added, "t", rows, ROWS_ALL));
	appendStringInfoString(&rows->added->text, ") IS NOT TRUE");
	planned->rows = rows;
	plan->rowsets = lappend(plan->rowsets, rows);
}

static void
append_find(DataMap *map, RequestPlan *plan, Statement *st, PlannedTable *planned, RowSet *rows)
{
	appendStringInfoString(&st->text, "SELECT ");
	append_row_key(st, rows);
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffConditionAppend(st, EffPlanScopeNow(map, st, "t", plan, planned, &EffScopeMine));
}

/*
 * EffPlanMakeClassify: what becomes of each row, and which links reach it.  It
 * runs after the rows are locked, in a statement and so a snapshot of its own.
 */
void
EffPlanMakeClassify(PlanBuild *build, PlannedTable *planned)
{
	RowSet	   *rows = planned->rows;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "finding owners of rows of", rows->rel);
	ListCell   *lc;

	EffOwnershipQueries(build->map, build->request, planned);
	appendStringInfoString(&st->text, "SELECT ");
	append_row_key(st, rows);
	appendStringInfoString(&st->text, ", ");
	EffPlanPartOf(build->map, st, build->request, planned);
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, ", (");
		EffConditionAppend(st, EffScopeLink(build->map, st, "t", lfirst(lc), 0, &EffScopeMine));
		appendStringInfoString(&st->text, ") IS TRUE");
	}
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffConditionAppend(st, EffScopeRows(st, "t", rows, ROWS_ALL));
	rows->classify = st;
}

/* EffPlanPartOf: the part of its row set that a row of alias t falls into. */
void
EffPlanPartOf(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	const Condition *shared = EffOwnershipShared(map, st, plan, planned);
	const Condition *pinned = planned->deleted ? EffOwnershipPinned(map, st, plan, planned) :
		&EffFalse;

	appendStringInfo(&st->text, "CASE WHEN %s THEN %d", EffConditionSql(st, shared), ROWS_KEPT);
	if (pinned->kind != CONDITION_FALSE)
		appendStringInfo(&st->text, " WHEN %s THEN %d", EffConditionSql(st, pinned), ROWS_PINNED);
	appendStringInfo(&st->text, " ELSE %d END", ROWS_GONE);
}

/*
 * EffPlanMakeSubjectLock: in order of the key, so that two calls wait for each other and
 * not in a circle.
 */
void
EffPlanMakeSubjectLock(DataMap *map, RequestPlan *plan)
{
	MapTable   *subject = plan->subject;
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&key, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", subject->rel, subject->key[i]));
	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(&plan->lock_subject, all, "locking rows of", subject->rel);

		appendStringInfo(&st->text, "SELECT %s FROM %s t WHERE ", key.data, subject->rel->sql);
		EffConditionAppend(st, EffScopeSubject(map, st, "t", subject, &EffScopeMine));
		appendStringInfo(&st->text, " ORDER BY %s FOR UPDATE", key.data);
	}
}

/*
 * EffPlanMakeLocks adds the locks of a request, from the subject outward.  Rows that
 * survive are locked where rows of the subject reference them, so that none is inserted
 * that the request does not see.  So are rows that are deleted, where the rows which
 * reference them hold identifiers in external systems: a row inserted after those were
 * read would be deleted without its external system being told.
 */
void
EffPlanMakeLocks(DataMap *map, RequestPlan *plan)
{
	bool		more = true;

	for (int depth = 1; more; depth++)
	{
		more = false;
		foreach_ptr(PlannedTable, planned, plan->tables)
		{
			foreach_ptr(TableLink, link, planned->links)
			{
				int			i = list_length(link->hops) - depth;
				JoinHop    *hop;

				if (i < 1)
					continue;
				more = true;
				hop = list_nth(link->hops, i - 1);
				if (hop->fk != NULL && !hop->reverse &&
					(!EffPlanDeletes(hop->target->oid, plan) || EffMapHoldsRefs(planned->table)))
					add_lock(plan, make_lock(map, plan, hop->target, planned, link, i));
			}
		}
	}
}

/*
 * EffPlanLockCascades adds locks on rows whose deletion would cascade, so that no row
 * is inserted that references them after the blockers were counted.
 */
void
EffPlanLockCascades(PlanBuild *build)
{
	foreach_ptr(PlannedOperation, operation, build->operations)
	{
		PlannedTable *planned = operation->planned;

		if (operation->strategy == STEP_BLOCKER &&
			operation->fk->on_delete == FKCONSTR_ACTION_CASCADE &&
			!planned->find_first && planned->table != build->request->subject)
			build->request->locks = lappend(build->request->locks,
											make_lock(build->map, build->request,
													  planned->table->rel, planned, NULL, 0));
	}
}

/* add_lock adds a lock to those of the plan, if it has none with the same statement. */
static void
add_lock(RequestPlan *plan, RowLock *lock)
{
	foreach_ptr(RowLock, other, plan->locks)
		if (strcmp(other->lock.one->text.data, lock->lock.one->text.data) == 0)
			return;
	plan->locks = lappend(plan->locks, lock);
}

/*
 * make_lock locks the rows at the i-th hop of a link or, with link NULL, those of the
 * planned table.
 */
static RowLock *
make_lock(DataMap *map, RequestPlan *plan, EffRelation *rel, PlannedTable *planned, TableLink *link,
		  int i)
{
	RowLock    *lock = palloc0(sizeof(RowLock));

	lock->rel = rel;
	lock->planned = planned;
	lock->link = link;
	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(&lock->lock, all, "locking rows of", rel);

		appendStringInfo(&st->text, "SELECT FROM %s t WHERE ", rel->sql);
		if (link != NULL)
			EffConditionAppend(st, EffScopeLink(map, st, "t", link, i, &EffScopeMine));
		else
			EffConditionAppend(st, EffPlanScopeNow(map, st, "t", plan, planned, &EffScopeMine));
		appendStringInfoString(&st->text, " FOR UPDATE");
	}
	return lock;
}

/*
 * EffPlanParents: the rows of several tables may reference the same.
 */
ParentSet *
EffPlanParents(PlanBuild *build, TableLink *link)
{
	JoinHop    *hop = linitial(link->hops);
	Statement  *find = EffScopeFindParents(build->map, link);
	bool		lock = may_change_hands(build, hop);
	ParentSet  *parents;
	ListCell   *lc;

	if (lock)
		appendStringInfoString(&find->text, " FOR UPDATE");
	foreach(lc, build->request->parents)
		if (strcmp(((ParentSet *) lfirst(lc))->find->text.data, find->text.data) == 0)
			return lfirst(lc);
	parents = palloc0(sizeof(ParentSet));
	parents->id = list_length(build->request->parents);
	parents->type = EffBaseType(EffRelationColumn(hop->target, hop->target_columns[0])->type);
	parents->find = find;
	parents->locked = lock ? hop->target->oid : InvalidOid;
	build->request->parents = lappend(build->request->parents, parents);
	return parents;
}

/*
 * may_change_hands: what a hop leads to is not locked otherwise (EffPlanMakeLocks()).
 * Between the statements that have its keys it could become somebody else's, and
 * so could the rows that they delete.  Citus locks rows of one shard at a time.
 */
static bool
may_change_hands(PlanBuild *build, JoinHop *hop)
{
	return (hop->fk == NULL || EffPlanDeletes(hop->target->oid, build->request)) &&
		EffPlanTable(build->request, hop->target->oid) != NULL && !EffCitusPresent() &&
		(hop->target->relkind == RELKIND_RELATION ||
		 hop->target->relkind == RELKIND_PARTITIONED_TABLE);
}

/* new_of_pair makes the statement of a pair that is about one subject, or about all. */
static Statement *
new_of_pair(StatementPair *pair, bool all, const char *action, EffRelation *rel)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, action, rel);

	st->all = all;
	if (all)
		pair->all = st;
	else
		pair->one = st;
	return st;
}

static void
append_row_key(Statement *st, RowSet *rows)
{
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", rows->rel, rows->key[i]));
}
