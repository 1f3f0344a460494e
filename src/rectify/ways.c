/*
 * ways.c
 *	  Corrections go along the ways: a hop joins rows by equal values, so that what
 *	  is corrected at one end is written at the other.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "map/graph.h"
#include "rectify/corrections.h"
#include "rectify/ways.h"
#include "rows/ways.h"

#include "utils/builtins.h"

/* What tells a column that has no label of its own from others */
typedef struct WayColumnKey
{
	MapTable   *table;
	AttrNumber	attnum;
} WayColumnKey;

/* Such a column as if it had one; kept with the map */
typedef struct WayColumn
{
	MapTable   *table;
	MapColumn	column;
} WayColumn;

/* One end of a hop */
typedef struct HopEnd
{
	EffRelation *rel;
	AttrNumber	attnum;
} HopEnd;

static List *go_along(DataMap *map, MapTable *subject, TableLink *link, List *columns);
static List *match_ends(DataMap *map, MapTable *subject, TableLink *link, JoinHop *hop, int place,
						List *columns, List *written);
static bool makes_alike(DataMap *map, HopEnd *end, int correction, List *columns);
static int	correction_of(DataMap *map, HopEnd *end, List *columns);
static List *add_end(DataMap *map, MapTable *subject, TableLink *link, HopEnd *end, bool is_target,
					 int correction, List *columns);
static MapColumn *column_of(DataMap *map, MapTable *table, EffColumn *column);
static bool is_way_column(const void *entry, const void *key);
static void *make_way_column(DataMap *map, const void *key);
static List *written_by(DataMap *map, List *columns);
static void cannot_follow(TableLink *link, HopEnd *end, const char *why) pg_attribute_noreturn();

static const MapCacheSlot way_column_slot = {"columns of ways", is_way_column, make_way_column};

/*
 * EffRectifyWays adds to the columns of corrections those at the other ends of hops, by
 * which the subject's rows are found: they get the same value in the same call, whether
 * they have a label or not.  A column that follows by a foreign key's ON UPDATE CASCADE,
 * or that is generated from one that is corrected alike, follows by itself.
 *
 * ERROR ZE004 naming the table where the other end cannot be written.
 */
List *
EffRectifyWays(DataMap *map, MapTable *subject, List *columns)
{
	EffBracket	bracket;
	int			before;

	EffPinBegin(&bracket);
	do
	{
		before = list_length(columns);
		foreach_ptr(MapTable, table, EffGraphTables(map, subject))
		{
			foreach_ptr(TableLink, link, EffGraphRoleLinks(table, subject, ROLE_OWNER))
				columns = go_along(map, subject, link, columns);
		}
	} while (list_length(columns) > before);
	EffPinEnd(&bracket);
	return columns;
}

/* go_along adds what the hops of one link ask for. */
static List *
go_along(DataMap *map, MapTable *subject, TableLink *link, List *columns)
{
	foreach_ptr(JoinHop, hop, link->hops)
	{
		for (int k = 0; k < hop->n; k++)
		{
			List	   *written = written_by(map, columns);
			bool		source = EffWaysWrites(map, written, hop->source, hop->source_columns[k]);
			bool		target = EffWaysWrites(map, written, hop->target, hop->target_columns[k]);

			/* a foreign key that follows writes one end with the other */
			if ((!source && !target) ||
				(hop->fk != NULL && hop->fk->on_update == FKCONSTR_ACTION_CASCADE &&
				 (hop->reverse ? source : target)))
				continue;
			columns = match_ends(map, subject, link, hop, k, columns, written);
		}
	}
	return columns;
}

/* match_ends adds the end of a hop that is not corrected as the other one is. */
static List *
match_ends(DataMap *map, MapTable *subject, TableLink *link, JoinHop *hop, int place, List *columns,
		   List *written)
{
	HopEnd		source = {hop->source, hop->source_columns[place]};
	HopEnd		target = {hop->target, hop->target_columns[place]};
	int			of_source = correction_of(map, &source, columns);
	int			of_target = correction_of(map, &target, columns);

	if (of_target >= 0)
	{
		if (of_source == of_target || makes_alike(map, &source, of_target, columns))
			return columns;
		if (of_source >= 0 || EffRelationColumn(source.rel, source.attnum)->generated)
			cannot_follow(link, &source, "It would not get the value that it is joined to.");
		return add_end(map, subject, link, &source, false, of_target, columns);
	}
	if (EffWaysWrites(map, written, target.rel, target.attnum))
	{
		/* both are generated: from what is corrected alike */
		foreach_ptr(RectifyColumn, column, columns)
		{
			if (makes_alike(map, &target, column->correction, columns) &&
				makes_alike(map, &source, column->correction, columns))
				return columns;
		}
		cannot_follow(link, &source, "It is joined to a generated column, which changes, and is not"
					  " generated from a column that is corrected with it.");
	}
	if (of_source < 0)
		cannot_follow(link, &target, "It is joined to a generated column, which changes, and is not"
					  " generated from a column that is corrected with it.");
	if (EffRelationColumn(target.rel, target.attnum)->generated)
	{
		if (makes_alike(map, &target, of_source, columns))
			return columns;
		cannot_follow(link, &target, "No column that it is generated from is corrected with what is"
					  " joined to it.");
	}
	return add_end(map, subject, link, &target, true, of_source, columns);
}

