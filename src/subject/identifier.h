/*
 * identifier.h (public)
 *	  Identifiers of subjects: text, tuples, and values of the key's types.
 */
#ifndef EFF_IDENTIFIER_H
#define EFF_IDENTIFIER_H

#include "effaced.h"
#include "fmgr.h"
#include "map/map.h"
#include "utils/array.h"

/* One subject, its identifier cast to the key's types */
typedef struct SubjectKey
{
	char	   *text;			/* canonical, as stored and shown */
	int			n;
	Datum	   *values;			/* of the base types of the key columns */
} SubjectKey;

/* The identifier as its parts, before they are cast */
typedef struct SubjectIdentifier
{
	int			n;				/* 0: serialized is to be parsed */
	bool		is_null;		/* all of it or a part, or no part at all */
	char	  **parts;
	char	   *serialized;
} SubjectIdentifier;

/* Argument argno of a function of a request, whatever type it was called with */
extern SubjectIdentifier *EffIdentifierArgument(FunctionCallInfo fcinfo, int argno);
extern SubjectIdentifier *EffIdentifierFromText(const char *text);

/* ERROR ZE002 naming the table, never the value, where it does not fit */
extern SubjectKey *EffIdentifierResolve(MapTable *subject, const SubjectIdentifier *identifier);

/* The key that values of the key's base types make; they are copied */
extern SubjectKey *EffIdentifierFromValues(MapTable *subject, const Datum *values);

/* Whether the key's own = takes two keys for one, whatever their text */
extern bool EffIdentifierEqual(MapTable *subject, const SubjectKey *a, const SubjectKey *b);

/* Sort keys by their text and drop repeated ones; returns how many are left */
extern int	EffIdentifierUnique(SubjectKey **keys, int n);

extern Oid	EffKeyType(MapTable *subject, int i);	/* base type of a key column */

/* The canonical text of a key as SQL, over SQL of its values */
extern char *EffIdentifierSql(MapTable *subject, char **values);

/* Array of the i-th key values of several subjects, for = ANY () */
extern Datum EffKeyArray(MapTable *subject, int i, SubjectKey **keys, int nkeys);

/* Subjects of one kind */
typedef struct SubjectSet
{
	MapTable   *subject;
	SubjectKey **keys;
	int			nkeys;
} SubjectSet;

#endif							/* EFF_IDENTIFIER_H */
