/*
 * enforce_rows.c
 *	  The statements of an enforcement: which rows a step is about, how they are
 *	  locked, anonymized or deleted, and which are left.
 */
#include "postgres.h"

#include "relations/types.h"
#include "rows/bind.h"
#include "rows/large_objects.h"
#include "retention/enforce_rows.h"
#include "retention/enforce_ways.h"

#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static Oid	anchor_type(EnforcementStep *step);
static void set_place(EnforcementStep *step, Datum anchor, Oid tableoid, ItemPointer ctid);
static Statement *new_statement(EnforcementStep *step);
static char *due_condition(DataMap *map, EnforcementStep *step, Statement *st);
static char *restricted_condition(EnforcementStep *step, Statement *st,
								  const BindValues *values);
static char *kept_condition(DataMap *map, EnforcementStep *step, Statement *st);
static uint64 anonymize_rows(EnforcementStep *step, const BindValues *values, uint64 picked);
static uint64 delete_rows(EnforcementStep *step, const BindValues *values);
static void join_batch(Statement *st);
static void not_enforced(EnforcementStep *step) pg_attribute_noreturn();

/*
 * EffEnforceRewind lets the step begin again before its first row: the place becomes
 * -infinity, which every type of an anchor has.
 */
void
EffEnforceRewind(EnforcementStep *step)
{
	ItemPointerData nowhere;
	Oid			input;
	Oid			ioparam;

	EffTypeInput(anchor_type(step), &input, &ioparam);
	ItemPointerSet(&nowhere, 0, 0);
	set_place(step, OidInputFunctionCall(input, "-infinity", ioparam, -1), InvalidOid, &nowhere);
}

/*
 * EffEnforcePick locks the next rows of a step, at most max_rows, in order of the
 * anchor, and makes them the batch of the values: arrays of their table's OID and
 * their ctid.  It returns their number, 0 if there are no more.  Rows that somebody
 * else has locked are left out.
 */
uint64
EffEnforcePick(EnforcementStep *step, BindValues *values, int max_rows)
{
	RetentionTerm *term = linitial(step->terms);
	EffRelation *rel = step->table->rel;
	Statement  *st = new_statement(step);
	char	   *anchor = EffColumnSql("t", rel, term->anchor->attnum);
	char	   *due = due_condition(values->map, step, st);
	char	   *restricted = restricted_condition(step, st, values);
	char	   *kept = kept_condition(values->map, step, st);
	Datum		place[] = {step->place.anchor, ObjectIdGetDatum(step->place.tableoid),
	PointerGetDatum(&step->place.ctid), Int64GetDatum(max_rows)};
	Datum	   *rows;
	Datum	   *tableoids;
	Datum	   *ctids;
	uint64		n;
	bool		isnull;

	st->place.batch = true;
	appendStringInfo(&st->text,
					 "SELECT %s, t.tableoid, t.ctid FROM %s t"
					 " WHERE (%s, t.tableoid, t.ctid) > (%s, %s, %s) AND %s"
					 " AND (%s) IS NOT TRUE AND NOT %s ORDER BY %s, t.tableoid, t.ctid"
					 " LIMIT %s FOR %sUPDATE OF t SKIP LOCKED",
					 anchor, rel->sql, anchor, EffStatementParam(st, PARAM_BATCH, 0, NULL, 0,
																 anchor_type(step)),
					 EffStatementParam(st, PARAM_BATCH, 1, NULL, 0, OIDOID),
					 EffStatementParam(st, PARAM_BATCH, 2, NULL, 0, TIDOID),
					 due, restricted, kept, anchor,
					 EffStatementParam(st, PARAM_BATCH, 3, NULL, 0, INT8OID),
					 step->deletes ? "" : "NO KEY ");
	values->batch = place;
	n = EffBindExecute(st, values, false, NULL);
	values->batch = NULL;
	if (n == 0)
		return 0;
	tableoids = palloc(sizeof(Datum) * n);
	ctids = palloc(sizeof(Datum) * n);
	for (uint64 i = 0; i < n; i++)
	{
		tableoids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);
		ctids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull);
	}
	rows = palloc(sizeof(Datum) * 2);
	rows[0] = PointerGetDatum(construct_array(tableoids, n, OIDOID, sizeof(Oid), true,
											  TYPALIGN_INT));
	rows[1] = PointerGetDatum(construct_array(ctids, n, TIDOID, sizeof(ItemPointerData), false,
											  TYPALIGN_SHORT));
	values->batch = rows;
	set_place(step, SPI_getbinval(SPI_tuptable->vals[n - 1], SPI_tuptable->tupdesc, 1, &isnull),
			  DatumGetObjectId(tableoids[n - 1]), (ItemPointer) DatumGetPointer(ctids[n - 1]));
	return n;
}

/*
 * EffEnforceObjects returns the large objects (of LargeObject, in the current memory
 * context) to which values of the batch point that EffEnforceWrite() is about to replace,
 * or to delete with their rows.
 */
