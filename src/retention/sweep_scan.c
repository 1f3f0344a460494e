/*
 * sweep_scan.c
 *	  The scans of a sweep: which rows are read for which columns, and the
 *	  statements that read them.
 */
#include "postgres.h"

#include "rows/bind.h"
#include "retention/sweep_scan.h"

#include "utils/lsyscache.h"

#define MAX_COLUMNS 62			/* of a scan: each has a bit in a bigint, which stays positive */

static int	compare_entries(const ListCell *a, const ListCell *b);
static int	compare_scans(const ListCell *a, const ListCell *b);
static SweepScan *scan_of(List *scans, SweepEntry *entry);
static SweepScan *new_scan(SweepEntry *entry);
static bool is_same_link(const RetentionTerm *a, const RetentionTerm *b);
static void find_expired(SweepScan *scan, int number, const BindValues *values,
						 DestReceiver *dest);
static char *key_sql(MapTable *subject, int i);
static char *one_spelling(MapTable *subject, int i, const char *keys);
static void append_owned_rows(DataMap *map, SweepScan *scan, Statement *st, OwnerJoin *join,
							  const char *columns, const char *rows);
static void append_joined_rows(DataMap *map, SweepScan *scan, Statement *st, const char *columns,
							   const char *rows);
static void find_indeterminate(SweepScan *scan, int number, const BindValues *values,
							   DestReceiver *dest);
static char *columns_held(SweepScan *scan, Statement *st, char **any);
static char *rows_of(DataMap *map, SweepScan *scan, Statement *st, const char *condition,
					 const char *held);
static Bitmapset *columns_read(DataMap *map, SweepScan *scan);

/*
 * EffSweepEntries returns the entries of the report (of SweepEntry) in its order: one
 * per term with a duration and per kind of subject that the value may be about.  The
 * caller has pinned the settings.
 */
List *
EffSweepEntries(List *terms, TimestampTz as_of)
{
	List	   *entries = NIL;
	ListCell   *lc;

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
		/* the only kind may be NULL, which is nobody's */
		foreach(lc, kinds)
		{
			SweepEntry *entry = palloc0(sizeof(SweepEntry));

			entry->term = term;
			entry->subject = lfirst(lc);
			entry->cutoff = EffRetentionCutoff(term, as_of);
			of_term = lappend(of_term, entry);
		}
		list_sort(of_term, compare_entries);
		entries = list_concat(entries, of_term);
	}
	return entries;
}

/* compare_entries orders the entries of a term by kind of subject. */
static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((SweepEntry *) lfirst(a))->subject->kind,
				  ((SweepEntry *) lfirst(b))->subject->kind);
}

/*
 * EffSweepScans returns the scans that find what the entries are about (of SweepScan),
 * in order of the kind of subject, so that a subject's rows of all scans of a kind can
 * be put together.
 */
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

/* compare_scans orders scans by kind of subject, nobody's last, then as in the report. */
static int
compare_scans(const ListCell *a, const ListCell *b)
{
	const SweepScan *scan = lfirst(a);
	const SweepScan *other = lfirst(b);

	if (scan->subject != other->subject)
		return scan->subject == NULL ? 1 : other->subject == NULL ? -1 :
			strcmp(scan->subject->kind, other->subject->kind);
	return linitial_int(scan->places) - linitial_int(other->places);
}

/* scan_of returns the scan that reads the rows of an entry, or NULL. */
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

/* new_scan makes a scan for the rows of an entry. */
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

/* is_same_link returns whether two columns are tied to the same link, or both to none. */
static bool
is_same_link(const RetentionTerm *a, const RetentionTerm *b)
{
	const char *link = a->column->label->link;
	const char *other = b->column->label->link;

	return link == NULL || other == NULL ? link == other : strcmp(link, other) == 0;
}

/*
 * EffSweepFoundDescriptor returns the descriptor of the rows that EffSweepFind writes.
 */
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

/*
 * EffSweepFind runs a scan, whose number the rows get, and sends the rows to dest: those
 * of one subject one after the other, subjects in order of their key.  It runs inside
 * the SPI bracket.  Expired and indeterminate rows are read by two statements, since an
 * index on the anchor can be used for each but not for both.
 */
void
EffSweepFind(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest)
{
	if (scan->term->anchor != NULL)
		find_expired(scan, number, values, dest);
	find_indeterminate(scan, number, values, dest);
}

/*
 * find_expired counts expired rows by their owner, and by the columns that have a value.
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
		EffScopeOwnerJoin(values->map, st, subject, ((OwnerClaim *) linitial(scan->mine))->link) :
			NULL;
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
	appendStringInfo(&st->text,
					 "SELECT %d, o.columns, pg_catalog.sum(o.rows), 0::pg_catalog.int8, ", number);
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

/*
 * key_sql returns a key with the collation of the subject's own: columns that reference
 * it may have others, and SQL does not compare values of two collations.
 */
