/*
 * key_probe.h (public)
 *	  Whether a table can hold rows of a subject, asked of an index.
 *
 * A statement costs many times what a look into an index does.  Where a plan has
 * very many tables, those that are empty of the subject are found out that way,
 * and what only reaches rows of theirs is not run.
 */
#ifndef EFF_KEY_PROBE_H
#define EFF_KEY_PROBE_H

#include "effaced.h"
#include "subject/subject.h"

#include "access/skey.h"
#include "nodes/parsenodes.h"

/* Columns that hold the identifier of a subject, and the index on them */
typedef struct KeyProbe
{
	int			id;				/* place among those of the plan */
	MapTable   *subject;
	EffRelation *rel;
	int			n;
	AttrNumber	columns[INDEX_MAX_KEYS];	/* in order of the subject's key */
	bool		held;			/* the call has locked the relation already */
	bool		known;			/* index and keys are */
	Oid			index;			/* InvalidOid where none can tell */
	ScanKeyData keys[INDEX_MAX_KEYS];
	int			place[INDEX_MAX_KEYS];	/* of keys, in the subject's key */
} KeyProbe;

/* What a statement that may be left out would have had to be granted */
typedef struct ProbeAccess
{
	Oid			relid;
	AclMode		needed;
} ProbeAccess;

/* columns compared with a subject's target_columns, which are its whole key */
extern KeyProbe *EffProbeNew(MapTable *subject, EffRelation *rel, const AttrNumber *columns,
							 const AttrNumber *target_columns);
extern bool EffProbeSame(const KeyProbe *a, const KeyProbe *b);

/*
 * No row, visible or not, has the key of one of these subjects; false also where no index
 * can tell
 */
extern bool EffProbeNothing(KeyProbe *probe, SubjectKey **keys, int nkeys);

/* The calling role may do all of this, and no row-level security hides anything from it */
extern bool EffProbeGranted(List *accesses, List *schemas);

#endif							/* EFF_KEY_PROBE_H */
