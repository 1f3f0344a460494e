/*
 * scope_int.h
 *	  Between scope.c and owner_join.c.
 */
#ifndef EFF_SCOPE_INT_H
#define EFF_SCOPE_INT_H

#include "rows/scope.h"

extern char *EffScopeWhereAt(DataMap *map, const char *alias, TableLink *link, int i,
							 Bitmapset **columns);

extern void EffScopeAppendCarried(Statement *st, const char *alias, TableLink *link, int i,
								  const ScopeOwner *owner);

extern void EffScopeAppendKey(Statement *st, const char *alias, EffRelation *rel,
							  const AttrNumber *columns, MapTable *subject,
								  const AttrNumber *target_columns, int n, EffParamKind kind);

extern char *EffScopeJoinSide(Statement *st, const char *alias, EffRelation *rel, AttrNumber attnum,
							  EffRelation *target, AttrNumber target_attnum);

extern void EffScopeAppendEqual(StringInfo buf, const char *left, const char *right, Oid type);

#endif							/* EFF_SCOPE_INT_H */
