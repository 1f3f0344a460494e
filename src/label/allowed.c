/*
 * allowed.c
 *	  What the expression of a label may use.
 *
 * The finished tree is looked at, with every coercion and polymorphic call in it.
 * Each function, operator, type and written collation is of pg_catalog or a member
 * of an extension other than effaced, and belongs to a superuser: so nobody runs
 * code as whoever erases by writing a label.  Reading a column runs nothing, so a
 * column may be of any type.
 */
#include "postgres.h"

#include "effaced.h"
#include "base/gone.h"
#include "label/allowed_int.h"
#include "relations/types.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * The functions of pg_catalog that are stable and allowed: they depend on the
 * time, the time zone or the style of dates, or write values as text.  None
 * reads a setting, a file, a catalog or another session.
 */
static const char *const stable_allowed[] = {
	"age", "anytextcat", "array_to_json", "array_to_string", "concat", "concat_ws", "convert",
	"convert_from", "convert_to", "date", "date_cmp_timestamptz", "date_eq_timestamptz",
	"date_ge_timestamptz", "date_gt_timestamptz", "date_le_timestamptz", "date_lt_timestamptz",
	"date_ne_timestamptz", "date_part", "date_trunc", "enum_first", "enum_last", "enum_range",
	"extract", "format", "generate_series", "interval_pl_timestamptz", "json_build_array",
	"json_build_object", "jsonb_build_array", "jsonb_build_object", "jsonb_path_exists_tz",
	"jsonb_path_match_tz", "jsonb_path_query_array_tz", "jsonb_path_query_first_tz", "length",
	"make_timestamptz", "money", "now", "numeric", "overlaps", "quote_literal", "quote_nullable",
	"row_to_json", "statement_timestamp", "textanycat", "time", "timestamp",
	"timestamp_cmp_timestamptz", "timestamp_eq_timestamptz", "timestamp_ge_timestamptz",
	"timestamp_gt_timestamptz", "timestamp_le_timestamptz", "timestamp_lt_timestamptz",
	"timestamp_ne_timestamptz", "timestamptz", "timestamptz_cmp_date",
	"timestamptz_cmp_timestamp", "timestamptz_eq_date", "timestamptz_eq_timestamp",
	"timestamptz_ge_date", "timestamptz_ge_timestamp", "timestamptz_gt_date",
	"timestamptz_gt_timestamp", "timestamptz_le_date", "timestamptz_le_timestamp",
	"timestamptz_lt_date", "timestamptz_lt_timestamp", "timestamptz_mi_interval",
	"timestamptz_ne_date", "timestamptz_ne_timestamp", "timestamptz_pl_interval", "timetz",
	"timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp",
	"transaction_timestamp"
};

/* Functions of pg_catalog that look for a cast of their argument's type to json, and call it */
static const char *const json_writers[] = {
	"to_json", "to_jsonb", "row_to_json", "array_to_json", "json_build_object",
	"json_build_array", "jsonb_build_object", "jsonb_build_array"
};

typedef struct AllowedContext
{
	Oid			target_type;
	bool		of_extension;	/* something of an extension is used */
	char	   *refusal;
} AllowedContext;

static bool walk(Node *node, AllowedContext *context);
static bool refuse(AllowedContext *context, char *refusal);
static bool refuses_function(Oid function, void *context);
static bool reads_text(Form_pg_proc form);
static bool refuses_operator(Oid operator, AllowedContext *context);
static bool refuses_collation(Oid collation, AllowedContext *context);
static bool refuses_arguments(Oid function, List *args, AllowedContext *context);
static bool refuses_result(Node *node, AllowedContext *context);
static bool refuses_io(CoerceViaIO *coercion, AllowedContext *context);
static bool refuses_output(Oid type, AllowedContext *context);
static bool is_trusted(Oid class, Oid object, Oid schema, Oid owner, AllowedContext *context);
static bool is_trusted_type(Oid type, AllowedContext *context);
static bool is_allowed_type(Oid type, AllowedContext *context);
static bool has_check(Oid domain);
static Oid	domain_of(Oid domain);
static bool has_planted_cast(Oid source, Oid target, AllowedContext *context);
static Oid	innermost(Oid type);
static bool is_one_of(const char *name, const char *const *names, int n);

