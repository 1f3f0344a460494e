/*
 * path.h (public)
 *	  The dotted path of a link as segments.
 */
#ifndef EFF_PATH_H
#define EFF_PATH_H

#include "effaced.h"
#include "nodes/pg_list.h"

/* One segment of a dotted path */
typedef struct PathSegment
{
	char	   *text;			/* as written */
	char	   *name;
	List	   *columns;		/* of char *: against a reference; NIL along one */
} PathSegment;

/* A list of PathSegment; ERROR ZE001 where the path is malformed */
extern List *EffPathParse(const char *path);

#endif							/* EFF_PATH_H */
