/*
 * outbox.h (public)
 *	  What requests have still to do in external systems.
 *
 * The outbox is a table and its functions, in outbox.sql.  Here is what
 * requests need of it, and the runner.
 */
#ifndef EFF_OUTBOX_H
#define EFF_OUTBOX_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "base/jsonb.h"

/* What is to be done for one subject in one system */
typedef struct OutboxEntry
{
	const char *subject_id;
	const char *resolver;
	char	   *ref;			/* JSON text */
	char	   *entry_id;		/* of the entry that was made */
} OutboxEntry;

/* Define the settings of retries; call once, when the module is loaded */
extern void EffOutboxInit(void);

/* Add one entry for each reference (a list of ExternalRef) of a subject to a list */
extern List *EffOutboxEntries(List *entries, const char *subject_id, List *refs);

/* Write the entries of a request; returns for each of subjects whether an entry of it is left */
extern bool *EffOutboxEnqueue(const char *operation, const char *kind, List **entries,
							  const char *payload,
							  List *subjects);

/* "enqueued" and "skipped_resolvers" of a result; resolvers are all that are registered */
extern void EffOutboxWrite(JsonbWriter *result, List *entries, List *resolvers);

#endif							/* EFF_OUTBOX_H */
