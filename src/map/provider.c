/*
 * provider.c
 *	  Checks labels when the DDL that writes them runs.
 *
 * The provider exists in every backend that has loaded this library.  Calling
 * the event trigger function before a SECURITY LABEL is what loads it.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/run.h"
#include "label/expression.h"
#include "map/admission.h"
#include "map/provider.h"
#include "relations/types.h"

#include "commands/event_trigger.h"
#include "commands/seclabel.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_load_provider);
PG_FUNCTION_INFO_V1(effaced_remove_labels);

static void check_object(const ObjectAddress *object, const char *label);
static void check_relation(EffRelation *rel, AttrNumber attnum);
static bool has_labels_that_count(Oid relid);
static void check_column_label(EffRelation *rel, AttrNumber attnum, const char *json);
static void check_table_label(EffRelation *rel, const char *json);
static void check_names(EffRelation *rel, List *names, const char *key);

/* EffProviderInit registers the label provider; called once, by _PG_init(). */
void
EffProviderInit(void)
{
	register_label_provider(EFF_PROVIDER, check_object);
}

/*
 * effaced_load_provider does nothing: to be called it had to be loaded.
 */
Datum
effaced_load_provider(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("effaced_load_provider() is an event trigger function")));
	PG_RETURN_NULL();
}

/*
 * effaced_remove_labels() removes every label, in comments too, and returns
 * how many there were.
 */
Datum
effaced_remove_labels(PG_FUNCTION_ARGS)
{
	List	   *labels = EffLabelsLoad();
	EffBracket	bracket;
	int			n = 0;

	EffSpiBegin(&bracket);
	foreach_ptr(StoredLabel, label, labels)
	{
		if (EffRelationDisplayName(label->relid) == NULL)
			continue;
		if (!label->from_comment)
			EffProviderSetLabel(label->relid, label->attnum, NULL);
		if (label->from_comment || label->shadowed)
		{
			EffRelation *rel = EffRelationLoad(label->relid);

			char	   *statement = rel == NULL ? NULL : EffCommentStatement(rel, label->attnum);

			if (statement == NULL)
				continue;
			if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
				elog(ERROR, "could not change a comment");
		}
		n++;
	}
	EffSpiEnd(&bracket);
	PG_RETURN_INT32(n);
}

/*
 * EffProviderCheck raises ZE001 where a label does not fit its table, or the column
 * attnum of it.  It looks at the columns of that table only: paths, hops and links
 * are checked when the map is used, since a restore writes labels before keys
 * exist.
 */
void
EffProviderCheck(Oid relid, AttrNumber attnum, const char *json)
{
	EffRelation *rel = EffRelationLoad(relid);
	EffBracket	bracket;

	if (rel == NULL)
		return;
	check_relation(rel, attnum);
	EffPinBegin(&bracket);
	if (attnum == 0)
		check_table_label(rel, json);
	else
		check_column_label(rel, attnum, json);
	EffPinEnd(&bracket);
}

/*
 * EffProviderSetLabel sets the label of a table (attnum 0) or column with the
 * caller's privileges; json NULL removes it.  Call it inside the SPI bracket.
 */
void
EffProviderSetLabel(Oid relid, AttrNumber attnum, const char *json)
{
	if (SPI_execute(EffLabelStatement(relid, attnum, json), false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not set a label");
}

/*
 * EffProviderTry returns the error that EffProviderCheck() raises, NULL where the
 * label fits.  The check runs in a subtransaction.
 */
MapError *
EffProviderTry(Oid relid, AttrNumber attnum, const char *json)
{
	EffSubtransaction sub;
	MapError   *volatile error = NULL;

	EffSubBegin(&sub);
	PG_TRY();
	{
		EffProviderCheck(relid, attnum, json);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		error = EffMapErrorFrom(EffSubCatch(&sub));
	}
	PG_END_TRY();
	return error;
}

/* check_object is the provider's hook: it runs before a label is stored. */
static void
check_object(const ObjectAddress *object, const char *label)
{
	if (object->classId != RelationRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("effaced labels only tables and columns"),
				 errhint("Use SECURITY LABEL FOR effaced ON TABLE ... or ON COLUMN ...")));
	if (label != NULL)
	{
		EffProviderCheck(object->objectId, object->objectSubId, label);
		EffAdmissionWarn(object->objectId);
	}
	EffMapInvalidate(object->objectId);
}

static void
check_relation(EffRelation *rel, AttrNumber attnum)
{
	if (rel->relkind != RELKIND_RELATION && rel->relkind != RELKIND_PARTITIONED_TABLE &&
		rel->relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("\"%s\" is not a table and takes no label", rel->relname),
				 errhint("Label the tables that it reads.")));
	if (attnum < 0 || (attnum > 0 && EffRelationFindColumn(rel, attnum) == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("system columns of table \"%s\" take no label", rel->relname),
				 errhint("Label a column of the table's own.")));
	foreach_oid(oid, EffAncestors(rel->oid))
		if (has_labels_that_count(oid))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("table \"%s\" is a child of table \"%s\", whose labels count for it",
							rel->relname, get_rel_name(oid)),
					 errhint("Label %s instead.", EffRelationDisplayName(oid))));
	foreach_oid(each_oid, rel->inheritors)
		if (each_oid != rel->oid && has_labels_that_count(each_oid))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("table \"%s\" has the child \"%s\", which has labels of its own",
							rel->relname, get_rel_name(each_oid)),
					 errhint("Remove the labels of %s first: those of the parent count for it.",
							 EffRelationDisplayName(each_oid))));
}

