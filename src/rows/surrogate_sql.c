/*
 * surrogate_sql.c
 *	  Surrogates, and whether a value is none, as SQL.
 */
#include "postgres.h"

#include "base/gone.h"
#include "label/expression.h"
#include "relations/types.h"
#include "rows/surrogate_int.h"

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static char *collate_clause(Surrogate *surrogate);
static char *token_sql(Surrogate *surrogate, Statement *st, const char *alias);
static bool is_identifier(const Surrogate *surrogate);
static char *token_place(const Surrogate *surrogate);
static char *double_backslashes(const char *text);
static char *key_text_sql(Statement *st, EffRelation *rel, AttrNumber attnum, const char *alias,
						  bool *plain);

/*
 * EffSurrogateSql writes the surrogate as an expression.  Only immutable
 * functions of columns are used, so that a distributed table takes it too.
 */
char *
EffSurrogateSql(Surrogate *surrogate, Statement *st, const char *alias)
{
	EffColumn  *column = surrogate->column->column;
	char	   *type = EffTypeSql(column->type, column->typmod);
	EffExpression *expression;

	switch (surrogate->kind)
	{
		case SURROGATE_EXPRESSION:
			expression = EffExpressionAnalyze(surrogate->table->rel, alias,
											  surrogate->column->label->surrogate,
											  column, "surrogate");
			EffStatementReads(st, alias, expression->columns);
			return psprintf("(%s)", expression->sql);
		case SURROGATE_TEXT:
			if (surrogate->length > 0 && surrogate->length < strlen(TOKEN_PREFIX) + TOKEN_DIGITS)
				return psprintf("pg_catalog.left('" TOKEN_PREFIX "' || %s, %d)::%s",
								token_sql(surrogate, st, alias), surrogate->length, type);
			return psprintf("('" TOKEN_PREFIX "' || %s)::%s", token_sql(surrogate, st, alias),
							type);
		case SURROGATE_UUID:
			return psprintf("%s::%s", token_sql(surrogate, st, alias), type);
		case SURROGATE_CONSTANT:
			return psprintf("%s::%s", EffQuoteLiteral(surrogate->constant), type);
		case SURROGATE_NULL:
			return psprintf("NULL::%s", type);
		case SURROGATE_GENERATED:
			break;
	}
	elog(ERROR, "column %s has no surrogate of its own", column->name);
}

/*
 * EffSurrogateResidualSql: a value is residual iff it is not NULL and differs
 * from its surrogate.
 */
char *
EffSurrogateResidualSql(Surrogate *surrogate, Statement *st, const char *alias)
{
	EffColumn  *column = surrogate->column->column;
	char	   *value = EffStatementColumn(st, alias, surrogate->table->rel, column->attnum);
	char	   *sql;
	const char *schema;

	if (surrogate->kind == SURROGATE_GENERATED)
		return NULL;
	if (surrogate->kind == SURROGATE_NULL)
		return psprintf("%s IS NOT NULL", value);
	sql = EffSurrogateSql(surrogate, st, alias);
	if (!OidIsValid(lookup_type_cache(EffBaseType(column->type), TYPECACHE_EQ_OPR)->eq_opr))
		return psprintf("(%s IS NOT NULL AND %s::text IS DISTINCT FROM %s::text)", value, value,
						sql);
	schema = EffEqualitySchema(column->type);
	if (schema != NULL)
		return psprintf("(%s IS NOT NULL AND (%s OPERATOR(%s.=) %s) IS NOT TRUE)", value, value,
						schema, sql);
	if (surrogate->kind == SURROGATE_EXPRESSION)
		return psprintf("(%s IS NOT NULL AND %s IS DISTINCT FROM %s%s)", value, value, sql,
						collate_clause(surrogate));
	if (surrogate->kind == SURROGATE_TEXT &&
		(surrogate->length == 0 || surrogate->length >= strlen(TOKEN_PREFIX)))
		/* most values are told from a token without making one */
		return psprintf("(pg_catalog.left(%s::pg_catalog.text, %d) <> '" TOKEN_PREFIX "' OR %s <> "
						"%s)",
						value, (int) strlen(TOKEN_PREFIX), value, sql);
	return psprintf("%s <> %s", value, sql);
}

/*
 * EffSurrogateResidual returns the condition of EffSurrogateResidualSql() as a
 * value; NULL for generated columns.
 */
const Condition *
EffSurrogateResidual(Surrogate *surrogate, Statement *st, const char *alias)
{
	ConditionMark mark;

	if (surrogate->kind == SURROGATE_GENERATED)
		return NULL;
	mark = EffConditionBegin(st);
	appendStringInfoString(&st->text, EffSurrogateResidualSql(surrogate, st, alias));
	return EffConditionEnd(st, &mark);
}

/*
 * collate_clause makes the comparison of a column with its expression one by
 * the column's collation, where the expression brings another.
 */
static char *
collate_clause(Surrogate *surrogate)
{
	EffColumn  *column = surrogate->column->column;
	EffExpression *expression = EffExpressionAnalyze(surrogate->table->rel, "t",
													 surrogate->column->label->surrogate,
													 column, "surrogate");

	if (!OidIsValid(column->collation) || exprCollation(expression->node) == column->collation)
		return "";
	return psprintf(" COLLATE %s", EffCollationSql(column->collation));
}

