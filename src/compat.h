/*
 * compat.h (public)
 *	  Everything that depends on the server's version.
 */
#ifndef EFF_COMPAT_H
#define EFF_COMPAT_H

#include "nodes/pg_list.h"

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
#define EffSchemaAclCheck(schema, role, mode) \
	object_aclcheck(NamespaceRelationId, schema, role, mode)
#define EffOwnsRelation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define EffCheckPermissions(stmt) ExecCheckPermissions((stmt)->rtable, (stmt)->permInfos, true)
#define EffCheckAsUser(stmt, entry) \
	((entry)->perminfoindex != 0 ? \
	 getRTEPermissionInfo((stmt)->permInfos, entry)->checkAsUser : InvalidOid)
#else
#define EffSchemaAclCheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define EffOwnsRelation(relid, role) pg_class_ownercheck(relid, role)
#define EffCheckPermissions(stmt) ExecCheckRTPerms((stmt)->rtable, true)
#define EffCheckAsUser(stmt, entry) ((entry)->checkAsUser)
#endif

/* From 16 on, indexes that only summarize are asked about; from 17 on, the owner is given open */
#if PG_VERSION_NUM >= 160000
#define EffInsertIndexTuples(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false)
#else
#define EffInsertIndexTuples(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#endif
#if PG_VERSION_NUM >= 170000
#define EffIdentitySequence(relation, attnum) getIdentitySequence(relation, attnum, true)
#else
#define EffIdentitySequence(relation, attnum) \
	getIdentitySequence(RelationGetRelid(relation), attnum, true)
#endif

/* From 16 on, the list of all settings is made when it is asked for */
#if PG_VERSION_NUM >= 160000
#define EffGucVariables(n) get_guc_variables(n)
#else
#define EffGucVariables(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/*
 * Loops over lists by the element instead of the cell, as 17 has them.  The
 * variable is declared by the loop; foreach_current_index() does not work in
 * it, foreach_ptr_index() does.
 */
#if PG_VERSION_NUM < 170000
#define foreach_ptr(type, var, lst) eff_foreach(type, *, var, lst, lfirst)
#define foreach_oid(var, lst) eff_foreach(Oid, , var, lst, lfirst_oid)
#define foreach_int(var, lst) eff_foreach(int, , var, lst, lfirst_int)
#define eff_foreach(type, pointer, var, lst, func) \
	for (type pointer var = 0, pointer var##__outerloop = (type pointer) 1; \
		 var##__outerloop; \
		 var##__outerloop = 0) \
		for (ForEachState var##__state = {(lst), 0}; \
			 (var##__state.l != NIL && \
			  var##__state.i < var##__state.l->length && \
			  (var = (type pointer) func(&var##__state.l->elements[var##__state.i]), true)); \
			 var##__state.i++)
#endif
#define foreach_ptr_index(var) (var##__state.i)

#endif							/* EFF_COMPAT_H */
