/*
 * manifest_int.h
 *	  What the reader and the writer of manifests share.
 */
#ifndef EFF_MANIFEST_INT_H
#define EFF_MANIFEST_INT_H

#include "map/map.h"

#define SCHEMA_VERSION 3

/* A table of a manifest payload */
typedef struct PayloadTable
{
	char	   *name;
	TableLabel *link;			/* NULL where inferred */
	List	   *columns;		/* of PayloadColumn, in order of the payload */
} PayloadTable;

typedef struct PayloadColumn
{
	char	   *name;
	ColumnLabel *spec;
} PayloadColumn;

/* Parts of a manifest, appended to its text */
extern void EffManifestWriteTable(StringInfo buf, const char *name, List *columns, TableLabel *link,
								  List *subject_key, const char *kind);
extern void EffManifestWriteSpec(StringInfo buf, ColumnLabel *label);
extern void EffManifestWriteLink(StringInfo buf, TableLabel *label, List *subject_key,
								 const char *kind);

#endif							/* EFF_MANIFEST_INT_H */
