/*
 * settings.h (public)
 *	  Changes settings of the session for a while.
 */
#ifndef EFF_SETTINGS_H
#define EFF_SETTINGS_H

#include "effaced.h"

/* Until the nesting level ends that NewGUCNestLevel() gave */
extern void EffSettingSet(const char *name, const char *value);

#endif							/* EFF_SETTINGS_H */
