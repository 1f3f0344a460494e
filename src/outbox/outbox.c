/*
 * outbox.c
 *	  Makes entries of the outbox, and carries out those that functions in the
 *	  server are registered for.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "outbox/outbox.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(effaced_outbox_here);
PG_FUNCTION_INFO_V1(effaced_outbox_session);
PG_FUNCTION_INFO_V1(effaced_outbox_retry_at);
PG_FUNCTION_INFO_V1(effaced_run_outbox);

/* A claimed entry; valid as long as the transaction that read it */
typedef struct ClaimedEntry
{
	pg_uuid_t	entry_id;
	pg_uuid_t	claim_id;
} ClaimedEntry;

static EffOwnStatement enqueue_entries = {
	"SELECT q.entry_ids::pg_catalog.text[], q.waiting, q.more_subject_ids, q.more_resolvers"
	" FROM effaced.effaced_outbox_enqueue($1, $2, $3, $4, $5::pg_catalog.jsonb[],"
	" $6::pg_catalog.jsonb, $7) q"
};

static EffOwnStatement find_left = {
	"SELECT FROM effaced.effaced_outbox o"
	" WHERE o.subject_id = ANY ($2) AND o.subject = $1"
	" AND (o.status <> 'succeeded' OR o.operation = 'rectify' AND (o.ref ->> 'value') IS NOT NULL)"
	" LIMIT 1"
};

/* What a constraint would quote in its error are references */
static const EffStatementPlace outbox_place = {.action = "writing to",
											   .relation = "effaced_outbox"};

static int	max_attempts = 8;
static int	backoff = 30;
static int	max_backoff = 3600;

static List *add_more(List *entries, List *subject_ids, List *resolvers);
static List *result_texts(int column);
static bool is_anything_left(Datum kind, Datum subjects);
static Datum member_texts(List *entries, int member);
static bool take_entry(ClaimedEntry *entry);
static void run_entry(ClaimedEntry *entry);
static char *read_entry(ClaimedEntry *entry, int *nargs, Jsonb **args);
static void report(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);

/*
 * EffOutboxInit defines the settings of retries.
 */
void
EffOutboxInit(void)
{
	/* a system that is down for an afternoon is given eight chances, not hundreds */
	DefineCustomIntVariable("effaced.outbox_max_attempts",
							"Attempts at an entry of the outbox before it is abandoned.",
							NULL, &max_attempts, 8, 1, 1000000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("effaced.outbox_backoff",
							"Time until the second attempt at an entry of the outbox; doubled with"
							" each one after it.",
							NULL, &backoff, 30, 0, INT_MAX / 2, PGC_USERSET, GUC_UNIT_S, NULL, NULL,
							NULL);
	DefineCustomIntVariable("effaced.outbox_max_backoff",
							"Longest time between two attempts at an entry of the outbox.",
							NULL, &max_backoff, 3600, 0, INT_MAX / 2, PGC_USERSET, GUC_UNIT_S, NULL,
							NULL, NULL);
}

/*
 * effaced_outbox_here() identifies server and database.  A dump that is restored
 * elsewhere, a copy by CREATE DATABASE and another server's files have others; a
 * physical copy of this server has the same.
 */
Datum
effaced_outbox_here(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(),
											  MyDatabaseId)));
}

/*
 * effaced_outbox_session() identifies this session, as %c of log_line_prefix does.
 */
Datum
effaced_outbox_session(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%lx.%x", (long) MyStartTime, MyProcPid)));
}

/*
 * effaced_outbox_retry_at(attempts) gives the moment of the next attempt, NULL
 * where that was the last one.
 */
Datum
effaced_outbox_retry_at(PG_FUNCTION_ARGS)
{
	int			attempts = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	int64		delay = backoff;

	if (attempts >= max_attempts)
		PG_RETURN_NULL();
	for (int i = 1; i < attempts && delay < max_backoff; i++)
		delay *= 2;
	PG_RETURN_TIMESTAMPTZ(TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													  Min(delay, max_backoff) * INT64CONST(1000)));
}

/*
 * effaced_run_outbox(max_entries) claims one entry after the other.  The claim
 * is committed before the function is called, so that also an attempt that ends
 * the server is counted; the function's work and the report commit together.
 */
