/*
 * inference.c
 *	  Finds the chain of foreign keys from a table to a subject table, where its
 *	  label says nothing of the way.
 */
#include "postgres.h"

#include "map/map_int.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/json.h"

#define MAX_CANDIDATES 10		/* chains named in a hint */
#define MAX_INFERENCE_STEPS 100000

/* State of the search for foreign-key chains */
typedef struct Inference
{
	DataMap    *map;
	HTAB	   *reaching;		/* Oids from which a subject can be reached */
	List	   *chain;			/* of ForeignKey, so far */
	List	   *found;			/* of List of ForeignKey */
	int			steps;
} Inference;

static void raise_no_chain(Inference *inference, TableLink *link) pg_attribute_noreturn();
static void search_chains(Inference *inference, Oid relid);
static char *path_of_chain(DataMap *map, List *chain);
static void append_segment(StringInfo path, const char *name);
static char *label_statement(TableLink *link, const char *key, const char *json_value);

/*
 * EffInferLink gives a link the hops of the only chain of foreign keys that leads
 * to a subject table.  ERROR ZE002 where there is none, or several: the hint then
 * has a statement for each, since effaced never guesses.  reaching is what
 * EffGraphReaching() returns.
 */
void
EffInferLink(DataMap *map, TableLink *link, HTAB *reaching)
{
	Inference	inference = {.map = map, .reaching = reaching};
	ListCell   *lc;

	link->inferred = true;
	search_chains(&inference, link->table->rel->oid);
	/* a search that was given up may have missed another */
	if (list_length(inference.found) == 1 && inference.steps <= MAX_INFERENCE_STEPS)
	{
		foreach(lc, (List *) linitial(inference.found))
			if (EffHopFinish(map, link, EffHopAlong(map, lfirst(lc))))
				return;
	}

	raise_no_chain(&inference, link);
}

/* raise_no_chain: there is none, or several, or the search was given up. */
static void
raise_no_chain(Inference *inference, TableLink *link)
{
	StringInfoData hint;
	ListCell   *lc;

	initStringInfo(&hint);
	if (inference->found == NIL)
	{
		if (link->table->rel->relkind == RELKIND_FOREIGN_TABLE)
			appendStringInfoString(&hint, "A foreign table needs hops: ");
		else
			appendStringInfoString(&hint, "Say how it joins: ");
		appendStringInfoString(&hint,
							   label_statement(link, "hops",
											   "[{\"source_columns\": [\"user_id\"], "
											   "\"target_table\": \"users\", "
											   "\"target_columns\": [\"id\"]}]"));
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("no chain of foreign keys leads from table \"%s\" to a subject table",
						link->table->rel->relname),
				 errhint("%s", hint.data)));
	}
	appendStringInfoString(&hint, "Choose one:");
	foreach(lc, inference->found)
	{
		StringInfoData json;

		initStringInfo(&json);
		escape_json(&json, path_of_chain(inference->map, lfirst(lc)));
		appendStringInfo(&hint, "\n%s", label_statement(link, "path", json.data));
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("several chains of foreign keys lead from table \"%s\" to a subject table",
					link->table->rel->relname),
			 errhint("%s", hint.data)));
}

/*
 * search_chains walks foreign keys depth first, without meeting a table twice.  It
 * gives up after many steps, so that a dense graph does not take forever.
 */
static void
search_chains(Inference *inference, Oid relid)
{
	MapRelation *entry = EffMapRelation(inference->map, relid);

	foreach_ptr(ForeignKey, fk, entry->references)
	{
		MapTable   *target = EffMapTable(inference->map, fk->target);
		bool		visited = fk->target == relid;

		if (list_length(inference->found) >= MAX_CANDIDATES ||
			++inference->steps > MAX_INFERENCE_STEPS)
			return;
		if (hash_search(inference->reaching, &fk->target, HASH_FIND, NULL) == NULL)
			continue;
		foreach_ptr(ForeignKey, key, inference->chain)
			visited |= key->relid == fk->target;
		if (visited)
			continue;
		inference->chain = lappend(inference->chain, fk);
		if (target != NULL && target->is_subject)
			inference->found = lappend(inference->found, list_copy(inference->chain));
		else
			search_chains(inference, fk->target);
		inference->chain = list_delete_last(inference->chain);
	}
}

