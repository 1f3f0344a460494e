/*
 * errors.h (public)
 *	  Errors without values, and subtransactions around what may fail.
 */
#ifndef EFF_ERRORS_H
#define EFF_ERRORS_H

#include "effaced.h"
#include "nodes/pg_list.h"

/* A constraint or unique index, and those of its columns that a statement writes */
typedef struct EffPlaceConstraint
{
	char	   *name;
	char	   *column;			/* the first of them */
	char	   *columns;		/* all, quoted, for a message */
} EffPlaceConstraint;

/* What a failing statement was about, for the error that replaces its own */
typedef struct EffStatementPlace
{
	const char *action;			/* "deletion from", "update of", ... */
	const char *relation;		/* display name */
	Oid			relid;
	const char *column;			/* where it is about one, or NULL */
	List	   *constraints;	/* of EffPlaceConstraint, where it writes several columns */
	const char *denied_hint;	/* which privileges it takes; NULL: those of a plan */
	bool		batch;			/* one of several transactions */
} EffStatementPlace;

/*
 * A subtransaction around what may fail and be gone on from: begin it before
 * PG_TRY, end it at the end of the block or, in PG_CATCH, take the error.  Either
 * restores the memory context and the resource owner of the beginning; whoever
 * raises the error again leaves no level open.
 */
typedef struct EffSubtransaction
{
	MemoryContext context;
	struct ResourceOwnerData *owner;
} EffSubtransaction;

extern void EffSubBegin(EffSubtransaction *sub);
extern void EffSubEnd(const EffSubtransaction *sub, bool keep);
extern ErrorData *EffSubCatch(const EffSubtransaction *sub);

/* The same, but raises a cancel or a lack of resources again */
extern ErrorData *EffSubCatchUserError(const EffSubtransaction *sub);

/* In PG_CATCH around what a user's text makes PostgreSQL compute: takes the error, for the
 * caller to raise another, but raises a cancel or a lack of resources again */
extern ErrorData *EffCatchUserError(MemoryContext context);

/* The same around what reads a text: raises all but data exceptions again */
extern ErrorData *EffCatchDataError(MemoryContext context);

extern void EffRethrowWithoutValues(const EffStatementPlace *place) pg_attribute_noreturn();

/* String literal that reads the same whatever standard_conforming_strings says */
extern char *EffQuoteLiteral(const char *text);

#endif							/* EFF_ERRORS_H */
