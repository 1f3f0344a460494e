/*
 * erase.h (public)
 *	  Erasure (Art. 17) for callers in C: effaced_erase(), effaced_erase_many()
 *	  and effaced_replay() are shells around EffErase().
 */
#ifndef EFF_ERASE_H
#define EFF_ERASE_H

#include "effaced.h"
#include "exec/exec.h"
#include "trace/trace.h"
#include "utils/jsonb.h"

/* What an erasure is asked for; a member that is zero asks for nothing special */
typedef struct EraseRequest
{
	const char *function;		/* SQL function that errors name */
	Oid			subject;		/* subject table; InvalidOid: the only one of the map */
	List	   *identifiers;	/* of SubjectIdentifier; who is named twice is erased once */
	Jsonb	   *refs;			/* each subject's references to external systems; NULL: none */
	List	   *tables;			/* of Oid: erase from these tables alone; NIL: from all */
	TraceMode	trace;			/* what to do about copies of what is erased */
	bool		skip_held;		/* leave out who is held, which is else an error */
} EraseRequest;

/* A subject of an erasure, and what of its erasure is still to be done in external systems */
typedef struct ErasedSubject
{
	SubjectRun *run;			/* subject and rows by step */
	List	   *refs;			/* of ExternalRef: what its rows held in columns with "ref" */
	int			enqueued;		/* entries of the outbox that were made for the subject */
	bool		waits;			/* some entry of the outbox is left, be it of an earlier request */
} ErasedSubject;

/* What an erasure did */
typedef struct Erasure
{
	Call	   *call;			/* map, plan and subjects */
	ErasedSubject *subjects;	/* call->nkeys of them, in order of their canonical identifiers */
	uint64	   *totals;			/* rows by step; a row of several subjects counts once */
	uint64		not_found;		/* subjects without a row of their own */
	EffTrace   *trace;			/* copies of what was erased; NULL where nobody looked */
	int			held;			/* subjects that were left out, since nothing may delete them */
	uint64		objects_kept;	/* large objects whose pointers went, and which stay */
	List	   *entries;		/* of OutboxEntry */
	List	   *resolvers;		/* of Resolver: all that are registered */
} Erasure;

/* Erase the subjects of a request, all or none, in the caller's transaction */
extern Erasure *EffErase(const EraseRequest *request);

#endif							/* EFF_ERASE_H */
