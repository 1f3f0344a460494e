/*
 * spi.h
 *	  The one bracket in which effaced runs SQL.
 *
 * Inside the bracket search_path is pg_catalog, pg_temp and row_security is
 * off, so that names mean what was planned and hidden rows are an error.
 * After an error PostgreSQL's own unwinding closes the bracket.
 */
#ifndef EFF_SPI_H
#define EFF_SPI_H

#include "effaced.h"
#include "executor/spi.h"

typedef struct EffBracket
{
	int			guc_level;		/* 0 inside another bracket */
	bool		spi;
	Oid			user;			/* to go back to, InvalidOid where not switched */
	int			security_context;
	bool		reader;			/* only reads; what the transaction was before */
	bool		was_read_only;
} EffBracket;

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

extern void EffSpiInit(void);

/* Pinned settings alone, for parsing and deparsing without SPI */
extern void EffPinBegin(EffBracket *bracket);
extern void EffPinEnd(EffBracket *bracket);

/* Pinned settings and SPI, with the caller's privileges */
extern void EffSpiBegin(EffBracket *bracket);
extern void EffSpiEnd(EffBracket *bracket);

/* The same as the owner of effaced's own tables, for these only */
extern void EffSpiBeginAsOwner(EffBracket *bracket);

/*
 * To read with a query that somebody has written: as that role, which can do
 * no more than read, and with names as in that search_path
 */
extern void EffSpiBeginReader(EffBracket *bracket, Oid role, const char *search_path);

/* The same as the owner of a relation, whose privileges it then needs and cannot escape */
extern void EffSpiBeginAs(EffBracket *bracket, Oid relid);

extern uint64 EffSpiExecute(SPIPlanPtr plan, Datum *values, const char *nulls,
							bool read_only, long limit, int expected, const EffStatementPlace *place);
/*
 * A cursor over a statement that only reads, in the snapshot of the command
 * that runs.  It outlives the bracket, not its transaction; each bracket names
 * it anew.  EffSpiFetch leaves the rows in SPI_tuptable and returns their number.
 */
extern const char *EffSpiOpen(SPIPlanPtr plan, Datum *values, const char *nulls,
							  const EffStatementPlace *place);
extern uint64 EffSpiFetch(const char *name, long rows, const EffStatementPlace *place);
extern void EffSpiClose(const char *name);

/* Plan a statement for these values and run it; rows go to dest, or where it is NULL to SPI_tuptable */
extern uint64 EffSpiExecuteFor(const char *sql, ParamListInfo params, bool read_only,
							   DestReceiver *dest, const EffStatementPlace *place);

/* A statement over effaced's own tables, prepared once per session */
typedef struct EffOwnStatement
{
	const char *sql;			/* %s stands for the schema */
	SPIPlanPtr	plan;
	Oid			relation;		/* of the trail for which it was prepared */
} EffOwnStatement;

/* Run one, in a bracket as the owner */
extern uint64 EffSpiExecuteOwn(EffOwnStatement *own, int nargs, Oid *types, Datum *values, const char *nulls,
							   int expected, const EffStatementPlace *place);

/* An int8 that is not NULL in the first row of the result, by its column */
extern int64 EffSpiNumber(int column);

extern void EffSpiCommand(const char *sql, const EffStatementPlace *place);

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

/* In PG_CATCH around what a user's text makes PostgreSQL compute: takes the error, but
 * raises a cancel or a lack of resources again */
extern ErrorData *EffCatchUserError(MemoryContext context);
extern void EffRethrowWithoutValues(const EffStatementPlace *place) pg_attribute_noreturn();

/* String literal that reads the same whatever standard_conforming_strings says */
extern char *EffQuoteLiteral(const char *text);

extern void EffSpiBeginWithUser(EffBracket *bracket, Oid relid, int security);

#endif							/* EFF_SPI_H */
