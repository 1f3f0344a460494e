/*
 * enforce.c
 *	  Enforces retention: replaces values whose term has ended, or removes their
 *	  rows, where the label says so.
 *
 * A procedure of many small transactions.  Each batch picks rows by the anchor
 * and locks them, passing by what others have locked; a second statement, whose
 * snapshot sees everything that was committed before the locks were taken, does
 * the work.  Between batches nothing is held but the place to go on from, and
 * the data map is asked for anew: labels may have changed.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog.h"
#include "citus.h"
#include "graph.h"
#include "json.h"
#include "ledger.h"
#include "retention.h"
#include "scope.h"
#include "spi.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_BATCH_ROWS 1000000

PG_FUNCTION_INFO_V1(effaced_enforce_retention);

/* What is done to the expired rows of a table; kept with the map */
typedef struct EnforcementStep
{
	bool		deletes;
	List	   *terms;			/* of RetentionTerm: of one anchor and duration, about the same subjects */
	List	   *others;			/* of RetentionTerm: what else the row retains, where it deletes */
	List	   *claims;			/* of OwnerClaim: everybody whose row it may be */
	List	   *references;		/* of RowReference: what keeps a row, where it deletes */

	uint64		run;			/* the rest is of this run */
	bool		finished;
	Datum		anchor;			/* of the last row that was picked */
	Oid			tableoid;
	ItemPointerData ctid;
} EnforcementStep;

/* Columns of other rows that may name a row */
typedef struct RowReference
{
	EffRelation *rel;
	AttrNumber *columns;
	EffRelation *source;
	AttrNumber *source_columns;
	int			n;
} RowReference;

/* One call */
typedef struct EnforcementRun
{
	uint64		number;
	int64		id;				/* in effaced_retention_runs */
	TimestampTz as_of;
	int			batch_rows;
	MemoryContext context;		/* outlives transactions */
	MemoryContext batch;		/* does not outlive a batch */
	uint64		deleted_in_pass;
	uint64		anonymized;
	uint64		deleted;
	uint64		restricted;
	uint64		kept;
	uint64		left;
} EnforcementRun;

static uint64 last_run = 0;

static void require_own_transactions(FunctionCallInfo fcinfo);
static void warn_of_lost_kinds(DataMap *map);
static void commit(void);
static bool run_batch(EnforcementRun *run);
static List *get_steps(DataMap *map);
static List *make_steps(DataMap *map);
static void require_replaceable(DataMap *map, RetentionTerm *term);
static void require_local(RetentionTerm *term);
static EnforcementStep *step_of_group(List *steps, RetentionTerm *term);
static List *list_references(DataMap *map, MapTable *table);
static List *add_reference(List *references, EffRelation *rel, AttrNumber *columns,
						   EffRelation *source, AttrNumber *source_columns, int n);
static bool lets_go(ForeignKey *fk, EffRelation *source);
static bool is_hop(DataMap *map, ForeignKey *fk);
static EnforcementStep *next_step(EnforcementRun *run, List *steps);
static void begin_step(EnforcementStep *step, uint64 run);
static void set_place(EnforcementStep *step, Datum anchor, Oid type);
static List *restricted_of(EnforcementStep *step);
static char *due_condition(DataMap *map, EnforcementStep *step, Statement *st);
static char *restricted_condition(DataMap *map, EnforcementStep *step, Statement *st, List *restricted);
static char *kept_condition(EnforcementStep *step, Statement *st);
static uint64 pick_rows(EnforcementRun *run, EnforcementStep *step, RetentionValues *values, Datum *rows);
static uint64 anonymize_rows(EnforcementStep *step, RetentionValues *values, uint64 picked);
static uint64 delete_rows(EnforcementStep *step, RetentionValues *values);
static void join_batch(Statement *st);
static void not_enforced(EnforcementStep *step) pg_attribute_noreturn();
static void count_left(EnforcementRun *run);
static AuditEvent *make_event(EnforcementStep *step, const char *strategy, uint64 rows);
static int64 start_run(EnforcementRun *run);
static void note_batch(EnforcementRun *run, EnforcementStep *step, uint64 rows);
static void end_run(EnforcementRun *run);
static int64 write_run(const char *sql, int n, Oid *types, Datum *values);

