/*
 * hints.c
 *	  Statements that change one thing in a label, for hints.
 *
 * A statement has the whole label, as it is stored, so that it can be pasted.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/jsonb.h"
#include "lint/lint_int.h"

#include "utils/builtins.h"
#include "utils/json.h"

static char *stored_json(LintRun *run, Oid relid, AttrNumber attnum);
static char *place_of_link(const char *json, const char *name);

/*
 * EffLintRelabel returns the statement that sets one value in the label of a
 * relation (attnum 0) or of a column, which need not have a label yet.  The keys
 * (of char *) lead to the value, which is JSON text; NULL removes it.
 */
char *
EffLintRelabel(LintRun *run, EffRelation *rel, AttrNumber attnum, List *keys, const char *value)
{
	char	   *json = stored_json(run, rel->oid, attnum);
	Datum		path = EffTextArrayOfList(keys);
	Datum		label;

	label = DirectFunctionCall1(jsonb_in, CStringGetDatum(json ? json : "{}"));
	label = value == NULL ? DirectFunctionCall2(jsonb_delete_path, label, path) :
		DirectFunctionCall4(jsonb_set, label, path,
							DirectFunctionCall1(jsonb_in, CStringGetDatum(value)),
							BoolGetDatum(true));
	return EffLabelStatement(rel->oid, attnum,
							 DatumGetCString(DirectFunctionCall1(jsonb_out, label)));
}

/*
 * EffLintRelabelLink returns the statement that sets one key of a link, which
 * stands in the table's label itself or in an entry of its "links".
 */
char *
EffLintRelabelLink(LintRun *run, TableLink *link, char *key, const char *value)
{
	List	   *keys = list_make1(key);

	if (link->name != NULL)
		keys = list_make3(pstrdup("links"), place_of_link(link->table->json, link->name), key);
	return EffLintRelabel(run, link->table->rel, 0, keys, value);
}

/*
 * EffLintJsonString returns a text as a string of JSON.
 */
char *
EffLintJsonString(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	escape_json(&buf, text);
	return buf.data;
}

/*
 * EffLintLabelLike returns the statement that gives a column the label of another
 * column of the relation.  Keys that are about that column and not about its
 * values are left out.  It returns NULL if the other column has lost its label.
 */
char *
EffLintLabelLike(LintRun *run, EffRelation *rel, AttrNumber attnum, AttrNumber like)
{
	static const char *const own_keys[] = {"surrogate", "ref", "description"};
	const char *json = stored_json(run, rel->oid, like);
	Datum		label;

	if (json == NULL)
		return NULL;
	label = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	for (int i = 0; i < lengthof(own_keys); i++)
		label = DirectFunctionCall2(jsonb_delete, label, CStringGetTextDatum(own_keys[i]));
	return EffLabelStatement(rel->oid, attnum,
							 DatumGetCString(DirectFunctionCall1(jsonb_out, label)));
}

/* stored_json returns a label as it is stored, or NULL. */
static char *
stored_json(LintRun *run, Oid relid, AttrNumber attnum)
{
	foreach_ptr(StoredLabel, label, run->labels)
	{
		if (label->relid == relid && label->attnum == attnum)
			return label->json;
	}
	return NULL;
}

/* place_of_link returns the index of a link in the "links" of a label, as text. */
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
