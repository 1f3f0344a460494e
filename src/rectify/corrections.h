/*
 * corrections.h
 *	  The corrections that a rectification is asked for.
 */
#ifndef EFF_CORRECTIONS_H
#define EFF_CORRECTIONS_H

#include "effaced.h"
#include "fmgr.h"
#include "map/map.h"
#include "utils/jsonb.h"

/* One entry of corrections */
typedef struct Correction
{
	char	   *category;
	char	   *fact;			/* NULL where none is named */
	bool		no_fact;		/* of the columns that have none */
	bool		fact_known;		/* some label has it */
	Jsonb	   *value;
} Correction;

/* A column that a correction is about; its place in the list numbers its value */
typedef struct RectifyColumn
{
	MapTable   *table;
	MapColumn  *column;
	int			correction;		/* place in the list of corrections */
} RectifyColumn;

/* Argument argno of a function as a list of Correction; ERROR ZE005 where it is of another form */
extern List *EffCorrectionsArgument(FunctionCallInfo fcinfo, int argno);

/*
 * Columns (RectifyColumn) that are written; fills fact_known.  ERROR ZE005 where
 * a correction is ambiguous, ZE004 where a generated column would keep its value
 */
extern List *EffCorrectionColumns(DataMap *map, MapTable *subject, List *corrections);

#endif							/* EFF_CORRECTIONS_H */
