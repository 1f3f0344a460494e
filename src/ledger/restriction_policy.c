/*
 * restriction_policy.c
 *	  Policies that hide the rows of restricted subjects (Art. 18).
 *
 * A policy compares the columns that a link begins with, which should be
 * indexed, with the keys that lead to restricted subjects.  Those come from
 * effaced_restricted_keys(), once per query: with the privileges of the
 * table's owner, since other policies on the way would hide the very rows that
 * tell.  The policy carries a fingerprint of the links that it was made for;
 * where labels have changed since, queries fail rather than show too much.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/citus.h"
#include "label/expression.h"
#include "ledger/ledger.h"
#include "map/graph.h"
#include "relations/types.h"
#include "rows/bind.h"
#include "rows/scope.h"

#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define POLICY "effaced_restriction"
#define OPEN_POLICY "effaced_restriction_others"	/* lets everything else through */
#define KEYS_FUNCTION "effaced.effaced_restricted_keys"

PG_FUNCTION_INFO_V1(effaced_restriction_policy);
PG_FUNCTION_INFO_V1(effaced_drop_restriction_policy);
PG_FUNCTION_INFO_V1(effaced_restricted_keys);

static MapTable *policy_table(FunctionCallInfo fcinfo);
static void policies_of(EffRelation *rel, bool *enabled, bool *ours, bool *open, bool *others);
static char *predicate(MapTable *table, List *claims, const char *purpose, const char *fingerprint);
static char *key_sql(EffColumn *column, int i);
static void claim_columns(OwnerClaim *claim, int *n, AttrNumber **columns, EffRelation **target,
						  AttrNumber **target_columns);
static char *claim_where(OwnerClaim *claim, const char *alias);
static char *make_fingerprint(MapTable *table, List *claims);
static void run(EffRelation *rel, const char *sql);
static List *keys_of_claim(DataMap *map, MapTable *table, OwnerClaim *claim,
						   SubjectSet *restricted);

/*
 * effaced_restriction_policy(relation, purpose) hides the rows of subjects
 * under a restriction, of a purpose or of all.
 */
Datum
effaced_restriction_policy(PG_FUNCTION_ARGS)
{
	MapTable   *table = policy_table(fcinfo);
	EffRelation *rel = table->rel;
	List	   *claims = EffOwnersOfValue(table, NULL);
	char	   *purpose;
	char	   *condition;
	bool		enabled;
	bool		ours;
	bool		open;
	bool		others;
	EffBracket	bracket;

	EffGraphRaiseErrors(table);
	purpose = EffLedgerPurpose(fcinfo, 1, false);
	if (claims == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("no link makes rows of table \"%s\" a subject's own", rel->relname),
				 errhint("Only tables with a link of role owner can hide the rows of their"
						 " owners."),
				 errhidestmt(true)));
	policies_of(rel, &enabled, &ours, &open, &others);
	if (ours)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("table \"%s\" has a restriction policy already", rel->relname),
				 errhint("SELECT effaced_drop_restriction_policy(%s);", EffQuoteLiteral(rel->name)),
				 errhidestmt(true)));
	if (!enabled && others)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("table \"%s\" has policies that are not in force", rel->relname),
				 errdetail("Row-level security of the table is disabled; enabling it would put"
						   " them in force."),
				 errhint("ALTER TABLE %s ENABLE ROW LEVEL SECURITY, or drop the policies.",
						 rel->sql),
				 errhidestmt(true)));

	EffPinBegin(&bracket);
	condition = predicate(table, claims, purpose, make_fingerprint(table, claims));
	EffPinEnd(&bracket);
	EffSpiBegin(&bracket);
	if (!enabled)
	{
		run(rel,
			psprintf("CREATE POLICY " OPEN_POLICY " ON %s AS PERMISSIVE FOR ALL TO PUBLIC USING"
												  " (true) WITH CHECK (true)", rel->sql));
		run(rel, psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", rel->sql));
	}
	/* rows may come in: storing them is what a restriction still allows */
	run(rel,
		psprintf("CREATE POLICY " POLICY " ON %s AS RESTRICTIVE FOR ALL TO PUBLIC USING (%s) WITH"
										 " CHECK (true)",
					  rel->sql, condition));
	EffSpiEnd(&bracket);
	PG_RETURN_VOID();
}

/*
 * effaced_drop_restriction_policy(relation) leaves the table as it was before.
 */
