/*
 * scan.c
 *	  Reads the rows of all relations by the access method, and searches them.
 *
 * No query is planned over them and no code of anybody's runs: tables may belong
 * to owners whose labels do not count.  So privileges and row-level security are
 * looked at here, and what the caller may not see is told instead of read.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/errors.h"
#include "trace/reach.h"
#include "trace/scan.h"
#include "trace/texts.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "tcop/tcopprot.h"

#define PENDING_ROWS 5000		/* whose reach is looked up at once */
#define PROGRESS_BYTES ((uint64) 64 * 1024 * 1024)
#define MEGABYTE (1024 * 1024)

/* A relation that is to be read, and what it is reported as */
typedef struct ScanRelation
{
	Oid			oid;
	Oid			reported;		/* the partitioned table that it is a part of, or itself */
	char		relkind;
} ScanRelation;

/* A column that is searched */
typedef struct ScanColumn
{
	AttrNumber	attnum;
	const char *name;
	TextShape  *shape;
	EffColumn  *column;			/* of the labelled table that has its rows, or NULL */
	bool		labelled;
	bool		is_varlena;
	bool		links_rows;		/* a key in it is explained by that */
} ScanColumn;

/* A value found in a row */
typedef struct RowHit
{
	const ScanColumn *column;
	const char *place;
	int			fact;
} RowHit;

/* A row that waits to be looked up, with its hits */
typedef struct PendingRow
{
	ItemPointerData tid;
	int			first;
	int			n;
} PendingRow;

typedef struct TraceScan
{
	Call *call;
	TraceValues *values;
	TraceFindings *findings;
	bool		stays;
	Snapshot	snapshot;
	TextsSearch search;
	Reach		reach;
	MemoryContext context;		/* of the scan */
	MemoryContext row;			/* of one value */
	MemoryContext lookup;		/* of one lookup */
	/* the relation that is read */
	Oid			reported;
	Oid			relid;
	PlannedTable *planned;		/* NULL where no erasure reaches it */
	const ScanColumn *column;	/* that is searched just now */
	RowHit	   *hits;			/* of this row behind those of pending ones */
	int			nhits;
	int			room;
	int			row_begin;		/* where those of this row begin */
	PendingRow *pending;
	int			npending;
	/* progress */
	int			done;
	int			relations;
	uint64		bytes;
	uint64		told;
} TraceScan;

static List *list_relations(List *only);
static bool is_searched(Form_pg_class form, Oid own_extension);
static bool is_wanted(Oid relid, List *only);
static void read_relation(TraceScan *scan, const ScanRelation *relation);
static void read_without_values(TraceScan *scan, Relation rel, List *columns);
static bool may_read(Oid relid, Oid reported);
static bool may_read_schema(Oid relid);
static List *choose_columns(TraceScan *scan, Relation rel, MapTable *table);
static bool may_read_column(Relation rel, Oid reported, const char *name, AttrNumber attnum);
static bool links_rows(DataMap *map, Oid relid, AttrNumber attnum);
static bool has_column(const AttrNumber *columns, int n, AttrNumber attnum);
static void tell_unread(TraceScan *scan, Oid relid, const char *column);
static void read_rows(TraceScan *scan, Relation rel, List *columns);
static void search_row(TraceScan *scan, TupleTableSlot *slot, const ScanColumn *columns, int n);
static void note_hit(void *arg, int value, bool whole, const TextPlace *place);
static void end_row(TraceScan *scan, ItemPointer tid);
static void flush(TraceScan *scan);
static void count_hit(TraceScan *scan, const RowHit *hit, const ReachedRow *row);
static void tell_progress(TraceScan *scan);

/*
 * EffScan: search relations, NIL for all, for the values of a call's subjects, in the
 * current memory context and inside the SPI bracket.  With stays, the erasure is done:
 * what is counted is what stays, by column; what the erasure retains is left out, and so
 * are keys in columns that link rows.
 */
