/*
 * jsonb_reader.h
 *	  Members of a jsonb object by key.
 */
#ifndef EFF_JSONB_READER_H
#define EFF_JSONB_READER_H

#include "effaced.h"
#include "utils/jsonb.h"

extern char *EffJsonbWords(const char *const *words);

extern char *EffJsonbString(JsonbContainer *object, const char *key, bool required);

extern char *EffJsonbName(JsonbContainer *object, const char *key, bool required);

#endif							/* EFF_JSONB_READER_H */
