/*
 * admit.c
 *	  Admits owners of tables, so that their labels count, and expels them again.
 */
#include "postgres.h"

#include "base/own.h"
#include "base/jsonb.h"
#include "map/map.h"
#include "trail/trail.h"

#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(effaced_admit_labels);
PG_FUNCTION_INFO_V1(effaced_expel_labels);
PG_FUNCTION_INFO_V1(effaced_admissions_changed);

static EffOwnStatement admit = {
	"INSERT INTO effaced.effaced_admitted (owner) VALUES ($1) ON CONFLICT (owner) DO NOTHING"
};
static EffOwnStatement expel = {
	"DELETE FROM effaced.effaced_admitted WHERE owner OPERATOR(pg_catalog.=) $1"
};

static void change(FunctionCallInfo fcinfo, EffOwnStatement *statement, int expected,
				   const char *event);

/* effaced_admit_labels(owner) lets the labels of a role's tables count. */
Datum
effaced_admit_labels(PG_FUNCTION_ARGS)
{
	change(fcinfo, &admit, SPI_OK_INSERT, "labels_admitted");
	PG_RETURN_VOID();
}

/* effaced_expel_labels(owner) takes an admission back. */
Datum
effaced_expel_labels(PG_FUNCTION_ARGS)
{
	change(fcinfo, &expel, SPI_OK_DELETE, "labels_expelled");
	PG_RETURN_VOID();
}

/*
 * effaced_admissions_changed is the trigger function of the table of admissions: it
 * makes the map of every session stale, whoever changes the table, a restore too.
 */
Datum
effaced_admissions_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("effaced_admissions_changed() is a trigger function")));
	EffMapInvalidate(InvalidOid);
	return PointerGetDatum(NULL);
}

/* change writes or removes an admission, and appends an event where there was something to do. */
static void
change(FunctionCallInfo fcinfo, EffOwnStatement *statement, int expected, const char *event)
{
	Oid			type = NAMEOID;
	char	   *owner = PG_ARGISNULL(0) ? NULL : GetUserNameFromId(PG_GETARG_OID(0), true);
	NameData	name;
	Datum		value = NameGetDatum(&name);
	JsonbWriter payload;
	EffBracket	bracket;
	uint64		changed;

	if (owner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 PG_ARGISNULL(0) ? errmsg("the owner of labels must not be NULL") :
				 errmsg("role with OID %u does not exist", PG_GETARG_OID(0)),
				 errhint("Name the role that owns the labelled tables.")));
	namestrcpy(&name, owner);
	EffSpiBeginAsOwner(&bracket);
	changed = EffSpiExecuteOwn(statement, 1, &type, &value, NULL, expected, NULL);
	EffSpiEnd(&bracket);
	if (changed == 0)
		return;
	EffObjectBegin(&payload);
	EffObjectText(&payload, "owner", owner);
	(void) EffTrailAppend(list_make1(EffTrailEvent(event, NULL, NULL, EffObjectDone(&payload))));
}
