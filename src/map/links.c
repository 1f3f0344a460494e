/*
 * links.c
 *	  Resolves paths and hops to joins, and infers missing ones.
 *
 * Resolution works on the structs of the data map.  What cannot be resolved is
 * kept with its link and raised by whoever needs that link.
 */
#include "postgres.h"

#include "map/graph.h"
#include "base/citus.h"
#include "label/path.h"
#include "rows/statement.h"

#include "catalog/pg_class.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

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

static void note_joins(DataMap *map);
static void resolve_table(DataMap *map, MapTable *table, HTAB *reaching);
static TableLink *resolve_link(DataMap *map, MapTable *table, LinkLabel *label, HTAB *reaching);
static void resolve_path(DataMap *map, TableLink *link);
static void resolve_hops(DataMap *map, TableLink *link);
static ForeignKey *key_of_hop(DataMap *map, JoinHop *hop, bool reverse);
static void infer_link(DataMap *map, TableLink *link, HTAB *reaching);
static void search_chains(Inference *inference, Oid relid);
static HTAB *find_reaching(DataMap *map);
static bool finish_hop(DataMap *map, TableLink *link, JoinHop *hop);
static void require_subject(TableLink *link, const char *what);
static JoinHop *hop_along(DataMap *map, ForeignKey *fk);
static JoinHop *hop_against(DataMap *map, ForeignKey *fk);
static ForeignKey *match_segment(DataMap *map, EffRelation *from, PathSegment *segment);
static ForeignKey *match_reverse(DataMap *map, EffRelation *from, PathSegment *segment);
static ForeignKey *single_match(EffRelation *from, PathSegment *segment, List *matches);
static char *describe_candidates(DataMap *map, EffRelation *from);
static char *path_of_chain(DataMap *map, List *chain);
static char *label_statement(TableLink *link, const char *key, const char *json_value);
static char *all_columns(EffRelation *rel);
static bool comparable(EffColumn *source, EffColumn *target);

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
	reaching = find_reaching(map);
	for (int i = 0; i < map->ntables; i++)
	{
		map->tables[i]->links = NIL;
		resolve_table(map, map->tables[i], reaching);
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
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	for (int i = 0; i < map->ntables; i++)
		foreach(lc, map->tables[i]->links)
			foreach(lc2, ((TableLink *) lfirst(lc))->hops)
			{
				JoinHop    *hop = lfirst(lc2);

				foreach(lc3, hop->source->inheritors)
				{
					MapRelation *relation = EffMapRelation(map, lfirst_oid(lc3));

					relation->joins = lappend(relation->joins, hop);
				}
				foreach(lc3, hop->target->inheritors)
				{
					MapRelation *relation = EffMapRelation(map, lfirst_oid(lc3));

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
	ListCell   *lc;

	if (table->error)
		EffMapErrorRaise(table->error);
	foreach(lc, table->links)
		if (((TableLink *) lfirst(lc))->error)
			EffMapErrorRaise(((TableLink *) lfirst(lc))->error);
}

static void
resolve_table(DataMap *map, MapTable *table, HTAB *reaching)
{
	static LinkLabel unlabelled = {.role = ROLE_OWNER, .shared = SHARED_KEEP};
	ListCell   *lc;

	if (table->error != NULL)
		return;
	if (table->label == NULL)
		table->links = list_make1(resolve_link(map, table, &unlabelled, reaching));
	else
		foreach(lc, table->label->links)
			table->links = lappend(table->links, resolve_link(map, table, lfirst(lc), reaching));
}

static TableLink *
resolve_link(DataMap *map, MapTable *table, LinkLabel *label, HTAB *reaching)
{
	TableLink  *link = palloc0(sizeof(TableLink));
	MemoryContext context = CurrentMemoryContext;

	link->table = table;
	link->name = label->name;
	link->label = label;
	PG_TRY();
	{
		if (label->path != NULL)
			resolve_path(map, link);
		else if (label->hops != NIL)
			resolve_hops(map, link);
		else
			infer_link(map, link, reaching);
	}
	PG_CATCH();
	{
		link->error = EffMapErrorCatch(context);
		link->hops = NIL;
		link->subject = NULL;
	}
	PG_END_TRY();
	return link;
}

static void
resolve_path(DataMap *map, TableLink *link)
{
	EffRelation *current = link->table->rel;
	ListCell   *lc;

	foreach(lc, EffPathParse(link->label->path))
	{
		PathSegment *segment = lfirst(lc);
		JoinHop    *hop = segment->columns == NIL ?
			hop_along(map, match_segment(map, current, segment)) :
			hop_against(map, match_reverse(map, current, segment));

		if (finish_hop(map, link, hop))
			return;				/* a chain ends at the first subject table */
		current = hop->target;
	}
	require_subject(link, psprintf("path \"%s\"", link->label->path));
}

static void
resolve_hops(DataMap *map, TableLink *link)
{
	EffRelation *current = link->table->rel;
	ListCell   *lc;

	foreach(lc, link->label->hops)
	{
		HopLabel   *label = lfirst(lc);
		JoinHop    *hop = palloc0(sizeof(JoinHop));
		Oid			target = EffRelationByName(label->target_table);
		ListCell   *s;
		ListCell   *t;

		if (!OidIsValid(target) && strchr(label->target_table, '.') == NULL)
			target = EffRelationByName(psprintf("%s.%s", quote_identifier(current->schema), label->target_table));
		hop->source = current;
		hop->target = OidIsValid(target) ? EffMapLoad(map, target) : NULL;
		if (hop->target == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("hop of table %s leads to the unknown table \"%s\"",
							link->table->name, label->target_table),
					 errhint("Write target_table as quote_identifier does, with its schema unless it is public.")));
		hop->n = list_length(label->source_columns);
		hop->source_columns = palloc(sizeof(AttrNumber) * hop->n);
		hop->target_columns = palloc(sizeof(AttrNumber) * hop->n);
		forboth(s, label->source_columns, t, label->target_columns)
		{
			EffColumn  *source = EffRelationColumnByName(hop->source, lfirst(s));
			EffColumn  *column = EffRelationColumnByName(hop->target, lfirst(t));

			if (source == NULL || column == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("hop of table %s names the unknown column %s.%s", link->table->name,
								source == NULL ? hop->source->name : hop->target->name,
								quote_identifier(source == NULL ? lfirst(s) : lfirst(t))),
						 errhint("Columns: %s.", all_columns(source == NULL ? hop->source : hop->target))));
			if (!comparable(source, column))
				ereport(ERROR,
						(errcode(ERRCODE_EFF_SUBJECT),
						 errmsg("hop of table %s joins %s.%s and %s.%s, which have no common =",
								link->table->name,
								hop->source->name, quote_identifier(source->name),
								hop->target->name, quote_identifier(column->name)),
						 errhint("Join columns of the same type.")));
			hop->source_columns[foreach_current_index(s)] = source->attnum;
			hop->target_columns[foreach_current_index(s)] = column->attnum;
		}
		hop->reverse = !EffRelationHasUnique(hop->target, hop->target_columns, hop->n);
		hop->fk = key_of_hop(map, hop, false);
		if (hop->fk == NULL && (hop->fk = key_of_hop(map, hop, true)) != NULL)
			hop->reverse = true;
		if (finish_hop(map, link, hop))
			return;
		current = hop->target;
	}
	require_subject(link, "chain of hops");
}

