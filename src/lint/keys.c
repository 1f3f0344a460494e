/*
 * keys.c
 *	  Checks of keys and indexes: what makes an erasure slow, what stops it, and
 *	  what nobody enforces.
 */
#include "postgres.h"

#include "base/citus.h"
#include "lint/lint_int.h"

#include "catalog/pg_partitioned_table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

/* What make_plan is to do, and what it made */
typedef struct PlanAttempt
{
	DataMap    *map;
	MapTable   *subject;
	ErasurePlan *plan;
} PlanAttempt;

static void lint_lookup(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n);
static List *without_index(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n,
						   bool children, bool range);
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
 * EffLintPaths finds hops and subject keys by which no index looks up rows, so
 * that each request reads the table whole.
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
				/* of a reverse hop it is also asked whether a row is still referenced */
				if (hop->reverse)
					lint_lookup(run, hop->target, hop->target_columns, hop->n);
			}
		}
	}
}

/*
 * EffLintReferences finds foreign keys onto rows that erasures delete, whose own
 * columns have no index: the server reads the referencing table whole for each
 * deleted row.
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

			/* partitions have the foreign key of their table; other children do not inherit it */
			if (rel != NULL && without_index(run, rel, fk->columns, fk->nkeys, false, false) != NIL)
				(void) EffLintAdd(run, LINT_UNINDEXED_REFERENCE, rel, fk->columns[0],
								  psprintf("each row deleted from %s reads all of %s (%s) for"
										   " constraint %s, whose columns have no index",
										   table->name, rel->name, size_of(rel),
										   quote_identifier(fk->name)),
								  psprintf("CREATE INDEX ON %s (%s);", rel->sql,
										   EffJoinNames(rel, fk->columns, fk->nkeys)));
		}
	}
}

/*
 * EffLintUnenforced finds foreign keys of local tables that reference a table
 * which Citus distributes.  When a row there is deleted, neither is the reference
 * checked nor its ON DELETE action done.
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
						  psprintf("%s is on this server and constraint %s references the"
								   " distributed table %s: Citus does not enforce it, and what it"
								   " says ON DELETE is not done",
								   rel->name, quote_identifier(fk->name), target->name),
						  distribute_statement(rel, EffMapLoad(run->map, fk->target), fk));
	}
}

/*
 * EffLintCascades finds foreign keys ON DELETE CASCADE from rows that erasures
 * delete to rows that they keep, or that no label makes the subject's.
 */
void
EffLintCascades(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *subject = run->map->tables[i];

		if (!subject->is_subject)
			continue;
		for (int k = 0; k < run->map->ntables; k++)
		{
			MapTable   *target = run->map->tables[k];

			if (EffLintDeletes(target) && belongs_to(target, subject))
				lint_cascades(run, subject, target);
		}
	}
}

/*
 * EffLintPrimaryKeys finds tables of the map, and their children, that have no
 * primary key to tell one row from another.
 */
void
EffLintPrimaryKeys(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		/* partitions have the key of their table; other children have their own or none */
		foreach_oid(oid, run->map->tables[i]->rel->inheritors)
		{
			EffRelation *rel = EffMapFind(run->map, oid);
			char	   *hint;

			if (rel == NULL || rel->relkind == RELKIND_FOREIGN_TABLE ||
				EffRelationPrimaryKey(rel) != NULL ||
				(rel->is_partition && rel != run->map->tables[i]->rel))
				continue;
			hint = primary_key_statement(rel, run->map->tables[i]->rel);
			(void) EffLintAdd(run, LINT_NO_PRIMARY_KEY, rel, 0,
							  psprintf("table %s has no primary key: surrogates are the same in"
									   " all its rows, and an export cannot tell them apart",
									   rel->name),
							  hint ? hint :
							  psprintf("Add a primary key: ALTER TABLE %s ADD PRIMARY KEY (...);",
									   rel->sql));
		}
	}
}

/*
 * EffLintAnchors finds anchors of terms that have no index, so that each search for
 * expired rows reads the table whole.
 */
void
EffLintAnchors(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (table->error != NULL)
			continue;
		foreach_ptr(MapColumn, column, table->columns)
		{
			RetentionPolicy *retention = column->label->retention;
			EffColumn  *anchor;

			if (retention == NULL || retention->duration == NULL || retention->anchor == NULL ||
				(anchor = EffRelationColumnByName(table->rel, retention->anchor)) == NULL)
				continue;
			foreach_ptr(EffRelation, part,
						without_index(run, table->rel, &anchor->attnum, 1, true, true))
			{
				(void) EffLintAdd(run, LINT_UNINDEXED_ANCHOR, part,
								  EffRelationColumnNamed(part, anchor->name)->attnum,
								  psprintf("every search for expired rows reads all of %s (%s),"
										   " since the anchor %s has no index",
										   part->name, size_of(part),
										   quote_identifier(anchor->name)),
								  psprintf("CREATE INDEX ON %s (%s);", part->sql,
										   quote_identifier(anchor->name)));
			}
		}
	}
}

