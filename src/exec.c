/*
 * exec.c
 *	  Binds parameters, runs the steps of a plan and counts rows.
 */
#include "postgres.h"

#include "exec.h"
#include "audit.h"
#include "citus.h"
#include "constraints.h"
#include "refs.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static Datum *bind_params(ErasureRun *run, Statement *st, const char **nulls);
static ErasureRun *new_run(ErasureCall *call, SubjectKey *key);
static void lock_rows(ErasureCall *call, ErasureRun *run);
static void lock_subjects(ErasureCall *call, ErasureRun *run);
static void run_for_all(ErasureCall *call, ErasureStep *step, int number);
static ErasureRun *run_of_row(ErasureCall *call, SPITupleTable *rows, uint64 row);
static void unite_rows(ErasureCall *call, RowSet *rows);
static Datum unite_arrays(ErasureCall *call, RowSet *rows, int part, int k);
static void forget_revived(ErasureRun *run, SubjectRevival *revival, const ErasureRecord *records);
static bool classify_rows(ErasureRun *run, RowSet *rows);
static PlannedTable *table_of(ErasurePlan *plan, RowSet *rows);
static Datum *key_arrays(RowSet *rows, uint64 n, const int *part_of, int part);
static SubjectKey *key_of_row(MapTable *subject, SPITupleTable *rows, uint64 row);
static ErasedSubjects *erased_of(ErasureRun *run, const MapTable *subject);
static void check_step(ErasureRun *run, ErasureStep *step);
static bool has_triggers(ErasurePlan *plan);
static void erase_what_triggers_wrote(ErasureRun *run);
static void not_as_planned(EffRelation *rel, const char *what) pg_attribute_noreturn();
static uint64 count_distinct(RowSet *rows, const Datum *arrays);
static void run_step(ErasureRun *run, ErasureStep *step, uint64 *count);
static void set_constraints(List *foreign_keys, const char *mode);

/*
 * EffExecRequireReadCommitted: a snapshot of the transaction cannot see what was
 * committed while a lock was waited for.
 */
void
EffExecRequireReadCommitted(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("%s() must run at isolation level READ COMMITTED", function),
				 errdetail("The snapshot of this transaction would hide rows that are committed while locks are waited for."),
				 errhint("BEGIN ISOLATION LEVEL READ COMMITTED;"),
				 errhidestmt(true)));
}