/*
 * EffGraphReaching returns the OIDs of all relations with some chain of foreign
 * keys to a subject table, subject tables included, as a hash table in the current
 * memory context.
 */
HTAB *
EffGraphReaching(DataMap *map)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid)};
	HTAB	   *reaching;
	List	   *todo = NIL;

	control.hcxt = CurrentMemoryContext;
	reaching = hash_create("effaced reaching", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = 0; i < map->ntables; i++)
		if (map->tables[i]->is_subject)
		{
			(void) hash_search(reaching, &map->tables[i]->rel->oid, HASH_ENTER, NULL);
			todo = lappend_oid(todo, map->tables[i]->rel->oid);
		}
	while (todo != NIL)
	{
		MapRelation *entry = EffMapRelation(map, llast_oid(todo));

		todo = list_delete_last(todo);
		foreach_ptr(ForeignKey, key, entry->referenced_by)
		{
			Oid			relid = key->relid;
			bool		found;

			(void) hash_search(reaching, &relid, HASH_ENTER, &found);
			if (!found)
				todo = lappend_oid(todo, relid);
		}
	}
	return reaching;
}

/* path_of_chain writes the segments of a chain so that they are read back as it. */
static char *
path_of_chain(DataMap *map, List *chain)
{
	StringInfoData path;

	initStringInfo(&path);
	foreach_ptr(ForeignKey, fk, chain)
	{
		EffRelation *rel = EffMapLoad(map, fk->relid);
		const char *name = fk->name;

		if (fk->nkeys == 1)
		{
			const char *column = EffRelationColumn(rel, fk->columns[0])->name;
			int			uses = 0;

			foreach_ptr(ForeignKey, other, EffMapRelation(map, fk->relid)->references)
			{
				uses += strcmp(other->name, column) == 0 ? 1 : 0;
				uses += other->nkeys == 1 && other->columns[0] == fk->columns[0] ? 1 : 0;
			}
			if (uses == 1)
				name = column;
		}
		if (path.len > 0)
			appendStringInfoChar(&path, '.');
		append_segment(&path, name);
	}
	return path.data;
}

/* append_segment quotes a name where a path would read it as something else. */
static void
append_segment(StringInfo path, const char *name)
{
	if (strpbrk(name, ".\"(), \t\r\n") == NULL)
	{
		appendStringInfoString(path, name);
		return;
	}
	appendStringInfoChar(path, '"');
	for (; *name; name++)
		appendStringInfo(path, *name == '"' ? "\"\"" : "%c", *name);
	appendStringInfoChar(path, '"');
}

/* label_statement writes the statement that adds one key to a table's label. */
static char *
label_statement(TableLink *link, const char *key, const char *json_value)
{
	char	   *json = psprintf("{\"%s\": %s}", key, json_value);

	if (link->table->json != NULL)
	{
		Datum		old = DirectFunctionCall1(jsonb_in, CStringGetDatum(link->table->json));
		Datum		added = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
		Datum		merged = DirectFunctionCall2(jsonb_concat, old, added);

		json = DatumGetCString(DirectFunctionCall1(jsonb_out, merged));
	}
	return EffLabelStatement(link->table->rel->oid, 0, json);
}

/*
 * EffGraphInferredPath returns the path that a label would have to name for the
 * link to have the hops that were inferred for it.
 */
char *
EffGraphInferredPath(DataMap *map, TableLink *link)
{
	List	   *chain = NIL;

	foreach_ptr(JoinHop, hop, link->hops)
		chain = lappend(chain, hop->fk);
	return path_of_chain(map, chain);
}
