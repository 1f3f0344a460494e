/*
 * condition.c
 *	  AND, OR and NOT of conditions on a row.
 */
#include "postgres.h"

#include "rows/condition.h"

static const Condition *combine(const Condition *a, const char *operator, const Condition *b);

const Condition EffTrue = {.kind = CONDITION_TRUE, .sql = "true"};
const Condition EffFalse = {.kind = CONDITION_FALSE, .sql = "false"};

/*
 * EffConditionOf returns a condition with that text, which must be an operand of
 * AND: an OR in it stands in parentheses.  columns are those that the text reads
 * of the row of alias t.
 */
const Condition *
EffConditionOf(const char *sql, Bitmapset *columns)
{
	Condition  *condition = palloc0(sizeof(Condition));

	condition->kind = CONDITION_SQL;
	condition->sql = sql;
	condition->columns = columns;
	return condition;
}

/* EffConditionAnd returns the condition that both hold. */
const Condition *
EffConditionAnd(const Condition *a, const Condition *b)
{
	if (a->kind == CONDITION_TRUE || b->kind == CONDITION_FALSE)
		return b;
	if (b->kind == CONDITION_TRUE || a->kind == CONDITION_FALSE)
		return a;
	return combine(a, "AND", b);
}

/* EffConditionOr returns the condition that one of them holds. */
const Condition *
EffConditionOr(const Condition *a, const Condition *b)
{
	if (a->kind == CONDITION_FALSE || b->kind == CONDITION_TRUE)
		return b;
	if (b->kind == CONDITION_FALSE || a->kind == CONDITION_TRUE)
		return a;
	return combine(a, "OR", b);
}

/* EffConditionNot returns the condition that a condition does not hold, or is NULL. */
const Condition *
EffConditionNot(const Condition *a)
{
	if (a->kind != CONDITION_SQL)
		return a->kind == CONDITION_TRUE ? &EffFalse : &EffTrue;
	return EffConditionOf(psprintf("(%s) IS NOT TRUE", a->sql), a->columns);
}

/* combine puts two conditions together; one that has the same operator gives its operands. */
static const Condition *
combine(const Condition *a, const char *operator, const Condition *b)
{
	Condition  *condition = palloc0(sizeof(Condition));
	bool		same_a = a->operator && strcmp(a->operator, operator) == 0;
	bool		same_b = b->operator && strcmp(b->operator, operator) == 0;

	condition->kind = CONDITION_SQL;
	condition->operator = operator;
	condition->operands = psprintf("%s %s %s", same_a ? a->operands : a->sql, operator, same_b ?
								   b->operands : b->sql);
	condition->sql = psprintf("(%s)", condition->operands);
	condition->columns = bms_union(a->columns, b->columns);
	return condition;
}

/*
 * EffConditionSql returns the text of a condition that the caller writes into a
 * statement, and notes in the statement which columns it reads.
 */
const char *
EffConditionSql(Statement *st, const Condition *condition)
{
	st->columns = bms_union(st->columns, condition->columns);
	return condition->sql;
}

/* EffConditionAppend writes a condition at the end of a statement. */
void
EffConditionAppend(Statement *st, const Condition *condition)
{
	appendStringInfoString(&st->text, EffConditionSql(st, condition));
}

/*
 * EffConditionBegin begins a condition at the end of a statement's text.  Its
 * parameters and aliases are the statement's own, so it is made there.
 */
ConditionMark
EffConditionBegin(Statement *st)
{
	ConditionMark mark = {.length = st->text.len, .columns = st->columns};

	st->columns = NULL;
	return mark;
}

/* EffConditionEnd returns what was appended since, and takes it out of the statement. */
const Condition *
EffConditionEnd(Statement *st, const ConditionMark *mark)
{
	const Condition *condition = EffConditionOf(pstrdup(st->text.data + mark->length), st->columns);

	st->text.len = mark->length;
	st->text.data[mark->length] = '\0';
	st->columns = mark->columns;
	return condition;
}
