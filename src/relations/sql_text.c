/*
 * sql_text.c
 *	  Columns, types, collations and comparisons, as SQL.
 */
#include "postgres.h"

#include "base/gone.h"
#include "relations/relations.h"
#include "relations/types.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/*
 * EffColumnSql returns alias.column, quoted.  ERROR undefined_column where the
 * relation does not have the column.
 */
char *
EffColumnSql(const char *alias, EffRelation *rel, AttrNumber attnum)
{
	return psprintf("%s.%s", alias, quote_identifier(EffRelationColumn(rel, attnum)->name));
}

/*
 * EffTypeSql returns the name of a type, with its schema and modifier.
 */
char *
EffTypeSql(Oid type, int32 typmod)
{
	char	   *sql = format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN |
										   FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_INVALID_AS_NULL);

	if (sql == NULL)
		EffGoneObject("type", type);
	return sql;
}

/*
 * EffCollationSql returns the name of a collation, with its schema.
 */
char *
EffCollationSql(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *sql;

	if (!HeapTupleIsValid(tuple))
		EffGoneObject("collation", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	sql = quote_qualified_identifier(EffSchemaName(form->collnamespace), NameStr(form->collname));
	ReleaseSysCache(tuple);
	return sql;
}

/*
 * EffEqualitySchema returns the schema of the = of a type, quoted, where it is
 * not pg_catalog; NULL where it is, and where the type has no equality.
 */
const char *
EffEqualitySchema(Oid type)
{
	Oid			eq = lookup_type_cache(EffBaseType(type), TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple;
	Oid			schema;

	if (!OidIsValid(eq))
		return NULL;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(eq));
	if (!HeapTupleIsValid(tuple))
		EffGoneObject("operator", eq);
	schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;
	ReleaseSysCache(tuple);
	return schema == PG_CATALOG_NAMESPACE ? NULL :
		quote_identifier(EffSchemaName(schema));
}

/*
 * EffDistinctSql returns the condition that a value, given as SQL, is not what
 * alias t has in a column; two NULLs are alike.  Values are compared as texts
 * where the type has no equality.
 */
char *
EffDistinctSql(EffRelation *rel, EffColumn *column, const char *value)
{
	char	   *current = EffColumnSql("t", rel, column->attnum);
	const char *schema;

	if (!OidIsValid(lookup_type_cache(EffBaseType(column->type), TYPECACHE_EQ_OPR)->eq_opr))
		return psprintf("%s::text IS DISTINCT FROM %s::text", current, value);
	if ((schema = EffEqualitySchema(column->type)) != NULL)
		return psprintf("((%s OPERATOR(%s.=) %s) IS NOT TRUE"
						" AND (%s IS NOT NULL OR %s IS NOT NULL))",
						current, schema, value, current, value);
	return psprintf("%s IS DISTINCT FROM %s", current, value);
}
