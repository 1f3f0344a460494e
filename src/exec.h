/*
 * exec.h
 *	  Runs the steps of a plan for some subjects.
 */
#ifndef EFF_EXEC_H
#define EFF_EXEC_H

#include "effaced.h"
#include "identifier.h"
#include "plan.h"

typedef struct ErasureRun
{
	DataMap    *map;
	ErasurePlan *plan;
	SubjectKey **keys;
	int			nkeys;
	Datum	  **rows;			/* per row set: arrays of its key columns */
	uint64		found;			/* subject rows */
	uint64	   *counts;			/* rows, by step */
} ErasureRun;

extern ErasureRun *EffExecNew(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys);

/* Lock the subjects' rows in key order; run->found tells how many there are */
extern void EffExecLock(ErasureRun *run);

/* Run every step, inside the SPI bracket; ERROR leaves nothing half done */
extern void EffExecRun(ErasureRun *run);

/* Run one statement of the plan; expected as it was made with */
extern uint64 EffExecStatement(ErasureRun *run, Statement *st, bool read_only);
extern uint64 EffExecCount(ErasureRun *run, Statement *st);

#endif							/* EFF_EXEC_H */
