/*
 * reach.h
 *	  Which of the rows that a trace finds are the subjects' own, and what an
 *	  erasure makes of their columns.
 */
#ifndef EFF_REACH_H
#define EFF_REACH_H

#include "effaced.h"
#include "exec/exec.h"
#include "storage/itemptr.h"

/* What an erasure makes of a row */
typedef enum ReachKind
{
	REACH_NONE,					/* nothing: it is not the subjects' */
	REACH_GONE,					/* it is treated as the plan says */
	REACH_PINNED,				/* it is anonymized in place */
	REACH_KEPT					/* it is somebody else's too */
} ReachKind;

/* A row, and what was found out about it */
typedef struct ReachedRow
{
	ItemPointerData tid;
	ReachKind	kind;
	PlannedTable *planned;		/* by which it is the subjects' */
	int			number;			/* the caller's */
	uint32		links;			/* bits of those links of the planned table by which it is */
} ReachedRow;

/* Statements that look rows up, made once per trace */
typedef struct Reach
{
	Call *call;
	List	   *statements;		/* of ReachStatement */
} Reach;

/*
 * Fill in what the rows of a relation, a planned table or one of its children,
 * are; inside the SPI bracket
 */
extern void EffReachRows(Reach *reach, PlannedTable *planned, Oid relid, ReachedRow *rows, int n);

/*
 * Whether an erasure takes the value of a column of such a row; NULL for a
 * column that the planned table has not
 */
extern bool EffReachesColumn(const ReachedRow *row, const EffColumn *column);

/* Whether an erasure keeps it on purpose */
extern bool EffReachRetains(const ReachedRow *row, const EffColumn *column);

#endif							/* EFF_REACH_H */
