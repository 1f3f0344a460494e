/*
 * steps.c
 *	  Writes the operations of a plan as steps: parameterised SQL, and what is
 *	  said of it.
 */
#include "postgres.h"

#include "label/expression.h"
#include "plan/plan_int.h"

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

static void make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static List *labelled_columns(MapTable *table);
static bool references_itself(DataMap *map, MapTable *table);
static void make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned, int part);
static char *append_update(PlanBuild *build, Statement *st, PlannedTable *planned);
static bool rewrites_owner(MapTable *subject, PlannedTable *planned);
static char *set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression);
static void make_retain(PlanBuild *build, ErasureStep *step, PlannedTable *planned);
static char *link_names(PlannedTable *planned);

/*
 * EffStepMake adds the step of an operation to the plan, with its statements, and notes
 * what the steps write into.
 */
void
EffStepMake(PlanBuild *build, PlannedOperation *operation)
{
	ErasureStep *step = palloc0(sizeof(ErasureStep));
	PlannedTable *planned = operation->planned;

	step->strategy = operation->strategy;
	step->rel = planned->table->rel;
	step->planned = planned;
	step->link = link_names(planned);
	switch (operation->strategy)
	{
		case STEP_DELETE:
			make_delete(build, step, planned);
			break;
		case STEP_ANONYMIZE:
			make_anonymize(build, step, planned, operation->part);
			break;
		case STEP_RETAIN:
			make_retain(build, step, planned);
			break;
		case STEP_SHARED:
			EffStepMakeShared(build, step, planned);
			break;
		default:
			EffStepMakeReference(build, step, operation);
			break;
	}
	if (step->sql.find != NULL && step->sql.form == FORM_NOTHING)
		step->sql.form = FORM_EACH;
	build->plan->steps = lappend(build->plan->steps, step);
	build->plan->has_triggers |= step->rel->has_triggers;
	if (step->strategy != STEP_BLOCKER && step->strategy != STEP_SIDE_EFFECT)
	{
		build->plan->written = list_append_unique_ptr(build->plan->written, step->rel);
		if (step->strategy != STEP_RETAIN)
			build->request->deferrable = list_concat_unique_oid(build->request->deferrable,
																step->rel->deferrable);
	}
}

static void
make_delete(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	int			where;

	step->reason = planned->why;
	step->sql.find = EffStatementNew(SPI_OK_DELETE, "deletion from", rel);
	appendStringInfo(&step->sql.find->text, "DELETE FROM %s t", rel->sql);
	where = EffStepBeginWhere(step->sql.find);
	EffConditionAppend(step->sql.find, EffPlanScope(build->map, step->sql.find, "t", build->request,
													planned));
	EffStepAddCheck(step, rel, "", where);
	EffStepAddObjects(step, rel, labelled_columns(planned->table), where);
	if (EffStepHasOneOwner(planned))
	{
		if (EffStepByParentsBegin(build, step, SPI_OK_DELETE))
		{
			appendStringInfo(&step->sql.by_parents->text, "DELETE FROM %s t", rel->sql);
			EffStepByParentsEnd(build, step);
		}
		if (EffStepJoinsToOwner(planned))
		{
			step->sql.form = FORM_COUNTED;
			step->sql.per_subject = EffStepForAllBegin("deletion from", rel);
			appendStringInfo(&step->sql.per_subject->text, "DELETE FROM %s t", rel->sql);
			EffStepForAllEnd(build, step->sql.per_subject, planned, " USING ", "");
		}
		return;
	}
	if (!references_itself(build->map, planned->table))
		return;

	/* rows of two subjects of a call may reference each other: they are deleted together */
	step->sql.form = FORM_TOGETHER;
	step->sql.count = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	step->sql.count->params = step->sql.find->params;
	appendStringInfo(&step->sql.count->text, "SELECT pg_catalog.count(*) FROM %s t%s",
					 rel->sql, step->sql.find->text.data + where);
	step->sql.for_call = EffStatementNew(SPI_OK_DELETE, "deletion from", rel);
	appendStringInfo(&step->sql.for_call->text, "DELETE FROM %s t WHERE ", rel->sql);
	if (planned->rows != NULL)
		EffConditionAppend(step->sql.for_call,
						   EffScopeCallRows(step->sql.for_call, "t", planned->rows,
											planned->contested ? ROWS_GONE : ROWS_ALL));
	else
		EffConditionAppend(step->sql.for_call,
						   EffPlanScopeNow(build->map, step->sql.for_call, "t", build->request,
										   planned, &EffScopeCall));
}

