/*
 * surrogate.h (public)
 *	  What an anonymized column holds afterwards.
 *
 * A surrogate is a fixed function of table, column, row key and the secret of
 * the database, never of the old value: it can be told from a value that was
 * left behind, and it is the same when an erasure is run again.
 */
#ifndef EFF_SURROGATE_H
#define EFF_SURROGATE_H

#include "effaced.h"
#include "map/map.h"
#include "rows/condition.h"
#include "rows/statement.h"

typedef enum SurrogateKind
{
	SURROGATE_EXPRESSION,		/* the label's */
	SURROGATE_TEXT,				/* anon- and a token */
	SURROGATE_UUID,				/* derived */
	SURROGATE_CONSTANT,
	SURROGATE_NULL,
	SURROGATE_GENERATED			/* follows from the columns it is generated from */
} SurrogateKind;

typedef struct Surrogate
{
	SurrogateKind kind;
	MapTable   *table;
	MapColumn  *column;
	int			length;			/* of SURROGATE_TEXT, 0 for unlimited */
	const char *constant;		/* of SURROGATE_CONSTANT, input text of the type */
	int			nkey;			/* row key of text and uuid, 0 for none */
	AttrNumber *key;
	MapError   *error;			/* there is none: the label must give one */
} Surrogate;

/* Call with the settings pinned */
extern Surrogate *EffSurrogateChoose(DataMap *map, MapTable *table, MapColumn *column);

/* the value, over the columns of alias */
extern char *EffSurrogateSql(Surrogate *surrogate, Statement *st, const char *alias);

/* the condition that the column still holds a value; NULL for generated columns */
extern char *EffSurrogateResidualSql(Surrogate *surrogate, Statement *st, const char *alias);
extern const Condition *EffSurrogateResidual(Surrogate *surrogate, Statement *st,
											 const char *alias);

/* The value of PARAM_TOKEN for the subject with that identifier */
extern char *EffSurrogateToken(const Surrogate *surrogate, const char *secret,
							   const char *identifier);

/* Whether erasure replaces a column of a surviving row, or writes it by "set" */
extern bool EffErasureChanges(MapTable *table, EffColumn *column);

/* Columns that tell the rows of a table apart and that no erasure changes; 0 where none do */
extern int	EffRowKey(MapTable *table, AttrNumber **key);

#endif							/* EFF_SURROGATE_H */
