/*
 * json_text.c
 *	  JSON written as text, member by member, for what is streamed and never
 *	  becomes a jsonb.
 */
#include "postgres.h"

#include "base/json_text.h"

#include "utils/builtins.h"
#include "utils/json.h"

/*
 * EffJsonComma appends ", ", unless an object or array has just been opened.
 */
void
EffJsonComma(StringInfo buf)
{
	if (buf->len > 0 && strchr("{[", buf->data[buf->len - 1]) == NULL)
		appendStringInfoString(buf, ", ");
}

/*
 * EffJsonKey appends the key of a member, after a comma where one is needed.
 */
void
EffJsonKey(StringInfo buf, const char *key)
{
	EffJsonComma(buf);
	escape_json(buf, key);
	appendStringInfoString(buf, ": ");
}

/*
 * EffJsonString appends a string, or null for NULL.
 */
void
EffJsonString(StringInfo buf, const char *value)
{
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, value);
}

/*
 * EffJsonStrings appends an array of strings, a list of char *.
 */
void
EffJsonStrings(StringInfo buf, List *values)
{
	ListCell   *lc;

	appendStringInfoChar(buf, '[');
	foreach(lc, values)
	{
		EffJsonComma(buf);
		escape_json(buf, lfirst(lc));
	}
	appendStringInfoChar(buf, ']');
}

/*
 * EffJsonMember appends a member that is a string, or null for NULL.
 */
void
EffJsonMember(StringInfo buf, const char *key, const char *value)
{
	EffJsonKey(buf, key);
	EffJsonString(buf, value);
}

/*
 * EffJsonNumber appends a member that is a number.
 */
void
EffJsonNumber(StringInfo buf, const char *key, uint64 value)
{
	EffJsonKey(buf, key);
	appendStringInfo(buf, UINT64_FORMAT, value);
}

/*
 * EffJsonDone returns what was written as a jsonb, in the current memory
 * context.
 */
Jsonb *
EffJsonDone(StringInfo buf)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf->data)));
}
