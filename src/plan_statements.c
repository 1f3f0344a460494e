/*
 * plan_statements.c
 *	  Writes the operations of a plan as parameterised SQL.
 */
#include "postgres.h"

#include "plan_build.h"
#include "expression.h"
#include "ownership.h"
#include "scope.h"

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* What rows shared with others get in one column */
typedef struct SharedChange
{
	EffColumn  *column;
	StringInfoData branches;	/* WHEN ... THEN ..., by link */
} SharedChange;

static void make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static void make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned, int part);
static void make_retain(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static void make_shared(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static List *add_change(List *changes, EffRelation *rel, EffColumn *column, const char *condition,
						const char *value, const char *residual, StringInfo pending);
static void make_reference_step(PlanBuild *build, ErasureStep *step, PlannedOperation *operation);
static void append_released(PlanBuild *build, Statement *st, PlannedOperation *operation);
static void append_classes(DataMap *map, Statement *st, ErasurePlan *plan, PlannedTable *planned);
static bool goes_one_way(PlannedTable *planned);
static bool begin_by_parents(PlanBuild *build, ErasureStep *step, int expected);
static void end_by_parents(PlanBuild *build, ErasureStep *step);
static Statement *begin_many(const char *action, EffRelation *rel);
static void end_many(PlanBuild *build, Statement *st, PlannedTable *planned, const char *joiner, const char *rest);
static char *append_update(PlanBuild *build, Statement *st, PlannedTable *planned);
static void append_find(PlanBuild *build, Statement *st, PlannedTable *planned, RowSet *rows);
static Statement *new_of_pair(StatementPair *pair, bool all, const char *action, EffRelation *rel);
static StatementPair *make_lock(PlanBuild *build, EffRelation *rel, PlannedTable *planned, TableLink *link, int i);
static Statement *make_many_count(PlanBuild *build, PlannedTable *planned);
static bool rewrites_owner(MapTable *subject, PlannedTable *planned);
static bool references_itself(DataMap *map, MapTable *table);
static int	begin_where(Statement *st);
static void add_check(ErasureStep *step, EffRelation *rel, const char *only, int where);
static void append_outside(PlanBuild *build, Statement *st, PlannedOperation *operation);
static void append_part(PlanBuild *build, Statement *st, const char *alias, PlannedTable *planned, int part);
static void append_reference(PlanBuild *build, Statement *st, PlannedTable *planned, ForeignKey *fk);
static void append_row_key(Statement *st, RowSet *rows);
static char *residual_condition(DataMap *map, PlannedTable *planned, Statement *st);
static char *others_condition(DataMap *map, PlannedTable *planned, Surrogate *surrogate, Statement *st);
static char *tied_condition(DataMap *map, PlannedTable *planned, Statement *st);
static bool is_tied(Surrogate *surrogate, TableLink *link);
static char *set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression);
static char *link_names(PlannedTable *planned);
static char *blocker_hint(PlanBuild *build, EffRelation *rel, ForeignKey *fk, PlannedOperation *operation);
static const char *action_word(char action);

/*
 * EffPlanVerifyStatement makes the count of what is left in a table.  Rows
 * that a "where" of the table's links leaves out are reached, but excluded.
 */
Statement *
EffPlanVerifyStatement(DataMap *map, ErasurePlan *plan, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	ScopeOwner	regardless = {.end = SCOPE_MINE, .regardless = true};
	MemoryContext previous;
	EffBracket	bracket;
	Statement  *st;
	char	   *residual = NULL;
	ListCell   *lc;

	if (planned->verify != NULL)
		return planned->verify;
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(plan));
	EffPinBegin(&bracket);
	st = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	if (!planned->deleted)
		residual = residual_condition(map, planned, st);

	appendStringInfoString(&st->text, "SELECT pg_catalog.count(*) FILTER (WHERE s.mine AND ");
	appendStringInfoString(&st->text, "CASE s.part");
	appendStringInfo(&st->text, " WHEN %d THEN s.tied WHEN %d THEN s.residual ELSE %s END)",
					 ROWS_KEPT, ROWS_PINNED, planned->deleted ? "true" : "s.residual");
	appendStringInfo(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine AND (s.part <> %d OR %s))",
					 ROWS_GONE, planned->deleted ? "false" : "true");
	appendStringInfoString(&st->text, ", pg_catalog.count(*) FILTER (WHERE s.mine IS NOT TRUE) FROM (SELECT (");
	append_part(&(PlanBuild) {.map = map, .plan = plan}, st, "t", planned, ROWS_ALL);
	appendStringInfoString(&st->text, ") IS TRUE AS mine, ");
	if (planned->contested)
		append_classes(map, st, plan, planned);
	else
		appendStringInfo(&st->text, "%d", ROWS_GONE);
	appendStringInfoString(&st->text, " AS part");
	if (residual == NULL && planned->reverse)
		residual = residual_condition(map, planned, st);
	appendStringInfo(&st->text, ", (%s) AS residual", residual ? residual : "false");
	residual = tied_condition(map, planned, st);
	appendStringInfo(&st->text, ", (%s) AS tied FROM %s t WHERE ", residual ? residual : "false", rel->sql);
	if (planned->links == NIL)
		EffScopeSubject(map, st, "t", plan->subject, &regardless);
	appendStringInfoString(&st->text, planned->own_links ? "(" : "");
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR " : "");
		EffScopeReach(map, st, "t", lfirst(lc), &EffScopeMine);
	}
	if (planned->own_links)
	{
		/* the subject's own row is looked at apart */
		appendStringInfoString(&st->text, ") AND (");
		EffScopeSubject(map, st, "t", plan->subject, &regardless);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	appendStringInfoString(&st->text, ") AS s");
	EffPinEnd(&bracket);
	MemoryContextSwitchTo(previous);
	planned->verify = st;
	return st;
}

