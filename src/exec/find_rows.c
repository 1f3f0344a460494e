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

static SubjectSet *find_owners(SubjectRun *run, MapTable *subject);
static void keep_erased(SubjectRun *run, ReusedQuery *query, SubjectSet *owners);
static List *find_nobody(SubjectRun *run, ReusedQuery *query, int nowners);
static void leave_out_reused(SubjectRun *run, ReusedQuery *query, SubjectSet *erased,
							 const ErasureRecord *records);
static bool classify_rows(SubjectRun *run, RowSet *rows);
static PlannedTable *table_of(RequestPlan *plan, RowSet *rows);
static Datum *key_arrays(RowSet *rows, uint64 n, const int *part_of, int part);
static Datum result_array(Oid type, int column, uint64 n, const int *part_of, int part);
static void unite_rows(Call *call, RowSet *rows);
static Datum unite_arrays(Call *call, RowSet *rows, int part, int k);

/*
 * EffExecFindRows: all row sets first, then in later statements who else owns
 * the rows and who of those is erased, then what becomes of each row.  The
 * order of locks is that of the plan's tables and of the rows' keys.
 */
void
EffExecFindRows(Call *call, bool lock)
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
		SubjectRun *run = call->runs[i];
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
 * EffExecFindParents finds a parent set, unless that was done, and returns whether its
 * keys can be used; the run keeps them.  They cannot be where there are more than
 * MAX_PARENTS, or the role may not lock the rows: that takes UPDATE, which a role that
 * deletes them need not have.
 */
