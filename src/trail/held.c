/*
 * held.c
 *	  Which subjects nothing may delete, since all processing of their data is
 *	  restricted; and the row per subject at which restrictions and erasures meet.
 *
 * Whoever erases and whoever restricts a subject both lock its row of
 * effaced_subject_locks until their transactions end, so that whoever is first
 * decides.  As long as the ledger of restrictions is empty erasures make no such
 * rows: they hold a weak lock on that table, and the first restriction of all
 * waits for them.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "trail/trail.h"

#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

#define LEDGER "effaced_restriction_records"
#define LOCKS "effaced_subject_locks"

/* An identifier may be longer than an entry of a unique index, hence the digest */
#define LOCK_KEYS "(SELECT DISTINCT pg_catalog.sha256(pg_catalog.convert_to(" \
	"pg_catalog.jsonb_build_array($1, s.ref)::text, 'UTF8')) AS subject_key" \
	" FROM pg_catalog.unnest($2) AS s (ref))"

static EffOwnStatement make_locks = {
	"INSERT INTO effaced." LOCKS " (subject_key) SELECT k.subject_key FROM " LOCK_KEYS " AS k"
	" ORDER BY k.subject_key ON CONFLICT DO NOTHING"
};
static EffOwnStatement take_locks = {
	"SELECT FROM effaced." LOCKS " l WHERE l.subject_key IN " LOCK_KEYS
	" ORDER BY l.subject_key FOR UPDATE"
};
static EffOwnStatement find_held = {
	"SELECT r.subject_ref FROM effaced.effaced_restrictions r"
	" WHERE r.subject = $1 AND r.subject_ref = ANY ($2) AND r.purpose IS NULL"
	" ORDER BY r.subject_ref COLLATE \"C\""
};

static void lock_rows(Oid *types, Datum *values);

PG_FUNCTION_INFO_V1(effaced_is_held);

/*
 * effaced_is_held(subject, subject_ref) returns whether nothing may delete that
 * subject, and locks it as EffTrailHeld() does.
 */
Datum
effaced_is_held(PG_FUNCTION_ARGS)
{
	char	   *ref;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	ref = text_to_cstring(PG_GETARG_TEXT_PP(1));
	PG_RETURN_BOOL(EffTrailHeld(text_to_cstring(PG_GETARG_TEXT_PP(0)), &ref, 1) != NIL);
}

/*
 * EffTrailHeld returns those of n identifiers of a kind that are under a restriction
 * of everything, as text in byte order, in the current memory context.  Until the
 * transaction ends no restriction of any of the n subjects is placed or lifted.
 */
List *
EffTrailHeld(const char *kind, char **refs, int n)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	List	   *held = NIL;
	EffBracket	bracket;
	MemoryContext spi;

	if (n == 0)
		return NIL;
	LockRelationOid(EffOwnRelation(LOCKS), RowShareLock);
	if (EffOwnRelationIsEmpty(LEDGER))
		return NIL;
	values[0] = CStringGetTextDatum(kind);
	values[1] = EffTextArray(refs, n);
	EffSpiBeginAsOwner(&bracket);
	lock_rows(types, values);
	(void) EffSpiExecuteOwn(&find_held, lengthof(types), types, values, NULL, SPI_OK_SELECT, NULL);
	spi = MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
		held = lappend(held, SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
	return held;
}

/*
 * EffTrailMeetErasures locks a subject whose restriction is about to be recorded:
 * when it returns no erasure of the subject is under way, and none begins until the
 * transaction ends.
 */
void
EffTrailMeetErasures(const char *kind, char *ref)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	EffBracket	bracket;

	/* VACUUM, which could give an empty table's pages back, waits from here on */
	LockRelationOid(EffOwnRelation(LEDGER), RowExclusiveLock);
	if (EffOwnRelationIsEmpty(LEDGER))
		LockRelationOid(EffOwnRelation(LOCKS), ExclusiveLock);
	values[0] = CStringGetTextDatum(kind);
	values[1] = EffTextArray(&ref, 1);
	EffSpiBeginAsOwner(&bracket);
	lock_rows(types, values);
	EffSpiEnd(&bracket);
}

/*
 * EffTrailStopRestrictions lets no restriction of anybody be placed or lifted until
 * the transaction ends: for short transactions that cannot say beforehand whom they
 * are about.
 */
void
EffTrailStopRestrictions(void)
{
	LockRelationOid(EffOwnRelation(LEDGER), ShareLock);
}

/* lock_rows makes the rows of subjects where there are none yet, and locks them. */
static void
lock_rows(Oid *types, Datum *values)
{
	const EffStatementPlace place = {.action = "writing to", .relation = LOCKS};

	(void) EffSpiExecuteOwn(&make_locks, 2, types, values, NULL, SPI_OK_INSERT, &place);
	(void) EffSpiExecuteOwn(&take_locks, 2, types, values, NULL, SPI_OK_SELECT, &place);
	SPI_freetuptable(SPI_tuptable);
}
