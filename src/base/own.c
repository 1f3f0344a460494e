/*
 * own.c
 *	  effaced's own schema and tables: where they are, and prepared statements
 *	  on them.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/gone.h"
#include "base/own.h"
#include "base/prepare.h"
#include "base/run.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

/* Where effaced's own objects are, until its own table changes */
static Oid	extension_schema = InvalidOid;
static Oid	extension_table = InvalidOid;

static FormData_pg_extension extension_row(void);
static void extension_changed(Datum arg, Oid relid);

/*
 * EffSpiBeginAsOwner opens the bracket as the owner of effaced's own tables,
 * for statements on these only: no code of a user's may run there.  ERROR ZE005
 * on a worker of Citus, which does not have them.
 */
void
EffSpiBeginAsOwner(EffBracket *bracket)
{
	EffCitusRefuseWorker();
	EffSpiBeginWithUser(bracket, EffOwnRelation("effaced_audit_events"),
						SECURITY_LOCAL_USERID_CHANGE);
}

/*
 * EffSpiExecuteOwn runs a statement on effaced's own tables, in such a
 * bracket, and returns the number of rows.  The statement is prepared at its
 * first use in a session, and again where the extension was created anew
 * since.
 */
uint64
EffSpiExecuteOwn(EffOwnStatement *own, int nargs, Oid *types, Datum *values, const char *nulls,
				 int expected, const EffStatementPlace *place)
{
	Oid			relation = EffOwnRelation("effaced_audit_events");

	if (own->plan != NULL && own->relation != relation)
	{
		SPI_freeplan(own->plan);
		own->plan = NULL;
	}
	if (own->plan == NULL)
	{
		own->plan = EffPrepare(own->sql, nargs, types);
		own->relation = relation;
	}
	return EffSpiExecute(own->plan, values, nulls, false, 0, expected, place);
}

/*
 * EffOwnInit registers what makes the place of the extension uncertain.  Called
 * once, by _PG_init.
 */
void
EffOwnInit(void)
{
	CacheRegisterRelcacheCallback(extension_changed, (Datum) 0);
}

/*
 * EffExtensionSchema gives the schema that CREATE EXTENSION put effaced into.
 */
Oid
EffExtensionSchema(void)
{
	FormData_pg_extension row;

	if (OidIsValid(extension_schema))
		return extension_schema;
	row = extension_row();
	extension_table = get_relname_relid(EFF_SENTINEL, get_namespace_oid(EFF_OWN_SCHEMA, true));
	if (OidIsValid(extension_table))
		extension_schema = row.extnamespace;
	return row.extnamespace;
}

/* EffExtensionOwner returns the owner of the extension; ERROR ZE005 where it is not installed. */
Oid
EffExtensionOwner(void)
{
	return extension_row().extowner;
}

/* extension_row reads the catalog, which has no cache. */
static FormData_pg_extension
extension_row(void)
{
	Oid			extension = get_extension_oid(EFF_PROVIDER, true);
	FormData_pg_extension row = {0};
	Relation	pg_extension;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("extension \"effaced\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION effaced;")));
	pg_extension = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(pg_extension, ExtensionOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		memcpy(&row, GETSTRUCT(tuple), offsetof(FormData_pg_extension, extrelocatable));
	systable_endscan(scan);
	table_close(pg_extension, AccessShareLock);
	return row;
}

/*
 * EffExtensionSchemaSql returns the name of that schema, quoted.
 */
const char *
EffExtensionSchemaSql(void)
{
	return quote_identifier(EffSchemaName(EffExtensionSchema()));
}

/*
 * EffOwnSchema returns the schema that the extension has made for its own
 * objects; ERROR ZE005 where the extension is not installed.  Nobody but its
 * owner can put or rename anything there, so that names in it may be relied on.
 */
Oid
EffOwnSchema(void)
{
	(void) EffExtensionSchema();
	return get_namespace_oid(EFF_OWN_SCHEMA, false);
}

/*
 * EffOwnRelation finds one of effaced's own tables.
 */
Oid
EffOwnRelation(const char *relname)
{
	Oid			relid = get_relname_relid(relname, EffOwnSchema());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("table \"%s\" of extension \"effaced\" does not exist", relname),
				 errdetail("The extension was dropped or altered while the call ran, or its table "
						   "was."),
				 errhint("Run CREATE EXTENSION effaced;")));
	return relid;
}

/*
 * EffOwnRelationIsEmpty tells a table that holds no row, of whatever
 * transaction, by its having no page.  One that was emptied may still have some.
 */
bool
EffOwnRelationIsEmpty(const char *relname)
{
	Oid			relid = EffOwnRelation(relname);
	Relation	relation = try_table_open(relid, AccessShareLock);
	bool		empty;

	if (relation == NULL)
		EffGoneRelation(relid, relname);
	empty = RelationGetNumberOfBlocks(relation) == 0;

	table_close(relation, AccessShareLock);
	return empty;
}

/*
 * extension_changed is called when the table is dropped, and when somebody
 * tells of a change of labels by it.
 */
static void
extension_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == extension_table)
		extension_schema = InvalidOid;
}
