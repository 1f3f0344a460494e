/*
 * constraints.h (public)
 *	  Constraints of tables that are written to: which columns they are on, and
 *	  whether those that are deferred hold.
 */
#ifndef EFF_CONSTRAINTS_H
#define EFF_CONSTRAINTS_H

#include "effaced.h"
#include "nodes/pg_list.h"

/*
 * ERROR where one of these deferrable constraints (a list of Oid) is violated.
 * Nothing else happens: all of them are checked again when the caller has asked
 * for it, which COMMIT does at the latest.
 */
extern void EffConstraintsCheck(List *constraints);

/*
 * EffPlaceConstraint for the constraints and unique indexes of a relation that
 * are on one of these columns (char *)
 */
extern List *EffConstraintsOn(Oid relid, List *columns);

#endif							/* EFF_CONSTRAINTS_H */
