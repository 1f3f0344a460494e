/*
 * trace.h (public)
 *	  Looks for the values of subjects in the whole database: before an erasure
 *	  takes them, and for what is left of them afterwards.
 */
#ifndef EFF_TRACE_H
#define EFF_TRACE_H

#include "effaced.h"
#include "base/jsonb.h"
#include "exec/exec.h"
#include "fmgr.h"

/* What an erasure does about copies that it does not reach */
typedef enum TraceMode
{
	TRACE_NOTHING,				/* nobody looks for them */
	TRACE_REPORT,				/* tells of them */
	TRACE_REFUSE				/* fails where there are any */
} TraceMode;

typedef struct EffTrace EffTrace;

/* The argument "trace" of a function; ERROR ZE005 for another word */
extern TraceMode EffTraceArgument(FunctionCallInfo fcinfo, int argno);

/*
 * The values of a call's subjects, to be taken once their rows are locked and before any
 * changes, inside the SPI bracket; they live as long as the call.  They are read with the
 * caller's privileges.  NULL for TRACE_NOTHING.
 */
extern EffTrace *EffTraceTake(Call *call, TraceMode mode);

/*
 * Look for them after the erasure, in one pass for all subjects.  With TRACE_REFUSE, ERROR
 * ZE004 where a copy stays, 42501 where something could not be read.  Nothing for NULL.
 */
extern void EffTraceLook(EffTrace *trace);

/* Add "traces" to a result: rows by column, null for what could not be read.  Nothing for NULL. */
extern void EffTraceWrite(EffTrace *trace, JsonbWriter *result);

#endif							/* EFF_TRACE_H */
