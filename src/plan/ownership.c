/*
 * ownership.c
 *	  Writes the conditions that decide about rows with several owners.
 */
#include "postgres.h"

#include "plan/ownership.h"

static void append_claims(DataMap *map, Statement *st, const char *alias, List *claims, const ScopeOwner *owner);
static void append_dead(DataMap *map, Statement *st, const char *alias, List *claims, MapTable *erasing);
static void append_taken(DataMap *map, Statement *st, PlannedTable *planned, ForeignKey *fk);
static bool takes(PlannedTable *planned);
static List *references_to(DataMap *map, PlannedTable *planned);
static MapTable *known_source(DataMap *map, RequestPlan *plan, ForeignKey *fk);
static void begin_reference(DataMap *map, Statement *st, const char *alias, EffRelation *rel,
							ForeignKey *fk, const char *inner);
static void add_query(DataMap *map, RequestPlan *plan, PlannedTable *planned, EffRelation *rel,
					  OwnerClaim *claim, ForeignKey *fk);
static void add_reused(DataMap *map, RequestPlan *plan, MapTable *subject);

/*
 * EffOwnershipShared: the row stays as it is, because another living owner has
 * it or, where it was reached against a reference, because somebody else's or
 * nobody's row references it.
 */
void
EffOwnershipShared(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	if (planned->own_links)
	{
		/* subjects of their own: only what is tied to the link is this subject's */
		appendStringInfoString(&st->text, "true");
		return;
	}
	appendStringInfoString(&st->text, "((");
	EffOwnershipOthers(map, st, plan, planned);
	append_taken(map, st, planned, NULL);
	appendStringInfoChar(&st->text, ')');

	if (planned->reverse)
		foreach_ptr(ForeignKey, fk, references_to(map, planned))
		{
			MapTable   *source = known_source(map, plan, fk);
			PlannedTable *run = source ? EffPlanTable(plan, source->rel->oid) : NULL;
			char	   *inner = EffStatementAlias(st);

			appendStringInfoString(&st->text, " OR (");
			begin_reference(map, st, "t", planned->table->rel, fk, inner);
			if (source == NULL)
				appendStringInfoString(&st->text, "true");
			else
			{
				appendStringInfoString(&st->text, "((");
				append_dead(map, st, inner, EffOwnersClaims(source, !source->is_subject), plan->subject);
				if (run != NULL && run->reverse)
				{
					/* what somebody else keeps also keeps what it references */
					appendStringInfoString(&st->text, " AND (");
					EffScopeCallRows(st, inner, run->rows, ROWS_KEPT);
					appendStringInfoString(&st->text, ") IS NOT TRUE");
					planned->rows->reclassify |= run->rows->id >= planned->rows->id;
				}
				appendStringInfoChar(&st->text, ')');
				if (run != NULL && run->deleted && takes(run))
				{
					/* somebody else's row that goes all the same */
					appendStringInfoString(&st->text, " OR ");
					EffScopeCallRows(st, inner, run->rows, ROWS_GONE);
					planned->rows->reclassify |= run->rows->id >= planned->rows->id;
				}
				if (run != NULL)
					EffOwnershipReleased(map, st, inner, plan, run, fk, planned, &EffScopeCall);
				appendStringInfoString(&st->text, ") IS NOT TRUE");
			}
			appendStringInfoChar(&st->text, ')');
			append_taken(map, st, planned, fk);
			appendStringInfoChar(&st->text, ')');
		}
	appendStringInfoChar(&st->text, ')');
}

/*
 * EffOwnershipOthers: somebody else who is living owns the row.
 */
void
EffOwnershipOthers(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	ScopeOwner	living = {SCOPE_OTHERS, plan->subject};

	append_claims(map, st, "t", EffOwnersClaims(planned->table, true), &living);
}

/*
 * EffOwnershipErased: somebody who is erased owned the row, and it may hold
 * surrogates for it.
 */
void
EffOwnershipErased(DataMap *map, Statement *st, PlannedTable *planned)
{
	ScopeOwner	erased = {SCOPE_ERASED, NULL};

	append_claims(map, st, "t", EffOwnersClaims(planned->table, true), &erased);
}

/*
 * EffOwnershipPinned: rows that neither go nor are detached reference the row.
 * Whose they are has been asked before: they do not keep it as it is.  False,
 * and nothing written, where there can be none.
 */
bool
EffOwnershipPinned(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned)
{
	bool		first = true;

	if (!planned->reverse)
		return false;
	foreach_ptr(ForeignKey, fk, references_to(map, planned))
	{
		MapTable   *source = known_source(map, plan, fk);
		PlannedTable *run = source ? EffPlanTable(plan, source->rel->oid) : NULL;
		char	   *inner;

		/* what can be set to NULL is, by a step of the plan or by the key's own action */
		if (source == NULL || EffDetachAllowed(map, source, fk))
			continue;
		inner = EffStatementAlias(st);
		appendStringInfoString(&st->text, first ? "(" : " OR ");
		first = false;
		begin_reference(map, st, "t", planned->table->rel, fk, inner);
		appendStringInfoChar(&st->text, '(');
		if (run == NULL || !run->deleted)
			appendStringInfoString(&st->text, "false");
		else if (run->contested)
		{
			/* known once those rows are classified, which may be after this */
			EffScopeCallRows(st, inner, run->rows, ROWS_GONE);
			planned->rows->reclassify |= run->rows->id >= planned->rows->id;
		}
		else
			EffPlanScopeNow(map, st, inner, plan, run, &EffScopeCall);
		if (run != NULL)
			EffOwnershipReleased(map, st, inner, plan, run, fk, planned, &EffScopeCall);
		appendStringInfoString(&st->text, ") IS NOT TRUE)");
	}
	if (!first)
		appendStringInfoChar(&st->text, ')');
	return !first;
}

