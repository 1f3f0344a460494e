/*
 * trace.c
 *	  effaced_trace(), and what an erasure asks of traces.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "map/graph.h"
#include "relations/relations.h"
#include "subject/subject.h"
#include "trace/scan.h"
#include "trace/trace.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* The columns of effaced_trace(), numbered from 0 */
enum
{
	TRACE_RELATION, TRACE_COLUMN, TRACE_PLACE, TRACE_FACT, TRACE_ROWS, TRACE_LABELLED,
	TRACE_REACHED, TRACE_COLUMNS
};

struct EffTrace
{
	TraceMode	mode;
	Call *call;
	TraceValues *values;
	List	   *findings;		/* of TraceFinding, once looked for */
};

PG_FUNCTION_INFO_V1(effaced_trace);

static void put_finding(ReturnSetInfo *rsinfo, const TraceFinding *finding, List *facts);
static void refuse(List *findings);
static void refuse_unread(List *findings);
static char *name_of(const TraceFinding *finding);

/*
 * effaced_trace(subject_id, subject, relations) tells where the values of a
 * subject stand, whether a label knows of it or not.
 */
Datum
effaced_trace(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	List	   *relations = EffPlanTablesArgument(fcinfo, 2);
	RequestPlan *plan = &EffPlanGet(map, subject, NIL)->base;
	Call *call = EffExecNew(map, plan, &key, 1);
	MemoryContext context = CurrentMemoryContext;
	TraceValues *values;
	TraceFindings *findings;
	EffBracket	bracket;

	InitMaterializedSRF(fcinfo, 0);
	EffSpiBegin(&bracket);
	EffExecFindRows(call, false);
	MemoryContextSwitchTo(context);
	values = EffTraceValuesOf(call);
	findings = EffScan(call, values, relations, false);
	EffSpiEnd(&bracket);
	MemoryContextSwitchTo(context);
	foreach_ptr(TraceFinding, finding, EffFindingsList(findings))
		put_finding(rsinfo, finding, values->facts);
	return (Datum) 0;
}

/*
 * EffTraceArgument: the argument "trace" of a function; ERROR ZE005 for another word.
 */
TraceMode
EffTraceArgument(FunctionCallInfo fcinfo, int argno)
{
	char	   *word;

	if (PG_ARGISNULL(argno))
		return TRACE_NOTHING;
	word = text_to_cstring(PG_GETARG_TEXT_PP(argno));
	if (strcmp(word, "report") == 0)
		return TRACE_REPORT;
	if (strcmp(word, "refuse") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("argument \"trace\" has an unknown value"),
				 errhint("Allowed values: report, refuse."),
				 errhidestmt(true)));
	return TRACE_REFUSE;
}

/*
 * EffTraceTake: the values of a call's subjects, to be taken once their rows are locked
 * and before any changes, inside the SPI bracket; they live as long as the call.  They
 * are read with the caller's privileges.  NULL for TRACE_NOTHING.
 */
EffTrace *
EffTraceTake(Call *call, TraceMode mode)
{
	MemoryContext previous;
	EffTrace   *trace;

	if (mode == TRACE_NOTHING)
		return NULL;
	previous = MemoryContextSwitchTo(GetMemoryChunkContext(call));
	trace = palloc0(sizeof(EffTrace));
	trace->mode = mode;
	trace->call = call;
	trace->values = EffTraceValuesOf(call);
	MemoryContextSwitchTo(previous);
	return trace;
}

/*
 * EffTraceLook: look for them after the erasure, in one pass for all subjects.  With
 * TRACE_REFUSE, ERROR ZE004 where a copy stays, 42501 where something could not be read.
 * Nothing for NULL.
 */
void
EffTraceLook(EffTrace *trace)
{
	MemoryContext context = CurrentMemoryContext;
	EffBracket	bracket;

	if (trace == NULL)
		return;
	EffSpiBegin(&bracket);
	MemoryContextSwitchTo(GetMemoryChunkContext(trace));
	trace->findings = EffFindingsList(EffScan(trace->call, trace->values, NIL, true));
	EffSpiEnd(&bracket);
	MemoryContextSwitchTo(context);
	if (trace->mode == TRACE_REFUSE)
		refuse(trace->findings);
}

/*
 * EffTraceWrite: add "traces" to a result: rows by column, null for what could not be
 * read.  Nothing for NULL.
 */
void
EffTraceWrite(EffTrace *trace, JsonbWriter *result)
{
	if (trace == NULL)
		return;
	EffObjectOpen(result, "traces");
	foreach_ptr(TraceFinding, finding, trace->findings)
	{
		if (finding->unread)
			EffObjectText(result, name_of(finding), NULL);
		else
			EffObjectNumber(result, name_of(finding), finding->rows);
	}
	EffObjectClose(result);
}

static void
put_finding(ReturnSetInfo *rsinfo, const TraceFinding *finding, List *facts)
{
	Datum		values[TRACE_COLUMNS] = {0};
	bool		nulls[TRACE_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[TRACE_RELATION] = ObjectIdGetDatum(finding->relid);
	nulls[TRACE_RELATION] = false;
	if (finding->column != NULL)
	{
		values[TRACE_COLUMN] = CStringGetTextDatum(finding->column);
		nulls[TRACE_COLUMN] = false;
	}
	if (finding->place != NULL)
	{
		values[TRACE_PLACE] = CStringGetTextDatum(finding->place);
		nulls[TRACE_PLACE] = false;
	}
	if (!finding->unread)
	{
		values[TRACE_FACT] = CStringGetTextDatum(list_nth(facts, finding->fact));
		values[TRACE_ROWS] = Int64GetDatum(finding->rows);
		values[TRACE_LABELLED] = BoolGetDatum(finding->labelled);
		values[TRACE_REACHED] = BoolGetDatum(finding->reached);
		nulls[TRACE_FACT] = nulls[TRACE_ROWS] = nulls[TRACE_LABELLED] = nulls[TRACE_REACHED] =
			false;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* refuse fails where a copy would stay, or where nobody can know. */
static void
refuse(List *findings)
{
	StringInfoData columns;
	uint64		rows = 0;

	refuse_unread(findings);
	if (findings == NIL)
		return;
	initStringInfo(&columns);
	foreach_ptr(TraceFinding, finding, findings)
	{
		rows += finding->rows;
		appendStringInfo(&columns, "%s%s (" UINT64_FORMAT ")", columns.len > 0 ? ", " : "",
						 name_of(finding), finding->rows);
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg_plural("copies of what is erased would stay in %d column",
						   "copies of what is erased would stay in %d columns",
						   list_length(findings), list_length(findings)),
			 errdetail("Columns, with the number of rows: %s.", columns.data),
			 errhint("Label the columns, or see where the copies stand: effaced_trace()."),
			 errhidestmt(true)));
}

static void
refuse_unread(List *findings)
{
	StringInfoData names;

	initStringInfo(&names);
	foreach_ptr(TraceFinding, finding, findings)
		if (finding->unread)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", name_of(finding));
	if (names.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("not everything can be searched for copies of what is erased"),
				 errdetail("Not read: %s.", names.data),
				 errhint("Grant the calling role SELECT there and let it pass row-level security, "
						 "or use trace => 'report'.  Foreign tables are never read."),
				 errhidestmt(true)));
}

/* name_of: table.column as results write it, or the table where no column of it was read. */
static char *
name_of(const TraceFinding *finding)
{
	char	   *relation = EffRelationDisplayName(finding->relid);

	return finding->column == NULL ? relation : psprintf("%s.%s", relation,
														 quote_identifier(finding->column));
}
