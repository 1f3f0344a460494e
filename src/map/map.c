/*
 * map.c
 *	  Looks up relations, tables and columns in the data map, and keeps errors
 *	  with what they are about.
 */
#include "postgres.h"

#include "base/gone.h"
#include "base/settings.h"
#include "map/map.h"
#include "relations/types.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

static int	pin_quoting(void);
static void unpin_quoting(int level);

/*
 * EffMapRelation returns the entry of a relation, made empty where the map does
 * not have it yet.  Entries do not move while the map lives.
 */
MapRelation *
EffMapRelation(DataMap *map, Oid relid)
{
	bool		found;
	MapRelation *entry = hash_search(map->relations, &relid, HASH_ENTER, &found);

	if (!found)
	{
		entry->rel = NULL;
		entry->table = NULL;
		entry->references = NIL;
		entry->referenced_by = NIL;
		entry->joins = NIL;
		entry->used = false;
		entry->gone = false;
		entry->suspect = false;
	}
	return entry;
}

/*
 * EffMapLoad returns the columns and indexes of a relation that the map knows
 * of; it raises undefined_table where the relation was dropped in between.
 */
EffRelation *
EffMapLoad(DataMap *map, Oid relid)
{
	EffRelation *rel = EffMapFind(map, relid);

	if (rel == NULL)
		EffGoneRelation(relid, NULL);
	return rel;
}

/*
 * EffMapFind returns the columns and indexes of a relation, NULL where it is
 * gone.  From then on a change of what was read makes the map stale.
 */
EffRelation *
EffMapFind(DataMap *map, Oid relid)
{
	MapRelation *entry = EffMapRelation(map, relid);

	if (entry->rel == NULL)
	{
		MemoryContext context = MemoryContextSwitchTo(map->context);
		int			level = pin_quoting();
		EffRelation *rel;

		/* a change while it is read counts, too */
		entry->used = true;
		entry->gone = true;
		map->loading = true;
		map->read = true;
		rel = EffRelationLoad(relid);
		unpin_quoting(level);
		entry->rel = rel;
		entry->gone = rel == NULL;
		if (rel != NULL)
			foreach_oid(oid, rel->inheritors)
				EffMapRelation(map, oid)->used = true;
		map->loading = false;
		MemoryContextSwitchTo(context);
	}
	return entry->rel;
}

/* EffMapTable returns the labelled table that a relation is, NULL where it has no label. */
MapTable *
EffMapTable(DataMap *map, Oid relid)
{
	MapRelation *entry = hash_search(map->relations, &relid, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->table;
}

/*
 * EffMapTableOver returns the labelled table that a relation is, is a
 * partition of or inherits from; NULL where its rows are in no labelled table.
 */
MapTable *
EffMapTableOver(DataMap *map, Oid relid)
{
	MapTable   *table = EffMapTable(map, relid);

	if (table == NULL)
		foreach_oid(oid, EffAncestors(relid))
			if ((table = EffMapTable(map, oid)) != NULL)
				break;
	return table;
}

/* EffMapColumn returns a labelled column of a table, NULL where the column has no label. */
MapColumn *
EffMapColumn(MapTable *table, AttrNumber attnum)
{
	foreach_ptr(MapColumn, column, table->columns)
		if (column->column->attnum == attnum)
			return column;
	return NULL;
}

/* EffMapHoldsRefs returns whether a table has columns with identifiers in external systems. */
bool
EffMapHoldsRefs(MapTable *table)
{
	foreach_ptr(MapColumn, column, table->columns)
		if (column->label->ref != NULL)
			return true;
	return false;
}

/*
 * EffMapIsCovered returns whether a column is labelled, or a member of the primary
 * key or of a foreign key: then it does not keep a row from being the subject's as
 * a whole.
 */
bool
EffMapIsCovered(DataMap *map, MapTable *table, AttrNumber attnum)
{
	EffIndex   *primary = EffRelationPrimaryKey(table->rel);

	if (EffMapColumn(table, attnum) != NULL)
		return true;
	for (int k = 0; primary != NULL && k < primary->nkeys; k++)
		if (primary->keys[k] == attnum)
			return true;
	foreach_ptr(ForeignKey, fk, EffMapRelation(map, table->rel->oid)->references)
	{
		for (int k = 0; k < fk->nkeys; k++)
			if (fk->columns[k] == attnum)
				return true;
	}
	return false;
}

/*
 * EffMapKeepingColumn returns the labelled column for whose sake a row survives
 * the erasure of its subject, NULL where every labelled column may go with it.
 * A retained value is the better reason and is returned before one that is only
 * anonymized.
 */
MapColumn *
EffMapKeepingColumn(const MapTable *table)
{
	MapColumn  *keeping = NULL;

	foreach_ptr(MapColumn, column, table->columns)
		if (column->label->erasure != ERASURE_DELETE &&
			(keeping == NULL || column->label->erasure == ERASURE_RETAIN))
			keeping = column;
	return keeping;
}

/*
 * EffMapDeletesRows tells whether an erasure deletes the rows of a table: every
 * labelled column is "delete", and there is no column that is neither labelled
 * nor a key's, or the label says that the rows are owned.  Plans, lint and
 * whatever looks at what an erasure has left need the one answer.
 */
bool
EffMapDeletesRows(const MapTable *table)
{
	return table->fully_pii_owned && EffMapKeepingColumn(table) == NULL;
}

/* EffTypeIsAnchor returns whether values of a type can be the date from which a retention runs. */
bool
EffTypeIsAnchor(Oid type)
{
	Oid			base = EffBaseType(type);

	return base == DATEOID || base == TIMESTAMPOID || base == TIMESTAMPTZOID;
}

/*
 * EffMapErrorMake returns an error to be raised by whoever needs what it is about.
 * The texts are not copied; detail and hint may be NULL.
 */
MapError *
EffMapErrorMake(int code, char *message, char *detail, char *hint)
{
	MapError   *error = palloc0(sizeof(MapError));

	error->code = code;
	error->message = message;
	error->detail = detail;
	error->hint = hint;
	return error;
}

/*
 * EffMapErrorFrom returns an error of a label or of a way to a subject as a struct;
 * any other error it raises again.
 */
MapError *
EffMapErrorFrom(ErrorData *error)
{
	if (error->sqlerrcode != ERRCODE_EFF_MANIFEST && error->sqlerrcode != ERRCODE_EFF_SUBJECT)
		ReThrowError(error);
	return EffMapErrorMake(error->sqlerrcode, error->message, error->detail, error->hint);
}

/* EffMapErrorRaise raises an error that was kept with what it is about. */
void
EffMapErrorRaise(const MapError *error)
{
	ereport(ERROR,
			(errcode(error->code),
			 errmsg("%s", error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 errhidestmt(true)));
}

/*
 * pin_quoting makes names the same text whatever quote_all_identifiers is.
 */
static int
pin_quoting(void)
{
	int			level;

	if (!quote_all_identifiers)
		return 0;
	level = NewGUCNestLevel();
	EffSettingSet("quote_all_identifiers", "off");
	return level;
}

static void
unpin_quoting(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}
