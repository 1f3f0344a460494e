/*
 * runs.h
 *	  effaced_retention_runs: how far a run has come, for other sessions to see.
 */
#ifndef EFF_RUNS_H
#define EFF_RUNS_H

#include "effaced.h"
#include "datatype/timestamp.h"

/* A row for a run that begins now; returns its id */
extern int64 EffRetentionRunStart(TimestampTz as_of, int batch_rows);

/* A batch of it is done */
extern void EffRetentionRunBatch(int64 id, const char *target, bool deletes, uint64 rows);

/* It is over, and has left these rows as they are */
extern void EffRetentionRunEnd(int64 id, uint64 restricted, uint64 kept, uint64 left);

#endif							/* EFF_RUNS_H */
