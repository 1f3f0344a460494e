/*
 * arrays.h (public)
 *	  Arrays of texts and of OIDs, as SQL takes and gives them.
 */
#ifndef EFF_ARRAYS_H
#define EFF_ARRAYS_H

#include "effaced.h"
#include "nodes/pg_list.h"

/* text[] of strings, NULL where one is; in the current context */
extern Datum EffTextArray(char **texts, int n);
extern Datum EffTextArrayOfList(List *texts);	/* of char * */

/* The strings of a text[], NULL where an element is */
extern char **EffTextArrayRead(Datum array, int *n);

/* Array of a type that is an oid, from a list of Oid */
extern Datum EffOidArray(List *oids, Oid type);

/* The OIDs of such an array that are not NULL; n elements in all */
extern List *EffOidArrayRead(Datum array, int *n);

#endif							/* EFF_ARRAYS_H */
