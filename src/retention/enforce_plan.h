/*
 * enforce_plan.h
 *	  What is done to rows whose term of retention has ended, step by step.
 */
#ifndef EFF_ENFORCE_PLAN_H
#define EFF_ENFORCE_PLAN_H

#include "effaced.h"
#include "retention/terms.h"
#include "storage/itemptr.h"

/* Columns of other rows that may name a row */
typedef struct RowReference
{
	EffRelation *rel;
	AttrNumber *columns;
	EffRelation *source;
	AttrNumber *source_columns;
	int			n;
} RowReference;

/* The last row that was picked, in order of the anchor */
typedef struct EnforcementPlace
{
	Datum		anchor;
	Oid			tableoid;
	ItemPointerData ctid;
} EnforcementPlace;

/* What is done to the expired rows of a table; kept with the map */
typedef struct EnforcementStep
{
	MapTable   *table;
	bool		deletes;
	List	   *terms;			/* of RetentionTerm: of one anchor and duration, about the same subjects */
	List	   *others;			/* of RetentionTerm: what else the row retains, where it deletes */
	List	   *claims;			/* of OwnerClaim: everybody whose row it may be */
	List	   *references;		/* of RowReference: what keeps a row, where it deletes */

	/* how far it has come */
	uint64		run;			/* the rest is of this run */
	bool		finished;
	EnforcementPlace place;
} EnforcementStep;

/*
 * The steps in their order, made once per map; ERROR where a label cannot be
 * carried out.  Call with the settings pinned.
 */
extern List *EffEnforcePlanGet(DataMap *map);

#endif							/* EFF_ENFORCE_PLAN_H */
