/*
 * keys.c
 *	  Checks of keys and indexes: what makes an erasure slow, and what stops it.
 */
#include "postgres.h"

#include "base/citus.h"
#include "lint/lint_int.h"

#include "catalog/pg_partitioned_table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

/* A plan to be made */
typedef struct PlanAttempt
{
	DataMap    *map;
	MapTable   *subject;
	ErasurePlan *plan;
} PlanAttempt;

static void lint_lookup(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n);
static List *without_index(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n, bool children, bool range);
static bool has_index(EffRelation *rel, const AttrNumber *columns, int n, bool range);
static char *primary_key_statement(EffRelation *rel, EffRelation *parent);
static char *partition_columns(EffRelation *rel);
static char *size_of(EffRelation *rel);
static List *references_to(LintRun *run, MapTable *table);
static bool belongs_to(MapTable *table, MapTable *subject);
static char *distribute_statement(EffRelation *rel, EffRelation *target, ForeignKey *fk);
static void lint_cascades(LintRun *run, MapTable *subject, MapTable *target);
static char *own_statement(LintRun *run, EffRelation *rel);
static char *without_cascade(EffRelation *rel, ForeignKey *fk);
static void make_plan(void *arg);
static void lint_steps(LintRun *run, ErasurePlan *plan);
static bool nulls_required(EffRelation *rel, ForeignKey *fk);
static char *nullable_statement(EffRelation *rel, ForeignKey *fk);

/*
 * EffLintPaths finds the lookups on the way to a subject's rows that would read
 * a table whole.
 */
void
EffLintPaths(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (table->error == NULL && table->is_subject)
			lint_lookup(run, table->rel, table->key, table->nkey);
		foreach_ptr(TableLink, link, table->links)
		{
			foreach_ptr(JoinHop, hop, link->hops)
			{
				lint_lookup(run, hop->source, hop->source_columns, hop->n);
				/* whether anything still references the row is asked, too */
				if (hop->reverse)
					lint_lookup(run, hop->target, hop->target_columns, hop->n);
			}
		}
	}
}

/*
 * EffLintReferences finds foreign keys that read the referencing table whole
 * for every row that an erasure deletes.
 */
void
EffLintReferences(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (!EffLintDeletes(table))
			continue;
		foreach_ptr(ForeignKey, fk, references_to(run, table))
		{
			EffRelation *rel = EffMapFind(run->map, fk->relid);

			/* a foreign key is not inherited, but partitions have it */
			if (rel != NULL && without_index(run, rel, fk->columns, fk->nkeys, false, false) != NIL)
				(void) EffLintAdd(run, LINT_UNINDEXED_REFERENCE, rel, fk->columns[0],
								  psprintf("each row deleted from %s reads all of %s (%s) for constraint %s, whose columns have no index",
										   table->name, rel->name, size_of(rel), quote_identifier(fk->name)),
								  psprintf("CREATE INDEX ON %s (%s);", rel->sql,
										   EffJoinNames(rel, fk->columns, fk->nkeys)));
		}
	}
}

/*
 * EffLintUnenforced finds foreign keys whose other end is in shards: nothing
 * looks at them when a row there goes, nor sets them to NULL.
 */
void
EffLintUnenforced(LintRun *run)
{
	if (!EffCitusPresent())
		return;
	foreach_ptr(ForeignKey, fk, run->map->foreign_keys)
	{
		MapTable   *target = EffMapTableOver(run->map, fk->target);
		CitusKind	kind;
		EffRelation *rel;

		if (target == NULL || EffCitusKindOf(fk->target) != CITUS_DISTRIBUTED)
			continue;
		kind = EffCitusKindOf(fk->relid);
		rel = EffMapFind(run->map, fk->relid);
		if (rel == NULL || kind == CITUS_DISTRIBUTED || kind == CITUS_REFERENCE)
			continue;
		(void) EffLintAdd(run, LINT_UNENFORCED_REFERENCE, rel, fk->columns[0],
						  psprintf("%s is on this server and constraint %s references the distributed table %s: Citus does not enforce it, and what it says ON DELETE is not done",
								   rel->name, quote_identifier(fk->name), target->name),
						  distribute_statement(rel, EffMapLoad(run->map, fk->target), fk));
	}
}

