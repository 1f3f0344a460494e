/*
 * ownership.h (public)
 *	  Rows with several owners: who else a row belongs to, and what still
 *	  references it.
 *
 * Somebody in the call, or erased before, is no owner any more.  Who is erased
 * is found out at run time: the owners of the rows at hand are looked up in
 * the trail, and those who are reused are taken out again.
 */
#ifndef EFF_OWNERSHIP_H
#define EFF_OWNERSHIP_H

#include "effaced.h"
#include "map/map.h"
#include "plan/plan.h"
#include "rows/scope.h"

/*
 * Conditions on rows of alias t of a contested table: owned by somebody else, or owned
 * once by somebody who is erased
 */
extern const Condition *EffOwnershipOthers(DataMap *map, Statement *st, RequestPlan *plan,
										   MapTable *table);
extern const Condition *EffOwnershipErased(DataMap *map, Statement *st, MapTable *table);

/* Add the queries for the owners of a contested table's rows to the plan */
extern void EffOwnershipQueries(DataMap *map, RequestPlan *plan, PlannedTable *planned);

#endif							/* EFF_OWNERSHIP_H */
