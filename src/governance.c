/*
 * governance.c
 *	  What deletion at scale, which is tables and PL/pgSQL, needs of C: its
 *	  settings, and errors that keep the caller's statement out of the log.
 */
#include "postgres.h"

#include "governance.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(effaced_four_eyes);
PG_FUNCTION_INFO_V1(effaced_alert_resolver);
PG_FUNCTION_INFO_V1(effaced_refuse);
PG_FUNCTION_INFO_V1(effaced_require_own_transactions);

static bool four_eyes = true;
static char *alert_resolver = NULL;

static char *text_argument(FunctionCallInfo fcinfo, int argno);

/*
 * EffGovernanceInit defines the settings.  Only a superuser changes them, or
 * whoever is to be controlled could do so first.
 */
void
EffGovernanceInit(void)
{
	DefineCustomBoolVariable("effaced.four_eyes",
							 "Who has created a deletion batch may not review it.",
							 NULL, &four_eyes, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("effaced.alert_resolver",
							   "Resolver that gets an outbox entry for deletion batches that wait for review.",
							   "Empty for none.", &alert_resolver, "", PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * effaced_four_eyes() reads the setting from C: before the library is loaded
 * any role could have made one of its name.
 */
Datum
effaced_four_eyes(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(four_eyes);
}

/*
 * effaced_alert_resolver() likewise; NULL where there is none.
 */
Datum
effaced_alert_resolver(PG_FUNCTION_ARGS)
{
	if (alert_resolver == NULL || alert_resolver[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(alert_resolver));
}

/*
 * effaced_refuse(message, detail, hint) raises ZE005.  Unlike RAISE it keeps
 * the statement, in which a reviewer may give a reason, out of the log.
 */
Datum
effaced_refuse(PG_FUNCTION_ARGS)
{
	char	   *message = text_argument(fcinfo, 0);
	char	   *detail = text_argument(fcinfo, 1);
	char	   *hint = text_argument(fcinfo, 2);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("%s", message ? message : "refused"),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errhidestmt(true)));
	PG_RETURN_VOID();
}

/*
 * effaced_require_own_transactions(procedure) fails with ZE005 unless the
 * procedure that calls it may commit.
 */
Datum
effaced_require_own_transactions(PG_FUNCTION_ARGS)
{
	if (!SPI_inside_nonatomic_context() || IsSubTransaction())
	{
		char	   *procedure = text_argument(fcinfo, 0);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("%s commits as it goes and cannot run inside a transaction", procedure),
				 errdetail("It was called in a transaction block, from a function, or in a block with EXCEPTION."),
				 errhint("Call it alone: CALL %s(...);", procedure),
				 errhidestmt(true)));
	}
	PG_RETURN_VOID();
}

static char *
text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}
