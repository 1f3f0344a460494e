/*
 * graph.c
 *	  FIXME
 */
#include "postgres.h"

#include "base/citus.h"
#include "map/map_int.h"

static void note_joins(DataMap *map);

/*
 * EffGraphGet returns the data map with all links resolved.  Every request
 * begins here, so that it is refused here where the rows are not.
 */
DataMap *
EffGraphGet(void)
{
	DataMap    *map;
	MemoryContext context;
	HTAB	   *reaching;

	EffCitusRefuseWorker();
	map = EffMapGet();
	if (map->resolved)
		return map;
	context = MemoryContextSwitchTo(map->context);
	reaching = EffFindReaching(map);
	for (int i = 0; i < map->ntables; i++)
	{
		map->tables[i]->links = NIL;
		EffLinksResolve(map, map->tables[i], reaching);
	}
	hash_destroy(reaching);
	note_joins(map);
	MemoryContextSwitchTo(context);
	map->resolved = true;
	return map;
}

/* note_joins lets the links that join on a relation be found from it. */
static void
note_joins(DataMap *map)
{
	for (int i = 0; i < map->ntables; i++)
		foreach_ptr(TableLink, link, map->tables[i]->links)
			foreach_ptr(JoinHop, hop, link->hops)
			{
				foreach_oid(oid, hop->source->inheritors)
				{
					MapRelation *relation = EffMapRelation(map, oid);

					relation->joins = lappend(relation->joins, hop);
				}
				foreach_oid(each_oid, hop->target->inheritors)
				{
					MapRelation *relation = EffMapRelation(map, each_oid);

					relation->joins = lappend(relation->joins, hop);
				}
			}
}

/*
 * EffGraphSubject finds the subject table that a call is about.
 */
MapTable *
EffGraphSubject(DataMap *map, Oid relid)
{
	MapTable   *found = NULL;
	StringInfoData names;
	int			n = 0;

	initStringInfo(&names);
	for (int i = 0; i < map->ntables; i++)
	{
		MapTable   *table = map->tables[i];

		if (!table->is_subject)
			continue;
		appendStringInfo(&names, "%s%s", n++ > 0 ? ", " : "", table->name);
		found = table;
		if (table->rel->oid == relid)
		{
			if (table->error)
				EffMapErrorRaise(table->error);
			return table;
		}
	}

	if (OidIsValid(relid))
	{
		char	   *name = EffRelationDisplayName(relid);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 name ? errmsg("%s is not a subject table", name) :
				 errmsg("relation with OID %u does not exist", relid),
				 n > 0 ? errhint("Subject tables: %s.", names.data) :
				 errhint("Mark it: SECURITY LABEL FOR effaced ON TABLE %s IS '{\"path\": \"\"}';",
						 name ? name : "users"),
				 errhidestmt(true)));
	}
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("the data map has no subject table"),
				 errhint("Mark the table of the persons: SECURITY LABEL FOR effaced ON TABLE users IS '{\"path\": \"\"}';"),
				 errhidestmt(true)));
	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("the data map has several subject tables and the call names none"),
				 errhint("Add subject => '...', one of: %s.", names.data),
				 errhidestmt(true)));
	if (found->error)
		EffMapErrorRaise(found->error);
	return found;
}

/*
 * EffGraphSubjectArgument: NULL stands for the only subject table.
 */
MapTable *
EffGraphSubjectArgument(DataMap *map, FunctionCallInfo fcinfo, int argno)
{
	return EffGraphSubject(map, PG_ARGISNULL(argno) ? InvalidOid : PG_GETARG_OID(argno));
}

/*
 * EffGraphTables lists the tables of a subject by name.  A table anywhere in
 * the map that is broken fails the call: its rows might be the subject's.
 */
List *
EffGraphTables(DataMap *map, MapTable *subject)
{
	List	   *result = NIL;

	for (int i = 0; i < map->ntables; i++)
	{
		EffGraphRaiseErrors(map->tables[i]);
		if (map->tables[i] == subject || EffGraphLinks(map->tables[i], subject) != NIL)
			result = lappend(result, map->tables[i]);
	}
	return result;
}

List *
EffGraphLinks(MapTable *table, MapTable *subject)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, table->links)
		if (((TableLink *) lfirst(lc))->subject == subject)
			result = lappend(result, lfirst(lc));
	return result;
}

/* EffGraphRoleLinks lists those of them by which the subject owns rows, or may access them. */
List *
EffGraphRoleLinks(MapTable *table, MapTable *subject, LinkRole role)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, EffGraphLinks(table, subject))
		if (((TableLink *) lfirst(lc))->label->role == role)
			result = lappend(result, lfirst(lc));
	return result;
}

void
EffGraphRaiseErrors(MapTable *table)
{
	if (table->error)
		EffMapErrorRaise(table->error);
	foreach_ptr(TableLink, link, table->links)
		if (link->error)
			EffMapErrorRaise(link->error);
}
