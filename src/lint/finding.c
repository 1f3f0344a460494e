/*
 * finding.c
 *	  Findings: filing, ordering and naming them, and the questions that several
 *	  checks ask.
 */
#include "postgres.h"

#include "lint/lint_int.h"

#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#define MAX_NAMES 10			/* more are only counted in a message */
#define MAX_ATTEMPTS 5			/* to read the catalogs while other sessions change them */

/* A query over the catalogs, and its rows */
typedef struct CatalogQuery
{
	LintRun    *run;
	const char *sql;
	List	   *rows;			/* of char **, a text for each column */
} CatalogQuery;

/* A definition as text, as a function of the server writes it */
typedef struct Definition
{
	Oid			function;
	Oid			object;
	char	   *text;			/* NULL where the object is gone */
} Definition;

static Finding *file_finding(LintRun *run, LintSeverity severity, LintCode code, char *message,
							 char *hint);
static char *sentence_end(const char *detail);
static void run_query(void *arg);
static void call_definition(void *arg);

static const char *const severity_words[] = {"error", "warning", "info"};

/* Indexed by LintCode */
#define LINT_CODE(code, word, severity) {word, severity},
static const struct
{
	const char *word;
	LintSeverity severity;
}			codes[] =
{
#include "lint/codes.h"
};
#undef LINT_CODE

/*
 * EffLintAdd files a finding with the severity of its code, about a column, about
 * a relation (attnum 0), or about neither (rel NULL).  It returns whether the
 * finding will be shown: findings about relations outside the schemas that the
 * caller asked for are dropped.  Message and hint, which may be NULL, are kept.
 */
bool
EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum, char *message,
		   char *hint)
{
	return EffLintAddAs(run, codes[code].severity, code, rel, attnum, message, hint);
}

/*
 * EffLintAddAs does what EffLintAdd does, with a severity other than the code's.
 */
bool
EffLintAddAs(LintRun *run, LintSeverity severity, LintCode code, EffRelation *rel,
			 AttrNumber attnum,
			 char *message, char *hint)
{
	EffColumn  *column = rel == NULL || attnum == 0 ? NULL : EffRelationFindColumn(rel, attnum);
	Finding    *finding;

	if (rel == NULL ? run->schemas != NIL : !EffLintIsInQuestion(run, rel->oid))
		return false;
	/* it has just been dropped */
	if (rel != NULL && attnum != 0 && column == NULL)
		return false;
	finding = file_finding(run, severity, code, message, hint);
	finding->relid = rel ? rel->oid : InvalidOid;
	finding->relation = rel ? rel->name : "";
	finding->attnum = attnum;
	finding->column = column == NULL ? NULL : column->name;
	return true;
}

/*
 * EffLintAddNamed files a finding about a relation that is given by its name: one
 * of effaced's own, or one that is gone, whose relid is InvalidOid.  The finding
 * is shown in any case, so the caller has to look at the schemas asked for.
 */
void
EffLintAddNamed(LintRun *run, LintSeverity severity, LintCode code, Oid relid, char *relation,
				char *column, char *message, char *hint)
{
	Finding    *finding = file_finding(run, severity, code, message, hint);

	finding->relid = relid;
	finding->relation = relation;
	finding->column = column;
}

/*
 * EffLintAddError files a finding that tells of an error of the map, with its
 * detail.  An error that is shown is noted in run->told, so that the check of
 * plans, which such an error stops, does not tell of it again.
 */
bool
EffLintAddError(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
				const MapError *error, char *hint)
{
	char	   *message = error->message;

	if (error->detail != NULL)
		message = psprintf("%s: %s", error->message, sentence_end(error->detail));
	if (!EffLintAdd(run, code, rel, attnum, message, hint))
		return false;
	run->told = lappend(run->told, error->message);
	return true;
}

/* file_finding adds a finding about no relation to those of the run, and returns it. */
static Finding *
file_finding(LintRun *run, LintSeverity severity, LintCode code, char *message, char *hint)
{
	Finding    *finding = palloc0(sizeof(Finding));

	finding->code = code;
	finding->severity = severity;
	finding->message = message;
	finding->hint = hint;
	run->findings = lappend(run->findings, finding);
	return finding;
}

/* sentence_end turns a sentence of its own into what follows a colon. */
static char *
sentence_end(const char *detail)
{
	char	   *end = pstrdup(detail);
	size_t		length = strlen(end);

	/* a name in capitals stays as it is */
	if (length > 1 && (islower((unsigned char) end[1]) || end[1] == ' '))
		end[0] = pg_tolower((unsigned char) end[0]);
	if (length > 0 && end[length - 1] == '.')
		end[length - 1] = '\0';
	return end;
}

/*
 * EffLintIsInQuestion returns whether a relation is in the schemas that the caller
 * asked for.  Other extensions' tables count only if they are labelled, since
 * whoever uses an extension cannot change them; effaced's own never count.
 */
