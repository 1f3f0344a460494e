/*
 * citus.h (public)
 *	  What effaced has to know of Citus, where that extension is installed.
 */
#ifndef EFF_CITUS_H
#define EFF_CITUS_H

#include "effaced.h"

#include "access/attnum.h"

/* Where the rows of a table are */
typedef enum CitusKind
{
	CITUS_UNKNOWN,				/* a table of this server alone */
	CITUS_LOCAL,				/* the same, registered with Citus */
	CITUS_REFERENCE,			/* a copy on every node */
	CITUS_DISTRIBUTED			/* in shards */
} CitusKind;

typedef struct CitusPlace
{
	CitusKind	kind;
	int			colocation;		/* tables of a group have their shards side by side */
	AttrNumber	column;			/* by which rows are distributed, or InvalidAttrNumber: one shard */
} CitusPlace;

/* Whether Citus is in this database: one look into a cache, for any hot path */
extern bool EffCitusPresent(void);

/* Whether this server is a worker: it has neither all rows nor the trail */
extern bool EffCitusIsWorker(void);

/* ERROR ZE005 where it is */
extern void EffCitusRefuseWorker(void);

extern void EffCitusPlaceOf(Oid relid, CitusPlace *place);
extern CitusKind EffCitusKindOf(Oid relid);

/* Tells two states of what Citus says of tables apart; 0 without Citus */
extern uint64 EffCitusFingerprint(void);

/* Whether rows of a table may be on other nodes */
extern bool EffCitusIsRemote(Oid relid);

#endif							/* EFF_CITUS_H */