static bool
has_labels_that_count(Oid relid)
{
	EffRelation *rel = EffLabelsOf(relid) == NIL ? NULL : EffRelationLoad(relid);

	return rel != NULL && EffLabelsCount(EffAdmittedRoles(), rel->owner);
}

static void
check_column_label(EffRelation *rel, AttrNumber attnum, const char *json)
{
	ColumnLabel *label = EffLabelParseColumn(json);
	EffColumn  *column = EffRelationColumn(rel, attnum);

	if (label->retention != NULL && label->retention->anchor != NULL)
	{
		EffColumn  *anchor;

		check_names(rel, list_make1(label->retention->anchor), "anchor");
		anchor = EffRelationColumnByName(rel, label->retention->anchor);
		if (!EffTypeIsAnchor(anchor->type))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"anchor\" names column \"%s\" of table \"%s\", of type %s",
							anchor->name, rel->relname, EffTypeName(anchor->type)),
					 errhint("Allowed: a column of type date, timestamp or timestamptz.")));
	}
	if (label->surrogate != NULL)
	{
		if (column->generated)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"surrogate\" does not go with "
							"the generated column \"%s\" of table \"%s\"",
							column->name, rel->relname),
					 errhint("Label the columns that it is generated from.")));
		(void) EffExpressionAnalyze(rel, "t", label->surrogate, column, "surrogate");
	}
}

static void
check_table_label(EffRelation *rel, const char *json)
{
	TableLabel *label = EffLabelParseTable(json);
	Bitmapset  *read = NULL;
	ListCell   *lc;

	check_names(rel, label->subject_id_columns, "subject_id_columns");
	if (label->subject_where != NULL)
		read = EffExpressionAnalyze(rel, "t", label->subject_where, NULL, "where")->columns;
	foreach_ptr(LinkLabel, link, label->links)
	{
		check_names(rel, link->redact, "redact");
		if (link->hops != NIL)
			check_names(rel, ((HopLabel *) linitial(link->hops))->source_columns, "source_columns");
		if (link->where != NULL)
			read = bms_union(read,
							 EffExpressionAnalyze(rel, "t", link->where, NULL, "where")->columns);
		if (rel->relkind == RELKIND_FOREIGN_TABLE && link->path != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"path\" does not go with the foreign table \"%s\", "
							"which has no foreign keys", rel->relname),
					 errhint("Write the joins as \"hops\".")));
	}
	foreach(lc, label->set)
	{
		SetLabel   *set = lfirst(lc);
		EffColumn  *column;

		check_names(rel, list_make1(set->column), "set");
		column = EffRelationColumnByName(rel, set->column);
		if (column->generated || column->identity_always)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"set\" names the generated column \"%s\"", set->column),
					 errhint("Allowed: columns that can be written.")));
		if (bms_is_member(column->attnum, read))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"set\" names column \"%s\", which \"where\" reads",
							set->column),
					 errdetail("Setting it would hide the row from the next call."),
					 errhint("Set a column that no \"where\" reads.")));
		(void) EffExpressionAnalyze(rel, "t", set->expression, column, "set");
	}
}

/* check_names requires every name to be a column of the table. */
static void
check_names(EffRelation *rel, List *names, const char *key)
{
	ListCell   *lc;

	foreach(lc, names)
		if (EffRelationColumnByName(rel, lfirst(lc)) == NULL)
		{
			AttrNumber *attnums = palloc(sizeof(AttrNumber) * Max(rel->ncolumns, 1));

			for (int i = 0; i < rel->ncolumns; i++)
				attnums[i] = rel->columns[i].attnum;
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"%s\" names column \"%s\", "
							"which table \"%s\" does not have",
							key, (char *) lfirst(lc), rel->relname),
					 errhint("Columns: %s.", EffJoinNames(rel, attnums, rel->ncolumns))));
		}
}
