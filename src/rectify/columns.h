/*
 * columns.h
 *	  Which columns a step of a rectification writes, as parts of statements.
 *
 * Conditions are on rows of alias t, as text to use in the same statement.
 */
#ifndef EFF_COLUMNS_H
#define EFF_COLUMNS_H

#include "effaced.h"
#include "rectify/plan.h"

/* Whether there is any */
extern bool EffRectifyWrites(RectifyPlan *plan, PlannedTable *planned, TableLink *link);

/* Begin an UPDATE with their values */
extern void EffRectifyValues(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step);

/* Some column is written */
extern const char *EffRectifyGuards(DataMap *map, RectifyPlan *plan, Statement *st,
									RectifyStep *step);

/* Some column holds neither the value nor a surrogate that must stay */
extern char *EffRectifyWrong(DataMap *map, RectifyPlan *plan, Statement *st, RectifyStep *step,
							 bool keys_changed);

#endif							/* EFF_COLUMNS_H */
