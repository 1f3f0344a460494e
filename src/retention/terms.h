/*
 * terms.h (public)
 *	  Which values have outlived the term that their label names (Art. 5(1)(e)).
 *
 * A term has ended where anchor + duration is not after the given instant,
 * reckoned from that: anchor <= instant - duration, by the calendar and in UTC,
 * so that an index on the anchor serves.  An anchor that is NULL, or has been
 * replaced by its surrogate, says nothing.
 */
#ifndef EFF_TERMS_H
#define EFF_TERMS_H

#include "effaced.h"
#include "subject/subject.h"
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



/* Every retained column of the map in order; ERROR where a label is broken.  Call with the settings pinned. */
extern List *EffRetentionTerms(DataMap *map);

/* Conditions on rows of alias t, as text to use in the same statement */
extern char *EffRetentionHeld(RetentionTerm *term, Statement *st);	/* there is a value that is no surrogate */
extern char *EffRetentionExpired(RetentionTerm *term, Statement *st);	/* NULL where there is no anchor */
extern char *EffRetentionIndeterminate(RetentionTerm *term, Statement *st);
extern char *EffRetentionScope(DataMap *map, RetentionTerm *term, Statement *st);	/* no "where" leaves the row out */
extern char *EffRetentionOwned(DataMap *map, List *claims, Statement *st, const ScopeOwner *owner);


/* When a retention began that ends at the instant; ERROR ZE001 where no timestamp can tell */
extern TimestampTz EffRetentionCutoff(RetentionTerm *term, TimestampTz as_of);


/* Argument argno of a function as the instant; ERROR ZE005 where it is NULL or infinite */
extern TimestampTz EffRetentionAsOf(FunctionCallInfo fcinfo, int argno);

#endif							/* EFF_TERMS_H */