/*
 * EffAllowedRefusal returns what of a finished tree is not allowed, in words that
 * follow "uses", NULL where all is.  A value of the type of the target column may
 * be made, since whoever writes the column makes one.  of_extension tells whether
 * objects of an extension are used.
 */
char *
EffAllowedRefusal(Node *node, Oid target_type, bool *of_extension)
{
	AllowedContext context = {target_type, false, NULL};

	if (contain_volatile_functions(node))
		context.refusal = "a volatile function";
	else
		(void) walk(node, &context);
	*of_extension = context.of_extension;
	return context.refusal;
}

static bool
walk(Node *node, AllowedContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink) || IsA(node, Query) || IsA(node, Param) || IsA(node, Aggref) ||
		IsA(node, WindowFunc))
		return refuse(context, "a sub-select, aggregate or parameter");
	if (IsA(node, CoerceViaIO))
	{
		if (refuses_io((CoerceViaIO *) node, context))
			return true;
	}
	else if (check_functions_in_node(node, refuses_function, context))
		return true;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			if (refuses_arguments(((FuncExpr *) node)->funcid, ((FuncExpr *) node)->args, context))
				return true;
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (refuses_operator(((OpExpr *) node)->opno, context) ||
				refuses_arguments(get_opcode(((OpExpr *) node)->opno), ((OpExpr *) node)->args,
								  context))
				return true;
			break;
		case T_ScalarArrayOpExpr:
			if (refuses_operator(((ScalarArrayOpExpr *) node)->opno, context))
				return true;
			break;
		case T_RowCompareExpr:
			foreach_oid(operator, ((RowCompareExpr *) node)->opnos)
				if (refuses_operator(operator, context))
					return true;
			break;
		case T_CollateExpr:
			if (refuses_collation(((CollateExpr *) node)->collOid, context))
				return true;
			break;
#if PG_VERSION_NUM >= 160000
		case T_JsonConstructorExpr:
			{
				ListCell   *lc;

				foreach(lc, ((JsonConstructorExpr *) node)->args)
					if (!is_trusted_type(innermost(exprType(lfirst(lc))), context))
						return refuse(context, psprintf("JSON of a value of type %s",
														EffTypeName(exprType(lfirst(lc)))));
			}
			break;
#endif
		default:
			break;
	}
	return refuses_result(node, context) || expression_tree_walker(node, walk, context);
}

static bool
refuse(AllowedContext *context, char *refusal)
{
	context->refusal = refusal;
	return true;
}

/*
 * refuses_function refuses set-returning functions, those that are nobody's that
 * can be trusted, and those that depend on more than their arguments, unless
 * they are listed above.
 */
static bool
refuses_function(Oid function, void *arg)
{
	AllowedContext *context = arg;
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	char	   *name;
	char	   *refusal = NULL;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("function", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->proname));
	if (form->proretset)
		refusal = "a set-returning function";
	else if (!is_trusted(ProcedureRelationId, function, form->pronamespace, form->proowner,
						 context))
		refusal = psprintf("function %s, which is neither of pg_catalog nor of an extension of a "
						   "superuser's",
						   quote_qualified_identifier(EffSchemaName(form->pronamespace), name));
	else if (form->pronamespace == PG_CATALOG_NAMESPACE)
	{
		if (form->provolatile != PROVOLATILE_IMMUTABLE &&
			!is_one_of(name, stable_allowed, lengthof(stable_allowed)))
			refusal = psprintf("function %s, which reads more than its arguments", name);
	}
	else if (form->provolatile != PROVOLATILE_IMMUTABLE)
		refusal = psprintf("function %s of an extension, which is not immutable",
						   quote_qualified_identifier(EffSchemaName(form->pronamespace), name));
	if (refusal == NULL && reads_text(form))
		refusal = psprintf("function %s, which reads values of any type", name);
	ReleaseSysCache(tuple);
	return refusal != NULL && refuse(context, refusal);
}

