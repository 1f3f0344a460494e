/*
 * surrogate_int.h
 *	  What may stand in the way of a surrogate: unique indexes, CHECKs, domains.
 */
#ifndef EFF_SURROGATE_INT_H
#define EFF_SURROGATE_INT_H

#include "rows/surrogate.h"

#define TOKEN_PREFIX "anon-"
#define TOKEN_DIGITS 32			/* hexadecimal, of a SHA-256 */
#define UNIQUE_DIGITS 16		/* the least that stays distinct: 64 bits */

/* The column in the table itself or in one of its children */
typedef struct ColumnPlace
{
	EffRelation *rel;
	EffColumn  *column;
} ColumnPlace;

extern char *EffTableCheckInTheWay(Surrogate *surrogate, List *places);

extern char *EffDomainCheckInTheWay(Surrogate *surrogate, ColumnPlace *place);

extern char *EffUniqueIndexInTheWay(Surrogate *surrogate, List *places);

#endif							/* EFF_SURROGATE_INT_H */