/*
 * EffLintPlans makes the plan of an erasure for each subject table.  An error is
 * a finding unless another finding has told of it.  Steps of the plan that may
 * fail when it runs are findings, too.
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
			EffLintPlanWays(run, attempt.plan);
			continue;
		}
		foreach(lc, run->told)
			told |= strcmp(lfirst(lc), error->message) == 0 ||
				(error->detail != NULL && strcmp(lfirst(lc), error->detail) == 0);
		if (!told)
			(void) EffLintAdd(run, LINT_PLAN_CONFLICT, attempt.subject->rel, 0,
							  psprintf("an erasure from %s fails with SQLSTATE %s: %s",
									   attempt.subject->name,
									   unpack_sql_state(error->sqlerrcode), error->message),
							  error->hint);
	}
}

/* lint_lookup finds relations in which no index looks up rows by these columns. */
static void
lint_lookup(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n)
{
	foreach_ptr(EffRelation, part, without_index(run, rel, columns, n, true, false))
	{
		(void) EffLintAdd(run, LINT_UNINDEXED_PATH, part,
						  EffRelationColumnNamed(part,
												 EffRelationColumn(rel, columns[0])->name)->attnum,
						  psprintf("every request reads all of %s (%s) to find a subject's rows by"
								   " %s, which has no index",
								   part->name, size_of(part), EffJoinNames(rel, columns, n)),
						  psprintf("CREATE INDEX ON %s (%s);", part->sql,
								   EffJoinNames(rel, columns, n)));
	}
}

/*
 * without_index returns which of a relation and its children have no index that
 * looks up rows by these columns, or by a range of the first.  A partitioned table
 * is returned for its partitions, since an index on it is made on all of them.
 */
static List *
without_index(LintRun *run, EffRelation *rel, const AttrNumber *columns, int n, bool children,
			  bool range)
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

/* has_index returns whether an index looks up rows by the columns, or a range of the first. */
static bool
has_index(EffRelation *rel, const AttrNumber *columns, int n, bool range)
{
	return range ? EffRelationHasRangeIndexOn(rel, columns[0]) :
		EffRelationHasIndexOn(rel, columns, n);
}

/*
 * primary_key_statement returns the statement that adds a primary key: the columns
 * of the parent's, or ones that are unique already, or a new column.  It returns
 * NULL if a new column would not be unique, or not be in the parent.
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
		bool		fits = index->unique && !index->partial && index->immediate &&
			index->included == NIL;

		for (int i = 0; i < index->nkeys; i++)
			fits &= index->keys[i] != 0 && EffRelationColumn(rel, index->keys[i])->not_null;
		if (fits)
			return psprintf("ALTER TABLE %s ADD PRIMARY KEY (%s);", rel->sql,
							EffJoinNames(rel, index->keys, index->nkeys));
	}
	while (EffRelationColumnByName(parent, name) != NULL ||
		   EffRelationColumnByName(rel, name) != NULL)
		name = psprintf("%s_", name);
	if (rel->relkind != RELKIND_PARTITIONED_TABLE)
		return rel != parent || list_length(rel->inheritors) > 1 ? NULL :
			psprintf("ALTER TABLE %s ADD COLUMN %s bigint GENERATED ALWAYS AS IDENTITY"
					 " PRIMARY KEY;", rel->sql, name);
	columns = partition_columns(rel);
	return columns == NULL ? NULL :
		psprintf("ALTER TABLE %s ADD COLUMN %s uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),"
				 " ADD PRIMARY KEY (%s, %s);",
				 rel->sql, name, name, columns);
}

/*
 * partition_columns returns the columns of the partition key, all of which a
 * primary key has to hold, or NULL if the partition key has an expression.
 */
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

