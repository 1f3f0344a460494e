/*
 * statements.h
 *	  The statements of a rectification, for the plan.
 */
#ifndef EFF_STATEMENTS_H
#define EFF_STATEMENTS_H

#include "effaced.h"
#include "rectify/plan.h"

/* The rows of a contested table in which a step writes, once they are locked */
extern RowSet *EffRectifyMakeRows(DataMap *map, RectifyPlan *plan, PlannedTable *planned,
								  RectifyPart part,
								  TableLink *link);

/* A step over these rows, NULL where it would write no column */
extern RectifyStep *EffRectifyMakeStep(DataMap *map, RectifyPlan *plan, PlannedTable *planned,
									   RectifyPart part,
									   TableLink *link, RowSet *rows, StepColumns which);

/* Counts the rows that any of the steps writes */
extern Statement *EffRectifyMakeCount(DataMap *map, RectifyPlan *plan, List *steps);

/*
 * Counts the rows of a contested table that are left to other owners, NULL
 * where there can be none
 */
extern Statement *EffRectifyMakeShared(DataMap *map, RectifyPlan *plan, PlannedTable *planned);

/* RectifyAftermath of the steps of a table */
extern List *EffRectifyMakeAftermath(DataMap *map, RectifyPlan *plan, PlannedTable *planned,
									 List *steps);

#endif							/* EFF_STATEMENTS_H */
