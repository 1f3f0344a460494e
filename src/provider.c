/*
 * provider.c
 *	  Checks labels when the DDL that writes them runs.
 *
 * The provider exists in every backend that has loaded this library.  Calling
 * the event trigger function before a SECURITY LABEL is what loads it.
 */
#include "postgres.h"

#include "provider.h"
#include "expression.h"
#include "graph.h"
#include "spi.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/seclabel.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(effaced_load_provider);
PG_FUNCTION_INFO_V1(effaced_check_ddl);
PG_FUNCTION_INFO_V1(effaced_remove_labels);

static void check_object(const ObjectAddress *object, const char *label);
static void check_relation(EffRelation *rel, AttrNumber attnum);
static void check_column_label(EffRelation *rel, AttrNumber attnum, const char *json);
static void check_table_label(EffRelation *rel, const char *json);
static void check_names(EffRelation *rel, List *names, const char *key);
static void check_comments(Oid relid, int attnum);
static bool may_break_labels(Node *parsetree);
static bool may_break_expressions(Node *parsetree);
static List *relations_with_expressions(void);
static void warn_of_broken_labels(List *relids);

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
 * effaced_check_ddl runs at the end of DDL: it checks labels in comments, and
 * warns of labels that a RENAME or DROP has broken.
 */
Datum
effaced_check_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *event;
	EffBracket	bracket;
	List	   *relids = NIL;
	bool		is_comment;
	bool		is_create;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("effaced_check_ddl() is an event trigger function")));
	event = (EventTriggerData *) fcinfo->context;
	is_comment = IsA(event->parsetree, CommentStmt);
	is_create = IsA(event->parsetree, CreateForeignTableStmt) || IsA(event->parsetree, CreateSchemaStmt);

	if (IsA(event->parsetree, CreateStmt))
	{
		/* LIKE brings comments along; by now it is gone from the tree, and the name is qualified */
		Oid			relid = RangeVarGetRelid(((CreateStmt *) event->parsetree)->relation, NoLock, true);

		if (OidIsValid(relid))
			check_comments(relid, -1);
		PG_RETURN_NULL();
	}
	if (!is_comment && !is_create && !may_break_labels(event->parsetree))
		PG_RETURN_NULL();
	/* DROP SCHEMA or DROP OWNED may just have taken the extension itself */
	if (!OidIsValid(get_extension_oid(EFF_PROVIDER, true)))
		PG_RETURN_NULL();

	EffSpiBegin(&bracket);
	if (SPI_execute("SELECT DISTINCT objid, objsubid FROM pg_catalog.pg_event_trigger_ddl_commands()"
					" WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					" AND object_type NOT LIKE '%index%' AND object_type NOT LIKE '%sequence%'"
					" ORDER BY 1, 2", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the commands of an event trigger");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		int			attnum = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));

		if (is_comment)
		{
			check_comments(relid, attnum);
			EffMapInvalidate(relid);
		}
		else if (is_create)
			check_comments(relid, -1);
		else
			relids = list_append_unique_oid(relids, relid);
	}
	if (may_break_expressions(event->parsetree))
	{
		/* statements that were made before may name what is gone */
		EffMapInvalidate(InvalidOid);
		relids = list_concat_unique_oid(relids, relations_with_expressions());
	}
	if (!is_comment && !is_create)
		warn_of_broken_labels(relids);
	EffSpiEnd(&bracket);
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
	ListCell   *lc;

	EffSpiBegin(&bracket);
	foreach(lc, labels)
	{
		StoredLabel *label = lfirst(lc);

		if (EffRelationDisplayName(label->relid) == NULL)
			continue;
		if (!label->from_comment)
			EffProviderSetLabel(label->relid, label->attnum, NULL);
		if (label->from_comment || label->shadowed)
		{
			EffRelation *rel = EffRelationLoad(label->relid);

			if (SPI_execute(EffProviderCommentStatement(rel, label->attnum), false, 0) != SPI_OK_UTILITY)
				elog(ERROR, "could not change a comment");
		}
		n++;
	}
	EffSpiEnd(&bracket);
	PG_RETURN_INT32(n);
}

/*
 * EffProviderCheck looks at a label and the columns of its own table: paths,
 * hops and links are checked when the map is used, since a restore writes
 * labels before keys exist.
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

void
EffProviderSetLabel(Oid relid, AttrNumber attnum, const char *json)
{
	if (SPI_execute(EffProviderLabelStatement(relid, attnum, json), false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not set a label");
}

/*
 * EffProviderLabelStatement writes the statement that sets a label.
 */
