/*
 * subject_state.c
 *	  Looks a subject up in the trail, and at its row.
 */
#include "postgres.h"

#include "exec/exec.h"
#include "exec/subject_state.h"
#include "trail/trail.h"

/* How it is found out whether the row of a subject is used anew; kept with the map */
typedef struct UsedAnew
{
	MapTable   *subject;
	Statement  *statement;		/* one row for the subject's */
} UsedAnew;

static bool is_about(const void *entry, const void *key);
static void *make_used_anew(DataMap *map, const void *key);

static const MapCacheSlot used_anew_slot = {"rows used anew", is_about, make_used_anew};

/*
 * EffSubjectState: a recorded erasure counts until the subject's row holds
 * something else than it left, or is there although it was not then.
 */
SubjectState
EffSubjectState(DataMap *map, MapTable *subject, SubjectKey *key)
{
	ErasureRecord record = EffTrailErasures(subject->kind, &key->text, 1)[0];
	RequestPlan plan = {.subject = subject};
	UsedAnew   *query;
	ErasureCall *call;
	EffBracket	bracket;
	bool		used_anew;
	bool		isnull;

	if (record == ERASURE_UNKNOWN)
		return SUBJECT_LIVING;
	EffSpiBegin(&bracket);
	call = EffExecNew(map, &plan, &key, 1);
	query = EffMapCacheGet(map, &used_anew_slot, subject);
	used_anew = EffExecStatement(call->runs[0], query->statement) > 0 &&
		(record == ERASURE_OF_NOBODY ||
		 DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	EffSpiEnd(&bracket);
	return used_anew ? SUBJECT_REVIVED : SUBJECT_ERASED;
}

/*
 * EffMayHoldSurrogate: of a table whose rows erasure deletes, rows survive only
 * where others own them, with surrogates in the columns tied to who left, or
 * where they were reached against a reference and are still referenced.
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
	return ((const UsedAnew *) entry)->subject == key;
}

static void *
make_used_anew(DataMap *map, const void *key)
{
	UsedAnew   *query = palloc0(sizeof(UsedAnew));
	Statement  *st;

	query->subject = (MapTable *) key;
	st = EffStatementNew(SPI_OK_SELECT, "looking for rows of", query->subject->rel);
	appendStringInfo(&st->text, "SELECT (%s) IS TRUE", EffPlanSubjectResidual(map, query->subject, st));
	appendStringInfo(&st->text, " FROM %s t WHERE ", query->subject->rel->sql);
	EffScopeSubject(map, st, "t", query->subject, &EffScopeMine);
	query->statement = st;
	return query;
}
