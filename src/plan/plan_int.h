/*
 * plan_int.h
 *	  Between plan.c, which decides what is done, and the modules that write it
 *	  as SQL: of the rows, of the steps, of what need not be run.
 */
#ifndef EFF_PLAN_INT_H
#define EFF_PLAN_INT_H

#include "plan/plan.h"

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
	RequestPlan *request;		/* the base of plan */
	List	   *operations;		/* of PlannedOperation, in order */
	List	   *broken;			/* of BrokenEdge */
	bool		probing;		/* indexes are looked into before statements are run */
} PlanBuild;

extern PlannedOperation *EffPlanAddOperation(PlanBuild *build, StepStrategy strategy,
											 PlannedTable *planned);

/* Add the operations that a foreign key into rows that go asks for; ERROR where it conflicts */
extern void EffPlanReference(PlanBuild *build, PlannedTable *target, ForeignKey *fk);

/* The same for what accessors refer to by declared hops */
extern void EffPlanDetachAccessors(PlanBuild *build);

/* an EffDeletedTest; plan is a RequestPlan */
extern bool EffPlanDeletes(Oid relid, void *plan);

/* What finds rows and locks them: plan_rows.c */
extern void EffPlanLockCascades(PlanBuild *build);
extern void EffPlanMakeClassify(PlanBuild *build, PlannedTable *planned);
extern ParentSet *EffPlanParents(PlanBuild *build, TableLink *link);

/* Conditions on rows of alias t of a contested table: it stays as it is, or cannot be deleted */
extern const Condition *EffOwnershipShared(DataMap *map, Statement *st, RequestPlan *plan,
										   PlannedTable *planned);
extern const Condition *EffOwnershipPinned(DataMap *map, Statement *st, RequestPlan *plan,
										   PlannedTable *planned);

/* Rows that another owner has by the columns of a link */
extern const Condition *EffOwnershipTwins(DataMap *map, Statement *st, const char *alias,
										  RequestPlan *plan,
										  TableLink *link);

/* Rows of source that are released before rows of planned are deleted */
extern const Condition *EffOwnershipReleased(DataMap *map, Statement *st, const char *alias,
											 RequestPlan *plan,
											 PlannedTable *source, ForeignKey *fk,
												 PlannedTable *planned,
											 const ScopeOwner *owner);

/* Add the step of an operation; those of shared rows and of references have a file each */
extern void EffStepMake(PlanBuild *build, PlannedOperation *operation);
extern void EffStepMakeShared(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
extern void EffStepMakeReference(PlanBuild *build, ErasureStep *step, PlannedOperation *operation);

/* Append " WHERE ", and return where it begins; make the check of a step from there */
extern int	EffStepBeginWhere(Statement *st);
extern void EffStepAddCheck(ErasureStep *step, EffRelation *rel, const char *only, int where);

/* Let a step read, before it is run, to which large objects values in the columns point */
extern void EffStepAddObjects(ErasureStep *step, EffRelation *rel, List *columns, int where);

/* References to the subject's own row that are found by its key alone */
extern bool EffPlanIsKeyReference(PlanBuild *build, PlannedTable *planned, ForeignKey *fk);

/* Whether the rows of a step can be told by their one owner, as the statements below do */
extern bool EffStepHasOneOwner(PlannedTable *planned);

/*
 * Begin the statement of a step that finds its rows by what they reference;
 * false where none can.  The caller appends it up to its condition.
 */
extern bool EffStepByParentsBegin(PlanBuild *build, ErasureStep *step, int expected);
extern void EffStepByParentsEnd(PlanBuild *build, ErasureStep *step);

/* Whether there can be one about all subjects of a call */
extern bool EffStepJoinsToOwner(PlannedTable *planned);

/*
 * Begin a statement about all subjects of a call.  The caller appends it up to
 * what it writes; joiner leads to further tables, rest is a further condition.
 */
extern Statement *EffStepForAllBegin(const char *action, EffRelation *rel);
extern void EffStepForAllEnd(PlanBuild *build, Statement *st, PlannedTable *planned,
							 const char *joiner, const char *rest);
extern Statement *EffStepForAllCount(PlanBuild *build, PlannedTable *planned);

/* Conditions on rows of alias t: residual.c */
extern const Condition *EffPlanResidual(DataMap *map, PlannedTable *planned, Statement *st);
extern const Condition *EffPlanOthers(DataMap *map, PlannedTable *planned, Surrogate *surrogate,
									  Statement *st);
extern const Condition *EffPlanTied(DataMap *map, PlannedTable *planned, Statement *st);
extern bool EffPlanIsTied(Surrogate *surrogate, TableLink *link);

/* Find out what tells that tables, ways and statements reach nothing; in this order */
extern void EffPlanMakeProbes(PlanBuild *build);
extern void EffPlanProbeLocks(PlanBuild *build);
extern void EffPlanProbeSteps(PlanBuild *build);

/* Which tables an erasure is about, and what becomes of their rows and columns */
extern List *EffDecideTables(PlanBuild *build, List *tables);
extern PlannedTable *EffDecideTable(PlanBuild *build, MapTable *table);
extern PlannedTable *EffDecideOwnLinks(PlanBuild *build, List *links);
extern void EffDecideSurrogates(PlanBuild *build, PlannedTable *planned);

/* No way to what stays is cut; whether a foreign key is rewritten in rows that survive */
extern void EffPlanCheckChains(PlanBuild *build);
extern void EffPlanCheckWays(PlanBuild *build);
extern bool EffPlanRewrites(PlanBuild *build, PlannedTable *source, ForeignKey *fk);

/* ERROR ZE004 where the writing of a planned table is bound to fail: foretell.c */
extern void EffPlanForetell(PlanBuild *build, PlannedTable *planned);

/* The operations in order; then what must be found before the first of them */
extern void EffPlanOperations(PlanBuild *build);
extern void EffPlanFindConflictingReads(PlanBuild *build);

#endif							/* EFF_PLAN_INT_H */
