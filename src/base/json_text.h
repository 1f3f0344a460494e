/*
 * json_text.h (public)
 *	  Writing JSON text, member by member.
 */
#ifndef EFF_JSON_TEXT_H
#define EFF_JSON_TEXT_H

#include "effaced.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* ", " unless the buffer has just opened an object or array, then "key": */
extern void EffJsonKey(StringInfo buf, const char *key);
extern void EffJsonComma(StringInfo buf);
extern void EffJsonString(StringInfo buf, const char *value);	/* NULL gives null */
extern void EffJsonStrings(StringInfo buf, List *values);	/* of char * */
extern void EffJsonMember(StringInfo buf, const char *key, const char *value);
extern void EffJsonNumber(StringInfo buf, const char *key, uint64 value);
extern Jsonb *EffJsonDone(StringInfo buf);

#endif							/* EFF_JSON_TEXT_H */
