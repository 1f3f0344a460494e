/*
 * finding.c
 *	  effaced_lint(): runs the checks, and sorts and writes what they find.
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

#define MAX_NAMES 10			/* named in a message */
#define MAX_ATTEMPTS 5			/* to read the catalogs beside DDL */

/* A query over the catalogs, and what it found */
typedef struct CatalogQuery
{
	LintRun    *run;
	const char *sql;
	List	   *rows;			/* of char **, a text for each column */
} CatalogQuery;

/* A definition as text, by a function of the server */
typedef struct Definition
{
	Oid			function;
	Oid			object;
	char	   *text;			/* NULL where the object is gone */
} Definition;

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

bool
EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum, char *message, char *hint)
{
	return EffLintAddAs(run, codes[code].severity, code, rel, attnum, message, hint);
}

bool
EffLintAddAs(LintRun *run, LintSeverity severity, LintCode code, EffRelation *rel, AttrNumber attnum,
			 char *message, char *hint)
{
	Finding    *finding;

	EffColumn  *column = rel == NULL || attnum == 0 ? NULL : EffRelationFindColumn(rel, attnum);

	if (rel == NULL ? run->schemas != NIL : !EffLintIsInQuestion(run, rel->oid))
		return false;
	/* it has just been dropped */
	if (rel != NULL && attnum != 0 && column == NULL)
		return false;
	finding = palloc0(sizeof(Finding));
	finding->code = code;
	finding->severity = severity;
	finding->relid = rel ? rel->oid : InvalidOid;
	finding->relation = rel ? rel->name : "";
	finding->attnum = attnum;
	finding->column = column == NULL ? NULL : column->name;
	finding->message = message;
	finding->hint = hint;
	run->findings = lappend(run->findings, finding);
	return true;
}

/*
 * EffLintAddNamed files a finding about a relation that is known by name alone:
 * one of effaced's own, or one that may be gone.  Whether it is asked for, the
 * caller has seen to.
 */
void
EffLintAddNamed(LintRun *run, LintSeverity severity, LintCode code, Oid relid, char *relation,
				char *column, char *message, char *hint)
{
	Finding    *finding = palloc0(sizeof(Finding));

	finding->code = code;
	finding->severity = severity;
	finding->relid = relid;
	finding->relation = relation;
	finding->column = column;
	finding->message = message;
	finding->hint = hint;
	run->findings = lappend(run->findings, finding);
}

bool
EffLintAddError(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
				const MapError *error, char *hint)
{
	char	   *message = error->message;

	if (error->detail != NULL)
	{
		/* a sentence becomes the end of one */
		char	   *detail = pstrdup(error->detail);
		size_t		length = strlen(detail);

		if (length > 1 && (islower((unsigned char) detail[1]) || detail[1] == ' '))
			detail[0] = pg_tolower((unsigned char) detail[0]);
		if (length > 0 && detail[length - 1] == '.')
			detail[length - 1] = '\0';
		message = psprintf("%s: %s", error->message, detail);
	}
	if (!EffLintAdd(run, code, rel, attnum, message, hint))
		return false;
	run->told = lappend(run->told, error->message);
	return true;
}

/*
 * EffLintIsInQuestion: a relation in the schemas asked for.  An extension's own
 * tables are its business until somebody labels them.
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
	return extension != get_extension_oid(EFF_PROVIDER, true) && EffMapTable(run->map, relid) != NULL;
}

bool
EffLintIsOwn(Oid relid)
{
	Oid			extension = getExtensionOfObject(RelationRelationId, relid);

	return OidIsValid(extension) && extension == get_extension_oid(EFF_PROVIDER, true);
}

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
 * EffLintConsequence says what it means that a column has no label.
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
 * EffLintPersonalSeverity: a table that no key joins to a subject is less
 * likely to be somebody's.
 */
LintSeverity
EffLintPersonalSeverity(LintRun *run, Oid relid)
{
	if (run->connected == NULL)
		return SEVERITY_WARNING;
	/* a partitioned table may have its keys on the partitions */
	foreach_oid(oid, find_all_inheritors(relid, NoLock, NULL))
		if (hash_search(run->connected, &oid, HASH_FIND, NULL) != NULL)
			return SEVERITY_WARNING;
	return SEVERITY_INFO;
}

bool
EffLintIsCode(const char *word)
{
	for (int i = 0; i < lengthof(codes); i++)
		if (strcmp(codes[i].word, word) == 0)
			return true;
	return false;
}

const char *
EffLintCodeWord(LintCode code)
{
	return codes[code].word;
}

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
 * EffLintQuery hands on the rows when the query is done, outside SPI.  The
 * server's functions that write definitions as text raise an internal error
 * where a part of what they write has just been dropped: the query is run again.
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

/* run_query reads the rows by a snapshot of its own, which knows of no more than a moment ago. */
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
	if (SPI_execute_with_args(query->sql, lengthof(query->run->labelled), (Oid[]) {OIDARRAYOID, INT4ARRAYOID, OIDARRAYOID},
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
 * EffLintDefinition calls one of the server's functions that give a definition
 * for an OID, such as pg_get_indexdef; NULL where the object, or a part of it,
 * has just been dropped.
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

/* call_definition calls by hand, since the result is NULL where the object is gone. */
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
 * EffLintErases tells whether some subject's erasure writes to the table.
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
 * EffLintDeletes tells whether the rows go, by the first rule of a plan.  A
 * plan would tell too, but there is none while anything is in conflict.
 */
bool
EffLintDeletes(MapTable *table)
{
	return EffLintErases(table) && EffMapDeletesRows(table);
}

/*
 * EffLintTry returns the error of what it ran; what nobody may swallow, it
 * raises again.
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
		if (category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_SYSTEM_ERROR)
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

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
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "", (char *) lfirst(lc));
	}
	return buf.data;
}

/*
 * EffLintColumns returns the names of columns given as "1 2 3"; NULL where all
 * of them have just been dropped.
 */
char *
EffLintColumns(EffRelation *rel, const char *attnums)
{
	List	   *names = NIL;
	char	   *end;

	for (long attnum = strtol(attnums, &end, 10); end != attnums; attnum = strtol(attnums, &end, 10))
	{
		EffColumn  *column = EffRelationFindColumn(rel, attnum);

		if (column != NULL)
			names = lappend(names, pstrdup(quote_identifier(column->name)));
		attnums = end;
	}
	return names == NIL ? NULL : EffLintNames(names);
}

/* EffLintColumnName: what has just been dropped makes no finding, and is "?" until then. */
char *
EffLintColumnName(EffRelation *rel, AttrNumber attnum)
{
	return psprintf("%s.%s", rel->name, EffJoinNames(rel, &attnum, 1));
}

/* EffLintCompare sorts by severity, relation, column and code. */
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
 * EffLintSeverityWord returns the word of a severity.
 */
const char *
EffLintSeverityWord(LintSeverity severity)
{
	return severity_words[severity];
}