char *
EffProviderLabelStatement(Oid relid, AttrNumber attnum, const char *json)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	return psprintf("SECURITY LABEL FOR " EFF_PROVIDER " ON %s %s%s%s IS %s;",
					attnum == 0 ? (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" : "TABLE") : "COLUMN",
					name, attnum == 0 ? "" : ".",
					attnum == 0 ? "" : quote_identifier(get_attname(relid, attnum, false)),
					json == NULL ? "NULL" : quote_literal_cstr(json));
}

/*
 * EffProviderCommentStatement writes the statement that takes the label out of
 * a comment and leaves its free text.
 */
char *
EffProviderCommentStatement(EffRelation *rel, AttrNumber attnum)
{
	char	   *comment = GetComment(rel->oid, RelationRelationId, attnum);
	int			length = EffLabelFromComment(comment) - comment - strlen(EFF_COMMENT_TAG);

	while (length > 0 && strchr(" \t\r\n", comment[length - 1]) != NULL)
		length--;
	comment[length] = '\0';
	return psprintf("COMMENT ON %s %s%s%s IS %s;",
					attnum != 0 ? "COLUMN" :
					rel->relkind == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" :
					rel->relkind == RELKIND_VIEW ? "VIEW" :
					rel->relkind == RELKIND_MATVIEW ? "MATERIALIZED VIEW" : "TABLE",
					rel->sql, attnum != 0 ? "." : "",
					attnum != 0 ? quote_identifier(EffRelationColumn(rel, attnum)->name) : "",
					length > 0 ? quote_literal_cstr(comment) : "NULL");
}

/*
 * EffProviderTry checks a label in a subtransaction and returns the error, or
 * NULL where there is none.
 */
MapError *
EffProviderTry(Oid relid, AttrNumber attnum, const char *json)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MapError   *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		EffProviderCheck(relid, attnum, json);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		error = EffMapErrorCatch(context);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
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
		EffProviderCheck(object->objectId, object->objectSubId, label);
	EffMapInvalidate(object->objectId);
}

static void
check_relation(EffRelation *rel, AttrNumber attnum)
{
	ListCell   *lc;

	if (rel->relkind != RELKIND_RELATION && rel->relkind != RELKIND_PARTITIONED_TABLE &&
		rel->relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("%s is not a table and takes no label", rel->name),
				 errhint("Label the tables that it reads.")));
	if (attnum < 0 || (attnum > 0 && EffRelationColumn(rel, attnum) == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("system columns of %s take no label", rel->name),
				 errhint("Label a column of the table's own.")));
	foreach(lc, EffAncestors(rel->oid))
		if (EffLabelsOf(lfirst_oid(lc)) != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("table %s is a child of %s, whose labels count for it",
							rel->name, EffRelationDisplayName(lfirst_oid(lc))),
					 errhint("Label %s instead.", EffRelationDisplayName(lfirst_oid(lc)))));
	foreach(lc, rel->inheritors)
		if (lfirst_oid(lc) != rel->oid && EffLabelsOf(lfirst_oid(lc)) != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("table %s has the child %s, which has labels of its own",
							rel->name, EffRelationDisplayName(lfirst_oid(lc))),
					 errhint("Remove the labels of %s first: those of the parent count for it.",
							 EffRelationDisplayName(lfirst_oid(lc)))));
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
					 errmsg("label key \"anchor\" names column %s.%s of type %s",
							rel->name, quote_identifier(anchor->name), format_type_be(anchor->type)),
					 errhint("Allowed: a column of type date, timestamp or timestamptz.")));
	}
	if (label->surrogate != NULL)
	{
		if (column->generated)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"surrogate\" does not go with the generated column %s.%s",
							rel->name, quote_identifier(column->name)),
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
	foreach(lc, label->links)
	{
		LinkLabel  *link = lfirst(lc);

		check_names(rel, link->redact, "redact");
		if (link->hops != NIL)
			check_names(rel, ((HopLabel *) linitial(link->hops))->source_columns, "source_columns");
		if (link->where != NULL)
			read = bms_union(read, EffExpressionAnalyze(rel, "t", link->where, NULL, "where")->columns);
		if (rel->relkind == RELKIND_FOREIGN_TABLE && link->path != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"path\" does not go with the foreign table %s, which has no foreign keys", rel->name),
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
					 errmsg("label key \"set\" names column \"%s\", which \"where\" reads", set->column),
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
					 errmsg("label key \"%s\" names column \"%s\", which table %s does not have",
							key, (char *) lfirst(lc), rel->name),
					 errhint("Columns: %s.", EffJoinNames(rel, attnums, rel->ncolumns))));
		}
}

