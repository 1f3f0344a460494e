/*
 * foretell.c
 *	  What the writing of a plan is bound to run into, where labels and catalogs
 *	  prove it: constants that collide or that no partition takes, and tables that
 *	  cannot be replicated.
 */
#include "postgres.h"

#include "label/expression.h"
#include "plan/plan_int.h"
#include "relations/types.h"

#include "access/relation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_publication.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Columns of a table that become the same in every row, by name */
typedef struct ConstantColumn
{
	EffColumn  *column;
	bool		is_null;
	Const	   *value;			/* NULL where it is not known without running the plan */
} ConstantColumn;

static List *constant_columns(PlannedTable *planned);
static ConstantColumn *new_constant(EffRelation *rel, EffColumn *column, const char *text,
									const char *key);
static ConstantColumn *constant_of(Surrogate *surrogate);
static ConstantColumn *find_constant(List *constants, const char *name);
static void check_unique(EffRelation *rel, List *constants);
static bool nulls_collide(Oid index);
static void check_partitions(PlanBuild *build, PlannedTable *planned, List *constants);
static bool may_take(Oid partition, List *constants);
static Node *put_constants(Node *node, void *context);
static bool is_users(Oid function, void *context);
static bool runs_users_code(Node *node, void *context);
static void check_replica_identity(EffRelation *rel, bool deletes);

/*
 * EffPlanForetell raises ZE004 where the rows of a planned table cannot be written as
 * planned whatever is in them.
 */
void
EffPlanForetell(PlanBuild *build, PlannedTable *planned)
{
	List	   *constants = planned->deleted || planned->own_links ? NIL :
		constant_columns(planned);

	foreach_oid(oid, planned->table->rel->inheritors)
	{
		EffRelation *rel = EffMapLoad(build->map, oid);

		if (constants != NIL)
			check_unique(rel, constants);
		if (planned->deleted || planned->anonymize != NIL || planned->has_set)
			check_replica_identity(rel, planned->deleted);
	}
	if (constants != NIL && planned->table->rel->relkind == RELKIND_PARTITIONED_TABLE)
		check_partitions(build, planned, constants);
}

/* constant_columns returns the columns (of ConstantColumn) that get the same in every row. */
static List *
constant_columns(PlannedTable *planned)
{
	EffRelation *rel = planned->table->rel;
	List	   *constants = NIL;

	foreach_ptr(Surrogate, surrogate, planned->anonymize)
	{
		ConstantColumn *constant = constant_of(surrogate);

		if (constant != NULL)
			constants = lappend(constants, constant);
	}
	foreach_ptr(SetLabel, set, planned->has_set ? planned->table->label->set : NIL)
	{
		ConstantColumn *constant = new_constant(rel, EffRelationColumnNamed(rel, set->column),
												set->expression, "set");

		if (constant != NULL)
			constants = lappend(constants, constant);
	}
	return constants;
}

/* constant_of returns NULL where a surrogate tells rows apart. */
static ConstantColumn *
constant_of(Surrogate *surrogate)
{
	EffColumn  *column = surrogate->column->column;
	ConstantColumn *constant;
	int32		typmod = column->typmod;
	Oid			input;
	Oid			ioparam;
	Oid			base = EffBaseTypeAndTypmod(column->type, &typmod);

	switch (surrogate->kind)
	{
		case SURROGATE_EXPRESSION:
		case SURROGATE_NULL:
			if (surrogate->column->label->surrogate != NULL)
				return new_constant(surrogate->table->rel, column,
									surrogate->column->label->surrogate, "surrogate");
			break;
		case SURROGATE_CONSTANT:
			break;
		case SURROGATE_TEXT:
		case SURROGATE_UUID:
			if (surrogate->nkey > 0)
				return NULL;
			break;
		case SURROGATE_GENERATED:
			return NULL;
	}
	constant = palloc0(sizeof(ConstantColumn));
	constant->column = column;
	constant->is_null = surrogate->kind == SURROGATE_NULL;
	EffTypeInput(base, &input, &ioparam);
	if (constant->is_null)
		constant->value = makeNullConst(base, typmod, column->collation);
	else if (surrogate->kind == SURROGATE_CONSTANT)
		constant->value = makeConst(base, typmod, column->collation, get_typlen(base),
									OidInputFunctionCall(input,
														 unconstify(char *, surrogate->constant),
														 ioparam, typmod),
									false, get_typbyval(base));
	return constant;
}

/* new_constant returns NULL where the expression reads a column. */
static ConstantColumn *
new_constant(EffRelation *rel, EffColumn *column, const char *text, const char *key)
{
	EffExpression *expression = EffExpressionAnalyze(rel, "t", text, column, key);
	ConstantColumn *constant;
	Node	   *value;

	if (!bms_is_empty(expression->columns) || expression->moving)
		return NULL;
	value = eval_const_expressions(NULL, expression->node);
	constant = palloc0(sizeof(ConstantColumn));
	constant->column = column;
	constant->is_null = expression->is_null;
	constant->value = IsA(value, Const) ? (Const *) value : NULL;
	return constant;
}

static ConstantColumn *
find_constant(List *constants, const char *name)
{
	foreach_ptr(ConstantColumn, constant, constants)
		if (strcmp(constant->column->name, name) == 0)
			return constant;
	return NULL;
}

/*
 * check_unique: under a unique index all of whose columns become constant a second row
 * collides with the first.  A partial index may leave rows out, and one over expressions
 * may tell them apart: both prove nothing.
 */
