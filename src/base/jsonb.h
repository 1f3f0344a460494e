/*
 * jsonb.h (public)
 *	  jsonb objects read member by member, and written without text between.
 */
#ifndef EFF_JSONB_H
#define EFF_JSONB_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Reading.  Lists of words and keys end with NULL. */

/* NULL where absent or JSON null */
extern JsonbValue *EffJsonbMember(JsonbContainer *object, const char *key);

/* Whether a member is a string, or not there, which leaves *text NULL */
extern bool EffJsonbText(JsonbContainer *object, const char *key, char **text);

/* The object at a place of an array, NULL where the element is none */
extern JsonbContainer *EffJsonbElementObject(JsonbContainer *array, int place);

/* A key that is not allowed; the second raises ZE001 for it */
extern char *EffJsonbUnknownKey(JsonbContainer *object, const char *const *allowed);
extern void EffJsonbCheckKeys(JsonbContainer *object, const char *const *allowed,
							  const char *what);

/* A text that holds an object; ERROR ZE001 otherwise */
extern Jsonb *EffJsonbParse(const char *text, const char *what, const char *const *allowed);

extern char *EffJsonbWords(const char *const *words);

/* Writing: begin, one call per member, done. */
typedef struct JsonbWriter
{
	JsonbParseState *state;
} JsonbWriter;

extern void EffObjectBegin(JsonbWriter *object);
extern void EffObjectText(JsonbWriter *object, const char *key, const char *value);
extern void EffObjectTexts(JsonbWriter *object, const char *key, List *values);	/* of char * */
extern void EffObjectNumber(JsonbWriter *object, const char *key, uint64 value);
extern void EffObjectBool(JsonbWriter *object, const char *key, bool value);

/* A member that is an object or an array; objects without a key are an array's elements */
extern void EffObjectOpen(JsonbWriter *object, const char *key);
extern void EffObjectClose(JsonbWriter *object);
extern void EffObjectOpenArray(JsonbWriter *object, const char *key);
extern void EffObjectCloseArray(JsonbWriter *object);

extern Jsonb *EffObjectDone(JsonbWriter *object);

#endif							/* EFF_JSONB_H */
