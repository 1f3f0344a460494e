/*
 * decide.c
 *	  From the data map to the steps of an erasure, or to the conflict that
 *	  forbids it.
 */
#include "postgres.h"

#include "label/expression.h"
#include "plan/plan_int.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool takes_every_row(PlannedTable *planned);
static bool may_slip_in(MapTable *table, TableLink *link);
static void check_set(PlannedTable *planned, EffColumn *column, const char *text);
static void check_generated(PlannedTable *planned, Surrogate *surrogate);
static void check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column);

/*
 * EffDecideTables takes the tables that the subject owns rows of, or those of
 * them that were asked for.  What it may merely access is none of them.
 */
List *
EffDecideTables(PlanBuild *build, List *tables)
{
	MapTable   *subject = build->request->subject;
	List	   *chosen = NIL;
	ListCell   *lc;

	if (tables == NIL)
	{
		foreach(lc, EffGraphTables(build->map, subject))
			if (lfirst(lc) == subject || EffGraphRoleLinks(lfirst(lc), subject, ROLE_OWNER) != NIL)
				chosen = lappend(chosen, lfirst(lc));
		return chosen;
	}
	foreach_oid(oid, tables)
	{
		MapTable   *table = EffMapTable(build->map, oid);

		if (table != NULL)
			EffGraphRaiseErrors(table);
		if (table == NULL || (table != subject &&
							  EffGraphRoleLinks(table, subject, ROLE_OWNER) == NIL))
		{
			char	   *name = get_rel_name(oid);

			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 name ? errmsg("table \"%s\" holds no rows that belong to a subject of table "
								   "\"%s\"",
								   name, subject->rel->relname) :
					 errmsg("relation with OID %u does not exist", oid),
					 errhint("SELECT relation FROM effaced_subject_graph('%s')"
							 " WHERE role = 'owner' "
							 "lists the tables that do.",
							 subject->name),
					 errhidestmt(true)));
		}
		chosen = lappend(chosen, table);
	}
	return chosen;
}

/*
 * EffDecideTable decides whether the rows of a table are deleted or survive.
 */
PlannedTable *
EffDecideTable(PlanBuild *build, MapTable *table)
{
	PlannedTable *planned = palloc0(sizeof(PlannedTable));
	MapColumn  *keeping = EffMapKeepingColumn(table);

	planned->table = table;
	if (table == build->request->subject)
		planned->reads = EffScopeReads(build->map, table, NULL);
	else
	{
		planned->links = EffGraphRoleLinks(table, build->request->subject, ROLE_OWNER);
		/* whoever owns a row besides */
		planned->contested = EffOwnersContested(table, build->request->subject) &&
			!takes_every_row(planned);
		/* whoever reaches rows against a reference, the reference is there */
		foreach_ptr(TableLink, each_link, table->links)
			if (each_link->label->role == ROLE_OWNER)
				planned->reverse |= ((JoinHop *) linitial(each_link->hops))->reverse;
		/* who else owns a row must be found out before anything changes */
		planned->find_first = planned->contested;
		foreach_ptr(TableLink, link, planned->links)
		{
			planned->reads = list_concat(planned->reads,
										 EffScopeReads(build->map, build->request->subject, link));
			planned->find_first |= may_slip_in(table, link);
		}
	}

	planned->deleted = EffMapDeletesRows(table);
	planned->has_set = !planned->deleted && table->label != NULL && table->label->set != NIL;
	if (planned->deleted)
		planned->why = table->label != NULL && table->label->owned ?
			"every labelled column is \"delete\" and the label says \"owned\"" :
			"every labelled column is \"delete\" and no other column but keys is left";
	else if (keeping != NULL)
		planned->why = psprintf("the row survives: column %s is \"%s\"",
								quote_identifier(keeping->column->name),
								EffErasureWord(keeping->label->erasure));
	else
		planned->why = "the row survives: it has columns that are neither labelled nor keys";
	return planned;
}

/*
 * takes_every_row: by every link the subject's erasure takes a row, whoever else owns
 * it, so that nobody needs to ask for other owners.  What a row is reached against may
 * still keep it.
 */
static bool
takes_every_row(PlannedTable *planned)
{
	foreach_ptr(TableLink, link, planned->links)
		if (link->label->shared != SHARED_ERASE || link->reverse)
			return false;
	return true;
}

/*
 * may_slip_in: where no foreign key keeps rows from being inserted, a row inserted
 * after the references were read would be deleted without its external system being
 * told; so the row set is fixed first.
 */
static bool
may_slip_in(MapTable *table, TableLink *link)
{
	AttrNumber *key;

	/* rows that have no key cannot be told apart; none holds across inheritance children */
	if (!EffMapHoldsRefs(table) || EffRowKey(table, &key) == 0 ||
		(table->rel->relkind != RELKIND_PARTITIONED_TABLE &&
		 list_length(table->rel->inheritors) > 1))
		return false;
	foreach_ptr(JoinHop, hop, link->hops)
		if (hop->fk == NULL)
			return true;
	return false;
}

