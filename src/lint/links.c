/*
 * links.c
 *	  Checks of how tables reach their subjects, and for whom.
 */
#include "postgres.h"

#include "label/expression.h"
#include "lint/lint_int.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rls.h"
#include "access/relation.h"
#include "catalog/pg_trigger.h"
#include "utils/rel.h"

/* What count_excluded is to count, and what it counted */
typedef struct RowCount
{
	MapTable   *table;
	char	   *condition;
	int64		rows;
} RowCount;

static void lint_error(LintRun *run, TableLink *link);
static void lint_length(LintRun *run, TableLink *link);
static void lint_hop(LintRun *run, TableLink *link, JoinHop *hop);
static bool is_foreign_key(DataMap *map, EffRelation *from, const AttrNumber *columns,
						   EffRelation *to, const AttrNumber *target_columns, int n);
static bool fires_on_delete(Oid relid);
static char *foreign_key_statement(TableLink *link, JoinHop *hop);
static void lint_shared(LintRun *run, MapTable *table, List *owners);
static void lint_tied(LintRun *run, MapTable *table);
static char *excluded_condition(MapTable *table);
static void count_excluded(void *arg);

/*
 * EffLintLinks finds links that cannot be followed, that were inferred from
 * foreign keys, and whose path goes on behind the subject.
 */
void
EffLintLinks(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_ptr(TableLink, link, table->links)
		{
			if (link->error != NULL)
				lint_error(run, link);
			else if (link->inferred)
			{
				char	   *path = EffGraphInferredPath(run->map, link);

				(void) EffLintAdd(run, LINT_INFERRED_LINK, table->rel, 0,
								  psprintf("table %s is linked to %s by the only chain of foreign"
										   " keys there is, \"%s\"; one more key makes it"
										   " ambiguous",
										   table->name, link->subject->name, path),
								  EffLintRelabelLink(run, link, "path", EffLintJsonString(path)));
			}
			else
				lint_length(run, link);
		}
	}
}

/*
 * EffLintHops finds declared hops without a foreign key.
 */
void
EffLintHops(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		foreach_ptr(TableLink, link, run->map->tables[i]->links)
		{
			foreach_ptr(JoinHop, hop, link->hops)
				lint_hop(run, link, hop);
		}
	}
}

/*
 * EffLintOwners finds tables whose links are all accessors', columns of shared rows
 * that are tied to no owner, and columns that are tied to an accessor.
 */
void
EffLintOwners(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		List	   *owners = NIL;
		bool		broken = table->error != NULL;

		foreach_ptr(TableLink, link, table->links)
		{
			broken |= link->error != NULL;
			if (link->label->role == ROLE_OWNER)
				owners = lappend(owners, link);
		}
		if (broken)
			continue;
		if (table->links != NIL && owners == NIL && !table->is_subject)
			(void) EffLintAdd(run, LINT_ONLY_ACCESSORS, table->rel, 0,
							  psprintf("every link of table %s is an accessor's: no erasure ever"
									   " reaches its rows", table->name),
							  list_length(table->links) == 1 ?
							  EffLintRelabelLink(run, linitial(table->links), "role", "\"owner\"") :
							  pstrdup("Add the owner's link to \"links\", or give one of them"
									  " \"role\": \"owner\"."));
		if (list_length(owners) > 1)
			lint_shared(run, table, owners);
		lint_tied(run, table);
	}
}

/*
 * EffLintWhere counts the rows that the conditions of a table's links leave out.
 * Besides EffLintValues it is the only check that reads rows of users' tables.  It
 * does so as the caller, and only where the caller may see all of them.
 */
void
EffLintWhere(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		RowCount	count = {.table = table};
		ErrorData  *error;

		if (!EffLintErases(table) ||
			pg_class_aclcheck(table->rel->oid, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
			check_enable_rls(table->rel->oid, InvalidOid, true) == RLS_ENABLED)
			continue;
		error = EffLintTry(count_excluded, &count);
		if (error != NULL)
		{
			/* a condition that is not valid is found as a broken label */
			if (error->sqlerrcode != ERRCODE_EFF_MANIFEST)
				(void) EffLintAdd(run, LINT_BROKEN_LABEL, table->rel, 0,
								  psprintf("\"where\" of table %s fails on its rows with SQLSTATE"
										   " %s",
										   table->name, unpack_sql_state(error->sqlerrcode)),
								  psprintf("SELECT * FROM %s t WHERE %s;", table->rel->sql,
										   count.condition));
		}
		else if (count.rows > 0)
			(void) EffLintAdd(run, LINT_WHERE_EXCLUDES_ROWS, table->rel, 0,
							  psprintf("\"where\" leaves out " INT64_FORMAT " %s of %s: no erasure"
									   " reaches them",
									   count.rows, count.rows == 1 ? "row" : "rows", table->name),
							  psprintf("SELECT * FROM %s t WHERE %s;", table->rel->sql,
									   count.condition));
	}
}

