/*
 * links.c
 *	  Resolves paths and hops to joins, and infers missing ones.
 *
 * Resolution works on the structs of the data map.  What cannot be resolved is
 * kept with its link and raised by whoever needs that link.
 */
#include "postgres.h"

#include "base/errors.h"
#include "label/path.h"
#include "map/map_int.h"
#include "relations/types.h"

#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static TableLink *resolve_link(DataMap *map, MapTable *table, LinkLabel *label, HTAB *reaching);
static void resolve_path(DataMap *map, TableLink *link);
static void resolve_hops(DataMap *map, TableLink *link);
static ForeignKey *key_of_hop(DataMap *map, JoinHop *hop, bool reverse);
static ForeignKey *match_segment(DataMap *map, EffRelation *from, PathSegment *segment);
static ForeignKey *match_reverse(DataMap *map, EffRelation *from, PathSegment *segment);
static ForeignKey *single_match(EffRelation *from, PathSegment *segment, List *matches);
static char *describe_candidates(DataMap *map, EffRelation *from);
static char *all_columns(EffRelation *rel);
static bool comparable(EffColumn *source, EffColumn *target);

/*
 * EffLinksResolve gives a table its links: those of its label, or one that is
 * inferred.  A link that cannot be resolved has an error instead of hops.
 * reaching is what EffGraphReaching() returns.
 */
void
EffLinksResolve(DataMap *map, MapTable *table, HTAB *reaching)
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
	EffSubtransaction sub;

	link->table = table;
	link->name = label->name;
	link->label = label;
	EffSubBegin(&sub);
	PG_TRY();
	{
		if (label->path != NULL)
			resolve_path(map, link);
		else if (label->hops != NIL)
			resolve_hops(map, link);
		else
			EffInferLink(map, link, reaching);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		link->error = EffMapErrorFrom(EffSubCatch(&sub));
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

	foreach_ptr(PathSegment, segment, EffPathParse(link->label->path))
	{
		JoinHop    *hop = segment->columns == NIL ?
			EffHopAlong(map, match_segment(map, current, segment)) :
			EffHopAgainst(map, match_reverse(map, current, segment));

		if (EffHopFinish(map, link, hop))
			return;				/* a chain ends at the first subject table */
		current = hop->target;
	}
	EffHopRequireSubject(link, psprintf("path \"%s\"", link->label->path));
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
			target = EffRelationByName(psprintf("%s.%s", quote_identifier(current->schema),
												label->target_table));
		hop->source = current;
		hop->target = OidIsValid(target) ? EffMapFind(map, target) : NULL;
		if (hop->target == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("hop of table \"%s\" leads to the unknown table \"%s\"",
							link->table->rel->relname, label->target_table),
					 errhint("Write target_table as quote_identifier does, "
							 "with its schema unless it is public.")));
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
						 errmsg("hop of table \"%s\" names the unknown column \"%s\" "
								"of table \"%s\"",
								link->table->rel->relname,
								(char *) (source == NULL ? lfirst(s) : lfirst(t)),
								source == NULL ? hop->source->relname : hop->target->relname),
						 errhint("Columns: %s.",
								 all_columns(source == NULL ? hop->source : hop->target))));
			if (!comparable(source, column))
				ereport(ERROR,
						(errcode(ERRCODE_EFF_SUBJECT),
						 errmsg("hop of table \"%s\" joins %s.%s and %s.%s, which have no common =",
								link->table->rel->relname,
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
		if (EffHopFinish(map, link, hop))
			return;
		current = hop->target;
	}
	EffHopRequireSubject(link, "chain of hops");
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

	foreach_ptr(ForeignKey, fk, EffMapRelation(map, from->oid)->references)
	{
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
			column = fk->nkeys == 1 ? EffRelationFindColumn(from, fk->columns[0]) : NULL;
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
						EffRelation *target = EffMapFind(map, fk->target);

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
			 errmsg("segment \"%s\" of a path fits no foreign key of table \"%s\"",
					segment->text, from->relname),
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
		child = EffMapFind(map, fk->relid);
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
			 errmsg("segment \"%s\" of a path fits no foreign key onto table \"%s\"",
					segment->text, from->relname),
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
			 errmsg("segment \"%s\" of a path fits several foreign keys of table \"%s\"",
					segment->text, from->relname),
			 errhint("Name the constraint instead, one of: %s.", names.data)));
}

static char *
describe_candidates(DataMap *map, EffRelation *from)
{
	MapRelation *entry = EffMapRelation(map, from->oid);
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	appendStringInfo(&buf, "Candidates from %s: ", from->name);
	foreach_ptr(ForeignKey, fk, entry->references)
	{
		appendStringInfo(&buf, "%s%s (%s)", n++ > 0 ? ", " : "",
						 quote_identifier(fk->name), EffJoinNames(from, fk->columns, fk->nkeys));
	}
	foreach_ptr(ForeignKey, fk, entry->referenced_by)
	{
		EffRelation *child = EffMapFind(map, fk->relid);

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

static char *
all_columns(EffRelation *rel)
{
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * Max(rel->ncolumns, 1));

	for (int i = 0; i < rel->ncolumns; i++)
		attnums[i] = rel->columns[i].attnum;
	return EffJoinNames(rel, attnums, rel->ncolumns);
}

/*
 * comparable returns whether two columns can be joined by =: by the = of their one
 * type, or by one of pg_catalog between two types.
 */
static bool
comparable(EffColumn *source, EffColumn *target)
{
	Oid			left = EffBaseType(source->type);
	Oid			right = EffBaseType(target->type);

	if (left == right)
		return OidIsValid(lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr);
	return EffEqualitySchema(right) == NULL &&
		OidIsValid(compatible_oper_opid(list_make2(makeString("pg_catalog"), makeString("=")),
										left, right, true));
}

/*
 * EffGraphInfer returns the link that a relation would have if it had a label that
 * says nothing of the way; where there is not exactly one chain of foreign keys,
 * the link has an error.  reaching is what EffGraphReaching() returns.
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
 * EffGraphUsedPath returns the part of a link's path that leads to the subject
 * table, NULL where that is all of it: a way ends at the first subject table.
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
	{
		PathSegment *segment = list_nth(segments, i);

		appendStringInfo(&path, "%s%s", i > 0 ? "." : "", segment->text);
	}
	return path.data;
}
