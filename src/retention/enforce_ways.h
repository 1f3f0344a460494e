/*
 * enforce_ways.h
 *	  Rows whose expired columns are left, since they lead to values that have not
 *	  expired.
 */
#ifndef EFF_ENFORCE_WAYS_H
#define EFF_ENFORCE_WAYS_H

#include "effaced.h"
#include "retention/enforce_plan.h"

/* Note for a step that anonymizes what its columns lead to; terms are all there are */
extern void EffEnforceWays(DataMap *map, EnforcementStep *step, List *terms);

/* The condition that writing the step's columns in a row of alias t would cut a way */
extern const Condition *EffEnforceCuts(DataMap *map, EnforcementStep *step, Statement *st);

#endif							/* EFF_ENFORCE_WAYS_H */
