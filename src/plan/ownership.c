/*
 * ownership.c
 *	  Writes the conditions that decide about rows with several owners.
 */
#include "postgres.h"

#include "plan/ownership.h"
#include "plan/plan_int.h"

static const Condition *claimed(DataMap *map, Statement *st, const char *alias, List *claims,
								const ScopeOwner *owner);
static const Condition *all_erased(DataMap *map, Statement *st, const char *alias, List *claims,
								   MapTable *erasing);
static const Condition *referenced(DataMap *map, Statement *st, RequestPlan *plan,
								   PlannedTable *planned, ForeignKey *fk);
static const Condition *taken(DataMap *map, Statement *st, PlannedTable *planned, ForeignKey *fk);
static bool takes(PlannedTable *planned);
static const Condition *gone_rows(Statement *st, const char *alias, PlannedTable *source,
								  PlannedTable *planned);
static List *references_to(DataMap *map, PlannedTable *planned);
static MapTable *known_source(DataMap *map, RequestPlan *plan, ForeignKey *fk);
static const Condition *reference(DataMap *map, Statement *st, EffRelation *rel, ForeignKey *fk,
								  const char *inner,
								  const Condition *condition);
static void add_query(DataMap *map, RequestPlan *plan, PlannedTable *planned, EffRelation *rel,
					  OwnerClaim *claim, ForeignKey *fk);
static void add_reused(DataMap *map, RequestPlan *plan, MapTable *subject);
static Statement *find_nobody(DataMap *map, MapTable *subject);

/*
 * EffOwnershipShared returns the condition that a row of a contested table stays
 * as it is: another owner, who is not erased, has it or, where it was reached
 * against a reference, somebody else's or nobody's row references it.
 */
const Condition *
EffOwnershipShared(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	const Condition *shared;

	/* subjects of their own: only what is tied to the link is this subject's */
	if (planned->own_links)
		return &EffTrue;
	shared = EffOwnershipOthers(map, st, plan, planned->table);
	shared = EffConditionAnd(shared, EffConditionNot(taken(map, st, planned, NULL)));
	foreach_ptr(ForeignKey, fk, planned->reverse ? references_to(map, planned) : NIL)
	{
		const Condition *kept = referenced(map, st, plan, planned, fk);

		kept = EffConditionAnd(kept, EffConditionNot(taken(map, st, planned, fk)));
		shared = EffConditionOr(shared, kept);
	}
	return shared;
}

/*
 * referenced: a row that is not deleted with the call's subjects, nor released,
 * references the row.
 */
static const Condition *
referenced(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned, ForeignKey *fk)
{
	MapTable   *source = known_source(map, plan, fk);
	PlannedTable *run = source ? EffPlanTable(plan, source->rel->oid) : NULL;
	char	   *inner = EffStatementAlias(st);
	const Condition *goes;

	if (source == NULL)
		return reference(map, st, planned->table->rel, fk, inner, &EffTrue);
	goes = all_erased(map, st, inner, EffOwnersClaims(source, !source->is_subject), plan->subject);
	if (run != NULL && run->reverse)
	{
		/* what somebody else keeps also keeps what it references */
		goes = EffConditionAnd(goes, EffConditionNot(EffScopeCallRows(st, inner, run->rows,
																	  ROWS_KEPT)));
		planned->rows->reclassify |= run->rows->id >= planned->rows->id;
	}
	/* somebody else's row that is deleted all the same */
	if (run != NULL && run->deleted && takes(run))
		goes = EffConditionOr(goes, gone_rows(st, inner, run, planned));
	if (run != NULL)
		goes = EffConditionOr(goes, EffOwnershipReleased(map, st, inner, plan, run, fk, planned,
														 &EffScopeCall));
	return reference(map, st, planned->table->rel, fk, inner, EffConditionNot(goes));
}

/*
 * EffOwnershipOthers returns the condition that somebody owns a row of a table
 * who is neither in the call nor erased.
 */
