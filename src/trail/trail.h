/*
 * trail.h (public)
 *	  Events, and the value-free trail that they are written to.
 */
#ifndef EFF_TRAIL_H
#define EFF_TRAIL_H

#include "effaced.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct TrailEvent
{
	const char *type;
	const char *subject;		/* kind, NULL where the event is about none */
	const char *subject_ref;	/* identifier, likewise */
	TimestampTz occurred_at;
	Jsonb	   *payload;
} TrailEvent;

extern void EffTrailInit(void);
extern void EffSecretInit(void);

/* Make an event with the clock of now */
extern TrailEvent *EffTrailEvent(const char *type, const char *subject, const char *subject_ref,
								 Jsonb *payload);

/* Write events in their order, as the owner of the trail; returns the last one's id as text */
extern char *EffTrailAppend(List *events);

typedef enum ErasureRecord
{
	ERASURE_UNKNOWN,
	ERASURE_OF_NOBODY,			/* recorded, but the subject's row was not there */
	ERASURE_RECORDED
} ErasureRecord;

/* What is on record of full erasures of these identifiers of a kind */
extern ErasureRecord *EffTrailErasures(const char *kind, char **refs, int n);

/*
 * Those of n identifiers of a kind (char *) that nothing may delete; locks all n, so that
 * none is restricted meanwhile
 */
extern List *EffTrailHeld(const char *kind, char **refs, int n);

/* Lock a subject that is to be restricted; or all, for whoever cannot name them beforehand */
extern void EffTrailMeetErasures(const char *kind, char *ref);
extern void EffTrailStopRestrictions(void);

/* The secret of this database, made at its first use */
extern const char *EffSecret(void);

#endif							/* EFF_TRAIL_H */
