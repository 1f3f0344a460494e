/*
 * lint.c
 *	  effaced_lint(): runs the checks, and sorts and writes what they find.
 */
#include "postgres.h"

#include <ctype.h>

#include "lint.h"
#include "provider.h"
#include "spi.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(effaced_lint);

typedef enum Severity
{
	SEVERITY_ERROR,				/* no erasure is possible, or none of this table */
	SEVERITY_WARNING,			/* something may be left behind, fail or be slow */
	SEVERITY_INFO
} Severity;

static const char *const severity_words[] = {"error", "warning", "info"};

static const struct
{
	const char *word;
	Severity	severity;
}			codes[] =
{
	[LINT_AMBIGUOUS_LINK] = {"ambiguous_link", SEVERITY_ERROR},
	[LINT_BLOCKING_REFERENCE] = {"blocking_reference", SEVERITY_WARNING},
	[LINT_BROKEN_LABEL] = {"broken_label", SEVERITY_ERROR},
	[LINT_CASCADE_INTO_KEPT] = {"cascade_into_kept", SEVERITY_ERROR},
	[LINT_HOP_WITHOUT_FOREIGN_KEY] = {"hop_without_foreign_key", SEVERITY_WARNING},
	[LINT_INFERRED_LINK] = {"inferred_link", SEVERITY_INFO},
	[LINT_MATVIEW_COPIES_LABELLED] = {"matview_copies_labelled", SEVERITY_WARNING},
	[LINT_ONLY_ACCESSORS] = {"only_accessors", SEVERITY_WARNING},
	[LINT_PATH_BEYOND_SUBJECT] = {"path_beyond_subject", SEVERITY_WARNING},
	[LINT_PLAN_CONFLICT] = {"plan_conflict", SEVERITY_ERROR},
	[LINT_RETENTION_WITHOUT_ANCHOR] = {"retention_without_anchor", SEVERITY_WARNING},
	[LINT_SHADOWED_COMMENT] = {"shadowed_comment", SEVERITY_WARNING},
	[LINT_SHARED_WITHOUT_LINK] = {"shared_without_link", SEVERITY_WARNING},
	[LINT_SURROGATE_MISSING] = {"surrogate_missing", SEVERITY_ERROR},
	[LINT_UNINDEXED_PATH] = {"unindexed_path", SEVERITY_WARNING},
	[LINT_UNINDEXED_REFERENCE] = {"unindexed_reference", SEVERITY_WARNING},
	[LINT_UNLABELLED_COLUMN] = {"unlabelled_column", SEVERITY_WARNING},
	[LINT_UNLABELLED_TABLE] = {"unlabelled_table", SEVERITY_WARNING},
	[LINT_UNREACHABLE_TABLE] = {"unreachable_table", SEVERITY_ERROR},
	[LINT_VIEW_COPIES_LABELLED] = {"view_copies_labelled", SEVERITY_INFO},
	[LINT_WHERE_EXCLUDES_ROWS] = {"where_excludes_rows", SEVERITY_WARNING},
};

/* The last one leaves out what the others have told */
static const LintCheck checks[] = {
	EffLintBrokenLabels, EffLintShadowedComments, EffLintUnlabelledColumns, EffLintUnlabelledTables,
	EffLintRetention, EffLintSurrogates,
	EffLintLinks, EffLintHops, EffLintOwners, EffLintWhere,
	EffLintPaths, EffLintReferences, EffLintCascades, EffLintViews,
	EffLintPlans
};

static List *schemas_argument(FunctionCallInfo fcinfo, int argno);
static void refuse_sampling(int sample);
static bool is_in_question(LintRun *run, EffRelation *rel);
static int	compare_findings(const ListCell *a, const ListCell *b);
static void put_finding(ReturnSetInfo *rsinfo, Finding *finding);
static char *stored_json(LintRun *run, Oid relid, AttrNumber attnum);
static char *place_of_link(const char *json, const char *name);

/*
 * effaced_lint(schemas, sample) gives a row per finding.
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
	refuse_sampling(PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1));
	run.map = EffGraphGet();
	run.labels = EffLabelsLoad();
	run.reaching = EffGraphReaching(run.map);

	EffPinBegin(&bracket);
	for (int i = 0; i < lengthof(checks); i++)
	{
		CHECK_FOR_INTERRUPTS();
		checks[i] (&run);
	}
	EffPinEnd(&bracket);

	list_sort(run.findings, compare_findings);
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, run.findings)
	{
		Finding    *finding = lfirst(lc);

		/* two links or subjects may lead to the same finding */
		if (previous == NULL ||
			compare_findings(&(ListCell) {.ptr_value = previous}, lc) != 0)
			put_finding(rsinfo, finding);
		previous = finding;
	}
	return (Datum) 0;
}

