/*
 * plan_build.h
 *	  Between plan.c, which decides what is done, and plan_statements.c, which
 *	  writes it as SQL.
 */
#ifndef EFF_PLAN_BUILD_H
#define EFF_PLAN_BUILD_H

#include "plan.h"

/* One statement to be, while the order of changes is worked out */
typedef struct PlannedOperation
{
	StepStrategy strategy;
	PlannedTable *planned;		/* whose rows it looks up */
	int			part;			/* of its row set, where it is contested */
	ForeignKey *fk;				/* of detaches, blockers and side effects */
	PlannedTable *outside;		/* rows of this table stay out, or NULL */
	int			outside_part;
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
	bool		probing;		/* indexes are looked into before statements are run */
} PlanBuild;

extern PlannedOperation *EffPlanAddOperation(PlanBuild *build, StepStrategy strategy, PlannedTable *planned);

/* Add the operations that a foreign key into rows that go asks for; ERROR where it conflicts */
extern void EffPlanReference(PlanBuild *build, PlannedTable *target, ForeignKey *fk);

/* The same for what accessors refer to by declared hops */
extern void EffPlanDetachAccessors(PlanBuild *build);

/* an EffDeletedTest; plan is an ErasurePlan */
extern bool EffPlanDeletes(Oid relid, void *plan);
extern void EffPlanMakeSubjectLock(PlanBuild *build);
extern void EffPlanMakeLocks(PlanBuild *build);
extern void EffPlanMakeRowSet(PlanBuild *build, PlannedTable *planned);
extern void EffPlanMakeClassify(PlanBuild *build, PlannedTable *planned);
extern void EffPlanMakeStep(PlanBuild *build, PlannedOperation *operation);

/* References to the subject's own row that are found by its key alone */
extern bool EffPlanIsKeyReference(PlanBuild *build, PlannedTable *planned, ForeignKey *fk);

/* Find out what tells that tables, ways and statements reach nothing; in this order */
extern void EffPlanMakeProbes(PlanBuild *build);
extern List *EffPlanLinkProbes(PlanBuild *build, List *links);
extern void EffPlanProbeLock(PlanBuild *build, Statement *lock, EffRelation *rel, PlannedTable *planned, List *probes);
extern void EffPlanProbeSteps(PlanBuild *build);

/* Columns (int attnums) that detach a kept row from the subject of a link */
extern List *EffPlanLinkReference(DataMap *map, TableLink *link);

#endif							/* EFF_PLAN_BUILD_H */
