/*
 * rectify_plan.h
 *	  Which columns of which rows a rectification writes, as statements.
 */
#ifndef EFF_RECTIFY_PLAN_H
#define EFF_RECTIFY_PLAN_H

#include "effaced.h"
#include "plan.h"
#include "subject_state.h"

/* A column that a correction is about; its place in the list numbers its value */
typedef struct RectifyColumn
{
	MapTable   *table;
	MapColumn  *column;
	int			correction;		/* place in the list of corrections */
} RectifyColumn;

/* Whose columns a step writes */
typedef enum RectifyPart
{
	PART_OWN,					/* columns that are tied to no link */
	PART_OWN_ONCE_SHARED,		/* the same in rows that an erased subject owned too */
	PART_LINK					/* columns tied to a link */
} RectifyPart;

/* Rows of a table that get values in the same columns */
typedef struct RectifyStep
{
	RectifyPart part;
	TableLink  *link;			/* of PART_LINK */
	RowSet	   *rows;			/* NULL where they are looked up when their turn comes */
	List	   *columns;		/* of char * */
	Statement  *update;
	Statement  *check;			/* counts rows not written as planned, or NULL */
} RectifyStep;

typedef struct RectifyTable
{
	MapTable   *table;
	List	   *steps;			/* of RectifyStep */
	Statement  *count;			/* rows that any step writes, where there are several */
	Statement  *shared;			/* rows left to other owners, NULL where there can be none */
} RectifyTable;

/* Lives as long as the map */
typedef struct RectifyPlan
{
	ErasurePlan base;			/* subject, row sets and owners */
	SubjectState state;
	List	   *columns;		/* of RectifyColumn */
	List	   *row_sets;		/* of RowSet: all rows of a table, to be locked */
	List	   *parts;			/* of RowSet: those of them that a step writes */
	List	   *tables;			/* of RectifyTable, in the order of the changes */
} RectifyPlan;

extern RectifyPlan *EffRectifyPlanGet(DataMap *map, MapTable *subject, SubjectState state, List *columns);

/* Whether the subject may own what a column of a table holds */
extern bool EffRectifyOwns(MapTable *table, MapColumn *column, MapTable *subject);

#endif							/* EFF_RECTIFY_PLAN_H */
