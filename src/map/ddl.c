/*
 * ddl.c
 *	  What DDL does to labels: those in comments are checked when they are
 *	  written, and those that a RENAME or DROP breaks are told at once.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/citus.h"
#include "map/admission.h"
#include "map/graph.h"
#include "map/provider.h"

#include "catalog/namespace.h"
#include "commands/comment.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_check_ddl);

static void check_comments(Oid relid, int attnum);
static bool may_break_labels(Node *parsetree);
static bool may_break_expressions(Node *parsetree);
static List *relations_with_expressions(void);
static bool has_expression(MapTable *table);
static bool has_new_owner(Node *parsetree);
static void warn_of_broken_labels(List *relids, bool new_owner);

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
	is_create = IsA(event->parsetree, CreateForeignTableStmt) ||
		IsA(event->parsetree, CreateSchemaStmt);

	if (IsA(event->parsetree, CreateStmt))
	{
		/* LIKE brings comments along; by now it is gone from the tree, and the name is qualified */
		RangeVar   *name = ((CreateStmt *) event->parsetree)->relation;
		Oid			relid = RangeVarGetRelid(name, NoLock, true);

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
	if (SPI_execute("SELECT DISTINCT objid, objsubid"
					" FROM pg_catalog.pg_event_trigger_ddl_commands()"
					" WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					" AND object_type NOT LIKE '%index%' AND object_type NOT LIKE '%sequence%'"
					" ORDER BY 1, 2", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the commands of an event trigger");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		int			attnum = DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull));

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
	CommandCounterIncrement();
	if (may_break_expressions(event->parsetree))
	{
		/* statements that were made before may name what is gone */
		EffMapInvalidate(InvalidOid);
		relids = list_concat_unique_oid(relids, relations_with_expressions());
	}
	if (!is_comment && !is_create)
		warn_of_broken_labels(relids, has_new_owner(event->parsetree));
	EffSpiEnd(&bracket);
	PG_RETURN_NULL();
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
	if (!found)
		return;
	EffAdmissionWarn(relid);
	EffMapInvalidate(relid);
}

static bool
may_break_labels(Node *parsetree)
{
	if (may_break_expressions(parsetree) ||
		IsA(parsetree, RenameStmt) || IsA(parsetree, DropStmt) ||
		IsA(parsetree, AlterObjectSchemaStmt))
		return true;
	if (IsA(parsetree, AlterTableStmt))
		foreach_ptr(AlterTableCmd, cmd, ((AlterTableStmt *) parsetree)->cmds)
		{
			AlterTableType type = cmd->subtype;

			if (type == AT_DropColumn || type == AT_DropConstraint || type == AT_AlterColumnType ||
				type == AT_ChangeOwner)
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

/* relations_with_expressions lists the tables (OIDs) whose labels hold SQL that can be read. */
static List *
relations_with_expressions(void)
{
	DataMap    *map = EffMapGet();
	List	   *result = NIL;

	for (int i = 0; i < map->ntables; i++)
		if (has_expression(map->tables[i]))
			result = lappend_oid(result, map->tables[i]->rel->oid);
	return result;
}

static bool
has_expression(MapTable *table)
{
	foreach_ptr(MapColumn, column, table->columns)
		if (column->label->surrogate != NULL)
			return true;
	if (table->label == NULL)
		return false;
	foreach_ptr(LinkLabel, link, table->label->links)
		if (link->where != NULL)
			return true;
	return table->label->subject_where != NULL || table->label->set != NIL;
}

static bool
has_new_owner(Node *parsetree)
{
	if (IsA(parsetree, AlterTableStmt))
		foreach_ptr(AlterTableCmd, cmd, ((AlterTableStmt *) parsetree)->cmds)
			if (cmd->subtype == AT_ChangeOwner)
				return true;
	return false;
}

/*
 * warn_of_broken_labels tells what the next use of the map would refuse: labels
 * of the tables that changed, and paths anywhere.
 */
static void
warn_of_broken_labels(List *relids, bool new_owner)
{
	DataMap    *map;
	List	   *warned = NIL;

	foreach_oid(oid, relids)
	{
		if (new_owner && EffLabelsOf(oid) != NIL)
			EffAdmissionWarn(oid);
		foreach_ptr(StoredLabel, label, EffLabelsOf(oid))
		{
			MapError   *error = EffProviderTry(label->relid, label->attnum, label->json);

			if (error == NULL)
				continue;
			ereport(WARNING,
					(errcode(error->code),
					 errmsg("a label of table \"%s\" is broken now: %s",
							get_rel_name(label->relid), error->message),
					 error->detail ? errdetail("%s", error->detail) : 0,
					 error->hint ? errhint("%s", error->hint) : 0));
			warned = list_append_unique_oid(warned, label->relid);
		}
	}
	/* the coordinator, whose DDL a worker is sent, warns of the rest */
	if (EffCitusIsWorker())
		return;
	map = EffGraphGet();
	for (int i = 0; i < map->ntables; i++)
	{
		MapTable   *table = map->tables[i];
		MapError   *error = table->error;

		foreach_ptr(TableLink, each_link, table->links)
			if (error == NULL)
				error = each_link->error;
		/* a link that was never there is nothing that this DDL has broken */
		if (error == NULL || list_member_oid(warned, table->rel->oid) ||
			(error->code == ERRCODE_EFF_SUBJECT && !list_member_oid(relids, table->rel->oid)))
			continue;
		ereport(WARNING,
				(errcode(error->code),
				 errmsg("table \"%s\" can no longer be used by effaced: %s",
						table->rel->relname, error->message),
				 error->detail ? errdetail("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
	}
}