static char *
key_sql(MapTable *subject, int i)
{
	Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

	if (!OidIsValid(collation))
		return psprintf("o.k%d", i + 1);
	return psprintf("(o.k%d COLLATE %s)", i + 1, EffCollationSql(collation));
}

/*
 * one_spelling returns one text for all keys that are equal, since a collation may
 * hold different texts for equal.
 */
static char *
one_spelling(MapTable *subject, int i, const char *keys)
{
	Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

	if (!OidIsValid(collation) || get_collation_isdeterministic(collation))
		return key_sql(subject, i);
	return psprintf("pg_catalog.first_value(%s) OVER (PARTITION BY %s)", key_sql(subject, i), keys);
}

/*
 * append_owned_rows appends the rows of a table whose own columns have the key of their
 * only owner.
 */
static void
append_owned_rows(DataMap *map, SweepScan *scan, Statement *st, OwnerJoin *join,
				  const char *columns, const char *rows)
{
	appendStringInfo(&st->text, "SELECT %s, 1", columns);
	for (int i = 0; i < scan->subject->nkey; i++)
	{
		if (join->where.len > 0)
			appendStringInfo(&st->text, ", CASE WHEN %strue THEN %s END", join->where.data,
							 join->keys[i]);
		else
			appendStringInfo(&st->text, ", %s", join->keys[i]);
	}
	appendStringInfo(&st->text, " %s", rows);
}

/*
 * append_joined_rows appends rows that may have several owners or none.  Each row is
 * there once without an owner, where it counts as a row, and once per owner, where it
 * counts 0, so that it is not counted several times.
 */
static void
append_joined_rows(DataMap *map, SweepScan *scan, Statement *st, const char *columns,
				   const char *rows)
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
		appendStringInfo(&st->text, " FROM expired t%s WHERE %strue", join->from.data,
						 join->where.data);
		for (int i = 0; i < scan->subject->nkey; i++)
			appendStringInfo(&st->text, " AND %s IS NOT NULL", join->keys[i]);
		appendStringInfoString(&st->text, " UNION ALL ");
	}
	appendStringInfo(&st->text, "SELECT t.%s, 1", name);
	for (int i = 0; i < scan->subject->nkey; i++)
		appendStringInfoString(&st->text, ", NULL");
	appendStringInfoString(&st->text, " FROM expired t");
}

/* find_indeterminate counts the rows of which nobody can tell whether they have expired. */
static void
find_indeterminate(SweepScan *scan, int number, const BindValues *values, DestReceiver *dest)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", scan->term->table->rel);
	char	   *held;
	char	   *columns = columns_held(scan, st, &held);
	char	   *rows = rows_of(values->map, scan, st, EffRetentionIndeterminate(scan->term, st),
							   held);

	/* of a term without an anchor these are all rows of the table */
	appendStringInfo(&st->text,
					 "SELECT %d, %s, 0::pg_catalog.int8, pg_catalog.count(*),"
					 " NULL::pg_catalog.text %s%s",
					 number, columns, rows, list_length(scan->entries) > 1 ? " GROUP BY 2" : "");
	(void) EffBindExecute(st, values, true, dest);
}

/*
 * columns_held returns an expression with a bit for each column that has a value in the
 * row, and in any the condition that one of them has.
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
			appendStringInfo(&bits, "%sCASE WHEN %s THEN " UINT64_FORMAT "::pg_catalog.int8"
									" ELSE 0 END",
							 i > 0 ? " + " : "", held, UINT64CONST(1) << i);
	}
	*any = psprintf("(%s)", condition.data);
	return bits.data;
}

/*
 * rows_of returns FROM and WHERE of the rows of a scan: those with a value that the
 * condition is true of, without those that only have owners of another kind.  Rows
 * whose owners are gone are there for each kind.
 */
static char *
rows_of(DataMap *map, SweepScan *scan, Statement *st, const char *condition, const char *held)
{
	char	   *scope = EffRetentionScope(map, scan->term, st);
	char	   *rows = psprintf("FROM %s t WHERE %s AND %s AND %s", scan->term->table->rel->sql,
								condition, held, scope);
	char	   *mine;

	if (scan->others == NIL)
		return rows;
	mine = EffRetentionOwned(map, scan->mine, st, &EffScopeAny);
	return psprintf("%s AND (%s OR %s IS NOT TRUE)", rows, mine,
					EffRetentionOwned(map, scan->others, st, &EffScopeAny));
}

/* columns_read returns the columns of a row that the ways to its owners read. */
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
