/*
 * scope.h (public)
 *	  The one predicate that says which rows of a table are a subject's.
 *
 * Every verb asks here.  The conditions appended hold the subject's key as
 * parameters, those of several subjects as arrays, and NULL is not TRUE: negate
 * them with IS NOT TRUE.
 */
#ifndef EFF_SCOPE_H
#define EFF_SCOPE_H

#include "effaced.h"
#include "map/map.h"
#include "rows/condition.h"
#include "rows/statement.h"

/* Columns of a relation that a condition reads */
typedef struct ScopeRead
{
	Oid			relid;
	Bitmapset  *attnums;
} ScopeRead;

/* Whose rows a condition is about */
typedef enum ScopeWhose
{
	SCOPE_MINE,					/* the subject's; in a statement for the whole call, those of any
								 * of its subjects */
	SCOPE_CALL,					/* those of any subject of the call */
	SCOPE_ANY,					/* anybody's */
	SCOPE_OTHERS,				/* somebody's who is neither in the call nor erased */
	SCOPE_ERASED,					/* somebody's who is in the call or erased */
	SCOPE_RESTRICTED			/* somebody's whose processing is restricted */
} ScopeWhose;

typedef struct ScopeOwner
{
	ScopeWhose	whose;
	MapTable   *erasing;		/* subject table of the call */
	bool		regardless;		/* of "where" */
	bool		either;			/* one of several conditions under an OR */
} ScopeOwner;

extern const ScopeOwner EffScopeMine;
extern const ScopeOwner EffScopeEither;	/* the same, under an OR */
extern const ScopeOwner EffScopeCall;
extern const ScopeOwner EffScopeAny;
extern const ScopeOwner EffScopeRestricted;

/* rows of the subject table */
extern const Condition *EffScopeSubject(DataMap *map, Statement *st, const char *alias,
										MapTable *subject,
							const ScopeOwner *owner);

/* rows of the table at the i-th hop of a link; 0 is the link's own table */
extern const Condition *EffScopeLink(DataMap *map, Statement *st, const char *alias,
									 TableLink *link, int i,
						 const ScopeOwner *owner);

/* the same for the link's own table, whatever "where" says, its own or on the way */
extern const Condition *EffScopeReach(DataMap *map, Statement *st, const char *alias,
									  TableLink *link,
						  const ScopeOwner *owner);

/* Whether a "where" leaves out rows that a link, or with link NULL being a subject, reaches */
extern bool EffScopeHasWhere(DataMap *map, MapTable *subject, TableLink *link);

/*
 * Rows that a link, or with link NULL being a subject, may be about: those that
 * somebody has by it, and those that nobody has but its "where" lets through.
 * Returns false, and appends nothing, where that is every row.
 */
extern const Condition *EffScopeOpen(DataMap *map, Statement *st, const char *alias,
									 MapTable *subject, TableLink *link);

/* rows whose key is in a part of a row set, this subject's or that of all of the call */
extern const Condition *EffScopeRows(Statement *st, const char *alias, const RowSet *rows,
									 int part);
extern const Condition *EffScopeCallRows(Statement *st, const char *alias, const RowSet *rows,
										 int part);

/*
 * The same rows by what they reference, found beforehand; and the statement that
 * finds it.  Only where the link goes over other rows, by a single column.
 */
extern bool EffScopeHasParents(TableLink *link);
extern Statement *EffScopeFindParents(DataMap *map, TableLink *link);
extern const Condition *EffScopeByReferencedKeys(DataMap *map, Statement *st, const char *alias,
												 TableLink *link, const ParentSet *parents);

/*
 * Distinct identifiers of the subjects that a link of rows leads to: "SELECT
 * DISTINCT key FROM ... WHERE " with the link's conditions, ending open for a
 * condition on the rows of alias t.
 */
extern void EffScopeOwners(DataMap *map, Statement *st, EffRelation *rel, MapTable *subject,
						   TableLink *link);

/* Whether EffScopeOwnerJoin() is a join that Citus makes, where it is */
extern bool EffScopeJoins(TableLink *link);

/* The way from rows of alias t to their owner as a join */
typedef struct OwnerJoin
{
	StringInfoData from;		/* ", table alias" for each table behind t */
	StringInfoData where;		/* "condition AND " for each condition */
	char	  **keys;			/* the owner's identifier, in order of the key */
	List	   *aliases;		/* of t and the tables behind it, at the places of their hops */
	const char *alias;			/* of the table that has it */
	EffRelation *holder;
	AttrNumber *columns;
} OwnerJoin;

extern OwnerJoin *EffScopeOwnerJoin(DataMap *map, Statement *st, MapTable *subject,
									TableLink *link);
extern void EffScopeOwnerIs(Statement *st, MapTable *subject, TableLink *link,
							const OwnerJoin *join);

/*
 * alias.columns equal those of a row of another table that meets a condition; by_key: as
 * a foreign key sees it
 */
extern const Condition *EffScopeJoin(Statement *st, const char *alias, EffRelation *rel,
									 const AttrNumber *columns,
									 const char *inner, EffRelation *target,
										 const AttrNumber *target_columns, int n,
									 bool by_key, const Condition *condition);
extern const char *EffScopeOnly(EffRelation *target, bool by_key);

/* rows of another table have these values, or reference them; the row itself does not count */
extern const Condition *EffScopeReferenced(Statement *st, const char *alias, EffRelation *rel,
										   const AttrNumber *columns,
							   EffRelation *source, const AttrNumber *source_columns, int n);

extern const Condition *EffScopeKey(Statement *st, const char *alias, EffRelation *rel,
									const AttrNumber *columns,
						MapTable *subject, const AttrNumber *target_columns, int n,
						const ScopeOwner *owner);

/* what a link's or a subject's condition reads, as a list of ScopeRead */
extern List *EffScopeReads(DataMap *map, MapTable *subject, TableLink *link);

/* the "where" of a link, on rows of its table */
extern const Condition *EffScopeWhere(DataMap *map, const char *alias, TableLink *link);

#endif							/* EFF_SCOPE_H */