/*
 * EffLintCascades finds ON DELETE CASCADE from rows that go into rows that are
 * to stay, or that no label knows of.
 */
void
EffLintCascades(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
		for (int k = 0; run->map->tables[i]->is_subject && k < run->map->ntables; k++)
			if (EffLintDeletes(run->map->tables[k]) &&
				belongs_to(run->map->tables[k], run->map->tables[i]))
				lint_cascades(run, run->map->tables[i], run->map->tables[k]);
}

/*
 * EffLintPrimaryKeys finds tables whose rows nothing tells apart.
 */
void
EffLintPrimaryKeys(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		/* partitions have the key of their table, other children their own */
		foreach_oid(oid, run->map->tables[i]->rel->inheritors)
		{
			EffRelation *rel = EffMapFind(run->map, oid);
			char	   *hint;

			if (rel == NULL || rel->relkind == RELKIND_FOREIGN_TABLE || EffRelationPrimaryKey(rel) != NULL ||
				(rel->is_partition && rel != run->map->tables[i]->rel))
				continue;
			hint = primary_key_statement(rel, run->map->tables[i]->rel);
			(void) EffLintAdd(run, LINT_NO_PRIMARY_KEY, rel, 0,
							  psprintf("table %s has no primary key: surrogates are the same in all its rows, and an export cannot tell them apart",
									   rel->name),
							  hint ? hint :
							  psprintf("Add a primary key: ALTER TABLE %s ADD PRIMARY KEY (...);", rel->sql));
		}
	}
}

/*
 * EffLintAnchors finds terms whose end is looked for in the whole table.
 */
void
EffLintAnchors(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_ptr(MapColumn, column, table->error ? NIL : table->columns)
		{
			RetentionPolicy *retention = column->label->retention;
			EffColumn  *anchor;

			if (retention == NULL || retention->duration == NULL || retention->anchor == NULL ||
				(anchor = EffRelationColumnByName(table->rel, retention->anchor)) == NULL)
				continue;
			foreach_ptr(EffRelation, part, without_index(run, table->rel, &anchor->attnum, 1, true, true))
			{
				(void) EffLintAdd(run, LINT_UNINDEXED_ANCHOR, part, EffRelationColumnNamed(part, anchor->name)->attnum,
								  psprintf("every search for expired rows reads all of %s (%s), since the anchor %s has no index",
										   part->name, size_of(part), quote_identifier(anchor->name)),
								  psprintf("CREATE INDEX ON %s (%s);", part->sql, quote_identifier(anchor->name)));
			}
		}
	}
}

/*
 * EffLintPlans makes the plan of every subject: what forbids it is told, unless
 * another finding has, and so is what may stop it when it runs.
 */
void
EffLintPlans(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		PlanAttempt attempt = {.map = run->map, .subject = run->map->tables[i]};
		ErrorData  *error;
		bool		told = false;
		ListCell   *lc;

		if (!attempt.subject->is_subject || attempt.subject->error != NULL)
			continue;
		error = EffLintTry(make_plan, &attempt);
		if (error == NULL)
		{
			lint_steps(run, attempt.plan);
			continue;
		}
		foreach(lc, run->told)
			told |= strcmp(lfirst(lc), error->message) == 0 ||
				(error->detail != NULL && strcmp(lfirst(lc), error->detail) == 0);
		if (!told)
			(void) EffLintAdd(run, LINT_PLAN_CONFLICT, attempt.subject->rel, 0,
							  psprintf("an erasure from %s fails with SQLSTATE %s: %s", attempt.subject->name,
									   unpack_sql_state(error->sqlerrcode), error->message),
							  error->hint);
	}
}

