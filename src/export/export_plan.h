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
#include "exec/exec.h"
#include "exec/subject_state.h"

/* The columns of effaced_export_records(), numbered from 0 */
enum
{
	RECORD_SOURCE, RECORD_ROW_KEY, RECORD_FIELD, RECORD_CATEGORY, RECORD_VALUE, RECORD_LEGAL_BASIS,
	RECORD_PURPOSE, RECORD_RETENTION_REASON, RECORD_EXPIRES_AT, RECORD_COLUMNS
};

/* A labelled column, and what all its records have in common */
typedef struct ExportColumn
{
	MapColumn  *column;
	AttrNumber	expires_at;		/* of a result row; 0 where no term ends */
	char	   *head;			/* a record as JSON text, up to its value */
	Datum		values[RECORD_COLUMNS]; /* a record as a row, but for its key, value and end */
	bool		nulls[RECORD_COLUMNS];
} ExportColumn;

/*
 * A table that holds something of the subject, or that it may look into.  A
 * result row is the row's key as an object, the value of each labelled column,
 * NULL where it is left out, and the ends of those terms that have one.
 */
typedef struct ExportSource
{
	MapTable   *table;
	int			ncolumns;
	ExportColumn *columns;
	Statement  *document;		/* by the row's key; keys and values are json */
	Statement  *sorted;			/* the same, and they are jsonb */
	Statement  *unsorted;		/* as the rows are found: nothing is held back */
	Statement  *is_small;		/* whether the rows are few enough to be sorted */
} ExportSource;

/* How a kind of subject is exported; lives as long as the map */
typedef struct ExportPlan
{
	RequestPlan base;			/* whose subject the parameters are about */
	SubjectState state;			/* surrogates of the erased are nobody's data any more */
	List	   *sources;		/* of ExportSource, by the tables' names */
} ExportPlan;

/* Columns of a result row, numbered from 1 */
#define EXPORT_ROW_KEY 1
#define EXPORT_VALUE(place) (2 + (place))

extern ExportPlan *EffExportPlanGet(DataMap *map, MapTable *subject, SubjectKey *key);

#endif							/* EFF_EXPORT_PLAN_H */
