/*
 * manifest_read.c
 *	  Reads the data map from JSON documents of any version, and applies them.
 *
 * Versions 1 and 2 are what the Python library of the same name writes: one
 * subject_id_column in every link ("id" where it was left to its default), and
 * retention without an anchor in version 1.
 */
#include "postgres.h"

#include "base/json_text.h"
#include "base/jsonb.h"
#include "base/run.h"
#include "map/manifest_int.h"
#include "map/provider.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_manifest_upgrade);
PG_FUNCTION_INFO_V1(effaced_manifest_apply);

static List *read_payload(Jsonb *payload);
static bool is_integral(Numeric number);
static PayloadTable *read_table(JsonbValue *value, int version);
static char *lift_name(const char *name);
static Jsonb *lift_link(JsonbValue *value, int version);
static JsonbContainer *object_of(JsonbValue *value, const char *what);
static JsonbContainer *array_of(JsonbValue *value, const char *what);
static char *name_of(JsonbContainer *object, const char *what);
static int	compare_payload_tables(const ListCell *a, const ListCell *b);
static Jsonb *value_to_jsonb(JsonbValue *value);

/*
 * effaced_manifest_upgrade(payload) lifts a manifest of any older version.
 */
Datum
effaced_manifest_upgrade(PG_FUNCTION_ARGS)
{
	List	   *tables = read_payload(PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0));
	StringInfoData buf;

	list_sort(tables, compare_payload_tables);
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"schema_version\": %d, \"tables\": [", SCHEMA_VERSION);
	foreach_ptr(PayloadTable, table, tables)
	{
		List	   *columns = NIL;

		foreach_ptr(PayloadColumn, column, table->columns)
		{
			columns = lappend(columns, list_make2(column->name, column->spec));
		}
		EffJsonComma(&buf);
		EffManifestWriteTable(&buf, table->name, columns, table->link,
							  table->link ? table->link->subject_id_columns : NIL,
							  table->link && table->link->subject ?
							  table->link->subject : table->name);
	}
	appendStringInfoString(&buf, "]}");
	PG_RETURN_JSONB_P(EffJsonDone(&buf));
}

/*
 * effaced_manifest_apply(payload) gives the listed tables the labels of the
 * payload, and no others.  Comments are left alone: security labels win.
 */
Datum
effaced_manifest_apply(PG_FUNCTION_ARGS)
{
	List	   *tables = read_payload(PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0));
	List	   *relids = NIL;
	EffBracket	bracket;
	int			n = 0;

	EffSpiBegin(&bracket);
	/* old labels first: they may move from a table to its parent */
	foreach_ptr(PayloadTable, table, tables)
	{
		Oid			relid = EffRelationByName(table->name);

		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("manifest names the unknown table \"%s\"", table->name),
					 errhint("Names are written as quote_identifier does, "
							 "with their schema unless it is public.")));
		if (list_member_oid(relids, relid))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("manifest lists table \"%s\" twice", get_rel_name(relid)),
					 errhint("Keep one of the two.")));
		relids = lappend_oid(relids, relid);
		foreach_ptr(StoredLabel, label, EffLabelsOf(relid))
		{
			if (!label->from_comment)
				EffProviderSetLabel(relid, label->attnum, NULL);
		}
	}
	foreach_ptr(PayloadTable, table, tables)
	{
		Oid			relid = EffRelationByName(table->name);
		StringInfoData buf;

		if (table->link != NULL)
		{
			Datum		json;

			initStringInfo(&buf);
			EffManifestWriteLink(&buf, table->link, table->link->subject_id_columns,
								 table->link->subject);
			json = DirectFunctionCall1(jsonb_out, JsonbPGetDatum(EffJsonDone(&buf)));
			EffProviderSetLabel(relid, 0, DatumGetCString(json));
			n++;
		}
		foreach_ptr(PayloadColumn, column, table->columns)
		{
			AttrNumber	attnum = get_attnum(relid, column->name);

			if (attnum == InvalidAttrNumber)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("manifest names the unknown column \"%s\" of table \"%s\"",
								column->name, get_rel_name(relid)),
						 errhint("Add the column to the table or take it out of the manifest.")));
			initStringInfo(&buf);
			EffManifestWriteSpec(&buf, column->spec);
			EffProviderSetLabel(relid, attnum, buf.data);
			n++;
		}
	}
	EffSpiEnd(&bracket);
	PG_RETURN_INT32(n);
}

/*
 * read_payload reads a manifest of any version up to ours; ERROR ZE001 where
 * it is newer or broken.
 */
static List *
read_payload(Jsonb *payload)
{
	static const char *const keys[] = {"schema_version", "tables", NULL};
	JsonbContainer *object;
	JsonbContainer *array;
	JsonbValue *value;
	List	   *result = NIL;
	int			version;
	bool		have_error = false;

	if (payload == NULL || !JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("manifest is not a JSON object"),
				 errhint("Write {\"schema_version\": %d, \"tables\": [...]}.", SCHEMA_VERSION)));
	object = &payload->root;
	value = EffJsonbMember(object, "schema_version");
	if (value == NULL || value->type != jbvNumeric || !is_integral(value->val.numeric))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("manifest has no integer schema_version"),
				 errhint("Allowed: 1 to %d.", SCHEMA_VERSION)));
	version = numeric_int4_opt_error(value->val.numeric, &have_error);
	if (have_error || version < 1 || version > SCHEMA_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("manifest schema_version is not one that this version of effaced reads"),
				 errdetail("It reads versions 1 to %d.", SCHEMA_VERSION),
				 errhint("Upgrade effaced to read a newer manifest.")));
	EffJsonbCheckKeys(object, keys, "manifest");

	value = EffJsonbMember(object, "tables");
	if (value == NULL)
		return NIL;
	array = array_of(value, "tables");
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		PayloadTable *table = read_table(getIthJsonbValueFromContainer(array, i), version);

		foreach_ptr(PayloadTable, each_table, result)
			if (strcmp(each_table->name, table->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("manifest lists table \"%s\" twice", table->name),
						 errhint("Keep one of the two.")));
		result = lappend(result, table);
	}
	return result;
}

