/*
 * condition.h (public)
 *	  Conditions on a row as values, that are put together and then written once.
 *
 * A condition knows which columns of the statement's own row, alias t, it reads.
 * Where it turns out to be always true or always false it has no text, and what
 * is put together with it is folded.  NULL is not TRUE: a condition is negated
 * with IS NOT TRUE.
 */
#ifndef EFF_CONDITION_H
#define EFF_CONDITION_H

#include "rows/statement.h"

typedef enum ConditionKind
{
	CONDITION_SQL,
	CONDITION_TRUE,
	CONDITION_FALSE
} ConditionKind;

typedef struct Condition
{
	ConditionKind kind;
	const char *sql;			/* of any kind, as an operand */
	const char *operator;		/* "AND" or "OR" between its operands, NULL for others */
	const char *operands;		/* them, without the parentheses around them */
	Bitmapset  *columns;		/* attnums of the row of alias t that it reads */
} Condition;

/* Where a condition begins in the text of a statement */
typedef struct ConditionMark
{
	int			length;
	Bitmapset  *columns;
} ConditionMark;

extern const Condition EffTrue;
extern const Condition EffFalse;

/* SQL text as a condition */
extern const Condition *EffConditionOf(const char *sql, Bitmapset *columns);

extern const Condition *EffConditionAnd(const Condition *a, const Condition *b);
extern const Condition *EffConditionOr(const Condition *a, const Condition *b);
extern const Condition *EffConditionNot(const Condition *a);

/* Write a condition into a statement, which then reads what it reads */
extern void EffConditionAppend(Statement *st, const Condition *condition);
extern const char *EffConditionSql(Statement *st, const Condition *condition);

/* For what writes conditions: what is appended to a statement in between becomes a value */
extern ConditionMark EffConditionBegin(Statement *st);
extern const Condition *EffConditionEnd(Statement *st, const ConditionMark *mark);

#endif							/* EFF_CONDITION_H */
