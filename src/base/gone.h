/*
 * gone.h (public)
 *	  Errors about objects that another session dropped while a call ran.
 *
 * A call holds no lock on what it has only read about in the catalogs, so that
 * whatever it looks up may be gone.
 */
#ifndef EFF_GONE_H
#define EFF_GONE_H

#include "access/attnum.h"

/* Raise undefined_table for a relation whose name is known, or not (NULL) */
extern void EffGoneRelation(Oid relid, const char *relname) pg_attribute_noreturn();

/* Raise undefined_column, by number or by name */
extern void EffGoneColumn(const char *relname, AttrNumber attnum) pg_attribute_noreturn();
extern void EffGoneColumnNamed(const char *relname, const char *name) pg_attribute_noreturn();

/* Raise undefined_object */
extern void EffGoneObject(const char *what, Oid object) pg_attribute_noreturn();

/* The name of a schema, unquoted; raises undefined_schema where it is gone */
extern char *EffSchemaName(Oid schema);
extern char *EffFunctionName(Oid function);

#endif							/* EFF_GONE_H */
