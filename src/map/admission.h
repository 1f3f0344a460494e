/*
 * admission.h (public)
 *	  Whose labels count, and which tables have labels that do not.
 */
#ifndef EFF_ADMISSION_H
#define EFF_ADMISSION_H

#include "base/jsonb.h"
#include "map/map.h"

/* The names of admitted roles (char *), and whether labels of an owner's tables count */
extern List *EffAdmittedRoles(void);
extern bool EffLabelsCount(List *admitted, Oid owner);

/* Tell whoever labels a table, or changes its owner, that its labels do not count */
extern void EffAdmissionWarn(Oid relid);
extern char *EffAdmissionHint(EffRelation *relation);

/* Tables whose labels do not count: one of them, all names, as member of a result, as WARNING */
extern EffRelation *EffAdmissionMissing(DataMap *map, Oid relid);
extern List *EffAdmissionNames(DataMap *map);
extern void EffAdmissionWrite(JsonbWriter *result, DataMap *map);
extern void EffAdmissionTell(DataMap *map);

#endif							/* EFF_ADMISSION_H */