const Condition *
EffOwnershipOthers(DataMap *map, Statement *st, RequestPlan *plan, MapTable *table)
{
	ScopeOwner	others = {SCOPE_OTHERS, plan->subject};

	return claimed(map, st, "t", EffOwnersClaims(table, true), &others);
}

/*
 * EffOwnershipErased returns the condition that somebody who is erased owned a
 * row of a table, which may hold surrogates for it.
 */
const Condition *
EffOwnershipErased(DataMap *map, Statement *st, MapTable *table)
{
	ScopeOwner	erased = {SCOPE_ERASED, NULL};

	return claimed(map, st, "t", EffOwnersClaims(table, true), &erased);
}

/*
 * EffOwnershipPinned returns the condition that rows reference the row which are
 * neither deleted nor detached.  Whose they are has been asked before: they do
 * not keep it as it is.
 */
const Condition *
EffOwnershipPinned(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	const Condition *pinned = &EffFalse;

	foreach_ptr(ForeignKey, fk, planned->reverse ? references_to(map, planned) : NIL)
	{
		MapTable   *source = known_source(map, plan, fk);
		PlannedTable *run = source ? EffPlanTable(plan, source->rel->oid) : NULL;
		const Condition *goes = &EffFalse;
		char	   *inner;

		/* what can be set to NULL is, by a step of the plan or by the key's own action */
		if (source == NULL || EffDetachAllowed(map, source, fk))
			continue;
		inner = EffStatementAlias(st);
		if (run != NULL && run->deleted)
			goes = run->contested ? gone_rows(st, inner, run, planned) :
				EffPlanScopeNow(map, st, inner, plan, run, &EffScopeCall);
		if (run != NULL)
			goes = EffConditionOr(goes, EffOwnershipReleased(map, st, inner, plan, run, fk, planned,
															 &EffScopeCall));
		pinned = EffConditionOr(pinned, reference(map, st, planned->table->rel, fk, inner,
												  EffConditionNot(goes)));
	}
	return pinned;
}

/*
 * EffOwnershipTwins returns the condition that another owner, who is not erased,
 * has the row by the same columns as a link.
 */
const Condition *
EffOwnershipTwins(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
				  TableLink *link)
{
	ScopeOwner	others = {SCOPE_OTHERS, plan->subject};

	return claimed(map, st, alias, EffOwnersTwins(map, link), &others);
}

/*
 * EffOwnershipReleased returns the condition that a row of source is released
 * before rows of planned are deleted: it stays, since it is somebody else's too,
 * and the reference by which it is also this subject's is set to NULL by a step
 * of its own.
 */
const Condition *
EffOwnershipReleased(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
					 PlannedTable *source, ForeignKey *fk, PlannedTable *planned,
						 const ScopeOwner *owner)
{
	const Condition *released = &EffFalse;
	bool		before = false;
	ListCell   *lc;

	if (!source->contested)
		return &EffFalse;
	foreach(lc, plan->tables)
	{
		if (lfirst(lc) == planned)
			break;
		before |= lfirst(lc) == source;
	}
	if (!before)
		return &EffFalse;
	foreach(lc, source->links)
	{
		TableLink  *link = lfirst(lc);
		JoinHop    *first = linitial(link->hops);
		int			part = ROWS_KEPT_BY + foreach_current_index(lc);
		const Condition *mine;

		if (first->fk != fk || first->reverse || EffDetachLinkColumns(map, link) == NIL)
			continue;
		mine = owner->whose == SCOPE_CALL ? EffScopeCallRows(st, alias, source->rows, part) :
			EffScopeRows(st, alias, source->rows, part);
		if (EffOwnersHaveTwin(map, link))
			mine = EffConditionAnd(mine, EffConditionNot(EffOwnershipTwins(map, st, alias, plan,
																		   link)));
		released = EffConditionOr(released, mine);
	}
	return released;
}

/*
 * EffOwnershipQueries: one query per claim for the owners of the rows, and of
 * the rows that reference them where that matters.
 */
