/*
 * findings.h
 *	  What a trace has found: numbers of rows by relation, column and place.
 */
#ifndef EFF_FINDINGS_H
#define EFF_FINDINGS_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/* Rows of one place, or with column NULL or unread true what was not read */
typedef struct TraceFinding
{
	Oid			relid;
	const char *column;			/* NULL: the whole relation was not read */
	const char *place;			/* NULL: the value itself */
	int			fact;
	bool		labelled;
	bool		reached;
	bool		unread;
	uint64		rows;
} TraceFinding;

typedef struct TraceFindings TraceFindings;

/* None yet, in the current memory context */
extern TraceFindings *EffFindingsNew(void);

/* The same pointer for the same text, for as long as the findings live */
extern const char *EffFindingsText(TraceFindings *findings, const char *text);

/* Count one more row; the texts of the finding are from EffFindingsText() */
extern void EffFindingsAdd(TraceFindings *findings, const TraceFinding *finding);

/* All findings, of TraceFinding, by relation, column, place and fact */
extern List *EffFindingsList(TraceFindings *findings);

#endif							/* EFF_FINDINGS_H */
