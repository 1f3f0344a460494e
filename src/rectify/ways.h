/*
 * ways.h
 *	  Corrections go along the ways by which rows are found.
 */
#ifndef EFF_RECTIFY_WAYS_H
#define EFF_RECTIFY_WAYS_H

#include "effaced.h"
#include "map/map.h"

/*
 * The columns (RectifyColumn), and those at the other ends of hops that get the same
 * value; ERROR ZE004 naming the table where such a column cannot be written
 */
extern List *EffRectifyWays(DataMap *map, MapTable *subject, List *columns);

#endif							/* EFF_RECTIFY_WAYS_H */