bool
EffLintIsInQuestion(LintRun *run, Oid relid)
{
	Oid			schema = get_rel_namespace(relid);
	Oid			extension;

	/* it has just been dropped */
	if (!OidIsValid(schema))
		return false;
	if (run->schemas != NIL && !list_member_oid(run->schemas, schema))
		return false;
	if (run->schemas == NIL &&
		(IsCatalogNamespace(schema) || IsToastNamespace(schema) || isAnyTempNamespace(schema) ||
		 schema == get_namespace_oid("information_schema", true)))
		return false;
	extension = getExtensionOfObject(RelationRelationId, relid);
	if (!OidIsValid(extension))
		return true;
	return extension != get_extension_oid(EFF_PROVIDER, true) &&
		EffMapTable(run->map, relid) != NULL;
}

/*
 * EffLintIsOwn returns whether a relation belongs to effaced itself.
 */
bool
EffLintIsOwn(Oid relid)
{
	Oid			extension = getExtensionOfObject(RelationRelationId, relid);

	return OidIsValid(extension) && extension == get_extension_oid(EFF_PROVIDER, true);
}

/*
 * EffLintToldColumn returns whether a finding has told already that the column
 * should have a label.
 */
bool
EffLintToldColumn(LintRun *run, Oid relid, AttrNumber attnum)
{
	foreach_ptr(Finding, finding, run->findings)
	{
		if (finding->relid == relid && finding->attnum == attnum &&
			(finding->code == LINT_PERSONAL_NAME || finding->code == LINT_PERSONAL_TYPE ||
			 finding->code == LINT_GENERATED_COPIES_LABELLED))
			return true;
	}
	return false;
}

/*
 * EffLintConsequence returns what follows from a column's having no label, as the
 * end of a message; a constant.
 */
const char *
EffLintConsequence(LintRun *run, Oid relid)
{
	MapTable   *table = EffMapTable(run->map, relid);

	if (table == NULL)
		return "no request reaches it";
	if (table->fully_pii_owned)
		return "an export leaves it out";
	return EffMapKeepingColumn(table) != NULL ? "an erasure leaves its value" :
		"an erasure leaves its value, and because of it the row";
}

/*
 * EffLintPersonalSeverity returns the severity of finding personal data in a
 * relation without a label.  It is less where no foreign key, in any direction,
 * joins the relation to a subject, since the data may be about nobody then.
 */
LintSeverity
EffLintPersonalSeverity(LintRun *run, Oid relid)
{
	if (run->connected == NULL)
		return SEVERITY_WARNING;
	/* a partitioned table may have its keys on the partitions */
	foreach_oid(oid, EffInheritors(relid))
		if (hash_search(run->connected, &oid, HASH_FIND, NULL) != NULL)
			return SEVERITY_WARNING;
	return SEVERITY_INFO;
}

/*
 * EffLintIsCode returns whether some finding has the code.
 */
bool
EffLintIsCode(const char *word)
{
	for (int i = 0; i < lengthof(codes); i++)
		if (strcmp(codes[i].word, word) == 0)
			return true;
	return false;
}

/*
 * EffLintCodeWord returns the word of a code; a constant.
 */
const char *
EffLintCodeWord(LintCode code)
{
	return codes[code].word;
}

/*
 * EffLintCodeWords returns the words of all codes, with commas between them.
 */
char *
EffLintCodeWords(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(codes); i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", codes[i].word);
	return buf.data;
}

/*
 * EffLintQuery runs a query over the catalogs and calls a function for each of its
 * rows, whose columns are text.  The parameters of the query are $1 oid[] and
 * $2 int4[], the labelled columns (those of children included), and $3 oid[], the
 * tables of the map.
 *
 * The rows are handed on when the query is done and SPI is left, so that the
 * function may use SPI itself and what it allocates lives as long as the call.
 * Functions of the server that write definitions as text raise an internal error
 * if a part of the object has just been dropped; the query is run again then.
 */
void
EffLintQuery(LintRun *run, const char *sql, LintRow row)
{
	CatalogQuery query = {.run = run, .sql = sql};
	ErrorData  *error;
	int			attempts = 0;
	ListCell   *lc;

	while ((error = EffLintTry(run_query, &query)) != NULL)
	{
		if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR || ++attempts == MAX_ATTEMPTS)
			ReThrowError(error);
		CHECK_FOR_INTERRUPTS();
	}
	foreach(lc, query.rows)
		row(run, lfirst(lc));
}

/* run_query takes a new snapshot, in which as little as possible has been dropped since. */
static void
run_query(void *arg)
{
	CatalogQuery *query = arg;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	EffBracket	bracket;

	query->rows = NIL;
	PushActiveSnapshot(GetTransactionSnapshot());
	EffSpiBegin(&bracket);
	if (SPI_execute_with_args(query->sql, lengthof(query->run->labelled), (Oid[]) {OIDARRAYOID,
		INT4ARRAYOID, OIDARRAYOID},
							  query->run->labelled, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	  **cells = palloc(sizeof(char *) * SPI_tuptable->tupdesc->natts);

		for (int k = 0; k < SPI_tuptable->tupdesc->natts; k++)
			cells[k] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, k + 1);
		query->rows = lappend(query->rows, cells);
	}
	MemoryContextSwitchTo(spi);
	EffSpiEnd(&bracket);
	PopActiveSnapshot();
}

