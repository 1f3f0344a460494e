/*
 * ledger.h (public)
 *	  What the ledgers of consent and restriction tell other modules.
 */
#ifndef EFF_LEDGER_H
#define EFF_LEDGER_H

#include "effaced.h"
#include "subject/subject.h"

/* Argument argno of a function; ERROR ZE005 where it is blank, or NULL though required */
extern char *EffLedgerPurpose(FunctionCallInfo fcinfo, int argno, bool required);

/* Subjects of a kind that are restricted, for a purpose or all; with any for whatever purpose */
extern SubjectSet *EffLedgerRestricted(MapTable *subject, const char *purpose, bool any);

/* Ledgers, by the word for what they record */
#define LEDGER_CONSENTS "effaced_consent_records"
#define LEDGER_RESTRICTIONS "effaced_restriction_records"

/* Kinds (char *) that have consents or restrictions in force, and no table any more */
extern List *EffLedgerLostKinds(DataMap *map, const char *ledger);

#endif							/* EFF_LEDGER_H */
