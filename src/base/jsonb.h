/*
 * jsonb.h (public)
 *	  jsonb objects read member by member, and written without text between.
 */
#ifndef EFF_JSONB_H
#define EFF_JSONB_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct EffObject
{
	JsonbParseState *state;
} EffObject;

extern void EffObjectBegin(EffObject *object);
extern void EffObjectText(EffObject *object, const char *key, const char *value);	/* NULL gives null */
extern void EffObjectTexts(EffObject *object, const char *key, List *values);	/* of char * */
extern void EffObjectNumber(EffObject *object, const char *key, uint64 value);
extern void EffObjectBool(EffObject *object, const char *key, bool value);

/* A member that is an object or an array; objects without a key are an array's elements */
extern void EffObjectOpen(EffObject *object, const char *key);
extern void EffObjectClose(EffObject *object);
extern void EffObjectOpenArray(EffObject *object, const char *key);
extern void EffObjectCloseArray(EffObject *object);

extern Jsonb *EffObjectDone(EffObject *object);

/* Jsonb member of an object, NULL where absent or JSON null */
extern JsonbValue *EffJsonbMember(JsonbContainer *object, const char *key);
/* ERROR ZE001 where an object has another key; allowed ends with NULL */
extern void EffJsonbCheckKeys(JsonbContainer *object, const char *const *allowed, const char *what);
extern Jsonb *EffJsonbParse(const char *text, const char *what, const char *const *allowed);
extern char *EffJsonbWords(const char *const *words);
extern char *EffJsonbString(JsonbContainer *object, const char *key, bool required);
extern char *EffJsonbName(JsonbContainer *object, const char *key, bool required);

#endif							/* EFF_JSONB_H */
