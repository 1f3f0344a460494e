/*
 * plan.h
 *	  Which columns of which rows a rectification writes, as statements.
 */
#ifndef EFF_RECTIFY_PLAN_H
#define EFF_RECTIFY_PLAN_H

#include "effaced.h"
#include "exec/subject_state.h"
#include "plan/plan.h"
#include "rectify/corrections.h"

/* Whose columns a step writes */
typedef enum RectifyPart
{
	PART_OWN,					/* columns that are tied to no link */
	PART_OWN_ONCE_SHARED,		/* the same in rows that an erased subject owned too */
	PART_LINK					/* columns tied to a link */
} RectifyPart;

/* Which of them */
typedef enum StepColumns
{
	COLUMNS_ALL,
	COLUMNS_FREE,				/* of no key, neither the row's nor a foreign one */
	COLUMNS_KEYS
} StepColumns;

/* Rows of a table that get values in the same columns */
typedef struct RectifyStep
{
	PlannedTable *planned;
	RectifyPart part;
	TableLink  *link;			/* of PART_LINK */
	StepColumns which;
	RowSet	   *rows;			/* NULL where they are looked up when their turn comes */
	bool		anew;			/* looked up again although found: their key has changed */
	bool		early;			/* before any key changes */
	bool		changes_key;	/* of its own rows */
	List	   *columns;		/* of char * */
	Statement  *due;			/* counts the rows that it will write, where not all of rows are */
	Statement  *update;
	Statement  *check;			/* wrong rows, all rows; NULL without triggers */
} RectifyStep;

/* What triggers may have written meanwhile into rows that a step was about */
typedef struct RectifyAftermath
{
	Statement  *update;			/* NULL where it cannot be told whose such rows are */
	Statement  *left;			/* counts them */
} RectifyAftermath;

typedef struct RectifyTable
{
	MapTable   *table;
	List	   *steps;			/* of RectifyStep */
	List	   *aftermath;		/* of RectifyAftermath */
	Statement  *count;			/* rows that any step writes, where there are several */
	Statement  *shared;			/* rows left to other owners, NULL where there can be none */
	bool		on_way;			/* what is written leads to the subject: no row may be left */
} RectifyTable;

/* Rows that have to be found afterwards as before */
typedef struct RectifyWay
{
	MapTable   *table;
	Statement  *count;
} RectifyWay;

/* Lives as long as the map */
typedef struct RectifyPlan
{
	RequestPlan base;			/* subject, locks, row sets and owners */
	SubjectState state;
	List	   *columns;		/* of RectifyColumn */
	List	   *follows;		/* of ScopeRead: columns that are generated from those that are
								 * written, or follow by a foreign key's action */
	List	   *row_sets;		/* of RowSet: all rows of a table, to be locked */
	List	   *parts;			/* of RowSet: those of them that a step writes */
	List	   *tables;			/* of RectifyTable, in the order of the changes */
	List	   *ways;			/* of RectifyWay: what finding the rows reads is changed */
	bool		triggers;		/* some table has any */
} RectifyPlan;

extern RectifyPlan *EffRectifyPlanGet(DataMap *map, MapTable *subject, SubjectState state,
									  List *columns);

#endif							/* EFF_RECTIFY_PLAN_H */
