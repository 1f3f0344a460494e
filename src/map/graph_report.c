/*
 * graph_report.c
 *	  The subject graph as rows and as a drawing.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/json_text.h"
#include "map/graph.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_subject_graph);
PG_FUNCTION_INFO_V1(effaced_table_access);
PG_FUNCTION_INFO_V1(effaced_deletion_order);
PG_FUNCTION_INFO_V1(effaced_graph_dot);

static void draw_hop(StringInfo buf, TableLink *link, JoinHop *hop, List **seen);
static List *ordered_tables(DataMap *map, MapTable *subject);
static void put_access(ReturnSetInfo *rsinfo, int ordinal, MapTable *table, TableLink *link);
static Jsonb *hops_document(TableLink *link);
static char *names_document(EffRelation *rel, const AttrNumber *attnums, int n);
static char *dot_name(const char *name);

/*
 * effaced_subject_graph(subject) gives a row per link, in deletion order.
 */
Datum
effaced_subject_graph(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 0);
	int			ordinal = 0;

	InitMaterializedSRF(fcinfo, 0);
	foreach_ptr(MapTable, table, ordered_tables(map, subject))
	{
		ListCell   *lc2;

		ordinal++;
		if (table == subject)
			put_access(rsinfo, ordinal, table, NULL);
		foreach(lc2, EffGraphLinks(table, subject))
			put_access(rsinfo, ordinal, table, lfirst(lc2));
	}
	return (Datum) 0;
}

/*
 * effaced_table_access(relation, subject) gives the rows of one table.
 */
Datum
effaced_table_access(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	bool		found = false;
	int			ordinal = 0;

	InitMaterializedSRF(fcinfo, 0);
	foreach_ptr(MapTable, table, ordered_tables(map, subject))
	{
		ListCell   *lc2;

		ordinal++;
		if (table->rel->oid != relid)
			continue;
		found = true;
		if (table == subject)
			put_access(rsinfo, ordinal, table, NULL);
		foreach(lc2, EffGraphLinks(table, subject))
			put_access(rsinfo, ordinal, table, lfirst(lc2));
	}
	if (!found)
	{
		char	   *name = get_rel_name(relid);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("table \"%s\" is not in the graph of subject table \"%s\"",
						name ? name : "(null)", subject->rel->relname),
				 errhint("SELECT relation FROM effaced_subject_graph('%s') "
						 "lists the tables that are.",
						 subject->name)));
	}
	return (Datum) 0;
}

/*
 * effaced_deletion_order(relations) sorts tables so that rows go before the
 * rows that they reference.
 */
Datum
effaced_deletion_order(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	List	   *relids;
	List	   *broken;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	relids = EffOidArrayRead(PG_GETARG_DATUM(0), &n);
	if (list_length(relids) != n)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("relations must not hold NULL"),
				 errhint("Leave the element out.")));
	relids = EffGraphOrder(map, list_concat_unique_oid(NIL, relids), NULL, NULL, &broken);
	PG_RETURN_DATUM(EffOidArray(relids, REGCLASSOID));
}

/*
 * effaced_graph_dot(subject) draws the graph for Graphviz: owner links solid,
 * accessor links dashed, hops against a reference with an empty arrow head.
 */
Datum
effaced_graph_dot(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 0);
	StringInfoData buf;
	List	   *seen = NIL;

	initStringInfo(&buf);
	appendStringInfo(&buf, "digraph effaced {\n  rankdir=LR;\n  node [shape=box];\n");
	foreach_ptr(MapTable, table, ordered_tables(map, subject))
	{
		appendStringInfo(&buf, "  %s [%s];\n", dot_name(table->name),
						 table == subject ? "shape=doubleoctagon" :
						 table->is_subject ? "shape=octagon" :
						 table->fully_pii_owned ? "style=filled, fillcolor=lightgrey" :
						 "style=solid");
		foreach_ptr(TableLink, link, EffGraphLinks(table, subject))
			foreach_ptr(JoinHop, hop, link->hops)
				draw_hop(&buf, link, hop, &seen);
	}
	appendStringInfoString(&buf, "}\n");
	PG_RETURN_TEXT_P(cstring_to_text(buf.data));
}

/* draw_hop draws the edge of a hop, once where several links share it; seen is what was drawn. */
static void
draw_hop(StringInfo buf, TableLink *link, JoinHop *hop, List **seen)
{
	char	   *columns = EffJoinNames(hop->source, hop->source_columns, hop->n);
	char	   *edge = psprintf("  %s -> %s [label=%s, style=%s%s];\n",
								dot_name(hop->source->name), dot_name(hop->target->name),
								dot_name(link->name == NULL ? columns :
										 psprintf("%s: %s", link->name, columns)),
								link->label->role == ROLE_ACCESSOR ? "dashed" : "solid",
								hop->reverse ? ", arrowhead=empty, color=blue" : "");

	foreach_ptr(char, drawn, *seen)
		if (strcmp(drawn, edge) == 0)
			return;
	*seen = lappend(*seen, edge);
	appendStringInfoString(buf, edge);
}

static List *
ordered_tables(DataMap *map, MapTable *subject)
{
	List	   *relids = NIL;
	List	   *broken;
	List	   *result = NIL;

	foreach_ptr(MapTable, table, EffGraphTables(map, subject))
		relids = lappend_oid(relids, table->rel->oid);
	foreach_oid(oid, EffGraphOrder(map, relids, NULL, NULL, &broken))
		result = lappend(result, EffMapTable(map, oid));
	return result;
}

/* put_access writes one row; link is NULL for the subject table itself. */
static void
put_access(ReturnSetInfo *rsinfo, int ordinal, MapTable *table, TableLink *link)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int32GetDatum(ordinal);
	values[1] = ObjectIdGetDatum(table->rel->oid);
	nulls[2] = link == NULL || link->name == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(link->name);
	values[3] = JsonbPGetDatum(hops_document(link));
	values[4] = CStringGetTextDatum(EffRoleWord(link ? link->label->role : ROLE_OWNER));
	values[5] = BoolGetDatum(table->fully_pii_owned);
	values[6] = BoolGetDatum(table->is_subject);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Jsonb *
hops_document(TableLink *link)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	if (link != NULL)
		foreach_ptr(JoinHop, hop, link->hops)
		{
			EffJsonComma(&buf);
			appendStringInfoChar(&buf, '{');
			EffJsonMember(&buf, "source_table", hop->source->name);
			EffJsonKey(&buf, "source_columns");
			appendStringInfoString(&buf, names_document(hop->source, hop->source_columns, hop->n));
			EffJsonMember(&buf, "target_table", hop->target->name);
			EffJsonKey(&buf, "target_columns");
			appendStringInfoString(&buf, names_document(hop->target, hop->target_columns, hop->n));
			appendStringInfoChar(&buf, '}');
		}
	appendStringInfoChar(&buf, ']');
	return EffJsonDone(&buf);
}

static char *
names_document(EffRelation *rel, const AttrNumber *attnums, int n)
{
	StringInfoData buf;
	List	   *names = NIL;

	for (int i = 0; i < n; i++)
		names = lappend(names, EffRelationColumn(rel, attnums[i])->name);
	initStringInfo(&buf);
	EffJsonStrings(&buf, names);
	return buf.data;
}

static char *
dot_name(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (; *name; name++)
	{
		if (*name == '"' || *name == '\\')
			appendStringInfoChar(&buf, '\\');
		appendStringInfoChar(&buf, *name);
	}
	appendStringInfoChar(&buf, '"');
	return buf.data;
}