/*
 * key_of_hop finds the foreign key that a declared hop follows or, where
 * reverse is true, goes against; its columns may stand in another order.
 */
static ForeignKey *
key_of_hop(DataMap *map, JoinHop *hop, bool reverse)
{
	EffRelation *from = reverse ? hop->target : hop->source;
	EffRelation *to = reverse ? hop->source : hop->target;
	AttrNumber *from_columns = reverse ? hop->target_columns : hop->source_columns;
	AttrNumber *to_columns = reverse ? hop->source_columns : hop->target_columns;
	ListCell   *lc;

	foreach(lc, EffMapRelation(map, from->oid)->references)
	{
		ForeignKey *fk = lfirst(lc);
		int			matched = 0;

		if (fk->target != to->oid || fk->nkeys != hop->n)
			continue;
		for (int i = 0; i < hop->n; i++)
			for (int k = 0; k < hop->n; k++)
				if (fk->columns[k] == from_columns[i] && fk->target_columns[k] == to_columns[i])
				{
					matched++;
					break;
				}
		if (matched == hop->n)
			return fk;
	}
	return NULL;
}

/*
 * infer_link takes the only chain of foreign keys that leads to a subject, and
 * never guesses between several.
 */
static void
infer_link(DataMap *map, TableLink *link, HTAB *reaching)
{
	Inference	inference = {.map = map, .reaching = reaching};
	StringInfoData hint;
	ListCell   *lc;

	link->inferred = true;
	search_chains(&inference, link->table->rel->oid);
	/* a search that was given up may have missed another */
	if (list_length(inference.found) == 1 && inference.steps <= MAX_INFERENCE_STEPS)
	{
		foreach(lc, (List *) linitial(inference.found))
			if (finish_hop(map, link, hop_along(map, lfirst(lc))))
				return;
	}

	initStringInfo(&hint);
	if (inference.found == NIL)
	{
		if (link->table->rel->relkind == RELKIND_FOREIGN_TABLE)
			appendStringInfoString(&hint, "A foreign table needs hops: ");
		else
			appendStringInfoString(&hint, "Say how it joins: ");
		appendStringInfoString(&hint, label_statement(link, "hops",
													  "[{\"source_columns\": [\"user_id\"], \"target_table\": \"users\", \"target_columns\": [\"id\"]}]"));
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("no chain of foreign keys leads from table %s to a subject table",
						link->table->name),
				 errhint("%s", hint.data)));
	}
	appendStringInfoString(&hint, "Choose one:");
	foreach(lc, inference.found)
	{
		StringInfoData json;

		initStringInfo(&json);
		escape_json(&json, path_of_chain(map, lfirst(lc)));
		appendStringInfo(&hint, "\n%s", label_statement(link, "path", json.data));
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("several chains of foreign keys lead from table %s to a subject table",
					link->table->name),
			 errhint("%s", hint.data)));
}

