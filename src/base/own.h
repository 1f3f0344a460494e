/*
 * own.h (public)
 *	  effaced's own schema, tables and prepared statements.
 */
#ifndef EFF_OWN_H
#define EFF_OWN_H

#include "base/bracket.h"
#include "base/errors.h"

/* A statement over effaced's own tables, prepared once per session */
typedef struct EffOwnStatement
{
	const char *sql;			
	SPIPlanPtr	plan;
	Oid			relation;		/* of the trail for which it was prepared */
} EffOwnStatement;

/* A bracket as the owner of effaced's own tables, for these only */
extern void EffSpiBeginAsOwner(EffBracket *bracket);

/* Run one, in a bracket as the owner */
extern uint64 EffSpiExecuteOwn(EffOwnStatement *own, int nargs, Oid *types, Datum *values,
							   const char *nulls,
							   int expected, const EffStatementPlace *place);

/* The schema that CREATE EXTENSION put effaced into, and its name, quoted; ERROR ZE005 without */
extern Oid	EffExtensionSchema(void);
extern const char *EffExtensionSchemaSql(void);
extern Oid	EffExtensionOwner(void);
extern Oid	EffOwnSchema(void);

/* One of effaced's own tables; whether it holds no row of any transaction */
extern Oid	EffOwnRelation(const char *relname);
extern bool EffOwnRelationIsEmpty(const char *relname);

extern void EffOwnInit(void);

#endif							/* EFF_OWN_H */