/* EffDecideOwnLinks: other rows of the subject table belong to the subject by its links. */
PlannedTable *
EffDecideOwnLinks(PlanBuild *build, List *links)
{
	PlannedTable *planned = palloc0(sizeof(PlannedTable));

	planned->table = build->request->subject;
	planned->links = links;
	planned->why = "the rows are subjects of their own";
	planned->contested = true;
	planned->own_links = true;
	planned->find_first = true;
	return planned;
}

/*
 * EffDecideSurrogates splits the columns of rows that survive.  Rows of a table
 * that erasure deletes from survive where others own or reference them.
 */
void
EffDecideSurrogates(PlanBuild *build, PlannedTable *planned)
{
	bool		survive = !planned->deleted && !planned->own_links;
	ListCell   *lc;

	if (planned->deleted && !planned->contested)
		return;
	foreach_ptr(MapColumn, column, planned->table->columns)
	{
		bool		tied = planned->contested && column->label->link != NULL;
		Surrogate  *surrogate;

		if (column->label->erasure == ERASURE_RETAIN)
		{
			if (survive)
				planned->retain = lappend(planned->retain, column);
			continue;
		}
		if (!survive && !tied && !planned->reverse)
			continue;
		surrogate = EffSurrogateChoose(build->map, planned->table, column);
		if (survive || tied)
		{
			check_referenced(build, planned, column);
			if (surrogate->error)
				EffMapErrorRaise(surrogate->error);
		}
		else if (surrogate->error)
		{
			/* it matters only where a row turns out to be referenced */
			planned->pinned_error = surrogate->error;
			continue;
		}
		planned->anonymize = lappend(planned->anonymize, surrogate);
	}
	foreach(lc, planned->anonymize)
		if (((Surrogate *) lfirst(lc))->kind == SURROGATE_GENERATED && survive)
			check_generated(planned, lfirst(lc));
	if (planned->has_set)
		foreach(lc, planned->table->label->set)
		{
			SetLabel   *set = lfirst(lc);
			EffColumn  *column = EffRelationColumnNamed(planned->table->rel, set->column);

			if (EffMapColumn(planned->table, column->attnum) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"set\" of %s names column \"%s\", which has a label of "
								"its own",
								planned->table->name, set->column),
						 errhint("Write what the column gets as its \"surrogate\", or remove one "
								 "of the two."),
						 errhidestmt(true)));
			check_set(planned, column, set->expression);
		}
}

/*
 * check_set: what is written must not depend on what the erasure changes, or
 * running it again would change it once more.
 */
static void
check_set(PlannedTable *planned, EffColumn *column, const char *text)
{
	EffRelation *rel = planned->table->rel;
	Bitmapset  *reads = EffExpressionAnalyze(rel, "t", text, column, "set")->columns;

	for (int i = 0; i < rel->ncolumns; i++)
		if (bms_is_member(rel->columns[i].attnum, reads) &&
			EffErasureChanges(planned->table, &rel->columns[i]))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("expression of label key \"set\" for column \"%s\" of table "
							"\"%s\" reads column \"%s\", which the erasure changes",
							column->name, rel->relname, rel->columns[i].name),
					 errdetail("\"%s\" would give another value when the erasure is run again.",
							   text),
					 errhint("Read keys and columns that erasure leaves alone."),
					 errhidestmt(true)));
}

/* check_generated: a generated column is anonymized through what it is made of. */
static void
check_generated(PlannedTable *planned, Surrogate *surrogate)
{
	EffColumn  *column = surrogate->column->column;
	Bitmapset  *attnums = EffGeneratedFrom(planned->table->rel, column);
	bool		covered = false;

	foreach_ptr(Surrogate, other, planned->anonymize)
	{
		covered |= other->kind != SURROGATE_GENERATED &&
			bms_is_member(other->column->column->attnum, attnums);
	}
	if (!covered)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("generated column \"%s\" of table \"%s\" cannot be anonymized",
						column->name, planned->table->rel->relname),
				 errdetail("None of the columns that it is generated from is anonymized."),
				 errhint("Label the columns that it is generated from."),
				 errhidestmt(true)));
}

/* check_referenced: what a foreign key points at must keep its value. */
static void
check_referenced(PlanBuild *build, PlannedTable *planned, MapColumn *column)
{
	foreach_oid(oid, planned->table->rel->inheritors)
	{
		EffRelation *part = EffMapLoad(build->map, oid);

		foreach_ptr(ForeignKey, fk, EffMapRelation(build->map, part->oid)->referenced_by)
		{
			for (int i = 0; i < fk->nkeys; i++)
				if (strcmp(EffRelationColumn(part, fk->target_columns[i])->name,
						   column->column->name) == 0)
					ereport(ERROR,
							(errcode(ERRCODE_EFF_MANIFEST),
							 errmsg("column \"%s\" of table \"%s\" is referenced by a foreign "
									"key and must be \"retain\"",
									column->column->name, planned->table->rel->relname),
							 errdetail("The row survives erasure, and constraint \"%s\" of table "
									   "\"%s\" references the column.",
									   fk->name, get_rel_name(fk->relid)),
							 errhint("Label it \"erasure\": \"retain\" with a reason, or remove "
									 "the label."),
							 errhidestmt(true)));
		}
	}
}