/* lint_lookup finds a condition column = value that no index serves. */
static void
lint_lookup(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n)
{
	foreach_ptr(EffRelation, part, without_index(run, rel, columns, n, true, false))
	{
		(void) EffLintAdd(run, LINT_UNINDEXED_PATH, part,
						  EffRelationColumnNamed(part, EffRelationColumn(rel, columns[0])->name)->attnum,
						  psprintf("every request reads all of %s (%s) to find a subject's rows by %s, which has no index",
								   part->name, size_of(part), EffJoinNames(rel, columns, n)),
						  psprintf("CREATE INDEX ON %s (%s);", part->sql, EffJoinNames(rel, columns, n)));
	}
}

/*
 * without_index lists the relation, and those of its children, in which rows
 * cannot be looked up by these columns, or by a range of the first; a
 * partitioned table stands for its partitions.
 */
static List *
without_index(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n, bool children, bool range)
{
	List	   *found = NIL;

	if (rel->relkind == RELKIND_PARTITIONED_TABLE && has_index(rel, columns, n, range))
		return NIL;
	children |= rel->relkind == RELKIND_PARTITIONED_TABLE;
	foreach_oid(oid, children ? rel->inheritors : list_make1_oid(rel->oid))
	{
		EffRelation *part = EffMapFind(run->map, oid);
		AttrNumber *own = palloc(sizeof(AttrNumber) * n);

		if (part == NULL || part->relkind != RELKIND_RELATION)
			continue;
		for (int i = 0; i < n; i++)
			own[i] = EffRelationColumnNamed(part, EffRelationColumn(rel, columns[i])->name)->attnum;
		if (has_index(part, own, n, range))
			continue;
		if (rel->relkind == RELKIND_PARTITIONED_TABLE)
			return list_make1(rel);
		found = lappend(found, part);
	}
	return found;
}

static bool
has_index(EffRelation *rel, const AttrNumber *columns, int n, bool range)
{
	return range ? EffRelationHasRangeIndexOn(rel, columns[0]) : EffRelationHasIndexOn(rel, columns, n);
}

/*
 * primary_key_statement takes the columns of the parent's key, or ones that are
 * unique already, or a new one; NULL where none can be.
 */
static char *
primary_key_statement(EffRelation *rel, EffRelation *parent)
{
	EffIndex   *primary = EffRelationPrimaryKey(parent);
	char	   *name = "row_id";
	char	   *columns;

	if (primary != NULL)
		return psprintf("ALTER TABLE %s ADD PRIMARY KEY (%s);", rel->sql,
						EffJoinNames(parent, primary->keys, primary->nkeys));
	foreach_ptr(EffIndex, index, rel->indexes)
	{
		bool		fits = index->unique && !index->partial && index->immediate && index->included == NIL;

		for (int i = 0; fits && i < index->nkeys; i++)
			fits = index->keys[i] != 0 && EffRelationColumn(rel, index->keys[i])->not_null;
		if (fits)
			return psprintf("ALTER TABLE %s ADD PRIMARY KEY (%s);", rel->sql,
							EffJoinNames(rel, index->keys, index->nkeys));
	}
	while (EffRelationColumnByName(parent, name) != NULL || EffRelationColumnByName(rel, name) != NULL)
		name = psprintf("%s_", name);
	if (rel->relkind != RELKIND_PARTITIONED_TABLE)
		return rel != parent || list_length(rel->inheritors) > 1 ? NULL :
			psprintf("ALTER TABLE %s ADD COLUMN %s bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;", rel->sql, name);
	columns = partition_columns(rel);
	return columns == NULL ? NULL :
		psprintf("ALTER TABLE %s ADD COLUMN %s uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(), ADD PRIMARY KEY (%s, %s);",
				 rel->sql, name, name, columns);
}

/* partition_columns lists the partition key, which a primary key has to hold; NULL for an expression. */
static char *
partition_columns(EffRelation *rel)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(rel->oid));
	Form_pg_partitioned_table form;
	char	   *columns = NULL;
	bool		plain = true;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	for (int i = 0; i < form->partnatts; i++)
		plain &= form->partattrs.values[i] != 0;
	if (plain)
		columns = EffJoinNames(rel, form->partattrs.values, form->partnatts);
	ReleaseSysCache(tuple);
	return columns;
}