/* search_chains walks foreign keys depth first, without meeting a table twice. */
static void
search_chains(Inference *inference, Oid relid)
{
	MapRelation *entry = EffMapRelation(inference->map, relid);
	ListCell   *lc;

	foreach(lc, entry->references)
	{
		ForeignKey *fk = lfirst(lc);
		MapTable   *target = EffMapTable(inference->map, fk->target);
		bool		visited = fk->target == relid;
		ListCell   *lc2;

		if (list_length(inference->found) >= MAX_CANDIDATES ||
			++inference->steps > MAX_INFERENCE_STEPS)
			return;
		if (hash_search(inference->reaching, &fk->target, HASH_FIND, NULL) == NULL)
			continue;
		foreach(lc2, inference->chain)
			visited |= ((ForeignKey *) lfirst(lc2))->relid == fk->target;
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

/* find_reaching collects every relation with some chain to a subject table. */
static HTAB *
find_reaching(DataMap *map)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid), .hcxt = CurrentMemoryContext};
	HTAB	   *reaching = hash_create("effaced reaching", 64, &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	List	   *todo = NIL;

	for (int i = 0; i < map->ntables; i++)
		if (map->tables[i]->is_subject)
		{
			(void) hash_search(reaching, &map->tables[i]->rel->oid, HASH_ENTER, NULL);
			todo = lappend_oid(todo, map->tables[i]->rel->oid);
		}
	while (todo != NIL)
	{
		MapRelation *entry = EffMapRelation(map, llast_oid(todo));
		ListCell   *lc;

		todo = list_delete_last(todo);
		foreach(lc, entry->referenced_by)
		{
			Oid			relid = ((ForeignKey *) lfirst(lc))->relid;
			bool		found;

			(void) hash_search(reaching, &relid, HASH_ENTER, &found);
			if (!found)
				todo = lappend_oid(todo, relid);
		}
	}
	return reaching;
}

/* finish_hop adds a hop to the link and tells whether it met a subject table. */
static bool
finish_hop(DataMap *map, TableLink *link, JoinHop *hop)
{
	MapTable   *target = EffMapTable(map, hop->target->oid);

	link->hops = lappend(link->hops, hop);
	link->reverse |= hop->reverse;
	if (target == NULL || !target->is_subject)
		return false;
	link->subject = target;
	return true;
}

static void
require_subject(TableLink *link, const char *what)
{
	JoinHop    *last = llast(link->hops);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("%s of table %s ends at %s, which is not a subject table",
					what, link->table->name, last->target->name),
			 errhint("Go on to a subject table, or mark this one: SECURITY LABEL FOR effaced ON TABLE %s IS '{\"path\": \"\"}';",
					 last->target->sql)));
}

static JoinHop *
hop_along(DataMap *map, ForeignKey *fk)
{
	JoinHop    *hop = palloc0(sizeof(JoinHop));

	hop->source = EffMapLoad(map, fk->relid);
	hop->target = EffMapLoad(map, fk->target);
	hop->n = fk->nkeys;
	hop->source_columns = fk->columns;
	hop->target_columns = fk->target_columns;
	hop->fk = fk;
	return hop;
}

static JoinHop *
hop_against(DataMap *map, ForeignKey *fk)
{
	JoinHop    *hop = palloc0(sizeof(JoinHop));

	hop->source = EffMapLoad(map, fk->target);
	hop->target = EffMapLoad(map, fk->relid);
	hop->n = fk->nkeys;
	hop->source_columns = fk->target_columns;
	hop->target_columns = fk->columns;
	hop->fk = fk;
	hop->reverse = true;
	return hop;
}

