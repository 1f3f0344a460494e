/*
 * batches.h (public)
 *	  Deletion batches: their settings.
 */
#ifndef EFF_BATCHES_H
#define EFF_BATCHES_H

#include "effaced.h"

extern void EffBatchesInit(void);

#endif							/* EFF_BATCHES_H */