TraceFindings *
EffScan(Call *call, TraceValues *values, List *relations, bool stays)
{
	TraceScan	scan = {.call = call, .values = values, .stays = stays, .context =
		CurrentMemoryContext};
	List	   *all;

	scan.findings = EffFindingsNew();
	scan.search = (TextsSearch)
	{
		.patterns = values->patterns, .digits = values->digits, .hit = note_hit, .arg = &scan
	};
	scan.reach.call = call;
	scan.row = AllocSetContextCreate(CurrentMemoryContext, "effaced row", ALLOCSET_DEFAULT_SIZES);
	scan.lookup = AllocSetContextCreate(CurrentMemoryContext, "effaced lookup",
										ALLOCSET_DEFAULT_SIZES);
	scan.room = 1024;
	scan.hits = palloc(sizeof(RowHit) * scan.room);
	scan.pending = palloc(sizeof(PendingRow) * PENDING_ROWS);
	all = values->n == 0 ? NIL : list_relations(relations);
	scan.relations = list_length(all);

	CommandCounterIncrement();	/* to see what the call has written */
	PushActiveSnapshot(GetTransactionSnapshot());
	scan.snapshot = GetActiveSnapshot();
	foreach_ptr(ScanRelation, relation, all)
	{
		CHECK_FOR_INTERRUPTS();
		scan.done = foreach_ptr_index(relation);
		tell_progress(&scan);
		read_relation(&scan, relation);
	}
	PopActiveSnapshot();
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	MemoryContextDelete(scan.row);
	MemoryContextDelete(scan.lookup);
	return scan.findings;
}

/* list_relations lists what has rows: of partitioned tables the partitions. */
static List *
list_relations(List *only)
{
	Oid			own_extension = get_extension_oid("effaced", true);
	Relation	pg_class = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 0, NULL);
	List	   *all = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		ScanRelation *relation;

		if (!is_searched(form, own_extension) || (only != NIL && !is_wanted(form->oid, only)))
			continue;
		relation = palloc(sizeof(ScanRelation));
		relation->oid = relation->reported = form->oid;
		relation->relkind = form->relkind;
		if (form->relispartition && form->relkind != RELKIND_FOREIGN_TABLE)
			relation->reported = llast_oid(get_partition_ancestors(form->oid));
		all = lappend(all, relation);
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	return all;
}

/*
 * is_searched: not the server's own tables, effaced's, nor those that another
 * session has for itself.
 */
static bool
is_searched(Form_pg_class form, Oid own_extension)
{
	char	   *schema;

	if (form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW &&
		form->relkind != RELKIND_FOREIGN_TABLE)
		return false;
	if (IsCatalogNamespace(form->relnamespace) || IsToastNamespace(form->relnamespace) ||
		isOtherTempNamespace(form->relnamespace))
		return false;
	schema = get_namespace_name(form->relnamespace);
	if (schema == NULL || strcmp(schema, "information_schema") == 0)
		return false;
	return getExtensionOfObject(RelationRelationId, form->oid) != own_extension ||
		!OidIsValid(own_extension);
}

static bool
is_wanted(Oid relid, List *only)
{
	if (list_member_oid(only, relid))
		return true;
	foreach_oid(ancestor, EffAncestors(relid))
		if (list_member_oid(only, ancestor))
			return true;
	return false;
}

static void
read_relation(TraceScan *scan, const ScanRelation *relation)
{
	DataMap    *map = scan->call->map;
	MapTable   *table;
	Relation	rel;
	List	   *columns;

	if (relation->relkind == RELKIND_FOREIGN_TABLE || (EffCitusPresent() &&
													   EffCitusIsRemote(relation->oid)))
	{
		tell_unread(scan, relation->reported, NULL);
		return;
	}
	rel = try_relation_open(relation->oid, AccessShareLock);
	if (rel == NULL)
		return;					/* dropped meanwhile */
	table = EffMapTableOver(map, relation->oid);
	scan->reported = relation->reported;
	scan->relid = relation->oid;
	scan->planned = table == NULL ? NULL : EffPlanTable(scan->call->plan, table->rel->oid);
	columns = RelationIsPopulated(rel) ? choose_columns(scan, rel, table) : NIL;
	if (columns != NIL)
		read_without_values(scan, rel, columns);
	table_close(rel, AccessShareLock);
}

