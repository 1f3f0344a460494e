/*
 * subject_state.c
 *	  Looks a subject up in the trail, and at its row.
 */
#include "postgres.h"

#include "exec/exec.h"
#include "exec/subject_state.h"
#include "trail/trail.h"

/* How it is found out whether a subject is reused; kept with the map */
typedef struct ReusedRow
{
	RequestPlan base;			/* whose subject the statement is about */
	Statement  *find;			/* of the subject's row: whether it holds more than surrogates */
} ReusedRow;

static bool is_reused(DataMap *map, MapTable *subject, SubjectKey *key, ErasureRecord record);
static bool is_about(const void *entry, const void *key);
static void *make_reused_row(DataMap *map, const void *key);

static const MapCacheSlot reused_slot = {"reused subjects", is_about, make_reused_row};

/*
 * EffSubjectState returns whether an erasure of the subject is on record and, if
 * so, whether the subject is reused: its row holds something that the erasure
 * did not write, or is there although there was none when it was recorded.  It
 * opens an SPI bracket of its own.
 */
SubjectState
EffSubjectState(DataMap *map, MapTable *subject, SubjectKey *key)
{
	ErasureRecord record = EffTrailErasures(subject->kind, &key->text, 1)[0];

	if (record == ERASURE_UNKNOWN)
		return SUBJECT_NOT_ERASED;
	return is_reused(map, subject, key, record) ? SUBJECT_REUSED : SUBJECT_ERASED;
}

static bool
is_reused(DataMap *map, MapTable *subject, SubjectKey *key, ErasureRecord record)
{
	ReusedRow  *row;
	SubjectRun *run;
	EffBracket	bracket;
	bool		reused;
	bool		isnull;

	EffSpiBegin(&bracket);
	row = EffMapCacheGet(map, &reused_slot, subject);
	run = EffExecNew(map, &row->base, &key, 1)->runs[0];
	reused = EffExecStatement(run, row->find) > 0 &&
		(record == ERASURE_OF_NOBODY ||
		 DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	EffSpiEnd(&bracket);
	return reused;
}

/*
 * EffMayHoldSurrogate returns whether an erasure can have left a surrogate in a
 * column; what looks like one in any other column, 0 or {} say, is a value.  Of
 * a table whose rows erasure deletes, rows survive in two cases: others own the
 * row, and the columns tied to the link of the erased owner hold surrogates; or
 * the row was reached against a reference, and rows still reference it.
 */
bool
EffMayHoldSurrogate(MapTable *table, MapColumn *column)
{
	if (column->label->erasure == ERASURE_RETAIN)
		return false;
	if (!EffMapDeletesRows(table) || column->label->link != NULL)
		return true;
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->label->role == ROLE_OWNER && ((JoinHop *) linitial(link->hops))->reverse)
			return true;
	}
	return false;
}

static bool
is_about(const void *entry, const void *key)
{
	return ((const ReusedRow *) entry)->base.subject == key;
}

static void *
make_reused_row(DataMap *map, const void *key)
{
	ReusedRow  *row = palloc0(sizeof(ReusedRow));
	MapTable   *subject = (MapTable *) key;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "looking for rows of", subject->rel);

	row->base.subject = subject;
	row->find = st;
	appendStringInfo(&st->text, "SELECT (%s) IS TRUE", EffPlanSubjectResidual(map, subject, st));
	appendStringInfo(&st->text, " FROM %s t WHERE ", subject->rel->sql);
	EffConditionAppend(st, EffScopeSubject(map, st, "t", subject, &EffScopeMine));
	return row;
}
