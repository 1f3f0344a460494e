/*
 * sweep.c
 *	  Storage limitation (Art. 5(1)(e)): what has outlived its term, and whose it
 *	  is.  It changes no data.
 *
 * Subjects may be many: they go from the queries into a store that spills to
 * disk, and from there into the trail, without passing through memory.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog.h"
#include "graph.h"
#include "json.h"
#include "retention.h"
#include "scope.h"
#include "spi.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/tstoreReceiver.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/params.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define MAX_SUBJECT_IDS 1000	/* listed per row of the report */

PG_FUNCTION_INFO_V1(effaced_sweep);

/* One row of the report: a column, and a kind of subject */
typedef struct SweepEntry
{
	RetentionTerm *term;
	MapTable   *subject;		/* NULL where the rows can be nobody's */
	List	   *mine;			/* of OwnerClaim: of this kind */
	List	   *others;			/* of the other kinds */
	TimestampTz cutoff;
	uint64		expired;
	uint64		indeterminate;
	uint64		subjects;
	Datum	   *ids;			/* the first of them, text */
	int			nids;
} SweepEntry;

static List *make_entries(List *terms);
static int	compare_entries(const ListCell *a, const ListCell *b);
static char *rows_condition(DataMap *map, SweepEntry *entry, Statement *st);
static void count_rows(SweepEntry *entry, const RetentionValues *values);
static void find_subjects(SweepEntry *entry, int place, const RetentionValues *values, DestReceiver *dest);
static TupleDesc found_descriptor(void);
static void read_found(List *entries, Tuplestorestate *found, TupleDesc desc);
static void record_expiries(List *entries, TimestampTz as_of, Tuplestorestate *found, TupleDesc desc);
static void report(List *entries, ReturnSetInfo *result);

/*
 * effaced_sweep(as_of) reports per labelled column with a duration, and per
 * kind of subject, and records whose data has expired.
 */
