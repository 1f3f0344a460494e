/*
 * run.h (public)
 *	  Statements run inside the bracket.
 */
#ifndef EFF_BASE_RUN_H
#define EFF_BASE_RUN_H

#include "base/bracket.h"
#include "base/errors.h"
#include "nodes/params.h"

extern uint64 EffSpiExecute(SPIPlanPtr plan, Datum *values, const char *nulls,
							bool read_only, long limit, int expected,
							const EffStatementPlace *place);
/*
 * A cursor over a statement that only reads, in the snapshot of the command
 * that runs.  It outlives the bracket, not its transaction; each bracket names
 * it anew.  EffSpiFetch leaves the rows in SPI_tuptable and returns their number.
 */
extern const char *EffSpiOpen(SPIPlanPtr plan, Datum *values, const char *nulls,
							  const EffStatementPlace *place);
extern uint64 EffSpiFetch(const char *name, long rows, const EffStatementPlace *place);
extern void EffSpiClose(const char *name);

/* Plan a SELECT for these values and run it; rows are sent to dest, or to SPI_tuptable */
extern uint64 EffSpiExecuteFor(const char *sql, ParamListInfo params, bool read_only,
							   DestReceiver *dest, const EffStatementPlace *place);

/* An int8 that is not NULL in the first row of the result, by its column */
extern int64 EffSpiNumber(int column);

extern void EffSpiCommand(const char *sql, const EffStatementPlace *place);

#endif							/* EFF_BASE_RUN_H */