/*
 * EffOwnershipTwins: the row is a living owner's by such a link.
 */
void
EffOwnershipTwins(DataMap *map, Statement *st, const char *alias, RequestPlan *plan, TableLink *link)
{
	ScopeOwner	living = {SCOPE_OTHERS, plan->subject};

	append_claims(map, st, alias, EffOwnersTwins(map, link), &living);
}

/*
 * EffOwnershipReleased: rows that stay as they are somebody else's too let go of
 * the reference by which they are also this subject's, in a step of their own.
 */
void
EffOwnershipReleased(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
					 PlannedTable *source, ForeignKey *fk, PlannedTable *planned, const ScopeOwner *owner)
{
	bool		before = false;
	ListCell   *lc;

	if (!source->contested)
		return;
	foreach(lc, plan->tables)
	{
		if (lfirst(lc) == planned)
			break;
		before |= lfirst(lc) == source;
	}
	if (!before)
		return;
	foreach(lc, source->links)
	{
		TableLink  *link = lfirst(lc);
		JoinHop    *first = linitial(link->hops);
		int			part = ROWS_KEPT_BY + foreach_current_index(lc);

		if (first->fk != fk || first->reverse || EffDetachLinkColumns(map, link) == NIL)
			continue;
		appendStringInfoString(&st->text, " OR (");
		if (owner->whose == SCOPE_CALL)
			EffScopeCallRows(st, alias, source->rows, part);
		else
			EffScopeRows(st, alias, source->rows, part);
		if (EffOwnersHaveTwin(map, link))
		{
			appendStringInfoString(&st->text, " AND ");
			EffOwnershipTwins(map, st, alias, plan, link);
			appendStringInfoString(&st->text, " IS NOT TRUE");
		}
		appendStringInfoChar(&st->text, ')');
	}
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

static void
append_claims(DataMap *map, Statement *st, const char *alias, List *claims, const ScopeOwner *owner)
{
	ListCell   *lc;

	if (claims == NIL)
		appendStringInfoString(&st->text, "false");
	foreach(lc, claims)
	{
		OwnerClaim *claim = lfirst(lc);

		appendStringInfoString(&st->text, foreach_current_index(lc) == 0 ? "(" : " OR ");
		if (claim->link == NULL)
			EffScopeSubject(map, st, alias, claim->subject, owner);
		else
			EffScopeLink(map, st, alias, claim->link, 0, owner);
	}
	if (claims != NIL)
		appendStringInfoChar(&st->text, ')');
}

/* append_dead: the row has owners, and all of them are in the call or erased. */
static void
append_dead(DataMap *map, Statement *st, const char *alias, List *claims, MapTable *erasing)
{
	ScopeOwner	dead = {SCOPE_ERASED, erasing};
	ScopeOwner	living = {SCOPE_OTHERS, erasing};

	append_claims(map, st, alias, claims, &dead);
	appendStringInfoString(&st->text, " AND ");
	append_claims(map, st, alias, claims, &living);
	appendStringInfoString(&st->text, " IS NOT TRUE");
}

/*
 * append_taken: but not where a link under "shared": "erase" takes the row, for
 * any of the call; with fk, only if that is the reference by which such a link
 * leads to its owner.
 */
static void
append_taken(DataMap *map, Statement *st, PlannedTable *planned, ForeignKey *fk)
{
	bool		first = true;

	foreach_ptr(TableLink, link, planned->links)
	{
		JoinHop    *hop = linitial(link->hops);

		if (link->label->shared != SHARED_ERASE ||
			(fk != NULL && (!hop->reverse || hop->fk != fk)))
			continue;
		appendStringInfoString(&st->text, first ? " AND (" : " OR ");
		EffScopeLink(map, st, "t", link, 0, &EffScopeCall);
		first = false;
	}
	if (!first)
		appendStringInfoString(&st->text, ") IS NOT TRUE");
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

/* begin_reference opens the sub-select of the rows that reference alias's row. */
static void
begin_reference(DataMap *map, Statement *st, const char *alias, EffRelation *rel,
				ForeignKey *fk, const char *inner)
{
	EffScopeJoinBegin(st, alias, rel, fk->target_columns, inner,
					  EffMapLoad(map, fk->relid), fk->columns, fk->nkeys, false);
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
		EffScopeRows(query->owners, "t", planned->rows, ROWS_ALL);
	else
	{
		inner = EffStatementAlias(query->owners);
		EffScopeJoinBegin(query->owners, "t", rel, fk->columns, inner,
						  planned->table->rel, fk->target_columns, fk->nkeys, true);
		EffScopeRows(query->owners, inner, planned->rows, ROWS_ALL);
		appendStringInfoChar(&query->owners->text, ')');
	}
	plan->owners = lappend(plan->owners, query);
	add_reused(map, plan, claim->subject);
}

/*
 * add_reused adds the query for erased subjects that are used anew: a row of
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
	EffScopeSubject(map, st, "t", subject, &recorded);
	query->rows = st;
	plan->reused = lappend(plan->reused, query);
}