/*
 * EffLintDefinition returns the definition of an object by one of the server's
 * functions that write it for an OID, such as pg_get_indexdef.  It is NULL if the
 * object, or a part of it, has just been dropped.
 */
char *
EffLintDefinition(Oid function, Oid object)
{
	Definition	definition = {.function = function, .object = object};
	ErrorData  *error = EffLintTry(call_definition, &definition);

	if (error != NULL && error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
		ReThrowError(error);
	return definition.text;
}

/* call_definition calls through fcinfo: DirectFunctionCall1 does not allow a result of NULL. */
static void
call_definition(void *arg)
{
	Definition *definition = arg;
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info(definition->function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(definition->object);
	fcinfo->args[0].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	if (!fcinfo->isnull)
		definition->text = TextDatumGetCString(result);
}

/*
 * EffLintErases returns whether erasures change rows of the table: it is a
 * subject table, or has an owner's link that can be followed.
 */
bool
EffLintErases(MapTable *table)
{
	if (table->error != NULL)
		return false;
	if (table->is_subject)
		return true;
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->error == NULL && link->label->role == ROLE_OWNER)
			return true;
	}
	return false;
}

/*
 * EffLintDeletes returns whether erasures delete the rows of the table, by the
 * first rule of a plan.  The plan itself cannot be asked: none can be made while
 * any labels are in conflict.
 */
bool
EffLintDeletes(MapTable *table)
{
	return EffLintErases(table) && EffMapDeletesRows(table);
}

/*
 * EffLintTry runs a function in a subtransaction and returns its error, or NULL
 * if there was none.  A cancellation and a lack of resources are raised again.
 */
ErrorData *
EffLintTry(void (*body) (void *arg), void *arg)
{
	EffSubtransaction sub;
	ErrorData  *volatile error = NULL;

	EffSubBegin(&sub);
	PG_TRY();
	{
		body(arg);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		int			category;

		error = EffSubCatch(&sub);
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category == ERRCODE_OPERATOR_INTERVENTION ||
			category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_SYSTEM_ERROR)
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/*
 * EffLintNames returns names (of char *) with commas between them, the first ten
 * and the number of the others.
 */
char *
EffLintNames(List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
	{
		if (foreach_current_index(lc) == MAX_NAMES)
		{
			appendStringInfo(&buf, " and %d more", list_length(names) - MAX_NAMES);
			break;
		}
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 (char *) lfirst(lc));
	}
	return buf.data;
}

/*
 * EffLintColumns returns the names of columns that are given by their numbers, as
 * "1 2 3".  It returns NULL if all of them have just been dropped.
 */
char *
EffLintColumns(EffRelation *rel, const char *attnums)
{
	List	   *names = NIL;
	char	   *end;

	for (long attnum = strtol(attnums, &end,
							  10); end != attnums; attnum = strtol(attnums, &end, 10))
	{
		EffColumn  *column = EffRelationFindColumn(rel, attnum);

		if (column != NULL)
			names = lappend(names, pstrdup(quote_identifier(column->name)));
		attnums = end;
	}
	return names == NIL ? NULL : EffLintNames(names);
}

/*
 * EffLintColumnName returns the name of a column with its relation's, quoted where
 * needed.  A column that has just been dropped is "?"; EffLintAdd drops the finding.
 */
char *
EffLintColumnName(EffRelation *rel, AttrNumber attnum)
{
	return psprintf("%s.%s", rel->name, EffJoinNames(rel, &attnum, 1));
}

/*
 * EffLintCompare orders findings by severity, relation, column, code and message.
 * Findings that compare as equal are shown once.
 */
int
EffLintCompare(const ListCell *a, const ListCell *b)
{
	Finding    *x = lfirst(a);
	Finding    *y = lfirst(b);
	int			order;

	if (x->severity != y->severity)
		return (int) x->severity - (int) y->severity;
	if ((order = strcmp(x->relation, y->relation)) != 0)
		return order;
	if (x->attnum != y->attnum)
		return x->attnum - y->attnum;
	if ((order = strcmp(codes[x->code].word, codes[y->code].word)) != 0)
		return order;
	return strcmp(x->message, y->message);
}

/*
 * EffLintSeverityWord returns the word of a severity; a constant.
 */
const char *
EffLintSeverityWord(LintSeverity severity)
{
	return severity_words[severity];
}

/*
 * EffLintCountRows returns how many rows of a relation, alias t, meet a condition, with
 * the caller's privileges.
 */
int64
EffLintCountRows(EffRelation *rel, const char *condition)
{
	EffBracket	bracket;
	int64		rows;

	EffSpiBegin(&bracket);
	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM %s t WHERE %s", rel->sql, condition),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count rows");
	rows = EffSpiNumber(1);
	EffSpiEnd(&bracket);
	return rows;
}