/*
 * EffPlanMakeRowSet: the rows of a table by their key, before anything changes.
 */
void
EffPlanMakeRowSet(PlanBuild *build, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	RowSet	   *rows = palloc0(sizeof(RowSet));

	rows->id = list_length(build->plan->rowsets);
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
				 errmsg("table %s needs a key that erasure does not change", rel->name),
				 errdetail("%s", planned->contested ?
						   "Its rows may have several owners, and are told apart by their key." :
						   "Its rows must be found before a column that its path joins on is changed."),
				 errhint("Give it a primary key; inheritance children share none."),
				 errhidestmt(true)));
	rows->find = EffStatementNew(SPI_OK_SELECT, "finding rows of", rel);
	append_find(build, rows->find, planned, rows);
	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(&rows->find_lock, all, "finding rows of", rel);

		append_find(build, st, planned, rows);
		appendStringInfoString(&st->text, " ORDER BY ");
		append_row_key(st, rows);
		appendStringInfoString(&st->text, " FOR UPDATE");
	}
	rows->added = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	appendStringInfo(&rows->added->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", rel->sql);
	EffPlanScopeNow(build->map, rows->added, "t", build->plan, planned, &EffScopeMine);
	appendStringInfoString(&rows->added->text, " AND (");
	EffScopeRows(rows->added, "t", rows, ROWS_ALL);
	appendStringInfoString(&rows->added->text, ") IS NOT TRUE");
	planned->rows = rows;
	build->plan->rowsets = lappend(build->plan->rowsets, rows);
}

static void
append_find(PlanBuild *build, Statement *st, PlannedTable *planned, RowSet *rows)
{
	appendStringInfoString(&st->text, "SELECT ");
	append_row_key(st, rows);
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffPlanScopeNow(build->map, st, "t", build->plan, planned, &EffScopeMine);
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

	EffOwnershipQueries(build->map, build->plan, planned);
	appendStringInfoString(&st->text, "SELECT ");
	append_row_key(st, rows);
	appendStringInfoString(&st->text, ", ");
	append_classes(build->map, st, build->plan, planned);
	foreach(lc, planned->links)
	{
		appendStringInfoString(&st->text, ", (");
		EffScopeLink(build->map, st, "t", lfirst(lc), 0, &EffScopeMine);
		appendStringInfoString(&st->text, ") IS TRUE");
	}
	appendStringInfo(&st->text, " FROM %s t WHERE ", rows->rel->sql);
	EffScopeRows(st, "t", rows, ROWS_ALL);
	rows->classify = st;
}

/* append_classes: the part of its row set that a row of alias t falls into. */
static void
append_classes(DataMap *map, Statement *st, ErasurePlan *plan, PlannedTable *planned)
{
	int			length;
	char	   *pinned;

	appendStringInfoString(&st->text, "CASE WHEN ");
	EffOwnershipShared(map, st, plan, planned);
	appendStringInfo(&st->text, " THEN %d", ROWS_KEPT);
	length = st->text.len;
	if (planned->deleted && EffOwnershipPinned(map, st, plan, planned))
	{
		pinned = EffStatementTake(st, length);
		appendStringInfo(&st->text, " WHEN %s THEN %d", pinned, ROWS_PINNED);
	}
	appendStringInfo(&st->text, " ELSE %d END", ROWS_GONE);
}

/*
 * EffPlanLinkReference: what a kept row lets go of its subject by, NIL where
 * the link runs against a reference, or the columns are not nullable or retained.
 */
