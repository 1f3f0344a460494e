/*
 * manifest_write.c
 *	  Writes the data map as a versioned JSON document.
 */
#include "postgres.h"

#include "base/json_text.h"
#include "map/manifest.h"
#include "map/admission.h"
#include "map/manifest_int.h"
#include "trail/trail.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_manifest);
PG_FUNCTION_INFO_V1(effaced_manifest_table);
PG_FUNCTION_INFO_V1(effaced_manifest_snapshot);

static void write_map_table(StringInfo buf, MapTable *table);
static void write_retention(StringInfo buf, RetentionPolicy *retention);
static char *unused_link_name(TableLabel *label);
static void write_link_keys(StringInfo buf, LinkLabel *link, bool subject);

/*
 * effaced_manifest() writes the whole data map.
 */
Datum
effaced_manifest(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(EffManifestDocument());
}

/*
 * effaced_manifest_table(relation) writes one table of it.
 */
Datum
effaced_manifest_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	DataMap    *map = EffMapGet();
	MapTable   *table = EffMapTable(map, relid);
	StringInfoData buf;

	if (table == NULL)
	{
		char	   *name = EffRelationDisplayName(relid);
		EffRelation *unadmitted = EffAdmissionMissing(map, relid);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("table \"%s\" is not in the data map",
						name ? get_rel_name(relid) : "(null)"),
				 unadmitted ? errdetail("It has labels that do not count.") : 0,
				 unadmitted ? errhint("%s", EffAdmissionHint(unadmitted)) :
				 errhint("Label its columns: SECURITY LABEL FOR effaced "
						 "ON COLUMN %s.... IS '{\"category\": \"contact\"}';",
						 name ? name : "users")));
	}
	if (table->error)
		EffMapErrorRaise(table->error);
	initStringInfo(&buf);
	write_map_table(&buf, table);
	PG_RETURN_JSONB_P(EffJsonDone(&buf));
}

/*
 * effaced_manifest_snapshot() records the data map in the audit trail and
 * returns the event's id.
 */
Datum
effaced_manifest_snapshot(PG_FUNCTION_ARGS)
{
	TrailEvent *event = EffTrailEvent("manifest_snapshot", NULL, NULL, EffManifestDocument());
	char	   *id = EffTrailAppend(list_make1(event));

	return DirectFunctionCall1(uuid_in, CStringGetDatum(id));
}

/*
 * EffManifestDocument returns the whole data map as a manifest, in the current
 * memory context.  ERROR where the labels of a table are in error.
 */
Jsonb *
EffManifestDocument(void)
{
	DataMap    *map = EffMapGet();
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"schema_version\": %d, \"tables\": [", SCHEMA_VERSION);
	for (int i = 0; i < map->ntables; i++)
	{
		if (map->tables[i]->error)
			EffMapErrorRaise(map->tables[i]->error);
		EffJsonComma(&buf);
		write_map_table(&buf, map->tables[i]);
	}
	appendStringInfoString(&buf, "]}");
	return EffJsonDone(&buf);
}

static void
write_map_table(StringInfo buf, MapTable *table)
{
	List	   *columns = NIL;
	List	   *key = NIL;

	foreach_ptr(MapColumn, column, table->columns)
	{
		columns = lappend(columns, list_make2(column->column->name, column->label));
	}
	for (int i = 0; i < table->nkey; i++)
		key = lappend(key, EffRelationColumn(table->rel, table->key[i])->name);
	EffManifestWriteTable(buf, table->name, columns, table->label, key, table->kind);
}

/*
 * EffManifestWriteTable appends one table of a manifest.  columns is a list of lists
 * of two, a name and a ColumnLabel; subject_key are the names of the identifier
 * columns, and kind names the kind of subject, where the table is a subject's.
 */
void
EffManifestWriteTable(StringInfo buf, const char *name, List *columns, TableLabel *link,
			List *subject_key, const char *kind)
{
	appendStringInfoChar(buf, '{');
	EffJsonMember(buf, "name", name);
	EffJsonKey(buf, "columns");
	appendStringInfoChar(buf, '[');
	foreach_ptr(List, pair, columns)
	{
		EffJsonComma(buf);
		appendStringInfoChar(buf, '{');
		EffJsonMember(buf, "name", linitial(pair));
		EffJsonKey(buf, "spec");
		EffManifestWriteSpec(buf, lsecond(pair));
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, ']');
	EffJsonKey(buf, "subject_link");
	if (link == NULL)
		appendStringInfoString(buf, "null");
	else
		EffManifestWriteLink(buf, link, subject_key, kind);
	appendStringInfoChar(buf, '}');
}

/* EffManifestWriteSpec appends a column label, every key of it. */
void
EffManifestWriteSpec(StringInfo buf, ColumnLabel *label)
{
	appendStringInfoChar(buf, '{');
	EffJsonMember(buf, "category", label->category);
	EffJsonMember(buf, "erasure", EffErasureWord(label->erasure));
	EffJsonMember(buf, "legal_basis", label->legal_basis);
	EffJsonMember(buf, "description", label->description);
	EffJsonMember(buf, "purpose", label->purpose);
	EffJsonKey(buf, "retention");
	write_retention(buf, label->retention);
	EffJsonMember(buf, "surrogate", label->surrogate);
	EffJsonMember(buf, "fact", label->fact);
	EffJsonMember(buf, "link", label->link);
	EffJsonMember(buf, "ref", label->ref);
	EffJsonKey(buf, "trace");
	appendStringInfoString(buf, label->trace == TRACE_BY_CATEGORY ? "null" :
						   label->trace == TRACE_ALWAYS ? "true" : "false");
	appendStringInfoChar(buf, '}');
}