static List *
labelled_columns(MapTable *table)
{
	List	   *columns = NIL;

	foreach_ptr(MapColumn, column, table->columns)
		columns = lappend(columns, column->column);
	return columns;
}

/* references_itself: by a key that is not set to NULL before. */
static bool
references_itself(DataMap *map, MapTable *table)
{
	foreach_oid(oid, table->rel->inheritors)
		foreach_ptr(ForeignKey, fk, EffMapRelation(map, oid)->references)
		{
			if (list_member_oid(table->rel->inheritors, fk->target) &&
				!EffDetachAllowed(map, table, fk))
				return true;
		}
	return false;
}

/*
 * make_anonymize writes surrogates and "set" in one statement, into the rows
 * that still hold something.
 */
static void
make_anonymize(PlanBuild *build, ErasureStep *step, PlannedTable *planned, int part)
{
	EffRelation *rel = planned->table->rel;
	Statement  *st = EffStatementNew(SPI_OK_UPDATE, "update of", rel);
	char	   *pending = append_update(build, st, planned);
	int			where = EffStepBeginWhere(st);
	List	   *columns = NIL;

	EffConditionAppend(st, EffPlanScopePart(build->map, st, "t", build->request, planned, part));
	appendStringInfoString(&st->text, pending);
	step->sql.find = st;
	if (EffStepHasOneOwner(planned))
	{
		if (EffStepByParentsBegin(build, step, SPI_OK_UPDATE))
		{
			pending = append_update(build, step->sql.by_parents, planned);
			EffStepByParentsEnd(build, step);
			appendStringInfoString(&step->sql.by_parents->text, pending);
		}
		if (EffStepJoinsToOwner(planned) && !rewrites_owner(build->request->subject, planned))
		{
			step->sql.form = FORM_COUNTED;
			step->sql.per_subject = EffStepForAllBegin("update of", rel);
			pending = append_update(build, step->sql.per_subject, planned);
			EffStepForAllEnd(build, step->sql.per_subject, planned, " FROM ", pending);
		}
	}
	foreach_ptr(Surrogate, surrogate, planned->anonymize)
	{
		step->columns = lappend(step->columns, surrogate->column->column->name);
		columns = lappend(columns, surrogate->column->column);
	}
	if (planned->has_set)
		foreach_ptr(SetLabel, each_label, planned->table->label->set)
			step->columns = lappend(step->columns,
									EffRelationColumnNamed(rel, each_label->column)->name);
	step->reason = part == ROWS_PINNED ?
		"rows that cannot go reference the row: it is anonymized in place" : planned->why;
	EffStepAddCheck(step, rel, "", where);
	EffStepAddObjects(step, rel, columns, where);
}

/* append_update returns the condition, with " AND ", that a row still holds something. */
static char *
append_update(PlanBuild *build, Statement *st, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	List	   *unset = NIL;	/* of char *: "set" is still to be done */
	const char *comma = "";
	const Condition *residual;
	ListCell   *lc;

	st->own_row = planned->links == NIL && !st->all;
	appendStringInfo(&st->text, "UPDATE %s t SET ", rel->sql);
	foreach_ptr(Surrogate, surrogate, planned->anonymize)
	{
		EffColumn  *column = surrogate->column->column;
		char	   *sql;
		const Condition *others;

		if (surrogate->kind == SURROGATE_GENERATED)
			continue;
		sql = EffSurrogateSql(surrogate, st, "t");
		others = EffPlanOthers(build->map, planned, surrogate, st);
		if (others->kind != CONDITION_FALSE)
			sql = psprintf("CASE WHEN %s THEN %s ELSE %s END", others->sql,
						   EffColumnSql("t", rel, column->attnum), sql);
		/* a NULL stays NULL */
		if (!column->not_null && surrogate->kind != SURROGATE_NULL)
			sql = psprintf("CASE WHEN %s IS NOT NULL THEN %s END",
						   EffColumnSql("t", rel, column->attnum), sql);
		appendStringInfo(&st->text, "%s%s = %s", comma, quote_identifier(column->name), sql);
		comma = ", ";
	}
	if (planned->has_set)
		foreach(lc, planned->table->label->set)
		{
			SetLabel   *set = lfirst(lc);
			EffColumn  *column = EffRelationColumnNamed(rel, set->column);
			EffExpression *expression;

			expression = EffExpressionAnalyze(rel, "t", set->expression, column, "set");
			appendStringInfo(&st->text, "%s%s = %s", comma, quote_identifier(column->name),
							 expression->sql);
			unset = lappend(unset, set_condition(rel, column, expression));
			comma = ", ";
		}
	residual = EffPlanResidual(build->map, planned, st);
	foreach_ptr(char, condition, unset)
	{
		residual = EffConditionOr(residual, EffConditionOf(condition, NULL));
	}
	return psprintf(" AND (%s)", residual->operator ? residual->operands : residual->sql);
}