ErasureCall *
EffExecNew(DataMap *map, ErasurePlan *plan, SubjectKey **keys, int nkeys)
{
	ErasureCall *call = palloc0(sizeof(ErasureCall));

	call->map = map;
	call->plan = plan;
	call->keys = keys;
	call->nkeys = nkeys;
	call->scratch = AllocSetContextCreate(CurrentMemoryContext, "effaced parameters", ALLOCSET_DEFAULT_SIZES);
	call->all = new_run(call, NULL);
	call->runs = palloc(sizeof(ErasureRun *) * Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
		call->runs[i] = new_run(call, keys[i]);
	return call;
}

static ErasureRun *
new_run(ErasureCall *call, SubjectKey *key)
{
	ErasurePlan *plan = call->plan;
	ErasureRun *run = palloc0(sizeof(ErasureRun));

	run->map = call->map;
	run->plan = plan;
	run->call = call;
	run->key = key;
	if (plan->rowsets != NIL)
		run->found_rows = palloc0(sizeof(FoundRows) * list_length(plan->rowsets));
	run->counts = palloc0(sizeof(uint64) * Max(list_length(plan->steps), 1));
	return run;
}

/*
 * EffExecRun: locks from the subjects outward, rows that must be found before
 * anything changes, what may stop the call, and then the steps in their order.
 * Each step runs for every subject before the next one does: rows of one may
 * reference rows of another.
 */
void
EffExecRun(ErasureCall *call)
{
	ErasurePlan *plan = call->plan;
	ListCell   *lc;

	/* Citus locks rows of one shard at a time; the keys are in order */
	if (call->nkeys > 1 && EffCitusPresent())
		for (int i = 0; i < call->nkeys; i++)
			lock_rows(call, call->runs[i]);
	else
		lock_rows(call, call->all);
	EffExecFindRows(call, true);
	foreach(lc, plan->refs)
		for (int i = 0; i < call->nkeys; i++)
			EffExecReadRefs(call->runs[i], lfirst(lc));

	EffExecDeferConstraints(plan);
	foreach(lc, plan->steps)
	{
		ErasureStep *step = lfirst(lc);
		bool		whole = step->whole != NULL && call->nkeys > 1;

		if (call->nkeys > 1 && step->many != NULL)
		{
			CHECK_FOR_INTERRUPTS();
			run_for_all(call, step, foreach_current_index(lc));
			continue;
		}
		for (int i = 0; i < call->nkeys; i++)
		{
			uint64	   *count = &call->runs[i]->counts[foreach_current_index(lc)];

			CHECK_FOR_INTERRUPTS();
			if (whole)
				*count = EffExecCount(call->runs[i], step->count);
			else
				run_step(call->runs[i], step, count);
		}
		if (whole)
		{
			(void) EffExecStatement(call->runs[0], step->whole);
			for (int i = 0; i < call->nkeys; i++)
				check_step(call->runs[i], step);
		}
	}
	if (has_triggers(plan))
		for (int i = 0; i < call->nkeys; i++)
			erase_what_triggers_wrote(call->runs[i]);

	EffExecCheckConstraints(plan);
}

/*
 * EffExecFindRows: all row sets first, then in later statements who else owns
 * the rows and who of those is erased, then what becomes of each row.  The
 * order of locks is that of the plan's tables and of the rows' keys.
 */
void
EffExecFindRows(ErasureCall *call, bool lock)
{
	ErasurePlan *plan = call->plan;
	bool		changed = false;
	bool		again;
	ListCell   *lc;

	if (plan->rowsets == NIL)
		return;
	foreach(lc, plan->rowsets)
	{
		/* rows that calls have in common are locked by all in the same order, whoever's they are */
		if (lock && call->nkeys > 1)
			(void) EffExecLock(call->all, ((RowSet *) lfirst(lc))->find_lock);
		for (int i = 0; i < call->nkeys; i++)
			EffExecFind(call->runs[i], lfirst(lc), lock);
	}
	for (int i = 0; i < call->nkeys; i++)
	{
		ErasureRun *run = call->runs[i];
		uint64		contested = 0;

		foreach(lc, plan->rowsets)
			if (((RowSet *) lfirst(lc))->classify != NULL)
				contested += run->found_rows[((RowSet *) lfirst(lc))->id].counts[ROWS_ALL];
		if (contested > 0)
			EffExecFindErased(run);
	}
	if (call->nkeys > 1)
		call->found_rows = palloc0(sizeof(FoundRows) * list_length(plan->rowsets));
	foreach(lc, plan->rowsets)
		unite_rows(call, lfirst(lc));

	/* rows that stay may keep others from going, until no more are found */
	do
	{
		again = false;
		foreach(lc, plan->rowsets)
		{
			RowSet	   *rows = lfirst(lc);

			if (rows->classify == NULL)
				continue;
			for (int i = 0; i < call->nkeys; i++)
				changed |= classify_rows(call->runs[i], rows);
			unite_rows(call, rows);
			again |= rows->reclassify;
		}
		again &= changed;
		changed = false;
	} while (again);
	foreach(lc, plan->rowsets)
	{
		PlannedTable *planned = table_of(plan, lfirst(lc));

		for (int i = 0; i < call->nkeys; i++)
			if (planned->pinned_error != NULL &&
				call->runs[i]->found_rows[planned->rows->id].counts[ROWS_PINNED] > 0)
				EffMapErrorRaise(planned->pinned_error);
	}
}

/*
 * EffExecStatement binds what the parameters stand for.  A result is in
 * SPI_tuptable, for the caller to free.
 */
uint64
EffExecStatement(ErasureRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind_params(run, st, &nulls);
	uint64		rows;

	EffStatementPrepare(st);
	rows = EffSpiExecute(st->plan, values, nulls, run->call->read_only, st->expected, &st->place);
	MemoryContextReset(run->call->scratch);
	return rows;
}

/*
 * EffExecOpen opens a cursor over what a statement reads, in the snapshot of
 * the caller's command; the name is for EffSpiFetch().
 */
const char *
EffExecOpen(ErasureRun *run, Statement *st)
{
	const char *nulls;
	Datum	   *values = bind_params(run, st, &nulls);
	const char *name;

	EffStatementPrepare(st);
	name = EffSpiOpen(st->plan, values, nulls, &st->place);
	MemoryContextReset(run->call->scratch);
	return name;
}

/* bind_params gives the values of a statement's parameters, in the scratch context; nulls as SPI takes them. */
static Datum *
bind_params(ErasureRun *run, Statement *st, const char **nulls)
{
	MemoryContext context = MemoryContextSwitchTo(run->call->scratch);
	Datum	   *values = palloc(sizeof(Datum) * Max(list_length(st->params), 1));
	char	   *null = NULL;
	MapTable   *subject = run->plan->subject;
	ListCell   *lc;

	foreach(lc, st->params)
	{
		StatementParam *param = lfirst(lc);
		Datum	   *value = &values[foreach_current_index(lc)];
		ErasedSubjects *erased;

		switch (param->kind)
		{
			case PARAM_KEY:
				*value = run->key ? EffKeyArray(subject, param->index, &run->key, 1) :
					EffKeyArray(subject, param->index, run->call->keys, run->call->nkeys);
				break;
			case PARAM_CALL:
				*value = EffKeyArray(subject, param->index, run->call->keys, run->call->nkeys);
				break;
			case PARAM_ERASED:
				erased = erased_of(run, param->of);
				*value = EffKeyArray(erased->subject, param->index, erased->keys, erased->nkeys);
				break;
			case PARAM_SECRET:
				*value = CStringGetTextDatum(EffSecret(run->map));
				break;
			case PARAM_ROWS:
				*value = run->found_rows[((const RowSet *) param->of)->id].parts[param->part][param->index];
				break;
			case PARAM_CALL_ROWS:
				*value = (run->call->nkeys > 1 ? run->call : &(ErasureCall) {.found_rows = run->found_rows})
					->found_rows[((const RowSet *) param->of)->id].parts[param->part][param->index];
				break;
			case PARAM_VALUE:
				*value = run->call->values[param->index].value;
				if (!run->call->values[param->index].isnull)
					break;
				if (null == NULL)
				{
					null = palloc0(list_length(st->params) + 1);
					memset(null, ' ', list_length(st->params));
				}
				null[foreach_current_index(lc)] = 'n';
				break;
			case PARAM_RESTRICTED:
			case PARAM_CUTOFF:
			case PARAM_BATCH:
				elog(ERROR, "parameter of a retention in the statement of a plan");
		}
	}
	MemoryContextSwitchTo(context);
	*nulls = null;
	return values;
}

/*
 * EffExecCount runs a statement that returns one count.
 */
uint64
EffExecCount(ErasureRun *run, Statement *st)
{
	bool		isnull;
	uint64		count;

	if (EffExecStatement(run, st) != 1)
		elog(ERROR, "a count returned no row");
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* EffExecLock runs a SELECT ... FOR UPDATE for its locks and its count. */
uint64
EffExecLock(ErasureRun *run, Statement *st)
{
	uint64		rows = EffExecStatement(run, st);

	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/* lock_rows locks subjects, and then what their children hang from. */
static void
lock_rows(ErasureCall *call, ErasureRun *run)
{
	ListCell   *lc;

	lock_subjects(call, run);
	foreach(lc, call->plan->locks)
		(void) EffExecLock(run, lfirst(lc));
}

/* lock_subjects locks the subjects' rows of a run in the order of their key. */
static void
lock_subjects(ErasureCall *call, ErasureRun *run)
{
	uint64		n = EffExecStatement(run, call->plan->lock_subject);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 row = 0; row < n; row++)
		run_of_row(call, rows, row)->found++;
	SPI_freetuptable(rows);
}

/* run_for_all runs a step for all subjects by one statement. */
static void
run_for_all(ErasureCall *call, ErasureStep *step, int number)
{
	uint64		n = EffExecStatement(call->all, step->many);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;

		run_of_row(call, rows, row)->counts[number] =
			DatumGetInt64(SPI_getbinval(rows->vals[row], rows->tupdesc, call->plan->subject->nkey + 1, &isnull));
	}
	SPI_freetuptable(rows);
}

/*
 * run_of_row finds the subject whose key a result row begins with, by its text
 * or, where its type takes several texts for equal, by that.
 */
static ErasureRun *
run_of_row(ErasureCall *call, SPITupleTable *rows, uint64 row)
{
	MapTable   *subject = call->plan->subject;
	MemoryContext previous;
	SubjectKey *key;
	ErasureRun *run;

	if (call->nkeys == 1)
		return call->runs[0];
	previous = MemoryContextSwitchTo(call->scratch);
	key = key_of_row(subject, rows, row);
	run = EffExecRunOf(call, key->text);
	for (int i = 0; run == NULL && i < call->nkeys; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (EffIdentifierEqual(subject, call->keys[i], key))
			run = call->runs[i];
	}
	if (run == NULL)
		elog(ERROR, "a row of relation %u belongs to none of the subjects of the call", subject->rel->oid);
	MemoryContextSwitchTo(previous);
	MemoryContextReset(call->scratch);
	return run;
}

/* EffExecRunOf: the call's subjects are in order of their text. */
ErasureRun *
EffExecRunOf(ErasureCall *call, const char *text)
{
	int			low = 0;
	int			high = call->nkeys;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(call->keys[middle]->text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < call->nkeys && strcmp(call->keys[low]->text, text) == 0 ? call->runs[low] : NULL;
}

/*
 * EffExecReadRefs keeps what columns with "ref" hold, as long as the run.
 */
void
EffExecReadRefs(ErasureRun *run, RefSource *source)
{
	uint64		n = EffExecStatement(run, source->read);
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext previous = MemoryContextSwitchTo(GetMemoryChunkContext(run));

	for (uint64 row = 0; row < n; row++)
	{
		ExternalRef *ref = palloc0(sizeof(ExternalRef));
		bool		isnull;
		MapColumn  *column = list_nth(source->columns,
									  DatumGetInt32(SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull)));
		char	   *value = SPI_getvalue(rows->vals[row], rows->tupdesc, 2);

		if (pg_mbstrlen(value) > EFF_REF_LENGTH)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RESOLVER),
					 errmsg("column %s of %s holds a reference of more than %d characters",
							quote_identifier(column->column->name), source->table->name, EFF_REF_LENGTH),
					 errdetail("Its label says that it is an identifier in the external system \"%s\".", column->label->ref),
					 errhint("Take \"ref\" out of the label, or correct the row."),
					 errhidestmt(true)));
		ref->kind = column->label->ref;
		ref->value = value;
		run->refs = lappend(run->refs, ref);
	}
	MemoryContextSwitchTo(previous);
	SPI_freetuptable(rows);
}