/* lint_error files the error of a link, under the code that says why it cannot be followed. */
static void
lint_error(LintRun *run, TableLink *link)
{
	MapTable   *table = link->table;
	bool		any_subject = false;

	for (int i = 0; i < run->map->ntables; i++)
		any_subject |= run->map->tables[i]->is_subject;
	if (!link->inferred)
		(void) EffLintAddError(run, LINT_BROKEN_LABEL, table->rel, 0, link->error,
							   link->error->hint);
	else if (hash_search(run->reaching, &table->rel->oid, HASH_FIND, NULL) != NULL)
		(void) EffLintAddError(run, LINT_AMBIGUOUS_LINK, table->rel, 0, link->error,
							   link->error->hint);
	else if (any_subject)
		(void) EffLintAddError(run, LINT_UNREACHABLE_TABLE, table->rel, 0, link->error,
							   link->error->hint);
	else
		(void) EffLintAdd(run, LINT_UNREACHABLE_TABLE, table->rel, 0,
						  psprintf("no erasure reaches table %s: no table is marked as the one of"
								   " the persons", table->name),
						  psprintf("Mark the table of the persons; if it is this one: %s",
								   EffLintRelabelLink(run, link, "path", "\"\"")));
}

/* lint_length finds hops of a path behind the first subject table, where the link ends. */
static void
lint_length(LintRun *run, TableLink *link)
{
	MapTable   *table = link->table;
	char	   *hint;

	if (link->label->path != NULL)
	{
		char	   *used = EffGraphUsedPath(link);

		if (used == NULL)
			return;
		hint = EffLintRelabelLink(run, link, "path", EffLintJsonString(used));
	}
	else if (list_length(link->label->hops) > list_length(link->hops))
		hint = psprintf("Leave out what follows hop %d.", list_length(link->hops));
	else
		return;
	(void) EffLintAdd(run, LINT_PATH_BEYOND_SUBJECT, table->rel, 0,
					  psprintf("the path of table %s goes on behind subject table %s, where it"
							   " ends: rows are those of %s",
							   table->name, link->subject->name, link->subject->name),
					  hint);
}

/*
 * lint_hop finds a hop that no foreign key guards: rows that are inserted at its
 * other end during an erasure are not seen.
 */
static void
lint_hop(LintRun *run, TableLink *link, JoinHop *hop)
{
	if (hop->fk != NULL ||
		is_foreign_key(run->map, hop->source, hop->source_columns, hop->target, hop->target_columns,
					   hop->n) ||
		is_foreign_key(run->map, hop->target, hop->target_columns, hop->source, hop->source_columns,
					   hop->n))
		return;
	(void) EffLintAdd(run, LINT_HOP_WITHOUT_FOREIGN_KEY, hop->source, hop->source_columns[0],
					  psprintf("no foreign key guards the hop from %s (%s) to %s (%s): rows"
							   " written during an erasure are not seen",
							   hop->source->name,
							   EffJoinNames(hop->source, hop->source_columns, hop->n),
							   hop->target->name,
							   EffJoinNames(hop->target, hop->target_columns, hop->n)),
					  foreign_key_statement(link, hop));
}

/* is_foreign_key returns whether a foreign key has these pairs of columns, in any order. */
static bool
is_foreign_key(DataMap *map, EffRelation *from, const AttrNumber *columns,
			   EffRelation *to, const AttrNumber *target_columns, int n)
{
	foreach_ptr(ForeignKey, fk, EffMapRelation(map, from->oid)->references)
	{
		int			matched = 0;

		if (fk->target != to->oid || fk->nkeys != n)
			continue;
		for (int i = 0; i < n; i++)
			for (int k = 0; k < n; k++)
				matched += fk->columns[k] == columns[i] &&
					fk->target_columns[k] == target_columns[i];
		if (matched == n)
			return true;
	}
	return false;
}

/* fires_on_delete returns whether a trigger or a rule is called as rows go. */
static bool
fires_on_delete(Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	bool		fires;

	if (relation == NULL)
		return false;
	fires = relation->rd_rules != NULL;
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		fires |= !trigger->tgisinternal && TRIGGER_FOR_DELETE(trigger->tgtype);
	}
	relation_close(relation, AccessShareLock);
	return fires;
}

