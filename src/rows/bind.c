/*
 * bind.c
 *	  From what the parameters of a statement stand for to their values.
 */
#include "postgres.h"

#include "rows/bind.h"
#include "rows/surrogate.h"
#include "trail/trail.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

static BoundValue bind_param(const StatementParam *param, const BindValues *values);
static Datum row_key_array(const StatementParam *param, const FoundRows *found);
static Datum array_of_kind(const StatementParam *param, List *sets, bool required);
static Datum cutoff_datum(const RetentionPolicy *policy, TimestampTz as_of, Oid type);

/*
 * EffBind returns the values of a statement's parameters, in order and in the
 * current memory context.  nulls gets a character for each, as SPI takes them,
 * or NULL where none of the values is NULL.
 */
Datum *
EffBind(const Statement *st, const BindValues *values, const char **nulls)
{
	int			n = list_length(st->params);
	Datum	   *result = palloc(sizeof(Datum) * Max(n, 1));
	char	   *null = NULL;
	ListCell   *lc;

	foreach(lc, st->params)
	{
		int			i = foreach_current_index(lc);
		BoundValue	bound = bind_param(lfirst(lc), values);

		result[i] = bound.value;
		if (bound.isnull && null == NULL)
		{
			null = palloc0(n + 1);
			memset(null, ' ', n);
		}
		if (bound.isnull)
			null[i] = 'n';
	}
	*nulls = null;
	return result;
}

/*
 * EffBindExecute runs a statement once and returns the number of rows, inside
 * the SPI bracket.  The server plans it for the values at hand, so that it can
 * tell a few rows from many; no plan is kept.  Rows go to dest or, where that
 * is NULL, to SPI_tuptable.
 */
uint64
EffBindExecute(Statement *st, const BindValues *values, bool read_only, DestReceiver *dest)
{
	ParamListInfo params = makeParamList(list_length(st->params));
	ListCell   *lc;

	foreach(lc, st->params)
	{
		StatementParam *param = lfirst(lc);
		ParamExternData *data = &params->params[foreach_current_index(lc)];
		BoundValue	bound = bind_param(param, values);

		data->ptype = param->type;
		data->pflags = PARAM_FLAG_CONST;
		data->value = bound.value;
		data->isnull = bound.isnull;
	}
	return EffSpiExecuteFor(st->text.data, params, read_only, dest, &st->place);
}

static BoundValue
bind_param(const StatementParam *param, const BindValues *values)
{
	BoundValue	bound = {.isnull = false};

	switch (param->kind)
	{
		case PARAM_KEY:
			if (values->key == NULL)
				elog(ERROR, "a statement about one subject was run for all");
			bound.value = values->key->values[param->index];
			break;
		case PARAM_CALL:
			bound.value = EffKeyArray(values->subject, param->index, values->call_keys,
									  values->ncall_keys);
			break;
		case PARAM_ERASED:
			bound.value = array_of_kind(param, values->erased, false);
			break;
		case PARAM_RESTRICTED:
			bound.value = array_of_kind(param, values->restricted, true);
			break;
		case PARAM_SECRET:
			bound.value = CStringGetTextDatum(EffSecret());
			break;
		case PARAM_TOKEN:
			bound.value = CStringGetTextDatum(EffSurrogateToken(param->of, EffSecret(),
																values->key->text));
			break;
		case PARAM_ROWS:
			bound.value = row_key_array(param, values->rows);
			break;
		case PARAM_CALL_ROWS:
			bound.value = row_key_array(param, values->call_rows);
			break;
		case PARAM_PARENTS:
			bound.value = values->parents[((const ParentSet *) param->of)->id].keys;
			break;
		case PARAM_VALUE:
			bound = values->values[param->index];
			break;
		case PARAM_CUTOFF:
			bound.value = cutoff_datum(param->of, values->as_of, param->type);
			break;
		case PARAM_BATCH:
			bound.value = values->batch[param->index];
			break;
	}
	return bound;
}

/* row_key_array gives a column of the keys in a part of a row set. */
static Datum
row_key_array(const StatementParam *param, const FoundRows *found)
{
	const RowSet *rows = param->of;

	return found[rows->id].parts[param->part][param->index];
}

/*
 * array_of_kind gives the key values of the subjects of a kind as an array.
 * Nobody of a kind is in a list without it; where the list should have had it,
 * that would let rows through which it is there to hold back.
 */
static Datum
array_of_kind(const StatementParam *param, List *sets, bool required)
{
	foreach_ptr(SubjectSet, set, sets)
	{
		if (set->subject == param->of)
			return EffKeyArray(set->subject, param->index, set->keys, set->nkeys);
	}
	if (required)
		elog(ERROR, "subjects of a kind are not known");
	return EffKeyArray(unconstify(MapTable *, (const MapTable *) param->of), param->index, NULL, 0);
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

/*
 * EffSubtractDuration returns a time less the duration of a retention, which
 * must have one.  It reckons by the calendar in UTC: call it with the settings
 * pinned.  ERROR where a timestamp cannot reach that far back.
 */
TimestampTz
EffSubtractDuration(const RetentionPolicy *policy, TimestampTz as_of)
{
	Datum		duration = DirectFunctionCall3(interval_in, CStringGetDatum(policy->duration),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
												   TimestampTzGetDatum(as_of), duration));
}
