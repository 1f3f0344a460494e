/*
 * jsonb_writer.h
 *	  Making a jsonb object member by member, without text in between.
 *
 * Results and events of every call are made with it: text would be parsed, at
 * several times the cost.  Names and values are not copied until EffObjectDone().
 */
#ifndef EFF_OBJECT_H
#define EFF_OBJECT_H

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

#endif							/* EFF_OBJECT_H */