/* foreign_key_statement returns the statement that adds the foreign key of a hop, or advice. */
static char *
foreign_key_statement(TableLink *link, JoinHop *hop)
{
	EffRelation *from = hop->reverse ? hop->target : hop->source;
	EffRelation *to = hop->reverse ? hop->source : hop->target;
	const AttrNumber *columns = hop->reverse ? hop->target_columns : hop->source_columns;
	const AttrNumber *target_columns = hop->reverse ? hop->source_columns : hop->target_columns;

	/* a history that the trigger fills as the row goes could not reference it any more */
	if (fires_on_delete(to->oid))
		return psprintf("-- No foreign key is proposed, since triggers or rules of %s may"
						" write such rows while its own go: run effaced_verify() some time"
						" after an erasure, and the erasure again where something is left.",
						to->name);
	foreach_ptr(EffIndex, index, to->indexes)
	{
		int			matched = 0;

		for (int i = 0; i < index->nkeys; i++)
			for (int k = 0; k < hop->n; k++)
				matched += index->keys[i] == target_columns[k];
		if (index->unique && !index->partial && index->immediate &&
			index->nkeys == hop->n && matched == hop->n &&
			link->label->where == NULL &&
			from->relkind != RELKIND_FOREIGN_TABLE && to->relkind != RELKIND_FOREIGN_TABLE)
			return psprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s);",
							from->sql, EffJoinNames(from, columns, hop->n),
							to->sql, EffJoinNames(to, target_columns, hop->n));
	}
	return pstrdup("No foreign key can be declared here: run effaced_verify() some time after an"
				   " erasure, and the erasure again where something is left.");
}

/*
 * lint_shared finds columns that are tied to no owner, in rows that stay until their
 * last owner is erased.
 */
static void
lint_shared(LintRun *run, MapTable *table, List *owners)
{
	bool		keep = false;

	foreach_ptr(TableLink, owner, owners)
		keep |= owner->label->shared == SHARED_KEEP;
	if (!keep)
		return;
	foreach_ptr(MapColumn, column, table->columns)
	{
		StringInfoData hint;

		if (column->label->link != NULL || column->label->erasure == ERASURE_RETAIN)
			continue;
		initStringInfo(&hint);
		appendStringInfoString(&hint, "Choose one:");
		foreach_ptr(TableLink, owner, owners)
			appendStringInfo(&hint, "\n%s",
							 EffLintRelabel(run, table->rel, column->column->attnum,
											list_make1("link"),
											EffLintJsonString(owner->name)));
		(void) EffLintAdd(run, LINT_SHARED_WITHOUT_LINK, table->rel, column->column->attnum,
						  psprintf("column %s is about no owner in particular: it stays until the"
								   " row's last owner is erased",
								   EffLintColumnName(table->rel, column->column->attnum)),
						  hint.data);
	}
}

/* lint_tied finds columns that are tied to the link of an accessor, for whom nothing is erased. */
static void
lint_tied(LintRun *run, MapTable *table)
{
	foreach_ptr(MapColumn, column, table->columns)
	{
		foreach_ptr(TableLink, link, table->links)
		{
			if (link->label->role != ROLE_ACCESSOR || link->name == NULL ||
				column->label->link == NULL ||
				strcmp(link->name, column->label->link) != 0)
				continue;
			(void) EffLintAdd(run, LINT_TIED_TO_ACCESSOR, table->rel, column->column->attnum,
							  psprintf("column %s is tied to link \"%s\" of an accessor, whom"
									   " nothing is erased or corrected for: it goes with the"
									   " row's owner, and no correction writes it",
									   EffLintColumnName(table->rel, column->column->attnum),
									   link->name),
							  EffLintRelabel(run, table->rel, column->column->attnum,
											 list_make1("link"), "null"));
		}
	}
}

/*
 * excluded_condition returns the condition that a row is neither a subject nor
 * reached by an owner's link, as far as the "where" of both tell.  It returns NULL
 * if one of them has no "where", so that no row is left out.
 */
static char *
excluded_condition(MapTable *table)
{
	List	   *conditions = NIL;	/* of char *, NULL for none */
	StringInfoData buf;
	ListCell   *lc;

	if (table->is_subject)
		conditions = lappend(conditions, table->label->subject_where);
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->error != NULL || link->label->role == ROLE_OWNER)
			conditions = lappend(conditions, link->error ? NULL : link->label->where);
	}
	initStringInfo(&buf);
	foreach(lc, conditions)
	{
		if (lfirst(lc) == NULL)
			return NULL;
		appendStringInfo(&buf, "%s(%s) IS NOT TRUE", foreach_current_index(lc) > 0 ? " AND " : "",
						 EffExpressionAnalyze(table->rel, "t", lfirst(lc), NULL, "where")->sql);
	}
	return buf.data;
}

/* count_excluded is run by EffLintTry(). */
static void
count_excluded(void *arg)
{
	RowCount   *count = arg;

	count->condition = excluded_condition(count->table);
	if (count->condition == NULL)
		return;
	count->rows = EffLintCountRows(count->table->rel, count->condition);
}
