/*
 * labels.c
 *	  Checks of what is labelled: labels that are broken, missing or unseen.
 */
#include "postgres.h"

#include "label/expression.h"
#include "lint/lint_int.h"
#include "map/admission.h"
#include "map/provider.h"
#include "relations/types.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* What choose_surrogate is to do, and what it chose */
typedef struct SurrogateChoice
{
	DataMap    *map;
	MapTable   *table;
	MapColumn  *column;
	Surrogate  *surrogate;
} SurrogateChoice;

/* A table, and the columns of it that its labels name */
typedef struct LabelUses
{
	MapTable   *table;
	Bitmapset  *attnums;
} LabelUses;

static void choose_surrogate(void *arg);
static void lint_added_columns(LintRun *run, MapTable *table);
static void find_uses(void *arg);
static bool parts_are_labelled(LintRun *run, EffRelation *rel);
static EffColumn *anchor_candidate(EffRelation *rel);

/*
 * EffLintBrokenLabels checks every label as when it is written: what it names may
 * have been dropped or renamed since.
 */
void
EffLintBrokenLabels(LintRun *run)
{
	MapError   *previous = NULL;
	Oid			broken = InvalidOid;
	bool		shown = false;

	foreach_ptr(StoredLabel, label, run->labels)
	{
		MapTable   *table = EffMapTable(run->map, label->relid);
		MapError   *error;

		if (table == NULL)
			continue;
		error = EffProviderTry(label->relid, label->attnum, label->json);
		if (error == NULL)
			continue;
		if (broken == label->relid && strcmp(previous->message, error->message) == 0)
		{
			/* an error of the table shows at each of its labels: one finding will do */
			if (shown)
				((Finding *) llast(run->findings))->attnum = 0;
			continue;
		}
		shown = EffLintAddError(run, LINT_BROKEN_LABEL, table->rel, label->attnum, error,
								error->hint);
		if (shown && table->error != NULL)
			run->told = lappend(run->told, table->error->message);
		broken = label->relid;
		previous = error;
	}
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (table->error != NULL && !list_member_ptr(run->told, table->error->message))
			(void) EffLintAddError(run, LINT_BROKEN_LABEL, table->rel, 0, table->error,
								   table->error->hint);
	}
}

/*
 * EffLintNotAdmitted finds tables whose labels do not count, since their owners are
 * neither trusted with the database nor admitted.
 */
void
EffLintNotAdmitted(LintRun *run)
{
	foreach_ptr(EffRelation, relation, run->map->not_admitted)
		(void) EffLintAdd(run, LINT_LABEL_NOT_ADMITTED, relation, 0,
						  psprintf("labels of %s do not count: no request reaches it",
								   relation->name),
						  EffAdmissionHint(relation));
}

/*
 * EffLintShadowedComments finds labels in comments that do not count, since the
 * relation or column has a security label, too.
 */
void
EffLintShadowedComments(LintRun *run)
{
	foreach_ptr(StoredLabel, label, run->labels)
	{
		MapTable   *table = EffMapTable(run->map, label->relid);
		char	   *statement = table == NULL || !label->shadowed ? NULL :
			EffCommentStatement(table->rel, label->attnum);

		if (statement != NULL)
			(void) EffLintAdd(run, LINT_SHADOWED_COMMENT, table->rel, label->attnum,
							  psprintf("the label in the comment on %s does not count: a security"
									   " label stands before it",
									   label->attnum == 0 ? table->name :
									   EffLintColumnName(table->rel, label->attnum)),
							  statement);
	}
}

/*
 * EffLintUnlabelledColumns finds columns of the map's tables that nobody has
 * judged: they have no label, belong to no key and are not used by a label.  In a
 * table whose rows are deleted as a whole, such columns do no harm.
 */
