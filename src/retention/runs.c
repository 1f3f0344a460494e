/*
 * runs.c
 *	  Writes effaced_retention_runs, a row per call of effaced_enforce_retention().
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/own.h"
#include "base/run.h"
#include "retention/runs.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static int64 write_run(const char *sql, int n, Oid *types, Datum *values);

/*
 * EffRetentionRunStart inserts the row of a run that begins now, and returns its id.
 * Other sessions see how far the run has come as soon as the caller commits.
 */
int64
EffRetentionRunStart(TimestampTz as_of, int batch_rows)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT4OID, TEXTOID};
	Datum		values[] = {TimestampTzGetDatum(as_of), Int32GetDatum(batch_rows),
		Int32GetDatum(MyProcPid),
	CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false))};

	return write_run("INSERT INTO effaced.effaced_retention_runs (as_of, batch_rows, backend_pid,"
					 " actor)"
					 " VALUES ($1, $2, $3, $4) RETURNING run_id", 4, types, values);
}

/*
 * EffRetentionRunBatch adds a batch to the counts of the run: of which table it was,
 * and how many rows it deleted or anonymized.
 */
void
EffRetentionRunBatch(int64 id, const char *target, bool deletes, uint64 rows)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(id), CStringGetTextDatum(target),
		CStringGetTextDatum(deletes ? "delete" : "anonymize"),
	Int64GetDatum(deletes ? 0 : rows), Int64GetDatum(deletes ? rows : 0)};

	(void) write_run("UPDATE effaced.effaced_retention_runs"
					 " SET updated_at = pg_catalog.clock_timestamp(), target = $2,"
					 " strategy = $3, batches = batches + 1, anonymized = anonymized + $4,"
					 " deleted = deleted + $5"
					 " WHERE run_id = $1 RETURNING run_id", 5, types, values);
}

/*
 * EffRetentionRunEnd records that the run is over, and how many expired rows it has
 * left.  A run that has no such end was stopped or goes on.
 */
void
EffRetentionRunEnd(int64 id, uint64 restricted, uint64 kept, uint64 left)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(id), Int64GetDatum(restricted), Int64GetDatum(kept),
		Int64GetDatum(left)};

	(void) write_run("UPDATE effaced.effaced_retention_runs"
					 " SET updated_at = pg_catalog.clock_timestamp(),"
					 " finished_at = pg_catalog.clock_timestamp(), target = NULL, strategy = NULL,"
					 " restricted = $2, kept = $3, left_over = $4 WHERE run_id = $1"
					 " RETURNING run_id", 4, types, values);
}

/* write_run runs a statement over effaced_retention_runs as its owner, and returns the id. */
static int64
write_run(const char *sql, int n, Oid *types, Datum *values)
{
	EffBracket	bracket;
	int64		id = 0;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(sql, n, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not note the progress of the enforcement");
	if (SPI_processed == 1)
		id = EffSpiNumber(1);
	EffSpiEnd(&bracket);
	return id;
}
