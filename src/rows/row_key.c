/*
 * row_key.c
 *	  The key by which rows are found again, and what an erasure changes.
 */
#include "postgres.h"

#include "rows/surrogate.h"


/*
 * EffRowKey takes the primary key, or else another unique key without NULLs,
 * that holds no column which erasure changes.
 */
int
EffRowKey(MapTable *table, AttrNumber **key)
{
	foreach_ptr(EffIndex, index, table->rel->indexes)
	{
		bool		usable = index->unique && !index->partial && index->immediate;

		for (int i = 0; usable && i < index->nkeys; i++)
		{
			EffColumn  *column = EffRelationFindColumn(table->rel, index->keys[i]);

			usable = column != NULL && column->not_null && !EffErasureChanges(table, column);
		}
		if (usable)
		{
			*key = index->keys;
			return index->nkeys;
		}
	}
	*key = NULL;
	return 0;
}

/* EffErasureChanges: the column of a surviving row is replaced, or written by "set". */
bool
EffErasureChanges(MapTable *table, EffColumn *column)
{
	MapColumn  *labelled = EffMapColumn(table, column->attnum);

	if (labelled != NULL && labelled->label->erasure != ERASURE_RETAIN)
		return true;
	if (table->label != NULL)
		foreach_ptr(SetLabel, each_label, table->label->set)
			if (strcmp(each_label->column, column->name) == 0)
				return true;
	if (column->generated)
	{
		Bitmapset  *attnums = EffGeneratedFrom(table->rel, column);

		for (int i = 0; i < table->rel->ncolumns; i++)
			if (bms_is_member(table->rel->columns[i].attnum, attnums) &&
				EffErasureChanges(table, &table->rel->columns[i]))
				return true;
	}
	return false;
}