/* makes_alike: the column is generated from one that the correction writes. */
static bool
makes_alike(DataMap *map, HopEnd *end, int correction, List *columns)
{
	EffColumn  *generated = EffRelationColumn(end->rel, end->attnum);
	Bitmapset  *sources = generated->generated ? EffGeneratedFrom(end->rel, generated) : NULL;

	foreach_ptr(RectifyColumn, column, columns)
	{
		EffColumn  *source = column->correction == correction &&
			list_member_oid(column->table->rel->inheritors, end->rel->oid) ?
			EffRelationColumnByName(end->rel, column->column->column->name) : NULL;

		if (source != NULL && bms_is_member(source->attnum, sources))
			return true;
	}
	return false;
}

/* correction_of returns the correction that writes an end itself, -1 where none does. */
static int
correction_of(DataMap *map, HopEnd *end, List *columns)
{
	EffColumn  *wanted = EffRelationColumn(end->rel, end->attnum);

	foreach_ptr(RectifyColumn, column, columns)
		if ((list_member_oid(column->table->rel->inheritors, end->rel->oid) ||
			 list_member_oid(end->rel->inheritors, column->table->rel->oid)) &&
			strcmp(column->column->column->name, wanted->name) == 0)
			return column->correction;
	return -1;
}

/* add_end adds a column of a hop to those that a correction writes. */
static List *
add_end(DataMap *map, MapTable *subject, TableLink *link, HopEnd *end, bool is_target,
		int correction, List *columns)
{
	MapTable   *table = EffMapTableOver(map, end->rel->oid);
	EffColumn  *column = table == NULL ? NULL :
		EffRelationColumnByName(table->rel, EffRelationColumn(end->rel, end->attnum)->name);
	RectifyColumn *added;

	if (column == NULL ||
		(table != subject && EffGraphRoleLinks(table, subject, ROLE_OWNER) == NIL))
		cannot_follow(link, end, "The table has no label by which its rows are the subject's.");
	if (is_target && EffMapColumn(table, column->attnum) != NULL)
		cannot_follow(link, end, "It has a label of its own, which the correction is not about.");
	for (int i = 0; is_target && table == subject && i < subject->nkey; i++)
		if (subject->key[i] == column->attnum)
			cannot_follow(link, end,
						  "It identifies the subject, and the correction is not about it.");
	added = palloc(sizeof(RectifyColumn));
	added->table = table;
	added->column = column_of(map, table, column);
	added->correction = correction;
	return lappend(columns, added);
}

/* column_of gives a column with its label, or as if it had one. */
static MapColumn *
column_of(DataMap *map, MapTable *table, EffColumn *column)
{
	MapColumn  *labelled = EffMapColumn(table, column->attnum);
	WayColumnKey key = {table, column->attnum};

	if (labelled != NULL)
		return labelled;
	return &((WayColumn *) EffMapCacheGet(map, &way_column_slot, &key))->column;
}

static bool
is_way_column(const void *entry, const void *key)
{
	const WayColumn *known = entry;
	const WayColumnKey *wanted = key;

	return known->table == wanted->table && known->column.column->attnum == wanted->attnum;
}

/* make_way_column: no erasure replaces the column, and it is about every owner of the row. */
static void *
make_way_column(DataMap *map, const void *key)
{
	const WayColumnKey *wanted = key;
	WayColumn  *made = palloc0(sizeof(WayColumn));
	ColumnLabel *label = palloc0(sizeof(ColumnLabel));

	label->category = pstrdup("technical");
	label->erasure = ERASURE_RETAIN;
	made->table = wanted->table;
	made->column.column = EffRelationColumn(wanted->table->rel, wanted->attnum);
	made->column.label = label;
	return made;
}

/* written_by returns the columns (of ScopeRead) that change with those of corrections. */
static List *
written_by(DataMap *map, List *columns)
{
	List	   *written = NIL;

	foreach_ptr(RectifyColumn, column, columns)
		written = EffWaysAdd(map, written, column->table->rel->oid,
							 bms_make_singleton(column->column->column->attnum));
	return written;
}

static void
cannot_follow(TableLink *link, HopEnd *end, const char *why)
{
	EffColumn  *column = EffRelationColumn(end->rel, end->attnum);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("the correction would leave rows of table \"%s\" behind: column \"%s\" of "
					"table \"%s\" cannot follow it",
					link->table->rel->relname, column->name, end->rel->relname),
			 errdetail("%s  Nothing was changed.", why),
			 errhint("Label %s.%s, or what it is generated from, with the category and fact of the"
					 " correction, or link %s by a key that no correction changes.",
					 end->rel->name, quote_identifier(column->name), link->table->name),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, end->rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, end->rel->relname),
			 err_generic_string(PG_DIAG_COLUMN_NAME, column->name),
			 errhidestmt(true)));
}