List *
EffEnforceObjects(EnforcementStep *step, const BindValues *values)
{
	MemoryContext context = CurrentMemoryContext;
	EffRelation *rel = step->table->rel;
	Statement  *st = new_statement(step);
	Statement  *objects;
	List	   *columns = NIL;

	foreach_ptr(RetentionTerm, term, step->deletes ? NIL : step->terms)
		columns = lappend(columns, term->column->column);
	foreach_ptr(MapColumn, column, step->deletes ? step->table->columns : NIL)
		columns = lappend(columns, column->column);
	appendStringInfoString(&st->text, ", ");
	join_batch(st);
	objects = EffLargeObjectsStatement(rel, columns, st->text.data, st->params);
	if (objects == NULL)
		return NIL;
	objects->place.batch = true;
	(void) EffBindExecute(objects, values, false, NULL);
	return EffLargeObjectsRead(NIL, rel->oid, context);
}

/*
 * EffEnforceWrite anonymizes or deletes the rows of the batch and returns how many
 * rows it changed.  Rows that are then not as they have to be, because a trigger or
 * a rule has changed the statement's work, are an error (ZE004).
 */
uint64
EffEnforceWrite(EnforcementStep *step, const BindValues *values, uint64 picked)
{
	return step->deletes ? delete_rows(step, values) : anonymize_rows(step, values, picked);
}

/*
 * EffEnforceRest counts the expired rows of a step that were left.  They are counted
 * twice: the event of the step has all of them, while the run counts a row once, in
 * the first of the steps that are about it.
 */
EnforcementRest
EffEnforceRest(EnforcementStep *step, List *steps, const BindValues *values)
{
	Statement  *st = new_statement(step);
	char	   *restricted = restricted_condition(step, st, values);
	EnforcementRest rest;
	StringInfoData told;

	initStringInfo(&told);
	foreach_ptr(EnforcementStep, earlier, steps)
	{
		if (earlier == step)
			break;
		if (earlier->table == step->table)
			appendStringInfo(&told, " OR (%s) IS TRUE", due_condition(values->map, earlier, st));
	}
	appendStringInfo(&st->text,
					 "SELECT pg_catalog.count(*) FILTER (WHERE c.restricted AND NOT c.told),"
					 " pg_catalog.count(*)"
					 " FILTER (WHERE NOT c.restricted AND c.kept AND NOT c.told),"
					 " pg_catalog.count(*)"
					 " FILTER (WHERE NOT c.restricted AND NOT c.kept AND NOT c.told),"
					 " pg_catalog.count(*) FILTER (WHERE c.restricted),"
					 " pg_catalog.count(*) FILTER (WHERE NOT c.restricted AND c.kept)"
					 " FROM (SELECT (%s) IS TRUE AS restricted, %s AS kept, false%s AS told"
					 " FROM %s t WHERE %s) AS c",
					 restricted, kept_condition(values->map, step, st), told.data,
					 step->table->rel->sql,
					 due_condition(values->map, step, st));
	(void) EffBindExecute(st, values, false, NULL);
	rest.first_restricted = EffSpiNumber(1);
	rest.first_kept = EffSpiNumber(2);
	rest.first_left = EffSpiNumber(3);
	rest.restricted = EffSpiNumber(4);
	rest.kept = EffSpiNumber(5);
	return rest;
}

/* anchor_type returns the type of the anchor, of a domain the type under it. */
static Oid
anchor_type(EnforcementStep *step)
{
	return EffBaseType(((RetentionTerm *) linitial(step->terms))->anchor->type);
}

/* set_place copies the place into the memory context of the step. */
static void
set_place(EnforcementStep *step, Datum anchor, Oid tableoid, ItemPointer ctid)
{
	MemoryContext previous = MemoryContextSwitchTo(GetMemoryChunkContext(step));
	Oid			type = anchor_type(step);

	step->place.anchor = datumCopy(anchor, get_typbyval(type), get_typlen(type));
	step->place.tableoid = tableoid;
	step->place.ctid = *ctid;
	MemoryContextSwitchTo(previous);
}

/* new_statement begins a statement about the table of a step. */
static Statement *
new_statement(EnforcementStep *step)
{
	return EffStatementNew(SPI_OK_SELECT, "enforcement of retention on", step->table->rel);
}

/* due_condition returns the condition that a term of the step has ended for a value in the row. */
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

/* restricted_condition returns the condition that an owner of the row is under a restriction. */
static char *
restricted_condition(EnforcementStep *step, Statement *st, const BindValues *values)
{
	List	   *claims = NIL;
	ListCell   *lc;

	/* kinds of subjects of which nobody is under a restriction need no lookup */
	foreach(lc, step->claims)
		foreach_ptr(SubjectSet, of_kind, values->restricted)
		{
			if (of_kind->nkeys > 0 && of_kind->subject == ((OwnerClaim *) lfirst(lc))->subject)
				claims = lappend(claims, lfirst(lc));
		}
	return EffRetentionOwned(values->map, claims, st, &EffScopeRestricted);
}

