/*
 * refs.c
 *	  References to external systems: reads those that a request is given, unites
 *	  and writes them.
 */
#include "postgres.h"

#include "base/json_text.h"
#include "base/jsonb.h"
#include "base/own.h"
#include "outbox/refs.h"
#include "outbox/resolver.h"

#include "mb/pg_wchar.h"

/* A reference and its place in a list */
typedef struct PlacedRef
{
	const ExternalRef *ref;
	int			place;
} PlacedRef;

static int	compare_places(const void *a, const void *b);
static int	compare_refs(const ExternalRef *a, const ExternalRef *b);
static char *text_member(JsonbContainer *object, const char *key, int place);
static void refuse(int place, const char *what) pg_attribute_noreturn();
static char *registered(List *resolvers);

/*
 * EffRefsRead returns the references that a request is given, as a list of
 * ExternalRef in the current memory context; NULL is none.  ERROR ZE006 where
 * refs is no list of references, or where no resolver is registered for a kind.
 * No error shows a kind or a value, for both identify a person.
 */
List *
EffRefsRead(Jsonb *refs, List *resolvers)
{
	static const char *const keys[] = {"kind", "value", "extra", NULL};
	List	   *list = NIL;

	if (refs == NULL)
		return NIL;
	if (!JB_ROOT_IS_ARRAY(refs) || JB_ROOT_IS_SCALAR(refs))
		refuse(0, "refs is not a JSON array");
	for (int i = 0; i < JsonContainerSize(&refs->root); i++)
	{
		JsonbContainer *object = EffJsonbElementObject(&refs->root, i);
		ExternalRef *ref = palloc0(sizeof(ExternalRef));
		JsonbValue *extra;

		if (object == NULL)
			refuse(i + 1, "an entry of refs is not a JSON object");
		if (EffJsonbUnknownKey(object, keys) != NULL)
			refuse(i + 1, "an entry of refs has an unknown member");
		ref->kind = text_member(object, "kind", i + 1);
		ref->value = text_member(object, "value", i + 1);
		extra = EffJsonbMember(object, "extra");
		if (extra != NULL)
		{
			Jsonb	   *value = JsonbValueToJsonb(extra);

			ref->extra = JsonbToCString(NULL, &value->root, VARSIZE(value));
		}
		if (EffResolverByName(resolvers, ref->kind) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RESOLVER),
					 errmsg("no resolver is registered for the kind of a reference"),
					 errdetail("Entry %d of refs.", i + 1),
					 errhint("A reference goes to the resolver named like its kind; %s.",
							 registered(resolvers)),
					 errhidestmt(true)));
		list = lappend(list, ref);
	}
	return list;
}

/*
 * EffRefsRequireResolver returns where the resolver that a column's "ref" names is
 * registered, ERROR ZE006 where it is not: a reference would be read and nobody
 * told.
 */
void
EffRefsRequireResolver(List *resolvers, MapTable *table, MapColumn *column)
{
	if (EffResolverByName(resolvers, column->label->ref) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_RESOLVER),
				 errmsg("no resolver is registered under the name \"%s\"", column->label->ref),
				 errdetail("The label of column \"%s\" of table \"%s\" says that it holds"
						   " identifiers in that system.",
						   column->column->name, table->rel->relname),
				 errhint("SELECT %s.effaced_register_resolver(%s);", EffExtensionSchemaSql(),
						 EffQuoteLiteral(column->label->ref)),
				 errhidestmt(true)));
}

/*
 * EffRefsUnite returns a new list of the references of both lists, each of them
 * once, in their order.  Equal references are found by sorting, because a subject
 * may have thousands.
 */
List *
EffRefsUnite(List *refs, List *others)
{
	List	   *all = list_concat_copy(refs, others);
	int			n = list_length(all);
	PlacedRef  *sorted = palloc(sizeof(PlacedRef) * Max(n, 1));
	bool	   *known = palloc0(sizeof(bool) * Max(n, 1));
	List	   *united = NIL;

	for (int i = 0; i < n; i++)
		sorted[i] = (PlacedRef) {list_nth(all, i), i};
	qsort(sorted, n, sizeof(PlacedRef), compare_places);
	for (int i = 1; i < n; i++)
		known[sorted[i].place] = compare_refs(sorted[i - 1].ref, sorted[i].ref) == 0;
	for (int i = 0; i < n; i++)
		if (!known[i])
			united = lappend(united, list_nth(all, i));
	return united;
}

/*
 * EffRefJson returns a reference as JSON text, as resolvers get it, in the current
 * memory context.
 */
char *
EffRefJson(const ExternalRef *ref)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	EffJsonMember(&buf, "kind", ref->kind);
	EffJsonMember(&buf, "value", ref->value);
	EffJsonKey(&buf, "extra");
	appendStringInfoString(&buf, ref->extra ? ref->extra : "null");
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* compare_places sorts equal references by their places in the list. */
static int
compare_places(const void *a, const void *b)
{
	const PlacedRef *one = a;
	const PlacedRef *other = b;
	int			result = compare_refs(one->ref, other->ref);

	return result != 0 ? result : one->place - other->place;
}

static int
compare_refs(const ExternalRef *a, const ExternalRef *b)
{
	int			result = strcmp(a->kind, b->kind);

	if (result == 0)
		result = strcmp(a->value, b->value);
	if (result == 0 && (a->extra == NULL || b->extra == NULL))
		return (a->extra != NULL) - (b->extra != NULL);
	return result != 0 ? result : strcmp(a->extra, b->extra);
}

/* text_member gives a member that has to be there, as text of the length allowed. */
static char *
text_member(JsonbContainer *object, const char *key, int place)
{
	char	   *text;
	int			length;

	if (!EffJsonbText(object, key, &text) || text == NULL)
		refuse(place, psprintf("an entry of refs has no %s", key));
	length = pg_mbstrlen(text);
	if (length < 1 || length > EFF_REF_LENGTH)
		refuse(place,
			   psprintf("the %s of a reference must have 1 to %d characters", key, EFF_REF_LENGTH));
	return text;
}

static void
refuse(int place, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_RESOLVER),
			 errmsg("%s", what),
			 place > 0 ? errdetail("Entry %d of refs.", place) : 0,
			 errhint("Write [{\"kind\": \"...\", \"value\": \"...\"}], with \"extra\" for anything"
					 " else that the resolver needs."),
			 errhidestmt(true)));
}

static char *
registered(List *resolvers)
{
	StringInfoData buf;
	ListCell   *lc;

	if (resolvers == NIL)
		return "none is registered in this database";
	initStringInfo(&buf);
	appendStringInfoString(&buf, "registered are: ");
	foreach(lc, resolvers)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 ((Resolver *) lfirst(lc))->name);
	return buf.data;
}
