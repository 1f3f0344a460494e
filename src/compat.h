/*
 * compat.h
 *	  Everything that depends on the server's version.
 */
#ifndef EFF_COMPAT_H
#define EFF_COMPAT_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"

#if PG_VERSION_NUM < 140000
#error "effaced needs PostgreSQL 14 or newer"
#endif

/* makeString() took a String node of its own in 15; strVal() works in all */
#if PG_VERSION_NUM >= 160000
#define EffFilePerms pg_foreign_file_perms
#endif

#endif							/* EFF_COMPAT_H */
