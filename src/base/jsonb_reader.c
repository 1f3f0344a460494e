/*
 * jsonb_reader.c
 *	  Reads the members of jsonb objects: of labels, manifests and arguments.
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/jsonb.h"

#include "utils/builtins.h"

static bool is_key_among(const JsonbValue *key, const char *const *words);

/*
 * EffJsonbMember returns the value of a key of an object, in the current memory
 * context; NULL where the key is absent and where its value is the JSON null,
 * which mean the same everywhere in labels and arguments.
 */
JsonbValue *
EffJsonbMember(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/*
 * EffJsonbText reads a member that is a string.  It returns false where the
 * member is something else, so that the caller says so in words of its own.
 * *text is the string, in the current memory context, or NULL where the member
 * is absent or null.
 */
bool
EffJsonbText(JsonbContainer *object, const char *key, char **text)
{
	JsonbValue *value = EffJsonbMember(object, key);

	*text = NULL;
	if (value == NULL)
		return true;
	if (value->type != jbvString)
		return false;
	*text = pnstrdup(value->val.string.val, value->val.string.len);
	return true;
}

/*
 * EffJsonbElementObject returns the object at a place of an array, counted from
 * 0, or NULL where the element is no object.
 */
JsonbContainer *
EffJsonbElementObject(JsonbContainer *array, int place)
{
	JsonbValue *element = getIthJsonbValueFromContainer(array, place);

	if (element == NULL || element->type != jbvBinary ||
		!JsonContainerIsObject(element->val.binary.data))
		return NULL;
	return element->val.binary.data;
}

/*
 * EffJsonbUnknownKey returns the first key of an object that is not among the
 * allowed ones, in the current memory context, or NULL where there is none.  The
 * list of allowed keys ends with NULL.
 */
char *
EffJsonbUnknownKey(JsonbContainer *object, const char *const *allowed)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY && !is_key_among(&value, allowed))
			return pnstrdup(value.val.string.val, value.val.string.len);
	return NULL;
}

/*
 * EffJsonbCheckKeys raises ZE001 where a container is no object, or has a key
 * that is not allowed: nobody would read it, and a typing error would go
 * unnoticed.  what names the container in the message.
 */
void
EffJsonbCheckKeys(JsonbContainer *object, const char *const *allowed, const char *what)
{
	char	   *unknown;

	if (!JsonContainerIsObject(object))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not a JSON object", what),
				 errhint("Allowed keys: %s.", EffJsonbWords(allowed))));
	unknown = EffJsonbUnknownKey(object, allowed);
	if (unknown != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("unknown key \"%s\" in %s", unknown, what),
				 errhint("Allowed keys: %s.", EffJsonbWords(allowed))));
}

/*
 * EffJsonbParse returns the JSON object that a text holds, in the current memory
 * context.  Any other text is ZE001: what names it in the message, and the hint
 * lists the allowed keys.
 */
Jsonb *
EffJsonbParse(const char *text, const char *what, const char *const *allowed)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile result = NULL;

	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		ErrorData  *error = EffCatchDataError(context);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not valid JSON", what),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("Write a JSON object {\"key\": value, ...}.  Allowed keys: %s.",
						 EffJsonbWords(allowed))));
	}
	PG_END_TRY();

	if (!JB_ROOT_IS_OBJECT(result))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not a JSON object", what),
				 errhint("Write a JSON object {\"key\": value, ...}.  Allowed keys: %s.",
						 EffJsonbWords(allowed))));
	return result;
}

/*
 * EffJsonbWords returns words, of which the last is NULL, divided by commas, for
 * a hint.
 */
char *
EffJsonbWords(const char *const *words)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; words[i] != NULL; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", words[i]);
	return buf.data;
}

static bool
is_key_among(const JsonbValue *key, const char *const *words)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strlen(words[i]) == key->val.string.len &&
			memcmp(words[i], key->val.string.val, key->val.string.len) == 0)
			return true;
	return false;
}
