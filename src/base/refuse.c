/*
 * refuse.c
 *	  Refuses a call of a function that is written in SQL, by an error that keeps
 *	  the caller's statement out of the log.
 */
#include "postgres.h"

#include "effaced.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_refuse);
PG_FUNCTION_INFO_V1(effaced_require_own_transactions);

static char *text_argument(FunctionCallInfo fcinfo, int argno);

/*
 * effaced_refuse(message, detail, hint) raises ZE005.  Unlike RAISE it keeps the
 * caller's statement, in which a reviewer may give a reason, out of the log.
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
				 errdetail("It was called in a transaction block, from a function, or in a block"
						   " with EXCEPTION."),
				 errhint("Call it alone: CALL %s(...);", procedure),
				 errhidestmt(true)));
	}
	PG_RETURN_VOID();
}

/* text_argument returns an argument as text, or NULL. */
static char *
text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}
