/*
 * statement.h
 *	  A generated statement: its text, what its parameters stand for, and its
 *	  prepared plan.
 *
 * Values never become text.  A parameter is bound by what it stands for, so
 * that one statement serves every subject.
 */
#ifndef EFF_STATEMENT_H
#define EFF_STATEMENT_H

#include "effaced.h"
#include "catalog.h"
#include "lib/stringinfo.h"
#include "spi.h"

typedef enum EffParamKind
{
	PARAM_KEY,					/* array of the subjects' i-th key values */
	PARAM_SECRET,				/* the secret of the database, text */
	PARAM_ROWS					/* array of the i-th key values of a row set */
} EffParamKind;

struct RowSet;

typedef struct StatementParam
{
	EffParamKind	kind;
	int			index;
	struct RowSet *rows;		/* of PARAM_ROWS */
	Oid			type;			/* of the parameter, an array type but for the secret */
} StatementParam;

typedef struct Statement
{
	StringInfoData text;
	List	   *params;			/* of StatementParam */
	int			naliases;		/* h1, h2, ... handed out so far */
	int			expected;		/* SPI_OK_* */
	EffStatementPlace place;
	SPIPlanPtr	plan;			/* prepared at the first run, freed with the context */
} Statement;

/* Rows found and locked before anything changes, by their key */
typedef struct RowSet
{
	int			id;				/* place in the arrays of a run */
	EffRelation *rel;
	int			nkey;
	AttrNumber *key;
	Statement  *select;
} RowSet;

extern Statement *EffStatementNew(int expected, const char *action, EffRelation *rel);
extern const char *EffStatementParam(Statement *st, EffParamKind kind, int index, RowSet *rows, Oid element_type);
extern char *EffStatementAlias(Statement *st);
extern void EffStatementPrepare(Statement *st);

/* alias.column, quoted */
extern char *EffColumnSql(const char *alias, EffRelation *rel, AttrNumber attnum);

/* name of a type with its modifier, qualified */
extern char *EffTypeSql(Oid type, int32 typmod);

/* Schema of the = of a type where it is not pg_catalog, quoted; NULL otherwise */
extern const char *EffForeignEquality(Oid type);

#endif							/* EFF_STATEMENT_H */
