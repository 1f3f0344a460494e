/*
 * sweep_scan.h
 *	  What a sweep reads: expired rows of a table, once for all columns that have
 *	  the same anchor and cutoff.
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
	MapTable   *subject;		/* NULL if nothing can make the rows a subject's */
	TimestampTz cutoff;			/* when a retention began that ends now */
	uint64		expired;		/* rows */
	uint64		indeterminate;	/* rows of which nobody can tell */
	uint64		subjects;		/* whose rows have expired */
	Datum	   *ids;			/* identifiers of the first of them, text */
	int			nids;
} SweepEntry;

/* Entries that differ only in the column, so that one scan reads the rows for all of them */
typedef struct SweepScan
{
	RetentionTerm *term;		/* of the first entry; table, anchor and claims are those of all */
	MapTable   *subject;
	TimestampTz cutoff;
	List	   *mine;			/* of OwnerClaim: those of this kind of subject */
	List	   *others;			/* of OwnerClaim: those of the other kinds */
	List	   *entries;		/* of SweepEntry */
	List	   *places;			/* of int: positions of the entries in the report */
	bool		shared;			/* other scans find subjects of this kind, too */
} SweepScan;

/* Columns of the rows that a scan writes */
typedef enum SweepFound
{
	FOUND_SCAN = 1,				/* int4: the number of the scan */
	FOUND_COLUMNS,				/* int8: which columns have a value, bit i for the i-th entry */
	FOUND_EXPIRED,				/* int8: number of expired rows */
	FOUND_INDETERMINATE,		/* int8: number of rows of which nobody can tell */
	FOUND_SUBJECT				/* text: identifier of the owner; NULL if nobody owns them, or for
								 * rows that are only counted */
} SweepFound;

extern List *EffSweepEntries(List *terms, TimestampTz as_of);
extern List *EffSweepScans(List *entries);
extern TupleDesc EffSweepFoundDescriptor(void);
extern void EffSweepFind(SweepScan *scan, int number, const BindValues *values,
						 DestReceiver *dest);

#endif							/* EFF_SWEEP_SCAN_H */