/* unite_rows puts the rows found for the subjects of a call together. */
static void
unite_rows(ErasureCall *call, RowSet *rows)
{
	FoundRows  *all;

	if (call->nkeys <= 1)
		return;
	all = &call->found_rows[rows->id];
	all->nparts = ROWS_KEPT_BY + rows->nlinks;
	all->parts = palloc0(sizeof(Datum *) * all->nparts);
	for (int part = 0; part < all->nparts; part++)
	{
		if (call->runs[0]->found_rows[rows->id].parts[part] == NULL)
			continue;
		all->parts[part] = palloc(sizeof(Datum) * rows->nkey);
		for (int k = 0; k < rows->nkey; k++)
			all->parts[part][k] = unite_arrays(call, rows, part, k);
	}
}

static Datum
unite_arrays(ErasureCall *call, RowSet *rows, int part, int k)
{
	Oid			type = getBaseType(EffRelationColumn(rows->rel, rows->key[k])->type);
	ArrayBuildState *state = initArrayResult(type, CurrentMemoryContext, false);

	for (int i = 0; i < call->nkeys; i++)
	{
		ArrayType  *array = DatumGetArrayTypeP(call->runs[i]->found_rows[rows->id].parts[part][k]);
		ArrayIterator it = array_create_iterator(array, 0, NULL);
		Datum		value;
		bool		isnull;

		while (array_iterate(it, &value, &isnull))
			state = accumArrayResult(state, value, isnull, type, CurrentMemoryContext);
		array_free_iterator(it);
	}
	return makeArrayResult(state, CurrentMemoryContext);
}

