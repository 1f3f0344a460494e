/*
 * jsonb_reader.c
 *	  FIXME
 */
#include "postgres.h"

#include "base/jsonb.h"

#include "utils/builtins.h"

/*
 * EffJsonbMember looks a key up; an absent key and JSON null are both NULL.
 */
JsonbValue *
EffJsonbMember(JsonbContainer *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/*
 * EffJsonbParse reads a JSON object; what names it in the message of ZE001,
 * and allowed its keys in the hint.
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
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		/* only what the parser says of the text is ours to translate */
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not valid JSON", what),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("Write a JSON object {\"key\": value, ...}.  Allowed keys: %s.", EffJsonbWords(allowed))));
	}
	PG_END_TRY();

	if (!JB_ROOT_IS_OBJECT(result))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not a JSON object", what),
				 errhint("Write a JSON object {\"key\": value, ...}.  Allowed keys: %s.", EffJsonbWords(allowed))));
	return result;
}

/*
 * EffJsonbCheckKeys refuses members that nobody would read.
 */
void
EffJsonbCheckKeys(JsonbContainer *object, const char *const *allowed, const char *what)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	v;
	JsonbIteratorToken token;

	if (!JsonContainerIsObject(object))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not a JSON object", what),
				 errhint("Allowed keys: %s.", EffJsonbWords(allowed))));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		int			i;

		if (token != WJB_KEY)
			continue;
		for (i = 0; allowed[i] != NULL; i++)
			if (strlen(allowed[i]) == v.val.string.len &&
				memcmp(allowed[i], v.val.string.val, v.val.string.len) == 0)
				break;
		if (allowed[i] == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("unknown key \"%s\" in %s",
							pnstrdup(v.val.string.val, v.val.string.len), what),
					 errhint("Allowed keys: %s.", EffJsonbWords(allowed))));
	}
}

char *
EffJsonbString(JsonbContainer *object, const char *key, bool required)
{
	JsonbValue *value = EffJsonbMember(object, key);

	if (value == NULL && !required)
		return NULL;
	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label lacks the required key \"%s\"", key),
				 errhint("Give \"%s\" a string.", key)));
	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be a string", key),
				 errhint("Write \"%s\": \"...\".", key)));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* EffJsonbName reads a string that must not be empty. */
char *
EffJsonbName(JsonbContainer *object, const char *key, bool required)
{
	char	   *value = EffJsonbString(object, key, required);

	if (value != NULL && value[strspn(value, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must not be empty", key),
				 errhint("Write \"%s\": \"...\"%s.", key, required ? "" : " or leave the key out")));
	return value;
}

char *
EffJsonbWords(const char *const *words)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; words[i] != NULL; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", words[i]);
	return buf.data;
}
