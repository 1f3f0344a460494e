/*
 * runs.h
 *	  effaced_retention_runs: how far a run has come, for other sessions to see.
 */
#ifndef EFF_RUNS_H
#define EFF_RUNS_H

#include "effaced.h"
#include "datatype/timestamp.h"

extern int64 EffRetentionRunStart(TimestampTz as_of, int batch_rows);
extern void EffRetentionRunBatch(int64 id, const char *target, bool deletes, uint64 rows);
extern void EffRetentionRunEnd(int64 id, uint64 restricted, uint64 kept, uint64 left);

#endif							/* EFF_RUNS_H */
