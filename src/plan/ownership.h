/*
 * ownership.h (public)
 *	  Rows with several owners: who else a row belongs to, and what still
 *	  references it.
 *
 * Somebody in the call, or erased before, is no owner any more.  Who is erased
 * is found out at run time: the owners of the rows at hand are looked up in
 * the trail, and those whose own row has been used anew are taken out again.
 */
#ifndef EFF_OWNERSHIP_H
#define EFF_OWNERSHIP_H

#include "effaced.h"
#include "map/map.h"
#include "plan/plan.h"
#include "rows/scope.h"



/* Conditions on rows of alias t of a contested table */
extern void EffOwnershipOthers(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned);
extern void EffOwnershipErased(DataMap *map, Statement *st, PlannedTable *planned);
extern void EffOwnershipShared(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned);
extern bool EffOwnershipPinned(DataMap *map, Statement *st, RequestPlan *plan, PlannedTable *planned);

/* Rows that a living owner has by the columns of a link */
extern void EffOwnershipTwins(DataMap *map, Statement *st, const char *alias, RequestPlan *plan, TableLink *link);

/* " OR ..." for rows of source that let go of a reference before rows of planned go */
extern void EffOwnershipReleased(DataMap *map, Statement *st, const char *alias, RequestPlan *plan,
								 PlannedTable *source, ForeignKey *fk, PlannedTable *planned,
								 const ScopeOwner *owner);

/* Add the queries for the owners of a contested table's rows to the plan */
extern void EffOwnershipQueries(DataMap *map, RequestPlan *plan, PlannedTable *planned);



#endif							/* EFF_OWNERSHIP_H */