/* EffExecFind keeps the keys of a row set as arrays. */
void
EffExecFind(ErasureRun *run, RowSet *rows, bool lock)
{
	FoundRows  *found = &run->found_rows[rows->id];
	uint64		n = EffExecStatement(run, lock ? rows->find_lock : rows->find);

	found->nparts = ROWS_KEPT_BY + rows->nlinks;
	found->counts = palloc0(sizeof(uint64) * found->nparts);
	found->parts = palloc0(sizeof(Datum *) * found->nparts);
	found->counts[ROWS_ALL] = n;
	found->parts[ROWS_ALL] = key_arrays(rows, n, NULL, 0);
	/* until it is known better, all of them go */
	found->parts[ROWS_GONE] = found->parts[ROWS_ALL];
	for (int part = ROWS_PINNED; part < found->nparts; part++)
		found->parts[part] = key_arrays(rows, 0, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * EffExecFindErased looks up the owners of the rows at hand, which of them have an
 * erasure on record, and which of those are used anew.
 */
void
EffExecFindErased(ErasureRun *run)
{
	ListCell   *lc;

	foreach(lc, run->plan->revivals)
	{
		SubjectRevival *revival = lfirst(lc);
		ErasedSubjects *erased = palloc0(sizeof(ErasedSubjects));
		ListCell   *lc2;
		int			size = 0;
		char	  **refs;
		ErasureRecord *recorded;
		ErasureRecord *records;
		int			kept = 0;

		erased->subject = revival->subject;
		foreach(lc2, run->plan->owners)
		{
			OwnerQuery *query = lfirst(lc2);
			uint64		n;

			if (query->subject != revival->subject ||
				run->found_rows[query->rows->id].counts[ROWS_ALL] == 0)
				continue;
			n = EffExecStatement(run, query->owners);
			erased->keys = erased->keys == NULL ? palloc(sizeof(SubjectKey *) * Max(n, 1)) :
				repalloc(erased->keys, sizeof(SubjectKey *) * Max(size + n, 1));
			for (uint64 row = 0; row < n; row++)
				erased->keys[size++] = key_of_row(revival->subject, SPI_tuptable, row);
			SPI_freetuptable(SPI_tuptable);
		}
		size = EffIdentifierUnique(erased->keys, size);
		refs = palloc(sizeof(char *) * Max(size, 1));
		for (int i = 0; i < size; i++)
			refs[i] = erased->keys[i]->text;
		recorded = EffAuditErased(revival->subject->kind, refs, size);
		records = palloc(sizeof(ErasureRecord) * Max(size, 1));
		for (int i = 0; i < size; i++)
			if (recorded[i] != ERASURE_UNKNOWN)
			{
				records[kept] = recorded[i];
				erased->keys[kept++] = erased->keys[i];
			}
		erased->nkeys = kept;
		run->erased = lappend(run->erased, erased);
		if (kept > 0)
			forget_revived(run, revival, records);
	}
}

/*
 * forget_revived takes those out whose row has been used anew: it holds more
 * than an erasure wrote, or was not there when the erasure was recorded.
 */
static void
forget_revived(ErasureRun *run, SubjectRevival *revival, const ErasureRecord *records)
{
	ErasedSubjects *erased = erased_of(run, revival->subject);
	uint64		n = EffExecStatement(run, revival->rows);
	bool	   *living = palloc0(sizeof(bool) * erased->nkeys);
	int			kept = 0;

	for (uint64 row = 0; row < n; row++)
	{
		SubjectKey *key = key_of_row(revival->subject, SPI_tuptable, row);
		bool		isnull;
		bool		residual = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
														  revival->subject->nkey + 1, &isnull));

		for (int i = 0; i < erased->nkeys; i++)
			if (strcmp(erased->keys[i]->text, key->text) == 0)
				living[i] |= residual || records[i] == ERASURE_OF_NOBODY;
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < erased->nkeys; i++)
		if (!living[i])
			erased->keys[kept++] = erased->keys[i];
	erased->nkeys = kept;
}

