/*
 * enforce_plan.c
 *	  Makes the steps of an enforcement from the terms that labels name.
 */
#include "postgres.h"

#include "base/citus.h"
#include "retention/enforce_plan.h"
#include "retention/enforce_ways.h"

static void *make_steps(DataMap *map, const void *key);
static List *in_order(DataMap *map, List *steps, List *terms);
static void require_local(RetentionTerm *term);
static void require_replaceable(DataMap *map, RetentionTerm *term);
static EnforcementStep *step_of_group(List *steps, RetentionTerm *term);
static List *list_references(DataMap *map, MapTable *table);
static List *add_reference(List *references, EffRelation *rel, AttrNumber *columns,
						   EffRelation *source, AttrNumber *source_columns, int n);
static bool is_hop(DataMap *map, ForeignKey *fk);

static const MapCacheSlot enforcement_slot = {"enforcement", NULL, make_steps};

/*
 * EffEnforcePlanGet returns the steps (of EnforcementStep) in their order.  They are
 * made once per map and freed with it.  A label that cannot be carried out is an error
 * (ZE004, ZE005).  The caller has pinned the settings.
 */
List *
EffEnforcePlanGet(DataMap *map)
{
	return EffMapCacheGet(map, &enforcement_slot, NULL);
}

/*
 * make_steps returns the steps, first those that delete rows and then those that
 * anonymize, so that no value is replaced in a row that is deleted.  A term without an
 * anchor or a duration never ends and has no step.
 */
static void *
make_steps(DataMap *map, const void *key)
{
	List	   *deletions = NIL;
	List	   *anonymizations = NIL;
	List	   *terms = EffRetentionTerms(map);

	foreach_ptr(RetentionTerm, term, terms)
	{
		EnforcementStep *step;

		if (term->anchor == NULL || term->policy->on_expiry == EXPIRY_REPORT)
			continue;
		require_local(term);
		if (term->policy->on_expiry == EXPIRY_ANONYMIZE)
		{
			require_replaceable(map, term);
			step = step_of_group(anonymizations, term);
			if (step != NULL)
			{
				step->terms = lappend(step->terms, term);
				continue;
			}
		}
		step = palloc0(sizeof(EnforcementStep));
		step->table = term->table;
		step->terms = list_make1(term);
		step->claims = EffOwnersOfValue(term->table, NULL);
		if (term->column->label->link != NULL)
			step->claims = list_concat(step->claims, term->claims);
		if (term->policy->on_expiry == EXPIRY_ANONYMIZE)
		{
			anonymizations = lappend(anonymizations, step);
			continue;
		}
		step->deletes = true;
		step->references = list_references(map, term->table);
		foreach_ptr(RetentionTerm, other, terms)
		{
			if (other != term && other->table == term->table)
				step->others = lappend(step->others, other);
		}
		deletions = lappend(deletions, step);
	}
	return list_concat(deletions, in_order(map, anonymizations, terms));
}

/*
 * in_order puts the steps whose columns lead to values after those whose columns do not:
 * what is replaced first keeps nothing any more.
 */
static List *
in_order(DataMap *map, List *steps, List *terms)
{
	List	   *first = NIL;
	List	   *last = NIL;

	foreach_ptr(EnforcementStep, step, steps)
	{
		EffEnforceWays(map, step, terms);
		if (step->keepers == NIL)
			first = lappend(first, step);
		else
			last = lappend(last, step);
	}
	return list_concat(first, last);
}

/* require_local refuses tables whose rows cannot be locked with SKIP LOCKED. */
static void
require_local(RetentionTerm *term)
{
	EffRelation *rel = term->table->rel;

	if (rel->relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("retention of column \"%s\" of table \"%s\" cannot be enforced on a"
						" foreign table", term->column->column->name, rel->name),
				 errhint("Set \"on_expiry\" to \"report\" here, and enforce it where the table"
						 " is."),
				 errhidestmt(true)));
	/* a ctid is another row on each node */
	if (EffCitusIsRemote(rel->oid))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("retention of column \"%s\" of table \"%s\" cannot be enforced on a"
						" table that Citus distributes", term->column->column->name, rel->name),
				 errdetail("Rows of several shards cannot be locked and passed by."),
				 errhint("Set \"on_expiry\" to \"report\", and erase the subjects that"
						 " effaced_sweep() names."),
				 errhidestmt(true)));
}

