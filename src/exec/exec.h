/*
 * exec.h (public)
 *	  Runs the steps of a plan for a subject.
 */
#ifndef EFF_EXEC_H
#define EFF_EXEC_H

#include "effaced.h"
#include "subject/subject.h"
#include "plan/plan.h"
#include "rows/bind.h"
#include "utils/hsearch.h"

struct SubjectRun;

/* The subject with a key that is passed by value */
typedef struct RunByValue
{
	Datum		value;
	struct SubjectRun *run;
} RunByValue;

/* All subjects of a call */
typedef struct Call
{
	DataMap    *map;
	RequestPlan *plan;
	ErasurePlan *erasure;		/* whose base plan is, NULL where nothing is erased */
	SubjectKey **keys;
	int			nkeys;
	struct SubjectRun **runs;	/* one each */
	HTAB	   *runs_by_value;	/* where there are several, with one key that is passed by value */
	struct SubjectRun *all;		/* for statements that are about all of them */
	FoundRows  *found_rows;		/* by row set, of all subjects; of the run where there is but one */
	BoundValue  *values;			/* of PARAM_VALUE */
	bool	   *nothing;		/* by probe of the plan: it found nothing; NULL where nobody
								 * looked */
	bool		read_only;		/* all statements see the caller's snapshot */
	MemoryContext scratch;		/* parameters of one statement */
} Call;

typedef struct SubjectRun
{
	DataMap    *map;
	RequestPlan *plan;
	Call *call;
	SubjectKey *key;			/* the subject of this run, NULL for all of the call */
	List	   *erased;			/* of SubjectSet */
	FoundRows  *found_rows;		/* by row set */
	FoundParents *found_parents;	/* by parent set */
	uint64		found;			/* subject rows */
	uint64	   *counts;			/* rows, by step of an erasure */
	List	   *objects;		/* of LargeObject: what values that have gone pointed to */
} SubjectRun;

/* ERROR ZE005 where the snapshot would hide what is committed meanwhile */
extern void EffExecRequireReadCommitted(const char *function);

extern Call *EffExecNew(DataMap *map, RequestPlan *plan, SubjectKey **keys, int nkeys);
extern Call *EffExecNewErasure(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys);

/* Inside one SPI bracket: lock the rows and find those that must be known; then run every step */
extern void EffExecLockRows(Call *call);
extern void EffExecRunSteps(Call *call);

/* Find the rows that must be known beforehand, and what becomes of them */
extern void EffExecFindRows(Call *call, bool lock);

/* The place of a subject of the call by its canonical identifier, -1 where it is none */
extern int	EffExecPlaceOf(Call *call, const char *text);

/*
 * The parts of it: lock rows and count them, keep the keys of a row set, find out which
 * owners are erased
 */
extern uint64 EffExecLock(SubjectRun *run, Statement *st);
extern void EffExecFind(SubjectRun *run, RowSet *rows, bool lock);
extern void EffExecFindErased(SubjectRun *run);

/* The subject whose identifier is in a row's first columns */
extern SubjectKey *EffExecKeyOfRow(MapTable *subject, SPITupleTable *rows, uint64 row);

/* Rows of a part of a row set, given as arrays of the key's columns, each counted once */
extern uint64 EffExecCountDistinct(RowSet *rows, const Datum *arrays);

/*
 * Find a parent set, if that was not done; false where it is too large, or the caller may
 * not lock it
 */
extern bool EffExecFindParents(SubjectRun *run, ParentSet *parents);

/* Before changes and after them: what is deferrable is checked before the call returns */
extern void EffExecDeferConstraints(RequestPlan *plan);
extern void EffExecCheckConstraints(RequestPlan *plan);

/* What is left of a subject in a table */
typedef struct TableVerdict
{
	const char *name;
	uint64		residual;
	uint64		surviving;
	uint64		excluded;
} TableVerdict;

extern void EffExecVerify(SubjectRun *run, PlannedTable *planned, TableVerdict *verdict);

/*
 * After the steps: unlink the large objects that nothing points to any more; returns how
 * many others stay
 */
extern uint64 EffExecUnlinkObjects(Call *call);

/* Rows of the numbered step, over all subjects of the call; still inside the SPI bracket */
extern uint64 EffExecTotal(Call *call, int number);

/* Run one statement of the plan; a result is in SPI_tuptable, to be freed */
extern uint64 EffExecStatement(SubjectRun *run, Statement *st);
extern uint64 EffExecCount(SubjectRun *run, Statement *st);

/* Open a cursor over what a statement reads; returns its name */
extern const char *EffExecOpen(SubjectRun *run, Statement *st);

#endif							/* EFF_EXEC_H */
