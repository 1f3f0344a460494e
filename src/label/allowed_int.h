/*
 * allowed_int.h
 *	  What the expression of a label may use.
 */
#ifndef EFF_ALLOWED_INT_H
#define EFF_ALLOWED_INT_H

#include "nodes/nodes.h"

extern char *EffAllowedRefusal(Node *node, Oid target_type, bool *of_extension);

#endif							/* EFF_ALLOWED_INT_H */
