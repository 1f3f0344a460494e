/*
 * expression.h (public)
 *	  SQL expressions in labels: parsed, checked, and written out again with
 *	  every name qualified.
 */
#ifndef EFF_EXPRESSION_H
#define EFF_EXPRESSION_H

#include "effaced.h"
#include "relations/relations.h"
#include "nodes/bitmapset.h"
#include "nodes/nodes.h"

typedef struct EffExpression
{
	Node	   *node;			/* analysed, coerced to its target */
	char	   *sql;			/* deparsed, columns prefixed with the alias */
	Bitmapset  *columns;		/* attnums that it reads */
	bool		moving;			/* its value changes with time or session */
	bool		is_null;		/* the constant NULL */
} EffExpression;

/*
 * Analyse an expression over the columns of a relation, as a value for target
 * or, where target is NULL, as a condition.  key names it in ERROR ZE001.
 * Call with the settings pinned.
 */
extern EffExpression *EffExpressionAnalyze(EffRelation *rel, const char *alias, const char *text,
										   EffColumn *target, const char *key);

#endif							/* EFF_EXPRESSION_H */
