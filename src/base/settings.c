/*
 * settings.c
 *	  Changes settings of the session for a while.
 */
#include "postgres.h"

#include "base/settings.h"

#include "utils/guc.h"

/*
 * EffSettingSet changes a setting, internal ones too, until the nesting level
 * ends that NewGUCNestLevel() gave.
 */
void
EffSettingSet(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_INTERNAL, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}
