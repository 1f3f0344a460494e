/*
 * export_plan.h
 *	  Which values of which rows are exported to a subject, as statements.
 *
 * A row is exported to whoever owns it and to whoever may access it.  What a
 * link redacts is left out for those who only may access the row, and what is
 * tied to another owner's link is left out for the owners.
 */
#ifndef EFF_EXPORT_PLAN_H
#define EFF_EXPORT_PLAN_H

#include "effaced.h"
#include "exec.h"
#include "subject_state.h"

/*
 * A table that holds something of the subject, or that it may look into.  A
 * result row is the row's key as an object, the value of each labelled column
 * as JSON text, NULL where it is left out, and of each the end of its term.
 */
typedef struct ExportSource
{
	MapTable   *table;
	int			ncolumns;
	char	  **heads;			/* by column: a record as JSON text, up to its value */
	Statement  *sorted;			/* by the row's key */
	Statement  *unsorted;		/* as the rows are found: nothing is held back */
	Statement  *is_small;		/* whether the rows are few enough to be sorted */
} ExportSource;

/* How a kind of subject is exported; lives as long as the map */
typedef struct ExportPlan
{
	ErasurePlan base;			/* whose subject the parameters are about */
	SubjectState state;			/* surrogates of the erased are nobody's data any more */
	List	   *sources;		/* of ExportSource, by the tables' names */
} ExportPlan;

/* Columns of a result row, numbered from 1 */
#define EXPORT_ROW_KEY 1
#define EXPORT_VALUE(place) (2 + (place))
#define EXPORT_EXPIRES_AT(source, place) (2 + (source)->ncolumns + (place))

extern ExportPlan *EffExportPlanGet(DataMap *map, MapTable *subject, SubjectKey *key);

#endif							/* EFF_EXPORT_PLAN_H */