/*
 * effaced_enforce_retention(as_of, batch_rows) works off what has expired.
 */
Datum
effaced_enforce_retention(PG_FUNCTION_ARGS)
{
	EnforcementRun run = {0};
	MemoryContext previous;
	EffBracket	bracket;
	ListCell   *lc;

	require_own_transactions(fcinfo);
	run.as_of = EffRetentionAsOf(fcinfo, 0);
	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1 || PG_GETARG_INT32(1) > MAX_BATCH_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("batch_rows must be between 1 and %d", MAX_BATCH_ROWS),
				 errhint("Leave it out for batches of 1000 rows."),
				 errhidestmt(true)));
	run.batch_rows = PG_GETARG_INT32(1);
	run.number = ++last_run;
	run.context = AllocSetContextCreate(PortalContext, "effaced retention", ALLOCSET_DEFAULT_SIZES);
	run.batch = AllocSetContextCreate(run.context, "effaced retention batch", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(run.context);

	warn_of_lost_kinds(EffGraphGet());
	/* labels that cannot be carried out stop the run before it has begun */
	EffPinBegin(&bracket);
	foreach(lc, get_steps(EffGraphGet()))
	{
		EnforcementStep *step = lfirst(lc);

		(void) EffRetentionCutoff(linitial(step->terms), run.as_of);
	}
	EffPinEnd(&bracket);

	run.id = start_run(&run);
	commit();
	while (run_batch(&run))
	{
		CHECK_FOR_INTERRUPTS();
		commit();
	}
	count_left(&run);
	end_run(&run);
	commit();
	ereport(NOTICE,
			(errmsg("retention enforced, in rows: " UINT64_FORMAT " anonymized, " UINT64_FORMAT " deleted",
					run.anonymized, run.deleted),
			 errdetail("Left as they are: " UINT64_FORMAT " under a restriction, " UINT64_FORMAT
					   " that something else keeps, " UINT64_FORMAT " that others had locked or added.",
					   run.restricted, run.kept, run.left)));
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(run.context);
	PG_RETURN_VOID();
}

/* require_own_transactions: a batch that cannot be committed would hold its locks to the end. */
static void
require_own_transactions(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced_enforce_retention cannot run inside a transaction block"),
				 errdetail("It commits after each batch."),
				 errhint("Send CALL effaced_enforce_retention(); as a statement of its own, without BEGIN."),
				 errhidestmt(true)));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced_enforce_retention must run at isolation level READ COMMITTED"),
				 errdetail("The snapshot of a transaction would hide rows that are committed while locks are waited for."),
				 errhint("SET default_transaction_isolation = 'read committed';"),
				 errhidestmt(true)));
}

/*
 * warn_of_lost_kinds: a table that is renamed may be of another kind since.  It
 * is no error, since the restricted may be gone for good with their table.
 */
static void
warn_of_lost_kinds(DataMap *map)
{
	ListCell   *lc;

	foreach(lc, EffLedgerLostKinds(map, LEDGER_RESTRICTIONS))
		ereport(WARNING,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("restrictions are in force for subjects of kind %s, which no table has", EffQuoteLiteral(lfirst(lc))),
				 errdetail("They keep no rows."),
				 errhint("SELECT hint FROM %s.effaced_lint() WHERE code = 'lost_kind';", EffExtensionSchemaSql())));
}

/*
 * commit ends the transaction of a batch and begins the next one.  Deferred
 * triggers and constraints run now, and what they raise may quote a row.
 */
static void
commit(void)
{
	const EffStatementPlace place = {.action = "commit of", .relation = "an enforcement of retention", .batch = true};
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	EnsurePortalSnapshotExists();
}

/*
 * run_batch works off one batch of the first step that is not finished; false
 * where nothing is left to do.
 */
