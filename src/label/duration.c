/*
 * duration.c
 *	  The duration of a retention policy: how a label writes it, and ISO 8601.
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/jsonb.h"
#include "label/label_int.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

static char *duration_text(JsonbContainer *object, JsonbValue *value);
static Interval *read_interval(const char *text);
static void refuse(const char *text) pg_attribute_noreturn();

/*
 * EffLabelDuration returns the member "duration" of a retention policy in ISO 8601
 * (the form "with designators" of the PostgreSQL manual, 8.5.4), or NULL where the
 * policy has none.  A label may write it as any interval that PostgreSQL reads, or
 * as a number of seconds.  ERROR ZE001 where it is not positive.
 */
char *
EffLabelDuration(JsonbContainer *object)
{
	JsonbValue *value = EffJsonbMember(object, "duration");
	char	   *text;
	Interval   *interval;
	struct pg_itm parts;
	char		iso[MAXDATELEN + 1];

	if (value == NULL)
		return NULL;
	text = duration_text(object, value);
	interval = read_interval(text);
	if (interval->month < 0 || interval->day < 0 || interval->time < 0 ||
		(interval->month == 0 && interval->day == 0 && interval->time == 0))
		refuse(text);
	interval2itm(*interval, &parts);
	EncodeInterval(&parts, INTSTYLE_ISO_8601, iso);
	return pstrdup(iso);
}

/* duration_text returns a duration as interval_in() reads it. */
static char *
duration_text(JsonbContainer *object, JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return psprintf("%s seconds",
						DatumGetCString(DirectFunctionCall1(numeric_out,
															NumericGetDatum(value->val.numeric))));
	return EffLabelString(object, "duration", true);
}

/* read_interval calls the input function of interval, and refuses what that refuses. */
static Interval *
read_interval(const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	Interval   *volatile interval = NULL;

	PG_TRY();
	{
		interval = DatumGetIntervalP(DirectFunctionCall3(interval_in,
														 CStringGetDatum(text),
														 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		(void) EffCatchDataError(context);
		refuse(text);
	}
	PG_END_TRY();
	return interval;
}

static void
refuse(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("label key \"duration\" has the invalid value \"%s\"", text),
			 errhint("Write a positive interval, for example \"10 years\" or \"P10Y\".")));
}