Datum
effaced_drop_restriction_policy(PG_FUNCTION_ARGS)
{
	EffRelation *rel;
	bool		enabled;
	bool		ours;
	bool		open;
	bool		others;
	EffBracket	bracket;

	rel = PG_ARGISNULL(0) ? NULL : EffRelationLoad(PG_GETARG_OID(0));
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("relation must be a table that exists"),
				 errhint("SELECT effaced_drop_restriction_policy('invoice');"),
				 errhidestmt(true)));
	if (!EffOwnsRelation(rel->oid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, rel->relname);
	policies_of(rel, &enabled, &ours, &open, &others);
	if (!ours && !open)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("table \"%s\" has no restriction policy", rel->relname),
				 errhint("SELECT effaced_restriction_policy(%s);", EffQuoteLiteral(rel->name)),
				 errhidestmt(true)));
	EffSpiBegin(&bracket);
	if (ours)
		run(rel, psprintf("DROP POLICY " POLICY " ON %s", rel->sql));
	if (open)
	{
		run(rel, psprintf("DROP POLICY " OPEN_POLICY " ON %s", rel->sql));
		/* the table had none, and policies that came since are not ours to switch off */
		if (!others)
			run(rel, psprintf("ALTER TABLE %s DISABLE ROW LEVEL SECURITY", rel->sql));
	}
	EffSpiEnd(&bracket);
	PG_RETURN_VOID();
}

/*
 * effaced_restricted_keys(relation, link, purpose, fingerprint) gives the
 * values, as text, of the columns that a link begins with, in the rows of
 * restricted subjects.  link is NULL for a subject's own row, and '' for the
 * only link.
 */
Datum
effaced_restricted_keys(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	MapTable   *table = EffMapTable(map, relid);
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *purpose = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *fingerprint = PG_ARGISNULL(3) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *claims;
	OwnerClaim *found = NULL;
	SubjectSet *restricted;
	EffBracket	bracket;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (table != NULL)
	{
		EffGraphRaiseErrors(table);
		claims = EffOwnersOfValue(table, NULL);
		EffPinBegin(&bracket);
		if (strcmp(make_fingerprint(table, claims), fingerprint) == 0)
			foreach_ptr(OwnerClaim, claim, claims)
			{
				if (claim->link == NULL ? name == NULL :
					name != NULL && strcmp(claim->link->name ? claim->link->name : "", name) == 0)
					found = claim;
			}
		EffPinEnd(&bracket);
	}
	if (found == NULL)
	{
		char	   *name = get_rel_name(relid);
		char	   *display = EffRelationDisplayName(relid);

		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("restriction policy of table \"%s\" does not fit its labels any more",
						name ? name : "(null)"),
				 errdetail("Rows of restricted subjects could not be told apart."),
				 errhint("As the table's owner: SELECT effaced_drop_restriction_policy(%s); and"
						 " install it again.",
						 EffQuoteLiteral(display ? display : "table")),
				 errhidestmt(true)));
	}
	restricted = EffLedgerRestricted(found->subject, purpose, false);
	if (restricted->nkeys > 0)
		foreach(lc, keys_of_claim(map, table, found, restricted))
		{
			Datum		keys = PointerGetDatum(lfirst(lc));
			bool		isnull = false;

			tuplestore_putvalues(result->setResult, result->setDesc, &keys, &isnull);
		}
	return (Datum) 0;
}

/* policy_table is the labelled table that a call names, which the caller has to own. */
static MapTable *
policy_table(FunctionCallInfo fcinfo)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	MapTable   *table = EffMapTable(EffGraphGet(), relid);
	char	   *name = get_rel_name(relid);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("table \"%s\" is not in the data map", name ? name : "(null)"),
				 errhint("Only tables with a label of their own, or on a column, have subjects."),
				 errhidestmt(true)));
	if (!EffOwnsRelation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, table->rel->relname);
	if (table->rel->relkind != RELKIND_RELATION && table->rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("\"%s\" cannot have a policy", table->rel->relname),
				 errdetail("Row-level security is for tables only."),
				 errhint("Install the policy where the table is."),
				 errhidestmt(true)));
	if (EffCitusKindOf(relid) != CITUS_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("table \"%s\" cannot have a policy, since Citus knows it",
						table->rel->relname),
				 errdetail("Workers would apply the policy, and who is restricted is known on the"
						   " coordinator only."),
				 errhint("Ask effaced_restriction_status() before rows of a subject are used."),
				 errhidestmt(true)));
	return table;
}

