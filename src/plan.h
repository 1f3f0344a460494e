/*
 * plan.h
 *	  What an erasure of a subject does, step by step, before it does it.
 *
 * A plan is a function of labels and catalogs alone.  It is built once per
 * data map, subject table and set of tables, and lives as long as the map.
 */
#ifndef EFF_PLAN_H
#define EFF_PLAN_H

#include "effaced.h"
#include "fmgr.h"
#include "graph.h"
#include "statement.h"
#include "surrogate.h"

typedef enum StepStrategy
{
	STEP_BLOCKER,				/* rows that must not be there */
	STEP_DETACH,				/* references set to NULL */
	STEP_SIDE_EFFECT,			/* what the foreign key's own action does */
	STEP_DELETE,
	STEP_ANONYMIZE,
	STEP_RETAIN,
	STEP_SHARED
} StepStrategy;

/* A table of the plan and what becomes of its rows */
typedef struct PlannedTable
{
	MapTable   *table;
	List	   *links;			/* of TableLink, owners to the subject; NIL for the subject */
	bool		deleted;
	char	   *why;			/* rows go, or survive */
	List	   *anonymize;		/* of Surrogate */
	List	   *retain;			/* of MapColumn */
	bool		has_set;
	List	   *reads;			/* of ScopeRead: what finding the rows reads */
	bool		find_first;		/* a step before changes what finding reads */
	RowSet	   *rows;			/* where find_first */
	Statement  *verify;			/* made at the first verification */
} PlannedTable;

typedef struct ErasureStep
{
	StepStrategy strategy;
	EffRelation *rel;
	const char *link;
	List	   *columns;		/* of char * */
	char	   *reason;
	Statement  *statement;		/* NULL for side effects */
	Statement  *check;			/* counts rows not written as planned, or NULL */
	ForeignKey *fk;				/* of blockers, detaches and side effects */
	PlannedTable *planned;		/* whose rows the statement looks up */
} ErasureStep;

typedef struct ErasurePlan
{
	MapTable   *subject;
	List	   *restricted;		/* of Oid, NIL for all tables */
	List	   *tables;			/* of PlannedTable, in the order of the steps */
	Statement  *lock_subject;
	List	   *locks;			/* of Statement: rows that children hang from */
	List	   *rowsets;		/* of RowSet */
	List	   *steps;			/* of ErasureStep */
	List	   *defer;			/* of ForeignKey, to be checked at the end */
	List	   *check_now;		/* of ForeignKey, deferred by declaration */
	bool		uses_secret;
} ErasurePlan;

/* ERROR ZE001, ZE002, ZE003 or ZE004 where the labels conflict */
extern ErasurePlan *EffPlanGet(DataMap *map, MapTable *subject, List *tables);
extern const char *EffStrategyWord(StepStrategy strategy);
extern PlannedTable *EffPlanTable(ErasurePlan *plan, Oid relid);

/* The rows of a planned table that are the subject's */
extern void EffPlanScope(DataMap *map, Statement *st, const char *alias, ErasurePlan *plan, PlannedTable *planned);

/* One row: residual, surviving and excluded rows of a planned table */
extern Statement *EffPlanVerifyStatement(DataMap *map, ErasurePlan *plan, PlannedTable *planned);

/* Argument argno of a function as relation OIDs, NIL where it is NULL */
extern List *EffPlanTablesArgument(FunctionCallInfo fcinfo, int argno);

#endif							/* EFF_PLAN_H */
