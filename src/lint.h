/*
 * lint.h
 *	  Findings about the data map, and the checks that make them.
 *
 * A check looks at the whole map and calls EffLintAdd() for what it finds.
 * Whether the finding is shown is decided there.
 */
#ifndef EFF_LINT_H
#define EFF_LINT_H

#include "effaced.h"
#include "graph.h"
#include "plan.h"

/* What there is to find; lint.c has the word and the severity of each */
typedef enum LintCode
{
	LINT_AMBIGUOUS_LINK,
	LINT_BLOCKING_REFERENCE,
	LINT_BROKEN_LABEL,
	LINT_CASCADE_INTO_KEPT,
	LINT_HOP_WITHOUT_FOREIGN_KEY,
	LINT_INFERRED_LINK,
	LINT_MATVIEW_COPIES_LABELLED,
	LINT_ONLY_ACCESSORS,
	LINT_PATH_BEYOND_SUBJECT,
	LINT_PLAN_CONFLICT,
	LINT_RETENTION_WITHOUT_ANCHOR,
	LINT_SHADOWED_COMMENT,
	LINT_SHARED_WITHOUT_LINK,
	LINT_SURROGATE_MISSING,
	LINT_UNINDEXED_PATH,
	LINT_UNINDEXED_REFERENCE,
	LINT_UNLABELLED_COLUMN,
	LINT_UNLABELLED_TABLE,
	LINT_UNREACHABLE_TABLE,
	LINT_VIEW_COPIES_LABELLED,
	LINT_WHERE_EXCLUDES_ROWS
} LintCode;

typedef struct Finding
{
	LintCode	code;
	Oid			relid;
	char	   *relation;		/* display name, to sort by */
	AttrNumber	attnum;			/* 0 where it is about no single column */
	char	   *column;
	char	   *message;
	char	   *hint;			/* or NULL */
} Finding;

typedef struct LintRun
{
	DataMap    *map;
	List	   *labels;			/* of StoredLabel: all there are */
	HTAB	   *reaching;		/* Oids with a chain of foreign keys to a subject */
	List	   *schemas;		/* of Oid; NIL for all but the system's */
	List	   *findings;		/* of Finding */
	List	   *told;			/* of char *: errors that a finding has told of */
} LintRun;

typedef void (*LintCheck) (LintRun *run);

/* Checks, in the files named after what they look at */
extern void EffLintBrokenLabels(LintRun *run);	/* lint_labels.c */
extern void EffLintShadowedComments(LintRun *run);
extern void EffLintUnlabelledColumns(LintRun *run);
extern void EffLintUnlabelledTables(LintRun *run);
extern void EffLintRetention(LintRun *run);
extern void EffLintSurrogates(LintRun *run);
extern void EffLintLinks(LintRun *run); /* lint_links.c */
extern void EffLintHops(LintRun *run);
extern void EffLintOwners(LintRun *run);
extern void EffLintWhere(LintRun *run);
extern void EffLintPaths(LintRun *run); /* lint_keys.c */
extern void EffLintReferences(LintRun *run);
extern void EffLintCascades(LintRun *run);
extern void EffLintPlans(LintRun *run);
extern void EffLintViews(LintRun *run); /* lint_copies.c */

/* File a finding; false where it is not to be shown */
extern bool EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
					   char *message, char *hint);

/* The same for an error that stops an erasure, so that it is not told twice */
extern bool EffLintAddError(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
							const MapError *error, char *hint);

/* Whether an erasure changes rows of a table, and whether the rows go */
extern bool EffLintErases(MapTable *table);
extern bool EffLintDeletes(MapTable *table);

/* Run something that may fail, in a subtransaction; NULL where it did not */
extern ErrorData *EffLintTry(void (*body) (void *arg), void *arg);

/* The statement that gives a table or column a label with one value changed */
extern char *EffLintRelabel(LintRun *run, EffRelation *rel, AttrNumber attnum, List *keys, const char *value);
extern char *EffLintRelabelLink(LintRun *run, TableLink *link, char *key, const char *value);
extern char *EffLintJsonString(const char *text);

/* "public.t.c" quoted for a statement, "t.c" for a message */
extern char *EffLintColumnName(EffRelation *rel, AttrNumber attnum);

#endif							/* EFF_LINT_H */