/* check_comments checks the labels in comments of a relation, one or all (-1). */
static void
check_comments(Oid relid, int attnum)
{
	EffRelation *rel = EffRelationLoad(relid);
	bool		found = false;

	if (rel == NULL)
		return;
	for (int i = -1; i < rel->ncolumns; i++)
	{
		AttrNumber	this = i < 0 ? 0 : rel->columns[i].attnum;
		char	   *comment;
		const char *json;

		if (attnum >= 0 && attnum != this)
			continue;
		comment = GetComment(relid, RelationRelationId, this);
		json = comment ? EffLabelFromComment(comment) : NULL;
		if (json != NULL)
		{
			EffProviderCheck(relid, this, json);
			found = true;
		}
	}
	if (found)
		EffMapInvalidate(relid);
}

static bool
may_break_labels(Node *parsetree)
{
	ListCell   *lc;

	if (may_break_expressions(parsetree) ||
		IsA(parsetree, RenameStmt) || IsA(parsetree, DropStmt) || IsA(parsetree, AlterObjectSchemaStmt))
		return true;
	if (IsA(parsetree, AlterTableStmt))
		foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		{
			AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

			if (type == AT_DropColumn || type == AT_DropConstraint || type == AT_AlterColumnType)
				return true;
		}
	return false;
}

/*
 * may_break_expressions tells of DDL on something else than a table that an
 * expression may name or a column may be of: a type, a schema, an extension.
 */
static bool
may_break_expressions(Node *parsetree)
{
	ObjectType	type;

	switch (nodeTag(parsetree))
	{
		case T_RenameStmt:
			type = ((RenameStmt *) parsetree)->renameType;
			break;
		case T_DropStmt:
			type = ((DropStmt *) parsetree)->removeType;
			break;
		case T_AlterObjectSchemaStmt:
			type = ((AlterObjectSchemaStmt *) parsetree)->objectType;
			break;
		case T_AlterEnumStmt:	/* RENAME VALUE */
		case T_AlterExtensionStmt:
		case T_AlterExtensionContentsStmt:	/* DROP FUNCTION */
		case T_DropOwnedStmt:
			return true;
		default:
			return false;
	}
	return type == OBJECT_TYPE || type == OBJECT_DOMAIN || type == OBJECT_SCHEMA ||
		type == OBJECT_EXTENSION;
}

/* relations_with_expressions lists the tables whose labels hold SQL. */
static List *
relations_with_expressions(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, EffLabelsLoad())
	{
		StoredLabel *label = lfirst(lc);

		if (strstr(label->json, "\"surrogate\"") != NULL || strstr(label->json, "\"where\"") != NULL ||
			strstr(label->json, "\"set\"") != NULL)
			result = list_append_unique_oid(result, label->relid);
	}
	return result;
}

/*
 * warn_of_broken_labels tells what the next use of the map would refuse: labels
 * of the tables that changed, and paths anywhere.
 */
static void
warn_of_broken_labels(List *relids)
{
	DataMap    *map;
	List	   *warned = NIL;
	ListCell   *lc;

	CommandCounterIncrement();
	foreach(lc, relids)
	{
		ListCell   *lc2;

		foreach(lc2, EffLabelsOf(lfirst_oid(lc)))
		{
			StoredLabel *label = lfirst(lc2);
			MapError   *error = EffProviderTry(label->relid, label->attnum, label->json);

			if (error == NULL)
				continue;
			ereport(WARNING,
					(errcode(error->code),
					 errmsg("a label of table %s is broken now: %s",
							EffRelationDisplayName(label->relid), error->message),
					 error->detail ? errdetail("%s", error->detail) : 0,
					 error->hint ? errhint("%s", error->hint) : 0));
			warned = list_append_unique_oid(warned, label->relid);
		}
	}
	map = EffGraphGet();
	for (int i = 0; i < map->ntables; i++)
	{
		MapTable   *table = map->tables[i];
		MapError   *error = table->error;

		foreach(lc, table->links)
			if (error == NULL)
				error = ((TableLink *) lfirst(lc))->error;
		/* a link that was never there is nothing that this DDL has broken */
		if (error == NULL || list_member_oid(warned, table->rel->oid) ||
			(error->code == ERRCODE_EFF_SUBJECT && !list_member_oid(relids, table->rel->oid)))
			continue;
		ereport(WARNING,
				(errcode(error->code),
				 errmsg("table %s can no longer be used by effaced: %s", table->name, error->message),
				 error->detail ? errdetail("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
	}
}