void
EffOwnershipQueries(DataMap *map, RequestPlan *plan, PlannedTable *planned)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, EffOwnersClaims(planned->table, !planned->own_links))
		add_query(map, plan, planned, planned->table->rel, lfirst(lc), NULL);
	if (planned->reverse)
		foreach_ptr(ForeignKey, fk, references_to(map, planned))
		{
			MapTable   *source = known_source(map, plan, fk);

			if (source != NULL)
				foreach(lc2, EffOwnersClaims(source, !source->is_subject))
					add_query(map, plan, planned, source->rel, lfirst(lc2), fk);
		}
}

/* claimed: by one of the claims the row is somebody's of a scope. */
static const Condition *
claimed(DataMap *map, Statement *st, const char *alias, List *claims, const ScopeOwner *owner)
{
	const Condition *any = &EffFalse;

	foreach_ptr(OwnerClaim, claim, claims)
	{
		any = EffConditionOr(any, claim->link == NULL ?
							 EffScopeSubject(map, st, alias, claim->subject, owner) :
							 EffScopeLink(map, st, alias, claim->link, 0, owner));
	}
	return any;
}

/* all_erased: the row has owners, and all of them are in the call or erased. */
static const Condition *
all_erased(DataMap *map, Statement *st, const char *alias, List *claims, MapTable *erasing)
{
	ScopeOwner	erased = {SCOPE_ERASED, erasing};
	ScopeOwner	others = {SCOPE_OTHERS, erasing};
	const Condition *any = claimed(map, st, alias, claims, &erased);

	return EffConditionAnd(any, EffConditionNot(claimed(map, st, alias, claims, &others)));
}

/*
 * taken: a link under "shared": "erase" takes the row, for any subject of the
 * call; with fk, only if that is the reference by which such a link leads to its
 * owner.
 */
static const Condition *
taken(DataMap *map, Statement *st, PlannedTable *planned, ForeignKey *fk)
{
	const Condition *any = &EffFalse;

	foreach_ptr(TableLink, link, planned->links)
	{
		JoinHop    *hop = linitial(link->hops);

		if (link->label->shared == SHARED_ERASE && (fk == NULL || (hop->reverse && hop->fk == fk)))
			any = EffConditionOr(any, EffScopeLink(map, st, "t", link, 0, &EffScopeCall));
	}
	return any;
}

/*
 * gone_rows: the row is deleted for a subject of the call, which may be known later than
 * this is first asked.
 */
static const Condition *
gone_rows(Statement *st, const char *alias, PlannedTable *source, PlannedTable *planned)
{
	planned->rows->reclassify |= source->rows->id >= planned->rows->id;
	return EffScopeCallRows(st, alias, source->rows, ROWS_GONE);
}

/* takes: rows of a contested table may go although somebody else owns them. */
static bool
takes(PlannedTable *planned)
{
	foreach_ptr(TableLink, link, planned->links)
		if (planned->contested && link->label->shared == SHARED_ERASE)
			return true;
	return false;
}

static List *
references_to(DataMap *map, PlannedTable *planned)
{
	List	   *result = NIL;

	foreach_oid(oid, planned->table->rel->inheritors)
		result = list_concat(result, EffMapRelation(map, oid)->referenced_by);
	return result;
}

/*
 * known_source gives the labelled table whose rows reference; NULL where
 * nobody knows whose they are, or the call leaves that table alone.
 */
static MapTable *
known_source(DataMap *map, RequestPlan *plan, ForeignKey *fk)
{
	MapTable   *source = EffMapTableOver(map, fk->relid);

	if (source != NULL && plan->restricted != NIL && EffPlanTable(plan, source->rel->oid) == NULL)
		return NULL;
	return source;
}

