/*
 * replay.c
 *	  After a restore: erases again whom a copy of the trail knows as erased.
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "base/own.h"
#include "erase/erase.h"
#include "map/graph.h"
#include "trail/trail.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(effaced_replay);

/* A row of effaced_replay_plan() */
typedef struct ReplayedSubject
{
	char	   *kind;			/* NULL where the event has none */
	char	   *identifier;		/* likewise */
	const char *verdict;
	bool		replayable;
} ReplayedSubject;

static List *read_plan(FunctionCallInfo fcinfo);
static MapTable *subject_of_kind(DataMap *map, const char *kind);
static List *replayed_events(List *subjects, const char *kind, TimestampTz backup_taken_at);
static void pass_held_by(MapTable *table, List *subjects);
static int	compare_refs(const void *a, const void *b);
static void erase_kind(MapTable *table, List *subjects);

/*
 * effaced_replay(backup_taken_at, events, slack) erases all subjects of a kind
 * at once, and gives the plan that it went by.
 */
Datum
effaced_replay(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	List	   *subjects = read_plan(fcinfo);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *tables = NIL;

	/* every kind has to have a table before anything is erased */
	foreach_ptr(ReplayedSubject, subject, subjects)
		if (subject->replayable)
			tables = list_append_unique_ptr(tables, subject_of_kind(map, subject->kind));
	foreach_ptr(MapTable, table, tables)
	{
		pass_held_by(table, subjects);
		(void) EffTrailAppend(replayed_events(subjects, table->kind, PG_GETARG_TIMESTAMPTZ(0)));
		erase_kind(table, subjects);
	}

	InitMaterializedSRF(fcinfo, 0);
	foreach_ptr(ReplayedSubject, subject, subjects)
	{
		const char *texts[] = {subject->kind, subject->identifier, subject->verdict};
		Datum		values[3];
		bool		nulls[3];

		for (int i = 0; i < 3; i++)
		{
			nulls[i] = texts[i] == NULL;
			values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* read_plan asks effaced_replay_plan(), with the caller's privileges on the events. */
static List *
read_plan(FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {TIMESTAMPTZOID, REGCLASSOID, INTERVALOID};
	Datum		values[3];
	char		nulls[] = "   ";
	List	   *subjects = NIL;
	EffBracket	bracket;

	for (int i = 0; i < 3; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	EffSpiBegin(&bracket);
	if (SPI_execute_with_args(psprintf("SELECT p.subject, p.subject_id, p.verdict"
									   " FROM %s.effaced_replay_plan($1, $2, $3) p",
									   EffExtensionSchemaSql()),
							  3, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the plan of a replay");
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ReplayedSubject *subject = palloc(sizeof(ReplayedSubject));

		subject->kind = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		subject->identifier = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2);
		subject->verdict = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 3);
		subject->replayable = strcmp(subject->verdict, "replayable") == 0;
		subjects = lappend(subjects, subject);
	}
	EffSpiEnd(&bracket);
	return subjects;
}

static MapTable *
subject_of_kind(DataMap *map, const char *kind)
{
	for (int i = 0; i < map->ntables; i++)
		if (map->tables[i]->is_subject && map->tables[i]->kind != NULL &&
			strcmp(map->tables[i]->kind, kind) == 0)
			return map->tables[i];
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("no subject table has the kind \"%s\", of which subjects are to be erased"
					" again",
					kind),
			 errdetail("Nothing was changed."),
			 errhint("Write \"subject\": \"%s\" into the label of the table that holds them, or"
					 " leave them out by a view over the events.", kind),
			 errhidestmt(true)));
}

static List *
replayed_events(List *subjects, const char *kind, TimestampTz backup_taken_at)
{
	List	   *events = NIL;
	char		at[MAXDATELEN + 1];
	JsonbWriter object;
	Jsonb	   *payload;

	JsonEncodeDateTime(at, TimestampTzGetDatum(backup_taken_at), TIMESTAMPTZOID, NULL);
	EffObjectBegin(&object);
	EffObjectText(&object, "backup_taken_at", at);
	payload = EffObjectDone(&object);
	foreach_ptr(ReplayedSubject, subject, subjects)
	{
		if (subject->replayable && strcmp(subject->kind, kind) == 0)
			events = lappend(events,
							 EffTrailEvent("erasure_replayed", kind, subject->identifier, payload));
	}
	return events;
}

/*
 * pass_held_by gives the replayable subjects of a kind that are under a restriction of
 * everything the verdict "held", and records each.
 */
static void
pass_held_by(MapTable *table, List *subjects)
{
	ReplayedSubject **of_kind = palloc(sizeof(ReplayedSubject *) * list_length(subjects));
	char	  **refs = palloc(sizeof(char *) * list_length(subjects));
	char	  **held_refs;
	List	   *held;
	List	   *events = NIL;
	JsonbWriter object;
	Jsonb	   *payload;
	int			n = 0;
	ListCell   *lc;

	foreach_ptr(ReplayedSubject, subject, subjects)
	{
		if (!subject->replayable || strcmp(subject->kind, table->kind) != 0)
			continue;
		of_kind[n] = subject;
		refs[n++] = EffIdentifierResolve(table, EffIdentifierFromText(subject->identifier))->text;
	}
	held = EffTrailHeld(table->kind, refs, n);
	held_refs = palloc(sizeof(char *) * Max(list_length(held), 1));
	foreach(lc, held)
		held_refs[foreach_current_index(lc)] = lfirst(lc);
	EffObjectBegin(&object);
	EffObjectNumber(&object, "held", 1);
	payload = EffObjectDone(&object);
	for (int i = 0; i < n; i++)
	{
		if (bsearch(&refs[i], held_refs, list_length(held), sizeof(char *), compare_refs) == NULL)
			continue;
		of_kind[i]->replayable = false;
		of_kind[i]->verdict = "held";
		events = lappend(events, EffTrailEvent("erasure_refused", table->kind, refs[i], payload));
	}
	(void) EffTrailAppend(events);
}

/* compare_refs orders identifiers by their bytes, as EffTrailHeld() does. */
static int
compare_refs(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* erase_kind erases the replayable subjects of a kind, from all tables. */
static void
erase_kind(MapTable *table, List *subjects)
{
	EraseRequest request = {.function = "effaced_erase_many", .subject = table->rel->oid};

	foreach_ptr(ReplayedSubject, subject, subjects)
	{
		if (subject->replayable && strcmp(subject->kind, table->kind) == 0)
			request.identifiers = lappend(request.identifiers,
										  EffIdentifierFromText(subject->identifier));
	}
	(void) EffErase(&request);
}
