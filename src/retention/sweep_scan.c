/*
 * sweep_scan.c
 *	  Which rows a sweep reads for which columns, as statements.
 */
#include "postgres.h"

#include "rows/bind.h"
#include "retention/sweep_scan.h"

#include "utils/lsyscache.h"

#define MAX_COLUMNS 62			/* of a scan: a bit each of a bigint that is not negative */

static int	compare_entries(const ListCell *a, const ListCell *b);
static int	compare_scans(const ListCell *a, const ListCell *b);
static SweepScan *scan_of(List *scans, SweepEntry *entry);
static SweepScan *new_scan(SweepEntry *entry);
static bool is_same_link(const RetentionTerm *a, const RetentionTerm *b);
static void find_expired(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest);
static char *key_sql(MapTable *subject, int i);
static char *one_spelling(MapTable *subject, int i, const char *keys);
static void append_owned_rows(DataMap *map, SweepScan *scan, Statement *st, OwnerJoin *join,
							  const char *columns, const char *rows);
static void append_joined_rows(DataMap *map, SweepScan *scan, Statement *st, const char *columns, const char *rows);
static void find_indeterminate(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest);
static char *columns_held(SweepScan *scan, Statement *st, char **any);
static char *rows_of(DataMap *map, SweepScan *scan, Statement *st, const char *condition, const char *held);
static Bitmapset *columns_read(DataMap *map, SweepScan *scan);

/*
 * EffSweepEntries: one per column whose retention has an end, and kind of
 * subject.
 */
List *
EffSweepEntries(List *terms, TimestampTz as_of)
{
	List	   *entries = NIL;
	ListCell   *lc2;

	foreach_ptr(RetentionTerm, term, terms)
	{
		List	   *of_term = NIL;
		List	   *kinds = NIL;

		if (term->policy->duration == NULL)
			continue;
		foreach_ptr(OwnerClaim, claim, term->claims)
			kinds = list_append_unique_ptr(kinds, claim->subject);
		if (kinds == NIL)
			kinds = list_make1(NULL);
		foreach(lc2, kinds)
		{
			SweepEntry *entry = palloc0(sizeof(SweepEntry));

			entry->term = term;
			entry->subject = lfirst(lc2);
			entry->cutoff = EffRetentionCutoff(term, as_of);
			of_term = lappend(of_term, entry);
		}
		list_sort(of_term, compare_entries);
		entries = list_concat(entries, of_term);
	}
	return entries;
}

static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((SweepEntry *) lfirst(a))->subject->kind, ((SweepEntry *) lfirst(b))->subject->kind);
}

List *
EffSweepScans(List *entries)
{
	List	   *scans = NIL;
	ListCell   *lc;

	foreach(lc, entries)
	{
		SweepEntry *entry = lfirst(lc);
		SweepScan  *scan = scan_of(scans, entry);

		if (scan == NULL)
		{
			scan = new_scan(entry);
			scans = lappend(scans, scan);
		}
		scan->entries = lappend(scan->entries, entry);
		scan->places = lappend_int(scan->places, foreach_current_index(lc));
	}
	list_sort(scans, compare_scans);
	for_each_from(lc, scans, 1)
	{
		SweepScan  *before = list_nth(scans, foreach_current_index(lc) - 1);
		SweepScan  *scan = lfirst(lc);

		scan->shared = before->subject == scan->subject;
		before->shared |= scan->shared;
	}
	return scans;
}

/* compare_scans: by kind of subject, and as in the report */
static int
compare_scans(const ListCell *a, const ListCell *b)
{
	const SweepScan *scan = lfirst(a);
	const SweepScan *other = lfirst(b);

	if (scan->subject != other->subject)
		return scan->subject == NULL ? 1 : other->subject == NULL ? -1 : strcmp(scan->subject->kind, other->subject->kind);
	return linitial_int(scan->places) - linitial_int(other->places);
}

/* scan_of: the one that reads what an entry is about, or NULL */
static SweepScan *
scan_of(List *scans, SweepEntry *entry)
{
	foreach_ptr(SweepScan, scan, scans)
	{
		if (scan->subject == entry->subject && scan->term->table == entry->term->table &&
			scan->term->anchor == entry->term->anchor && scan->cutoff == entry->cutoff &&
			is_same_link(scan->term, entry->term) && list_length(scan->entries) < MAX_COLUMNS)
			return scan;
	}
	return NULL;
}

static SweepScan *
new_scan(SweepEntry *entry)
{
	SweepScan  *scan = palloc0(sizeof(SweepScan));

	scan->term = entry->term;
	scan->subject = entry->subject;
	scan->cutoff = entry->cutoff;
	foreach_ptr(OwnerClaim, claim, entry->term->claims)
	{
		if (claim->subject == entry->subject)
			scan->mine = lappend(scan->mine, claim);
		else
			scan->others = lappend(scan->others, claim);
	}
	return scan;
}

