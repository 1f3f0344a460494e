/*
 * compat.h
 *	  Everything that depends on the server's version.
 */
#ifndef EFF_COMPAT_H
#define EFF_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "effaced needs PostgreSQL 15 or newer"
#endif

/*
 * From 16 on, one function asks for privileges on objects of any class, and
 * what a query needs is listed beside its range table.  There, children that an
 * inheritance tree has added to it have no entry and go with the caller.
 */
#if PG_VERSION_NUM >= 160000
#define EffSchemaAclCheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#define EffOwnsRelation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define EffCheckPermissions(stmt) ExecCheckPermissions((stmt)->rtable, (stmt)->permInfos, true)
#define EffCheckAsUser(stmt, entry) \
	((entry)->perminfoindex != 0 ? getRTEPermissionInfo((stmt)->permInfos, entry)->checkAsUser : InvalidOid)
#else
#define EffSchemaAclCheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define EffOwnsRelation(relid, role) pg_class_ownercheck(relid, role)
#define EffCheckPermissions(stmt) ExecCheckRTPerms((stmt)->rtable, true)
#define EffCheckAsUser(stmt, entry) ((entry)->checkAsUser)
#endif

/* From 16 on, indexes that only summarize are asked about; from 17 on, the owner is given open */
#if PG_VERSION_NUM >= 160000
#define EffInsertIndexTuples(target, slot, estate) ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false)
#else
#define EffInsertIndexTuples(target, slot, estate) ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#endif
#if PG_VERSION_NUM >= 170000
#define EffIdentitySequence(relation, attnum) getIdentitySequence(relation, attnum, true)
#else
#define EffIdentitySequence(relation, attnum) getIdentitySequence(RelationGetRelid(relation), attnum, true)
#endif

#endif							/* EFF_COMPAT_H */
