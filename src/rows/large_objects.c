/*
 * large_objects.c
 *	  Large objects go with the values that point to them.
 *
 * A statement reads the pointers before a step changes them.  When all is changed an
 * object is unlinked, as the owner of the table that its pointer was in, if it is that
 * owner's and no row of any oid column of the database points to it any more.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "relations/types.h"
#include "rows/large_objects.h"

#include "catalog/pg_largeobject.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

/* Tables with columns of type oid, or of a domain over it, but for the server's and effaced's */
#define FIND_HOLDERS \
	"WITH RECURSIVE types (oid) AS (" \
	" SELECT 'pg_catalog.oid'::pg_catalog.regtype::pg_catalog.oid" \
	" UNION SELECT d.oid FROM types b JOIN pg_catalog.pg_type d ON d.typbasetype = b.oid" \
	" WHERE d.typtype = 'd')" \
	" SELECT c.oid, pg_catalog.string_agg(pg_catalog.format(" \
	"'SELECT t.%1$I::pg_catalog.oid FROM ONLY %2$I.%3$I t" \
	" WHERE t.%1$I::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1)'," \
	" a.attname, n.nspname, c.relname), ' UNION ')" \
	" FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid" \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" WHERE a.atttypid IN (SELECT y.oid FROM types y) AND a.attnum > 0 AND NOT a.attisdropped" \
	" AND c.relkind IN ('r', 'm') AND c.relispopulated" \
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema', '" EFF_OWN_SCHEMA "')" \
	" AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)" \
	" GROUP BY c.oid ORDER BY c.oid"

static bool contains(List *sorted, Oid oid);
static List *existing(List *objects);
static List *find_holders(List **statements);
static List *held_in(Oid relid, const char *sql, List *oids);
static List *unlink_as_owner(Oid relid, List *oids);
static List *read_oids(MemoryContext context);

/* EffHoldsLargeObjects: of type oid, or of a domain over it such as lo. */
bool
EffHoldsLargeObjects(const EffColumn *column)
{
	return EffBaseType(column->type) == OIDOID;
}

/*
 * EffLargeObjectsStatement returns a statement over the columns (of EffColumn) that hold
 * large objects; NULL where none of them does.  rows is " ... WHERE ..." behind the
 * table's alias t, with the parameters of params.
 */
Statement *
EffLargeObjectsStatement(EffRelation *rel, List *columns, const char *rows, List *params)
{
	StringInfoData values;
	Statement  *st;

	initStringInfo(&values);
	foreach_ptr(EffColumn, column, columns)
	{
		if (EffHoldsLargeObjects(column))
			appendStringInfo(&values, "%s(%s::pg_catalog.oid)", values.len > 0 ? ", " : "",
							 EffColumnSql("t", rel, column->attnum));
	}
	if (values.len == 0)
		return NULL;
	st = EffStatementNew(SPI_OK_SELECT, "reading large objects of", rel);
	st->params = params;
	appendStringInfo(&st->text,
					 "SELECT DISTINCT o.object FROM (SELECT t.* FROM %s t%s) AS t,"
					 " LATERAL (VALUES %s) AS o (object) WHERE o.object <> 0",
					 rel->sql, rows, values.data);
	return st;
}

/*
 * EffLargeObjectsRead adds the objects of the last statement's result, which it frees, to
 * a list that lives in the context.
 */
List *
EffLargeObjectsRead(List *objects, Oid relid, MemoryContext context)
{
	MemoryContext previous = MemoryContextSwitchTo(context);

	foreach_oid(oid, read_oids(context))
	{
		LargeObject *object = palloc0(sizeof(LargeObject));

		object->relid = relid;
		object->object = oid;
		objects = lappend(objects, object);
	}
	MemoryContextSwitchTo(previous);
	return objects;
}

/*
 * EffLargeObjectsUnlink unlinks the objects of a list (of LargeObject), and returns the
 * number of different ones that stay: because they are somebody else's than the table's
 * owner, because some row points to them still, or because nobody could find out.  Those
 * are marked.  Two calls that lose pointers to one object wait for each other, since
 * otherwise both would see the other one's pointer.
 */
