/*
 * sweep_scan.h
 *	  What a sweep reads: each part of a table that has expired once, for all
 *	  columns whose term it is.
 */
#ifndef EFF_SWEEP_SCAN_H
#define EFF_SWEEP_SCAN_H

#include "effaced.h"
#include "rows/bind.h"
#include "access/tupdesc.h"
#include "nodes/bitmapset.h"
#include "retention/terms.h"
#include "tcop/dest.h"

/* One row of the report: a column, and a kind of subject */
typedef struct SweepEntry
{
	RetentionTerm *term;
	MapTable   *subject;		/* NULL where the rows can be nobody's */
	TimestampTz cutoff;
	uint64		expired;
	uint64		indeterminate;
	uint64		subjects;
	Datum	   *ids;			/* the first of them, text */
	int			nids;
} SweepEntry;

/* Entries that differ in the column alone, so that the same rows are read for them */
typedef struct SweepScan
{
	RetentionTerm *term;		/* of the first: table, anchor and claims are those of all */
	MapTable   *subject;
	TimestampTz cutoff;
	List	   *mine;			/* of OwnerClaim: of this kind */
	List	   *others;			/* of the other kinds */
	List	   *entries;
	List	   *places;			/* of the entries in the report */
	bool		shared;			/* other scans find subjects of this kind too */
} SweepScan;

/* Columns of what scans find */
typedef enum SweepFound
{
	FOUND_SCAN = 1,				/* int4: its number */
	FOUND_COLUMNS,				/* int8: of which columns, bit i for the i-th entry */
	FOUND_EXPIRED,				/* int8: rows */
	FOUND_INDETERMINATE,		/* int8: rows */
	FOUND_SUBJECT				/* text: whose they are, NULL where that is not told */
} SweepFound;

/* Per term and kind of subject, in the order of the report.  Call with the settings pinned. */
extern List *EffSweepEntries(List *terms, TimestampTz as_of);
extern List *EffSweepScans(List *entries);	/* by kind of subject */

extern TupleDesc EffSweepFoundDescriptor(void);

/* Send what a scan finds, a subject's rows in a row and subjects in order of the key; inside the SPI bracket */
extern void EffSweepFind(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest);

#endif							/* EFF_SWEEP_SCAN_H */
