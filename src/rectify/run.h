/*
 * run.h
 *	  Runs the plan of a rectification.
 */
#ifndef EFF_RECTIFY_RUN_H
#define EFF_RECTIFY_RUN_H

#include "effaced.h"
#include "exec/exec.h"
#include "rectify/plan.h"

/* What was done in a table, over its own rows and those by its links */
typedef struct RectifiedTable
{
	MapTable   *table;
	List	   *columns;		/* of char * */
	uint64		rectified;
	uint64		shared;
	bool		may_share;
} RectifiedTable;

/*
 * Lists RectifiedTable, inside the SPI bracket; the run's call has the values.
 * ERROR ZE004 where something kept rows from being written
 */
extern List *EffRectifyRun(SubjectRun *run, RectifyPlan *plan);

#endif							/* EFF_RECTIFY_RUN_H */
