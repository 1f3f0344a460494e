/*
 * subject_state.h (public)
 *	  Whether a subject is erased, or reused after an erasure.
 */
#ifndef EFF_SUBJECT_STATE_H
#define EFF_SUBJECT_STATE_H

#include "effaced.h"
#include "subject/subject.h"

typedef enum SubjectState
{
	SUBJECT_NOT_ERASED,				/* no erasure of all tables is recorded */
	SUBJECT_REUSED,			/* one is, but the subject's row is not as it left it */
	SUBJECT_ERASED
} SubjectState;

extern SubjectState EffSubjectState(DataMap *map, MapTable *subject, SubjectKey *key);

/* Whether an erasure can have left a surrogate in a column; 0 or {} in any other is a value */
extern bool EffMayHoldSurrogate(MapTable *table, MapColumn *column);

#endif							/* EFF_SUBJECT_STATE_H */
