/*
 * gone.c
 *	  Errors about objects that another session dropped while a call ran.
 */
#include "postgres.h"

#include "base/gone.h"

#include "utils/lsyscache.h"

/*
 * EffGoneRelation raises undefined_table.  The name is that of the time when
 * the relation was read, NULL where only its OID is known.
 */
void
EffGoneRelation(Oid relid, const char *relname)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 relname != NULL ? errmsg("relation \"%s\" no longer exists", relname) :
			 errmsg("relation with OID %u no longer exists", relid),
			 errdetail("It was dropped while the call ran."),
			 errhint("Call again."),
			 errhidestmt(true)));
}

/*
 * EffGoneColumn raises undefined_column for a number that a key or an index
 * had, and that the columns as read later do not have.
 */
void
EffGoneColumn(const char *relname, AttrNumber attnum)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column %d of relation \"%s\" no longer exists", attnum, relname),
			 errdetail("It was dropped while the call ran."),
			 errhint("Call again."),
			 errhidestmt(true)));
}

/*
 * EffGoneColumnNamed raises undefined_column for a name that a parent or a
 * label had, and that the columns as read later do not have.
 */
void
EffGoneColumnNamed(const char *relname, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" no longer exists", name, relname),
			 errdetail("It was dropped or renamed while the call ran."),
			 errhint("Call again."),
			 errhidestmt(true)));
}

/*
 * EffGoneObject raises undefined_object; what is the word for its kind.
 */
void
EffGoneObject(const char *what, Oid object)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s with OID %u no longer exists", what, object),
			 errdetail("It was dropped while the call ran."),
			 errhint("Call again."),
			 errhidestmt(true)));
}

/*
 * EffSchemaName returns the name of a schema, unquoted, in the current memory
 * context; it raises undefined_schema where the schema is gone.
 */
char *
EffSchemaName(Oid schema)
{
	char	   *name = get_namespace_name(schema);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema with OID %u no longer exists", schema),
				 errdetail("It was dropped while the call ran."),
				 errhint("Call again."),
				 errhidestmt(true)));
	return name;
}

/*
 * EffFunctionName returns the name of a function, unquoted and without its schema, in
 * the current memory context; it raises undefined_object where the function is gone.
 */
char *
EffFunctionName(Oid function)
{
	char	   *name = get_func_name(function);

	if (name == NULL)
		EffGoneObject("function", function);
	return name;
}
