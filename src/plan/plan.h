/*
 * plan.h (public)
 *	  What an erasure of a subject does, step by step, before it does it.
 *
 * A plan is a function of labels and catalogs alone.  It is built once per
 * data map, subject table and set of tables, and lives as long as the map.
 */
#ifndef EFF_PLAN_PLAN_H
#define EFF_PLAN_PLAN_H

#include "effaced.h"
#include "fmgr.h"
#include "map/graph.h"
#include "rows/key_probe.h"
#include "rows/scope.h"
#include "rows/statement.h"
#include "rows/surrogate.h"
#include "utils/jsonb.h"

typedef enum StepStrategy
{
	STEP_BLOCKER,				/* rows that must not be there */
	STEP_DETACH,				/* references set to NULL */
	STEP_SIDE_EFFECT,			/* what the foreign key's own action does */
	STEP_DELETE,
	STEP_ANONYMIZE,
	STEP_RETAIN,
	STEP_SHARED					/* rows that are somebody else's too */
} StepStrategy;

/* A table of the plan and what becomes of its rows */
typedef struct PlannedTable
{
	MapTable   *table;
	List	   *links;			/* of TableLink, owners to the subject; NIL for the subject */
	bool		deleted;
	char	   *why;			/* rows go, or survive */
	List	   *anonymize;		/* of Surrogate: columns that are not retained */
	List	   *retain;			/* of MapColumn */
	bool		has_set;
	bool		contested;		/* rows may be somebody else's too */
	bool		reverse;		/* reached against a reference: may still be referenced */
	bool		primary_key;	/* its rows are told apart by it, although it may change */
	bool		own_links;		/* other rows of the subject table, by its own links */
	MapError   *pinned_error;	/* raised where a row had to be anonymized in place */
	List	   *reads;			/* of ScopeRead: what finding the rows reads */
	bool		find_first;		/* a step before changes what finding reads, or what it found
								 * must not grow */
	RowSet	   *rows;			/* where find_first */
	List	   *probes;			/* of KeyProbe: where none finds a row nothing is there of the
								 * subject; NIL unknown */
	Statement  *verify;			/* made at the first verification */
} PlannedTable;

/* How a step is run for a call with several subjects */
typedef enum StepForm
{
	FORM_NOTHING,				/* nothing is run */
	FORM_EACH,					/* find or by_parents, for each subject */
	FORM_TOGETHER,				/* count for each subject, then for_call: their rows may
								 * reference each other */
	FORM_COUNTED				/* per_subject, once */
} StepForm;

/*
 * The statements of a step.  For a call with one subject it is find, or
 * by_parents where the parents have been found; then check.
 */
typedef struct StepSql
{
	StepForm	form;
	Statement  *find;			/* of one subject, looks its rows up; NULL with FORM_NOTHING only */
	ParentSet  *parents;		/* what the rows reference, where by_parents can find them by it */
	Statement  *by_parents;		/* of one subject, finds the same rows by the parents' keys */
	Statement  *check;			/* counts a subject's rows that are not as planned; NULL where
								 * nothing can keep them from it */
	Statement  *objects;		/* reads which large objects go with one subject's values; NULL
								 * where none can */
	Statement  *count;			/* counts a subject's rows; with FORM_TOGETHER only */
	Statement  *for_call;		/* of all subjects of the call; with FORM_TOGETHER only */
	Statement  *per_subject;	/* of all subjects of the call: key, rows; with FORM_COUNTED only */
} StepSql;

/* Numbers of rows for which a step's event is kept */
#define STEP_PAYLOADS 32

typedef struct ErasureStep
{
	StepStrategy strategy;
	EffRelation *rel;
	char	   *link;			/* names of the links that it serves, or NULL */
	List	   *columns;		/* of char * */
	char	   *reason;
	char	   *hint;			/* of a blocker: what helps */
	StepSql		sql;
	ForeignKey *fk;				/* of blockers, detaches and side effects */
	PlannedTable *planned;		/* whose rows the statement looks up */
	Jsonb	   *payloads[STEP_PAYLOADS];	/* of its event by number of rows, made when needed */
} ErasureStep;

/* Who else owns rows of a contested table */
typedef struct OwnerQuery
{
	MapTable   *subject;
	RowSet	   *rows;
	Statement  *owners;			/* their identifiers */
} OwnerQuery;

/* Rows that rows of the subject hang from, to be locked before anything changes */
typedef struct RowLock
{
	EffRelation *rel;			/* whose rows are locked */
	PlannedTable *planned;		/* whose rows hang from them, or are locked themselves */
	TableLink  *link;			/* by which they do, NULL for the planned table's own rows */
	StatementPair lock;
} RowLock;

