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

/* ERROR ZE001 where a label does not fit its table; looks at nothing else */
extern void EffProviderCheck(Oid relid, AttrNumber attnum, const char *json);

/* The same, as a struct; NULL where the label fits */
extern MapError *EffProviderTry(Oid relid, AttrNumber attnum, const char *json);

/* Set one label with the caller's privileges, inside the SPI bracket; json NULL removes it */
extern void EffProviderSetLabel(Oid relid, AttrNumber attnum, const char *json);


#endif							/* EFF_PROVIDER_H */