bool
EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum, char *message, char *hint)
{
	Finding    *finding;

	if (!is_in_question(run, rel))
		return false;
	finding = palloc0(sizeof(Finding));
	finding->code = code;
	finding->relid = rel->oid;
	finding->relation = rel->name;
	finding->attnum = attnum;
	finding->column = attnum == 0 ? NULL : EffRelationColumn(rel, attnum)->name;
	finding->message = message;
	finding->hint = hint;
	run->findings = lappend(run->findings, finding);
	return true;
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
 * EffLintErases tells whether some subject's erasure writes to the table.
 */
bool
EffLintErases(MapTable *table)
{
	ListCell   *lc;

	if (table->error != NULL)
		return false;
	if (table->is_subject)
		return true;
	foreach(lc, table->links)
	{
		TableLink  *link = lfirst(lc);

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
	ListCell   *lc;

	if (!EffLintErases(table) || !table->fully_pii_owned)
		return false;
	foreach(lc, table->columns)
		if (((MapColumn *) lfirst(lc))->label->erasure != ERASURE_DELETE)
			return false;
	return true;
}

/*
 * EffLintTry returns the error of what it ran; what nobody may swallow, it
 * raises again.
 */
ErrorData *
EffLintTry(void (*body) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_SYSTEM_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/*
 * EffLintRelabel takes the label as it is stored, or an empty one, and sets the
 * value (JSON text) at the place that the keys lead to; NULL removes it.
 */
char *
EffLintRelabel(LintRun *run, EffRelation *rel, AttrNumber attnum, List *keys, const char *value)
{
	char	   *json = stored_json(run, rel->oid, attnum);
	Datum	   *elements = palloc(sizeof(Datum) * list_length(keys));
	Datum		path;
	Datum		label;
	ListCell   *lc;

	foreach(lc, keys)
		elements[foreach_current_index(lc)] = CStringGetTextDatum((char *) lfirst(lc));
	path = PointerGetDatum(construct_array(elements, list_length(keys), TEXTOID, -1, false, TYPALIGN_INT));
	label = DirectFunctionCall1(jsonb_in, CStringGetDatum(json ? json : "{}"));
	label = value == NULL ? DirectFunctionCall2(jsonb_delete_path, label, path) :
		DirectFunctionCall4(jsonb_set, label, path,
							DirectFunctionCall1(jsonb_in, CStringGetDatum(value)), BoolGetDatum(true));
	return EffLabelStatement(rel->oid, attnum, DatumGetCString(DirectFunctionCall1(jsonb_out, label)));
}

/*
 * EffLintRelabelLink does so for a key of a link, which stands in the table's
 * label or in an entry of its "links".
 */
char *
EffLintRelabelLink(LintRun *run, TableLink *link, char *key, const char *value)
{
	List	   *keys = list_make1(key);

	if (link->name != NULL)
		keys = list_make3(pstrdup("links"), place_of_link(link->table->json, link->name), key);
	return EffLintRelabel(run, link->table->rel, 0, keys, value);
}

char *
EffLintJsonString(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	escape_json(&buf, text);
	return buf.data;
}

char *
EffLintColumnName(EffRelation *rel, AttrNumber attnum)
{
	return psprintf("%s.%s", rel->name, quote_identifier(EffRelationColumn(rel, attnum)->name));
}

/* schemas_argument reads names of schemas; a misspelt one must not look clean. */
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

static void
refuse_sampling(int sample)
{
	if (sample == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 sample < 0 ? errmsg("sample must not be negative") :
			 errmsg("looking into values is not available: sample must be 0"),
			 errhint("Leave the argument out: SELECT * FROM %s.effaced_lint();", EffExtensionSchemaSql())));
}

/*
 * is_in_question: a relation in the schemas asked for.  An extension's own
 * tables are its business until somebody labels them.
 */
static bool
is_in_question(LintRun *run, EffRelation *rel)
{
	Oid			schema = get_rel_namespace(rel->oid);
	Oid			extension;

	if (run->schemas != NIL && !list_member_oid(run->schemas, schema))
		return false;
	if (run->schemas == NIL &&
		(IsCatalogNamespace(schema) || IsToastNamespace(schema) || isAnyTempNamespace(schema) ||
		 strcmp(rel->schema, "information_schema") == 0))
		return false;
	extension = getExtensionOfObject(RelationRelationId, rel->oid);
	if (!OidIsValid(extension))
		return true;
	return extension != get_extension_oid(EFF_PROVIDER, true) && EffMapTable(run->map, rel->oid) != NULL;
}

/* compare_findings sorts by severity, relation, column and code. */
static int
compare_findings(const ListCell *a, const ListCell *b)
{
	Finding    *x = lfirst(a);
	Finding    *y = lfirst(b);
	int			order;

	if (codes[x->code].severity != codes[y->code].severity)
		return (int) codes[x->code].severity - (int) codes[y->code].severity;
	if ((order = strcmp(x->relation, y->relation)) != 0)
		return order;
	if (x->attnum != y->attnum)
		return x->attnum - y->attnum;
	if ((order = strcmp(codes[x->code].word, codes[y->code].word)) != 0)
		return order;
	return strcmp(x->message, y->message);
}

static void
put_finding(ReturnSetInfo *rsinfo, Finding *finding)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = CStringGetTextDatum(severity_words[codes[finding->code].severity]);
	values[1] = CStringGetTextDatum(codes[finding->code].word);
	values[2] = ObjectIdGetDatum(finding->relid);
	nulls[3] = finding->attnum == 0;
	values[3] = nulls[3] ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(finding->column));
	values[4] = CStringGetTextDatum(finding->message);
	nulls[5] = finding->hint == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(finding->hint);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static char *
stored_json(LintRun *run, Oid relid, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, run->labels)
	{
		StoredLabel *label = lfirst(lc);

		if (label->relid == relid && label->attnum == attnum)
			return label->json;
	}
	return NULL;
}

/* place_of_link gives the index of a link in "links", as text. */
static char *
place_of_link(const char *json, const char *name)
{
	Jsonb	   *label = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	JsonbContainer *links = EffJsonbMember(&label->root, "links")->val.binary.data;

	for (uint32 i = 0; i < JsonContainerSize(links); i++)
	{
		JsonbValue *link = getIthJsonbValueFromContainer(links, i);
		JsonbValue *value = EffJsonbMember(link->val.binary.data, "name");

		if (strlen(name) == value->val.string.len &&
			memcmp(name, value->val.string.val, value->val.string.len) == 0)
			return psprintf("%u", i);
	}
	elog(ERROR, "link \"%s\" is missing", name);
}