bool
EffExecFindParents(SubjectRun *run, ParentSet *parents)
{
	FoundParents *found = &run->found_parents[parents->id];
	MemoryContext previous;
	uint64		n;

	if (found->known)
		return found->usable;
	found->known = true;
	if (OidIsValid(parents->locked) && pg_class_aclcheck(parents->locked, GetUserId(),
														 ACL_UPDATE) != ACLCHECK_OK)
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

/*
 * EffExecFind finds the rows of a row set for a subject; the run keeps their keys as
 * arrays.  With lock they are locked in the order of the key.
 */
void
EffExecFind(SubjectRun *run, RowSet *rows, bool lock)
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
 * EffExecFindErased finds out which owners of the rows found have an erasure on
 * record and are not reused; they own the rows no more.  The run keeps them, by
 * kind of subject.  Call it after the row sets are found.
 */
void
EffExecFindErased(SubjectRun *run)
{
	foreach_ptr(ReusedQuery, query, run->plan->reused)
	{
		SubjectSet *owners = find_owners(run, query->subject);

		run->erased = lappend(run->erased, owners);
		keep_erased(run, query, owners);
	}
}

/* find_owners finds the owners, of one kind, of the rows found. */
static SubjectSet *
find_owners(SubjectRun *run, MapTable *subject)
{
	SubjectSet *owners = palloc0(sizeof(SubjectSet));

	owners->subject = subject;
	foreach_ptr(OwnerQuery, query, run->plan->owners)
	{
		uint64		n;

		if (query->subject != subject || run->found_rows[query->rows->id].counts[ROWS_ALL] == 0)
			continue;
		n = EffExecStatement(run, query->owners);
		owners->keys = owners->keys == NULL ? palloc(sizeof(SubjectKey *) * Max(n, 1)) :
			repalloc(owners->keys, sizeof(SubjectKey *) * Max(owners->nkeys + n, 1));
		for (uint64 row = 0; row < n; row++)
			owners->keys[owners->nkeys++] = EffExecKeyOfRow(subject, SPI_tuptable, row);
		SPI_freetuptable(SPI_tuptable);
	}
	owners->nkeys = EffIdentifierUnique(owners->keys, owners->nkeys);
	return owners;
}

/*
 * keep_erased leaves only those who are erased and not reused, and those who are nobody
 * since an erasure has replaced the identifier by which they were found.
 */
static void
keep_erased(SubjectRun *run, ReusedQuery *query, SubjectSet *owners)
{
	char	  **refs = palloc(sizeof(char *) * Max(owners->nkeys, 1));
	ErasureRecord *recorded;
	ErasureRecord *records = palloc(sizeof(ErasureRecord) * Max(owners->nkeys, 1));
	List	   *nobody = find_nobody(run, query, owners->nkeys);
	int			kept = 0;

	for (int i = 0; i < owners->nkeys; i++)
		refs[i] = owners->keys[i]->text;
	recorded = EffTrailErasures(owners->subject->kind, refs, owners->nkeys);
	for (int i = 0; i < owners->nkeys; i++)
		if (recorded[i] != ERASURE_UNKNOWN)
		{
			records[kept] = recorded[i];
			owners->keys[kept++] = owners->keys[i];
		}
	owners->nkeys = kept;
	if (kept > 0)
		leave_out_reused(run, query, owners, records);
	if (nobody == NIL)
		return;
	owners->keys = repalloc(owners->keys, sizeof(SubjectKey *) *
							(owners->nkeys + list_length(nobody)));
	foreach_ptr(SubjectKey, key, nobody)
		owners->keys[owners->nkeys++] = key;
	owners->nkeys = EffIdentifierUnique(owners->keys, owners->nkeys);
}

/* find_nobody finds those of the owners (of SubjectKey) whose identifier is a surrogate. */
static List *
find_nobody(SubjectRun *run, ReusedQuery *query, int nowners)
{
	List	   *keys = NIL;
	uint64		n;

	if (query->nobody == NULL || nowners == 0)
		return NIL;
	n = EffExecStatement(run, query->nobody);
	for (uint64 row = 0; row < n; row++)
		keys = lappend(keys, EffExecKeyOfRow(query->subject, SPI_tuptable, row));
	SPI_freetuptable(SPI_tuptable);
	return keys;
}

/*
 * leave_out_reused leaves out those who are reused: the subject's row holds more
 * than an erasure writes, or there was none when the erasure was recorded.
 */
static void
leave_out_reused(SubjectRun *run, ReusedQuery *query, SubjectSet *erased,
				 const ErasureRecord *records)
{
	uint64		n = EffExecStatement(run, query->rows);
	bool	   *reused = palloc0(sizeof(bool) * erased->nkeys);
	int			kept = 0;

	for (uint64 row = 0; row < n; row++)
	{
		SubjectKey *key = EffExecKeyOfRow(query->subject, SPI_tuptable, row);
		bool		isnull;
		bool		residual = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
														  SPI_tuptable->tupdesc,
														  query->subject->nkey + 1, &isnull));

		for (int i = 0; i < erased->nkeys; i++)
			if (strcmp(erased->keys[i]->text, key->text) == 0)
				reused[i] |= residual || records[i] == ERASURE_OF_NOBODY;
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < erased->nkeys; i++)
		if (!reused[i])
			erased->keys[kept++] = erased->keys[i];
	erased->nkeys = kept;
}

/*
 * classify_rows sorts the rows of a contested table into its parts, and tells
 * whether fewer of them go than it seemed before.
 */
static bool
classify_rows(SubjectRun *run, RowSet *rows)
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
										   rows->nkey + 2 + link, &isnull)) ? ROWS_KEPT_BY + link :
										   ROWS_ALL;
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
		arrays[i] = result_array(EffBaseType(EffRelationColumn(rows->rel, rows->key[i])->type),
								 i + 1, n, part_of, part);
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
			values[length] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
										   &isnull);
			length += isnull ? 0 : 1;
		}
	get_typlenbyvalalign(type, &typlen, &byval, &align);
	array = PointerGetDatum(construct_array(values, length, type, typlen, byval, align));
	pfree(values);
	return array;
}

/* unite_rows puts the rows found for the subjects of a call together. */
static void
unite_rows(Call *call, RowSet *rows)
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
unite_arrays(Call *call, RowSet *rows, int part, int k)
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

/*
 * EffExecCountDistinct returns the number of rows in arrays of their key's columns, as
 * the parts of a row set are; a row that several subjects share is there repeatedly,
 * and counted once.
 */
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
