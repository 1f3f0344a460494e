/*
 * reach.c
 *	  Looks up which of the rows found are the subjects' own.
 *
 * The rows are asked for by their place in the table, some thousand at a time,
 * so that memory does not grow with what a subject has.
 */
#include "postgres.h"

#include "trace/reach.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define DENIED_HINT "Grant the calling role SELECT on the tables that hold data of the subject."

/* A statement that tells which rows of a planned table are the subjects' */
typedef struct ReachStatement
{
	PlannedTable *planned;
	Statement  *st;
} ReachStatement;

static Statement *statement_of(Reach *reach, PlannedTable *planned);
static Statement *make_statement(Reach *reach, PlannedTable *planned);
static void look_up(Reach *reach, PlannedTable *planned, Oid relid, ReachedRow *rows, int n);
static Datum tid_array(const ReachedRow *rows, int n);
static ReachKind kind_of_part(int part);
static int	compare_rows(const void *a, const void *b);

/* EffReachRows: a row of the subject table is the subject itself, or one that belongs to it. */
void
EffReachRows(Reach *reach, PlannedTable *planned, Oid relid, ReachedRow *rows, int n)
{
	RequestPlan *plan = reach->call->plan;

	look_up(reach, planned, relid, rows, n);
	if (planned->table == plan->subject && plan->own_links != NULL)
		look_up(reach, plan->own_links, relid, rows, n);
}

/*
 * EffReachesColumn: whether an erasure takes the value of a column of such a row; NULL
 * for a column that the planned table has not.
 */
bool
EffReachesColumn(const ReachedRow *row, const EffColumn *column)
{
	MapTable   *table = row->planned != NULL ? row->planned->table : NULL;
	MapColumn  *labelled;
	Bitmapset  *from;
	int			attnum = -1;

	if (row->kind == REACH_NONE)
		return false;
	if (row->kind == REACH_GONE && row->planned->deleted)
		return true;
	if (column == NULL)
		return false;
	if (row->kind == REACH_KEPT)
	{
		/* who leaves takes what is tied to the link along */
		labelled = EffMapColumn(table, column->attnum);
		if (labelled == NULL || labelled->label->link == NULL ||
			labelled->label->erasure == ERASURE_RETAIN)
			return false;
		foreach_ptr(TableLink, link, row->planned->links)
			if ((row->links >> Min(foreach_ptr_index(link), 31)) & 1 && link->name != NULL &&
				strcmp(link->name, labelled->label->link) == 0)
				return true;
		return false;
	}
	if (!column->generated)
		return EffErasureChanges(table, unconstify(EffColumn *, column));
	/* it follows the columns that it is generated from */
	from = EffGeneratedFrom(table->rel, unconstify(EffColumn *, column));
	while ((attnum = bms_next_member(from, attnum)) >= 0)
		if (EffErasureChanges(table, EffRelationColumn(table->rel, attnum)))
			return true;
	return false;
}

/*
 * EffReachRetains: whether an erasure keeps it on purpose.
 */
bool
EffReachRetains(const ReachedRow *row, const EffColumn *column)
{
	MapColumn  *labelled = row->kind == REACH_NONE || column == NULL ? NULL :
		EffMapColumn(row->planned->table, column->attnum);

	return labelled != NULL && labelled->label->erasure == ERASURE_RETAIN;
}

static void
look_up(Reach *reach, PlannedTable *planned, Oid relid, ReachedRow *rows, int n)
{
	Call *call = reach->call;
	Statement  *st = statement_of(reach, planned);
	BoundValue  *values = call->values;
	SPITupleTable *result;
	uint64		found;

	qsort(rows, n, sizeof(ReachedRow), compare_rows);
	call->values = &(BoundValue) {.value = tid_array(rows, n)};
	found = EffExecStatement(call->nkeys == 1 ? call->runs[0] : call->all, st);
	call->values = values;
	result = SPI_tuptable;
	for (uint64 i = 0; i < found; i++)
	{
		bool		isnull;
		ReachedRow	key = {0};
		ReachedRow *row;

		if (DatumGetObjectId(SPI_getbinval(result->vals[i], result->tupdesc, 1, &isnull)) != relid)
			continue;
		key.tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(result->vals[i], result->tupdesc, 2,
															   &isnull));
		row = bsearch(&key, rows, n, sizeof(ReachedRow), compare_rows);
		if (row == NULL || row->kind != REACH_NONE)
			continue;
		row->planned = planned;
		row->kind = kind_of_part(DatumGetInt32(SPI_getbinval(result->vals[i], result->tupdesc, 3,
															 &isnull)));
		row->links = DatumGetInt32(SPI_getbinval(result->vals[i], result->tupdesc, 4, &isnull));
	}
	SPI_freetuptable(result);
}

static Statement *
statement_of(Reach *reach, PlannedTable *planned)
{
	ReachStatement *entry;

	foreach_ptr(ReachStatement, known, reach->statements)
		if (known->planned == planned)
			return known->st;
	entry = palloc(sizeof(ReachStatement));
	entry->planned = planned;
	entry->st = make_statement(reach, planned);
	reach->statements = lappend(reach->statements, entry);
	return entry->st;
}

/* make_statement: table, place, part and links of those rows among some that are the subjects'. */
static Statement *
make_statement(Reach *reach, PlannedTable *planned)
{
	Call *call = reach->call;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", planned->table->rel);

	st->all = true;
	st->place.denied_hint = DENIED_HINT;
	appendStringInfoString(&st->text, "SELECT t.tableoid, t.ctid, ");
	/* of several subjects, after their erasure, nobody asks */
	if (planned->contested && call->nkeys == 1)
		EffPlanPartOf(call->map, st, call->plan, planned);
	else
		appendStringInfo(&st->text, "%d", ROWS_GONE);
	appendStringInfoString(&st->text, ", 0");
	if (planned->contested && call->nkeys == 1)
		foreach_ptr(TableLink, link, planned->links)
		{
			if (foreach_ptr_index(link) > 30)
				break;
			appendStringInfoString(&st->text, " + CASE WHEN ");
			EffConditionAppend(st, EffScopeLink(call->map, st, "t", link, 0, &EffScopeMine));
			appendStringInfo(&st->text, " THEN %d ELSE 0 END", 1 << foreach_ptr_index(link));
		}
	appendStringInfo(&st->text, " FROM %s t WHERE t.ctid = ANY (%s) AND (",
					 planned->table->rel->sql,
					 EffStatementParam(st, PARAM_VALUE, 0, NULL, 0, TIDARRAYOID));
	if (planned->rows != NULL)
		EffConditionAppend(st, EffScopeCallRows(st, "t", planned->rows, ROWS_ALL));
	else
		EffConditionAppend(st, EffPlanScopeNow(call->map, st, "t", call->plan, planned,
											   &EffScopeMine));
	appendStringInfoChar(&st->text, ')');
	return st;
}

static Datum
tid_array(const ReachedRow *rows, int n)
{
	Datum	   *tids = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		tids[i] = PointerGetDatum(&rows[i].tid);
	return PointerGetDatum(construct_array(tids, n, TIDOID, sizeof(ItemPointerData), false,
										   TYPALIGN_SHORT));
}

static ReachKind
kind_of_part(int part)
{
	return part == ROWS_GONE ? REACH_GONE : part == ROWS_PINNED ? REACH_PINNED : REACH_KEPT;
}

static int
compare_rows(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(ItemPointerData *, &((const ReachedRow *) a)->tid),
							  unconstify(ItemPointerData *, &((const ReachedRow *) b)->tid));
}
