/*
 * terms.h
 *	  Which values have outlived the term that their label names (Art. 5(1)(e)).
 *
 * A term has ended if anchor + duration is not after a given instant.  The
 * condition is anchor <= instant - duration, by the calendar and in UTC, so that
 * an index on the anchor can be used.  If the anchor is NULL, or has been
 * replaced by its surrogate, nobody can tell whether the term has ended.
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
	EffColumn  *anchor;			/* NULL if the label names no anchor or no duration */
	Surrogate  *surrogate;
	Surrogate  *anchor_surrogate;	/* NULL if nothing ever replaces the anchor */
	List	   *claims;			/* of OwnerClaim: whose the value may be */
} RetentionTerm;

extern List *EffRetentionTerms(DataMap *map);

/* Conditions on rows of alias t, as text for the statement that is given */
extern char *EffRetentionHeld(RetentionTerm *term, Statement *st);
extern char *EffRetentionExpired(RetentionTerm *term, Statement *st);
extern char *EffRetentionIndeterminate(RetentionTerm *term, Statement *st);
extern char *EffRetentionScope(DataMap *map, RetentionTerm *term, Statement *st);
extern char *EffRetentionOwned(DataMap *map, List *claims, Statement *st, const ScopeOwner *owner);

extern TimestampTz EffRetentionCutoff(RetentionTerm *term, TimestampTz as_of);
extern TimestampTz EffRetentionAsOf(FunctionCallInfo fcinfo, int argno);

#endif							/* EFF_TERMS_H */
