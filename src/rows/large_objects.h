/*
 * large_objects.h (public)
 *	  Large objects that values of oid columns point to.
 */
#ifndef EFF_LARGE_OBJECTS_H
#define EFF_LARGE_OBJECTS_H

#include "effaced.h"
#include "relations/relations.h"
#include "rows/statement.h"

/* An object that a value pointed to before the value went */
typedef struct LargeObject
{
	Oid			relid;			/* whose row held the value */
	Oid			object;
	bool		kept;			/* it exists still, after EffLargeObjectsUnlink() */
} LargeObject;

/* Whether a column's values are oids, to which large objects may belong */
extern bool EffHoldsLargeObjects(const EffColumn *column);

/*
 * A statement that reads which objects rows point to: the same parameters and rows as
 * another one, whose FROM and WHERE for alias t are given.  NULL where no column of them
 * holds any.
 */
extern Statement *EffLargeObjectsStatement(EffRelation *rel, List *columns, const char *rows,
										   List *params);

/* Add what that statement read to a list of LargeObject, in the context of owner */
extern List *EffLargeObjectsRead(List *objects, Oid relid, MemoryContext context);

/* Unlink those that nothing points to any more; returns how many others stay */
extern uint64 EffLargeObjectsUnlink(List *objects);

#endif							/* EFF_LARGE_OBJECTS_H */