/* policies_of tells whether row-level security is enabled, and which policies there are. */
static void
policies_of(EffRelation *rel, bool *enabled, bool *ours, bool *open, bool *others)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(rel->oid)};
	EffBracket	bracket;
	bool		isnull;

	EffSpiBegin(&bracket);
	if (SPI_execute_with_args("SELECT c.relrowsecurity, pg_catalog.count(*) FILTER (WHERE"
							  " p.polname = '" POLICY "') > 0,"
							  " pg_catalog.count(*) FILTER (WHERE"
							  " p.polname = '" OPEN_POLICY "') > 0,"
							  " pg_catalog.count(*) FILTER (WHERE"
							  " p.polname NOT IN ('" POLICY "', '" OPEN_POLICY "')) > 0"
							  " FROM pg_catalog.pg_class c"
							  " LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid"
							  " WHERE c.oid = $1 GROUP BY c.relrowsecurity",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT ||
							  SPI_processed != 1)
		elog(ERROR, "could not read the policies of a table");
	*enabled =
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*ours = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	*open = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	*others = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4, &isnull));
	EffSpiEnd(&bracket);
}

/*
 * predicate: by no link is the row a restricted subject's.  A row without an
 * owner is nobody's, and shown.
 */
static char *
predicate(MapTable *table, List *claims, const char *purpose, const char *fingerprint)
{
	EffRelation *rel = table->rel;
	const char *alias = quote_identifier(rel->relname);
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, claims)
	{
		OwnerClaim *claim = lfirst(lc);
		StringInfoData left;
		StringInfoData right;
		AttrNumber *columns;
		EffRelation *target;
		AttrNumber *target_columns;
		char	   *where = claim_where(claim, rel->relname);	/* which quotes it itself */
		bool		foreign = false;
		int			n;

		claim_columns(claim, &n, &columns, &target, &target_columns);
		initStringInfo(&left);
		initStringInfo(&right);
		for (int i = 0; i < n; i++)
		{
			EffColumn  *column = EffRelationColumn(target, target_columns[i]);

			foreign |= EffEqualitySchema(column->type) != NULL;
			appendStringInfo(&left, "%s%s", i > 0 ? ", " : "",
							 EffColumnSql(alias, rel, columns[i]));
			appendStringInfo(&right, "%s%s", i > 0 ? ", " : "", key_sql(column, i));
		}
		appendStringInfo(&buf, "%s(", foreach_current_index(lc) > 0 ? " AND " : "");
		if (foreign)
		{
			/* IN has no place to name an operator */
			appendStringInfoString(&buf, "EXISTS (SELECT FROM ");
		}
		else
			appendStringInfo(&buf, "(%s) IN (SELECT %s FROM ", left.data, right.data);
		appendStringInfo(&buf, KEYS_FUNCTION "(%s::pg_catalog.regclass, %s, %s, %s) AS k (keys)",
						 EffQuoteLiteral(rel->sql),
						 claim->link == NULL ? "NULL" :
						 EffQuoteLiteral(claim->link->name ? claim->link->name : ""),
						 purpose ? EffQuoteLiteral(purpose) : "NULL", EffQuoteLiteral(fingerprint));
		for (int i = 0; foreign && i < n; i++)
		{
			EffColumn  *column = EffRelationColumn(target, target_columns[i]);
			const char *schema = EffEqualitySchema(column->type);

			appendStringInfo(&buf, " %s %s OPERATOR(%s.=) %s", i > 0 ? "AND" : "WHERE",
							 EffColumnSql(alias, rel, columns[i]), schema ? schema : "pg_catalog",
							 key_sql(column, i));
		}
		appendStringInfo(&buf, ")%s%s%s) IS NOT TRUE", where ? " AND (" : "", where ? where : "",
						 where ? ")" : "");
	}
	return buf.data;
}

/* key_sql is a value of the target's type, compared by its collation as a foreign key is. */
static char *
key_sql(EffColumn *column, int i)
{
	char	   *sql = psprintf("(k.keys)[%d]::%s", i + 1,
							   EffTypeSql(EffBaseType(column->type), -1));

	return OidIsValid(column->collation) ?
		psprintf("%s COLLATE %s", sql, EffCollationSql(column->collation)) : sql;
}