static bool
run_batch(EnforcementRun *run)
{
	RetentionValues values = {.as_of = run->as_of};
	MemoryContext previous;
	EnforcementStep *step;
	Datum		rows[4];
	uint64		picked;
	uint64		done = 0;
	EffBracket	bracket;

	MemoryContextReset(run->batch);
	previous = MemoryContextSwitchTo(run->batch);
	values.map = EffGraphGet();
	EffPinBegin(&bracket);
	step = next_step(run, get_steps(values.map));
	EffPinEnd(&bracket);
	/* where the map has changed, the next batch goes by the new one */
	if (step == NULL || !EffMapHold(values.map, list_make1(((RetentionTerm *) linitial(step->terms))->table->rel)))
	{
		MemoryContextSwitchTo(previous);
		return step != NULL;
	}
	values.restricted = restricted_of(step);
	values.batch = rows;

	EffSpiBegin(&bracket);
	picked = pick_rows(run, step, &values, rows);
	if (picked > 0)
		done = step->deletes ? delete_rows(step, &values) : anonymize_rows(step, &values, picked);
	EffSpiEnd(&bracket);

	step->finished = picked == 0;
	if (done > 0)
		(void) EffAuditAppend(list_make1(make_event(step, step->deletes ? "delete" : "anonymize", done)));
	note_batch(run, step, done);
	if (step->deletes)
	{
		run->deleted += done;
		run->deleted_in_pass += done;
	}
	else
		run->anonymized += done;
	MemoryContextSwitchTo(previous);
	return true;
}

/* get_steps makes the steps once per map. */
static List *
get_steps(DataMap *map)
{
	MemoryContext context;
	MemoryContext previous;

	if (map->enforcement != NIL)
		return map->enforcement;
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced enforcement", ALLOCSET_SMALL_SIZES);
	previous = MemoryContextSwitchTo(context);
	map->enforcement = make_steps(map);
	MemoryContextSwitchTo(previous);
	if (map->enforcement != NIL)
		MemoryContextSetParent(context, map->context);
	return map->enforcement;
}

/*
 * make_steps: rows that go first, then values to be replaced.  A term without
 * an anchor or a duration is never over.
 */
static List *
make_steps(DataMap *map)
{
	List	   *deletions = NIL;
	List	   *anonymizations = NIL;
	List	   *terms = EffRetentionTerms(map);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, terms)
	{
		RetentionTerm *term = lfirst(lc);
		EnforcementStep *step;

		if (term->anchor == NULL || term->policy->on_expiry == EXPIRY_REPORT)
			continue;
		require_local(term);
		if (term->policy->on_expiry == EXPIRY_ANONYMIZE)
		{
			require_replaceable(map, term);
			step = step_of_group(anonymizations, term);
			if (step != NULL)
			{
				step->terms = lappend(step->terms, term);
				continue;
			}
		}
		step = palloc0(sizeof(EnforcementStep));
		step->terms = list_make1(term);
		step->claims = EffRetentionClaims(term->table, NULL);
		if (term->column->label->link != NULL)
			step->claims = list_concat(step->claims, term->claims);
		if (term->policy->on_expiry == EXPIRY_ANONYMIZE)
		{
			anonymizations = lappend(anonymizations, step);
			continue;
		}
		step->deletes = true;
		step->references = list_references(map, term->table);
		foreach(lc2, terms)
		{
			RetentionTerm *other = lfirst(lc2);

			if (other != term && other->table == term->table)
				step->others = lappend(step->others, other);
		}
		deletions = lappend(deletions, step);
	}
	return list_concat(deletions, anonymizations);
}

/* require_local: rows of a foreign table, or of another node, cannot be locked and passed by. */
static void
require_local(RetentionTerm *term)
{
	EffRelation *rel = term->table->rel;

	if (rel->relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("retention of column %s.%s cannot be enforced on a foreign table",
						rel->name, quote_identifier(term->column->column->name)),
				 errhint("Set \"on_expiry\" to \"report\" here, and enforce it where the table is."),
				 errhidestmt(true)));
	/* the place of a row means another row on another node */
	if (EffCitusIsRemote(rel->oid))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("retention of column %s.%s cannot be enforced on a table that Citus distributes",
						rel->name, quote_identifier(term->column->column->name)),
				 errdetail("Rows of several shards cannot be locked and passed by."),
				 errhint("Set \"on_expiry\" to \"report\", and erase the subjects that effaced_sweep() names."),
				 errhidestmt(true)));
}