/* size_of tells how much there is to read, partitions included. */
static char *
size_of(EffRelation *rel)
{
	int64		bytes = 0;

	foreach_oid(oid, rel->relkind == RELKIND_PARTITIONED_TABLE ? rel->inheritors : list_make1_oid(rel->oid))
	{
		LOCAL_FCINFO(fcinfo, 2);
		FmgrInfo	flinfo;
		Datum		size;

		/* called by hand, since it is NULL where the relation has just gone */
		fmgr_info(F_PG_RELATION_SIZE_REGCLASS_TEXT, &flinfo);
		InitFunctionCallInfoData(*fcinfo, &flinfo, 2, InvalidOid, NULL, NULL);
		fcinfo->args[0].value = ObjectIdGetDatum(oid);
		fcinfo->args[0].isnull = false;
		fcinfo->args[1].value = CStringGetTextDatum("main");
		fcinfo->args[1].isnull = false;
		size = FunctionCallInvoke(fcinfo);
		if (!fcinfo->isnull)
			bytes += DatumGetInt64(size);
	}
	return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes)));
}

/* references_to lists the foreign keys onto a table and its children. */
static List *
references_to(LintRun *run, MapTable *table)
{
	List	   *result = NIL;

	foreach_oid(oid, table->rel->inheritors)
		result = list_concat_unique_ptr(result, EffMapRelation(run->map, oid)->referenced_by);
	return result;
}

static bool
belongs_to(MapTable *table, MapTable *subject)
{
	return table == subject || EffGraphLinks(table, subject) != NIL;
}

/* distribute_statement puts the rows beside those that they reference. */
static char *
distribute_statement(EffRelation *rel, EffRelation *target, ForeignKey *fk)
{
	return psprintf("SELECT create_distributed_table(%s, %s, colocate_with => %s);",
					quote_literal_cstr(rel->sql),
					quote_literal_cstr(EffRelationColumn(rel, fk->columns[0])->name),
					quote_literal_cstr(target->sql));
}

/* lint_cascades looks at the keys onto one table that a subject's erasure deletes from. */
static void
lint_cascades(LintRun *run, MapTable *subject, MapTable *target)
{
	foreach_ptr(ForeignKey, fk, references_to(run, target))
	{
		MapTable   *source = EffMapTableOver(run->map, fk->relid);
		EffRelation *rel = EffMapFind(run->map, fk->relid);
		bool		known = source != NULL && belongs_to(source, subject);
		char	   *hint = NULL;

		if (rel == NULL || fk->on_delete != FKCONSTR_ACTION_CASCADE || (known && EffLintDeletes(source)))
			continue;
		if (source == NULL)
			hint = own_statement(run, rel);
		if (EffLintAdd(run, LINT_CASCADE_INTO_KEPT, rel, fk->columns[0],
					   psprintf("deleting from %s would cascade by constraint %s into %s, which %s",
								target->name, quote_identifier(fk->name), rel->name,
								known ? "an erasure keeps" : "no label makes the subject's"),
					   hint ? hint : without_cascade(rel, fk)))
			run->told = lappend(run->told, psprintf("Constraint %s is ON DELETE CASCADE.",
													quote_identifier(fk->name)));
	}
}

/* own_statement labels a table as what a cascade takes it for; NULL where the way is unclear. */
static char *
own_statement(LintRun *run, EffRelation *rel)
{
	TableLink  *link = EffGraphInfer(run->map, rel, run->reaching);

	if (link->error != NULL)
		return NULL;
	return psprintf("SECURITY LABEL FOR effaced ON TABLE %s IS %s;", rel->sql,
					quote_literal_cstr(psprintf("{\"path\": %s, \"owned\": true}",
												EffLintJsonString(EffGraphInferredPath(run->map, link)))));
}