/*
 * classify_rows sorts the rows of a contested table into its parts, and tells
 * whether fewer of them go than it seemed before.
 */
static bool
classify_rows(ErasureRun *run, RowSet *rows)
{
	FoundRows  *found = &run->found_rows[rows->id];
	uint64		pinned = found->counts[ROWS_PINNED];
	uint64		kept = found->counts[ROWS_KEPT];
	uint64		n = EffExecStatement(run, rows->classify);
	int		   *part_of = palloc(sizeof(int) * Max(n, 1));
	int		   *kept_by = palloc(sizeof(int) * Max(n, 1));
	bool		isnull;

	for (int part = ROWS_GONE; part <= ROWS_KEPT; part++)
		found->counts[part] = 0;
	for (uint64 row = 0; row < n; row++)
	{
		part_of[row] = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
												   rows->nkey + 1, &isnull));
		found->counts[part_of[row]]++;
	}
	for (int part = ROWS_GONE; part <= ROWS_KEPT; part++)
		found->parts[part] = key_arrays(rows, n, part_of, part);
	for (int link = 0; link < rows->nlinks; link++)
	{
		for (uint64 row = 0; row < n; row++)
			kept_by[row] = part_of[row] == ROWS_KEPT &&
				DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
										   rows->nkey + 2 + link, &isnull)) ? ROWS_KEPT_BY + link : ROWS_ALL;
		found->parts[ROWS_KEPT_BY + link] = key_arrays(rows, n, kept_by, ROWS_KEPT_BY + link);
	}
	SPI_freetuptable(SPI_tuptable);
	return found->counts[ROWS_PINNED] != pinned || found->counts[ROWS_KEPT] != kept;
}

