/*
 * admission.c
 *	  Whose labels count: owners of tables that are trusted anyway, and those that
 *	  were admitted.
 *
 * A label attaches its table to erasures, exports and whatever else effaced runs,
 * so that the triggers, CHECKs and types of the table's owner run there, and the
 * owner learns of whom.  Whoever may do that to a caller needs the trust of the
 * database.  Admissions are kept by the name of the role, as a dump needs it.
 */
#include "postgres.h"

#include "base/citus.h"
#include "base/own.h"
#include "map/admission.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define ADMITTED "effaced_admitted"

static Oid	database_owner(void);

/*
 * EffAdmittedRoles returns the names of the roles that were admitted, as of now.
 * The table is read by the access method and by no query, since any session may
 * need the map, with whatever privileges.
 */
List *
EffAdmittedRoles(void)
{
	Relation	relation = table_open(EffOwnRelation(ADMITTED), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, 1, RelationGetDescr(relation), &isnull);

		names = lappend(names, pstrdup(NameStr(*DatumGetName(name))));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return names;
}

/*
 * EffLabelsCount returns whether labels of tables of an owner count: a superuser's,
 * those of a role with the privileges of the owner of the database or of the
 * extension, and those of a role whose name is among the admitted ones.
 * pg_database_owner owns what the owner of the database has privileges on.
 */
bool
EffLabelsCount(List *admitted, Oid owner)
{
	char	   *name;

	if (owner == ROLE_PG_DATABASE_OWNER || superuser_arg(owner) ||
		has_privs_of_role(owner, database_owner()) ||
		has_privs_of_role(owner, EffExtensionOwner()))
		return true;
	name = GetUserNameFromId(owner, true);
	if (name != NULL)
		foreach_ptr(char, role, admitted)
			if (strcmp(role, name) == 0)
				return true;
	return false;
}

/*
 * EffAdmissionWarn warns where labels of a relation do not count.  It is called
 * once labels are stored there, or its owner has become another.
 */
void
EffAdmissionWarn(Oid relid)
{
	EffRelation *relation;

	if (!OidIsValid(get_extension_oid(EFF_PROVIDER, true)) || EffCitusIsWorker())
		return;
	relation = EffRelationLoad(relid);
	if (relation == NULL || EffLabelsCount(EffAdmittedRoles(), relation->owner))
		return;
	ereport(WARNING,
			(errmsg("labels of table \"%s\" do not count", relation->relname),
			 errdetail("Its owner is neither trusted with the database nor admitted, "
					   "so that no request reaches it."),
			 errhint("%s", EffAdmissionHint(relation))));
}

/* EffAdmissionHint returns the statement that lets labels of a relation count. */
char *
EffAdmissionHint(EffRelation *relation)
{
	char	   *owner = GetUserNameFromId(relation->owner, true);

	return psprintf("SELECT %s.effaced_admit_labels(%s);", EffExtensionSchemaSql(),
					quote_literal_cstr(owner == NULL ? "" : quote_identifier(owner)));
}

/*
 * EffAdmissionMissing returns the relation among those whose labels do not count;
 * NULL where it has no labels, or they count.
 */
EffRelation *
EffAdmissionMissing(DataMap *map, Oid relid)
{
	foreach_ptr(EffRelation, relation, map->not_admitted)
		if (relation->oid == relid)
			return relation;
	return NULL;
}

/* EffAdmissionNames returns the tables whose labels do not count, named as JSON names them. */
List *
EffAdmissionNames(DataMap *map)
{
	List	   *names = NIL;

	foreach_ptr(EffRelation, relation, map->not_admitted)
		names = lappend(names, relation->name);
	return names;
}

/* EffAdmissionWrite adds the tables whose labels do not count to a result, where there are any. */
void
EffAdmissionWrite(JsonbWriter *result, DataMap *map)
{
	if (map->not_admitted != NIL)
		EffObjectTexts(result, "not_admitted", EffAdmissionNames(map));
}

/*
 * EffAdmissionTell warns of the tables whose labels do not count, where a verb's
 * result has no place for them.
 */
void
EffAdmissionTell(DataMap *map)
{
	StringInfoData names;

	if (map->not_admitted == NIL)
		return;
	initStringInfo(&names);
	foreach_ptr(EffRelation, relation, map->not_admitted)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", relation->name);
	ereport(WARNING,
			(errmsg("labels of some tables do not count"),
			 errdetail("Tables: %s.", names.data),
			 errhint("SELECT hint FROM %s.effaced_lint() WHERE code = 'label_not_admitted';",
					 EffExtensionSchemaSql())));
}

static Oid
database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	return owner;
}