/*
 * kept_condition returns the condition that a row must not be deleted, since another
 * row references it, or another value in it has a term that has not ended or is only
 * to be reported; or that its columns must stay, since they lead to values that have
 * not expired.
 */
static char *
kept_condition(DataMap *map, EnforcementStep *step, Statement *st)
{
	const Condition *any = EffEnforceCuts(map, step, st);

	foreach_ptr(RetentionTerm, other, step->others)
	{
		char	   *held = EffRetentionHeld(other, st);
		char	   *expired = other->policy->on_expiry == EXPIRY_REPORT ? NULL :
			EffRetentionExpired(other, st);

		any = EffConditionOr(any, EffConditionOf(expired == NULL ? psprintf("%s IS TRUE", held) :
												 psprintf("(%s IS TRUE AND (%s) IS NOT TRUE)", held,
														  expired), NULL));
	}
	foreach_ptr(RowReference, reference, step->references)
	{
		any = EffConditionOr(any, EffScopeReferenced(st, "t", reference->rel, reference->columns,
													 reference->source, reference->source_columns,
														 reference->n));
	}
	return psprintf("(%s)", EffConditionSql(st, any));
}

/* anonymize_rows writes the surrogates of the step's columns, and returns the number of rows. */
static uint64
anonymize_rows(EnforcementStep *step, const BindValues *values, uint64 picked)
{
	EffRelation *rel = step->table->rel;
	Statement  *st = new_statement(step);
	StringInfoData held;
	uint64		done;
	uint64		still_held;
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
			sql = psprintf("CASE WHEN %s IS NOT NULL THEN %s END",
						   EffColumnSql("t", rel, column->attnum), sql);
		appendStringInfo(&st->text, "%s%s = %s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(column->name), sql);
		appendStringInfo(&held, "%s%s", foreach_current_index(lc) > 0 ? " OR " : "",
						 EffRetentionHeld(term, st));
	}
	appendStringInfoString(&st->text, " FROM ");
	join_batch(st);
	appendStringInfo(&st->text,
					 " RETURNING (%s) AS held)"
					 " SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE held)"
					 " FROM done",
					 held.data);
	(void) EffBindExecute(st, values, false, NULL);
	done = EffSpiNumber(1);
	still_held = EffSpiNumber(2);
	if (done != picked || still_held > 0)
		not_enforced(step);
	return done;
}

/*
 * delete_rows deletes the rows of the batch, and returns their number.  It looks again
 * for what keeps a row, since a reference may have been inserted before the lock.
 */
static uint64
delete_rows(EnforcementStep *step, const BindValues *values)
{
	EffRelation *rel = step->table->rel;
	uint64		done = 0;

	/* the second statement counts the rows that the first should have deleted */
	for (int check = 0; check <= 1; check++)
	{
		Statement  *st = new_statement(step);
		char	   *kept = kept_condition(values->map, step, st);
		char	   *restricted = restricted_condition(step, st, values);
		uint64		count;

		st->place.batch = true;
		appendStringInfo(&st->text, check ? "SELECT pg_catalog.count(*) FROM %s t, " :
						 "WITH done AS (DELETE FROM %s t USING ", rel->sql);
		join_batch(st);
		appendStringInfo(&st->text, " AND NOT %s AND (%s) IS NOT TRUE%s", kept, restricted,
						 check ? "" : " RETURNING 1) SELECT pg_catalog.count(*) FROM done");
		(void) EffBindExecute(st, values, false, NULL);
		count = EffSpiNumber(1);
		if (!check)
			done = count;
		else if (count > 0)
			not_enforced(step);
	}
	return done;
}

/* join_batch appends the batch and its join; its rows are locked, so their ctid does not change. */
static void
join_batch(Statement *st)
{
	appendStringInfo(&st->text,
					 "ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS b (tab, place)"
					 " WHERE t.tableoid = b.tab AND t.ctid = b.place",
					 EffStatementParam(st, PARAM_BATCH, 0, NULL, 0, OIDARRAYOID),
					 EffStatementParam(st, PARAM_BATCH, 1, NULL, 0, TIDARRAYOID));
}

/* not_enforced raises the error that a trigger or rule has undone the work of a statement. */
static void
not_enforced(EnforcementStep *step)
{
	EffRelation *rel = step->table->rel;

	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of table \"%s\" are not as the enforcement of their retention has to"
					" leave them", rel->name),
			 errdetail("A trigger or a rule of the table kept a statement from its work.  This"
					   " batch was undone, those before it stay."),
			 errhint("Change the trigger or rule, and call effaced_enforce_retention() again."),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 errhidestmt(true)));
}