/* require_replaceable: the column has a surrogate, and nothing depends on its value. */
static void
require_replaceable(DataMap *map, RetentionTerm *term)
{
	EffRelation *rel = term->table->rel;
	EffColumn  *column = term->column->column;
	const char *why = NULL;
	ListCell   *lc;

	if (term->surrogate->error != NULL)
		EffMapErrorRaise(term->surrogate->error);
	if (term->surrogate->kind == SURROGATE_GENERATED)
		why = "it is generated from other columns";
	for (int i = 0; i < term->surrogate->nkey; i++)
		if (term->surrogate->key[i] == column->attnum)
			why = "it is part of the row's key";
	foreach(lc, EffMapRelation(map, rel->oid)->referenced_by)
	{
		ForeignKey *fk = lfirst(lc);

		for (int i = 0; i < fk->nkeys; i++)
			if (fk->target_columns[i] == column->attnum)
				why = psprintf("foreign key %s references it", quote_identifier(fk->name));
	}
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("column %s.%s cannot be anonymized when its retention ends: %s",
						rel->name, quote_identifier(column->name), why),
				 errhint("Set \"on_expiry\" of its retention to \"report\" or \"delete\"."),
				 errhidestmt(true)));
}

/* step_of_group finds the step that replaces columns with the same anchor, duration and link. */
static EnforcementStep *
step_of_group(List *steps, RetentionTerm *term)
{
	ListCell   *lc;

	foreach(lc, steps)
	{
		RetentionTerm *first = linitial(((EnforcementStep *) lfirst(lc))->terms);
		const char *link = first->column->label->link;
		const char *other = term->column->label->link;

		if (first->table == term->table && first->anchor == term->anchor &&
			strcmp(first->policy->duration, term->policy->duration) == 0 &&
			(link == NULL ? other == NULL : other != NULL && strcmp(link, other) == 0))
			return lfirst(lc);
	}
	return NULL;
}

/*
 * list_references: any row that references a row keeps it, and any way to
 * other rows that leads over it.  A reference that the foreign key itself sets
 * to NULL, or to its default, keeps nothing, unless it is such a way.
 */
static List *
list_references(DataMap *map, MapTable *table)
{
	List	   *references = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->rel->inheritors)
	{
		EffRelation *rel = EffMapLoad(map, lfirst_oid(lc));

		if (rel == NULL)
			continue;
		foreach(lc2, EffMapRelation(map, rel->oid)->referenced_by)
		{
			ForeignKey *fk = lfirst(lc2);
			EffRelation *source = EffMapLoad(map, fk->relid);

			if (source != NULL && (!lets_go(fk, source) || is_hop(map, fk)))
				references = add_reference(references, rel, fk->target_columns, source, fk->columns, fk->nkeys);
		}
	}
	for (int i = 0; i < map->ntables; i++)
		foreach(lc, map->tables[i]->links)
			foreach(lc2, ((TableLink *) lfirst(lc))->hops)
			{
				JoinHop    *hop = lfirst(lc2);

				if ((hop->fk == NULL || hop->reverse) && list_member_oid(table->rel->inheritors, hop->target->oid))
					references = add_reference(references, hop->target, hop->target_columns,
											   hop->source, hop->source_columns, hop->n);
			}
	return references;
}

static List *
add_reference(List *references, EffRelation *rel, AttrNumber *columns,
			  EffRelation *source, AttrNumber *source_columns, int n)
{
	RowReference *reference = palloc(sizeof(RowReference));

	reference->rel = rel;
	reference->columns = columns;
	reference->source = source;
	reference->source_columns = source_columns;
	reference->n = n;
	return lappend(references, reference);
}

/* lets_go: the foreign key gives its columns another value, which they can have */
static bool
lets_go(ForeignKey *fk, EffRelation *source)
{
	int			n = fk->nset > 0 ? fk->nset : fk->nkeys;

	if (fk->on_delete != FKCONSTR_ACTION_SETNULL && fk->on_delete != FKCONSTR_ACTION_SETDEFAULT)
		return false;
	for (int i = 0; i < n; i++)
	{
		EffColumn  *column = EffRelationColumn(source, fk->nset > 0 ? fk->set_columns[i] : fk->columns[i]);

		if (column->not_null && (fk->on_delete == FKCONSTR_ACTION_SETNULL || !column->has_default))
			return false;
	}
	return true;
}

