/*
 * bracket.h (public)
 *	  The one bracket in which effaced runs SQL.
 *
 * Inside the bracket search_path is pg_catalog, pg_temp and row_security is
 * off, so that names mean what was planned and hidden rows are an error.
 * After an error PostgreSQL's own unwinding closes the bracket.  Code of users
 * that runs inside may set them otherwise; they are pinned anew before and after
 * each statement, and are the caller's own again when the bracket is closed.
 */
#ifndef EFF_BRACKET_H
#define EFF_BRACKET_H

#include "effaced.h"
#include "executor/spi.h"

/* As whom the session acts, and whether foreign keys are looked at */
typedef struct EffIdentity
{
	Oid			user;
	int			security_context;
	Oid			session_user;
	Oid			role;			/* InvalidOid where none is set */
	int			replication_role;
} EffIdentity;

typedef struct EffBracket
{
	EffIdentity identity;		/* of the beginning */
	int			guc_level;		/* 0 inside another bracket */
	bool		spi;
	Oid			user;			/* to go back to, InvalidOid where not switched */
	int			security_context;
	bool		reader;			/* only reads; what the transaction was before */
	bool		was_read_only;
} EffBracket;

extern void EffSpiInit(void);

/* Pinned settings alone, for parsing and deparsing without SPI */
extern void EffPinBegin(EffBracket *bracket);
extern void EffPinEnd(EffBracket *bracket);

/* No settings, but the caller's own again at EffPinEnd(): for code of users outside SQL */
extern void EffKeepBegin(EffBracket *bracket);

/* Around each statement; ERROR ZE005 where its code has changed the identity */
extern void EffGuardBegin(EffIdentity *identity);
extern void EffGuardEnd(const EffIdentity *identity);

/* Pin anew what code of users has set */
extern void EffPinAgain(void);

/* Pinned settings and SPI, with the caller's privileges */
extern void EffSpiBegin(EffBracket *bracket);
extern void EffSpiEnd(EffBracket *bracket);

/*
 * To read with a query that somebody has written: as that role, which can do
 * no more than read, and with names as in that search_path
 */
extern void EffSpiBeginReader(EffBracket *bracket, Oid role, const char *search_path);

/* The same as the owner of a relation, whose privileges it then needs and cannot escape */
extern void EffSpiBeginAs(EffBracket *bracket, Oid relid);

/* The same with other bits of the security context */
extern void EffSpiBeginWithUser(EffBracket *bracket, Oid relid, int security);

#endif							/* EFF_BRACKET_H */
