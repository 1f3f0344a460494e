/*
 * surrogate_checks.c
 *	  Unique indexes, CHECKs and domains that stand in the way of a surrogate.
 */
#include "postgres.h"

#include "base/gone.h"
#include "relations/types.h"
#include "rows/surrogate_int.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct CheckWalk
{
	ColumnPlace *place;
	Const	   *value;			/* put in place of the column, or NULL */
	bool		other_columns;
	bool		reads_value;	/* other than by IS [NOT] NULL */
	bool		users_code;		/* runs what somebody has defined */
} CheckWalk;

static bool index_in_the_way(ColumnPlace *place, EffIndex *index, bool token);
static bool reads_column(ColumnPlace *place, Node *node);
static bool stays_distinct(ColumnPlace *place, Node *node);
static bool check_may_fail(const char *conbin, Surrogate *surrogate, ColumnPlace *place);
static bool check_walker(Node *node, CheckWalk *walk);
static bool is_users_function(Oid function, void *context);
static Node *check_mutator(Node *node, CheckWalk *walk);
static bool constant_datum(Surrogate *surrogate, Oid type, Datum *value);

/*
 * EffUniqueIndexInTheWay names an index under which defaults would collide:
 * only tokens of enough digits, made of a row key, stay distinct.
 */
char *
EffUniqueIndexInTheWay(Surrogate *surrogate, List *places)
{
	bool		token = surrogate->nkey > 0 &&
		(surrogate->kind == SURROGATE_UUID ||
		 (surrogate->kind == SURROGATE_TEXT &&
		  (surrogate->length == 0 || surrogate->length >= strlen(TOKEN_PREFIX) + UNIQUE_DIGITS)));
	ListCell   *lc;

	foreach(lc, places)
		foreach_ptr(EffIndex, index, ((ColumnPlace *) lfirst(lc))->rel->indexes)
		{
			if ((index->unique || index->exclusion) && index_in_the_way(lfirst(lc), index, token))
				return get_rel_name(index->oid);
		}
	return NULL;
}

static bool
index_in_the_way(ColumnPlace *place, EffIndex *index, bool token)
{
	Relation	relation = try_relation_open(index->oid, AccessShareLock);
	List	   *parts;
	ListCell   *lc;

	/* it has just been dropped */
	if (relation == NULL)
		return false;
	parts = list_copy(RelationGetIndexExpressions(relation));
	relation_close(relation, AccessShareLock);
	for (int i = 0; i < index->nkeys; i++)
		if (index->keys[i] != 0)
			parts = lappend(parts, makeVar(1, index->keys[i], InvalidOid, -1, InvalidOid, 0));
	foreach(lc, parts)
		if (reads_column(place, lfirst(lc)) && !(token && stays_distinct(place, lfirst(lc))))
			return true;
	return false;
}

/* reads_column: the expression reads the column, or one that is generated from it. */
static bool
reads_column(ColumnPlace *place, Node *node)
{
	Bitmapset  *attnums = NULL;
	int			i = -1;

	pull_varattnos(node, 1, &attnums);
	while ((i = bms_next_member(attnums, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;
		EffColumn  *column = EffRelationFindColumn(place->rel, attnum);

		if (attnum == 0 || attnum == place->column->attnum)
			return true;
		if (column != NULL && column->generated &&
			bms_is_member(place->column->attnum, EffGeneratedFrom(place->rel, column)))
			return true;
	}
	return false;
}

/* stays_distinct: the expression makes distinct values of distinct tokens. */
static bool
stays_distinct(ColumnPlace *place, Node *node)
{
	if (IsA(node, RelabelType))
		return stays_distinct(place, (Node *) ((RelabelType *) node)->arg);
	if (IsA(node, CollateExpr))
		return stays_distinct(place, (Node *) ((CollateExpr *) node)->arg);
	if (IsA(node, CoerceViaIO))
		return stays_distinct(place, (Node *) ((CoerceViaIO *) node)->arg);
	if (IsA(node, FuncExpr))
	{
		FuncExpr   *function = (FuncExpr *) node;

		switch (function->funcid)
		{
			case F_LOWER_TEXT:
			case F_UPPER_TEXT:
			case F_MD5_TEXT:
			case F_TEXT_BPCHAR:
				return stays_distinct(place, linitial(function->args));
		}
	}
	if (IsA(node, Var))
	{
		AttrNumber	attnum = ((Var *) node)->varattno;
		EffColumn  *column = EffRelationFindColumn(place->rel, attnum);

		if (attnum == place->column->attnum)
			return true;
		return column != NULL && column->generated &&
			stays_distinct(place, EffGenerationExpression(place->rel, attnum));
	}
	return false;
}

/* EffTableCheckInTheWay names a CHECK of the table or a child that the default may violate. */
char *
EffTableCheckInTheWay(Surrogate *surrogate, List *places)
{
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	char	   *found = NULL;

	foreach_ptr(ColumnPlace, place, places)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(place->rel->oid));
		scan = systable_beginscan(pg_constraint, ConstraintRelidTypidNameIndexId, true, NULL, 1,
								  &key);
		while (found == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
			bool		isnull;
			Datum		conbin = heap_getattr(tuple, Anum_pg_constraint_conbin,
											  RelationGetDescr(pg_constraint), &isnull);

			/* what a child has from its parent is looked at there */
			if (form->contype == CONSTRAINT_CHECK && !isnull &&
				(form->conislocal || place->rel == surrogate->table->rel) &&
				check_may_fail(TextDatumGetCString(conbin), surrogate, place))
				found = pstrdup(NameStr(form->conname));
		}
		systable_endscan(scan);
		if (found != NULL)
			break;
	}
	table_close(pg_constraint, AccessShareLock);
	return found;
}

