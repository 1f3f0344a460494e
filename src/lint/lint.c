/*
 * lint.c
 *	  effaced_lint(): its arguments, what all checks are given, the order of the
 *	  checks, and the rows of the result.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "lint/lint_int.h"

#include "catalog/namespace.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_lint);

/*
 * The checks in the order in which they run.  A check that knows less about a
 * column or an error stands behind those that know more, and leaves out what
 * they have told.
 */
static const LintCheck checks[] = {
	EffLintNotAdmitted,
	EffLintBrokenLabels,
	EffLintShadowedComments,

	/* a column without a label gets one finding, from the check that knows most of it */
	EffLintGenerated,
	EffLintPersonal,
	EffLintUnlabelledColumns,
	EffLintUnlabelledTables,
	EffLintValues,

	EffLintRetention,
	EffLintSurrogates,
	EffLintResolvers,

	EffLintLinks,
	EffLintHops,
	EffLintOwners,
	EffLintWhere,
	EffLintGhosts,
	EffLintOwnerless,
	EffLintMerged,

	EffLintPaths,
	EffLintReferences,
	EffLintUnenforced,
	EffLintCascades,
	EffLintPrimaryKeys,
	EffLintAnchors,

	EffLintViews,
	EffLintTriggers,
	EffLintRules,
	EffLintForeignTables,
	EffLintStatistics,
	EffLintIndexes,
	EffLintReplication,
	EffLintReaders,

	EffLintLedgers,
	EffLintDeletionAnchors,
	EffLintProducers,

	/* the error that stops a plan may have a finding already */
	EffLintPlans,
	/* takes out of all findings those that have been exempted */
	EffLintExemptions
};

static List *schemas_argument(FunctionCallInfo fcinfo, int argno);
static int	sample_argument(FunctionCallInfo fcinfo, int argno);
static void collect_labelled(LintRun *run);
static HTAB *collect_connected(DataMap *map);
static bool connect_over(HTAB *connected, DataMap *map);
static void put_finding(ReturnSetInfo *rsinfo, Finding *finding);

/*
 * effaced_lint(schemas, sample) returns a row per finding, gravest first.
 */
Datum
effaced_lint(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LintRun		run = {0};
	Finding    *previous = NULL;
	EffBracket	bracket;
	ListCell   *lc;

	run.schemas = schemas_argument(fcinfo, 0);
	run.sample = sample_argument(fcinfo, 1);
	run.map = EffGraphGet();
	run.labels = EffLabelsLoad();
	run.reaching = EffGraphReaching(run.map);
	run.connected = collect_connected(run.map);
	collect_labelled(&run);

	EffPinBegin(&bracket);
	for (int i = 0; i < lengthof(checks); i++)
	{
		CHECK_FOR_INTERRUPTS();
		checks[i] (&run);
	}
	EffPinEnd(&bracket);

	list_sort(run.findings, EffLintCompare);
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, run.findings)
	{
		Finding    *finding = lfirst(lc);

		/* two links of a table, or two subjects, may lead to the same finding */
		if (previous == NULL ||
			EffLintCompare(&(ListCell) {.ptr_value = previous}, lc) != 0)
			put_finding(rsinfo, finding);
		previous = finding;
	}
	return (Datum) 0;
}

/*
 * schemas_argument returns the schemas that findings are asked for.  A name that
 * no schema has is an error: no findings would look as if all were well.
 */
static List *
schemas_argument(FunctionCallInfo fcinfo, int argno)
{
	List	   *schemas = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(argno))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argno), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		Oid			schema;

		if (nulls[i])
			continue;
		schema = get_namespace_oid(NameStr(*DatumGetName(elements[i])), true);
		if (!OidIsValid(schema))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_CONFIGURATION),
					 errmsg("schema \"%s\" does not exist", NameStr(*DatumGetName(elements[i]))),
					 errhint("Name existing schemas, or leave the argument out to look at all.")));
		schemas = lappend_oid(schemas, schema);
	}
	if (schemas == NIL || list_length(schemas) != n)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("schemas must name at least one schema and hold no NULL"),
				 errhint("Leave the argument out to look at all schemas.")));
	return schemas;
}