List *
EffPlanLinkReference(DataMap *map, TableLink *link)
{
	JoinHop    *first = linitial(link->hops);
	List	   *columns = NIL;
	ListCell   *lc;

	if (first->fk != NULL)
		columns = first->fk->relid == link->table->rel->oid && !first->reverse ?
			EffDetachColumns(map, first->fk) : NIL;
	else if (!first->reverse)
		for (int i = 0; i < first->n; i++)
		{
			EffColumn  *column = EffRelationColumn(first->source, first->source_columns[i]);

			if (!column->not_null && !column->generated)
				columns = lappend_int(columns, column->attnum);
		}
	foreach(lc, columns)
	{
		MapColumn  *column = EffMapColumn(link->table, lfirst_int(lc));

		if (column != NULL && column->label->erasure == ERASURE_RETAIN)
			return NIL;
	}
	return columns;
}

/* EffPlanMakeSubjectLock: in order of the key, so that two calls wait for each other and not in a circle. */
void
EffPlanMakeSubjectLock(PlanBuild *build)
{
	MapTable   *subject = build->plan->subject;
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&key, "%s%s", i > 0 ? ", " : "", EffColumnSql("t", subject->rel, subject->key[i]));
	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(&build->plan->lock_subject, all, "locking rows of", subject->rel);

		appendStringInfo(&st->text, "SELECT %s FROM %s t WHERE ", key.data, subject->rel->sql);
		EffScopeSubject(build->map, st, "t", subject, &EffScopeMine);
		appendStringInfo(&st->text, " ORDER BY %s FOR UPDATE", key.data);
	}
}

/*
 * EffPlanMakeLocks: where rows survive that children hang from, they are locked from
 * the subject outward, so that no child slips in unseen.  So are rows that go, where
 * the children hold references: one that came after those were read would be deleted
 * here, and nobody else told of it.
 */
void
EffPlanMakeLocks(PlanBuild *build)
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
				StatementPair *lock;
				ListCell   *lc3;
				bool		known = false;

				if (i < 1)
					continue;
				more = true;
				hop = list_nth(link->hops, i - 1);
				if (hop->fk == NULL || hop->reverse ||
					(EffPlanDeletes(hop->target->oid, build->plan) && !EffMapHoldsRefs(planned->table)))
					continue;
				lock = make_lock(build, hop->target, planned, link, i);
				foreach(lc3, locks)
					known |= strcmp(((StatementPair *) lfirst(lc3))->one->text.data, lock->one->text.data) == 0;
				if (known)
					continue;
				EffPlanProbeLock(build, lock->one, hop->target, planned, EffPlanLinkProbes(build, list_make1(link)));
				locks = lappend(locks, lock);
			}
		}
	}
	/* and what others' rows could go along with, before those are looked for */
	foreach(lc, build->operations)
	{
		PlannedOperation *operation = lfirst(lc);
		PlannedTable *planned = operation->planned;
		StatementPair *lock;

		if (operation->strategy != STEP_BLOCKER || operation->fk->on_delete != FKCONSTR_ACTION_CASCADE ||
			planned->find_first || planned->table == build->plan->subject)
			continue;
		lock = make_lock(build, planned->table->rel, planned, NULL, 0);
		EffPlanProbeLock(build, lock->one, planned->table->rel, planned, planned->probes);
		locks = lappend(locks, lock);
	}
	build->plan->locks = locks;
}

/* make_lock locks the rows at the i-th hop of a link or, with link NULL, those of the planned table. */
static StatementPair *
make_lock(PlanBuild *build, EffRelation *rel, PlannedTable *planned, TableLink *link, int i)
{
	StatementPair *lock = palloc0(sizeof(StatementPair));

	for (int all = 0; all <= 1; all++)
	{
		Statement  *st = new_of_pair(lock, all, "locking rows of", rel);

		appendStringInfo(&st->text, "SELECT FROM %s t WHERE ", rel->sql);
		if (link != NULL)
			EffScopeLink(build->map, st, "t", link, i, &EffScopeMine);
		else
			EffPlanScopeNow(build->map, st, "t", build->plan, planned, &EffScopeMine);
		appendStringInfoString(&st->text, " FOR UPDATE");
	}
	return lock;
}

void
EffPlanMakeStep(PlanBuild *build, PlannedOperation *operation)
{
	ErasureStep *step = palloc0(sizeof(ErasureStep));
	PlannedTable *planned = operation->planned;

	step->strategy = operation->strategy;
	step->rel = planned->table->rel;
	step->planned = planned;
	step->link = link_names(planned);
	switch (operation->strategy)
	{
		case STEP_DELETE:
			make_delete(build, step, planned);
			break;
		case STEP_ANONYMIZE:
			make_anonymize(build, step, planned, operation->part);
			break;
		case STEP_RETAIN:
			make_retain(build, step, planned);
			break;
		case STEP_SHARED:
			make_shared(build, step, planned);
			break;
		default:
			make_reference_step(build, step, operation);
			break;
	}
	build->plan->steps = lappend(build->plan->steps, step);
	build->plan->has_triggers |= step->rel->has_triggers;
	if (step->strategy != STEP_BLOCKER && step->strategy != STEP_SIDE_EFFECT)
	{
		build->plan->written = list_append_unique_ptr(build->plan->written, step->rel);
		if (step->strategy != STEP_RETAIN)
			build->plan->deferrable = list_concat_unique_oid(build->plan->deferrable, step->rel->deferrable);
	}
}

