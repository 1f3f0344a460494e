/*
 * bind.c
 *	  FIXME
 */
#include "postgres.h"

#include "rows/bind.h"
#include "trail/trail.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

static ParamListInfo bind(Statement *st, const RetentionValues *values);
static Datum cutoff_datum(const RetentionPolicy *policy, TimestampTz as_of, Oid type);

uint64
EffRetentionExecute(Statement *st, const RetentionValues *values, bool read_only, DestReceiver *dest)
{
	return EffSpiExecuteFor(st->text.data, bind(st, values), read_only, dest, &st->place);
}

static ParamListInfo
bind(Statement *st, const RetentionValues *values)
{
	ParamListInfo params = makeParamList(list_length(st->params));
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, st->params)
	{
		StatementParam *param = lfirst(lc);
		ParamExternData *data = &params->params[foreach_current_index(lc)];

		data->ptype = param->type;
		data->pflags = PARAM_FLAG_CONST;
		data->isnull = false;
		switch (param->kind)
		{
			case PARAM_SECRET:
				data->value = CStringGetTextDatum(EffSecret());
				break;
			case PARAM_CUTOFF:
				data->value = cutoff_datum(param->of, values->as_of, param->type);
				break;
			case PARAM_RESTRICTED:
				data->isnull = true;
				foreach(lc2, values->restricted)
				{
					SubjectSet *restricted = lfirst(lc2);

					if (restricted->subject == param->of)
					{
						data->value = EffKeyArray(restricted->subject, param->index, restricted->keys, restricted->nkeys);
						data->isnull = false;
					}
				}
				if (data->isnull)
					elog(ERROR, "restricted subjects are not known");
				break;
			case PARAM_BATCH:
				data->value = values->batch[param->index];
				break;
			default:
				elog(ERROR, "parameter of a plan in the statement of a retention");
		}
	}
	return params;
}

/* cutoff_datum: a date, or a timestamp without time zone, is one in UTC. */
static Datum
cutoff_datum(const RetentionPolicy *policy, TimestampTz as_of, Oid type)
{
	Datum		cutoff = TimestampTzGetDatum(EffSubtractDuration(policy, as_of));

	switch (type)
	{
		case DATEOID:
			return DirectFunctionCall1(timestamptz_date, cutoff);
		case TIMESTAMPOID:
			return DirectFunctionCall1(timestamptz_timestamp, cutoff);
		case TIMESTAMPTZOID:
			return cutoff;
	}
	elog(ERROR, "column of type %u is no anchor", type);
}

/* EffSubtractDuration reckons by the calendar in UTC, which is pinned. */
TimestampTz
EffSubtractDuration(const RetentionPolicy *policy, TimestampTz as_of)
{
	Datum		duration = DirectFunctionCall3(interval_in, CStringGetDatum(policy->duration),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(as_of), duration));
}
