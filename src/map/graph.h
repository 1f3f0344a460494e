/*
 * graph.h (public)
 *	  The graph of the data map: which subjects the rows of a table are about, who
 *	  owns them, and in what order they can be deleted.
 */
#ifndef EFF_GRAPH_H
#define EFF_GRAPH_H

#include "effaced.h"
#include "fmgr.h"
#include "map/map.h"

/* How a foreign key that is part of a cycle is got out of the way; cheapest first */
typedef enum EdgeBreak
{
	BREAK_FREE,					/* needs nothing: nothing is deleted there, or
								 * only a join and no foreign key orders it */
	BREAK_REWRITTEN,			/* nothing either, but the plan rewrites the reference before */
	BREAK_ACTION,				/* ON DELETE SET NULL or SET DEFAULT */
	BREAK_DEFER,				/* SET CONSTRAINTS ... DEFERRED */
	BREAK_NULL,					/* the reference is set to NULL first */
	BREAK_NONE
} EdgeBreak;

typedef struct BrokenEdge
{
	ForeignKey *fk;
	EdgeBreak	how;
} BrokenEdge;

/* Whether an erasure deletes rows of a relation: only then do foreign keys from and to it matter */
typedef bool (*EffDeletedTest) (Oid relid, void *arg);

/* One way in which rows of a table belong to a subject */
typedef struct OwnerClaim
{
	MapTable   *subject;
	TableLink  *link;			/* NULL: the row is the subject itself */
} OwnerClaim;

/* The data map with links resolved; where requests begin */
extern DataMap *EffGraphGet(void);

/* Subjects, and the tables and links of each */
extern MapTable *EffGraphSubject(DataMap *map, Oid relid);
extern MapTable *EffGraphSubjectArgument(DataMap *map, FunctionCallInfo fcinfo, int argno);
extern List *EffGraphTables(DataMap *map, MapTable *subject);	/* of MapTable */
extern List *EffGraphLinks(MapTable *table, MapTable *subject); /* of TableLink */
extern List *EffGraphRoleLinks(MapTable *table, MapTable *subject, LinkRole role);
extern void EffGraphRaiseErrors(MapTable *table);
extern bool EffGraphHasUnadmitted(DataMap *map, MapTable *subject);

/* The order in which rows can be deleted; broken gets BrokenEdge */
extern List *EffGraphOrder(DataMap *map, List *relids, EffDeletedTest deleted, void *arg,
						   List **broken);

/* Links of relations that have none in their labels, and paths to write into labels */
extern HTAB *EffGraphReaching(DataMap *map);
extern TableLink *EffGraphInfer(DataMap *map, EffRelation *rel, HTAB *reaching);
extern char *EffGraphInferredPath(DataMap *map, TableLink *link);
extern char *EffGraphUsedPath(TableLink *link);

/* What the hops of a link are like */
extern bool EffLinkIsKey(MapTable *subject, const AttrNumber *target_columns, int n);
extern bool EffLinkCarriesKey(TableLink *link);
extern bool EffLinkStartsAt(TableLink *link, List *columns);
extern bool EffLinkSameHops(TableLink *link, int i, TableLink *other);

/* Who owns rows of a table, as OwnerClaim */
extern List *EffOwnersClaims(MapTable *table, bool with_links);
extern List *EffOwnersOfValue(MapTable *table, const char *link);
extern bool EffOwnersContested(MapTable *table, MapTable *subject);
extern List *EffOwnersTwins(DataMap *map, TableLink *link);
extern bool EffOwnersHaveTwin(DataMap *map, TableLink *link);

/* Columns (int attnums) to set to NULL so that a row is detached */
extern List *EffDetachColumns(DataMap *map, ForeignKey *fk);
extern bool EffDetachAllowed(DataMap *map, MapTable *source, ForeignKey *fk);
extern List *EffDetachLinkColumns(DataMap *map, TableLink *link);

#endif							/* EFF_GRAPH_H */
