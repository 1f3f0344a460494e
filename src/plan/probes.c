/*
 * probes.c
 *	  Which statements of a plan of very many tables are left out where indexes
 *	  show that there is nothing for them to do.
 *
 * Whatever way leads from a row to a subject ends at a row that holds the
 * subject's key.  Where there is no such row the way reaches nothing, whatever
 * lies before it and whatever its conditions are.
 */
#include "postgres.h"

#include "base/citus.h"
#include "plan/plan_int.h"

#include "utils/lsyscache.h"

/* Below it looking first takes longer than it saves */
#define PROBE_TABLES 32

static List *link_probes(PlanBuild *build, List *links);
static KeyProbe *add_probe(ErasurePlan *plan, KeyProbe *probe);
static List *probes_of_step(PlanBuild *build, ErasureStep *step, PlannedOperation *operation);
static void add_accesses(PlanBuild *build, EffRelation *rel, AclMode needed, List *reads);
static void merge_accesses(ErasurePlan *plan);
static int	compare_accesses(const ListCell *a, const ListCell *b);

/*
 * EffPlanMakeProbes: rows that must be found first are found by statements of
 * their own, and on Citus each node has indexes of its own.
 */
void
EffPlanMakeProbes(PlanBuild *build)
{
	build->probing = list_length(build->request->tables) >= PROBE_TABLES && !EffCitusPresent();
	foreach_ptr(PlannedTable, planned, build->request->tables)
	{
		if (!planned->find_first)
			planned->probes = link_probes(build, planned->links);
	}
}

/* link_probes: NIL where there are no links, or one of them cannot be told by indexes. */
static List *
link_probes(PlanBuild *build, List *links)
{
	List	   *probes = NIL;

	foreach_ptr(TableLink, link, build->probing ? links : NIL)
	{
		JoinHop    *last = llast(link->hops);
		KeyProbe   *probe;

		if (!EffLinkCarriesKey(link))
			return NIL;
		probe = EffProbeNew(link->subject, last->source, last->source_columns,
							last->target_columns);
		probes = list_append_unique_ptr(probes, add_probe(build->plan, probe));
	}
	return probes;
}

/* add_probe: ways that end alike are asked about once. */
static KeyProbe *
add_probe(ErasurePlan *plan, KeyProbe *probe)
{
	ListCell   *lc;

	foreach(lc, plan->probes)
		if (EffProbeSame(lfirst(lc), probe))
			return lfirst(lc);
	probe->id = list_length(plan->probes);
	plan->probes = lappend(plan->probes, probe);
	return probe;
}

/* EffPlanProbeLocks: whoever locks nothing need not ask, as for a step. */
void
EffPlanProbeLocks(PlanBuild *build)
{
	foreach_ptr(RowLock, lock, build->request->locks)
	{
		Statement  *st = lock->lock.one;

		st->probes = lock->link ? link_probes(build, list_make1(lock->link)) :
			lock->planned->probes;
		if (st->probes != NIL)
			add_accesses(build, lock->rel, ACL_SELECT | ACL_UPDATE, lock->planned->reads);
	}
}

/*
 * EffPlanProbeSteps: triggers on statements, and rules, do their work also where
 * there are no rows.
 */
void
EffPlanProbeSteps(PlanBuild *build)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (!build->probing)
		return;
	forboth(lc, build->plan->steps, lc2, build->operations)
	{
		ErasureStep *step = lfirst(lc);
		PlannedOperation *operation = lfirst(lc2);

		if (step->sql.find == NULL || step->rel->has_triggers ||
			(step->rel->relkind != RELKIND_RELATION &&
			 step->rel->relkind != RELKIND_PARTITIONED_TABLE))
			continue;
		step->sql.find->probes = probes_of_step(build, step, operation);
		if (step->sql.find->probes == NIL)
			continue;
		add_accesses(build, step->rel,
					 step->strategy == STEP_DELETE ? ACL_SELECT | ACL_DELETE :
					 step->strategy == STEP_DETACH || step->strategy == STEP_ANONYMIZE ?
						 ACL_SELECT | ACL_UPDATE : ACL_SELECT,
					 operation->planned->reads);
		if (operation->fk != NULL)
			add_accesses(build, EffMapLoad(build->map, operation->fk->target), ACL_SELECT, NIL);
		if (operation->outside != NULL)
			add_accesses(build, operation->outside->table->rel, ACL_SELECT,
						 operation->outside->reads);
	}
	foreach_ptr(KeyProbe, probe, build->plan->probes)
	{
		probe->held = list_member_ptr(build->plan->written, probe->rel);
	}
	merge_accesses(build->plan);
}

/*
 * probes_of_step: references to rows of a table have nothing to refer to where
 * it is empty; those to the subject's own row are asked about themselves.
 */
static List *
probes_of_step(PlanBuild *build, ErasureStep *step, PlannedOperation *operation)
{
	ForeignKey *fk = operation->fk;

	/* whose rows are others' too is found out by statements that read more tables */
	if (operation->outside != NULL && operation->outside->contested)
		return NIL;
	if (fk != NULL && EffPlanIsKeyReference(build, operation->planned, fk))
		return list_make1(add_probe(build->plan,
									EffProbeNew(build->request->subject, step->rel, fk->columns,
															 fk->target_columns)));
	return operation->planned->probes;
}

/* add_accesses notes what a statement that writes into rel, or only reads it, has to be granted. */
static void
add_accesses(PlanBuild *build, EffRelation *rel, AclMode needed, List *reads)
{
	ErasurePlan *plan = build->plan;
	ProbeAccess *access = palloc(sizeof(ProbeAccess));

	access->relid = rel->oid;
	access->needed = needed;
	plan->probe_accesses = lappend(plan->probe_accesses, access);
	foreach_ptr(ScopeRead, read, reads)
	{
		access = palloc(sizeof(ProbeAccess));
		access->relid = read->relid;
		access->needed = ACL_SELECT;
		plan->probe_accesses = lappend(plan->probe_accesses, access);
	}
}

/* merge_accesses leaves one for each relation. */
static void
merge_accesses(ErasurePlan *plan)
{
	List	   *merged = NIL;
	ProbeAccess *last = NULL;

	list_sort(plan->probe_accesses, compare_accesses);
	foreach_ptr(ProbeAccess, access, plan->probe_accesses)
	{
		if (last != NULL && last->relid == access->relid)
		{
			last->needed |= access->needed;
			continue;
		}
		merged = lappend(merged, access);
		plan->probe_schemas = list_append_unique_oid(plan->probe_schemas,
													 get_rel_namespace(access->relid));
		last = access;
	}
	plan->probe_accesses = merged;
}

static int
compare_accesses(const ListCell *a, const ListCell *b)
{
	Oid			left = ((ProbeAccess *) lfirst(a))->relid;
	Oid			right = ((ProbeAccess *) lfirst(b))->relid;

	return left < right ? -1 : left > right ? 1 : 0;
}
