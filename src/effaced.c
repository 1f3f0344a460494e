/*
 * effaced.c
 *	  The module: its magic block and _PG_init.
 */
#include "postgres.h"

#include "base/own.h"
#include "batches/batches.h"
#include "export/export.h"
#include "map/provider.h"
#include "outbox/outbox.h"
#include "trail/trail.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/*
 * _PG_init is called once per session, when the library is loaded.  Each folder
 * defines its own settings and registers its own callbacks.
 */
void
_PG_init(void)
{
	EffOwnInit();
	EffSpiInit();
	EffTrailInit();
	EffSecretInit();
	EffMapInit();
	EffProviderInit();
	EffExportInit();
	EffOutboxInit();
	EffBatchesInit();
}
