/*
 * constraints.h (public)
 *	  Constraints: which columns they are on, and whether a name tells them apart.
 */
#ifndef EFF_CONSTRAINTS_H
#define EFF_CONSTRAINTS_H

#include "effaced.h"
#include "nodes/pg_list.h"

/*
 * EffPlaceConstraint for the constraints and unique indexes of a relation that
 * are on one of these columns (char *)
 */
extern List *EffConstraintsOn(Oid relid, List *columns);

/* Whether SET CONSTRAINTS by the name of a constraint would meet others, or undeferrable ones */
extern bool EffConstraintHasNamesake(Oid constraint, const char *name, Oid schema,
									 bool only_undeferrable);

#endif							/* EFF_CONSTRAINTS_H */