/* reads_text finds the input functions of types, which a cast calls with a type of its choice. */
static bool
reads_text(Form_pg_proc form)
{
	const char *name = NameStr(form->proname);
	size_t		length = strlen(name);

	for (int i = 0; i < form->pronargs; i++)
		if (form->proargtypes.values[i] == CSTRINGOID ||
			form->proargtypes.values[i] == INTERNALOID)
			return true;
	return (length > 3 && strcmp(name + length - 3, "_in") == 0) ||
		(length > 5 && strcmp(name + length - 5, "_recv") == 0);
}

static bool
refuses_operator(Oid operator, AllowedContext *context)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *refusal = NULL;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("operator", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	if (!is_trusted(OperatorRelationId, operator, form->oprnamespace, form->oprowner, context))
		refusal = psprintf("operator %s, which is neither of pg_catalog nor of an extension of a "
						   "superuser's", NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return refusal != NULL && refuse(context, refusal);
}

static bool
refuses_collation(Oid collation, AllowedContext *context)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *refusal = NULL;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("collation", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	if (!is_trusted(CollationRelationId, collation, form->collnamespace, form->collowner, context))
		refusal = psprintf("collation \"%s\", which is neither of pg_catalog nor of an extension "
						   "of a superuser's", NameStr(form->collname));
	ReleaseSysCache(tuple);
	return refusal != NULL && refuse(context, refusal);
}

/*
 * refuses_arguments looks at calls that choose what they run by the types of
 * their arguments: functions in SQL are analysed anew for them, JSON functions look
 * for casts, and an overload that somebody adds may fit better than a polymorphic
 * function of an extension.
 */
static bool
refuses_arguments(Oid function, List *args, AllowedContext *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		by_type;
	bool		in_sql;
	bool		json;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("function", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	json = form->pronamespace == PG_CATALOG_NAMESPACE &&
		is_one_of(NameStr(form->proname), json_writers, lengthof(json_writers));
	in_sql = form->prolang == SQLlanguageId;
	by_type = OidIsValid(form->provariadic);
	for (int j = 0; j < form->pronargs; j++)
		by_type |= IsPolymorphicType(form->proargtypes.values[j]) ||
			form->proargtypes.values[j] == ANYOID || form->proargtypes.values[j] == RECORDOID;
	if (by_type && form->pronamespace != PG_CATALOG_NAMESPACE)
		(void) refuse(context, psprintf("function %s of an extension, which takes any type",
										EffFunctionName(function)));
	else if (by_type)
		foreach(lc, args)
		{
			Oid			type = innermost(exprType(lfirst(lc)));
			bool		concatenates = function == F_TEXTANYCAT || function == F_ANYTEXTCAT;

			if (is_trusted_type(type, context) && !(json && type == RECORDOID))
				continue;
			if (concatenates && get_typtype(type) == TYPTYPE_ENUM &&
				!has_planted_cast(type, TEXTOID, context))
				continue;		/* written with the enum's label, see EffExpressionAnalyze() */
			if (json || in_sql)
			{
				(void) refuse(context, psprintf("function %s on a value of type %s",
												EffFunctionName(function),
												EffTypeName(exprType(lfirst(lc)))));
				break;
			}
		}
	ReleaseSysCache(tuple);
	return context->refusal != NULL;
}

/*
 * refuses_result: a value of an application's type may be read from a column, and
 * made where that calls nothing of its owner's.
 */
static bool
refuses_result(Node *node, AllowedContext *context)
{
	Oid			type;

	switch (nodeTag(node))
	{
		case T_Var:
		case T_FieldSelect:
		case T_List:
		case T_TargetEntry:
		case T_CaseWhen:
		case T_CaseTestExpr:
			return false;
		case T_Const:
			if (((Const *) node)->constisnull)
				return false;
			/* FALLTHROUGH */
		case T_CoerceToDomain:
		case T_ArrayCoerceExpr:
			if (exprType(node) == context->target_type)
				return false;
			break;
		default:
			break;
	}
	type = exprType(node);
	if (!OidIsValid(type) || is_allowed_type(type, context))
		return false;
	return refuse(context, IsA(node, CoerceToDomain) ?
				  psprintf("a cast to the domain %s, which has a CHECK", EffTypeName(type)) :
				  psprintf("a value of type %s, which may run code of its owner's",
						   EffTypeName(type)));
}

/*
 * refuses_io: a cast by way of text calls the types' own functions.  An enum is
 * written as its label, unless somebody has made a cast of it; text becomes an
 * application's type only as a literal.
 */
static bool
refuses_io(CoerceViaIO *coercion, AllowedContext *context)
{
	Oid			source = getBaseType(exprType((Node *) coercion->arg));
	Oid			target = getBaseType(coercion->resulttype);
	Oid			types[2] = {source, target};

	for (int i = 0; i < 2; i++)
		if (innermost(types[i]) < FirstNormalObjectId &&
			strncmp(EffTypeName(innermost(types[i])), "reg", 3) == 0)
			return refuse(context, psprintf("a cast from or to type %s, which reads catalogs",
											EffTypeName(types[i])));
	if (!is_trusted_type(innermost(target), context))
		return refuse(context, psprintf("a cast to type %s", EffTypeName(target)));
	if (!is_trusted_type(source, context) && has_planted_cast(source, target, context))
		return refuse(context, psprintf("a cast of type %s to type %s that is a user's",
										EffTypeName(source), EffTypeName(target)));
	return refuses_output(source, context);
}

/* refuses_output: functions of extensions that write values must be immutable as well. */
static bool
refuses_output(Oid type, AllowedContext *context)
{
	Oid			output;

	if (innermost(type) < FirstNormalObjectId)
		return false;
	EffTypeOutput(innermost(type), &output);
	return get_func_namespace(output) != PG_CATALOG_NAMESPACE && refuses_function(output, context);
}

/* is_trusted tells whether an object is the server's or an extension's, and a superuser's. */
static bool
is_trusted(Oid class, Oid object, Oid schema, Oid owner, AllowedContext *context)
{
	Oid			extension;
	char	   *name;

	if (!superuser_arg(owner))
		return false;
	if (schema == PG_CATALOG_NAMESPACE)
		return true;
	extension = getExtensionOfObject(class, object);
	name = OidIsValid(extension) ? get_extension_name(extension) : NULL;
	if (name == NULL || strcmp(name, EFF_PROVIDER) == 0)
		return false;
	context->of_extension = true;
	return true;
}

static bool
is_trusted_type(Oid type, AllowedContext *context)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		trusted;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("type", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	trusted = is_trusted(TypeRelationId, type, form->typnamespace, form->typowner, context);
	ReleaseSysCache(tuple);
	return trusted;
}

/* is_allowed_type: an enum, and a domain over such a type that has no CHECK, run nothing. */
static bool
is_allowed_type(Oid type, AllowedContext *context)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		return get_typtype(element) == TYPTYPE_DOMAIN ? is_trusted_type(element, context) :
			is_allowed_type(element, context);
	if (is_trusted_type(type, context))
		return true;
	switch (get_typtype(type))
	{
		case TYPTYPE_ENUM:
			return true;
		case TYPTYPE_DOMAIN:
			return !has_check(type) && is_allowed_type(domain_of(type), context);
		default:
			return false;
	}
}

/* has_check tells whether a domain has a CHECK of its own. */
static bool
has_check(Oid domain)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(domain));
	scan = systable_beginscan(constraints, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_CHECK;
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return found;
}

/* domain_of returns the type that a domain is directly made of. */
static Oid
domain_of(Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("type", domain);
	type = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	return type;
}

/* has_planted_cast tells whether a cast calls a function that is not to be trusted. */
static bool
has_planted_cast(Oid source, Oid target, AllowedContext *context)
{
	Oid			function = InvalidOid;

	return find_coercion_pathway(target, source, COERCION_EXPLICIT, &function) ==
		COERCION_PATH_FUNC && OidIsValid(function) &&
		get_func_namespace(function) != PG_CATALOG_NAMESPACE;
}

/* innermost returns the type of an array's elements, without domains. */
static Oid
innermost(Oid type)
{
	Oid			element;

	type = EffBaseType(type);
	while (OidIsValid(element = get_element_type(type)))
		type = EffBaseType(element);
	return type;
}

static bool
is_one_of(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}