/* is_hop: a link of some table goes along the foreign key */
static bool
is_hop(DataMap *map, ForeignKey *fk)
{
	ListCell   *lc;
	ListCell   *lc2;

	for (int i = 0; i < map->ntables; i++)
		foreach(lc, map->tables[i]->links)
			foreach(lc2, ((TableLink *) lfirst(lc))->hops)
				if (((JoinHop *) lfirst(lc2))->fk == fk)
					return true;
	return false;
}

/*
 * next_step: rows that went may have been what kept others, so deletions go
 * round until one round has deleted nothing.
 */
static EnforcementStep *
next_step(EnforcementRun *run, List *steps)
{
	bool		again = false;
	ListCell   *lc;

	foreach(lc, steps)
	{
		EnforcementStep *step = lfirst(lc);

		if (step->run != run->number)
			begin_step(step, run->number);
		if (step->deletes && !step->finished)
			return step;
		again |= step->deletes && step->references != NIL;
	}
	if (again && run->deleted_in_pass > 0)
	{
		run->deleted_in_pass = 0;
		foreach(lc, steps)
			if (((EnforcementStep *) lfirst(lc))->references != NIL)
				begin_step(lfirst(lc), run->number);
		return next_step(run, steps);
	}
	foreach(lc, steps)
		if (!((EnforcementStep *) lfirst(lc))->finished)
			return lfirst(lc);
	return NULL;
}

/* begin_step goes back before the first row. */
static void
begin_step(EnforcementStep *step, uint64 run)
{
	Oid			type = getBaseType(((RetentionTerm *) linitial(step->terms))->anchor->type);
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(type, &input, &ioparam);
	step->run = run;
	step->finished = false;
	set_place(step, OidInputFunctionCall(input, "-infinity", ioparam, -1), type);
	step->tableoid = InvalidOid;
	ItemPointerSet(&step->ctid, 0, 0);
}

/* set_place keeps the anchor as long as the step. */
static void
set_place(EnforcementStep *step, Datum anchor, Oid type)
{
	MemoryContext previous = MemoryContextSwitchTo(GetMemoryChunkContext(step));

	step->anchor = datumCopy(anchor, get_typbyval(type), get_typlen(type));
	MemoryContextSwitchTo(previous);
}

static List *
restricted_of(EnforcementStep *step)
{
	List	   *restricted = NIL;
	List	   *kinds = NIL;
	ListCell   *lc;

	foreach(lc, step->claims)
		kinds = list_append_unique_ptr(kinds, ((OwnerClaim *) lfirst(lc))->subject);
	foreach(lc, kinds)
		restricted = lappend(restricted, EffLedgerRestricted(lfirst(lc), NULL, true));
	return restricted;
}

/* due_condition: the row holds something whose term has ended. */
static char *
due_condition(DataMap *map, EnforcementStep *step, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, step->terms)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "", EffRetentionHeld(lfirst(lc), st));
	return psprintf("%s AND (%s) AND %s", EffRetentionExpired(linitial(step->terms), st), buf.data,
					EffRetentionScope(map, linitial(step->terms), st));
}

/* restricted_condition: the row may be that of a subject under a restriction. */
static char *
restricted_condition(DataMap *map, EnforcementStep *step, Statement *st, List *restricted)
{
	List	   *claims = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	/* those of kinds without restrictions need not be looked up */
	foreach(lc, step->claims)
		foreach(lc2, restricted)
		{
			RestrictedSubjects *of_kind = lfirst(lc2);

			if (of_kind->nkeys > 0 && of_kind->subject == ((OwnerClaim *) lfirst(lc))->subject)
				claims = lappend(claims, lfirst(lc));
		}
	return EffRetentionOwned(map, claims, st, &EffScopeRestricted);
}

/*
 * kept_condition: something else keeps a row that would go, a reference or
 * another value that it has to retain, or that is only to be reported.
 */
static char *
kept_condition(EnforcementStep *step, Statement *st)
{
	int			length = st->text.len;
	ListCell   *lc;

	appendStringInfoString(&st->text, "(false");
	foreach(lc, step->others)
	{
		RetentionTerm *other = lfirst(lc);
		char	   *expired = other->policy->on_expiry == EXPIRY_REPORT ? NULL : EffRetentionExpired(other, st);

		appendStringInfo(&st->text, " OR (%s IS TRUE", EffRetentionHeld(other, st));
		if (expired != NULL)
			appendStringInfo(&st->text, " AND (%s) IS NOT TRUE", expired);
		appendStringInfoChar(&st->text, ')');
	}
	foreach(lc, step->references)
	{
		RowReference *reference = lfirst(lc);

		appendStringInfoString(&st->text, " OR ");
		EffScopeReferenced(st, "t", reference->rel, reference->columns,
						   reference->source, reference->source_columns, reference->n);
	}
	appendStringInfoChar(&st->text, ')');
	return EffStatementTake(st, length);
}