static PlannedTable *
table_of(ErasurePlan *plan, RowSet *rows)
{
	ListCell   *lc;

	foreach(lc, plan->tables)
		if (((PlannedTable *) lfirst(lc))->rows == rows)
			return lfirst(lc);
	return plan->own_links;
}

/* key_arrays turns result rows, all or those of one part, into arrays of the key's columns. */
static Datum *
key_arrays(RowSet *rows, uint64 n, const int *part_of, int part)
{
	Datum	   *arrays = palloc(sizeof(Datum) * rows->nkey);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < rows->nkey; i++)
	{
		Oid			type = getBaseType(EffRelationColumn(rows->rel, rows->key[i])->type);
		int			length = 0;
		bool		isnull;
		int16		typlen;
		bool		byval;
		char		align;

		for (uint64 row = 0; row < n; row++)
			if (part_of == NULL || part_of[row] == part)
				values[length++] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
		get_typlenbyvalalign(type, &typlen, &byval, &align);
		arrays[i] = PointerGetDatum(construct_array(values, length, type, typlen, byval, align));
	}
	pfree(values);
	return arrays;
}

static SubjectKey *
key_of_row(MapTable *subject, SPITupleTable *rows, uint64 row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull;

	for (int i = 0; i < subject->nkey; i++)
		values[i] = SPI_getbinval(rows->vals[row], rows->tupdesc, i + 1, &isnull);
	return EffIdentifierFromValues(subject, values);
}

