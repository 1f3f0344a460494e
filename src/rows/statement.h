/*
 * statement.h (public)
 *	  A generated statement: its text, what its parameters stand for, and its
 *	  prepared plan.
 *
 * Values never become text.  A parameter is bound by what it stands for, so
 * that one statement serves every subject.
 */
#ifndef EFF_STATEMENT_H
#define EFF_STATEMENT_H

#include "effaced.h"
#include "relations/relations.h"
#include "lib/stringinfo.h"
#include "base/bracket.h"
#include "base/errors.h"
#include "base/own.h"
#include "base/run.h"

typedef enum EffParamKind
{
	PARAM_KEY,					/* the i-th key value of the subject */
	PARAM_CALL,					/* the i-th key values of all subjects of the call */
	PARAM_ERASED,				/* the i-th key values of subjects of a kind that are erased
								 * already */
	PARAM_SECRET,				/* the secret of the database, text */
	PARAM_TOKEN,				/* that of a column of the subject's own row, text */
	PARAM_ROWS,					/* the i-th key values of a part of a row set */
	PARAM_CALL_ROWS,			/* the i-th key values of a part of a row set, of all subjects of
								 * the call */
	PARAM_PARENTS,				/* the keys of a parent set */
	PARAM_VALUE,				/* the i-th value to be written */
	PARAM_RESTRICTED,			/* the i-th key values of subjects of a kind whose processing is
								 * restricted */
	PARAM_CUTOFF,				/* when a retention began that ends now; of the anchor's type */
	PARAM_BATCH					/* the i-th array identifying the batch */
} EffParamKind;

typedef struct StatementParam
{
	EffParamKind kind;
	int			index;
	const void *of;				/* MapTable of PARAM_ERASED and PARAM_RESTRICTED, RowSet of
								 * PARAM_ROWS,
								 * ParentSet of PARAM_PARENTS, Surrogate of PARAM_TOKEN,
								 * RetentionPolicy of PARAM_CUTOFF
								 * */
	int			part;			/* of PARAM_ROWS: RowSetPart */
	Oid			type;			/* of the parameter, an array type but for the subject's key, the
								 * secret, values and cutoffs */
} StatementParam;

typedef struct Statement
{
	StringInfoData text;
	List	   *params;			/* of StatementParam */
	Bitmapset  *columns;		/* attnums of the row of alias t that the text reads */
	int			naliases;		/* h1, h2, ... handed out so far */
	bool		all;			/* about all subjects of a call, where it speaks of the subject */
	bool		own_row;		/* about the subject's own row and no other */
	long		limit;			/* as many rows are read, 0 for all */
	int			expected;		/* SPI_OK_* */
	EffStatementPlace place;
	SPIPlanPtr	plan;			/* prepared at the first run, freed with the context */
	List	   *probes;			/* of KeyProbe: it reaches no row where none of them finds one;
								 * NIL where it is run */
} Statement;

/* A statement about one subject, and the same about all of a call */
typedef struct StatementPair
{
	Statement  *one;
	Statement  *all;
} StatementPair;

/* What becomes of the rows of a row set */
typedef enum RowSetPart
{
	ROWS_ALL,
	ROWS_GONE,					/* nobody else's: treated as the plan says */
	ROWS_PINNED,				/* referenced by rows that cannot go: anonymized in place */
	ROWS_KEPT,					/* somebody else's too */
	ROWS_KEPT_BY				/* and on: those reached by the i-th link of the table */
} RowSetPart;

/* Rows found before anything changes, by their key */
typedef struct RowSet
{
	int			id;				/* place in the arrays of a run */
	EffRelation *rel;
	int			nkey;
	AttrNumber *key;
	int			nlinks;			/* parts beyond ROWS_KEPT_BY */
	Statement  *find;
	Statement  *added;			/* counts rows that came in since */
	StatementPair find_lock;	/* the same rows, locked in order of the key */
	Statement  *classify;		/* key, part, bits of links; NULL where all rows go */
	bool		reclassify;		/* it reads parts that are not known the first time */
} RowSet;

/*
 * What a subject's rows of a table that is not next to the subject reference,
 * found once for all tables that do so
 */
typedef struct ParentSet
{
	int			id;				/* place in the array of a run */
	Oid			type;			/* of a key */
	Oid			locked;			/* relation whose rows are locked when found, InvalidOid for none */
	Statement  *find;			/* the keys, until there are too many */
} ParentSet;

#define MAX_PARENTS 10000		/* where there are more, statements find them themselves */

extern Statement *EffStatementNew(int expected, const char *action, EffRelation *rel);
extern const char *EffStatementParam(Statement *st, EffParamKind kind, int index, const void *of,
									 int part, Oid element_type);
extern char *EffStatementAlias(Statement *st);

/* A column of a row as SQL; those of the row of alias t are noted in the statement */
extern char *EffStatementColumn(Statement *st, const char *alias, EffRelation *rel,
								AttrNumber attnum);

/* Note columns that the text reads of the row of an alias, if that is t */
extern void EffStatementReads(Statement *st, const char *alias, const Bitmapset *columns);

extern void EffStatementPrepare(Statement *st);

#endif							/* EFF_STATEMENT_H */
