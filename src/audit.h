/*
 * audit.h
 *	  The value-free trail, and the secret that surrogates are made with.
 */
#ifndef EFF_AUDIT_H
#define EFF_AUDIT_H

#include "effaced.h"
#include "datatype/timestamp.h"
#include "manifest.h"
#include "utils/jsonb.h"

typedef struct AuditEvent
{
	const char *type;
	const char *subject;		/* kind, NULL where the event is about none */
	const char *subject_ref;	/* identifier, likewise */
	TimestampTz occurred_at;
	Jsonb	   *payload;
} AuditEvent;

/* Make an event with the clock of now */
extern AuditEvent *EffAuditEvent(const char *type, const char *subject, const char *subject_ref,
								 Jsonb *payload);

/* Write events in their order, in one statement; returns the last one's id as text */
extern char *EffAuditAppend(List *events);

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