/* is_same_link: columns tied to one link, or to none, have the same claims */
static bool
is_same_link(const RetentionTerm *a, const RetentionTerm *b)
{
	const char *link = a->column->label->link;
	const char *other = b->column->label->link;

	return link == NULL || other == NULL ? link == other : strcmp(link, other) == 0;
}

TupleDesc
EffSweepFoundDescriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(FOUND_SUBJECT);

	TupleDescInitEntry(desc, FOUND_SCAN, "scan", INT4OID, -1, 0);
	TupleDescInitEntry(desc, FOUND_COLUMNS, "columns", INT8OID, -1, 0);
	TupleDescInitEntry(desc, FOUND_EXPIRED, "expired", INT8OID, -1, 0);
	TupleDescInitEntry(desc, FOUND_INDETERMINATE, "indeterminate", INT8OID, -1, 0);
	TupleDescInitEntry(desc, FOUND_SUBJECT, "subject", TEXTOID, -1, 0);
	return desc;
}

/* EffSweepFind reads twice, for each of which an index on the anchor serves. */
void
EffSweepFind(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest)
{
	if (scan->term->anchor != NULL)
		find_expired(scan, number, values, dest);
	find_indeterminate(scan, number, values, dest);
}

/*
 * find_expired counts rows by their owner, and by which columns have a value.
 */
static void
find_expired(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", scan->term->table->rel);
	MapTable   *subject = scan->subject;
	int			nkey = subject ? subject->nkey : 0;
	char	   *keys[INDEX_MAX_KEYS];
	char	   *held;
	char	   *columns = columns_held(scan, st, &held);
	char	   *rows = rows_of(values->map, scan, st, EffRetentionExpired(scan->term, st), held);
	OwnerJoin  *join = list_length(scan->mine) == 1 ?
		EffScopeOwnerJoin(values->map, st, subject, ((OwnerClaim *) linitial(scan->mine))->link) : NULL;
	StringInfoData list;
	StringInfoData grouped;

	initStringInfo(&list);
	initStringInfo(&grouped);
	for (int i = 0; i < nkey; i++)
	{
		appendStringInfo(&list, ", k%d", i + 1);
		appendStringInfo(&grouped, "%s%s", i > 0 ? ", " : "", key_sql(subject, i));
	}
	for (int i = 0; i < nkey; i++)
		keys[i] = one_spelling(subject, i, grouped.data);
	appendStringInfo(&st->text, "SELECT %d, o.columns, pg_catalog.sum(o.rows), 0::pg_catalog.int8, ", number);
	for (int i = 0; i < nkey; i++)
		appendStringInfo(&st->text, "%s %s IS NOT NULL", i > 0 ? " AND" : "CASE WHEN", keys[i]);
	if (nkey > 0)
		appendStringInfo(&st->text, " THEN %s END FROM (", EffIdentifierSql(subject, keys));
	else
		appendStringInfoString(&st->text, "NULL::pg_catalog.text FROM (");
	if (subject == NULL)
		appendStringInfo(&st->text, "SELECT %s, 1 %s", columns, rows);
	else if (join != NULL && join->from.len == 0)
		append_owned_rows(values->map, scan, st, join, columns, rows);
	else
		append_joined_rows(values->map, scan, st, columns, rows);
	appendStringInfo(&st->text, ") AS o (columns, rows%s) GROUP BY o.columns", list.data);
	if (nkey > 0)
		appendStringInfo(&st->text, ", %s ORDER BY %s", grouped.data, grouped.data);
	(void) EffBindExecute(st, values, true, dest);
}

/* key_sql compares keys by the subject's collation: links may have others, which do not go together. */
static char *
key_sql(MapTable *subject, int i)
{
	Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

	if (!OidIsValid(collation))
		return psprintf("o.k%d", i + 1);
	return psprintf("(o.k%d COLLATE %s)", i + 1, EffCollationSql(collation));
}

/* one_spelling: equal keys may be different texts, of which one stands for the subject. */
static char *
one_spelling(MapTable *subject, int i, const char *keys)
{
	Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

	if (!OidIsValid(collation) || get_collation_isdeterministic(collation))
		return key_sql(subject, i);
	return psprintf("pg_catalog.first_value(%s) OVER (PARTITION BY %s)", key_sql(subject, i), keys);
}

/*
 * append_owned_rows: where the row itself has its only owner's key.
 */
static void
append_owned_rows(DataMap *map, SweepScan *scan, Statement *st, OwnerJoin *join, const char *columns, const char *rows)
{
	appendStringInfo(&st->text, "SELECT %s, 1", columns);
	for (int i = 0; i < scan->subject->nkey; i++)
	{
		if (join->where.len > 0)
			appendStringInfo(&st->text, ", CASE WHEN %strue THEN %s END", join->where.data, join->keys[i]);
		else
			appendStringInfo(&st->text, ", %s", join->keys[i]);
	}
	appendStringInfo(&st->text, " %s", rows);
}