/* sample_argument returns how many rows of each table are looked into, 0 for none. */
static int
sample_argument(FunctionCallInfo fcinfo, int argno)
{
	int			sample = PG_ARGISNULL(argno) ? 0 : PG_GETARG_INT32(argno);

	if (sample < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("sample must not be negative"),
				 errhint("Say how many rows of each table to look into, or leave the argument out:"
						 " SELECT * FROM %s.effaced_lint(sample => 100);",
						 EffExtensionSchemaSql())));
	return sample;
}

/* collect_labelled makes the parameters of EffLintQuery(). */
static void
collect_labelled(LintRun *run)
{
	List	   *relids = NIL;
	List	   *tables = NIL;
	Datum	   *attnums;
	int			n = 0;
	int			max = 0;

	for (int i = 0; i < run->map->ntables; i++)
		max += list_length(run->map->tables[i]->rel->inheritors) *
			list_length(run->map->tables[i]->columns);
	attnums = palloc(sizeof(Datum) * Max(max, 1));
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		tables = lappend_oid(tables, table->rel->oid);
		foreach_oid(oid, table->rel->inheritors)
		{
			EffRelation *rel = EffMapFind(run->map, oid);

			if (rel == NULL)
				continue;
			foreach_ptr(MapColumn, labelled, table->columns)
			{
				EffColumn  *column = EffRelationColumnByName(rel, labelled->column->name);

				if (column == NULL)
					continue;
				relids = lappend_oid(relids, rel->oid);
				attnums[n++] = Int32GetDatum(column->attnum);
			}
		}
	}
	run->labelled[0] = EffOidArray(relids, OIDOID);
	run->labelled[1] = PointerGetDatum(construct_array(attnums, n, INT4OID, sizeof(int32), true,
													   TYPALIGN_INT));
	run->labelled[2] = EffOidArray(tables, OIDOID);
}

/*
 * collect_connected returns the relations from which foreign keys, followed in
 * either direction, lead to a labelled table.  It returns NULL if no table of the
 * map is a subject's: then any table may turn out to be one's.
 */
static HTAB *
collect_connected(DataMap *map)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid),
		.hcxt = CurrentMemoryContext};
	HTAB	   *connected = hash_create("connected relations", 256, &control,
										HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	bool		any = false;

	for (int i = 0; i < map->ntables; i++)
	{
		any |= map->tables[i]->is_subject;
		foreach_oid(oid, map->tables[i]->rel->inheritors)
			(void) hash_search(connected, &oid, HASH_ENTER, NULL);
	}
	if (!any)
		return NULL;
	while (connect_over(connected, map))
		CHECK_FOR_INTERRUPTS();
	return connected;
}

/* connect_over adds what one more foreign key reaches; it returns whether that was anything. */
static bool
connect_over(HTAB *connected, DataMap *map)
{
	bool		more = false;

	foreach_ptr(ForeignKey, fk, map->foreign_keys)
	{
		bool		source = hash_search(connected, &fk->relid, HASH_FIND, NULL) != NULL;
		bool		target = hash_search(connected, &fk->target, HASH_FIND, NULL) != NULL;

		if (source == target)
			continue;
		(void) hash_search(connected, source ? &fk->target : &fk->relid, HASH_ENTER, NULL);
		more = true;
	}
	return more;
}

/* put_finding adds a finding to the result. */
static void
put_finding(ReturnSetInfo *rsinfo, Finding *finding)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = CStringGetTextDatum(EffLintSeverityWord(finding->severity));
	values[1] = CStringGetTextDatum(EffLintCodeWord(finding->code));
	nulls[2] = !OidIsValid(finding->relid);
	values[2] = ObjectIdGetDatum(finding->relid);
	nulls[3] = finding->column == NULL;
	values[3] = nulls[3] ? (Datum) 0 :
		DirectFunctionCall1(namein, CStringGetDatum(finding->column));
	values[4] = CStringGetTextDatum(finding->message);
	nulls[5] = finding->hint == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(finding->hint);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
