/*
 * batches.h (public)
 *	  Settings of deletion at scale.
 */
#ifndef EFF_BATCHES_H
#define EFF_BATCHES_H

#include "effaced.h"

extern void EffGovernanceInit(void);

#endif							/* EFF_BATCHES_H */
