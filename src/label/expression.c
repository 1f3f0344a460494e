/*
 * expression.c
 *	  Checks the SQL expressions of labels.
 *
 * A label must not be a way to run code as whoever erases: allowed.c says what the
 * finished tree may hold.  It is looked at whenever the expression is analysed, for a
 * plan too, and not only when the label is written.  Literals are read while an
 * expression is analysed, before anything can be refused: that happens as the owner of
 * the table.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/gone.h"
#include "base/run.h"
#include "label/allowed_int.h"
#include "label/expression.h"
#include "relations/types.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#define ALLOWED \
	"Allowed: columns of the table, constants, and functions and operators of pg_catalog that " \
	"depend on their arguments and the time alone, or, schema-qualified, immutable ones of " \
	"extensions that are a superuser's; enums, and domains without a CHECK.  Not allowed: " \
	"sub-select, aggregate, window and set-returning functions."

static Node *check_as_owner(EffRelation *rel, Relation relation, const char *text,
							EffColumn *target, const char *key, bool *of_extension);
static Bitmapset *columns_read(EffRelation *rel, Node *node);
static Node *parse_expression(const char *text);
static Node *analyze(Relation relation, Node *raw, EffColumn *target);
static Node *without_constraints(Node *node);
static Node *without_choice(Node *node, void *context);
static Node *concatenate_text(OpExpr *concatenation);
static Node *write_enum(CoerceViaIO *coercion);
static void evaluate(Node *node);
static void invalid(EffRelation *rel, const char *text, const char *key,
					MemoryContext context) pg_attribute_noreturn();
static bool moving_walker(Node *node, void *context);

/*
 * EffExpressionAnalyze returns an expression of a label, analysed over the columns
 * of a relation: as a value for target or, where target is NULL, as a condition.
 * alias is what its columns are written with.  The result is in the current memory
 * context.  ERROR ZE001, which names the label's key, where the expression is
 * wrong or could run code that the caller did not choose.  Called with the
 * settings pinned.
 */
EffExpression *
EffExpressionAnalyze(EffRelation *rel, const char *alias, const char *text,
					 EffColumn *target, const char *key)
{
	EffExpression *result = palloc0(sizeof(EffExpression));
	Relation	relation = EffRelationOpen(rel);
	bool		of_extension;
	Node	   *node = check_as_owner(rel, relation, text, target, key, &of_extension);
	Node	   *bare = strip_implicit_coercions(node);

	result->node = node;
	result->is_null = IsA(bare, Const) && ((Const *) bare)->constisnull;
	result->moving = moving_walker(node, NULL);
	if (result->moving && strcmp(key, "surrogate") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" gives another value at another time", key),
				 errdetail("\"%s\": a surrogate must be recognisable later, and the same when an "
						   "erasure is run again.", text),
				 errhint("Use columns and constants; a time of erasure is written by the table's "
						 "label key \"set\"."),
				 errhidestmt(true)));
	result->columns = columns_read(rel, node);
	if (target)
		node = without_constraints(node);
	node = without_choice(node, NULL);
	result->sql = deparse_expression(node, deparse_context_for(alias, rel->oid), true,
									 target != NULL || of_extension);

	if (target && result->is_null && target->not_null)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" is NULL, but column \"%s\" of table \"%s\" "
						"is not nullable",
						key, target->name, rel->relname),
				 errhint("Give an expression that is not NULL."),
				 errhidestmt(true)));
	table_close(relation, AccessShareLock);
	return result;
}

/*
 * check_as_owner analyses and checks an expression as the owner of the table,
 * security-restricted: input functions of literals run meanwhile.  A constant is
 * computed too, so that one that does not fit is found now rather than at the first
 * row.
 */
static Node *
check_as_owner(EffRelation *rel, Relation relation, const char *text, EffColumn *target,
			   const char *key, bool *of_extension)
{
	MemoryContext context = CurrentMemoryContext;
	Node	   *volatile node = NULL;
	char	   *refusal;
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(relation->rd_rel->relowner,
						   security_context | SECURITY_RESTRICTED_OPERATION);
	PG_TRY();
	{
		node = analyze(relation, parse_expression(text), target);
	}
	PG_CATCH();
	{
		SetUserIdAndSecContext(user, security_context);
		invalid(rel, text, key, context);
	}
	PG_END_TRY();

	refusal = EffAllowedRefusal(node, target ? target->type : InvalidOid, of_extension);
	if (refusal)
	{
		SetUserIdAndSecContext(user, security_context);
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("expression of label key \"%s\" uses %s", key, refusal),
				 errdetail("\"%s\"", text),
				 errhint(ALLOWED),
				 errhidestmt(true)));
	}

	PG_TRY();
	{
		if (!contain_var_clause(node) && !contain_mutable_functions(node))
			evaluate(node);
	}
	PG_CATCH();
	{
		SetUserIdAndSecContext(user, security_context);
		invalid(rel, text, key, context);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security_context);
	return node;
}

