/*
 * enforce_plan.h
 *	  The steps of an enforcement: what is done to rows whose term has ended.
 */
#ifndef EFF_ENFORCE_PLAN_H
#define EFF_ENFORCE_PLAN_H

#include "effaced.h"
#include "retention/terms.h"
#include "storage/itemptr.h"

/* Columns of other rows, source, that may reference a row of rel and so keep it */
typedef struct RowReference
{
	EffRelation *rel;
	AttrNumber *columns;
	EffRelation *source;
	AttrNumber *source_columns;
	int			n;
} RowReference;

/* The last row that was picked; the next ones come after it in this order */
typedef struct EnforcementPlace
{
	Datum		anchor;
	Oid			tableoid;
	ItemPointerData ctid;
} EnforcementPlace;

/* What is done to the expired rows of a table, for one or more terms; kept with the map */
typedef struct EnforcementStep
{
	MapTable   *table;
	bool		deletes;		/* the rows; it anonymizes columns otherwise */
	List	   *terms;			/* of RetentionTerm: with one anchor, duration and link */
	List	   *others;			/* of RetentionTerm: columns that may keep a row from deletion */
	List	   *claims;			/* of OwnerClaim: whose the rows may be */
	List	   *references;		/* of RowReference: references that keep a row from deletion */
	List	   *keepers;		/* of enforce_ways.c: what its columns lead to */

	/* how far the run with this number has come */
	uint64		run;
	bool		finished;
	EnforcementPlace place;
} EnforcementStep;

extern List *EffEnforcePlanGet(DataMap *map);

#endif							/* EFF_ENFORCE_PLAN_H */
