/*
 * compat.h
 *	  Everything that depends on the server's version.
 */
#ifndef EFF_COMPAT_H
#define EFF_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "effaced needs PostgreSQL 15 or newer"
#endif

#endif							/* EFF_COMPAT_H */
