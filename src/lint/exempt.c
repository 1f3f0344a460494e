/*
 * exempt.c
 *	  Exemptions: findings of which somebody has recorded that they need no action.
 *
 * An exemption has the name of its relation, as findings write it, and not its OID:
 * the name survives a dump and restore, and a renamed table is judged anew.
 */
#include "postgres.h"

#include "lint/lint_int.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(effaced_lint_exempt);
PG_FUNCTION_INFO_V1(effaced_lint_unexempt);

/* One row of effaced_lint_exemptions */
typedef struct Exemption
{
	char	   *relation;
	char	   *column;			/* NULL for findings about the whole relation */
	char	   *code;
} Exemption;

static char *code_argument(FunctionCallInfo fcinfo, int argno);
static bool is_blank(const char *text);
static List *load_exemptions(void);
static bool is_exempt(List *exemptions, Finding *finding);
static void lint_exemption(LintRun *run, Exemption *exemption);
static bool names_schema(LintRun *run, const char *relation);
static uint64 change(const char *sql, Oid *types, Datum *values, const char *nulls, int n,
					 int expected);

/*
 * effaced_lint_exempt(relation, column_name, code, reason) records that a finding
 * needs no action, and why.  It replaces the reason of an exemption that is there.
 */
Datum
effaced_lint_exempt(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	char	   *relation = OidIsValid(relid) ? EffRelationDisplayName(relid) : NULL;
	char	   *column = PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1));
	char	   *code = code_argument(fcinfo, 2);
	Oid			types[] = {TEXTOID, NAMEOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[5];
	char		nulls[] = "     ";

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("relation to exempt does not exist or is NULL"),
				 errhint("Name the relation of the finding, as effaced_lint() gives it.")));
	if (column != NULL && get_attnum(relid, column) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("relation \"%s\" has no column \"%s\"", relation, column),
				 errhint("Give the column_name of the finding, or NULL where it has none.")));
	if (PG_ARGISNULL(3) || is_blank(text_to_cstring(PG_GETARG_TEXT_PP(3))))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("an exemption needs a reason"),
				 errhint("Say why the finding needs no action: SELECT %s.effaced_lint_exempt(%s,"
						 " %s, %s, 'our reason');",
						 EffExtensionSchemaSql(), quote_literal_cstr(relation),
						 column ? quote_literal_cstr(column) : "NULL", quote_literal_cstr(code))));
	values[0] = CStringGetTextDatum(relation);
	values[1] = column ? PG_GETARG_DATUM(1) : (Datum) 0;
	nulls[1] = column ? ' ' : 'n';
	values[2] = CStringGetTextDatum(code);
	values[3] = PG_GETARG_DATUM(3);
	values[4] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	(void) change("INSERT INTO effaced.effaced_lint_exemptions AS e (relation, column_name, code,"
				  " reason, recorded_by)"
				  " VALUES ($1, $2, $3, $4, $5)"
				  " ON CONFLICT (relation, column_name, code) DO UPDATE"
				  " SET reason = $4, recorded_by = $5, recorded_at = pg_catalog.clock_timestamp()",
				  types, values, nulls, lengthof(types), SPI_OK_INSERT);
	PG_RETURN_VOID();
}

/*
 * effaced_lint_unexempt(relation, column_name, code) deletes an exemption.  The
 * relation is text, since it may be gone.
 */
Datum
effaced_lint_unexempt(PG_FUNCTION_ARGS)
{
	char	   *relation = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *name = relation;
	Oid			types[] = {TEXTOID, NAMEOID, TEXTOID};
	Datum		values[3];
	char		nulls[] = "   ";
	List	   *parts;

	/* a relation that is there may be named as the caller's search_path allows */
	if (relation != NULL && SplitIdentifierString(pstrdup(relation), '.', &parts) &&
		list_length(parts) >= 1 && list_length(parts) <= 2)
	{
		RangeVar   *range = makeRangeVar(list_length(parts) == 2 ? linitial(parts) : NULL,
										 llast(parts), -1);
		Oid			relid = RangeVarGetRelid(range, NoLock, true);

		char	   *display = OidIsValid(relid) ? EffRelationDisplayName(relid) : NULL;

		if (display != NULL)
			name = display;
	}
	nulls[0] = relation == NULL ? 'n' : ' ';
	values[0] = relation == NULL ? (Datum) 0 : CStringGetTextDatum(name);
	nulls[1] = PG_ARGISNULL(1) ? 'n' : ' ';
	values[1] = PG_GETARG_DATUM(1);
	nulls[2] = PG_ARGISNULL(2) ? 'n' : ' ';
	values[2] = PG_GETARG_DATUM(2);
	if (change("DELETE FROM effaced.effaced_lint_exemptions e"
			   " WHERE e.relation = $1 AND e.column_name IS NOT DISTINCT FROM $2 AND e.code = $3",
			   types, values, nulls, lengthof(types), SPI_OK_DELETE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("there is no such exemption"),
				 errdetail("Names have to be as they were recorded, with the schema unless it is"
						   " public."),
				 errhint("See what there is: SELECT relation, column_name, code, reason"
						 " FROM %s.effaced_lint_exemptions;",
						 EffExtensionSchemaSql())));
	PG_RETURN_VOID();
}

