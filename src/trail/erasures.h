/*
 * erasures.h
 *	  What the trail has of subjects, and the secret that surrogates are made with.
 */
#ifndef EFF_AUDIT_H
#define EFF_AUDIT_H

#include "effaced.h"
#include "map/map.h"

typedef enum ErasureRecord
{
	ERASURE_UNKNOWN,
	ERASURE_OF_NOBODY,			/* recorded, but the subject's row was not there */
	ERASURE_RECORDED
} ErasureRecord;

/* What is on record of full erasures of these identifiers of a kind */
extern ErasureRecord *EffAuditErased(const char *kind, char **refs, int n);

/* The secret of this database, made at its first use */
extern const char *EffSecret(DataMap *map);

#endif							/* EFF_AUDIT_H */
