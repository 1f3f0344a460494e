/*
 * secret.c
 *	  The secret that surrogates are made with: made once per database, read
 *	  once per session.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/own.h"
#include "trail/trail.h"

#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#define SECRET_BYTES 32

static char *secret = NULL;		/* in TopMemoryContext */
static Oid	secret_table = InvalidOid;

static void forget(void);
static void secret_table_changed(Datum arg, Oid relid);
static void transaction_ended(XactEvent event, void *arg);
static void subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
								 void *arg);

/*
 * EffSecretInit registers what makes this session forget the secret: a change
 * of its table, and a rollback, which may have taken the secret back.
 */
void
EffSecretInit(void)
{
	CacheRegisterRelcacheCallback(secret_table_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}

/*
 * EffSecret returns the secret, which stays valid until the session forgets
 * it, so callers do not keep the pointer.  It is made where the database has
 * none yet and not before: the table must be empty for a restore to bring the
 * old one over.
 */
const char *
EffSecret(void)
{
	EffBracket	bracket;

	if (secret != NULL)
		return secret;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT secret FROM effaced.effaced_secret", false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the secret");
	if (SPI_processed == 0)
	{
		uint8		bytes[SECRET_BYTES];
		char		digits[2 * SECRET_BYTES + 1];
		Oid			type = TEXTOID;
		Datum		value;

		if (!pg_strong_random(bytes, SECRET_BYTES))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		for (int i = 0; i < SECRET_BYTES; i++)
			snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
		value = CStringGetTextDatum(digits);
		if (SPI_execute_with_args("INSERT INTO effaced.effaced_secret (secret) VALUES ($1)"
								  " ON CONFLICT DO NOTHING",
								  1, &type, &value, NULL, false, 0) != SPI_OK_INSERT ||
			SPI_execute("SELECT secret FROM effaced.effaced_secret", false, 1) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not make the secret");
	}
	secret_table = EffOwnRelation(EFF_SENTINEL);
	secret = MemoryContextStrdup(TopMemoryContext,
								 SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	EffSpiEnd(&bracket);
	return secret;
}

static void
forget(void)
{
	if (secret != NULL)
		pfree(secret);
	secret = NULL;
}

static void
secret_table_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == secret_table)
		forget();
}

static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget();
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget();
}