/*
 * EffLintExemptions removes the findings that have been exempted, and files one for
 * each exemption whose relation, column or code is gone.  It has to be the last check.
 */
void
EffLintExemptions(LintRun *run)
{
	List	   *exemptions = load_exemptions();
	List	   *kept = NIL;

	foreach_ptr(Finding, finding, run->findings)
		if (!is_exempt(exemptions, finding))
			kept = lappend(kept, finding);
	run->findings = kept;
	foreach_ptr(Exemption, exemption, exemptions)
		lint_exemption(run, exemption);
}

/* code_argument returns a code; one that no finding has is an error. */
static char *
code_argument(FunctionCallInfo fcinfo, int argno)
{
	char	   *code = PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));

	if (code == NULL || !EffLintIsCode(code))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 code ? errmsg("unknown lint code \"%s\"", code) : errmsg("code must not be NULL"),
				 errhint("Known codes: %s.", EffLintCodeWords())));
	return code;
}

/* is_blank returns whether a text has nothing but white space. */
static bool
is_blank(const char *text)
{
	while (isspace((unsigned char) *text))
		text++;
	return *text == '\0';
}

/*
 * load_exemptions returns a list of Exemption.  It reads the table as its owner, since
 * a caller of effaced_lint() need not have the right to read the reasons.
 */
static List *
load_exemptions(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	EffBracket	bracket;
	List	   *exemptions = NIL;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT e.relation, e.column_name, e.code"
					" FROM effaced.effaced_lint_exemptions e"
					" ORDER BY e.relation, e.column_name, e.code", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the exemptions");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Exemption  *exemption = palloc(sizeof(Exemption));

		exemption->relation = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		exemption->column = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		exemption->code = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		exemptions = lappend(exemptions, exemption);
	}
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
	return exemptions;
}

/* is_exempt returns whether there is an exemption of a finding. */
static bool
is_exempt(List *exemptions, Finding *finding)
{
	foreach_ptr(Exemption, exemption, exemptions)
	{
		if (strcmp(exemption->relation, finding->relation) == 0 &&
			strcmp(exemption->code, EffLintCodeWord(finding->code)) == 0 &&
			(exemption->column == NULL ? finding->column == NULL :
			 finding->column != NULL && strcmp(exemption->column, finding->column) == 0))
			return true;
	}
	return false;
}

/* lint_exemption files a finding about an exemption whose relation, column or code is gone. */
static void
lint_exemption(LintRun *run, Exemption *exemption)
{
	Oid			relid = EffRelationByName(exemption->relation);
	char	   *what;

	if (!OidIsValid(relid))
		what = psprintf("relation %s", exemption->relation);
	else if (exemption->column != NULL && get_attnum(relid, exemption->column) <= 0)
		what = psprintf("column %s.%s", exemption->relation, quote_identifier(exemption->column));
	else if (!EffLintIsCode(exemption->code))
		what = psprintf("code \"%s\"", exemption->code);
	else
		return;
	if (!names_schema(run, exemption->relation))
		return;
	EffLintAddNamed(run, SEVERITY_INFO, LINT_STALE_EXEMPTION, relid,
					exemption->relation, exemption->column,
					psprintf("the exemption of %s%s%s from \"%s\" is about nothing: there is no %s",
							 exemption->relation, exemption->column ? "." : "",
							 exemption->column ? quote_identifier(exemption->column) : "",
							 exemption->code, what),
					psprintf("SELECT %s.effaced_lint_unexempt(%s, %s, %s);",
							 EffExtensionSchemaSql(),
							 quote_literal_cstr(exemption->relation),
							 exemption->column ? quote_literal_cstr(exemption->column) : "NULL",
							 quote_literal_cstr(exemption->code)));
}

/*
 * names_schema returns whether a name is in one of the schemas that findings are asked
 * for.  The relation of that name may be gone.
 */
static bool
names_schema(LintRun *run, const char *relation)
{
	List	   *parts;

	if (run->schemas == NIL)
		return true;
	if (!SplitIdentifierString(pstrdup(relation), '.', &parts) || parts == NIL)
		return true;
	return list_member_oid(run->schemas,
						   get_namespace_oid(list_length(parts) == 2 ? linitial(parts) : "public",
											 true));
}

/*
 * change runs a statement that writes to the exemptions, as the owner of the table, and
 * returns the number of rows.  In its text %s stands for the schema.
 */
static uint64
change(const char *sql, Oid *types, Datum *values, const char *nulls, int n, int expected)
{
	EffBracket	bracket;
	uint64		changed;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute_with_args(sql, n, types, values, nulls, false, 0) != expected)
		elog(ERROR, "could not write the exemptions");
	changed = SPI_processed;
	EffSpiEnd(&bracket);
	return changed;
}
