/*
 * lint_int.h
 *	  Findings about the data map, and the checks that make them.
 *
 * A check looks at the whole map and calls EffLintAdd() for what it finds.
 * Whether the finding is shown is decided there.
 */
#ifndef EFF_LINT_INT_H
#define EFF_LINT_INT_H

#include "effaced.h"
#include "map/graph.h"
#include "plan/plan.h"

/* What a finding is about; codes.h has the word and the severity of each code */
#define LINT_CODE(code, word, severity) code,
typedef enum LintCode
{
#include "lint/codes.h"
} LintCode;
#undef LINT_CODE

/* How grave a finding is; "no erasure is possible" comes first */
typedef enum LintSeverity
{
	SEVERITY_ERROR,				/* no erasure is possible, or none of this table */
	SEVERITY_WARNING,			/* something may be left behind, fail or be slow */
	SEVERITY_INFO
} LintSeverity;

typedef struct Finding
{
	LintCode	code;
	LintSeverity severity;
	Oid			relid;			/* InvalidOid where the relation is gone */
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
	int			sample;			/* rows to look into per table; 0 for none */
	List	   *loose;			/* of LooseColumn, by relation */
	HTAB	   *connected;		/* Oids joined to a subject by keys of any direction; NULL without a subject */
	Datum		labelled[3];	/* arrays: relations and attnums of labelled columns, tables of the map */
	List	   *findings;		/* of Finding */
	List	   *told;			/* of char *: errors that a finding has told of */
} LintRun;

/* A column that could have a label and has none; members of foreign keys are left out */
typedef struct LooseColumn
{
	Oid			relid;
	AttrNumber	attnum;
	char	   *name;
	Oid			type;
} LooseColumn;

typedef void (*LintCheck) (LintRun *run);

/* One row of EffLintQuery, as text */
typedef void (*LintRow) (LintRun *run, char **cells);

/* Checks, in the files named after what they look at */
extern void EffLintBrokenLabels(LintRun *run);	/* lint_labels.c */
extern void EffLintShadowedComments(LintRun *run);
extern void EffLintUnlabelledColumns(LintRun *run);
extern void EffLintUnlabelledTables(LintRun *run);
extern void EffLintRetention(LintRun *run);
extern void EffLintSurrogates(LintRun *run);
extern void EffLintResolvers(LintRun *run);
extern void EffLintLinks(LintRun *run); /* lint_links.c */
extern void EffLintHops(LintRun *run);
extern void EffLintOwners(LintRun *run);
extern void EffLintWhere(LintRun *run);
extern void EffLintPaths(LintRun *run); /* lint_keys.c */
extern void EffLintReferences(LintRun *run);
extern void EffLintCascades(LintRun *run);
extern void EffLintPrimaryKeys(LintRun *run);
extern void EffLintAnchors(LintRun *run);
extern void EffLintPlans(LintRun *run);
extern void EffLintPersonal(LintRun *run);	/* lint_personal.c */
extern void EffLintValues(LintRun *run);	/* lint_values.c */
extern void EffLintViews(LintRun *run); /* lint_copies.c */
extern void EffLintTriggers(LintRun *run);
extern void EffLintRules(LintRun *run);
extern void EffLintForeignTables(LintRun *run);
extern void EffLintGenerated(LintRun *run);
extern void EffLintStatistics(LintRun *run);	/* lint_storage.c */
extern void EffLintIndexes(LintRun *run);
extern void EffLintReplication(LintRun *run);
extern void EffLintReaders(LintRun *run);
extern void EffLintExemptions(LintRun *run);	/* lint_exempt.c: the last one */
extern void EffLintLedgers(LintRun *run);	/* lint_ledger.c */
extern void EffLintDeletionAnchors(LintRun *run);	/* lint_governance.c */
extern void EffLintProducers(LintRun *run);
extern void EffLintUnenforced(LintRun *run);	/* lint_citus.c */

/* File a finding, about no relation where rel is NULL; false where it is not to be shown */
extern bool EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
					   char *message, char *hint);

/* The same, graver or less grave than the code by itself */
extern bool EffLintAddAs(LintRun *run, LintSeverity severity, LintCode code, EffRelation *rel,
						 AttrNumber attnum, char *message, char *hint);

/* The same for an error that stops an erasure, so that it is not told twice */
extern bool EffLintAddError(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
							const MapError *error, char *hint);

/* Whether an erasure changes rows of a table, and whether the rows go */
extern bool EffLintErases(MapTable *table);
extern bool EffLintDeletes(MapTable *table);

/* Whether findings about a relation are asked for */
extern bool EffLintIsInQuestion(LintRun *run, Oid relid);

/* Whether a relation is one of effaced's own */
extern bool EffLintIsOwn(Oid relid);

/* Whether a finding has told already that a column should have a label */
extern bool EffLintToldColumn(LintRun *run, Oid relid, AttrNumber attnum);

/* What becomes of values of a column without a label, to end a message with */
extern const char *EffLintConsequence(LintRun *run, Oid relid);

/* The severity of personal data in a relation without a label */
extern LintSeverity EffLintPersonalSeverity(LintRun *run, Oid relid);

/* The words of codes, for who names one */
extern bool EffLintIsCode(const char *word);
extern char *EffLintCodeWords(void);
extern const char *EffLintCodeWord(LintCode code);

/*
 * Run a query over the catalogs and hand its rows on, as text.  Its parameters
 * are $1 oid[] and $2 int4[], the labelled columns (those of children
 * included), and $3 oid[], the tables of the map.
 */
extern void EffLintQuery(LintRun *run, const char *sql, LintRow row);

/* The definition of an index or a constraint, by one of the server's functions; NULL where it is gone */
extern char *EffLintDefinition(Oid function, Oid object);

/* Run something that may fail, in a subtransaction; NULL where it did not */
extern ErrorData *EffLintTry(void (*body) (void *arg), void *arg);

/* The statement that gives a table or column a label with one value changed */
extern char *EffLintRelabel(LintRun *run, EffRelation *rel, AttrNumber attnum, List *keys, const char *value);
extern char *EffLintRelabelLink(LintRun *run, TableLink *link, char *key, const char *value);
extern char *EffLintJsonString(const char *text);

/* The statement that labels one column of a relation like another */
extern char *EffLintLabelLike(LintRun *run, EffRelation *rel, AttrNumber attnum, AttrNumber like);

/* Names for a message: of columns, cut after some, given as "1 2 3" or by number */
extern char *EffLintNames(List *names);
extern char *EffLintColumns(EffRelation *rel, const char *attnums);

/* "public.t.c" quoted for a statement, "t.c" for a message */
extern char *EffLintColumnName(EffRelation *rel, AttrNumber attnum);

extern int EffLintCompare(const ListCell *a, const ListCell *b);

extern const char *EffLintSeverityWord(LintSeverity severity);

#endif							/* EFF_LINT_INT_H */
