/*
 * label.h (public)
 *	  The JSON labels of columns and tables as structs.
 *
 * Nothing here looks at a catalog: whether a column exists or an expression
 * fits is checked by provider.c and expression.c.
 */
#ifndef EFF_LABEL_H
#define EFF_LABEL_H

#include "effaced.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef enum ErasureStrategy
{
	ERASURE_DELETE,
	ERASURE_ANONYMIZE,
	ERASURE_RETAIN
} ErasureStrategy;

typedef enum ExpiryAction
{
	EXPIRY_REPORT,
	EXPIRY_ANONYMIZE,
	EXPIRY_DELETE
} ExpiryAction;

typedef enum LinkRole
{
	ROLE_OWNER,
	ROLE_ACCESSOR
} LinkRole;

typedef enum SharedPolicy
{
	SHARED_KEEP,
	SHARED_ERASE
} SharedPolicy;

/* Whether traces look for the values of a column */
typedef enum ColumnTrace
{
	TRACE_BY_CATEGORY,			/* contact and identity */
	TRACE_ALWAYS,
	TRACE_NEVER
} ColumnTrace;

/* Why and how long a value outlives an erasure */
typedef struct RetentionPolicy
{
	char	   *reason;
	char	   *basis;
	char	   *duration;		/* ISO 8601, NULL where unbounded */
	char	   *anchor;			/* column name or NULL */
	ExpiryAction on_expiry;
} RetentionPolicy;

/* The label of a column (the seed's PiiSpec) */
typedef struct ColumnLabel
{
	char	   *category;
	ErasureStrategy erasure;
	char	   *legal_basis;
	char	   *description;
	char	   *purpose;
	RetentionPolicy *retention; /* NULL where none */
	char	   *surrogate;		/* expression text, "NULL" for SQL NULL */
	char	   *fact;
	char	   *link;
	char	   *ref;
	ColumnTrace trace;
} ColumnLabel;

/* One explicit hop of a link, as written */
typedef struct HopLabel
{
	List	   *source_columns; /* of char * */
	char	   *target_table;
	List	   *target_columns; /* of char * */
} HopLabel;

/* One way from a table to a subject, as written */
typedef struct LinkLabel
{
	char	   *name;			/* NULL for the only link of a table */
	char	   *path;			/* NULL where hops are given or it is inferred */
	List	   *hops;			/* of HopLabel */
	char	   *where;
	LinkRole	role;
	List	   *redact;			/* of char * */
	SharedPolicy shared;
	bool		release;		/* its rows may keep retained values although their reference to
								 * the subject is rewritten */
	bool		release_given;	/* the label has the key */
} LinkLabel;

/* One entry of "set" */
typedef struct SetLabel
{
	char	   *column;
	char	   *expression;
} SetLabel;

/* The label of a table (the seed's SubjectLink) */
typedef struct TableLabel
{
	bool		is_subject;		/* path "" */
	List	   *subject_id_columns; /* of char *, NIL for the primary key */
	char	   *subject;		/* kind, NULL for the table's name */
	bool		owned;
	List	   *set;			/* of SetLabel */
	bool		many;			/* written with "links" */
	List	   *links;			/* of LinkLabel; empty where to be inferred or
								 * where only the subject is marked */
	char	   *subject_where;	/* where of a subject table */
} TableLabel;

/* Parse a label; ERROR ZE001 says what is wrong.  Result in the current context. */
extern ColumnLabel *EffLabelParseColumn(const char *json);
extern TableLabel *EffLabelParseTable(const char *json);
extern ColumnLabel *EffLabelColumnFromJsonb(Jsonb *spec);
extern TableLabel *EffLabelTableFromJsonb(Jsonb *spec);


/* Whether a word is a category, and all of them for a hint */
extern bool EffLabelIsCategory(const char *word);
extern char *EffLabelCategories(void);

/* Words of the enums, as labels and manifests write them */
extern const char *EffErasureWord(ErasureStrategy erasure);
extern const char *EffExpiryWord(ExpiryAction action);
extern const char *EffRoleWord(LinkRole role);
extern const char *EffSharedWord(SharedPolicy shared);

#endif							/* EFF_LABEL_H */
