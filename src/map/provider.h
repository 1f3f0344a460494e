/*
 * provider.h (public)
 *	  The label provider and the event triggers that stand beside it.
 */
#ifndef EFF_PROVIDER_H
#define EFF_PROVIDER_H

#include "effaced.h"
#include "access/attnum.h"
#include "map/map.h"

extern void EffProviderInit(void);

/* Whether a label fits its table: raised, or returned */
extern void EffProviderCheck(Oid relid, AttrNumber attnum, const char *json);
extern MapError *EffProviderTry(Oid relid, AttrNumber attnum, const char *json);

extern void EffProviderSetLabel(Oid relid, AttrNumber attnum, const char *json);

#endif							/* EFF_PROVIDER_H */