/*
 * pick_rows locks the next rows in order of the anchor, and gives their places
 * as parameters 0 and 1 of the batch.
 */
static uint64
pick_rows(EnforcementRun *run, EnforcementStep *step, RetentionValues *values, Datum *rows)
{
	RetentionTerm *term = linitial(step->terms);
	EffRelation *rel = term->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "enforcement of retention on", rel);
	char	   *anchor = EffColumnSql("t", rel, term->anchor->attnum);
	Oid			type = getBaseType(term->anchor->type);
	char	   *due = due_condition(values->map, step, st);
	char	   *restricted = restricted_condition(values->map, step, st, values->restricted);
	char	   *kept = step->deletes ? kept_condition(step, st) : "false";
	Datum		place[] = {step->anchor, ObjectIdGetDatum(step->tableoid), PointerGetDatum(&step->ctid), Int64GetDatum(run->batch_rows)};
	Datum	   *tableoids;
	Datum	   *ctids;
	uint64		n;
	bool		isnull;

	st->place.batch = true;
	appendStringInfo(&st->text, "SELECT %s, t.tableoid, t.ctid FROM %s t WHERE (%s, t.tableoid, t.ctid) > (%s, %s, %s) AND %s"
					 " AND (%s) IS NOT TRUE AND NOT %s ORDER BY %s, t.tableoid, t.ctid LIMIT %s FOR %sUPDATE OF t SKIP LOCKED",
					 anchor, rel->sql, anchor, EffStatementParam(st, PARAM_BATCH, 0, NULL, 0, type),
					 EffStatementParam(st, PARAM_BATCH, 1, NULL, 0, OIDOID),
					 EffStatementParam(st, PARAM_BATCH, 2, NULL, 0, TIDOID),
					 due, restricted, kept, anchor,
					 EffStatementParam(st, PARAM_BATCH, 3, NULL, 0, INT8OID), step->deletes ? "" : "NO KEY ");
	values->batch = place;
	n = EffRetentionExecute(st, values, false, NULL);
	values->batch = rows;
	if (n == 0)
		return 0;
	tableoids = palloc(sizeof(Datum) * n);
	ctids = palloc(sizeof(Datum) * n);
	for (uint64 i = 0; i < n; i++)
	{
		tableoids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);
		ctids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull);
	}
	rows[0] = PointerGetDatum(construct_array(tableoids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	rows[1] = PointerGetDatum(construct_array(ctids, n, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));

	set_place(step, SPI_getbinval(SPI_tuptable->vals[n - 1], SPI_tuptable->tupdesc, 1, &isnull), type);
	step->tableoid = DatumGetObjectId(tableoids[n - 1]);
	step->ctid = *(ItemPointer) DatumGetPointer(ctids[n - 1]);
	return n;
}

static uint64
anonymize_rows(EnforcementStep *step, RetentionValues *values, uint64 picked)
{
	EffRelation *rel = ((RetentionTerm *) linitial(step->terms))->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "enforcement of retention on", rel);
	StringInfoData held;
	uint64		done;
	uint64		still_held;
	bool		isnull;
	ListCell   *lc;

	st->place.batch = true;
	initStringInfo(&held);
	appendStringInfo(&st->text, "WITH done AS (UPDATE %s t SET ", rel->sql);
	foreach(lc, step->terms)
	{
		RetentionTerm *term = lfirst(lc);
		EffColumn  *column = term->column->column;
		char	   *sql = EffSurrogateSql(term->surrogate, st, "t");

		/* a NULL stays NULL */
		if (!column->not_null && term->surrogate->kind != SURROGATE_NULL)
			sql = psprintf("CASE WHEN %s IS NOT NULL THEN %s END", EffColumnSql("t", rel, column->attnum), sql);
		appendStringInfo(&st->text, "%s%s = %s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(column->name), sql);
		appendStringInfo(&held, "%s%s", foreach_current_index(lc) > 0 ? " OR " : "", EffRetentionHeld(term, st));
	}
	appendStringInfoString(&st->text, " FROM ");
	join_batch(st);
	appendStringInfo(&st->text, " RETURNING (%s) AS held) SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE held) FROM done",
					 held.data);
	(void) EffRetentionExecute(st, values, false, NULL);
	done = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	still_held = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	if (done != picked || still_held > 0)
		not_enforced(step);
	return done;
}

/*
 * delete_rows looks once more for what keeps a row: a reference may have come
 * before the lock.
 */
static uint64
delete_rows(EnforcementStep *step, RetentionValues *values)
{
	EffRelation *rel = ((RetentionTerm *) linitial(step->terms))->table->rel;
	uint64		done = 0;

	/* the same condition twice: what goes, and then what is still there */
	for (int check = 0; check <= 1; check++)
	{
		Statement  *st = EffStatementNew(SPI_OK_SELECT, "enforcement of retention on", rel);
		char	   *kept = kept_condition(step, st);
		char	   *restricted = restricted_condition(values->map, step, st, values->restricted);
		uint64		count;
		bool		isnull;

		st->place.batch = true;
		appendStringInfo(&st->text, check ? "SELECT pg_catalog.count(*) FROM %s t, " : "WITH done AS (DELETE FROM %s t USING ", rel->sql);
		join_batch(st);
		appendStringInfo(&st->text, " AND NOT %s AND (%s) IS NOT TRUE%s", kept, restricted,
						 check ? "" : " RETURNING 1) SELECT pg_catalog.count(*) FROM done");
		(void) EffRetentionExecute(st, values, false, NULL);
		count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		if (!check)
			done = count;
		else if (count > 0)
			not_enforced(step);
	}
	return done;
}

/* join_batch: the rows of the batch.  They are locked, so their places hold. */
static void
join_batch(Statement *st)
{
	appendStringInfo(&st->text, "ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS b (tab, place)"
					 " WHERE t.tableoid = b.tab AND t.ctid = b.place",
					 EffStatementParam(st, PARAM_BATCH, 0, NULL, 0, OIDARRAYOID),
					 EffStatementParam(st, PARAM_BATCH, 1, NULL, 0, TIDARRAYOID));
}

static void
not_enforced(EnforcementStep *step)
{
	EffRelation *rel = ((RetentionTerm *) linitial(step->terms))->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of %s are not as the enforcement of their retention has to leave them", rel->name),
			 errdetail("A trigger or a rule of the table kept a statement from its work.  This batch was undone, those before it stay."),
			 errhint("Change the trigger or rule, and call effaced_enforce_retention() again."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 errhidestmt(true)));
}