/* read_without_values: whatever fails in a table, no error quotes it. */
static void
read_without_values(TraceScan *scan, Relation rel, List *columns)
{
	EffStatementPlace place = {.action = "reading of", .relation =
		EffRelationDisplayName(scan->reported),
	.relid = scan->relid};

	PG_TRY();
	{
		read_rows(scan, rel, columns);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(scan->context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
}

/* may_read: the whole relation, by itself or through the table that it is a partition of. */
static bool
may_read(Oid relid, Oid reported)
{
	Oid			user = GetUserId();

	return may_read_schema(relid) && pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED
		? true : relid != reported && may_read(reported, reported);
}

static bool
may_read_schema(Oid relid)
{
	return EffSchemaAclCheck(get_rel_namespace(relid), GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

/*
 * choose_columns lists the columns that hold texts and that the caller may
 * read, and tells of the others.
 */
static List *
choose_columns(TraceScan *scan, Relation rel, MapTable *table)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		whole = may_read(RelationGetRelid(rel), scan->reported);
	List	   *columns = NIL;
	List	   *denied = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		ScanColumn *column;
		TextShape  *shape = attribute->attisdropped ? NULL : EffTextShape(attribute->atttypid);

		if (shape == NULL || (EffTextShapeIsNumber(shape) && !EffDigitsAny(scan->values->digits)))
			continue;
		if (!whole && !may_read_column(rel, scan->reported, NameStr(attribute->attname),
									   attribute->attnum))
		{
			denied = lappend(denied, NameStr(attribute->attname));
			continue;
		}
		column = palloc0(sizeof(ScanColumn));
		column->attnum = attribute->attnum;
		column->name = EffFindingsText(scan->findings, NameStr(attribute->attname));
		column->shape = shape;
		column->is_varlena = attribute->attlen == -1;
		if (table != NULL)
			column->column = EffRelationColumnByName(table->rel, column->name);
		column->labelled = column->column != NULL && EffMapColumn(table,
																  column->column->attnum) != NULL;
		column->links_rows = links_rows(scan->call->map, scan->reported,
										get_attnum(scan->reported, column->name)) ||
			(column->column != NULL && links_rows(scan->call->map, table->rel->oid,
												  column->column->attnum));
		columns = lappend(columns, column);
	}
	if (columns == NIL && denied != NIL)
		tell_unread(scan, scan->reported, NULL);
	else
		foreach_ptr(char, name, denied)
			tell_unread(scan, scan->reported, name);
	return columns;
}

static bool
may_read_column(Relation rel, Oid reported, const char *name, AttrNumber attnum)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			user = GetUserId();

	if (may_read_schema(relid) && pg_attribute_aclcheck(relid, attnum, user,
														ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED)
		return true;
	return relid != reported && may_read_schema(reported) &&
		pg_attribute_aclcheck(reported, get_attnum(reported, name), user,
							  ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(reported, InvalidOid, true) != RLS_ENABLED;
}

/* links_rows: the column is part of a foreign key or hop, at either end, or identifies subjects. */
static bool
links_rows(DataMap *map, Oid relid, AttrNumber attnum)
{
	MapTable   *table = EffMapTable(map, relid);

	if (table != NULL && table->is_subject && has_column(table->key, table->nkey, attnum))
		return true;
	foreach_ptr(ForeignKey, fk, map->foreign_keys)
		if ((fk->relid == relid && has_column(fk->columns, fk->nkeys, attnum)) ||
			(fk->target == relid && has_column(fk->target_columns, fk->nkeys, attnum)))
			return true;
	foreach_ptr(JoinHop, hop, EffMapRelation(map, relid)->joins)
		if ((hop->source->oid == relid && has_column(hop->source_columns, hop->n, attnum)) ||
			(hop->target->oid == relid && has_column(hop->target_columns, hop->n, attnum)))
			return true;
	return false;
}

static bool
has_column(const AttrNumber *columns, int n, AttrNumber attnum)
{
	for (int i = 0; i < n; i++)
		if (columns[i] == attnum)
			return true;
	return false;
}

static void
tell_unread(TraceScan *scan, Oid relid, const char *column)
{
	TraceFinding finding = {.relid = relid, .column = EffFindingsText(scan->findings, column),
							.unread = true};

	EffFindingsAdd(scan->findings, &finding);
}

static void
read_rows(TraceScan *scan, Relation rel, List *columns)
{
	int			n = list_length(columns);
	ScanColumn *array = palloc(sizeof(ScanColumn) * n);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc rows = table_beginscan(rel, scan->snapshot, 0, NULL);
	AttrNumber	last;

	foreach_ptr(ScanColumn, column, columns)
		array[foreach_ptr_index(column)] = *column;
	last = array[n - 1].attnum;
	while (table_scan_getnextslot(rows, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getsomeattrs(slot, last);
		search_row(scan, slot, array, n);
		if (scan->nhits > scan->row_begin)
			end_row(scan, &slot->tts_tid);
	}
	flush(scan);
	table_endscan(rows);
	ExecDropSingleTupleTableSlot(slot);
	pfree(array);
}

static void
search_row(TraceScan *scan, TupleTableSlot *slot, const ScanColumn *columns, int n)
{
	MemoryContext previous = MemoryContextSwitchTo(scan->row);

	for (int i = 0; i < n; i++)
	{
		AttrNumber	attnum = columns[i].attnum;

		if (slot->tts_isnull[attnum - 1])
			continue;
		scan->column = &columns[i];
		EffTextsSearch(&scan->search, columns[i].shape, slot->tts_values[attnum - 1]);
		if (columns[i].is_varlena)
			scan->bytes += VARSIZE_ANY(DatumGetPointer(slot->tts_values[attnum - 1]));
	}
	MemoryContextReset(scan->row);
	MemoryContextSwitchTo(previous);
	if (scan->bytes - scan->told >= PROGRESS_BYTES)
		tell_progress(scan);
}

/* note_hit notes a value that was found, once for each row, column, place and fact. */
static void
note_hit(void *arg, int value, bool whole, const TextPlace *place)
{
	TraceScan  *scan = arg;
	RowHit		hit = {.column = scan->column, .fact = scan->values->values[value].fact};

	if (scan->stays)
	{
		if (hit.fact == TRACE_FACT_KEY && whole && place == NULL && scan->column->links_rows)
			return;
		hit.fact = TRACE_FACT_KEY;
	}
	else
		hit.place = EffFindingsText(scan->findings, EffTextPlacePath(place,
																	 scan->values->patterns));
	for (int i = scan->row_begin; i < scan->nhits; i++)
		if (scan->hits[i].column == hit.column && scan->hits[i].place == hit.place &&
			scan->hits[i].fact == hit.fact)
			return;
	if (scan->nhits == scan->room)
	{
		scan->room *= 2;
		scan->hits = repalloc_huge(scan->hits, sizeof(RowHit) * scan->room);
	}
	scan->hits[scan->nhits++] = hit;
}

/* end_row counts the hits of a row, or has them wait where an erasure may reach the row. */
static void
end_row(TraceScan *scan, ItemPointer tid)
{
	static const ReachedRow nobodys = {.kind = REACH_NONE};

	if (scan->planned != NULL)
	{
		PendingRow *row = &scan->pending[scan->npending++];

		row->tid = *tid;
		row->first = scan->row_begin;
		row->n = scan->nhits - scan->row_begin;
		scan->row_begin = scan->nhits;
		if (scan->npending == PENDING_ROWS)
			flush(scan);
		return;
	}
	for (int i = scan->row_begin; i < scan->nhits; i++)
		count_hit(scan, &scan->hits[i], &nobodys);
	scan->nhits = scan->row_begin;
}

/* flush looks up the rows that wait. */
static void
flush(TraceScan *scan)
{
	MemoryContext previous;
	ReachedRow *rows;

	if (scan->npending == 0)
		return;
	previous = MemoryContextSwitchTo(scan->lookup);
	rows = palloc0(sizeof(ReachedRow) * scan->npending);
	for (int i = 0; i < scan->npending; i++)
	{
		rows[i].tid = scan->pending[i].tid;
		rows[i].number = i;
	}
	MemoryContextSwitchTo(scan->context);	/* of statements that are kept */
	EffReachRows(&scan->reach, scan->planned, scan->relid, rows, scan->npending);
	for (int i = 0; i < scan->npending; i++)
	{
		const PendingRow *row = &scan->pending[rows[i].number];

		for (int k = row->first; k < row->first + row->n; k++)
			count_hit(scan, &scan->hits[k], &rows[i]);
	}
	scan->npending = scan->nhits = scan->row_begin = 0;
	MemoryContextSwitchTo(previous);
	MemoryContextReset(scan->lookup);
}

static void
count_hit(TraceScan *scan, const RowHit *hit, const ReachedRow *row)
{
	TraceFinding finding = {.relid = scan->reported, .column = hit->column->name, .place =
		hit->place,
	.fact = hit->fact, .labelled = hit->column->labelled};

	if (scan->stays && EffReachRetains(row, hit->column->column))
		return;
	finding.reached = !scan->stays && EffReachesColumn(row, hit->column->column);
	EffFindingsAdd(scan->findings, &finding);
}

/*
 * tell_progress shows in pg_stat_activity how far it is, in place of the call,
 * which may hold an identifier.
 */
static void
tell_progress(TraceScan *scan)
{
	char		text[128];

	scan->told = scan->bytes;
	snprintf(text, sizeof(text), "effaced trace: relation %d of %d, " UINT64_FORMAT " MB read",
			 scan->done + 1, scan->relations, scan->bytes / MEGABYTE);
	pgstat_report_activity(STATE_RUNNING, text);
}
