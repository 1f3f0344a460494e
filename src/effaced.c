/*
 * effaced.c
 *	  The module: its magic block and _PG_init.
 */
#include "postgres.h"

#include "fmgr.h"

#include "access_folder.h"
#include "catalog.h"
#include "governance.h"
#include "manifest.h"
#include "outbox.h"
#include "provider.h"
#include "spi.h"
#include "trail.h"

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