/* Columns of a table that hold references to external systems */
typedef struct RefSource
{
	MapTable   *table;
	List	   *columns;		/* of MapColumn */
	Statement  *read;			/* place of the column, value */
} RefSource;

/* Rows of erased subjects, some of which are reused */
typedef struct ReusedQuery
{
	MapTable   *subject;
	Statement  *rows;			/* key, and whether it holds more than surrogates, of
								 * PARAM_ERASED */
	Statement  *nobody;			/* key, of those of PARAM_ERASED whose identifier is a surrogate;
								 * NULL where an erasure leaves identifiers alone */
} ReusedQuery;

/*
 * Whose rows a request is about, and how they are found, locked and told apart.
 * Erasure, export, rectification and the reading of references have it in common.
 */
typedef struct RequestPlan
{
	MapTable   *subject;
	List	   *restricted;		/* of Oid, NIL for all tables */
	List	   *tables;			/* of PlannedTable, in the order of what is done */
	PlannedTable *own_links;	/* NULL where the subject table has no link to itself */
	StatementPair lock_subject; /* gives the keys of the rows found */
	List	   *locks;			/* of RowLock, from the subject outward */
	List	   *rowsets;		/* of RowSet */
	List	   *parents;		/* of ParentSet */
	List	   *owners;			/* of OwnerQuery */
	List	   *reused;			/* of ReusedQuery */
	List	   *refs;			/* of RefSource, made by ref_plan.c */
	List	   *deferrable;		/* of Oid: constraints that what is done may violate later */
	List	   *defer;			/* of ForeignKey, to be checked at the end */
	List	   *check_now;		/* of ForeignKey that may be deferred */
} RequestPlan;

/* What an erasure does */
typedef struct ErasurePlan
{
	RequestPlan base;			/* its tables are in the order of the steps */
	bool		refs_known;
	List	   *steps;			/* of ErasureStep */
	List	   *written;		/* of EffRelation: what the steps may write into */
	List	   *probes;			/* of KeyProbe, where there are very many tables */
	List	   *probe_accesses; /* of ProbeAccess: what statements that have probes need */
	List	   *probe_schemas;	/* of Oid: where their tables are */
	List	   *ends;			/* of WayCut: ways that end, to rows which keep nothing */
	bool		has_triggers;	/* on what the steps are about */
} ErasurePlan;

/* ERROR ZE001, ZE002, ZE003 or ZE004 where the labels conflict */
extern ErasurePlan *EffPlanGet(DataMap *map, MapTable *subject, List *tables);
extern const char *EffStrategyWord(StepStrategy strategy);
extern PlannedTable *EffPlanTable(RequestPlan *plan, Oid relid);

/* Argument argno of a function as relation OIDs, NIL where it is NULL */
extern List *EffPlanTablesArgument(FunctionCallInfo fcinfo, int argno);

/* What finds and locks rows of a request; each adds to the plan */
extern void EffPlanMakeSubjectLock(DataMap *map, RequestPlan *plan);
extern void EffPlanMakeLocks(DataMap *map, RequestPlan *plan);
extern void EffPlanMakeRowSet(DataMap *map, RequestPlan *plan, PlannedTable *planned);

/* The subject's rows of a planned table, by their row set where they were found first */
extern const Condition *EffPlanScope(DataMap *map, Statement *st, const char *alias,
									 RequestPlan *plan, PlannedTable *planned);

/* A part of them, where somebody else's were told apart from them */
extern const Condition *EffPlanScopePart(DataMap *map, Statement *st, const char *alias,
										 RequestPlan *plan, PlannedTable *planned,
							 int part);

/* The same rows by looking them up now */
extern const Condition *EffPlanScopeNow(DataMap *map, Statement *st, const char *alias,
										RequestPlan *plan, PlannedTable *planned,
							const ScopeOwner *owner);

/* Append the part of its row set that a row of alias t falls into */
extern void EffPlanPartOf(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned);

/* Condition that a row of a subject table, alias t, is no longer as erasure left it */
extern char *EffPlanSubjectResidual(DataMap *map, MapTable *subject, Statement *st);

/* One row: residual, surviving and excluded rows of a planned table */
extern Statement *EffPlanVerifyStatement(DataMap *map, RequestPlan *plan, PlannedTable *planned);

#endif							/* EFF_PLAN_PLAN_H */
