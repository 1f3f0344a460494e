/*
 * map_int.h
 *	  Between the files that build, keep and read the data map.
 */
#ifndef EFF_MAP_INT_H
#define EFF_MAP_INT_H

#include "map/map.h"
#include "map/graph.h"

extern DataMap *EffMapBuild(void);

extern void EffLinksResolve(DataMap *map, MapTable *table, HTAB *reaching);
extern void EffInferLink(DataMap *map, TableLink *link, HTAB *reaching);

extern JoinHop *EffHopAlong(DataMap *map, ForeignKey *fk);
extern JoinHop *EffHopAgainst(DataMap *map, ForeignKey *fk);
extern bool EffHopFinish(DataMap *map, TableLink *link, JoinHop *hop);
extern void EffHopRequireSubject(TableLink *link, const char *what);

#endif							/* EFF_MAP_INT_H */