/* erased_of returns the erased subjects of a kind; none where nobody asked. */
static ErasedSubjects *
erased_of(ErasureRun *run, const MapTable *subject)
{
	ErasedSubjects *erased;
	ListCell   *lc;

	foreach(lc, run->erased)
		if (((ErasedSubjects *) lfirst(lc))->subject == subject)
			return lfirst(lc);
	erased = palloc0(sizeof(ErasedSubjects));
	erased->subject = unconstify(MapTable *, subject);
	return erased;
}

static void
run_step(ErasureRun *run, ErasureStep *step, uint64 *count)
{
	switch (step->strategy)
	{
		case STEP_SIDE_EFFECT:
			return;
		case STEP_BLOCKER:
			*count = EffExecCount(run, step->statement);
			if (*count > 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_RETENTION),
						 errmsg_plural("%llu row of %s references rows that would go",
									   "%llu rows of %s reference rows that would go",
									   *count, (unsigned long long) *count, step->rel->name),
						 errdetail("Constraint %s: %s.", quote_identifier(step->fk->name), step->reason),
						 errhint("%s", step->hint),
						 err_generic_string(PG_DIAG_SCHEMA_NAME, step->rel->schema),
						 err_generic_string(PG_DIAG_TABLE_NAME, step->rel->relname),
						 err_generic_string(PG_DIAG_CONSTRAINT_NAME, step->fk->name),
						 errhidestmt(true)));
			return;
		case STEP_RETAIN:
			*count = EffExecCount(run, step->statement);
			return;
		case STEP_SHARED:
			*count = run->found_rows[step->planned->rows->id].counts[ROWS_KEPT];
			if (step->statement == NULL || *count == 0)
				return;
			(void) EffExecStatement(run, step->statement);
			break;
		default:
			*count = EffExecStatement(run, step->statement);
			break;
	}
	check_step(run, step);
}

static void
check_step(ErasureRun *run, ErasureStep *step)
{
	if (step->check != NULL && EffExecCount(run, step->check) > 0)
		not_as_planned(step->rel, EffStrategyWord(step->strategy));
}

static bool
has_triggers(ErasurePlan *plan)
{
	ListCell   *lc;

	foreach(lc, plan->steps)
		if (((ErasureStep *) lfirst(lc))->rel->has_triggers)
			return true;
	return false;
}

/*
 * erase_what_triggers_wrote: a history trigger may have copied what was just
 * replaced into a table whose turn was before.  Such tables get their steps
 * once more; what is there even then is an error.
 */
static void
erase_what_triggers_wrote(ErasureRun *run)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, run->plan->tables)
	{
		PlannedTable *planned = lfirst(lc);
		TableVerdict verdict;

		/* rows found first are those that were there then: others have no owner yet */
		if (planned->rows != NULL)
		{
			if (EffExecCount(run, planned->rows->added) > 0)
				not_as_planned(planned->table->rel, "last");
			continue;
		}
		EffExecVerify(run, planned, &verdict);
		if (verdict.residual == 0)
			continue;
		foreach(lc2, run->plan->steps)
		{
			ErasureStep *step = lfirst(lc2);
			uint64		more;

			if (step->planned != planned || (step->strategy != STEP_DELETE && step->strategy != STEP_ANONYMIZE))
				continue;
			run_step(run, step, &more);
			run->counts[foreach_current_index(lc2)] += more;
		}
		EffExecVerify(run, planned, &verdict);
		if (verdict.residual > 0)
			not_as_planned(planned->table->rel, "last");
	}
}

/*
 * EffExecVerify counts what is left of the subject in a planned table.
 */
void
EffExecVerify(ErasureRun *run, PlannedTable *planned, TableVerdict *verdict)
{
	Statement  *st = EffPlanVerifyStatement(run->map, run->plan, planned);
	bool		isnull;

	verdict->name = planned->table->name;
	if (EffExecStatement(run, st) != 1)
		elog(ERROR, "a count returned no row");
	verdict->residual = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	verdict->surviving = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	verdict->excluded = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

static void
not_as_planned(EffRelation *rel, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("rows of %s were not written as planned", rel->name),
			 errdetail("After the %s step there are still rows with values of the subject.", what),
			 errhint("A row trigger or a rule on %s keeps the statement from its work; disable it for this call or let it pass.",
					 rel->name),
			 errhidestmt(true)));
}

