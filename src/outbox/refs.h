/*
 * refs.h (public)
 *	  References to a subject in external systems: those that a request is
 *	  given, and those that columns with "ref" hold.
 */
#ifndef EFF_REFS_H
#define EFF_REFS_H

#include "effaced.h"
#include "map/map.h"
#include "utils/jsonb.h"

#define EFF_REF_LENGTH 255		/* characters of a kind, and of a value */

/* Who a subject is in an external system */
typedef struct ExternalRef
{
	const char *kind;			/* and the resolver's name */
	const char *value;
	const char *extra;			/* JSON text, NULL where none */
} ExternalRef;

/*
 * "refs" of a request as a list of ExternalRef, NULL is none; ERROR ZE006 where
 * it is no such list
 */
extern List *EffRefsRead(Jsonb *refs, List *resolvers);

/* ERROR ZE006 where the system that a column with "ref" names is not registered */
extern void EffRefsRequireResolver(List *resolvers, MapTable *table, MapColumn *column);

/* The references of both lists, each of them once */
extern List *EffRefsUnite(List *refs, List *others);

/* {"kind", "value", "extra"} */
extern char *EffRefJson(const ExternalRef *ref);

#endif							/* EFF_REFS_H */