/* claim_columns: the row's columns, and those of which they are values */
static void
claim_columns(OwnerClaim *claim, int *n, AttrNumber **columns, EffRelation **target,
			  AttrNumber **target_columns)
{
	if (claim->link == NULL)
	{
		*n = claim->subject->nkey;
		*columns = *target_columns = claim->subject->key;
		*target = claim->subject->rel;
	}
	else
	{
		JoinHop    *hop = linitial(claim->link->hops);

		*n = hop->n;
		*columns = hop->source_columns;
		*target = hop->target;
		*target_columns = hop->target_columns;
	}
}

static char *
claim_where(OwnerClaim *claim, const char *alias)
{
	EffRelation *rel = claim->link ? claim->link->table->rel : claim->subject->rel;
	const char *where = claim->link ? claim->link->label->where :
		claim->subject->label->subject_where;

	return where ? EffExpressionAnalyze(rel, alias, where, NULL, "where")->sql : NULL;
}

/* make_fingerprint tells links apart by what a policy is made of. */
static char *
make_fingerprint(MapTable *table, List *claims)
{
	StringInfoData buf;

	initStringInfo(&buf);
	foreach_ptr(OwnerClaim, claim, claims)
	{
		AttrNumber *columns;
		EffRelation *target;
		AttrNumber *target_columns;
		char	   *where = claim_where(claim, "t");
		int			n;

		claim_columns(claim, &n, &columns, &target, &target_columns);
		appendStringInfo(&buf, "%s:%s:%s:%s:%s:%s;", claim->subject->kind,
						 claim->link == NULL ? "subject" : "link", claim->link &&
						 claim->link->name ? claim->link->name : "",
						 EffJoinNames(table->rel, columns, n), target->sql,
						 EffJoinNames(target, target_columns, n));
		appendStringInfo(&buf, "%s;", where ? where : "");
	}
	return psprintf(UINT64_FORMAT, hash_bytes_extended((unsigned char *) buf.data, buf.len, 0));
}

static void
run(EffRelation *rel, const char *sql)
{
	const EffStatementPlace place = {.action = "restriction policy of", .relation = rel->name,
									 .relid = rel->oid};

	EffSpiCommand(sql, &place);
}

/* keys_of_claim lists arrays of text. */
static List *
keys_of_claim(DataMap *map, MapTable *table, OwnerClaim *claim, SubjectSet *restricted)
{
	MapTable   *subject = claim->subject;
	MemoryContext context = CurrentMemoryContext;
	BindValues values = {.map = map, .restricted = list_make1(restricted)};
	AttrNumber *columns;
	EffRelation *target;
	AttrNumber *target_columns;
	int			n;
	char	   *texts[INDEX_MAX_KEYS];
	List	   *keys = NIL;
	Statement  *st;
	EffBracket	bracket;

	claim_columns(claim, &n, &columns, &target, &target_columns);
	if (claim->link == NULL ||
		(list_length(claim->link->hops) == 1 && subject->label->subject_where == NULL &&
		 EffLinkIsKey(subject, target_columns, n)))
	{
		EffPinBegin(&bracket);
		for (int k = 0; k < restricted->nkeys; k++)
		{
			for (int i = 0; i < n; i++)
			{
				int			place = 0;
				Oid			output;

				while (subject->key[place] != target_columns[i])
					place++;
				EffTypeOutput(EffKeyType(subject, place), &output);
				texts[i] = OidOutputFunctionCall(output, restricted->keys[k]->values[place]);
			}
			keys = lappend(keys, DatumGetPointer(EffTextArray(texts, n)));
		}
		EffPinEnd(&bracket);
		return keys;
	}

	EffSpiBeginAs(&bracket, table->rel->oid);
	st = EffStatementNew(SPI_OK_SELECT, "reading rows of", target);
	appendStringInfoString(&st->text, "SELECT DISTINCT ");
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%spg_catalog.format('%%s', %s)", i > 0 ? ", " : "",
						 EffColumnSql("t", target, target_columns[i]));
	appendStringInfo(&st->text, " FROM %s t WHERE ", target->sql);
	for (int i = 0; i < n; i++)
		appendStringInfo(&st->text, "%s IS NOT NULL AND ",
						 EffColumnSql("t", target, target_columns[i]));
	EffConditionAppend(st, EffScopeLink(map, st, "t", claim->link, 1, &EffScopeRestricted));
	(void) EffBindExecute(st, &values, true, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext previous;

		for (int i = 0; i < n; i++)
			texts[i] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1);
		previous = MemoryContextSwitchTo(context);
		keys = lappend(keys, DatumGetPointer(EffTextArray(texts, n)));
		MemoryContextSwitchTo(previous);
	}
	EffSpiEnd(&bracket);
	return keys;
}
