/*
 * bind.h (public)
 *	  The values of a statement's parameters.
 */
#ifndef EFF_BIND_H
#define EFF_BIND_H

#include "label/label.h"
#include "rows/statement.h"
#include "subject/subject.h"

#include "nodes/params.h"
#include "tcop/dest.h"

/* The rows of a row set, sorted into parts */
typedef struct FoundRows
{
	int			nparts;
	uint64	   *counts;			/* by part */
	Datum	  **parts;			/* by part: arrays of the key's columns */
} FoundRows;

/* What a parent set holds */
typedef struct FoundParents
{
	bool		known;
	bool		usable;			/* not too many, and not kept from being locked */
	Datum		keys;			/* an array */
} FoundParents;

/* A value to be written */
typedef struct BoundValue
{
	Datum		value;
	bool		isnull;
} BoundValue;

/*
 * What the parameters of a statement stand for.  A member that no parameter of
 * the statement asks for may be left out.
 */
typedef struct BindValues
{
	DataMap    *map;
	MapTable   *subject;		/* of PARAM_KEY and PARAM_CALL */
	SubjectKey *key;			/* of PARAM_KEY and PARAM_TOKEN */
	SubjectKey **call_keys;		/* of PARAM_CALL */
	int			ncall_keys;
	FoundRows  *rows;			/* of PARAM_ROWS, by row set */
	FoundRows  *call_rows;		/* of PARAM_CALL_ROWS, by row set */
	FoundParents *parents;		/* of PARAM_PARENTS, by parent set */
	BoundValue *values;			/* of PARAM_VALUE, by index */
	List	   *erased;			/* of SubjectSet: those of a kind that is not in it are none */
	List	   *restricted;		/* of SubjectSet: each kind that the statement is about */
	TimestampTz as_of;			/* of PARAM_CUTOFF */
	Datum	   *batch;			/* of PARAM_BATCH, by index */
} BindValues;

/* The values of a statement's parameters in order; nulls as SPI takes them, NULL for none */
extern Datum *EffBind(const Statement *st, const BindValues *values, const char **nulls);

/*
 * Run a statement once, planned for its values, inside the SPI bracket; returns the
 * number of rows
 */
extern uint64 EffBindExecute(Statement *st, const BindValues *values, bool read_only,
							 DestReceiver *dest);

/* A time less the duration of a retention */
extern TimestampTz EffSubtractDuration(const RetentionPolicy *policy, TimestampTz as_of);

#endif							/* EFF_BIND_H */
