/*
 * subject.h (public)
 *	  Identifiers of subjects: text, tuples, and values of the key's types.
 */
#ifndef EFF_SUBJECT_H
#define EFF_SUBJECT_H

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

/* Subjects of one kind */
typedef struct SubjectSet
{
	MapTable   *subject;
	SubjectKey **keys;
	int			nkeys;
} SubjectSet;

/* Identifiers as they are given, and the keys that they mean */
extern SubjectIdentifier *EffIdentifierArgument(FunctionCallInfo fcinfo, int argno);
extern SubjectIdentifier *EffIdentifierFromText(const char *text);
extern SubjectKey *EffIdentifierResolve(MapTable *subject, const SubjectIdentifier *identifier);
extern char *EffIdentifierSpell(MapTable *subject, const SubjectIdentifier *identifier);
extern SubjectKey *EffIdentifierFromValues(MapTable *subject, const Datum *values);
extern bool EffIdentifierEqual(MapTable *subject, const SubjectKey *a, const SubjectKey *b);
extern int	EffIdentifierUnique(SubjectKey **keys, int n);

/* The text of a key as SQL, over SQL of its values */
extern char *EffIdentifierSql(MapTable *subject, char **values);

/* The i-th column of a key: its base type, and an array of its values */
extern Oid	EffKeyType(MapTable *subject, int i);
extern Datum EffKeyArray(MapTable *subject, int i, SubjectKey **keys, int nkeys);

#endif							/* EFF_SUBJECT_H */