/*
 * match_segment finds the foreign key that a segment names: its constraint,
 * its column, the column without _id, or the table it leads to.
 */
static ForeignKey *
match_segment(DataMap *map, EffRelation *from, PathSegment *segment)
{
	List	   *references = EffMapRelation(map, from->oid)->references;
	ForeignKey *fk;

	for (int rule = 0; rule < 4; rule++)
	{
		List	   *matches = NIL;
		ListCell   *lc;

		foreach(lc, references)
		{
			EffColumn  *column;
			bool		fits = false;

			fk = lfirst(lc);
			column = fk->nkeys == 1 ? EffRelationColumn(from, fk->columns[0]) : NULL;
			switch (rule)
			{
				case 0:
					fits = strcmp(fk->name, segment->name) == 0;
					break;
				case 1:
					fits = column && strcmp(column->name, segment->name) == 0;
					break;
				case 2:
					fits = column && strlen(column->name) == strlen(segment->name) + 3 &&
						strncmp(column->name, segment->name, strlen(segment->name)) == 0 &&
						strcmp(column->name + strlen(segment->name), "_id") == 0;
					break;
				case 3:
					{
						EffRelation *target = EffMapLoad(map, fk->target);

						fits = target && strcmp(target->relname, segment->name) == 0;
					}
					break;
			}
			if (fits)
				matches = lappend(matches, fk);
		}
		if ((fk = single_match(from, segment, matches)) != NULL)
			return fk;
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("segment \"%s\" of a path fits no foreign key of table %s", segment->text, from->name),
			 errhint("%s", describe_candidates(map, from))));
}

/* match_reverse finds the foreign key of child(column, ...) onto this table. */
static ForeignKey *
match_reverse(DataMap *map, EffRelation *from, PathSegment *segment)
{
	List	   *matches = NIL;
	ForeignKey *fk;
	ListCell   *lc;

	foreach(lc, EffMapRelation(map, from->oid)->referenced_by)
	{
		EffRelation *child;
		bool		all = true;
		ListCell   *lc2;

		fk = lfirst(lc);
		child = EffMapLoad(map, fk->relid);
		if (child == NULL || strcmp(child->relname, segment->name) != 0 ||
			fk->nkeys != list_length(segment->columns))
			continue;
		foreach(lc2, segment->columns)
		{
			EffColumn  *column = EffRelationColumnByName(child, lfirst(lc2));
			bool		found = false;

			for (int i = 0; column && i < fk->nkeys; i++)
				found |= fk->columns[i] == column->attnum;
			all &= found;
		}
		if (all)
			matches = lappend(matches, fk);
	}
	if ((fk = single_match(from, segment, matches)) != NULL)
		return fk;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("segment \"%s\" of a path fits no foreign key onto table %s", segment->text, from->name),
			 errhint("%s", describe_candidates(map, from))));
}

/* single_match returns the only match, NULL where there is none. */
static ForeignKey *
single_match(EffRelation *from, PathSegment *segment, List *matches)
{
	StringInfoData names;
	ListCell   *lc;

	if (matches == NIL)
		return NULL;
	if (list_length(matches) == 1)
		return linitial(matches);
	initStringInfo(&names);
	foreach(lc, matches)
		appendStringInfo(&names, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(((ForeignKey *) lfirst(lc))->name));
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("segment \"%s\" of a path fits several foreign keys of table %s",
					segment->text, from->name),
			 errhint("Name the constraint instead, one of: %s.", names.data)));
}

