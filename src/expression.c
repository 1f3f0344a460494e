/*
 * expression.c
 *	  Checks the SQL expressions of labels.
 *
 * A label must not be a way to run code as whoever erases: only functions of
 * pg_catalog and of extensions, no sub-select, aggregate, set-returning or
 * volatile function, and no cast into somebody's domain.
 */
#include "postgres.h"

#include "expression.h"
#include "compat.h"

#include "access/table.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* Functions of pg_catalog that read whole tables, and so run what views call */
static const char *const table_readers[] = {
	"table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
	"schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema",
	"database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema"
};

typedef struct CheckContext
{
	Oid			target_type;
	char	   *found;			/* what is not allowed */
} CheckContext;

static Node *parse_expression(const char *text);
static Node *analyze(Relation relation, Node *raw, EffColumn *target);
static bool forbidden_walker(Node *node, CheckContext *context);
static bool forbidden_function(Oid function, void *context);

EffExpression *
EffExpressionAnalyze(EffRelation *rel, const char *alias, const char *text,
					 EffColumn *target, const char *key)
{
	MemoryContext context = CurrentMemoryContext;
	EffExpression *result = palloc0(sizeof(EffExpression));
	Relation	relation = table_open(rel->oid, AccessShareLock);
	Node	   *volatile node = NULL;
	CheckContext check = {InvalidOid, NULL};
	Bitmapset  *attnums = NULL;
	int			attnum = -1;

	PG_TRY();
	{
		node = analyze(relation, parse_expression(text), target);
		/* a constant that does not fit is found now rather than at the first row */
		if (!contain_var_clause(node) && !contain_mutable_functions(node))
			(void) eval_const_expressions(NULL, node);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" is not valid for table %s", key, rel->name),
				 errdetail("\"%s\": %s.", text, error->message),
				 errhint("Allowed: columns of the table, constants, and functions and operators of pg_catalog or of extensions, the latter schema-qualified.")));
	}
	PG_END_TRY();

	check.target_type = target ? target->type : InvalidOid;
	if (contain_volatile_functions(node))
		check.found = "a volatile function";
	else
		(void) forbidden_walker(node, &check);
	if (check.found)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" uses %s", key, check.found),
				 errdetail("\"%s\"", text),
				 errhint("Allowed: columns of the table, constants, and functions and operators of pg_catalog or of extensions that are not volatile, without sub-select, aggregate or set-returning function.")));

	result->node = node;
	result->is_null = IsA(node, Const) && ((Const *) node)->constisnull;
	result->immutable = !contain_mutable_functions(node);
	pull_varattnos(node, 1, &attnums);
	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
	{
		int			number = attnum + FirstLowInvalidHeapAttributeNumber;

		if (number == 0)		/* the whole row */
			for (int i = 0; i < rel->ncolumns; i++)
				result->columns = bms_add_member(result->columns, rel->columns[i].attnum);
		else if (number > 0)
			result->columns = bms_add_member(result->columns, number);
	}
	result->sql = deparse_expression(node, deparse_context_for(alias, rel->oid), true, false);

	if (target && result->is_null && target->not_null)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" is NULL, but column \"%s\" of table %s is not nullable",
						key, target->name, rel->name),
				 errhint("Give an expression that is not NULL.")));
	table_close(relation, AccessShareLock);
	return result;
}

/*
 * parse_expression takes exactly one expression, whatever the text tries.
 */
static Node *
parse_expression(const char *text)
{
	List	   *statements = raw_parser(psprintf("SELECT %s\n", text), RAW_PARSE_DEFAULT);
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression")));
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1 ||
		select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->valuesLists || select->sortClause ||
		select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause || select->op != SETOP_NONE)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression")));
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL ||
		(IsA(target->val, ColumnRef) &&
		 IsA(llast(((ColumnRef *) target->val)->fields), A_Star)))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression")));
	return target->val;
}

/* analyze types the expression; the kind of expression forbids sub-selects and the like. */
static Node *
analyze(Relation relation, Node *raw, EffColumn *target)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item = addRangeTableEntryForRelation(pstate, relation, AccessShareLock,
															 NULL, false, true);
	Node	   *node;

	addNSItemToQuery(pstate, item, true, true, true);
	node = transformExpr(pstate, raw, EXPR_KIND_CHECK_CONSTRAINT);
	if (target == NULL)
		node = coerce_to_boolean(pstate, node, "where");
	else
	{
		Oid			type = exprType(node);

		node = coerce_to_target_type(pstate, node, type, target->type, target->typmod,
									 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (node == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" is of type %s but the expression is of type %s",
							target->name, format_type_be(target->type), format_type_be(type))));
	}
	assign_expr_collations(pstate, node);
	free_parsestate(pstate);
	return node;
}

static bool
forbidden_walker(Node *node, CheckContext *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, forbidden_function, context))
		return true;
	if (IsA(node, CoerceToDomain))
	{
		Oid			type = ((CoerceToDomain *) node)->resulttype;

		if (type != context->target_type &&
			get_typ_typrelid(type) == InvalidOid &&
			!OidIsValid(getExtensionOfObject(TypeRelationId, type)))
		{
			context->found = psprintf("a cast to the domain %s", format_type_be(type));
			return true;
		}
	}
	if (IsA(node, SubLink) || IsA(node, Query) || IsA(node, Param) || IsA(node, Aggref) ||
		IsA(node, WindowFunc))
	{
		context->found = "a sub-select, aggregate or parameter";
		return true;
	}
	return expression_tree_walker(node, forbidden_walker, context);
}

static bool
forbidden_function(Oid function, void *arg)
{
	CheckContext *context = arg;
	Oid			schema = get_func_namespace(function);
	char	   *name = get_func_name(function);

	if (get_func_retset(function))
	{
		context->found = "a set-returning function";
		return true;
	}
	if (schema == PG_CATALOG_NAMESPACE)
	{
		for (int i = 0; i < lengthof(table_readers); i++)
			if (strcmp(name, table_readers[i]) == 0)
			{
				context->found = psprintf("function %s, which reads tables", name);
				return true;
			}
		return false;
	}
	if (OidIsValid(getExtensionOfObject(ProcedureRelationId, function)))
		return false;
	context->found = psprintf("function %s, which is neither of pg_catalog nor of an extension",
							  quote_qualified_identifier(get_namespace_name(schema), name));
	return true;
}
