/*
 * resolver.h (public)
 *	  Resolvers: the external systems that are registered, and their functions.
 */
#ifndef EFF_RESOLVER_H
#define EFF_RESOLVER_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* An external system; functions are as regprocedure writes them, or NULL */
typedef struct Resolver
{
	char	   *name;
	char	   *export_function;
} Resolver;

extern List *EffResolvers(void);	/* of Resolver, by name */
extern Resolver *EffResolverByName(List *resolvers, const char *name);

/* Call a function with one or two jsonb arguments; where it fails: NULL, and its SQLSTATE */
extern Jsonb *EffResolverCall(const char *function, int nargs, Jsonb **args, bool at_end,
							  char **sqlstate);

#endif							/* EFF_RESOLVER_H */
