/*
 * effaced.c
 *	  The module: its magic block and _PG_init.
 */
#include "postgres.h"

#include "fmgr.h"

#include "export/access_folder.h"
#include "relations/relations.h"
#include "batches/batches.h"
#include "map/map.h"
#include "outbox/outbox.h"
#include "map/provider.h"
#include "base/spi.h"
#include "trail/trail.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	EffCatalogInit();
	EffSpiInit();
	EffTrailInit();
	EffMapInit();
	EffProviderInit();
	EffAccessFolderInit();
	EffOutboxInit();
	EffGovernanceInit();
}