/* EffDomainCheckInTheWay does the same for the domain that the column is of. */
char *
EffDomainCheckInTheWay(Surrogate *surrogate, ColumnPlace *place)
{
	Oid			type = surrogate->column->column->type;
	char	   *found = NULL;

	while (found == NULL && get_typtype(type) == TYPTYPE_DOMAIN)
	{
		Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(type));
		scan = systable_beginscan(pg_constraint, ConstraintTypidIndexId, true, NULL, 1, &key);
		while (found == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			bool		isnull;
			Datum		conbin = heap_getattr(tuple, Anum_pg_constraint_conbin,
											  RelationGetDescr(pg_constraint), &isnull);

			if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_CHECK && !isnull &&
				check_may_fail(TextDatumGetCString(conbin), surrogate, place))
				found = pstrdup(NameStr(((Form_pg_constraint) GETSTRUCT(tuple))->conname));
		}
		systable_endscan(scan);
		table_close(pg_constraint, AccessShareLock);

		tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		if (!HeapTupleIsValid(tuple))
			EffGoneObject("type", type);
		type = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
		ReleaseSysCache(tuple);
	}
	return found;
}

/*
 * check_may_fail: a check that only asks whether the column is NULL holds as
 * before; a constant is tried, unless that would run somebody's code; anything
 * else may fail.
 */
static bool
check_may_fail(const char *conbin, Surrogate *surrogate, ColumnPlace *place)
{
	Node	   *check = stringToNode(conbin);
	CheckWalk	walk = {.place = place};
	Oid			type = surrogate->column->column->type;
	EffSubtransaction sub;
	Datum		value;
	bool		volatile may_fail = true;

	(void) check_walker(check, &walk);
	if (!walk.reads_value)
		return false;
	if (walk.other_columns || walk.users_code || surrogate->kind != SURROGATE_CONSTANT ||
		!constant_datum(surrogate, type, &value))
		return true;

	walk.value = makeConst(EffBaseType(type), -1, get_typcollation(type), get_typlen(type),
						   value, false, get_typbyval(type));
	EffSubBegin(&sub);
	PG_TRY();
	{
		Node	   *result = eval_const_expressions(NULL, check_mutator(check, &walk));

		may_fail = !(IsA(result, Const) &&
					 (((Const *) result)->constisnull ||
					  DatumGetBool(((Const *) result)->constvalue)));
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		FreeErrorData(EffSubCatchUserError(&sub));
	}
	PG_END_TRY();
	return may_fail;
}

static bool
check_walker(Node *node, CheckWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, NullTest) && !((NullTest *) node)->argisrow)
	{
		Node	   *arg = (Node *) ((NullTest *) node)->arg;

		if (IsA(arg, CoerceToDomainValue) ||
			(IsA(arg, Var) && ((Var *) arg)->varattno == walk->place->column->attnum))
			return false;
	}
	if (IsA(node, CoerceToDomainValue))
		walk->reads_value = true;
	else if (IsA(node, Var))
	{
		AttrNumber	attnum = ((Var *) node)->varattno;

		walk->reads_value |= reads_column(walk->place, node);
		walk->other_columns |= attnum != walk->place->column->attnum;
	}
	else if (IsA(node, CoerceToDomain) || check_functions_in_node(node, is_users_function, NULL))
		walk->users_code = true;
	return expression_tree_walker(node, check_walker, walk);
}

static bool
is_users_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

static Node *
check_mutator(Node *node, CheckWalk *walk)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, CoerceToDomainValue) || IsA(node, Var))
		return (Node *) copyObject(walk->value);
	return expression_tree_mutator(node, check_mutator, walk);
}

static bool
constant_datum(Surrogate *surrogate, Oid type, Datum *value)
{
	int32		typmod = surrogate->column->column->typmod;
	Oid			input;
	Oid			ioparam;

	EffTypeInput(EffBaseTypeAndTypmod(type, &typmod), &input, &ioparam);
	*value = OidInputFunctionCall(input, unconstify(char *, surrogate->constant), ioparam, typmod);
	return true;
}
