/*
 * ref_plan.h (public)
 *	  Which columns of which rows hold a subject's references to external
 *	  systems, as statements.
 */
#ifndef EFF_REF_PLAN_H
#define EFF_REF_PLAN_H

#include "effaced.h"
#include "exec/exec.h"

/* Whose references rows with several owners hold, where no link says it */
typedef enum RefOwner
{
	REF_GONE,					/* the subject whose erasure deletes or changes the row */
	REF_ALONE,					/* the subject, where every other owner is erased */
	REF_ANY						/* every owner */
} RefOwner;

/* Let an erasure read them before anything changes; not one that is restricted to some tables */
extern void EffRefPlanForErasure(DataMap *map, ErasurePlan *plan);

/* The columns of all tables that a kind of subject owns rows of; REF_ALONE or REF_ANY */
extern RequestPlan *EffRefPlanGet(DataMap *map, MapTable *subject, RefOwner owner);

/* ERROR ZE006 where a column names a system that is not registered */
extern void EffRefPlanCheck(RequestPlan *plan, List *resolvers);

/* The references that a subject's rows hold, as a list of ExternalRef; opens an SPI bracket */
extern List *EffRefPlanRead(DataMap *map, RequestPlan *plan, SubjectKey *key);

/* Append those of one table, inside an SPI bracket; the list lives as long as the run */
extern List *EffRefPlanReadSource(List *refs, RefSource *source, SubjectRun *run);

#endif							/* EFF_REF_PLAN_H */