/* size_of returns the size of a relation in words, partitions included. */
static char *
size_of(EffRelation *rel)
{
	int64		bytes = 0;

	foreach_oid(oid, rel->relkind == RELKIND_PARTITIONED_TABLE ? rel->inheritors :
				list_make1_oid(rel->oid))
	{
		LOCAL_FCINFO(fcinfo, 2);
		FmgrInfo	flinfo;
		Datum		size;

		/* through fcinfo, since the size is NULL if the relation has just been dropped */
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

/* references_to returns the foreign keys onto a table and its children. */
static List *
references_to(LintRun *run, MapTable *table)
{
	List	   *result = NIL;

	foreach_oid(oid, table->rel->inheritors)
		result = list_concat_unique_ptr(result, EffMapRelation(run->map, oid)->referenced_by);
	return result;
}

/* belongs_to returns whether rows of the table are a subject's, or the subject's own. */
static bool
belongs_to(MapTable *table, MapTable *subject)
{
	return table == subject || EffGraphLinks(table, subject) != NIL;
}

/* distribute_statement returns the call that distributes a table like the one it references. */
static char *
distribute_statement(EffRelation *rel, EffRelation *target, ForeignKey *fk)
{
	return psprintf("SELECT create_distributed_table(%s, %s, colocate_with => %s);",
					quote_literal_cstr(rel->sql),
					quote_literal_cstr(EffRelationColumn(rel, fk->columns[0])->name),
					quote_literal_cstr(target->sql));
}

/* lint_cascades checks the foreign keys onto one table that a subject's erasure deletes from. */
static void
lint_cascades(LintRun *run, MapTable *subject, MapTable *target)
{
	foreach_ptr(ForeignKey, fk, references_to(run, target))
	{
		MapTable   *source = EffMapTableOver(run->map, fk->relid);
		EffRelation *rel = EffMapFind(run->map, fk->relid);
		bool		known = source != NULL && belongs_to(source, subject);
		char	   *hint = NULL;

		if (rel == NULL || fk->on_delete != FKCONSTR_ACTION_CASCADE ||
			(known && EffLintDeletes(source)))
			continue;
		if (source == NULL)
			hint = own_statement(run, rel);
		if (EffLintAdd(run, LINT_CASCADE_INTO_KEPT, rel, fk->columns[0],
					   psprintf("deleting from %s would cascade by constraint %s into %s, which %s",
								target->name, quote_identifier(fk->name), rel->name,
								known ? "an erasure keeps" : "no label makes the subject's"),
					   hint ? hint : without_cascade(rel, fk)))
			run->told = lappend(run->told, psprintf("Constraint \"%s\" is ON DELETE CASCADE.",
													fk->name));
	}
}

/*
 * own_statement returns the statement that labels a table as the subject's, which a
 * cascade takes it for.  It returns NULL if there is not one way to the subject.
 */
static char *
own_statement(LintRun *run, EffRelation *rel)
{
	TableLink  *link = EffGraphInfer(run->map, rel, run->reaching);

	if (link->error != NULL)
		return NULL;
	return psprintf("SECURITY LABEL FOR effaced ON TABLE %s IS %s;", rel->sql,
					quote_literal_cstr(psprintf("{\"path\": %s, \"owned\": true}",
												EffLintJsonString(EffGraphInferredPath(run->map,
																					   link)))));
}

/*
 * without_cascade returns the statement that replaces a foreign key by one without
 * ON DELETE CASCADE, or NULL if the foreign key has just been dropped.
 */
static char *
without_cascade(EffRelation *rel, ForeignKey *fk)
{
	static const char action[] = " ON DELETE CASCADE";
	char	   *definition = EffLintDefinition(F_PG_GET_CONSTRAINTDEF_OID, fk->oid);
	char	   *at = NULL;

	if (definition == NULL)
		return NULL;

	/* an earlier one may be part of a quoted name */
	for (char *p = strstr(definition, action); p != NULL; p = strstr(p + 1, action))
		at = p;
	if (at != NULL)
		memmove(at, at + strlen(action), strlen(at + strlen(action)) + 1);
	return psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s;", rel->sql,
					quote_identifier(fk->name), quote_identifier(fk->name), definition);
}

/* make_plan is run by EffLintTry(). */
static void
make_plan(void *arg)
{
	PlanAttempt *attempt = arg;

	attempt->plan = EffPlanGet(attempt->map, attempt->subject, NIL);
}

/*
 * lint_steps finds steps of a plan that fail if a row of another subject references
 * a row that is deleted.
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
			hint = pstrdup("Label the column \"erasure\": \"delete\", or let the rows that it"
						   " references survive.");
		}
		else
			continue;
		(void) EffLintAdd(run, LINT_BLOCKING_REFERENCE, step->rel, fk->columns[0],
						  psprintf("a row of %s that references another subject's row by"
								   " constraint %s stops its erasure: %s",
								   step->rel->name, quote_identifier(fk->name), why),
						  hint);
	}
}

/* nulls_required returns whether a reference cannot end by being set to NULL. */
static bool
nulls_required(EffRelation *rel, ForeignKey *fk)
{
	bool		any = false;
	bool		all = true;

	if (fk->on_delete == FKCONSTR_ACTION_SETDEFAULT)
		return false;
	if (fk->on_delete == FKCONSTR_ACTION_SETNULL)
		return !EffForeignKeyReleases(fk, rel);
	for (int i = 0; i < fk->nkeys; i++)
	{
		any |= !EffRelationColumn(rel, fk->columns[i])->not_null;
		all &= !EffRelationColumn(rel, fk->columns[i])->not_null;
	}
	return fk->match_full ? !all : !any;
}

/* nullable_statement returns the statement by which a reference can be set to NULL, or advice. */
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

		if (primary != NULL)
			for (int k = 0; k < primary->nkeys; k++)
				primary_key |= primary->keys[k] == column->attnum;
		in_key |= primary_key;
		if (primary_key || !column->not_null || (n > 0 && !needs_all))
			continue;
		appendStringInfo(&buf, "%s ALTER COLUMN %s DROP NOT NULL", n++ > 0 ? "," : "",
						 quote_identifier(column->name));
	}
	if (n == 0 || (needs_all && in_key))
		return psprintf("The column is part of the primary key of %s: let the rows that it"
						" references survive, or give %s another key.",
						rel->name, rel->name);
	return psprintf("ALTER TABLE %s%s;", rel->sql, buf.data);
}