Datum
effaced_sweep(PG_FUNCTION_ARGS)
{
	RetentionValues values = {.as_of = EffRetentionAsOf(fcinfo, 0)};
	Tuplestorestate *found = tuplestore_begin_heap(true, false, work_mem);
	TupleDesc	desc = found_descriptor();
	DestReceiver *dest = CreateDestReceiver(DestTuplestore);
	List	   *entries;
	EffBracket	bracket;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	values.map = EffGraphGet();
	EffPinBegin(&bracket);
	entries = make_entries(EffRetentionTerms(values.map));
	foreach(lc, entries)
	{
		SweepEntry *entry = lfirst(lc);

		entry->cutoff = EffRetentionCutoff(entry->term, values.as_of);
	}
	EffPinEnd(&bracket);

	SetTuplestoreDestReceiverParams(dest, found, CurrentMemoryContext, false, NULL, NULL);
	EffSpiBegin(&bracket);
	foreach(lc, entries)
	{
		CHECK_FOR_INTERRUPTS();
		count_rows(lfirst(lc), &values);
		find_subjects(lfirst(lc), foreach_current_index(lc), &values, dest);
	}
	EffSpiEnd(&bracket);
	dest->rDestroy(dest);

	read_found(entries, found, desc);
	record_expiries(entries, values.as_of, found, desc);
	tuplestore_end(found);
	report(entries, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/* make_entries: one per column whose retention has an end, and kind of subject */
static List *
make_entries(List *terms)
{
	List	   *entries = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, terms)
	{
		RetentionTerm *term = lfirst(lc);
		List	   *of_term = NIL;
		List	   *kinds = NIL;

		if (term->policy->duration == NULL)
			continue;
		foreach(lc2, term->claims)
			kinds = list_append_unique_ptr(kinds, ((OwnerClaim *) lfirst(lc2))->subject);
		if (kinds == NIL)
			kinds = list_make1(NULL);
		foreach(lc2, kinds)
		{
			SweepEntry *entry = palloc0(sizeof(SweepEntry));
			ListCell   *lc3;

			entry->term = term;
			entry->subject = lfirst(lc2);
			foreach(lc3, term->claims)
			{
				OwnerClaim *claim = lfirst(lc3);

				if (claim->subject == entry->subject)
					entry->mine = lappend(entry->mine, claim);
				else
					entry->others = lappend(entry->others, claim);
			}
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

/*
 * rows_condition: rows with a value that are not only subjects' of another
 * kind; those that nobody has any more count for each.
 */
static char *
rows_condition(DataMap *map, SweepEntry *entry, Statement *st)
{
	char	   *held = EffRetentionHeld(entry->term, st);
	char	   *scope = EffRetentionScope(map, entry->term, st);
	char	   *mine;

	if (entry->others == NIL)
		return psprintf("%s AND %s", held, scope);
	mine = EffRetentionOwned(map, entry->mine, st, &EffScopeAny);
	return psprintf("%s AND %s AND (%s OR %s IS NOT TRUE)", held, scope, mine,
					EffRetentionOwned(map, entry->others, st, &EffScopeAny));
}

static void
count_rows(SweepEntry *entry, const RetentionValues *values)
{
	EffRelation *rel = entry->term->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", rel);
	char	   *rows = rows_condition(values->map, entry, st);
	char	   *expired = EffRetentionExpired(entry->term, st);
	bool		isnull;

	/* two scans, for each of which an index on the anchor serves */
	if (expired != NULL)
		appendStringInfo(&st->text, "SELECT (SELECT pg_catalog.count(*) FROM %s t WHERE %s AND %s)", rel->sql, expired, rows);
	else
		appendStringInfoString(&st->text, "SELECT 0::pg_catalog.int8");
	appendStringInfo(&st->text, ", (SELECT pg_catalog.count(*) FROM %s t WHERE %s AND %s)",
					 rel->sql, EffRetentionIndeterminate(entry->term, st), rows);
	(void) EffRetentionExecute(st, values, true, NULL);
	entry->expired = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	entry->indeterminate = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * find_subjects sends (place, kind, identifier) of every subject of expired
 * rows, once per entry and in order of the key.
 */
static void
find_subjects(SweepEntry *entry, int place, const RetentionValues *values, DestReceiver *dest)
{
	RetentionTerm *term = entry->term;
	MapTable   *subject = entry->subject;
	Statement  *st;
	char	   *rows;
	char	   *expired;
	char	   *keys[INDEX_MAX_KEYS];
	StringInfoData names;
	ListCell   *lc;

	if (entry->expired == 0 || subject == NULL)
		return;
	st = EffStatementNew(SPI_OK_SELECT, "reading rows of", term->table->rel);
	rows = rows_condition(values->map, entry, st);
	expired = EffRetentionExpired(term, st);
	initStringInfo(&names);
	for (int i = 0; i < subject->nkey; i++)
	{
		keys[i] = psprintf("o.k%d", i + 1);
		appendStringInfo(&names, "%sk%d", i > 0 ? ", " : "", i + 1);
	}
	appendStringInfo(&st->text, "SELECT %d, %s, %s FROM (", place, EffQuoteLiteral(subject->kind),
					 EffIdentifierSql(subject, keys));
	foreach(lc, entry->mine)
	{
		OwnerClaim *claim = lfirst(lc);

		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&st->text, " UNION ");
		EffScopeOwners(values->map, st, term->table->rel, subject, claim->link);
		appendStringInfo(&st->text, "%s AND %s AND %s", expired, rows,
						 EffRetentionOwned(values->map, list_make1(claim), st, &EffScopeAny));
	}
	appendStringInfo(&st->text, ") AS o (%s) ORDER BY ", names.data);
	for (int i = 0; i < subject->nkey; i++)
		appendStringInfo(&st->text, "%s%s", i > 0 ? ", " : "", keys[i]);
	(void) EffRetentionExecute(st, values, true, dest);
}

/* found_descriptor: what find_subjects() sends */
static TupleDesc
found_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(3);

	TupleDescInitEntry(desc, 1, "place", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 2, "kind", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, 3, "ref", TEXTOID, -1, 0);
	return desc;
}

/* read_found counts the subjects of each entry and keeps the first ones. */
static void
read_found(List *entries, Tuplestorestate *found, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);

	tuplestore_rescan(found);
	while (tuplestore_gettupleslot(found, true, false, slot))
	{
		bool		isnull;
		SweepEntry *entry = list_nth(entries, DatumGetInt32(slot_getattr(slot, 1, &isnull)));

		CHECK_FOR_INTERRUPTS();
		if (entry->ids == NULL)
			entry->ids = palloc(sizeof(Datum) * MAX_SUBJECT_IDS);
		if (entry->nids < MAX_SUBJECT_IDS)
			entry->ids[entry->nids++] = PointerGetDatum(DatumGetTextPCopy(slot_getattr(slot, 3, &isnull)));
		entry->subjects++;
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * record_expiries writes one event per subject, with the columns that hold
 * something expired of it.
 */
static void
record_expiries(List *entries, TimestampTz as_of, Tuplestorestate *found, TupleDesc desc)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	Datum	   *names = palloc(sizeof(Datum) * Max(list_length(entries), 1));
	Oid			types[] = {TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[3];
	EffBracket	bracket;
	ListCell   *lc;

	if (tuplestore_tuple_count(found) == 0)
		return;
	foreach(lc, entries)
	{
		RetentionTerm *term = ((SweepEntry *) lfirst(lc))->term;

		names[foreach_current_index(lc)] = CStringGetTextDatum(psprintf("%s.%s", term->table->name,
																		quote_identifier(term->column->column->name)));
	}
	values[0] = PointerGetDatum(construct_array(names, list_length(entries), TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = TimestampTzGetDatum(as_of);
	values[2] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	relation->md.name = "found";
	relation->md.tupdesc = desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(found);
	relation->reldata = found;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the subjects found");
	if (SPI_execute_with_args(psprintf("INSERT INTO %s.effaced_audit_events (event_type, subject, subject_ref, actor, payload)"
									   " SELECT 'retention_expired', f.kind, f.ref, $3,"
									   " pg_catalog.jsonb_build_object('as_of', $2, 'columns',"
									   " pg_catalog.jsonb_agg(($1)[f.place + 1] ORDER BY f.place))"
									   " FROM found f GROUP BY f.kind, f.ref ORDER BY pg_catalog.min(f.place), f.kind, f.ref",
									   EffExtensionSchemaSql()),
							  3, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record what has expired");
	EffSpiEnd(&bracket);
}

static void
report(List *entries, ReturnSetInfo *result)
{
	ListCell   *lc;

	foreach(lc, entries)
	{
		SweepEntry *entry = lfirst(lc);
		RetentionTerm *term = entry->term;
		NameData	column;
		Datum		values[9];
		bool		nulls[9] = {false};

		namestrcpy(&column, term->column->column->name);
		values[0] = ObjectIdGetDatum(term->table->rel->oid);
		values[1] = NameGetDatum(&column);
		nulls[2] = entry->subject == NULL;
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(entry->subject->kind);
		values[3] = CStringGetTextDatum(term->policy->reason);
		values[4] = TimestampTzGetDatum(entry->cutoff);
		values[5] = Int64GetDatum(entry->expired);
		values[6] = Int64GetDatum(entry->subjects);
		values[7] = PointerGetDatum(construct_array(entry->ids, entry->nids, TEXTOID, -1, false, TYPALIGN_INT));
		values[8] = Int64GetDatum(entry->indeterminate);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
