/*
 * duration.c
 *	  FIXME
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "label/label_int.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * EffLabelDuration reads an interval, or seconds as a number, and returns it in
 * ISO 8601 (the form "with designators" of the PostgreSQL manual, 8.5.4).
 */
char *
EffLabelDuration(JsonbContainer *object)
{
	JsonbValue *value = EffJsonbMember(object, "duration");
	MemoryContext context = CurrentMemoryContext;
	Interval   *volatile interval = NULL;
	char	   *volatile text = NULL;
	StringInfoData iso;
	int64		seconds;

	if (value == NULL)
		return NULL;
	if (value->type == jbvNumeric)
		text = psprintf("%s seconds",
						DatumGetCString(DirectFunctionCall1(numeric_out,
															NumericGetDatum(value->val.numeric))));
	else
		text = EffJsonbString(object, "duration", true);

	PG_TRY();
	{
		interval = DatumGetIntervalP(DirectFunctionCall3(interval_in,
														 CStringGetDatum(text),
														 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		interval = NULL;
	}
	PG_END_TRY();

	if (interval == NULL || interval->month < 0 || interval->day < 0 || interval->time < 0 ||
		(interval->month == 0 && interval->day == 0 && interval->time == 0))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"duration\" has the invalid value \"%s\"", text),
				 errhint("Write a positive interval, for example \"10 years\" or \"P10Y\".")));

	initStringInfo(&iso);
	appendStringInfoChar(&iso, 'P');
	if (interval->month / MONTHS_PER_YEAR != 0)
		appendStringInfo(&iso, "%dY", interval->month / MONTHS_PER_YEAR);
	if (interval->month % MONTHS_PER_YEAR != 0)
		appendStringInfo(&iso, "%dM", interval->month % MONTHS_PER_YEAR);
	if (interval->day != 0)
		appendStringInfo(&iso, "%dD", interval->day);
	if (interval->time != 0)
	{
		int64		fraction = interval->time % USECS_PER_SEC;

		seconds = interval->time / USECS_PER_SEC;
		appendStringInfoChar(&iso, 'T');
		if (seconds / SECS_PER_HOUR != 0)
			appendStringInfo(&iso, INT64_FORMAT "H", seconds / SECS_PER_HOUR);
		if (seconds % SECS_PER_HOUR / SECS_PER_MINUTE != 0)
			appendStringInfo(&iso, INT64_FORMAT "M", seconds % SECS_PER_HOUR / SECS_PER_MINUTE);
		if (fraction != 0)
		{
			appendStringInfo(&iso, INT64_FORMAT ".%06d", seconds % SECS_PER_MINUTE, (int) fraction);
			while (iso.data[iso.len - 1] == '0')
				iso.data[--iso.len] = '\0';
			appendStringInfoChar(&iso, 'S');
		}
		else if (seconds % SECS_PER_MINUTE != 0)
			appendStringInfo(&iso, INT64_FORMAT "S", seconds % SECS_PER_MINUTE);
	}
	return iso.data;
}