static bool
is_integral(Numeric number)
{
	Datum		whole;

	if (numeric_is_nan(number) || numeric_is_inf(number))
		return false;
	whole = DirectFunctionCall2(numeric_trunc, NumericGetDatum(number), Int32GetDatum(0));
	return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number), whole));
}

static PayloadTable *
read_table(JsonbValue *value, int version)
{
	static const char *const table_keys[] = {"name", "columns", "subject_link", NULL};
	static const char *const column_keys[] = {"name", "spec", NULL};
	JsonbContainer *object = object_of(value, "entry of tables");
	PayloadTable *table = palloc0(sizeof(PayloadTable));
	JsonbValue *columns;
	JsonbValue *link;

	table->name = name_of(object, "entry of tables");
	if (version < 3)
		table->name = lift_name(table->name);
	EffJsonbCheckKeys(object, table_keys, "entry of tables");
	columns = EffJsonbMember(object, "columns");
	if (columns != NULL)
	{
		JsonbContainer *array = array_of(columns, "columns");

		for (int i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbContainer *entry = object_of(getIthJsonbValueFromContainer(array, i),
											  "entry of columns");
			PayloadColumn *column = palloc0(sizeof(PayloadColumn));
			JsonbValue *spec = EffJsonbMember(entry, "spec");

			column->name = name_of(entry, "entry of columns");
			foreach_ptr(PayloadColumn, each_column, table->columns)
				if (strcmp(each_column->name, column->name) == 0)
					ereport(ERROR,
							(errcode(ERRCODE_EFF_MANIFEST),
							 errmsg("manifest names column \"%s\" of table \"%s\" twice",
									column->name, table->name),
							 errhint("Keep one of the two.")));
			EffJsonbCheckKeys(entry, column_keys, "entry of columns");
			if (spec == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("manifest lacks the spec of column \"%s\"", column->name),
						 errhint("Write \"spec\": {\"category\": \"...\"}.")));
			(void) object_of(spec, "spec");
			column->spec = EffLabelColumnFromJsonb(value_to_jsonb(spec));
			table->columns = lappend(table->columns, column);
		}
	}
	link = EffJsonbMember(object, "subject_link");
	if (link != NULL)
		table->link = EffLabelTableFromJsonb(lift_link(link, version));
	return table;
}

/*
 * lift_name quotes a table name: versions 1 and 2 have it as it is, with its
 * schema before a dot.
 */
static char *
lift_name(const char *name)
{
	const char *dot = strchr(name, '.');

	if (strchr(name, '"') != NULL)
		return pstrdup(name);
	if (dot == NULL || strncmp(name, "public.", strlen("public.")) == 0)
		return pstrdup(quote_identifier(dot == NULL ? name : dot + 1));
	return quote_qualified_identifier(pnstrdup(name, dot - name), dot + 1);
}

/*
 * lift_link turns the one subject_id_column of versions 1 and 2 into a list,
 * and drops it from links that are no subject's.
 */
static Jsonb *
lift_link(JsonbValue *value, int version)
{
	JsonbContainer *object = object_of(value, "subject_link");
	JsonbValue *path;
	JsonbValue *column;
	StringInfoData buf;
	Datum		link = JsonbPGetDatum(value_to_jsonb(value));

	if (version >= 3)
		return DatumGetJsonbP(link);
	path = EffJsonbMember(object, "path");
	column = EffJsonbMember(object, "subject_id_column");
	if (column != NULL && column->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("key \"subject_id_column\" of a manifest must be a string"),
				 errhint("Write the name of the identifier column.")));
	link = DirectFunctionCall2(jsonb_delete, link, CStringGetTextDatum("subject_id_column"));
	if (path != NULL && path->type == jbvString && path->val.string.len == 0)
	{
		initStringInfo(&buf);
		appendStringInfoString(&buf, "{\"subject_id_columns\": [");
		EffJsonString(&buf, column == NULL ? "id" :
					  pnstrdup(column->val.string.val, column->val.string.len));
		appendStringInfoString(&buf, "]}");
		link = DirectFunctionCall2(jsonb_concat, link, JsonbPGetDatum(EffJsonDone(&buf)));
	}
	return DatumGetJsonbP(link);
}

static JsonbContainer *
object_of(JsonbValue *value, const char *what)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s of a manifest is not an object", what),
				 errhint("Write a manifest as effaced_manifest() does.")));
	return value->val.binary.data;
}

static JsonbContainer *
array_of(JsonbValue *value, const char *what)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s of a manifest is not an array", what),
				 errhint("Write a manifest as effaced_manifest() does.")));
	return value->val.binary.data;
}

static char *
name_of(JsonbContainer *object, const char *what)
{
	JsonbValue *value = EffJsonbMember(object, "name");

	if (value == NULL || value->type != jbvString || value->val.string.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s of a manifest has no name", what),
				 errhint("Write a manifest as effaced_manifest() does.")));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static int
compare_payload_tables(const ListCell *a, const ListCell *b)
{
	return strcmp(((PayloadTable *) lfirst(a))->name, ((PayloadTable *) lfirst(b))->name);
}

static Jsonb *
value_to_jsonb(JsonbValue *value)
{
	return JsonbValueToJsonb(value);
}