static void
make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	int			where;

	step->reason = planned->why;
	step->statement = EffStatementNew(SPI_OK_DELETE, "deletion from", rel);
	appendStringInfo(&step->statement->text, "DELETE FROM %s t", rel->sql);
	where = begin_where(step->statement);
	EffPlanScope(build->map, step->statement, "t", build->plan, planned);
	add_check(step, rel, "", where);
	if (goes_one_way(planned))
	{
		if (begin_by_parents(build, step, SPI_OK_DELETE))
		{
			appendStringInfo(&step->by_parents->text, "DELETE FROM %s t", rel->sql);
			end_by_parents(build, step);
		}
		step->many = begin_many("deletion from", rel);
		appendStringInfo(&step->many->text, "DELETE FROM %s t", rel->sql);
		end_many(build, step->many, planned, " USING ", "");
		return;
	}
	if (!references_itself(build->map, planned->table))
		return;

	/* rows of two subjects of a call may hold each other: they go together */
	step->count = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	step->count->params = step->statement->params;
	appendStringInfo(&step->count->text, "SELECT pg_catalog.count(*) FROM %s t%s",
					 rel->sql, step->statement->text.data + where);
	step->whole = EffStatementNew(SPI_OK_DELETE, "deletion from", rel);
	appendStringInfo(&step->whole->text, "DELETE FROM %s t WHERE ", rel->sql);
	if (planned->rows != NULL)
		EffScopeCallRows(step->whole, "t", planned->rows, planned->contested ? ROWS_GONE : ROWS_ALL);
	else
		EffPlanScopeNow(build->map, step->whole, "t", build->plan, planned, &EffScopeCall);
}

/*
 * goes_one_way: each row has one owner, which a join leads to, and nothing needs
 * to be looked at again afterwards.
 */
static bool
goes_one_way(PlannedTable *planned)
{
	return !planned->contested && planned->rows == NULL && list_length(planned->links) <= 1 &&
		(planned->links == NIL || !((TableLink *) linitial(planned->links))->reverse) &&
		!planned->table->rel->has_triggers;
}

/*
 * rewrites_owner: an UPDATE returns the rows as they are afterwards, which does not
 * tell whose they were where the reference to the subject gets a surrogate.
 */
static bool
rewrites_owner(MapTable *subject, PlannedTable *planned)
{
	JoinHop    *first = planned->links != NIL ? linitial(((TableLink *) linitial(planned->links))->hops) : NULL;
	const AttrNumber *reference = first ? first->source_columns : subject->key;
	Bitmapset  *written = NULL;
	ListCell   *lc;

	foreach(lc, planned->anonymize)
		written = bms_add_member(written, ((Surrogate *) lfirst(lc))->column->column->attnum);
	foreach(lc, planned->has_set ? planned->table->label->set : NIL)
		written = bms_add_member(written, EffRelationColumnByName(planned->table->rel,
																  ((SetLabel *) lfirst(lc))->column)->attnum);
	for (int i = 0; i < (first ? first->n : subject->nkey); i++)
		if (bms_is_member(reference[i], written))
			return true;
	return false;
}

/*
 * begin_by_parents begins the statement of a step, which is like the one that
 * it has already but for how it finds its rows: by what they reference, of which
 * several tables' rows may reference the same.  False where it cannot.
 */
static bool
begin_by_parents(PlanBuild *build, ErasureStep *step, int expected)
{
	TableLink  *link = step->planned->links ? linitial(step->planned->links) : NULL;
	JoinHop    *hop;
	Statement  *find;
	ListCell   *lc;

	if (link == NULL || step->planned->own_links || !EffScopeHasParents(link))
		return false;
	step->by_parents = EffStatementNew(expected, step->statement->place.action, step->rel);
	find = EffScopeFindParents(build->map, link);
	foreach(lc, build->plan->parents)
		if (strcmp(((ParentSet *) lfirst(lc))->find->text.data, find->text.data) == 0)
			step->parents = lfirst(lc);
	if (step->parents != NULL)
		return true;
	hop = linitial(link->hops);
	step->parents = palloc0(sizeof(ParentSet));
	step->parents->id = list_length(build->plan->parents);
	step->parents->type = getBaseType(EffRelationColumn(hop->target, hop->target_columns[0])->type);
	step->parents->find = find;
	build->plan->parents = lappend(build->plan->parents, step->parents);
	return true;
}

static void
end_by_parents(PlanBuild *build, ErasureStep *step)
{
	(void) begin_where(step->by_parents);
	EffScopeByParents(build->map, step->by_parents, "t", linitial(step->planned->links), step->parents);
}

