/*
 * ledger.h
 *	  What the ledgers of consent and restriction tell other modules.
 */
#ifndef EFF_LEDGER_H
#define EFF_LEDGER_H

#include "effaced.h"
#include "retention.h"

/* Argument argno of a function; ERROR ZE005 where it is blank, or NULL though required */
extern char *EffLedgerPurpose(FunctionCallInfo fcinfo, int argno, bool required);

/*
 * Subjects of a kind whose processing is restricted, for a purpose or for all
 * of them; with purpose NULL only the latter, with any those of every purpose.
 */
extern RestrictedSubjects *EffLedgerRestricted(MapTable *subject, const char *purpose, bool any);

#endif							/* EFF_LEDGER_H */
