/*
 * find_rows.c
 *	  Finds the rows that must be known before anything changes, and what
 *	  becomes of each: it goes, or it is somebody else's too.
 */
#include "postgres.h"

#include "exec/exec.h"
#include "relations/types.h"
#include "trail/trail.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static void forget_revived(ErasureRun *run, SubjectRevival *revival, SubjectSet *erased, const ErasureRecord *records);
static bool classify_rows(ErasureRun *run, RowSet *rows);
static PlannedTable *table_of(RequestPlan *plan, RowSet *rows);
static Datum *key_arrays(RowSet *rows, uint64 n, const int *part_of, int part);
static Datum result_array(Oid type, int column, uint64 n, const int *part_of, int part);
static void unite_rows(ErasureCall *call, RowSet *rows);
static Datum unite_arrays(ErasureCall *call, RowSet *rows, int part, int k);

/*
 * EffExecFindRows: all row sets first, then in later statements who else owns
 * the rows and who of those is erased, then what becomes of each row.  The
 * order of locks is that of the plan's tables and of the rows' keys.
 */
void
EffExecFindRows(ErasureCall *call, bool lock)
{
	RequestPlan *plan = call->plan;
	bool		changed = false;
	bool		again;
	ListCell   *lc;

	if (plan->rowsets == NIL)
		return;
	foreach(lc, plan->rowsets)
	{
		/* rows that calls have in common are locked by all in the same order, whoever's they are */
		if (lock && call->nkeys > 1)
			(void) EffExecLock(call->all, ((RowSet *) lfirst(lc))->find_lock.all);
		for (int i = 0; i < call->nkeys; i++)
			EffExecFind(call->runs[i], lfirst(lc), lock);
	}
	for (int i = 0; i < call->nkeys; i++)
	{
		ErasureRun *run = call->runs[i];
		uint64		contested = 0;

		foreach_ptr(RowSet, set, plan->rowsets)
			if (set->classify != NULL)
				contested += run->found_rows[set->id].counts[ROWS_ALL];
		if (contested > 0)
			EffExecFindErased(run);
	}
	foreach(lc, plan->rowsets)
		unite_rows(call, lfirst(lc));

	/* rows that stay may keep others from going, until no more are found */
	do
	{
		again = false;
		foreach_ptr(RowSet, rows, plan->rowsets)
		{
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
 * EffExecFindParents keeps the keys as long as the run.  To lock rows takes UPDATE,
 * which whoever deletes them need not have.
 */
bool
EffExecFindParents(ErasureRun *run, ParentSet *parents)
{
	FoundParents *found = &run->found_parents[parents->id];
	MemoryContext previous;
	uint64		n;

	if (found->known)
		return found->usable;
	found->known = true;
	if (OidIsValid(parents->locked) && pg_class_aclcheck(parents->locked, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		return false;
	n = EffExecStatement(run, parents->find);
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(run));
	found->usable = n <= MAX_PARENTS;
	if (found->usable)
		found->keys = result_array(parents->type, 1, n, NULL, 0);
	MemoryContextSwitchTo(previous);
	SPI_freetuptable(SPI_tuptable);
	return found->usable;
}

/* EffExecFind keeps the keys of a row set as arrays. */
void
EffExecFind(ErasureRun *run, RowSet *rows, bool lock)
{
	FoundRows  *found = &run->found_rows[rows->id];
	uint64		n = EffExecStatement(run, lock ? rows->find_lock.one : rows->find);

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
	foreach_ptr(SubjectRevival, revival, run->plan->revivals)
	{
		SubjectSet *erased = palloc0(sizeof(SubjectSet));
		int			size = 0;
		char	  **refs;
		ErasureRecord *recorded;
		ErasureRecord *records;
		int			kept = 0;

		erased->subject = revival->subject;
		foreach_ptr(OwnerQuery, query, run->plan->owners)
		{
			uint64		n;

			if (query->subject != revival->subject ||
				run->found_rows[query->rows->id].counts[ROWS_ALL] == 0)
				continue;
			n = EffExecStatement(run, query->owners);
			erased->keys = erased->keys == NULL ? palloc(sizeof(SubjectKey *) * Max(n, 1)) :
				repalloc(erased->keys, sizeof(SubjectKey *) * Max(size + n, 1));
			for (uint64 row = 0; row < n; row++)
				erased->keys[size++] = EffExecKeyOfRow(revival->subject, SPI_tuptable, row);
			SPI_freetuptable(SPI_tuptable);
		}
		size = EffIdentifierUnique(erased->keys, size);
		refs = palloc(sizeof(char *) * Max(size, 1));
		for (int i = 0; i < size; i++)
			refs[i] = erased->keys[i]->text;
		recorded = EffTrailErasures(revival->subject->kind, refs, size);
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
			forget_revived(run, revival, erased, records);
	}
}

/*
 * forget_revived takes those out whose row has been used anew: it holds more
 * than an erasure wrote, or was not there when the erasure was recorded.
 */
static void
forget_revived(ErasureRun *run, SubjectRevival *revival, SubjectSet *erased, const ErasureRecord *records)
{
	uint64		n = EffExecStatement(run, revival->rows);
	bool	   *living = palloc0(sizeof(bool) * erased->nkeys);
	int			kept = 0;

	for (uint64 row = 0; row < n; row++)
	{
		SubjectKey *key = EffExecKeyOfRow(revival->subject, SPI_tuptable, row);
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
table_of(RequestPlan *plan, RowSet *rows)
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

	for (int i = 0; i < rows->nkey; i++)
		arrays[i] = result_array(EffBaseType(EffRelationColumn(rows->rel, rows->key[i])->type), i + 1, n, part_of, part);
	return arrays;
}

/* result_array gathers a result column; nothing is equal to a NULL. */
static Datum
result_array(Oid type, int column, uint64 n, const int *part_of, int part)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	int			length = 0;
	bool		isnull;
	int16		typlen;
	bool		byval;
	char		align;
	Datum		array;

	for (uint64 row = 0; row < n; row++)
		if (part_of == NULL || part_of[row] == part)
		{
			values[length] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
			length += isnull ? 0 : 1;
		}
	get_typlenbyvalalign(type, &typlen, &byval, &align);
	array = PointerGetDatum(construct_array(values, length, type, typlen, byval, align));
	pfree(values);
	return array;
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
	Oid			type = EffBaseType(EffRelationColumn(rows->rel, rows->key[k])->type);
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

uint64
EffExecCountDistinct(RowSet *rows, const Datum *arrays)
{
	char	  **texts = NULL;
	int			n = 0;
	uint64		distinct = 0;

	for (int k = 0; k < rows->nkey; k++)
	{
		ArrayType  *array = DatumGetArrayTypeP(arrays[k]);
		Oid			output;
		Datum	   *values;
		int16		length;
		bool		byval;
		char		align;

		EffTypeOutput(ARR_ELEMTYPE(array), &output);
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