/*
 * token_sql hashes secret, table, column and row key to hexadecimal digits.  The
 * cast to bytea reads a backslash as an escape: those in names are doubled here,
 * those in a key, where there may be any, when the statement runs.
 */
static char *
token_sql(Surrogate *surrogate, Statement *st, const char *alias)
{
	EffRelation *rel = surrogate->table->rel;
	const char *secret;
	char	   *place = token_place(surrogate);
	char	   *bytes;
	bool		plain = true;
	StringInfoData key;

	if (st->own_row && is_identifier(surrogate))
		return pstrdup(EffStatementParam(st, PARAM_TOKEN, 0, surrogate, 0, TEXTOID));
	secret = EffStatementParam(st, PARAM_SECRET, 0, NULL, 0, TEXTOID);
	initStringInfo(&key);
	for (int i = 0; i < surrogate->nkey; i++)
	{
		char	   *part = key_text_sql(st, rel, surrogate->key[i], alias, &plain);

		if (surrogate->nkey == 1)
			appendStringInfo(&key, " || %s", part);
		else
			appendStringInfo(&key, " || %spg_catalog.quote_literal(%s)", i > 0 ? "',' || " : "",
							 part);
	}
	if (plain)
		bytes = psprintf("(%s || %s%s)", secret, EffQuoteLiteral(double_backslashes(place)),
						 key.data);
	else
		/* the columns of a key may have collations that do not go together */
		bytes = psprintf("pg_catalog.replace((%s || %s%s) COLLATE pg_catalog.\"C\", %s, %s)",
						 secret, EffQuoteLiteral(place), key.data, EffQuoteLiteral("\\"),
							 EffQuoteLiteral("\\\\"));
	return psprintf("pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256(%s::bytea), 1, %d), "
					"'hex')", bytes, TOKEN_DIGITS / 2);
}

/* is_identifier: the row's key is the subject's, and has one text only. */
static bool
is_identifier(const Surrogate *surrogate)
{
	MapTable   *table = surrogate->table;
	Oid			type;

	if (surrogate->nkey != 1 || table->nkey != 1 || surrogate->key[0] != table->key[0])
		return false;
	type = EffBaseType(EffRelationColumn(table->rel, table->key[0])->type);
	return type == INT8OID || type == INT4OID || type == INT2OID || type == UUIDOID;
}

/*
 * EffSurrogateToken makes what the expression of token_sql() would for the row
 * with that key, without its being set up for each statement.
 */
char *
EffSurrogateToken(const Surrogate *surrogate, const char *secret, const char *identifier)
{
	char	   *text = psprintf("%s%s%s", secret, token_place(surrogate), identifier);
	Datum		hash = DirectFunctionCall1(sha256_bytea, PointerGetDatum(cstring_to_text(text)));
	char	   *token = palloc(TOKEN_DIGITS + 1);

	token[hex_encode(VARDATA_ANY(DatumGetByteaPP(hash)), TOKEN_DIGITS / 2, token)] = '\0';
	return token;
}

static char *
token_place(const Surrogate *surrogate)
{
	return psprintf("%s.%s:", surrogate->table->rel->sql,
					quote_identifier(surrogate->column->column->name));
}

static char *
double_backslashes(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (; *text != '\0'; text++)
	{
		if (*text == '\\')
			appendStringInfoChar(&buf, '\\');
		appendStringInfoChar(&buf, *text);
	}
	return buf.data;
}

/*
 * key_text_sql gives a key column as text that no setting changes: for types
 * whose output may depend on one, what they send.  Takes plain back where that
 * text may have a backslash.
 */
static char *
key_text_sql(Statement *st, EffRelation *rel, AttrNumber attnum, const char *alias, bool *plain)
{
	EffColumn  *column = EffRelationColumn(rel, attnum);
	Oid			base = EffBaseType(column->type);
	char		category;
	bool		number;
	Oid			send;

	category = EffTypeCategory(base);
	number = base == INT2OID || base == INT4OID || base == INT8OID || base == NUMERICOID ||
		base == OIDOID;
	if (!number && base != UUIDOID)
		*plain = false;
	/* others that count as numbers are floating, money, or names like regclass */
	if (category == TYPCATEGORY_STRING || category == TYPCATEGORY_ENUM ||
		category == TYPCATEGORY_BOOLEAN ||
		category == TYPCATEGORY_NETWORK || category == TYPCATEGORY_BITSTRING || base == UUIDOID ||
			number ||
		(category == TYPCATEGORY_NUMERIC && base >= FirstNormalObjectId))
		return psprintf("%s::text", EffStatementColumn(st, alias, rel, attnum));
	EffTypeSend(base, &send);
	return psprintf("pg_catalog.encode(%s(%s), 'hex')",
					quote_qualified_identifier(EffSchemaName(get_func_namespace(send)),
											   EffFunctionName(send)),
					EffStatementColumn(st, alias, rel, attnum));
}