/*
 * begin_many begins a statement for all subjects of a call, which says how many
 * rows of each it was.  The caller appends the statement up to what it writes.
 */
static Statement *
begin_many(const char *action, EffRelation *rel)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, action, rel);

	st->all = true;
	appendStringInfoString(&st->text, "WITH done AS (");
	return st;
}

/* end_many joins the rows to their subjects; rest is a further condition. */
static void
end_many(PlanBuild *build, Statement *st, PlannedTable *planned, const char *joiner, const char *rest)
{
	MapTable   *subject = build->plan->subject;
	OwnerJoin  *join = EffScopeOwnerJoin(build->map, st, subject, planned->links ? linitial(planned->links) : NULL);
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&keys, "%sk%d", i > 0 ? ", " : "", i + 1);
	if (join->from.len > 0)
		appendStringInfo(&st->text, "%s%s", joiner, join->from.data + strlen(", "));
	appendStringInfo(&st->text, " WHERE %s", join->where.data);
	EffScopeOwnerIs(st, subject, join);
	appendStringInfo(&st->text, "%s RETURNING ", rest);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s%s AS k%d", i > 0 ? ", " : "", join->keys[i], i + 1);
	appendStringInfo(&st->text, ") SELECT %s, pg_catalog.count(*) FROM done GROUP BY %s", keys.data, keys.data);
}

/* make_many_count: the same for rows that are only counted. */
static Statement *
make_many_count(PlanBuild *build, PlannedTable *planned)
{
	MapTable   *subject = build->plan->subject;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", planned->table->rel);
	OwnerJoin  *join = EffScopeOwnerJoin(build->map, st, subject, planned->links ? linitial(planned->links) : NULL);
	StringInfoData keys;

	initStringInfo(&keys);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&keys, "%s%s", i > 0 ? ", " : "", join->keys[i]);
	appendStringInfo(&st->text, "SELECT %s, pg_catalog.count(*) FROM %s t%s WHERE %s",
					 keys.data, planned->table->rel->sql, join->from.data, join->where.data);
	EffScopeOwnerIs(st, subject, join);
	appendStringInfo(&st->text, " GROUP BY %s", keys.data);
	return st;
}

/* references_itself: by a key that is not set to NULL before. */
static bool
references_itself(DataMap *map, MapTable *table)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->rel->inheritors)
		foreach(lc2, EffMapRelation(map, lfirst_oid(lc))->references)
		{
			ForeignKey *fk = lfirst(lc2);

			if (list_member_oid(table->rel->inheritors, fk->target) && !EffPlanDetaches(map, table, fk))
				return true;
		}
	return false;
}

/* begin_where returns where the condition of a statement begins, for add_check(). */
static int
begin_where(Statement *st)
{
	int			where = st->text.len;

	appendStringInfoString(&st->text, " WHERE ");
	return where;
}

/*
 * add_check: a trigger or rule may keep the statement from its work, so the
 * rows that it should have changed are counted once more.
 */
static void
add_check(ErasureStep *step, EffRelation *rel, const char *only, int where)
{
	if (!rel->has_triggers)
		return;
	step->check = EffStatementNew(SPI_OK_SELECT, "checking rows of", rel);
	step->check->params = step->statement->params;
	appendStringInfo(&step->check->text, "SELECT pg_catalog.count(*) FROM %s%s t%s",
					 only, rel->sql, step->statement->text.data + where);
}

/*
 * make_anonymize writes surrogates and "set" in one statement, into the rows
 * that still hold something.
 */
static void
make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned, int part)
{
	EffRelation *rel = planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
	char	   *pending = append_update(build, st, planned);
	int			where = begin_where(st);
	ListCell   *lc;

	append_part(build, st, "t", planned, part);
	appendStringInfoString(&st->text, pending);
	step->statement = st;
	if (goes_one_way(planned))
	{
		if (begin_by_parents(build, step, SPI_OK_UPDATE))
		{
			pending = append_update(build, step->by_parents, planned);
			end_by_parents(build, step);
			appendStringInfoString(&step->by_parents->text, pending);
		}
		if (!rewrites_owner(build->plan->subject, planned))
		{
			step->many = begin_many("update of", rel);
			pending = append_update(build, step->many, planned);
			end_many(build, step->many, planned, " FROM ", pending);
		}
	}
	foreach(lc, planned->anonymize)
		step->columns = lappend(step->columns, ((Surrogate *) lfirst(lc))->column->column->name);
	if (planned->has_set)
		foreach(lc, planned->table->label->set)
			step->columns = lappend(step->columns,
									EffRelationColumnByName(rel, ((SetLabel *) lfirst(lc))->column)->name);
	step->reason = part == ROWS_PINNED ?
		"rows that cannot go reference the row: it is anonymized in place" : planned->why;
	add_check(step, rel, "", where);
}