uint64
EffLargeObjectsUnlink(List *objects)
{
	List	   *there = objects == NIL ? NIL : existing(objects);
	List	   *held = NIL;
	List	   *unlinked = NIL;
	List	   *statements = NIL;
	List	   *holders;
	List	   *relids = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	if (there == NIL)
		return 0;
	foreach(lc, there)
		LockDatabaseObject(LargeObjectRelationId, lfirst_oid(lc), 0, ExclusiveLock);
	holders = find_holders(&statements);
	forboth(lc, holders, lc2, statements)
		held = list_concat(held, held_in(lfirst_oid(lc), lfirst(lc2), there));
	list_sort(held, list_oid_cmp);
	foreach_ptr(LargeObject, object, objects)
		relids = list_append_unique_oid(relids, object->relid);
	foreach(lc, relids)
	{
		List	   *of_table = NIL;

		foreach_ptr(LargeObject, object, objects)
			if (object->relid == lfirst_oid(lc) && contains(there, object->object) &&
				!contains(held, object->object))
				of_table = lappend_oid(of_table, object->object);
		unlinked = list_concat(unlinked, unlink_as_owner(lfirst_oid(lc), of_table));
	}
	list_sort(unlinked, list_oid_cmp);
	foreach_ptr(LargeObject, object, objects)
		object->kept = contains(there, object->object) && !contains(unlinked, object->object);
	return list_length(there) - list_length(unlinked);
}

/* contains searches a list of oids in their order by halves. */
static bool
contains(List *sorted, Oid oid)
{
	int			low = 0;
	int			high = list_length(sorted);

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (list_nth_oid(sorted, middle) < oid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list_length(sorted) && list_nth_oid(sorted, low) == oid;
}

/* existing returns the oids of those objects that exist, in their order, each once. */
static List *
existing(List *objects)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {OIDARRAYOID};
	Datum		values[1];
	List	   *oids = NIL;
	List	   *found;
	EffBracket	bracket;

	foreach_ptr(LargeObject, object, objects)
		oids = lappend_oid(oids, object->object);
	values[0] = EffOidArray(oids, OIDOID);
	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args("SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m"
							  " WHERE m.oid = ANY ($1) ORDER BY m.oid", 1, types, values, NULL,
							  false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read large objects");
	found = read_oids(context);
	EffSpiEnd(&bracket);
	return found;
}

/* find_holders returns the tables that may point to objects, and a statement for each. */
static List *
find_holders(List **statements)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *relids = NIL;
	EffBracket	bracket;
	MemoryContext spi;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(FIND_HOLDERS, 0, NULL, NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read columns of type oid");
	spi = MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;

		relids = lappend_oid(relids,
							 DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
															SPI_tuptable->tupdesc, 1, &isnull)));
		*statements = lappend(*statements,
							  SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2));
	}
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
	return relids;
}

/*
 * held_in returns those of the oids that a table's rows point to, which are read as its
 * owner; all of them where that may not or cannot be.
 */
static List *
held_in(Oid relid, const char *sql, List *oids)
{
	Oid			types[] = {OIDARRAYOID};
	Datum		values[] = {EffOidArray(oids, OIDOID)};
	List	   *volatile held = oids;
	EffSubtransaction sub;

	EffSubBegin(&sub);
	PG_TRY();
	{
		EffBracket	bracket;

		EffSpiBeginAs(&bracket, relid);
		if (SPI_execute_with_args(sql, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read oids");
		held = read_oids(sub.context);
		EffSpiEnd(&bracket);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		ErrorData  *error = EffSubCatch(&sub);
		int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

		if (category == ERRCODE_OPERATOR_INTERVENTION ||
			category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR)
			ReThrowError(error);
		held = oids;
	}
	PG_END_TRY();
	return held;
}

/* unlink_as_owner unlinks those of the objects that are the table's owner's; returns which. */
static List *
unlink_as_owner(Oid relid, List *oids)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {OIDARRAYOID, OIDOID};
	Datum		values[] = {EffOidArray(oids, OIDOID), (Datum) 0};
	List	   *unlinked;
	EffBracket	bracket;

	if (oids == NIL)
		return NIL;
	EffSpiBeginAs(&bracket, relid);
	values[1] = ObjectIdGetDatum(GetUserId());
	/* a superuser might unlink everybody's, hence the CASE, which is evaluated in order */
	if (SPI_execute_with_args("SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m"
							  " WHERE m.oid = ANY ($1) AND CASE WHEN m.lomowner = $2"
							  " THEN pg_catalog.lo_unlink(m.oid) = 1 END",
							  2, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not unlink large objects");
	unlinked = read_oids(context);
	EffSpiEnd(&bracket);
	return unlinked;
}

/* read_oids returns the first column of the last result, which it frees. */
static List *
read_oids(MemoryContext context)
{
	MemoryContext previous = MemoryContextSwitchTo(context);
	List	   *oids = NIL;

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;

		oids = lappend_oid(oids,
						   DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row],
														  SPI_tuptable->tupdesc, 1, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(previous);
	return oids;
}