/* columns_read returns the attnums that an expression reads, all for the whole row. */
static Bitmapset *
columns_read(EffRelation *rel, Node *node)
{
	Bitmapset  *columns = NULL;
	Bitmapset  *members = NULL;
	int			member = -1;

	pull_varattnos(node, 1, &members);
	while ((member = bms_next_member(members, member)) >= 0)
	{
		int			attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum == 0)		/* the whole row */
			for (int i = 0; i < rel->ncolumns; i++)
				columns = bms_add_member(columns, rel->columns[i].attnum);
		else if (attnum > 0)
			columns = bms_add_member(columns, attnum);
	}
	return columns;
}

/*
 * without_constraints takes off what assigning to the column does anyway and an
 * explicit cast would do otherwise: a text that is too long is an error and not
 * cut.  What rounds stays, so that the value compares equal to what was stored.
 */
static Node *
without_constraints(Node *node)
{
	Oid			type;

	if (IsA(node, CoerceToDomain))
		node = (Node *) ((CoerceToDomain *) node)->arg;
	type = exprType(node);
	if (exprIsLengthCoercion(node, NULL) && IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST &&
		(type == VARCHAROID || type == BPCHAROID))
		node = linitial(((FuncExpr *) node)->args);
	return node;
}

/*
 * without_choice writes what the server would look up anew when the statement is
 * prepared, so that nothing that somebody adds between the check and then is called:
 * a cast of an enum, a CHECK of a domain, the cast that text || anything makes.
 */
static Node *
without_choice(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	node = expression_tree_mutator(node, without_choice, context);
	if (IsA(node, OpExpr))
		node = concatenate_text((OpExpr *) node);
	if (IsA(node, CoerceViaIO))
		return write_enum((CoerceViaIO *) node);
	if (IsA(node, CoerceToDomain))
		return (Node *) ((CoerceToDomain *) node)->arg;
	return node;
}

/*
 * concatenate_text writes text || anything, which is stable whatever it is made
 * of, as the || of two texts that it is inlined to: Citus updates several
 * shards by immutable functions of columns only.
 */
static Node *
concatenate_text(OpExpr *concatenation)
{
	int			other;
	Node	   *text;

	if (concatenation->opfuncid != F_TEXTANYCAT && concatenation->opfuncid != F_ANYTEXTCAT)
		return (Node *) concatenation;
	other = concatenation->opfuncid == F_TEXTANYCAT ? 1 : 0;
	text = list_nth(concatenation->args, other);
	text = coerce_to_target_type(NULL, text, exprType(text), TEXTOID, -1,
								 COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	if (text == NULL)
		return (Node *) concatenation;
	if (IsA(text, CoerceViaIO))
		text = write_enum((CoerceViaIO *) text);
	lfirst(list_nth_cell(concatenation->args, other)) = text;
	concatenation->opno = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("||")),
										   TEXTOID, TEXTOID);
	concatenation->opfuncid = F_TEXTCAT;
	return (Node *) concatenation;
}

/* write_enum writes a cast of an enum as one of its label, which nobody else can make. */
static Node *
write_enum(CoerceViaIO *coercion)
{
	if (get_typtype(EffBaseType(exprType((Node *) coercion->arg))) != TYPTYPE_ENUM)
		return (Node *) coercion;
	coercion->arg = (Expr *) makeFuncExpr(F_ENUM_OUT, CSTRINGOID, list_make1(coercion->arg),
										  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	return (Node *) coercion;
}

/* evaluate computes a constant, constraints of a domain included. */
static void
evaluate(Node *node)
{
	EState	   *estate = CreateExecutorState();
	ExprState  *state = ExecPrepareExpr((Expr *) node, estate);
	bool		isnull;

	(void) ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), &isnull);
	FreeExecutorState(estate);
}

/* invalid is called in PG_CATCH: what is wrong with the expression is ZE001. */
static void
invalid(EffRelation *rel, const char *text, const char *key, MemoryContext context)
{
	ErrorData  *error = EffCatchUserError(context);

	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("expression of label key \"%s\" is not valid for table \"%s\"", key,
					rel->relname),
			 errdetail("\"%s\": %s.", text, error->message),
			 errhint(ALLOWED),
			 errhidestmt(true)));
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
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression"),
				 errhidestmt(true)));
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1 ||
		select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->valuesLists || select->sortClause ||
		select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause || select->op != SETOP_NONE)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression"),
				 errhidestmt(true)));
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL ||
		(IsA(target->val, ColumnRef) &&
		 IsA(llast(((ColumnRef *) target->val)->fields), A_Star)))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not one expression"),
				 errhidestmt(true)));
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
							target->name, EffTypeName(target->type), EffTypeName(type)),
					 errhidestmt(true)));
	}
	assign_expr_collations(pstate, node);
	free_parsestate(pstate);
	return node;
}

/*
 * moving_walker finds what depends on nothing but the time or the session:
 * CURRENT_DATE, now() and their like.  A function of columns that is stable
 * only for its casts, such as text || integer, is none.
 */
static bool
moving_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
		return true;
	if (IsA(node, FuncExpr))
	{
		FuncExpr   *call = (FuncExpr *) node;
		char	   *name = EffFunctionName(call->funcid);

		if (func_volatile(call->funcid) != PROVOLATILE_IMMUTABLE &&
			(call->args == NIL || strcmp(name, "current_setting") == 0 ||
			 (strcmp(name, "age") == 0 && list_length(call->args) == 1)))
			return true;
	}
	return expression_tree_walker(node, moving_walker, context);
}