static char *
describe_candidates(DataMap *map, EffRelation *from)
{
	MapRelation *entry = EffMapRelation(map, from->oid);
	StringInfoData buf;
	ListCell   *lc;
	int			n = 0;

	initStringInfo(&buf);
	appendStringInfo(&buf, "Candidates from %s: ", from->name);
	foreach(lc, entry->references)
	{
		ForeignKey *fk = lfirst(lc);

		appendStringInfo(&buf, "%s%s (%s)", n++ > 0 ? ", " : "",
						 quote_identifier(fk->name), EffJoinNames(from, fk->columns, fk->nkeys));
	}
	foreach(lc, entry->referenced_by)
	{
		ForeignKey *fk = lfirst(lc);
		EffRelation *child = EffMapLoad(map, fk->relid);

		if (child != NULL)
			appendStringInfo(&buf, "%s%s(%s)", n++ > 0 ? ", " : "",
							 quote_identifier(child->relname),
							 EffJoinNames(child, fk->columns, fk->nkeys));
	}
	if (n == 0)
		appendStringInfoString(&buf, "none; write the joins as hops");
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* path_of_chain writes the segments of a chain so that they are read back as it. */
static char *
path_of_chain(DataMap *map, List *chain)
{
	StringInfoData path;
	ListCell   *lc;

	initStringInfo(&path);
	foreach(lc, chain)
	{
		ForeignKey *fk = lfirst(lc);
		EffRelation *rel = EffMapLoad(map, fk->relid);
		const char *name = fk->name;

		if (fk->nkeys == 1)
		{
			const char *column = EffRelationColumn(rel, fk->columns[0])->name;
			int			uses = 0;
			ListCell   *lc2;

			foreach(lc2, EffMapRelation(map, fk->relid)->references)
			{
				ForeignKey *other = lfirst(lc2);

				uses += strcmp(other->name, column) == 0 ? 1 : 0;
				uses += other->nkeys == 1 && other->columns[0] == fk->columns[0] ? 1 : 0;
			}
			if (uses == 1)
				name = column;
		}
		if (path.len > 0)
			appendStringInfoChar(&path, '.');
		if (strpbrk(name, ".\"(), \t\r\n") != NULL)
		{
			appendStringInfoChar(&path, '"');
			for (; *name; name++)
				appendStringInfo(&path, *name == '"' ? "\"\"" : "%c", *name);
			appendStringInfoChar(&path, '"');
		}
		else
			appendStringInfoString(&path, name);
	}
	return path.data;
}

/* label_statement writes the statement that adds one key to a table's label. */
static char *
label_statement(TableLink *link, const char *key, const char *json_value)
{
	char	   *json = psprintf("{\"%s\": %s}", key, json_value);

	if (link->table->json != NULL)
	{
		Datum		merged = DirectFunctionCall2(jsonb_concat,
												 DirectFunctionCall1(jsonb_in, CStringGetDatum(link->table->json)),
												 DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));

		json = DatumGetCString(DirectFunctionCall1(jsonb_out, merged));
	}
	return EffLabelStatement(link->table->rel->oid, 0, json);
}

static char *
all_columns(EffRelation *rel)
{
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * Max(rel->ncolumns, 1));

	for (int i = 0; i < rel->ncolumns; i++)
		attnums[i] = rel->columns[i].attnum;
	return EffJoinNames(rel, attnums, rel->ncolumns);
}

/* comparable: by the = of the target's type, which is named where it is not pg_catalog's. */
static bool
comparable(EffColumn *source, EffColumn *target)
{
	Oid			left = getBaseType(source->type);
	Oid			right = getBaseType(target->type);

	if (left == right)
		return OidIsValid(lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr);
	return EffForeignEquality(right) == NULL &&
		OidIsValid(compatible_oper_opid(list_make2(makeString("pg_catalog"), makeString("=")),
										left, right, true));
}

/*
 * EffGraphReaching collects the OIDs of every relation with some chain of
 * foreign keys to a subject table, subject tables included.
 */
HTAB *
EffGraphReaching(DataMap *map)
{
	return find_reaching(map);
}

/*
 * EffGraphInfer links a relation as if it had a label that says nothing of the
 * way; the result carries the error where there is not exactly one chain.
 */
TableLink *
EffGraphInfer(DataMap *map, EffRelation *rel, HTAB *reaching)
{
	static LinkLabel unlabelled = {.role = ROLE_OWNER, .shared = SHARED_KEEP};
	MapTable   *table = palloc0(sizeof(MapTable));

	table->rel = rel;
	table->name = rel->name;
	return resolve_link(map, table, &unlabelled, reaching);
}

/*
 * EffGraphInferredPath writes the path that says what was inferred.
 */
char *
EffGraphInferredPath(DataMap *map, TableLink *link)
{
	List	   *chain = NIL;
	ListCell   *lc;

	foreach(lc, link->hops)
		chain = lappend(chain, ((JoinHop *) lfirst(lc))->fk);
	return path_of_chain(map, chain);
}

/*
 * EffGraphUsedPath writes the part of a link's path that leads to the subject
 * table; NULL where that is all of it.
 */
char *
EffGraphUsedPath(TableLink *link)
{
	List	   *segments = EffPathParse(link->label->path);
	StringInfoData path;

	if (list_length(segments) <= list_length(link->hops))
		return NULL;
	initStringInfo(&path);
	for (int i = 0; i < list_length(link->hops); i++)
		appendStringInfo(&path, "%s%s", i > 0 ? "." : "", ((PathSegment *) list_nth(segments, i))->text);
	return path.data;
}