/* append_update returns the condition, with " AND ", that a row still holds something. */
static char *
append_update(PlanBuild *build, Statement *st, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	StringInfoData pending;
	const char *comma = "";
	const char *residual;
	ListCell   *lc;

	initStringInfo(&pending);
	st->own_row = planned->links == NIL && !st->all;
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach(lc, planned->anonymize)
	{
		Surrogate  *surrogate = lfirst(lc);
		EffColumn  *column = surrogate->column->column;
		char	   *sql;
		char	   *others;

		if (surrogate->kind == SURROGATE_GENERATED)
			continue;
		sql = EffSurrogateSql(surrogate, st, "t");
		others = others_condition(build->map, planned, surrogate, st);
		if (others != NULL)
			sql = psprintf("CASE WHEN %s THEN %s ELSE %s END", others,
						   EffColumnSql("t", rel, column->attnum), sql);
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

			expression = EffExpressionAnalyze(rel, "t", set->expression, column, "set");
			appendStringInfo(&st->text, "%s%s = %s", comma, quote_identifier(column->name), expression->sql);
			appendStringInfo(&pending, " OR %s", set_condition(rel, column, expression));
			comma = ", ";
		}
	residual = residual_condition(build->map, planned, st);
	return residual ? psprintf(" AND (%s%s)", residual, pending.data) :
		psprintf(" AND (%s)", pending.data + strlen(" OR "));
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
	if (goes_one_way(planned))
	{
		if (begin_by_parents(build, step, SPI_OK_SELECT))
		{
			appendStringInfo(&step->by_parents->text, "SELECT pg_catalog.count(*) FROM %s t", rel->sql);
			end_by_parents(build, step);
		}
		step->many = make_many_count(build, planned);
	}
}

/*
 * make_shared: a row that others own too is rid of the columns tied to this
 * owner's links, and of the references that make it this owner's.
 */
static void
make_shared(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
	StringInfoData pending;
	List	   *changes = NIL;
	int			where;
	ListCell   *lc;

	initStringInfo(&pending);
	step->reason = planned->own_links ? planned->why :
		planned->reverse ? "rows that are somebody else's too, or that somebody else's rows reference, stay" :
		"rows that are somebody else's too stay";
	foreach(lc, planned->links)
	{
		TableLink  *link = lfirst(lc);
		int			part = ROWS_KEPT_BY + foreach_current_index(lc);
		Bitmapset  *tied = NULL;
		int			length = st->text.len;
		char	   *mine;
		ListCell   *lc2;

		EffScopeRows(st, "t", planned->rows, part);
		mine = EffStatementTake(st, length);
		foreach(lc2, planned->anonymize)
		{
			Surrogate  *surrogate = lfirst(lc2);
			EffColumn  *column = surrogate->column->column;

			if (!is_tied(surrogate, link) || surrogate->kind == SURROGATE_GENERATED)
				continue;
			tied = bms_add_member(tied, column->attnum);
			changes = add_change(changes, rel, column, mine, EffSurrogateSql(surrogate, st, "t"),
								 EffSurrogateResidualSql(surrogate, st, "t"), &pending);
		}
		if (EffOwnershipHasTwin(build->map, link))
		{
			/* another owner's way to the row is not let go for this owner */
			EffOwnershipTwins(build->map, st, "t", build->plan, link);
			mine = psprintf("%s AND %s IS NOT TRUE", mine, EffStatementTake(st, length));
		}
		foreach(lc2, EffPlanLinkReference(build->map, link))
		{
			EffColumn  *column = EffRelationColumn(rel, lfirst_int(lc2));

			if (!bms_is_member(column->attnum, tied))
				changes = add_change(changes, rel, column, mine, "NULL", NULL, &pending);
		}
	}
	if (changes == NIL)
		return;
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach(lc, changes)
	{
		SharedChange *change = lfirst(lc);

		step->columns = lappend(step->columns, change->column->name);
		appendStringInfo(&st->text, "%s%s = CASE%s ELSE %s END",
						 foreach_current_index(lc) > 0 ? ", " : "", quote_identifier(change->column->name),
						 change->branches.data, EffColumnSql("t", rel, change->column->attnum));
	}
	where = begin_where(st);
	EffScopeRows(st, "t", planned->rows, ROWS_KEPT);
	appendStringInfo(&st->text, " AND (%s)", pending.data);
	step->statement = st;
	add_check(step, rel, "", where);
}

/*
 * add_change: rows under a condition get a value in a column, where there is
 * something; residual NULL stands for that.
 */
