/*
 * terms.h
 *	  Which values have outlived the term that their label names (Art. 5(1)(e)).
 *
 * A term has ended where anchor + duration is not after the given instant,
 * reckoned from that: anchor <= instant - duration, by the calendar and in UTC,
 * so that an index on the anchor serves.  An anchor that is NULL, or has been
 * replaced by its surrogate, says nothing.
 */
#ifndef EFF_RETENTION_H
#define EFF_RETENTION_H

#include "effaced.h"
#include "subject/identifier.h"
#include "plan/ownership.h"
#include "rows/statement.h"
#include "rows/surrogate.h"

/* A column whose label names a retention */
typedef struct RetentionTerm
{
	MapTable   *table;
	MapColumn  *column;
	RetentionPolicy *policy;
	EffColumn  *anchor;			/* NULL where the label names none, or no duration */
	Surrogate  *surrogate;
	Surrogate  *anchor_surrogate;	/* NULL where nothing ever replaces the anchor */
	List	   *claims;			/* of OwnerClaim: who the value may be about */
} RetentionTerm;

/* Subjects of a kind whose processing is restricted */
typedef struct RestrictedSubjects
{
	MapTable   *subject;
	SubjectKey **keys;
	int			nkeys;
} RestrictedSubjects;

/* What the parameters of a statement are bound to */
typedef struct RetentionValues
{
	DataMap    *map;
	TimestampTz as_of;
	List	   *restricted;		/* of RestrictedSubjects */
	Datum	   *batch;			/* PARAM_BATCH, by index */
} RetentionValues;

/* Every retained column of the map in order; ERROR where a label is broken.  Call with the settings pinned. */
extern List *EffRetentionTerms(DataMap *map);

/* Conditions on rows of alias t, as text to use in the same statement */
extern char *EffRetentionHeld(RetentionTerm *term, Statement *st);	/* there is a value that is no surrogate */
extern char *EffRetentionExpired(RetentionTerm *term, Statement *st);	/* NULL where there is no anchor */
extern char *EffRetentionIndeterminate(RetentionTerm *term, Statement *st);
extern char *EffRetentionScope(DataMap *map, RetentionTerm *term, Statement *st);	/* no "where" leaves the row out */
extern char *EffRetentionOwned(DataMap *map, List *claims, Statement *st, const ScopeOwner *owner);

/* Everybody who may own rows of a table, as OwnerClaim */
extern List *EffRetentionClaims(MapTable *table, const char *link);

/* When a retention began that ends at the instant; ERROR ZE001 where no timestamp can tell */
extern TimestampTz EffRetentionCutoff(RetentionTerm *term, TimestampTz as_of);

/* Run inside the SPI bracket, planned for the values */
extern uint64 EffRetentionExecute(Statement *st, const RetentionValues *values, bool read_only, DestReceiver *dest);

/* Argument argno of a function as the instant; ERROR ZE005 where it is NULL or infinite */
extern TimestampTz EffRetentionAsOf(FunctionCallInfo fcinfo, int argno);

#endif							/* EFF_RETENTION_H */