/* reference: a row of the alias inner, which meets a condition, references the row of alias t. */
static const Condition *
reference(DataMap *map, Statement *st, EffRelation *rel, ForeignKey *fk, const char *inner,
		  const Condition *condition)
{
	return EffScopeJoin(st, "t", rel, fk->target_columns, inner,
						EffMapLoad(map, fk->relid), fk->columns, fk->nkeys, false, condition);
}

static void
add_query(DataMap *map, RequestPlan *plan, PlannedTable *planned, EffRelation *rel,
		  OwnerClaim *claim, ForeignKey *fk)
{
	OwnerQuery *query = palloc0(sizeof(OwnerQuery));
	char	   *inner;

	query->subject = claim->subject;
	query->rows = planned->rows;
	query->owners = EffStatementNew(SPI_OK_SELECT, "finding owners of rows of", rel);
	EffScopeOwners(map, query->owners, rel, claim->subject, claim->link);
	if (fk == NULL)
		EffConditionAppend(query->owners, EffScopeRows(query->owners, "t", planned->rows,
													   ROWS_ALL));
	else
	{
		inner = EffStatementAlias(query->owners);
		EffConditionAppend(query->owners,
						   EffScopeJoin(query->owners, "t", rel, fk->columns, inner,
										planned->table->rel, fk->target_columns, fk->nkeys, true,
										EffScopeRows(query->owners, inner, planned->rows,
													 ROWS_ALL)));
	}
	plan->owners = lappend(plan->owners, query);
	add_reused(map, plan, claim->subject);
}

/*
 * add_reused adds the query for erased subjects that are reused: a row of
 * a table that erasure deletes from exists, or one that it anonymizes in holds
 * something else than a surrogate.
 */
static void
add_reused(DataMap *map, RequestPlan *plan, MapTable *subject)
{
	ScopeOwner	recorded = {SCOPE_ERASED, NULL};
	ReusedQuery *query;
	Statement  *st;
	char	   *residual;

	foreach_ptr(ReusedQuery, known, plan->reused)
		if (known->subject == subject)
			return;
	query = palloc0(sizeof(ReusedQuery));
	query->subject = subject;
	st = EffStatementNew(SPI_OK_SELECT, "looking for rows of", subject->rel);
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s, ", EffColumnSql("t", subject->rel, subject->key[i]));
	residual = EffPlanSubjectResidual(map, subject, st);
	appendStringInfo(&st->text, "(%s) IS TRUE FROM %s t WHERE ", residual, subject->rel->sql);
	EffConditionAppend(st, EffScopeSubject(map, st, "t", subject, &recorded));
	query->rows = st;
	query->nobody = find_nobody(map, subject);
	plan->reused = lappend(plan->reused, query);
}

/*
 * find_nobody returns the statement that finds the rows of a subject table whose
 * identifier an erasure has replaced: they are nobody's.  NULL where no erasure replaces
 * identifiers.
 */
static Statement *
find_nobody(DataMap *map, MapTable *subject)
{
	ScopeOwner	recorded = {SCOPE_ERASED, NULL};
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "looking for rows of", subject->rel);
	const Condition *held = NULL;

	for (int i = 0; i < subject->nkey && !EffMapDeletesRows(subject); i++)
	{
		MapColumn  *column = EffMapColumn(subject, subject->key[i]);
		Surrogate  *surrogate;

		if (column == NULL || column->label->erasure == ERASURE_RETAIN)
			continue;
		surrogate = EffSurrogateChoose(map, subject, column);
		if (surrogate->error == NULL && surrogate->kind != SURROGATE_GENERATED)
			held = held == NULL ? EffSurrogateResidual(surrogate, st, "t") :
				EffConditionOr(held, EffSurrogateResidual(surrogate, st, "t"));
	}
	if (held == NULL)
		return NULL;
	appendStringInfoString(&st->text, "SELECT ");
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "",
						 EffColumnSql("t", subject->rel, subject->key[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", subject->rel->sql);
	EffConditionAppend(st, EffConditionAnd(EffScopeSubject(map, st, "t", subject, &recorded),
										   EffConditionNot(held)));
	return st;
}
