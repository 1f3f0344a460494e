/*
 * refs.h
 *	  References to a subject in external systems.
 */
#ifndef EFF_REFS_H
#define EFF_REFS_H

#include "effaced.h"
#include "fmgr.h"

/* ERROR ZE006 where argument argno of a function is no list of references, or names an unknown kind */
extern void EffRefsCheck(FunctionCallInfo fcinfo, int argno);

#endif							/* EFF_REFS_H */