/* count_left tells what was passed by, and records it. */
static void
count_left(EnforcementRun *run)
{
	RetentionValues values = {.as_of = run->as_of};
	List	   *events = NIL;
	List	   *steps;
	EffBracket	bracket;
	ListCell   *lc;

	MemoryContextReset(run->batch);
	MemoryContextSwitchTo(run->batch);
	values.map = EffGraphGet();
	EffPinBegin(&bracket);
	steps = get_steps(values.map);
	EffPinEnd(&bracket);
	foreach(lc, steps)
	{
		EnforcementStep *step = lfirst(lc);
		EffRelation *rel = ((RetentionTerm *) linitial(step->terms))->table->rel;
		Statement  *st;
		StringInfoData told;
		char	   *restricted;
		uint64		counts[5];
		ListCell   *lc2;

		values.restricted = restricted_of(step);
		EffSpiBegin(&bracket);
		st = EffStatementNew(SPI_OK_SELECT, "enforcement of retention on", rel);
		restricted = restricted_condition(values.map, step, st, values.restricted);
		/* an event counts the rows of its columns, but the run each row once */
		initStringInfo(&told);
		foreach(lc2, steps)
		{
			EnforcementStep *earlier = lfirst(lc2);

			if (earlier == step)
				break;
			if (((RetentionTerm *) linitial(earlier->terms))->table->rel == rel)
				appendStringInfo(&told, " OR (%s) IS TRUE", due_condition(values.map, earlier, st));
		}
		appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FILTER (WHERE c.restricted AND NOT c.told),"
						 " pg_catalog.count(*) FILTER (WHERE NOT c.restricted AND c.kept AND NOT c.told),"
						 " pg_catalog.count(*) FILTER (WHERE NOT c.restricted AND NOT c.kept AND NOT c.told),"
						 " pg_catalog.count(*) FILTER (WHERE c.restricted),"
						 " pg_catalog.count(*) FILTER (WHERE NOT c.restricted AND c.kept)"
						 " FROM (SELECT (%s) IS TRUE AS restricted, %s AS kept, false%s AS told FROM %s t WHERE %s) AS c",
						 restricted, step->deletes ? kept_condition(step, st) : "false", told.data, rel->sql,
						 due_condition(values.map, step, st));
		(void) EffRetentionExecute(st, &values, false, NULL);
		for (int i = 0; i < lengthof(counts); i++)
		{
			bool		isnull;

			counts[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull));
		}
		EffSpiEnd(&bracket);
		run->restricted += counts[0];
		run->kept += counts[1];
		run->left += counts[2];
		if (counts[3] > 0)
			events = lappend(events, make_event(step, "restricted", counts[3]));
		if (counts[4] > 0)
			events = lappend(events, make_event(step, "kept", counts[4]));
	}
	if (events != NIL)
		(void) EffAuditAppend(events);
	MemoryContextSwitchTo(run->context);
}

