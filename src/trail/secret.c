/*
 * secret.c
 *	  FIXME
 */
#include "postgres.h"

#include "base/spi.h"
#include "trail/erasures.h"

#include "utils/builtins.h"

#define SECRET_BYTES 32

/*
 * EffSecret reads the secret, and makes one where the database has none yet:
 * a restore must find the table empty to bring the old one over.
 */
const char *
EffSecret(DataMap *map)
{
	const char *schema;
	EffBracket	bracket;

	if (map->secret != NULL)
		return map->secret;
	schema = EffExtensionSchemaSql();

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute(psprintf("SELECT secret FROM %s.effaced_secret", schema), false, 1) != SPI_OK_SELECT)
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
		if (SPI_execute_with_args(psprintf("INSERT INTO %s.effaced_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING", schema),
								  1, &type, &value, NULL, false, 0) != SPI_OK_INSERT ||
			SPI_execute(psprintf("SELECT secret FROM %s.effaced_secret", schema), false, 1) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "could not make the secret");
	}
	map->secret = MemoryContextStrdup(map->context,
									  SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	EffSpiEnd(&bracket);
	return map->secret;
}
