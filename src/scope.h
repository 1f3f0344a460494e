/*
 * scope.h
 *	  The one predicate that says which rows of a table are a subject's.
 *
 * Every verb asks here.  The conditions appended hold the subjects' keys as
 * array parameters and NULL is not TRUE: negate them with IS NOT TRUE.
 */
#ifndef EFF_SCOPE_H
#define EFF_SCOPE_H

#include "effaced.h"
#include "manifest.h"
#include "statement.h"

/* Columns of a relation that a condition reads */
typedef struct ScopeRead
{
	Oid			relid;
	Bitmapset  *attnums;
} ScopeRead;

/* rows of the subject table */
extern void EffScopeSubject(DataMap *map, Statement *st, const char *alias, MapTable *subject);

/* rows of the table at the i-th hop of a link; 0 is the link's own table */
extern void EffScopeLink(DataMap *map, Statement *st, const char *alias, TableLink *link, int i);

/* the same for the link's own table, without the link's own "where" */
extern void EffScopeReach(DataMap *map, Statement *st, const char *alias, TableLink *link);

/* rows whose columns are equal to those of the condition's rows in a row set */
extern void EffScopeRows(Statement *st, const char *alias, RowSet *rows);

/* alias.columns joined to a sub-select's; the caller appends the sub-select's condition and ")" */
extern void EffScopeJoinBegin(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
							  const char *inner, EffRelation *target, const AttrNumber *target_columns, int n);

/* alias.columns equal to the key of a subject, where these columns hold it */
extern bool EffScopeIsKey(MapTable *subject, const AttrNumber *target_columns, int n);
extern void EffScopeKey(Statement *st, const char *alias, EffRelation *rel, const AttrNumber *columns,
						MapTable *subject, const AttrNumber *target_columns, int n);

/* what a link's or a subject's condition reads, as a list of ScopeRead */
extern List *EffScopeReads(DataMap *map, MapTable *subject, TableLink *link);

/* whether the hops of a link from i on are those of another link */
extern bool EffScopeSameHops(TableLink *link, int i, TableLink *other);

#endif							/* EFF_SCOPE_H */
