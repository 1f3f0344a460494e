/*
 * duration.c
 *	  The duration of a retention policy: how a label writes it, and ISO 8601.
 */
#include "postgres.h"

#include "base/errors.h"
#include "label/label_int.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

static Interval *read_interval(const char *text);
static void refuse(const char *text) pg_attribute_noreturn();

/*
 * EffLabelDuration returns an interval, as PostgreSQL reads it, in ISO 8601 (the
 * form "with designators" of the PostgreSQL manual, 8.5.4), in the current memory
 * context.  ERROR ZE001 where it is none, or not positive.
 */
char *
EffLabelDuration(const char *text)
{
	Interval   *interval = read_interval(text);
	struct pg_itm parts;
	char		iso[MAXDATELEN + 1];

	if (interval->month < 0 || interval->day < 0 || interval->time < 0 ||
		(interval->month == 0 && interval->day == 0 && interval->time == 0))
		refuse(text);
	interval2itm(*interval, &parts);
	EncodeInterval(&parts, INTSTYLE_ISO_8601, iso);
	return pstrdup(iso);
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