static AuditEvent *
make_event(EnforcementStep *step, const char *strategy, uint64 rows)
{
	StringInfoData buf;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, step->terms)
		columns = lappend(columns, ((RetentionTerm *) lfirst(lc))->column->column->name);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "target", ((RetentionTerm *) linitial(step->terms))->table->name);
	EffJsonMember(&buf, "strategy", strategy);
	EffJsonKey(&buf, "columns");
	EffJsonStrings(&buf, columns);
	EffJsonNumber(&buf, "rows", rows);
	appendStringInfoChar(&buf, '}');
	return EffAuditEvent("retention_enforced", NULL, NULL, buf.data);
}

/* start_run leaves a row for other sessions to watch. */
static int64
start_run(EnforcementRun *run)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID, INT4OID, TEXTOID};
	Datum		values[] = {TimestampTzGetDatum(run->as_of), Int32GetDatum(run->batch_rows), Int32GetDatum(MyProcPid),
	CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false))};

	return write_run("INSERT INTO %s.effaced_retention_runs (as_of, batch_rows, backend_pid, actor)"
					 " VALUES ($1, $2, $3, $4) RETURNING run_id", 4, types, values);
}

static void
note_batch(EnforcementRun *run, EnforcementStep *step, uint64 rows)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(run->id),
		CStringGetTextDatum(((RetentionTerm *) linitial(step->terms))->table->name),
		CStringGetTextDatum(step->deletes ? "delete" : "anonymize"),
	Int64GetDatum(step->deletes ? 0 : rows), Int64GetDatum(step->deletes ? rows : 0)};

	(void) write_run("UPDATE %s.effaced_retention_runs SET updated_at = pg_catalog.clock_timestamp(), target = $2,"
					 " strategy = $3, batches = batches + 1, anonymized = anonymized + $4, deleted = deleted + $5"
					 " WHERE run_id = $1 RETURNING run_id", 5, types, values);
}

static void
end_run(EnforcementRun *run)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(run->id), Int64GetDatum(run->restricted), Int64GetDatum(run->kept),
	Int64GetDatum(run->left)};

	(void) write_run("UPDATE %s.effaced_retention_runs SET updated_at = pg_catalog.clock_timestamp(),"
					 " finished_at = pg_catalog.clock_timestamp(), target = NULL, strategy = NULL,"
					 " restricted = $2, kept = $3, left_over = $4 WHERE run_id = $1 RETURNING run_id", 4, types, values);
}

/* write_run runs a statement over effaced_retention_runs as its owner. */
static int64
write_run(const char *sql, int n, Oid *types, Datum *values)
{
	EffBracket	bracket;
	int64		id = 0;
	bool		isnull;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(psprintf(sql, EffExtensionSchemaSql()), n, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not note the progress of the enforcement");
	if (SPI_processed == 1)
		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	EffSpiEnd(&bracket);
	return id;
}
