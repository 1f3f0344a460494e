/*
 * graph.h (public)
 *	  How every labelled table reaches its subjects, and in what order tables
 *	  can be deleted from.
 */
#ifndef EFF_GRAPH_H
#define EFF_GRAPH_H

#include "effaced.h"
#include "fmgr.h"
#include "map/map.h"

/* How a reference in a cycle is got out of the way; best first */
typedef enum EdgeBreak
{
	BREAK_FREE,					/* needs nothing: nothing is deleted there, or
								 * only a join and no foreign key orders it */
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

/* Tells whether rows of a relation are deleted, so that references to it count */
typedef bool (*EffDeletedTest) (Oid relid, void *arg);

extern DataMap *EffGraphGet(void);

/* The subject table meant by relid, or the only one; ERROR ZE002 otherwise */
extern MapTable *EffGraphSubject(DataMap *map, Oid relid);

/* The same for argument argno of a function, which may be NULL */
extern MapTable *EffGraphSubjectArgument(DataMap *map, FunctionCallInfo fcinfo, int argno);

/* Tables with a link to the subject, itself included; raises what is broken */
extern List *EffGraphTables(DataMap *map, MapTable *subject);
extern List *EffGraphLinks(MapTable *table, MapTable *subject); /* of TableLink */
extern List *EffGraphRoleLinks(MapTable *table, MapTable *subject, LinkRole role);
extern void EffGraphRaiseErrors(MapTable *table);

/*
 * Deletion order: rows before the rows that they reference.  relids in, the
 * same relids out; broken gets the references that a cycle makes it ignore.
 * ERROR ZE002 naming the cycle where it cannot be broken.
 */
extern List *EffGraphOrder(DataMap *map, List *relids, EffDeletedTest deleted, void *arg, List **broken);

/* Columns to set to NULL so that a row no longer references; NIL where none can be */
extern List *EffDetachColumns(DataMap *map, ForeignKey *fk);

/* What lint tells of links; see there */
extern HTAB *EffGraphReaching(DataMap *map);
extern TableLink *EffGraphInfer(DataMap *map, EffRelation *rel, HTAB *reaching);
extern char *EffGraphInferredPath(DataMap *map, TableLink *link);
extern char *EffGraphUsedPath(TableLink *link);

/* One way in which rows of a table belong to a subject */
typedef struct OwnerClaim
{
	MapTable   *subject;
	TableLink  *link;			/* NULL: the row is the subject itself */
} OwnerClaim;

/* Whether rows of a table may also be somebody else's than this subject's */
extern bool EffOwnersContested(MapTable *table, MapTable *subject);

extern List *EffOwnersClaims(MapTable *table, bool with_links);

extern List *EffOwnersTwins(DataMap *map, TableLink *link);

/* Whether another owner may have a row by the columns of a link */
extern bool EffOwnersHaveTwin(DataMap *map, TableLink *link);

/* Everybody who may own rows of a table, as OwnerClaim */
extern List *EffOwnersOfValue(MapTable *table, const char *link);

/* whether the rows before the subject's own hold its identifier, so that its table is not read */
extern bool EffLinkCarriesKey(TableLink *link);

/* whether a link begins at one of the columns (int attnums) */
extern bool EffLinkStartsAt(TableLink *link, List *columns);

/* whether the hops of a link from i on are those of another link */
extern bool EffLinkSameHops(TableLink *link, int i, TableLink *other);

/* alias.columns equal to the key of a subject, where these columns hold it */
extern bool EffLinkIsKey(MapTable *subject, const AttrNumber *target_columns, int n);

/* Whether references of a labelled table can be set to NULL without touching what is retained */
extern bool EffDetachAllowed(DataMap *map, MapTable *source, ForeignKey *fk);

/* Columns (int attnums) that detach a kept row from the subject of a link */
extern List *EffDetachLinkColumns(DataMap *map, TableLink *link);

#endif							/* EFF_GRAPH_H */