/*
 * rewrites_owner: an UPDATE returns the rows as they are afterwards, which does not
 * tell whose they were where the reference to the subject gets a surrogate, or is
 * generated from what may get one.
 */
static bool
rewrites_owner(MapTable *subject, PlannedTable *planned)
{
	JoinHop    *first = planned->links != NIL ?
		linitial(((TableLink *) linitial(planned->links))->hops) : NULL;
	const AttrNumber *reference = first ? first->source_columns : subject->key;
	Bitmapset  *written = NULL;

	foreach_ptr(Surrogate, each_surrogate, planned->anonymize)
		written = bms_add_member(written, each_surrogate->column->column->attnum);
	foreach_ptr(SetLabel, each_label, planned->has_set ? planned->table->label->set : NIL)
		written = bms_add_member(written, EffRelationColumnNamed(planned->table->rel,
																  each_label->column)->attnum);
	for (int i = 0; i < (first ? first->n : subject->nkey); i++)
		if (bms_is_member(reference[i], written) ||
			EffRelationColumn(first ? first->source : subject->rel, reference[i])->generated)
			return true;
	return false;
}

/* set_condition: "set" is still to be done; a moving expression is done once it is not NULL. */
static char *
set_condition(EffRelation *rel, EffColumn *column, EffExpression *expression)
{
	char	   *value = EffColumnSql("t", rel, column->attnum);

	if (expression->moving)
		return psprintf("%s IS NULL", value);
	if (expression->is_null)
		return psprintf("%s IS NOT NULL", value);
	return EffDistinctSql(rel, column,
						  psprintf("(%s)%s", expression->sql,
								   OidIsValid(column->collation) &&
									   exprCollation(expression->node) != column->collation ?
								   psprintf(" COLLATE %s", EffCollationSql(column->collation)) :
									   ""));
}

static void
make_retain(PlanBuild *build, ErasureStep *step, PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	StringInfoData reason;

	initStringInfo(&reason);
	foreach_ptr(MapColumn, column, planned->retain)
	{
		char	   *one = psprintf("%s (%s)", column->label->retention->reason,
								   column->label->retention->basis);

		step->columns = lappend(step->columns, column->column->name);
		if (strstr(reason.data, one) == NULL)
			appendStringInfo(&reason, "%s%s", reason.len > 0 ? "; " : "kept: ", one);
	}
	step->reason = reason.data;
	step->sql.find = EffStatementNew(SPI_OK_SELECT, "counting rows of", rel);
	appendStringInfo(&step->sql.find->text, "SELECT pg_catalog.count(*) FROM %s t WHERE ",
					 rel->sql);
	EffConditionAppend(step->sql.find, EffPlanScope(build->map, step->sql.find, "t", build->request,
													planned));
	if (EffStepHasOneOwner(planned))
	{
		if (EffStepByParentsBegin(build, step, SPI_OK_SELECT))
		{
			appendStringInfo(&step->sql.by_parents->text, "SELECT pg_catalog.count(*) FROM %s t",
							 rel->sql);
			EffStepByParentsEnd(build, step);
		}
		if (EffStepJoinsToOwner(planned))
		{
			step->sql.form = FORM_COUNTED;
			step->sql.per_subject = EffStepForAllCount(build, planned);
		}
	}
}

/* link_names names the links that a step serves, NULL where they have no names. */
static char *
link_names(PlannedTable *planned)
{
	StringInfoData buf;

	initStringInfo(&buf);
	foreach_ptr(TableLink, link, planned->links)
		if (link->name != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", link->name);
	return buf.len > 0 ? buf.data : NULL;
}