void
EffLintUnlabelledColumns(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		LabelUses	uses = {.table = table};

		if (table->error != NULL || table->fully_pii_owned)
			continue;
		(void) EffLintTry(find_uses, &uses);
		for (int k = 0; k < table->rel->ncolumns; k++)
		{
			EffColumn  *column = &table->rel->columns[k];

			if (EffMapIsCovered(run->map, table, column->attnum) ||
				bms_is_member(column->attnum, uses.attnums) ||
				EffLintToldColumn(run, table->rel->oid, column->attnum))
				continue;
			(void) EffLintAdd(run, LINT_UNLABELLED_COLUMN, table->rel, column->attnum,
							  psprintf("column %s has no label: %s",
									   EffLintColumnName(table->rel, column->attnum),
									   EffLintConsequence(run, table->rel->oid)),
							  EffLabelStatement(table->rel->oid, column->attnum,
														"{\"category\": \"identity\"}"));
		}
		if (table->rel->relkind == RELKIND_RELATION)
			lint_added_columns(run, table);
	}
}

/*
 * EffLintUnlabelledTables finds tables without a label from which foreign keys
 * lead to a subject table.
 */
void
EffLintUnlabelledTables(LintRun *run)
{
	Oid			previous = InvalidOid;

	foreach_ptr(ForeignKey, key, run->map->foreign_keys)	/* sorted by relation */
	{
		Oid			relid = key->relid;
		EffRelation *rel;
		TableLink  *link;

		if (relid == previous)
			continue;
		previous = relid;
		if (hash_search(run->reaching, &relid, HASH_FIND, NULL) == NULL ||
			EffMapTableOver(run->map, relid) != NULL ||
			(rel = EffMapFind(run->map, relid)) == NULL || parts_are_labelled(run, rel))
			continue;
		link = EffGraphInfer(run->map, rel, run->reaching);
		if (link->error != NULL)
			(void) EffLintAdd(run, LINT_UNLABELLED_TABLE, rel, 0,
							  psprintf("table %s has no label, but foreign keys lead from it to a"
									   " subject table", rel->name),
							  link->error->hint);
		else
			(void) EffLintAdd(run, LINT_UNLABELLED_TABLE, rel, 0,
							  psprintf("table %s has no label, but foreign keys lead from it to"
									   " subject table %s",
									   rel->name, link->subject->name),
							  EffLintRelabel(run, rel, 0, list_make1("path"),
											 EffLintJsonString(EffGraphInferredPath(run->map,
																					link))));
	}
}

/*
 * EffLintRetention finds retentions with a duration but no anchor to count it
 * from, so that they never end.
 */
void
EffLintRetention(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_ptr(MapColumn, column, table->columns)
		{
			RetentionPolicy *retention = column->label->retention;
			EffColumn  *anchor;

			if (table->error != NULL || retention == NULL ||
				retention->duration == NULL || retention->anchor != NULL)
				continue;
			anchor = anchor_candidate(table->rel);
			(void) EffLintAdd(run, LINT_RETENTION_WITHOUT_ANCHOR, table->rel,
							  column->column->attnum,
							  psprintf("column %s is kept for %s, but its label names no"
									   " \"anchor\" to count from",
									   EffLintColumnName(table->rel, column->column->attnum),
									   retention->duration),
							  anchor == NULL ?
							  psprintf("Table %s has no date or timestamp column: add one that"
									   " says when the term begins, and name it as the \"anchor\".",
									   table->name) :
							  EffLintRelabel(run, table->rel, column->column->attnum,
											 list_make2("retention", "anchor"),
											 EffLintJsonString(anchor->name)));
		}
	}
}

/*
 * EffLintSurrogates finds columns that erasures anonymize and for which no
 * surrogate can be chosen, so that the label has to name one.
 */
void
EffLintSurrogates(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		if (!EffLintErases(table) || EffLintDeletes(table))
			continue;
		foreach_ptr(MapColumn, column, table->columns)
		{
			SurrogateChoice choice = {.map = run->map, .table = table, .column = column};
			Surrogate  *surrogate;

			/* an expression that is no longer valid is found as a broken label */
			if (column->label->erasure == ERASURE_RETAIN ||
				EffLintTry(choose_surrogate, &choice) != NULL)
				continue;
			surrogate = choice.surrogate;
			if (surrogate->error != NULL)
				(void) EffLintAddError(run, LINT_SURROGATE_MISSING, table->rel,
									   column->column->attnum,
									   surrogate->error,
									   column->column->not_null ? surrogate->error->hint :
									   EffLintRelabel(run, table->rel, column->column->attnum,
													  list_make1("surrogate"), "\"NULL\""));
		}
	}
}

