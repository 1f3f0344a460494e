/*
 * bind.h (public)
 *	  The values of a statement's parameters.
 */
#ifndef EFF_BIND_H
#define EFF_BIND_H

#include "label/label.h"
#include "rows/statement.h"
#include "subject/identifier.h"

extern TimestampTz EffSubtractDuration(const RetentionPolicy *policy, TimestampTz as_of);

/* What the parameters of a statement are bound to */
typedef struct RetentionValues
{
	DataMap    *map;
	TimestampTz as_of;
	List	   *restricted;		/* of SubjectSet */
	Datum	   *batch;			/* PARAM_BATCH, by index */
} RetentionValues;

/* Run inside the SPI bracket, planned for the values */
extern uint64 EffRetentionExecute(Statement *st, const RetentionValues *values, bool read_only, DestReceiver *dest);

#endif							/* EFF_BIND_H */
