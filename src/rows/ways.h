/*
 * ways.h (public)
 *	  What the ways read by which rows are found, and which changes of columns cut
 *	  them.
 *
 * A way leads from a row to a subject: the hops of a link, what "where" reads on it,
 * and the subject's identifier.  Every verb that writes asks here before it does.
 */
#ifndef EFF_WAYS_H
#define EFF_WAYS_H

#include "effaced.h"
#include "map/map.h"
#include "rows/scope.h"

/* A column that a way reads and that is written */
typedef struct WayCut
{
	MapTable   *table;			/* whose rows are found by the way */
	TableLink  *link;			/* NULL for a subject's own row */
	EffRelation *rel;			/* that has the column */
	AttrNumber	attnum;
	bool		own_reference;	/* the row itself refers on by it */
} WayCut;

/* Columns of a relation, and what follows them, added to what is written (of ScopeRead) */
extern List *EffWaysAdd(DataMap *map, List *written, Oid relid, const Bitmapset *columns);
extern bool EffWaysWrites(DataMap *map, List *written, EffRelation *rel, AttrNumber attnum);

/* The columns of a way that are written, of WayCut; with link NULL that of a subject's own row */
extern List *EffWaysCut(DataMap *map, MapTable *table, TableLink *link, List *written);

/* Whether an erasure rewrites the reference by which rows of a link are the subject's */
extern bool EffWaysRelease(TableLink *link);

#endif							/* EFF_WAYS_H */