/* choose_surrogate is run by EffLintTry(). */
static void
choose_surrogate(void *arg)
{
	SurrogateChoice *choice = arg;

	choice->surrogate = EffSurrogateChoose(choice->map, choice->table, choice->column);
}

/*
 * lint_added_columns finds columns that inheritance children have and their parent
 * has not: a label of theirs would not count, since only the parent's do.
 */
static void
lint_added_columns(LintRun *run, MapTable *table)
{
	foreach_oid(oid, table->rel->inheritors)
	{
		EffRelation *child = EffMapFind(run->map, oid);

		if (child == NULL)
			continue;
		for (int i = 0; i < child->ncolumns; i++)
		{
			EffColumn  *column = &child->columns[i];
			char	   *name = pstrdup(quote_identifier(column->name));

			if (EffRelationColumnByName(table->rel, column->name) == NULL)
				(void) EffLintAdd(run, LINT_UNLABELLED_COLUMN, child, column->attnum,
								  psprintf("column %s can have no label, since those of its parent"
										   " %s count: an erasure leaves its value",
										   EffLintColumnName(child, column->attnum), table->name),
								  psprintf("ALTER TABLE %s ADD COLUMN %s %s;\n"
										   "SECURITY LABEL FOR effaced ON COLUMN %s.%s"
										   " IS '{\"category\": \"identity\"}';",
										   table->rel->sql, name,
										   EffTypeSql(column->type, column->typmod),
										   table->rel->sql, name));
		}
	}
}

/*
 * find_uses collects the columns that labels name: anchors, columns that "set"
 * writes and columns that a "where" reads.  They need no label, since an erasure
 * that replaced their values would break the label that names them.
 */
static void
find_uses(void *arg)
{
	LabelUses  *uses = arg;
	MapTable   *table = uses->table;
	List	   *names = NIL;
	List	   *conditions = NIL;
	ListCell   *lc;

	foreach_ptr(MapColumn, column, table->columns)
	{
		RetentionPolicy *retention = column->label->retention;

		if (retention != NULL && retention->anchor != NULL)
			names = lappend(names, retention->anchor);
	}
	if (table->label != NULL)
	{
		foreach_ptr(SetLabel, set, table->label->set)
			names = lappend(names, set->column);
		foreach_ptr(LinkLabel, link, table->label->links)
			conditions = lappend(conditions, link->where);
		conditions = lappend(conditions, table->label->subject_where);
	}
	foreach(lc, names)
	{
		EffColumn  *column = EffRelationColumnByName(table->rel, lfirst(lc));

		if (column != NULL)
			uses->attnums = bms_add_member(uses->attnums, column->attnum);
	}
	foreach(lc, conditions)
		if (lfirst(lc) != NULL)
			uses->attnums = bms_add_members(uses->attnums,
											EffExpressionAnalyze(table->rel, "t", lfirst(lc), NULL,
																 "where")->columns);
}

/* parts_are_labelled returns whether all partitions of a table are in the map by themselves. */
static bool
parts_are_labelled(LintRun *run, EffRelation *rel)
{
	bool		all = rel->relkind == RELKIND_PARTITIONED_TABLE && list_length(rel->inheritors) > 1;

	if (all)
		foreach_oid(oid, rel->inheritors)
			all &= get_rel_relkind(oid) == RELKIND_PARTITIONED_TABLE ||
				EffMapTableOver(run->map, oid) != NULL;
	return all;
}

/* anchor_candidate returns the first column that can be an anchor, if possible a NOT NULL one. */
static EffColumn *
anchor_candidate(EffRelation *rel)
{
	EffColumn  *found = NULL;

	for (int i = 0; i < rel->ncolumns; i++)
	{
		Oid			type = EffBaseType(rel->columns[i].type);

		if ((type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID) &&
			(found == NULL || (rel->columns[i].not_null && !found->not_null)))
			found = &rel->columns[i];
	}
	return found;
}
