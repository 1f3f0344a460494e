/*
 * lint_copies.c
 *	  Checks of where labelled values are found besides their own columns.
 */
#include "postgres.h"

#include "lint.h"
#include "spi.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MAX_NAMES 10			/* columns named in a message */

/*
 * Views and materialized views that read labelled columns, themselves or
 * through other views; one row per view and column.
 */
static const char *const views_query =
"WITH RECURSIVE reads AS ("
" SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation, d.refobjsubid AS attnum"
" FROM pg_catalog.pg_depend d"
" JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid"
" JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')"
" WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
" AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
" AND d.refobjid <> r.ev_class AND d.refobjsubid > 0"
"), copies AS ("
" SELECT view, relation, attnum FROM reads"
" JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l (relation, attnum)"
" USING (relation, attnum)"
" UNION SELECT reads.view, copies.relation, copies.attnum"
" FROM copies JOIN reads ON reads.relation = copies.view"
") SELECT view, relation, attnum FROM copies ORDER BY view, relation, attnum";

static void labelled_columns(LintRun *run, Datum *relations, Datum *attnums);
static void lint_view(LintRun *run, Oid relid, List *columns);

/*
 * EffLintViews finds views over labelled columns; a materialized one keeps
 * what an erasure has taken from the table.
 */
void
EffLintViews(LintRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	EffBracket	bracket;
	Datum		values[2];
	Oid			view = InvalidOid;
	List	   *names = NIL;	/* of char *: columns that the view reads */

	labelled_columns(run, &values[0], &values[1]);
	EffSpiBegin(&bracket);
	if (SPI_execute_with_args(views_query, 2, (Oid[]) {OIDARRAYOID, INT4ARRAYOID}, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the views");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i <= SPI_processed; i++)
	{
		bool		isnull;
		Oid			next = InvalidOid;
		Oid			relid;
		AttrNumber	attnum;

		if (i < SPI_processed)
			next = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		if (next != view && OidIsValid(view))
		{
			lint_view(run, view, names);
			names = NIL;
		}
		view = next;
		if (i == SPI_processed)
			break;
		relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
		attnum = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull));
		names = lappend(names, EffLintColumnName(EffMapLoad(run->map, relid), attnum));
	}
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
}

/* labelled_columns lists them as two arrays, those of children included. */
static void
labelled_columns(LintRun *run, Datum *relations, Datum *attnums)
{
	List	   *relids = NIL;
	List	   *columns = NIL;
	Datum	   *elements;
	ListCell   *lc;

	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach(lc, table->rel->inheritors)
		{
			EffRelation *rel = EffMapLoad(run->map, lfirst_oid(lc));
			ListCell   *lc2;

			foreach(lc2, rel ? table->columns : NIL)
			{
				EffColumn  *column = EffRelationColumnByName(rel, ((MapColumn *) lfirst(lc2))->column->name);

				if (column == NULL)
					continue;
				relids = lappend_oid(relids, rel->oid);
				columns = lappend_int(columns, column->attnum);
			}
		}
	}
	elements = palloc(sizeof(Datum) * Max(list_length(relids), 1));
	foreach(lc, relids)
		elements[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	*relations = PointerGetDatum(construct_array(elements, list_length(relids), OIDOID,
												 sizeof(Oid), true, TYPALIGN_INT));
	foreach(lc, columns)
		elements[foreach_current_index(lc)] = Int32GetDatum(lfirst_int(lc));
	*attnums = PointerGetDatum(construct_array(elements, list_length(columns), INT4OID,
											   sizeof(int32), true, TYPALIGN_INT));
}

static void
lint_view(LintRun *run, Oid relid, List *columns)
{
	EffRelation *view = EffRelationLoad(relid);
	StringInfoData names;
	ListCell   *lc;

	if (view == NULL)
		return;
	initStringInfo(&names);
	foreach(lc, columns)
	{
		if (foreach_current_index(lc) == MAX_NAMES)
		{
			appendStringInfo(&names, " and %d more", list_length(columns) - MAX_NAMES);
			break;
		}
		appendStringInfo(&names, "%s%s", foreach_current_index(lc) > 0 ? ", " : "", (char *) lfirst(lc));
	}
	if (view->relkind == RELKIND_MATVIEW)
		(void) EffLintAdd(run, LINT_MATVIEW_COPIES_LABELLED, view, 0,
						  psprintf("materialized view %s copies labelled columns, and keeps erased values until it is refreshed: %s",
								   view->name, names.data),
						  psprintf("REFRESH MATERIALIZED VIEW %s;", view->sql));
	else
		(void) EffLintAdd(run, LINT_VIEW_COPIES_LABELLED, view, 0,
						  psprintf("view %s shows labelled columns: %s", view->name, names.data),
						  pstrdup("A view keeps no copy; see that those who may read it are to see personal data."));
}