static void
write_retention(StringInfo buf, RetentionPolicy *retention)
{
	if (retention == NULL)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	appendStringInfoChar(buf, '{');
	EffJsonMember(buf, "reason", retention->reason);
	EffJsonMember(buf, "basis", retention->basis);
	EffJsonMember(buf, "duration", retention->duration);
	EffJsonMember(buf, "anchor", retention->anchor);
	EffJsonMember(buf, "on_expiry", EffExpiryWord(retention->on_expiry));
	appendStringInfoChar(buf, '}');
}

/*
 * EffManifestWriteLink appends a table label, every key of it.  subject_key and kind
 * are as for EffManifestWriteTable().
 */
void
EffManifestWriteLink(StringInfo buf, TableLabel *label, List *subject_key, const char *kind)
{
	LinkLabel	marker = {.path = "", .where = label->subject_where};
	ListCell   *lc;

	appendStringInfoChar(buf, '{');
	if (label->many)
	{
		EffJsonMember(buf, "path", label->is_subject ? "" : NULL);
		EffJsonKey(buf, "links");
		appendStringInfoChar(buf, '[');
		if (label->is_subject && label->subject_where != NULL)
		{
			/* the subject's own condition has its place in a link with an empty path */
			appendStringInfoChar(buf, '{');
			EffJsonMember(buf, "name", unused_link_name(label));
			write_link_keys(buf, &marker, true);
			appendStringInfoChar(buf, '}');
		}
		foreach(lc, label->links)
		{
			EffJsonComma(buf);
			appendStringInfoChar(buf, '{');
			EffJsonMember(buf, "name", ((LinkLabel *) lfirst(lc))->name);
			write_link_keys(buf, lfirst(lc), false);
			appendStringInfoChar(buf, '}');
		}
		appendStringInfoChar(buf, ']');
		EffJsonMember(buf, "hops", NULL);
		EffJsonMember(buf, "where", NULL);
		EffJsonMember(buf, "role", NULL);
		EffJsonMember(buf, "redact", NULL);
		EffJsonMember(buf, "shared", NULL);
		EffJsonMember(buf, "release", NULL);
	}
	else
	{
		write_link_keys(buf, label->is_subject ? &marker : linitial(label->links),
						label->is_subject);
		EffJsonMember(buf, "links", NULL);
	}
	EffJsonKey(buf, "subject_id_columns");
	if (label->is_subject && subject_key != NIL)
		EffJsonStrings(buf, subject_key);
	else
		appendStringInfoString(buf, "null");
	EffJsonMember(buf, "subject", label->is_subject ? kind : NULL);
	EffJsonKey(buf, "owned");
	appendStringInfoString(buf, label->owned ? "true" : "false");
	EffJsonKey(buf, "set");
	if (label->set == NIL)
		appendStringInfoString(buf, "null");
	else
	{
		appendStringInfoChar(buf, '{');
		foreach_ptr(SetLabel, each_label, label->set)
			EffJsonMember(buf, each_label->column, each_label->expression);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, '}');
}

/* unused_link_name makes a name for what was written without one or lost it. */
static char *
unused_link_name(TableLabel *label)
{
	char	   *name = pstrdup("subject");

	for (bool unused = false; !unused;)
	{
		unused = true;
		foreach_ptr(LinkLabel, each_label, label->links)
			unused &= strcmp(each_label->name, name) != 0;
		if (!unused)
			name = psprintf("%s_", name);
	}
	return name;
}

static void
write_link_keys(StringInfo buf, LinkLabel *link, bool subject)
{
	EffJsonMember(buf, "path", link->path);
	EffJsonKey(buf, "hops");
	if (link->hops == NIL)
		appendStringInfoString(buf, "null");
	else
	{
		appendStringInfoChar(buf, '[');
		foreach_ptr(HopLabel, hop, link->hops)
		{
			EffJsonComma(buf);
			appendStringInfoChar(buf, '{');
			EffJsonKey(buf, "source_columns");
			EffJsonStrings(buf, hop->source_columns);
			EffJsonMember(buf, "target_table", hop->target_table);
			EffJsonKey(buf, "target_columns");
			EffJsonStrings(buf, hop->target_columns);
			appendStringInfoChar(buf, '}');
		}
		appendStringInfoChar(buf, ']');
	}
	EffJsonMember(buf, "where", link->where);
	EffJsonMember(buf, "role", EffRoleWord(link->role));
	EffJsonKey(buf, "redact");
	if (link->redact == NIL)
		appendStringInfoString(buf, "null");
	else
		EffJsonStrings(buf, link->redact);
	EffJsonMember(buf, "shared", EffSharedWord(link->shared));
	EffJsonKey(buf, "release");
	appendStringInfoString(buf, !link->release_given ? "null" : link->release ? "true" : "false");
}
