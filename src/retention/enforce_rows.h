/*
 * enforce_rows.h
 *	  Picks, locks and changes the rows of a step of an enforcement.
 *
 * All functions but EffEnforceRewind() run inside the SPI bracket.  The values have
 * the instant, the map and the subjects under a restriction.
 */
#ifndef EFF_ENFORCE_ROWS_H
#define EFF_ENFORCE_ROWS_H

#include "effaced.h"
#include "rows/bind.h"
#include "retention/enforce_plan.h"

/* Numbers of expired rows that a run has left as they were */
typedef struct EnforcementRest
{
	uint64		restricted;		/* an owner is under a restriction */
	uint64		kept;			/* other rows or values keep them */

	/* of these rows, those that no step before has counted */
	uint64		first_restricted;
	uint64		first_kept;
	uint64		first_left;		/* others had locked them, or have added them since */
} EnforcementRest;

extern void EffEnforceRewind(EnforcementStep *step);
extern uint64 EffEnforcePick(EnforcementStep *step, BindValues *values, int max_rows);
extern List *EffEnforceObjects(EnforcementStep *step, const BindValues *values);
extern uint64 EffEnforceWrite(EnforcementStep *step, const BindValues *values, uint64 picked);
extern EnforcementRest EffEnforceRest(EnforcementStep *step, List *steps,
									  const BindValues *values);

#endif							/* EFF_ENFORCE_ROWS_H */
