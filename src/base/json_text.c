/*
 * json_text.c
 *	  Small pieces of JSON text.
 */
#include "postgres.h"

#include "base/json_text.h"

#include "utils/builtins.h"
#include "utils/json.h"

void
EffJsonComma(StringInfo buf)
{
	if (buf->len > 0 && strchr("{[", buf->data[buf->len - 1]) == NULL)
		appendStringInfoString(buf, ", ");
}

void
EffJsonKey(StringInfo buf, const char *key)
{
	EffJsonComma(buf);
	escape_json(buf, key);
	appendStringInfoString(buf, ": ");
}

void
EffJsonString(StringInfo buf, const char *value)
{
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, value);
}

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

void
EffJsonMember(StringInfo buf, const char *key, const char *value)
{
	EffJsonKey(buf, key);
	EffJsonString(buf, value);
}

void
EffJsonNumber(StringInfo buf, const char *key, uint64 value)
{
	EffJsonKey(buf, key);
	appendStringInfo(buf, UINT64_FORMAT, value);
}

/* EffJsonDone parses what was written. */
Jsonb *
EffJsonDone(StringInfo buf)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf->data)));
}
