/*
 * graph.c
 *	  Subjects, and the tables and links of each, once links are resolved.
 */
#include "postgres.h"

#include "base/citus.h"
#include "map/admission.h"
#include "map/map_int.h"

#include "utils/lsyscache.h"

static void note_joins(DataMap *map);
static void note_join(DataMap *map, EffRelation *side, JoinHop *hop);
static bool hangs_from(DataMap *map, EffRelation *relation, List *targets);
static void raise_no_subject(DataMap *map, Oid relid, int n,
							 const char *names) pg_attribute_noreturn();

/*
 * EffGraphGet returns the data map as of now with all links resolved.  It lives
 * until the transaction ends.  ERROR on a worker of Citus, which does not have all
 * of the rows: every request begins with this function.
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
	reaching = EffGraphReaching(map);
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

/* note_joins lets hops be found from the relations that they join, partitions and children too. */
static void
note_joins(DataMap *map)
{
	for (int i = 0; i < map->ntables; i++)
		foreach_ptr(TableLink, link, map->tables[i]->links)
			foreach_ptr(JoinHop, hop, link->hops)
			{
				note_join(map, hop->source, hop);
				note_join(map, hop->target, hop);
			}
}

static void
note_join(DataMap *map, EffRelation *side, JoinHop *hop)
{
	foreach_oid(oid, side->inheritors)
	{
		MapRelation *relation = EffMapRelation(map, oid);

		relation->joins = lappend(relation->joins, hop);
	}
}

/*
 * EffGraphSubject returns the subject table that a call is about: the relation,
 * or the only subject table where relid is InvalidOid.  ERROR ZE002 where the
 * relation is none, or several may be meant; the table's own error where its
 * label cannot be read.
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
		if (!OidIsValid(relid) || table->rel->oid == relid)
			found = table;
	}
	if (found == NULL || (!OidIsValid(relid) && n > 1))
		raise_no_subject(map, relid, n, names.data);
	if (found->error)
		EffMapErrorRaise(found->error);
	return found;
}

/* raise_no_subject: n and names are those of the subject tables that there are. */
static void
raise_no_subject(DataMap *map, Oid relid, int n, const char *names)
{
	if (OidIsValid(relid))
	{
		char	   *name = EffRelationDisplayName(relid);
		EffRelation *unadmitted = EffAdmissionMissing(map, relid);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 name ? errmsg("\"%s\" is not a subject table", get_rel_name(relid)) :
				 errmsg("relation with OID %u does not exist", relid),
				 unadmitted ? errdetail("It has labels that do not count.") : 0,
				 unadmitted ? errhint("%s", EffAdmissionHint(unadmitted)) :
				 n > 0 ? errhint("Subject tables: %s.", names) :
				 errhint("Mark it: SECURITY LABEL FOR effaced ON TABLE %s IS '{\"path\": \"\"}';",
						 name ? name : "users"),
				 errhidestmt(true)));
	}
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("the data map has no subject table"),
				 map->not_admitted != NIL ? errdetail("There are labels that do not count.") : 0,
				 map->not_admitted != NIL ?
				 errhint("%s", EffAdmissionHint(linitial(map->not_admitted))) :
				 errhint("Mark the table of the persons: "
						 "SECURITY LABEL FOR effaced ON TABLE users IS '{\"path\": \"\"}';"),
				 errhidestmt(true)));
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("the data map has several subject tables and the call names none"),
			 errhint("Add subject => '...', one of: %s.", names),
			 errhidestmt(true)));
}

/*
 * EffGraphSubjectArgument returns the subject table that argument argno of a
 * function means, which is a regclass; NULL stands for the only subject table.
 * Errors are those of EffGraphSubject().
 */
MapTable *
EffGraphSubjectArgument(DataMap *map, FunctionCallInfo fcinfo, int argno)
{
	return EffGraphSubject(map, PG_ARGISNULL(argno) ? InvalidOid : PG_GETARG_OID(argno));
}

/*
 * EffGraphTables returns the tables (MapTable) that hold rows of a subject or
 * that it may access, its own table included, by name.  ERROR where any table of
 * the map is broken, for its rows might be the subject's.
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

/* EffGraphLinks returns the links (TableLink) from a table to a subject. */
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

/* EffGraphRoleLinks returns those of the links from a table to a subject that have a role. */
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

/* EffGraphRaiseErrors raises the error of a table whose labels, or whose links, cannot be used. */
void
EffGraphRaiseErrors(MapTable *table)
{
	if (table->error)
		EffMapErrorRaise(table->error);
	foreach_ptr(TableLink, link, table->links)
		if (link->error)
			EffMapErrorRaise(link->error);
}

/*
 * EffGraphHasUnadmitted returns whether a table whose labels do not count references
 * rows of a subject by foreign keys, perhaps by way of other tables.  What it holds
 * of the subject no request reaches, so that nobody can say that it is gone.
 */
bool
EffGraphHasUnadmitted(DataMap *map, MapTable *subject)
{
	List	   *owned = NIL;

	if (map->not_admitted == NIL)
		return false;
	foreach_ptr(MapTable, table, EffGraphTables(map, subject))
		if (table == subject || EffGraphRoleLinks(table, subject, ROLE_OWNER) != NIL)
			foreach_oid(oid, table->rel->inheritors)
				owned = lappend_oid(owned, oid);
	foreach_ptr(EffRelation, relation, map->not_admitted)
		if (hangs_from(map, relation, owned))
			return true;
	return false;
}

/* hangs_from returns whether foreign keys lead from a relation to one of the targets (OIDs). */
static bool
hangs_from(DataMap *map, EffRelation *relation, List *targets)
{
	List	   *seen = list_copy(relation->inheritors);

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(seen); i++)
		foreach_ptr(ForeignKey, fk, EffMapRelation(map, list_nth_oid(seen, i))->references)
		{
			if (list_member_oid(targets, fk->target))
				return true;
			seen = list_append_unique_oid(seen, fk->target);
		}
	return false;
}