/* without_cascade writes a foreign key anew that refuses instead; NULL where it is gone. */
static char *
without_cascade(EffRelation *rel, ForeignKey *fk)
{
	static const char action[] = " ON DELETE CASCADE";
	char	   *definition = EffLintDefinition(F_PG_GET_CONSTRAINTDEF_OID, fk->oid);
	char	   *at = NULL;

	if (definition == NULL)
		return NULL;

	/* the last one is no column's name */
	for (char *p = strstr(definition, action); p != NULL; p = strstr(p + 1, action))
		at = p;
	if (at != NULL)
		memmove(at, at + strlen(action), strlen(at + strlen(action)) + 1);
	return psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s;", rel->sql,
					quote_identifier(fk->name), quote_identifier(fk->name), definition);
}

static void
make_plan(void *arg)
{
	PlanAttempt *attempt = arg;

	attempt->plan = EffPlanGet(attempt->map, attempt->subject, NIL);
}

/*
 * lint_steps finds references of mapped tables that stop an erasure as soon as
 * somebody else's row holds one.
 */
static void
lint_steps(LintRun *run, ErasurePlan *plan)
{
	foreach_ptr(ErasureStep, step, plan->steps)
	{
		ForeignKey *fk = step->fk;
		char	   *why;
		char	   *hint;

		if (fk == NULL || (step->strategy != STEP_BLOCKER && step->strategy != STEP_SIDE_EFFECT) ||
			EffMapTableOver(run->map, fk->relid) == NULL)
			continue;
		if (fk->on_delete == FKCONSTR_ACTION_CASCADE)
		{
			why = "it would take that row along";
			hint = without_cascade(step->rel, fk);
		}
		else if (nulls_required(step->rel, fk))
		{
			why = "it cannot be set to NULL";
			hint = nullable_statement(step->rel, fk);
		}
		else if (step->strategy == STEP_BLOCKER)
		{
			why = "its value must be kept";
			hint = pstrdup("Label the column \"erasure\": \"delete\", or let the rows that it references survive.");
		}
		else
			continue;
		(void) EffLintAdd(run, LINT_BLOCKING_REFERENCE, step->rel, fk->columns[0],
						  psprintf("a row of %s that references another subject's row by constraint %s stops its erasure: %s",
								   step->rel->name, quote_identifier(fk->name), why),
						  hint);
	}
}

/* nulls_required tells whether a reference can only end with its row. */
static bool
nulls_required(EffRelation *rel, ForeignKey *fk)
{
	bool		any = false;
	bool		all = true;

	if (fk->on_delete == FKCONSTR_ACTION_SETDEFAULT)
		return false;
	if (fk->on_delete == FKCONSTR_ACTION_SETNULL)
		return !EffForeignKeyLetsGo(fk, rel);
	for (int i = 0; i < fk->nkeys; i++)
	{
		any |= !EffRelationColumn(rel, fk->columns[i])->not_null;
		all &= !EffRelationColumn(rel, fk->columns[i])->not_null;
	}
	return fk->match_full ? !all : !any;
}

/* nullable_statement lets the reference be set to NULL; columns of the primary key cannot. */
static char *
nullable_statement(EffRelation *rel, ForeignKey *fk)
{
	EffIndex   *primary = EffRelationPrimaryKey(rel);
	bool		needs_all = fk->match_full || fk->on_delete == FKCONSTR_ACTION_SETNULL;
	StringInfoData buf;
	int			n = 0;
	bool		in_key = false;

	initStringInfo(&buf);
	for (int i = 0; i < fk->nkeys; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, fk->columns[i]);
		bool		primary_key = false;

		for (int k = 0; primary != NULL && k < primary->nkeys; k++)
			primary_key |= primary->keys[k] == column->attnum;
		in_key |= primary_key;
		if (primary_key || !column->not_null || (n > 0 && !needs_all))
			continue;
		appendStringInfo(&buf, "%s ALTER COLUMN %s DROP NOT NULL", n++ > 0 ? "," : "",
						 quote_identifier(column->name));
	}
	if (n == 0 || (needs_all && in_key))
		return psprintf("The column is part of the primary key of %s: let the rows that it references survive, or give %s another key.",
						rel->name, rel->name);
	return psprintf("ALTER TABLE %s%s;", rel->sql, buf.data);
}