static List *
add_change(List *changes, EffRelation *rel, EffColumn *column, const char *condition,
		   const char *value, const char *residual, StringInfo pending)
{
	char	   *present = psprintf("%s IS NOT NULL", EffColumnSql("t", rel, column->attnum));
	SharedChange *change = NULL;
	ListCell   *lc;

	foreach(lc, changes)
		if (((SharedChange *) lfirst(lc))->column == column)
			change = lfirst(lc);
	if (change == NULL)
	{
		change = palloc0(sizeof(SharedChange));
		change->column = column;
		initStringInfo(&change->branches);
		changes = lappend(changes, change);
	}
	appendStringInfo(&change->branches, " WHEN %s AND %s THEN %s", condition, present, value);
	appendStringInfo(pending, "%s(%s AND %s)", pending->len > 0 ? " OR " : "",
					 condition, residual ? residual : present);
	return changes;
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
	const char *only = EffScopeOnly(rel, fk->oid != InvalidOid && !operation->breaks_cycle);
	Statement  *st;
	int			where;
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
		appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s%s t", only, rel->sql);
		where = begin_where(st);
		append_reference(build, st, operation->planned, fk);
		step->reason = psprintf("rows that reference %s by %s (ON DELETE %s) %sstop the erasure",
								operation->planned->table->name, quote_identifier(fk->name),
								action_word(fk->on_delete), operation->outside ? "and are not the subject's " : "");
		step->hint = blocker_hint(build, rel, fk, operation);
	}
	else
	{
		st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
		appendStringInfo(&st->text, "UPDATE %s%s t SET ", only, rel->sql);
		step->columns = NIL;
		foreach(lc, operation->set_null)
		{
			EffColumn  *column = EffRelationColumn(rel, lfirst_int(lc));

			step->columns = lappend(step->columns, column->name);
			appendStringInfo(&st->text, "%s%s = NULL", foreach_current_index(lc) > 0 ? ", " : "",
							 quote_identifier(column->name));
		}
		where = begin_where(st);
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
		append_outside(build, st, operation);
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	step->statement = st;
	if (operation->strategy == STEP_DETACH)
		add_check(step, rel, only, where);
}

/*
 * append_outside: the rows that go anyway.  A blocker leaves out those of every
 * subject of the call; a detach those of this one, since each subject's rows
 * are deleted by a statement of their own.
 */
static void
append_outside(PlanBuild *build, Statement *st, PlannedOperation *operation)
{
	PlannedTable *outside = operation->outside;

	if (operation->strategy != STEP_BLOCKER && outside->contested)
		append_released(build, st, operation);
	else if (operation->strategy != STEP_BLOCKER)
		append_part(build, st, "t", outside, operation->outside_part);
	else if (outside->rows != NULL)
		EffScopeCallRows(st, "t", outside->rows, operation->outside_part);
	else
		EffPlanScopeNow(build->map, st, "t", build->plan, outside, &EffScopeCall);
}

/*
 * append_released: rows of a contested table that go, and those that have let
 * go of what they reference, by the step for shared rows, when that goes.
 */
static void
append_released(PlanBuild *build, Statement *st, PlannedOperation *operation)
{
	EffScopeRows(st, "t", operation->outside->rows, ROWS_GONE);
	EffOwnershipReleased(build->map, st, "t", build->plan, operation->outside, operation->fk,
						 operation->planned, &EffScopeMine);
}

/* blocker_hint says what helps where rows stop an erasure. */
static char *
blocker_hint(PlanBuild *build, EffRelation *rel, ForeignKey *fk, PlannedOperation *operation)
{
	MapTable   *source = EffMapTableOver(build->map, rel->oid);
	char	   *survive = psprintf("let the rows of %s survive", operation->planned->table->name);

	if (source == NULL)
		return psprintf("Label %s, or %s.", rel->name, survive);
	if (build->plan->restricted != NIL && EffPlanTable(build->plan, source->rel->oid) == NULL)
		return psprintf("Add %s to the tables of the call, or leave them out.", source->name);
	if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
		return psprintf("Give constraint %s another action, or %s.", quote_identifier(fk->name), survive);
	if (EffDetachColumns(build->map, fk) == NIL)
		return psprintf("Make the reference nullable, or %s.", survive);
	return psprintf("The reference is retained: change the label of its column, or %s.", survive);
}

/* append_part: rows of a planned table, or a part of them where it is contested. */
static void
append_part(PlanBuild *build, Statement *st, const char *alias, PlannedTable *planned, int part)
{
	if (planned->rows != NULL)
		EffScopeRows(st, alias, planned->rows, part);
	else
		EffPlanScopeNow(build->map, st, alias, build->plan, planned, &EffScopeMine);
}

bool
EffPlanIsKeyReference(PlanBuild *build, PlannedTable *planned, ForeignKey *fk)
{
	MapTable   *subject = build->plan->subject;

	return planned->table == subject && fk->target == subject->rel->oid && planned->rows == NULL &&
		subject->label->subject_where == NULL && EffScopeIsKey(subject, fk->target_columns, fk->nkeys);
}

