/*
 * values.h
 *	  The values that subjects are looked for by.
 */
#ifndef EFF_TRACE_VALUES_H
#define EFF_TRACE_VALUES_H

#include "effaced.h"
#include "exec/exec.h"
#include "trace/digits.h"
#include "trace/patterns.h"

/* One value of a subject */
typedef struct TraceValue
{
	char	   *text;			/* not needed any more once the values are ready */
	int			fact;			/* place in the list of facts */
	bool		named;			/* it is the key or a fact, not a category */
} TraceValue;

/* The values of the subjects of a call */
typedef struct TraceValues
{
	int			n;
	int			allocated;
	TraceValue *values;
	List	   *facts;			/* of char *: facts, or categories; the first is the key */
	EffPatterns *patterns;
	EffDigits  *digits;
} TraceValues;

#define TRACE_FACT_KEY 0

/*
 * The values of all subjects of a call, ready to be searched for, in the current
 * memory context: their keys, and what their rows hold in columns that are traced.
 * Rows are read with the caller's privileges.  ERROR as a plan gives for labels that conflict.
 */
extern TraceValues *EffTraceValuesOf(Call *call);

#endif							/* EFF_TRACE_VALUES_H */