/* require_replaceable refuses columns without a surrogate, and those whose value something uses. */
static void
require_replaceable(DataMap *map, RetentionTerm *term)
{
	EffRelation *rel = term->table->rel;
	EffColumn  *column = term->column->column;
	const char *why = NULL;

	if (term->surrogate->error != NULL)
		EffMapErrorRaise(term->surrogate->error);
	if (term->surrogate->kind == SURROGATE_GENERATED)
		why = "it is generated from other columns";
	for (int i = 0; i < term->surrogate->nkey; i++)
		if (term->surrogate->key[i] == column->attnum)
			why = "it is part of the row's key";
	foreach_ptr(ForeignKey, fk, EffMapRelation(map, rel->oid)->referenced_by)
	{
		for (int i = 0; i < fk->nkeys; i++)
			if (fk->target_columns[i] == column->attnum)
				why = psprintf("foreign key \"%s\" references it", fk->name);
	}
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("column \"%s\" of table \"%s\" cannot be anonymized when its retention"
						" ends: %s", column->name, rel->name, why),
				 errhint("Set \"on_expiry\" of its retention to \"report\" or \"delete\"."),
				 errhidestmt(true)));
}

/*
 * step_of_group returns the step whose terms have the same table, anchor, duration and
 * link, or NULL.
 */
static EnforcementStep *
step_of_group(List *steps, RetentionTerm *term)
{
	ListCell   *lc;

	foreach(lc, steps)
	{
		RetentionTerm *first = linitial(((EnforcementStep *) lfirst(lc))->terms);
		const char *link = first->column->label->link;
		const char *other = term->column->label->link;

		if (first->table == term->table && first->anchor == term->anchor &&
			strcmp(first->policy->duration, term->policy->duration) == 0 &&
			(link == NULL ? other == NULL : other != NULL && strcmp(link, other) == 0))
			return lfirst(lc);
	}
	return NULL;
}

/*
 * list_references returns the references that keep a row of the table: those by
 * foreign keys, and declared or reverse hops over it, since a row reached over it
 * would lose its owner.  A foreign key that sets the reference to NULL or a default
 * keeps no row, unless it is a hop.
 */
static List *
list_references(DataMap *map, MapTable *table)
{
	List	   *references = NIL;

	foreach_oid(oid, table->rel->inheritors)
	{
		EffRelation *rel = EffMapFind(map, oid);

		if (rel == NULL)
			continue;
		foreach_ptr(ForeignKey, fk, EffMapRelation(map, rel->oid)->referenced_by)
		{
			EffRelation *source = EffMapFind(map, fk->relid);

			if (source != NULL && (!EffForeignKeyReleases(fk, source) || is_hop(map, fk)))
				references = add_reference(references, rel, fk->target_columns, source, fk->columns,
										   fk->nkeys);
		}
	}
	for (int i = 0; i < map->ntables; i++)
		foreach_ptr(TableLink, link, map->tables[i]->links)
			foreach_ptr(JoinHop, hop, link->hops)
			{
				if ((hop->fk == NULL || hop->reverse) &&
					list_member_oid(table->rel->inheritors, hop->target->oid))
					references = add_reference(references, hop->target, hop->target_columns,
											   hop->source, hop->source_columns, hop->n);
			}
	return references;
}

/* add_reference adds one reference to a list of them. */
static List *
add_reference(List *references, EffRelation *rel, AttrNumber *columns,
			  EffRelation *source, AttrNumber *source_columns, int n)
{
	RowReference *reference = palloc(sizeof(RowReference));

	reference->rel = rel;
	reference->columns = columns;
	reference->source = source;
	reference->source_columns = source_columns;
	reference->n = n;
	return lappend(references, reference);
}

/* is_hop returns whether a link of some table has the foreign key as a hop. */
static bool
is_hop(DataMap *map, ForeignKey *fk)
{
	for (int i = 0; i < map->ntables; i++)
		foreach_ptr(TableLink, link, map->tables[i]->links)
			foreach_ptr(JoinHop, hop, link->hops)
				if (hop->fk == fk)
					return true;
	return false;
}