static void
append_row_key(Statement *st, RowSet *rows)
{
	for (int i = 0; i < rows->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", EffColumnSql("t", rows->rel, rows->key[i]));
}

/* append_reference: the row references a row of a planned table. */
static void
append_reference(PlanBuild *build, Statement *st, PlannedTable *planned, ForeignKey *fk)
{
	EffRelation *rel = EffMapLoad(build->map, fk->relid);
	MapTable   *subject = build->plan->subject;
	EffRelation *target = EffMapLoad(build->map, fk->target);
	char	   *inner;

	if (EffPlanIsKeyReference(build, planned, fk))
	{
		EffScopeKey(st, "t", rel, fk->columns, subject, fk->target_columns, fk->nkeys, &EffScopeMine);
		return;
	}
	inner = EffStatementAlias(st);
	EffScopeJoinBegin(st, "t", rel, fk->columns, inner, target, fk->target_columns, fk->nkeys, fk->oid != InvalidOid);
	EffPlanScope(build->map, st, inner, build->plan, planned);
	appendStringInfoChar(&st->text, ')');
}

/*
 * residual_condition: some column still holds a value; NULL where none can.
 * Tokens come last, since comparing with one means to make it.
 */
static char *
residual_condition(DataMap *map, PlannedTable *planned, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	for (int tokens = 0; tokens <= 1; tokens++)
		foreach(lc, planned->anonymize)
		{
			Surrogate  *surrogate = lfirst(lc);
			char	   *sql;
			char	   *others;

			if ((surrogate->kind == SURROGATE_TEXT || surrogate->kind == SURROGATE_UUID) != tokens)
				continue;
			sql = EffSurrogateResidualSql(surrogate, st, "t");
			others = others_condition(map, planned, surrogate, st);
			if (sql != NULL && others != NULL)
				sql = psprintf("(%s AND (%s) IS NOT TRUE)", sql, others);
			if (sql != NULL)
				appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", sql);
		}
	return buf.len > 0 ? buf.data : NULL;
}

/*
 * others_condition: a column of a subject's own row that is tied to a link is
 * about that link's subject, whose erasure replaces it.  NULL for all others,
 * which are the row's own.
 */
static char *
others_condition(DataMap *map, PlannedTable *planned, Surrogate *surrogate, Statement *st)
{
	int			length = st->text.len;
	ListCell   *lc;

	if (planned->links != NIL)
		return NULL;
	foreach(lc, planned->table->links)
	{
		TableLink  *link = lfirst(lc);

		if (link->label->role != ROLE_OWNER || !is_tied(surrogate, link))
			continue;
		appendStringInfoChar(&st->text, '(');
		EffScopeLink(map, st, "t", link, 0, &EffScopeAny);
		appendStringInfoChar(&st->text, ')');
		if (link->subject == planned->table && !link->reverse)
		{
			/* it may lead back to where it starts */
			appendStringInfoString(&st->text, " AND (");
			EffScopeLink(map, st, "t", link, 0, &EffScopeMine);
			appendStringInfoString(&st->text, ") IS NOT TRUE");
		}
		return EffStatementTake(st, length);
	}
	return NULL;
}

/* tied_condition: a column tied to a link that reaches the row still holds a value. */
static char *
tied_condition(DataMap *map, PlannedTable *planned, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	if (planned->contested)
		foreach(lc, planned->links)
		{
			ListCell   *lc2;

			foreach(lc2, planned->anonymize)
			{
				char	   *sql;
				int			length;

				if (!is_tied(lfirst(lc2), lfirst(lc)) ||
					(sql = EffSurrogateResidualSql(lfirst(lc2), st, "t")) == NULL)
					continue;
				length = st->text.len;
				EffScopeLink(map, st, "t", lfirst(lc), 0, &EffScopeMine);
				appendStringInfo(&buf, "%s(%s AND (%s))", buf.len > 0 ? " OR " : "", sql,
								 EffStatementTake(st, length));
			}
		}
	return buf.len > 0 ? buf.data : NULL;
}

static bool
is_tied(Surrogate *surrogate, TableLink *link)
{
	const char *name = surrogate->column->label->link;

	return name != NULL && link->name != NULL && strcmp(name, link->name) == 0;
}

/* set_condition: "set" is still to be done; a moving expression is done once it is not NULL. */
static char *
set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);

	if (expression->moving)
		return psprintf("%s IS NULL", value);
	if (expression->is_null)
		return psprintf("%s IS NOT NULL", value);
	return EffDistinctSql(rel, column,
						  psprintf("(%s)%s", expression->sql,
								   OidIsValid(column->collation) && exprCollation(expression->node) != column->collation ?
								   psprintf(" COLLATE %s", EffCollationSql(column->collation)) : ""));
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

/* link_names names the links that a step serves, NULL where they have no names. */
static char *
link_names(PlannedTable *planned)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, planned->links)
		if (((TableLink *) lfirst(lc))->name != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", ((TableLink *) lfirst(lc))->name);
	return buf.len > 0 ? buf.data : NULL;
}
