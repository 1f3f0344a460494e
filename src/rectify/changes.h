/*
 * changes.h
 *	  Which columns a rectification changes.
 */
#ifndef EFF_CHANGES_H
#define EFF_CHANGES_H

#include "effaced.h"
#include "rectify/plan.h"

/* Fill follows; what is asked below needs it */
extern void EffRectifyFollow(DataMap *map, RectifyPlan *plan);

/* What is written in a table leads from rows to the subject */
extern bool EffRectifyIsOnWay(DataMap *map, RectifyPlan *plan, MapTable *table);

/* Some of what is read (ScopeRead) changes */
extern bool EffRectifyChangesRead(RectifyPlan *plan, List *reads);

/* Some of these columns change, or do so because another table's do */
extern bool EffRectifyChangesKey(RectifyPlan *plan, MapTable *table, const AttrNumber *columns,
								 int n);
extern bool EffRectifyFollowsKey(RectifyPlan *plan, MapTable *table, const AttrNumber *columns,
								 int n);

/* Have foreign keys of changed columns checked at the end, where they can be */
extern void EffRectifyDefer(DataMap *map, RectifyPlan *plan);

#endif							/* EFF_CHANGES_H */