void
EffExecDeferConstraints(ErasurePlan *plan)
{
	if (plan->defer != NIL)
		set_constraints(plan->defer, "DEFERRED");
}

/*
 * EffExecCheckConstraints: whatever is deferred is checked before the call
 * returns, so that its outcome is known here and an error of COMMIT cannot show
 * a value.
 */
void
EffExecCheckConstraints(ErasurePlan *plan)
{
	List	   *declared = NIL;
	ListCell   *lc;

	if (plan->defer != NIL)
		set_constraints(plan->defer, "IMMEDIATE");
	if (plan->check_now != NIL)
		set_constraints(plan->check_now, "IMMEDIATE");
	foreach(lc, list_concat_copy(plan->defer, plan->check_now))
		if (((ForeignKey *) lfirst(lc))->initially_deferred)
			declared = lappend(declared, lfirst(lc));
	if (declared != NIL)
		set_constraints(declared, "DEFERRED");
	EffConstraintsCheck(plan->changed);
}

/* set_constraints issues SET CONSTRAINTS for foreign keys. */
static void
set_constraints(List *foreign_keys, const char *mode)
{
	StringInfoData sql;
	EffStatementPlace place = {.action = "checking foreign keys of", .relation = "the changed rows"};
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SET CONSTRAINTS ");
	foreach(lc, foreign_keys)
	{
		ForeignKey *fk = lfirst(lc);

		appendStringInfo(&sql, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_qualified_identifier(fk->schema, fk->name));
	}
	appendStringInfo(&sql, " %s", mode);
	EffSpiCommand(sql.data, &place);
}

/*
 * EffExecTotal sums a step's rows up over the subjects of a call.  A row that
 * several of them share is one row.
 */
uint64
EffExecTotal(ErasureCall *call, int number)
{
	ErasureStep *step = list_nth(call->plan->steps, number);
	RowSet	   *rows = step->planned->rows;
	uint64		total = 0;

	for (int i = 0; i < call->nkeys; i++)
		total += call->runs[i]->counts[number];
	if (call->nkeys > 1 && rows != NULL && total > 0 &&
		(step->strategy == STEP_SHARED || step->strategy == STEP_RETAIN || step->whole != NULL))
		total = count_distinct(rows, call->found_rows[rows->id].parts[step->strategy == STEP_SHARED ? ROWS_KEPT :
																	   step->planned->contested ? ROWS_GONE : ROWS_ALL]);
	return total;
}

/* count_distinct counts the rows of a part, given as arrays of the key's columns. */
static uint64
count_distinct(RowSet *rows, const Datum *arrays)
{
	char	  **texts = NULL;
	int			n = 0;
	uint64		distinct = 0;

	for (int k = 0; k < rows->nkey; k++)
	{
		ArrayType  *array = DatumGetArrayTypeP(arrays[k]);
		Oid			output;
		bool		varlena;
		Datum	   *values;
		int16		length;
		bool		byval;
		char		align;

		getTypeOutputInfo(ARR_ELEMTYPE(array), &output, &varlena);
		get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &byval, &align);
		deconstruct_array(array, ARR_ELEMTYPE(array), length, byval, align, &values, NULL, &n);
		if (texts == NULL)
			texts = palloc0(sizeof(char *) * Max(n, 1));
		for (int i = 0; i < n; i++)
			texts[i] = psprintf("%s%s,", texts[i] ? texts[i] : "",
								quote_literal_cstr(OidOutputFunctionCall(output, values[i])));
	}
	if (n > 1)
		qsort(texts, n, sizeof(char *), pg_qsort_strcmp);
	for (int i = 0; i < n; i++)
		distinct += i == 0 || strcmp(texts[i - 1], texts[i]) != 0 ? 1 : 0;
	return distinct;
}
