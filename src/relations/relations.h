/*
 * relations.h (public)
 *	  Relations, columns, keys, foreign keys and stored labels as plain structs.
 *
 * Everything is read from the system catalogs into the current memory context;
 * nothing keeps a lock or a cache reference.
 */
#ifndef EFF_RELATIONS_H
#define EFF_RELATIONS_H

#include "effaced.h"
#include "nodes/bitmapset.h"
#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* One column of a relation; dropped columns are left out */
typedef struct EffColumn
{
	AttrNumber	attnum;
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		not_null;		/* by itself or by its domain */
	bool		has_default;
	bool		generated;
	bool		identity_always;
} EffColumn;

/* One valid index; columns inside expressions are listed in expr_columns */
typedef struct EffIndex
{
	Oid			oid;
	bool		unique;
	bool		primary;
	bool		exclusion;
	bool		partial;
	int			lookup;			/* finds every row with given values of that many first
								 * columns or more; 0 never */
	bool		ranges;			/* finds every row within limits of its first column */
	bool		immediate;
	int			nkeys;
	AttrNumber *keys;			/* 0 for an expression */
	List	   *expr_columns;	/* of int: attnums that expressions read */
	List	   *included;		/* of int: attnums that INCLUDE names */
} EffIndex;

/* A relation that a label, a hop or a foreign key names */
typedef struct EffRelation
{
	Oid			oid;
	char	   *schema;
	char	   *relname;
	char	   *name;			/* as JSON writes it: quoted, unqualified in public */
	char	   *sql;			/* quoted and always qualified */
	Oid			owner;
	char		relkind;
	char		persistence;
	bool		is_partition;
	bool		has_triggers;	/* user triggers or rules here or on a child */
	List	   *deferrable;		/* of Oid: constraints, of children too, that may be deferred */
	int			ncolumns;
	EffColumn  *columns;		/* by attnum */
	List	   *indexes;		/* of EffIndex, primary key first, then by oid */
	List	   *inheritors;		/* of Oid: itself and all its children */
	uint64		fingerprint;	/* of the catalog rows that it was read from */
} EffRelation;

/* A foreign key; clones on partitions (conparentid <> 0) are left out */
typedef struct ForeignKey
{
	Oid			oid;
	char	   *name;
	char	   *schema;			/* of the constraint */
	Oid			relid;			/* referencing */
	Oid			target;			/* referenced */
	int			nkeys;
	AttrNumber *columns;
	AttrNumber *target_columns;
	char		on_delete;		/* FKCONSTR_ACTION_* */
	char		on_update;
	int			nset;			/* columns of ON DELETE SET NULL (...) */
	AttrNumber *set_columns;
	bool		match_full;
	bool		deferrable;
	bool		initially_deferred;
	bool		validated;
	bool		namesake;		/* SET CONSTRAINTS by its name would meet others */
} ForeignKey;

/* A stored label, from whichever place it counts */
typedef struct StoredLabel
{
	Oid			relid;
	AttrNumber	attnum;			/* 0 for the table */
	char	   *json;
	bool		from_comment;
	bool		shadowed;		/* a comment stands behind the security label */
} StoredLabel;

/* relation.c.  A relation is NULL, and a display name too, where it is gone. */
extern EffRelation *EffRelationLoad(Oid relid);
extern char *EffRelationDisplayName(Oid relid);

/* The relation of a name in a label or manifest; InvalidOid where there is none */
extern Oid	EffRelationByName(const char *name);

/* Open a relation, locked as by a SELECT; raises undefined_table where it has been dropped */
extern Relation EffRelationOpen(EffRelation *rel);

/* A column by number or name: raise undefined_column where it has been dropped, or return NULL */
extern EffColumn *EffRelationColumn(EffRelation *rel, AttrNumber attnum);
extern EffColumn *EffRelationFindColumn(EffRelation *rel, AttrNumber attnum);
extern EffColumn *EffRelationColumnNamed(EffRelation *rel, const char *name);
extern EffColumn *EffRelationColumnByName(EffRelation *rel, const char *name);

/* Quoted names of columns, for a message */
extern char *EffJoinNames(EffRelation *rel, const AttrNumber *attnums, int n);

/* The expression of a generated column, and the attnums that it is computed from */
extern Node *EffGenerationExpression(EffRelation *rel, AttrNumber attnum);
extern Bitmapset *EffGeneratedFrom(EffRelation *rel, EffColumn *column);

/* Every inheritance parent, as a list of Oid */
extern List *EffAncestors(Oid relid);
extern List *EffInheritors(Oid relid);	/* of Oid: itself and all its children */

/* index.c */
extern List *EffIndexesLoad(Oid relid, uint64 *fingerprint);
extern EffIndex *EffRelationPrimaryKey(EffRelation *rel);

/* Whether rows are distinct in the columns, found by them, or found by a range of one */
extern bool EffRelationHasUnique(EffRelation *rel, const AttrNumber *columns, int n);
extern bool EffRelationHasIndexOn(EffRelation *rel, const AttrNumber *columns, int n);
extern bool EffRelationHasRangeIndexOn(EffRelation *rel, AttrNumber attnum);

/* foreign_key.c.  All of the database, by relation, then name */
extern List *EffForeignKeysLoad(void);

/* Whether a foreign key is about a column, on whichever end */
extern bool EffForeignKeyHas(ForeignKey *fk, Oid relid, AttrNumber attnum);

/* Columns (int attnums) that ON DELETE SET NULL or SET DEFAULT writes; NIL for any other action */
extern List *EffForeignKeySets(ForeignKey *fk);

/* Whether that action releases the reference: each of its columns, which are rel's, can be set */
extern bool EffForeignKeyReleases(ForeignKey *fk, EffRelation *rel);

/* stored_label.c.  All of the database or of one relation, by relation, then attnum */
extern List *EffLabelsLoad(void);
extern List *EffLabelsOf(Oid relid);

/* The JSON behind @effaced in a comment, or NULL */
extern const char *EffLabelFromComment(const char *comment);

/* Statements to paste: set a label, and take one out of a comment */
extern char *EffLabelStatement(Oid relid, AttrNumber attnum, const char *json);
extern char *EffCommentStatement(EffRelation *rel, AttrNumber attnum);

/* sql_text.c: alias.column; a type with its modifier; a collation.  All quoted and qualified */
extern char *EffColumnSql(const char *alias, EffRelation *rel, AttrNumber attnum);
extern char *EffTypeSql(Oid type, int32 typmod);
extern char *EffCollationSql(Oid collation);

/* The condition that a value, as SQL, is not what alias t holds in a column; NULLs are alike */
extern char *EffDistinctSql(EffRelation *rel, EffColumn *column, const char *value);

/* Schema of the = of a type where it is not pg_catalog, quoted; NULL otherwise */
extern const char *EffEqualitySchema(Oid type);

#endif							/* EFF_RELATIONS_H */