static void
check_unique(EffRelation *rel, List *constants)
{
	foreach_ptr(EffIndex, index, rel->indexes)
	{
		bool		collide = index->unique && !index->partial;
		StringInfoData names;

		initStringInfo(&names);
		for (int i = 0; collide && i < index->nkeys; i++)
		{
			EffColumn  *column = index->keys[i] == 0 ? NULL :
				EffRelationColumn(rel, index->keys[i]);
			ConstantColumn *constant = column ? find_constant(constants, column->name) : NULL;

			collide = constant != NULL && (!constant->is_null || nulls_collide(index->oid));
			if (collide)
				appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
								 quote_identifier(column->name));
		}
		if (collide)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_ANONYMIZATION),
					 errmsg("surrogates in table \"%s\" would collide under the unique index"
							" \"%s\"",
							rel->relname, get_rel_name(index->oid)),
					 errdetail("Every row gets the same in: %s.", names.data),
					 errhint("Let a surrogate read the key: SECURITY LABEL FOR effaced ON COLUMN"
							 " ... IS '{..., \"surrogate\": \"''deleted-'' || id\"}';"),
					 errhidestmt(true)));
	}
}

/* nulls_collide: the index is NULLS NOT DISTINCT. */
static bool
nulls_collide(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		collide;

	if (!HeapTupleIsValid(tuple))
		return false;
	collide = ((Form_pg_index) GETSTRUCT(tuple))->indnullsnotdistinct;
	ReleaseSysCache(tuple);
	return collide;
}

/* check_partitions: some partition must be able to take rows with the constants. */
static void
check_partitions(PlanBuild *build, PlannedTable *planned, List *constants)
{
	EffRelation *rel = planned->table->rel;
	bool		leaves = false;

	foreach_oid(oid, rel->inheritors)
	{
		if (EffMapLoad(build->map, oid)->relkind == RELKIND_PARTITIONED_TABLE)
			continue;
		if (may_take(oid, constants))
			return;
		leaves = true;
	}
	if (leaves)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("no partition of table \"%s\" takes the surrogates of its rows",
						rel->relname),
				 errdetail("The partition key is made of columns that get constants."),
				 errhint("Write \"surrogate\" into the label of the key's column, with a value that"
						 " a partition takes, or: CREATE TABLE ... PARTITION OF %s DEFAULT;",
						 rel->sql),
				 errhidestmt(true)));
}

/* may_take: the partition's condition is not false for the constants. */
static bool
may_take(Oid partition, List *constants)
{
	Relation	relation = try_relation_open(partition, AccessShareLock);
	List	   *known = NIL;
	Node	   *condition;
	bool		taken;

	if (relation == NULL)
		return true;
	foreach_ptr(ConstantColumn, constant, constants)
	{
		AttrNumber	attnum = get_attnum(partition, constant->column->name);

		if (attnum == InvalidAttrNumber || constant->value == NULL)
			continue;
		known = lappend(known, list_make2(makeInteger(attnum), constant->value));
	}
	condition = (Node *) make_ands_explicit(copyObject(RelationGetPartitionQual(relation)));
	relation_close(relation, AccessShareLock);
	if (runs_users_code(condition, NULL))
		return true;
	condition = eval_const_expressions(NULL, put_constants(condition, known));
	taken = !IsA(condition, Const) ||
		(!((Const *) condition)->constisnull && DatumGetBool(((Const *) condition)->constvalue));
	return taken;
}

/* put_constants replaces columns by what they get. */
static Node *
put_constants(Node *node, void *context)
{
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		foreach(lc, (List *) context)
		{
			List	   *one = lfirst(lc);

			if (intVal(linitial(one)) == ((Var *) node)->varattno)
				return (Node *) copyObject(lsecond(one));
		}
	return expression_tree_mutator(node, put_constants, context);
}

/* runs_users_code: to look ahead must not run what somebody has defined. */
static bool
runs_users_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_users, NULL))
		return true;
	return expression_tree_walker(node, runs_users_code, context);
}

static bool
is_users(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/*
 * check_replica_identity: the server refuses to change rows of a table that a publication
 * sends changes of, where nothing tells the rows apart.
 */
static void
check_replica_identity(EffRelation *rel, bool deletes)
{
	Relation	relation;
	PublicationDesc published;
	bool		lost;

	if (rel->relkind != RELKIND_RELATION)
		return;
	relation = try_relation_open(rel->oid, AccessShareLock);
	if (relation == NULL)
		return;
	RelationBuildPublicationDesc(relation, &published);
	lost = relation->rd_rel->relreplident != REPLICA_IDENTITY_FULL &&
		!OidIsValid(RelationGetReplicaIndex(relation)) &&
		(deletes ? published.pubactions.pubdelete : published.pubactions.pubupdate);
	relation_close(relation, AccessShareLock);
	if (lost)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_ANONYMIZATION),
				 errmsg("rows of table \"%s\" cannot be %s, since it has no replica identity and is"
						" published", rel->relname, deletes ? "deleted" : "updated"),
				 errdetail("The server refuses changes that subscribers could not carry out."),
				 errhint("ALTER TABLE %s ADD PRIMARY KEY (...), or ALTER TABLE %s REPLICA IDENTITY"
						 " FULL;", rel->sql, rel->sql),
				 errhidestmt(true)));
}
