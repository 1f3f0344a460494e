/*
 * batches.h
 *	  Settings of deletion at scale.
 */
#ifndef EFF_GOVERNANCE_H
#define EFF_GOVERNANCE_H

#include "effaced.h"

extern void EffGovernanceInit(void);

#endif							/* EFF_GOVERNANCE_H */
