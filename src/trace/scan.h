/*
 * scan.h
 *	  Reads every table and materialized view for the values of subjects.
 */
#ifndef EFF_SCAN_H
#define EFF_SCAN_H

#include "effaced.h"
#include "exec/exec.h"
#include "trace/findings.h"
#include "trace/values.h"

/*
 * Search relations, NIL for all, for the values of a call's subjects, in the
 * current memory context and inside the SPI bracket.  With stays, the erasure is done:
 * what is counted is what stays, by column; what the erasure retains is left out,
 * and so are keys in columns that link rows.
 */
extern TraceFindings *EffScan(Call *call, TraceValues *values, List *relations, bool stays);

#endif							/* EFF_SCAN_H */