Datum
effaced_run_outbox(PG_FUNCTION_ARGS)
{
	int			max_entries = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	MemoryContext scratch;

	if (castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced_run_outbox() cannot run inside a transaction"),
				 errdetail("It commits after each entry."),
				 errhint("CALL it alone, outside of BEGIN and of functions.")));
	if (max_entries < 1)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_RESOLVER),
				 errmsg("max_entries must be at least 1"),
				 errhint("CALL effaced_run_outbox(100);")));

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	scratch = AllocSetContextCreate(CurrentMemoryContext, "effaced outbox", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < max_entries; i++)
	{
		MemoryContext previous = MemoryContextSwitchTo(scratch);
		ClaimedEntry entry;
		bool		taken = take_entry(&entry);

		SPI_commit();
		if (taken)
		{
			MemoryContextSwitchTo(scratch);
			run_entry(&entry);
			SPI_commit();
		}
		MemoryContextSwitchTo(previous);
		MemoryContextReset(scratch);
		if (!taken)
			break;
		CHECK_FOR_INTERRUPTS();
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * EffOutboxEntries appends to entries one OutboxEntry for each reference of a
 * subject, and returns the list, which is in the current memory context.  The
 * entries are not written yet.
 */
List *
EffOutboxEntries(List *entries, const char *subject_id, List *refs)
{
	foreach_ptr(ExternalRef, ref, refs)
	{
		OutboxEntry *entry = palloc0(sizeof(OutboxEntry));

		entry->subject_id = subject_id;
		entry->resolver = ref->kind;
		entry->ref = EffRefJson(ref);
		entries = lappend(entries, entry);
	}
	return entries;
}

/*
 * EffOutboxEnqueue writes the entries of a request to the outbox, in the request's
 * transaction and as the owner of the outbox, and fills in their ids.  An erasure
 * appends entries that nobody asked for: a correction that never reached a system
 * has left an older reference there.
 *
 * subjects are the identifiers of those for whom the request is about all tables;
 * the result has a place for each of them and says whether an entry of the
 * operation is left, be it of an earlier request.  It is in the current memory
 * context.
 */
bool *
EffOutboxEnqueue(const char *operation, const char *kind, List **entries, const char *payload,
				 List *subjects)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID,
						   TEXTARRAYOID};
	Datum		values[7];
	char		nulls[] = "       ";
	bool	   *waiting = palloc0(sizeof(bool) * Max(list_length(subjects), 1));
	EffBracket	bracket;
	bool		isnull;
	Datum		result;
	Datum	   *elements;
	List	   *ids;
	int			n;
	ListCell   *lc;
	ListCell   *lc2;

	/* in most calls there is nothing to do, and nothing to wait for */
	if (*entries == NIL && (subjects == NIL || EffOwnRelationIsEmpty("effaced_outbox")))
		return waiting;
	values[0] = CStringGetTextDatum(operation);
	values[1] = CStringGetTextDatum(kind);
	for (int member = 0; member < 3; member++)
		values[2 + member] = member_texts(*entries, member);
	values[5] = payload ? CStringGetTextDatum(payload) : (Datum) 0;
	nulls[5] = payload ? ' ' : 'n';
	values[6] = EffTextArrayOfList(subjects);
	nulls[6] = subjects != NIL ? ' ' : 'n';

	EffSpiBeginAsOwner(&bracket);
	if (*entries == NIL && !is_anything_left(values[1], values[6]))
	{
		EffSpiEnd(&bracket);
		return waiting;
	}
	if (EffSpiExecuteOwn(&enqueue_entries, lengthof(types), types, values, nulls, SPI_OK_SELECT,
						 &outbox_place) != 1)
		elog(ERROR, "could not write to the outbox");
	MemoryContextSwitchTo(context);
	ids = result_texts(1);
	*entries = add_more(*entries, result_texts(3), result_texts(4));
	if (list_length(ids) != list_length(*entries))
		elog(ERROR, "%d of %d entries were made", list_length(ids), list_length(*entries));
	forboth(lc, *entries, lc2, ids)
		((OutboxEntry *) lfirst(lc))->entry_id = lfirst(lc2);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	if (!isnull)
	{
		deconstruct_array(DatumGetArrayTypeP(result), INT4OID, sizeof(int32), true, TYPALIGN_INT,
						  &elements, NULL, &n);
		for (int i = 0; i < n; i++)
			waiting[DatumGetInt32(elements[i]) - 1] = true;
	}
	EffSpiEnd(&bracket);
	return waiting;
}

/*
 * EffOutboxWrite adds to the result of a request the entries that were made
 * ("enqueued") and the registered resolvers that got none ("skipped_resolvers").
 */
void
EffOutboxWrite(JsonbWriter *result, List *entries, List *resolvers)
{
	List	   *skipped = NIL;

	foreach_ptr(Resolver, resolver, resolvers)
	{
		bool		asked = false;

		foreach_ptr(OutboxEntry, entry, entries)
			asked |= strcmp(entry->resolver, resolver->name) == 0;
		if (!asked)
			skipped = lappend(skipped, resolver->name);
	}
	EffObjectOpenArray(result, "enqueued");
	foreach_ptr(OutboxEntry, entry, entries)
	{
		EffObjectOpen(result, NULL);
		EffObjectText(result, "resolver", entry->resolver);
		EffObjectText(result, "entry_id", entry->entry_id);
		EffObjectClose(result);
	}
	EffObjectCloseArray(result);
	EffObjectTexts(result, "skipped_resolvers", skipped);
}

