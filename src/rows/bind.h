/*
 * bind.h
 *	  The values of a statement's parameters.
 */
#ifndef EFF_BIND_H
#define EFF_BIND_H

#include "label/label.h"
#include "rows/statement.h"

extern TimestampTz EffSubtractDuration(const RetentionPolicy *policy, TimestampTz as_of);

#endif							/* EFF_BIND_H */
