/*
 * map.h (public)
 *	  The data map: every labelled table with its labels, cached per backend.
 *
 * The map lives in a memory context of its own.  A change of a label or a
 * comment, or of what the map holds of a table, makes it stale; EffMapGet() then
 * builds another, and the stale one stays until the transaction ends, so that
 * pointers into a map hold for the transaction that fetched it.
 */
#ifndef EFF_MAP_H
#define EFF_MAP_H

#include "effaced.h"
#include "relations/relations.h"
#include "label/label.h"
#include "utils/hsearch.h"

/* An error found while the map was built, raised by whoever needs the table */
typedef struct MapError
{
	int			code;
	char	   *message;
	char	   *detail;
	char	   *hint;
} MapError;

/* A labelled column */
typedef struct MapColumn
{
	EffColumn  *column;
	ColumnLabel *label;
	bool		from_comment;
	bool		shadowed;
} MapColumn;

/* One join on the way from a table to a subject */
typedef struct JoinHop
{
	EffRelation *source;
	EffRelation *target;
	int			n;
	AttrNumber *source_columns;
	AttrNumber *target_columns;
	ForeignKey *fk;				/* NULL for a declared hop */
	bool		reverse;		/* against a reference: may meet several rows */
} JoinHop;

struct MapTable;

/* One way from a table to a subject */
typedef struct TableLink
{
	struct MapTable *table;
	char	   *name;			/* NULL for the only one */
	LinkLabel  *label;
	List	   *hops;			/* of JoinHop, from the table to the subject */
	struct MapTable *subject;
	bool		inferred;
	bool		reverse;		/* a hop goes against a reference */
	MapError   *error;			/* the link cannot be resolved */
} TableLink;

/* A labelled table, or one with labelled columns */
typedef struct MapTable
{
	EffRelation *rel;
	char	   *name;			/* rel->name */
	TableLabel *label;			/* NULL where only columns are labelled */
	char	   *json;			/* the table label as written */
	bool		from_comment;
	bool		shadowed;
	List	   *columns;		/* of MapColumn, by attnum */
	bool		is_subject;
	char	   *kind;			/* of a subject table */
	int			nkey;
	AttrNumber *key;			/* identifier columns of a subject table */
	bool		fully_pii_owned;
	List	   *links;			/* of TableLink, resolved by graph.c */
	MapError   *error;			/* a label cannot be read */
} MapTable;

/* What the map knows of one relation, labelled or not */
typedef struct MapRelation
{
	Oid			oid;			/* hash key */
	EffRelation *rel;			/* loaded on demand */
	MapTable   *table;			/* NULL where not labelled itself */
	List	   *references;		/* of ForeignKey: from here */
	List	   *referenced_by;	/* of ForeignKey: to here */
	List	   *joins;			/* of JoinHop: of links, from or to it or a parent */
	bool		used;			/* its changes make the map stale */
	bool		gone;			/* was looked for, and was not there */
	bool		suspect;		/* may have changed; map_cache.c compares it */
} MapRelation;

/* A role that owns labelled tables */
typedef struct LabelOwner
{
	Oid			role;
	bool		counts;			/* what labels of its tables do */
} LabelOwner;

typedef struct DataMap
{
	MemoryContext context;
	bool		stale;
	uint64		suspicions;		/* how often a relation became suspect */
	uint64		settled;		/* how many of these have been looked into */
	bool		all_suspect;	/* not only those that say so */
	bool		loading;		/* a relation is being read: others may come to be used */
	bool		read;			/* some relation was, in this transaction */
	uint64		schemas;		/* fingerprint of their names */
	uint64		citus;			/* fingerprint of what Citus says of tables */
	HTAB	   *relations;		/* of MapRelation */
	int			ntables;
	MapTable  **tables;			/* by name */
	List	   *foreign_keys;	/* of ForeignKey */
	List	   *not_admitted;	/* of EffRelation: those whose labels do not count, by name */
	List	   *admitted;		/* of char *: roles whose labels were admitted */
	List	   *label_owners;	/* of LabelOwner */
	Oid			sentinel;		/* stands for all labels: whoever changes one invalidates it */
	List	   *watched_types;	/* of int: hash values of TYPEOID */
	bool		resolved;		/* graph.c has been here */
	List	   *caches;			/* what other modules made of it; see EffMapCacheGet() */
} DataMap;

/*
 * What a module makes of a map and keeps for as long as the map lives.  The
 * address of the slot tells one module's entries from another's.
 */
typedef struct MapCacheSlot
{
	const char *name;			/* of the memory contexts of its entries */
	bool		(*matches) (const void *entry, const void *key);	/* NULL: there is one entry */
	void	   *(*build) (DataMap *map, const void *key);
} MapCacheSlot;

extern void EffMapInit(void);

/* The map as of now, without links; whether it still holds once relations are locked */
extern DataMap *EffMapGet(void);
extern bool EffMapHold(DataMap *map, List *relations);	/* of EffRelation */
extern void EffMapTryAgain(int *attempts);	/* before each further attempt */

/* Tell every session that labels of a relation changed */
extern void EffMapInvalidate(Oid relid);

/* The entry of a slot for a key, built where the map does not have it yet */
extern void *EffMapCacheGet(DataMap *map, const MapCacheSlot *slot, const void *key);

/* Relations; Load raises an error where one is gone, Find returns NULL */
extern MapRelation *EffMapRelation(DataMap *map, Oid relid);
extern EffRelation *EffMapLoad(DataMap *map, Oid relid);
extern EffRelation *EffMapFind(DataMap *map, Oid relid);

/* Labelled tables and columns; NULL where there is none */
extern MapTable *EffMapTable(DataMap *map, Oid relid);
extern MapTable *EffMapTableOver(DataMap *map, Oid relid);
extern MapColumn *EffMapColumn(MapTable *table, AttrNumber attnum);
extern MapColumn *EffMapKeepingColumn(const MapTable *table);

/* Facts of a table that its labels decide */
extern bool EffMapDeletesRows(const MapTable *table);
extern bool EffMapHoldsRefs(MapTable *table);
extern bool EffMapIsCovered(DataMap *map, MapTable *table, AttrNumber attnum);

extern bool EffTypeIsAnchor(Oid type);

/* Errors that are kept with what they are about */
extern MapError *EffMapErrorMake(int code, char *message, char *detail, char *hint);
extern MapError *EffMapErrorFrom(ErrorData *error);
extern void EffMapErrorRaise(const MapError *error) pg_attribute_noreturn();

#endif							/* EFF_MAP_H */