/*
 * append_joined_rows: a row may have several owners, or none.  It is counted
 * once, as nobody's; of its owners none is counted.
 */
static void
append_joined_rows(DataMap *map, SweepScan *scan, Statement *st, const char *columns, const char *rows)
{
	EffRelation *rel = scan->term->table->rel;
	Bitmapset  *read = columns_read(map, scan);
	char	   *name = "columns";
	int			attnum = -1;

	while (EffRelationColumnByName(rel, name) != NULL)
		name = psprintf("%s_", name);
	appendStringInfoString(&st->text, "WITH expired AS MATERIALIZED (SELECT ");
	while ((attnum = bms_next_member(read, attnum)) >= 0)
		appendStringInfo(&st->text, "%s, ", EffColumnSql("t", rel, attnum));
	appendStringInfo(&st->text, "%s AS %s %s) ", columns, name, rows);
	foreach_ptr(OwnerClaim, claim, scan->mine)
	{
		OwnerJoin  *join = EffScopeOwnerJoin(map, st, scan->subject, claim->link);

		appendStringInfo(&st->text, "SELECT t.%s, 0", name);
		for (int i = 0; i < scan->subject->nkey; i++)
			appendStringInfo(&st->text, ", %s", join->keys[i]);
		appendStringInfo(&st->text, " FROM expired t%s WHERE %strue", join->from.data, join->where.data);
		for (int i = 0; i < scan->subject->nkey; i++)
			appendStringInfo(&st->text, " AND %s IS NOT NULL", join->keys[i]);
		appendStringInfoString(&st->text, " UNION ALL ");
	}
	appendStringInfo(&st->text, "SELECT t.%s, 1", name);
	for (int i = 0; i < scan->subject->nkey; i++)
		appendStringInfoString(&st->text, ", NULL");
	appendStringInfoString(&st->text, " FROM expired t");
}

static void
find_indeterminate(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", scan->term->table->rel);
	char	   *held;
	char	   *columns = columns_held(scan, st, &held);
	char	   *rows = rows_of(values->map, scan, st, EffRetentionIndeterminate(scan->term, st), held);

	/* a column without an anchor has this asked of its whole table */
	appendStringInfo(&st->text, "SELECT %d, %s, 0::pg_catalog.int8, pg_catalog.count(*), NULL::pg_catalog.text %s%s",
					 number, columns, rows, list_length(scan->entries) > 1 ? " GROUP BY 2" : "");
	(void) EffBindExecute(st, values, true, dest);
}

/*
 * columns_held: bits for the columns that have a value in a row; any is the
 * condition that one has.
 */
static char *
columns_held(SweepScan *scan, Statement *st, char **any)
{
	StringInfoData bits;
	StringInfoData condition;
	ListCell   *lc;

	initStringInfo(&bits);
	initStringInfo(&condition);
	foreach(lc, scan->entries)
	{
		char	   *held = EffRetentionHeld(((SweepEntry *) lfirst(lc))->term, st);
		int			i = foreach_current_index(lc);

		appendStringInfo(&condition, "%s%s", i > 0 ? " OR " : "", held);
		if (list_length(scan->entries) == 1)
			appendStringInfoString(&bits, "1::pg_catalog.int8");
		else
			appendStringInfo(&bits, "%sCASE WHEN %s THEN " UINT64_FORMAT "::pg_catalog.int8 ELSE 0 END",
							 i > 0 ? " + " : "", held, UINT64CONST(1) << i);
	}
	*any = psprintf("(%s)", condition.data);
	return bits.data;
}

/*
 * rows_of: rows with a value that are not only subjects' of another kind;
 * those that nobody has any more count for each.
 */
static char *
rows_of(DataMap *map, SweepScan *scan, Statement *st, const char *condition, const char *held)
{
	char	   *scope = EffRetentionScope(map, scan->term, st);
	char	   *rows = psprintf("FROM %s t WHERE %s AND %s AND %s", scan->term->table->rel->sql, condition, held, scope);
	char	   *mine;

	if (scan->others == NIL)
		return rows;
	mine = EffRetentionOwned(map, scan->mine, st, &EffScopeAny);
	return psprintf("%s AND (%s OR %s IS NOT TRUE)", rows, mine,
					EffRetentionOwned(map, scan->others, st, &EffScopeAny));
}

/* columns_read: what the ways from a row to its owners read of it */
static Bitmapset *
columns_read(DataMap *map, SweepScan *scan)
{
	Bitmapset  *columns = NULL;

	foreach_ptr(OwnerClaim, claim, scan->mine)
		foreach_ptr(ScopeRead, read, EffScopeReads(map, scan->subject, claim->link))
		{
			if (read->relid == scan->term->table->rel->oid)
				columns = bms_union(columns, read->attnums);
		}
	return columns;
}
