/*
 * verify.c
 *	  effaced_verify(): what is still there of a subject.
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "exec/exec.h"
#include "map/admission.h"
#include "trail/trail.h"

PG_FUNCTION_INFO_V1(effaced_verify);

static uint64 count_subject(SubjectRun *run);
static TableVerdict *count_accessible(SubjectRun *run, MapTable *table);
static void write_verdicts(JsonbWriter *object, const char *key, List *verdicts, size_t member);

/*
 * effaced_verify(subject_id, subject) counts the rows that a full erasure
 * would still delete or change, those that survive by plan, and those that a
 * "where" leaves out.
 */
Datum
effaced_verify(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	RequestPlan *plan = &EffPlanGet(map, subject, NIL)->base;
	Call	   *call = EffExecNew(map, plan, &key, 1);
	List	   *verdicts = NIL;
	List	   *accessible = NIL;
	uint64		residual = 0;
	bool		verified;
	EffBracket	bracket;
	MemoryContext context = CurrentMemoryContext;
	JsonbWriter object;
	Jsonb	   *result;
	ListCell   *lc;

	EffSpiBegin(&bracket);
	EffExecFindRows(call, false);
	foreach(lc, plan->own_links ? lappend(list_copy(plan->tables), plan->own_links) : plan->tables)
	{
		TableVerdict *verdict = palloc(sizeof(TableVerdict));

		EffExecVerify(call->runs[0], lfirst(lc), verdict);
		residual += verdict->residual;
		verdicts = lappend(verdicts, verdict);
	}
	foreach(lc, EffGraphTables(map, subject))
		if (EffGraphRoleLinks(lfirst(lc), subject, ROLE_ACCESSOR) != NIL)
			accessible = lappend(accessible, count_accessible(call->runs[0], lfirst(lc)));

	EffObjectBegin(&object);
	verified = residual == 0 && !EffGraphHasUnadmitted(map, subject);
	EffObjectBool(&object, "verified", verified);
	EffObjectBool(&object, "subject_found", count_subject(call->runs[0]) > 0);
	EffObjectBool(&object, "erased",
				  EffTrailErasures(subject->kind, &key->text, 1)[0] != ERASURE_UNKNOWN);
	write_verdicts(&object, "residual", verdicts, offsetof(TableVerdict, residual));
	write_verdicts(&object, "surviving", verdicts, offsetof(TableVerdict, surviving));
	write_verdicts(&object, "excluded", verdicts, offsetof(TableVerdict, excluded));
	/* rows that the subject may access and others own */
	if (accessible != NIL)
		write_verdicts(&object, "accessible", accessible, offsetof(TableVerdict, surviving));
	EffAdmissionWrite(&object, map);
	MemoryContextSwitchTo(context);	/* to outlive the bracket */
	result = EffObjectDone(&object);
	EffSpiEnd(&bracket);
	(void) EffTrailAppend(list_make1(EffTrailEvent(verified ? "erasure_verified" :
												   "erasure_verification_failed",
												   subject->kind, key->text, result)));
	PG_RETURN_JSONB_P(result);
}

/* count_subject counts the subject's own row. */
static uint64
count_subject(SubjectRun *run)
{
	MapTable   *subject = run->plan->subject;
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", subject->rel);

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ", subject->rel->sql);
	EffConditionAppend(st, EffScopeSubject(run->map, st, "t", subject, &EffScopeMine));
	return EffExecCount(run, st);
}

/* count_accessible counts the rows that the subject reaches as accessor only. */
static TableVerdict *
count_accessible(SubjectRun *run, MapTable *table)
{
	TableVerdict *verdict = palloc0(sizeof(TableVerdict));
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", table->rel);
	PlannedTable *planned = EffPlanTable(run->plan, table->rel->oid);
	ListCell   *lc;

	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE (", table->rel->sql);
	foreach(lc, EffGraphRoleLinks(table, run->plan->subject, ROLE_ACCESSOR))
	{
		appendStringInfoString(&st->text, foreach_current_index(lc) > 0 ? " OR " : "");
		EffConditionAppend(st, EffScopeLink(run->map, st, "t", lfirst(lc), 0, &EffScopeMine));
	}
	appendStringInfoChar(&st->text, ')');
	if (planned != NULL)
	{
		appendStringInfoString(&st->text, " AND (");
		EffConditionAppend(st, EffPlanScopeNow(run->map, st, "t", run->plan, planned,
											   &EffScopeMine));
		appendStringInfoString(&st->text, ") IS NOT TRUE");
	}
	verdict->name = table->name;
	verdict->surviving = EffExecCount(run, st);
	return verdict;
}

/* write_verdicts writes {table: rows} for the tables where there are any. */
static void
write_verdicts(JsonbWriter *object, const char *key, List *verdicts, size_t member)
{
	EffObjectOpen(object, key);
	foreach_ptr(TableVerdict, verdict, verdicts)
	{
		uint64		count = *(uint64 *) ((char *) verdict + member);

		if (count > 0)
			EffObjectNumber(object, verdict->name, count);
	}
	EffObjectClose(object);
}
