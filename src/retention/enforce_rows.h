/*
 * enforce_rows.h
 *	  Picks, locks and changes the rows of a step of enforcement.
 *
 * All of it inside the SPI bracket; restricted subjects are in the values.
 */
#ifndef EFF_ENFORCE_ROWS_H
#define EFF_ENFORCE_ROWS_H

#include "effaced.h"
#include "rows/bind.h"
#include "retention/enforce_plan.h"

/* Go back before the first row */
extern void EffEnforceRewind(EnforcementStep *step);

/* Lock the next rows and make them the batch of the values; returns their number, 0 at the end */
extern uint64 EffEnforcePick(EnforcementStep *step, BindValues *values, int max_rows);

/* Do what the step does to the batch; returns how many rows it changed.  ERROR where a trigger kept it from it */
extern uint64 EffEnforceWrite(EnforcementStep *step, const BindValues *values, uint64 picked);

/* Expired rows that are as they were */
typedef struct EnforcementRest
{
	uint64		restricted;		/* under a restriction */
	uint64		kept;			/* by something else */
	uint64		first_restricted;	/* those that no step before has */
	uint64		first_kept;
	uint64		first_left;		/* the same of rows that others had locked or added */
} EnforcementRest;

extern EnforcementRest EffEnforceRest(EnforcementStep *step, List *steps, const BindValues *values);

#endif							/* EFF_ENFORCE_ROWS_H */