/* add_more appends entries that effaced_outbox_enqueue() made besides those asked for. */
static List *
add_more(List *entries, List *subject_ids, List *resolvers)
{
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, subject_ids, lc2, resolvers)
	{
		OutboxEntry *entry = palloc0(sizeof(OutboxEntry));

		entry->subject_id = lfirst(lc);
		entry->resolver = lfirst(lc2);
		entries = lappend(entries, entry);
	}
	return entries;
}

/* result_texts gives the texts of an array in the first row of SPI's result. */
static List *
result_texts(int column)
{
	List	   *texts = NIL;
	bool		isnull;
	Datum		result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column,
									   &isnull);
	char	  **elements;
	int			n;

	if (isnull)
		return NIL;
	elements = EffTextArrayRead(result, &n);
	for (int i = 0; i < n; i++)
		texts = lappend(texts, elements[i]);
	return texts;
}

/*
 * is_anything_left returns whether an entry of one of these subjects has not
 * succeeded, or a finished correction still holds one of their references.
 */
static bool
is_anything_left(Datum kind, Datum subjects)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[] = {kind, subjects};

	return EffSpiExecuteOwn(&find_left, lengthof(types), types, values, NULL, SPI_OK_SELECT,
							NULL) > 0;
}

/* member_texts gathers one member of every entry. */
static Datum
member_texts(List *entries, int member)
{
	List	   *texts = NIL;

	foreach_ptr(OutboxEntry, entry, entries)
	{
		texts = lappend(texts,
						unconstify(char *, member == 0 ? entry->subject_id : member == 1 ?
								   entry->resolver : entry->ref));
	}
	return EffTextArrayOfList(texts);
}

/* take_entry claims the next entry that a function is registered for. */
static bool
take_entry(ClaimedEntry *entry)
{
	EffBracket	bracket;
	bool		isnull;
	bool		taken;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT q.entry_id, q.claim_id"
					" FROM effaced.effaced_outbox_take(NULL, 1, '5 min', true) q",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not claim an entry of the outbox");
	taken = SPI_processed > 0;
	if (taken)
	{
		entry->entry_id =
			*DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		entry->claim_id =
			*DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	EffSpiEnd(&bracket);
	return taken;
}

/*
 * run_entry calls the function of the resolver, with the caller's privileges,
 * and reports.  A resolver that raises ZE006 is not asked again.
 */
static void
run_entry(ClaimedEntry *entry)
{
	Oid			types[] = {UUIDOID, UUIDOID, JSONBOID};
	Datum		values[3] = {UUIDPGetDatum(&entry->entry_id), UUIDPGetDatum(&entry->claim_id)};
	Jsonb	   *args[2];
	int			nargs;
	char	   *function = read_entry(entry, &nargs, args);
	char	   *sqlstate;
	Jsonb	   *answer;

	if (function == NULL)
		return;					/* ended meanwhile */
	answer = EffResolverCall(function, nargs, args, true, &sqlstate);
	if (sqlstate == NULL)
	{
		values[2] = answer ? JsonbPGetDatum(answer) : (Datum) 0;
		report("effaced_outbox_answer($1, $2, $3)", 3, types, values, answer ? "   " : "  n");
		return;
	}
	types[2] = TEXTOID;
	values[2] = CStringGetTextDatum(sqlstate);
	report("effaced_outbox_fail($1, $3, $3 OPERATOR(pg_catalog.<>) 'ZE006', $2)", 3, types, values,
		   NULL);
}

/* read_entry gives the function and its arguments; NULL where the entry is not ours any more. */
static char *
read_entry(ClaimedEntry *entry, int *nargs, Jsonb **args)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {UUIDOID, UUIDOID};
	Datum		values[] = {UUIDPGetDatum(&entry->entry_id), UUIDPGetDatum(&entry->claim_id)};
	char	   *function = NULL;
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args("SELECT CASE o.operation WHEN 'erase' THEN r.erase ELSE r.rectify"
							  " END, o.ref, o.payload FROM effaced.effaced_outbox o"
							  " JOIN effaced.effaced_resolvers r ON r.name = o.resolver"
							  " WHERE o.entry_id = $1 AND o.claim_id = $2"
							  " AND o.status = 'in_flight'",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read an entry of the outbox");
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		payload;

		MemoryContextSwitchTo(context);
		function = SPI_getvalue(row, desc, 1);
		args[0] = DatumGetJsonbPCopy(SPI_getbinval(row, desc, 2, &isnull));
		payload = SPI_getbinval(row, desc, 3, &isnull);
		*nargs = isnull ? 1 : 2;
		if (!isnull)
			args[1] = DatumGetJsonbPCopy(payload);
	}
	EffSpiEnd(&bracket);
	return function;
}

/* report calls one of the outbox's own functions as its owner. */
static void
report(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(psprintf("SELECT effaced.%s", sql),
							  nargs, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not report on an entry of the outbox");
	EffSpiEnd(&bracket);
}
