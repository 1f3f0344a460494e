/*
 * trail.h
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

/* Make an event with the clock of now */
extern TrailEvent *EffTrailEvent(const char *type, const char *subject, const char *subject_ref, Jsonb *payload);

/* Write events in their order, as the owner of the trail; returns the last one's id as text */
extern char *EffTrailAppend(List *events);

#endif							/* EFF_TRAIL_H */
