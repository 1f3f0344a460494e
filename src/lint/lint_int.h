/*
 * lint_int.h
 *	  Findings about the data map, and the checks that file them.
 *
 * A check calls EffLintAdd() for whatever it finds.  Whether the finding is
 * shown is decided there.
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

/* How grave a finding is, gravest first */
typedef enum LintSeverity
{
	SEVERITY_ERROR,				/* no erasure is possible, or none of this table */
	SEVERITY_WARNING,			/* something may be left behind, fail or be slow */
	SEVERITY_INFO				/* something to know, which may be as it should be */
} LintSeverity;

typedef struct Finding
{
	LintCode	code;
	LintSeverity severity;
	Oid			relid;			/* InvalidOid where the relation is gone */
	char	   *relation;		/* display name, by which findings are sorted */
	AttrNumber	attnum;			/* 0 where the finding is about no single column */
	char	   *column;
	char	   *message;
	char	   *hint;			/* or NULL */
} Finding;

/* A column that could have a label and has none; columns of foreign keys are left out */
typedef struct LooseColumn
{
	Oid			relid;
	AttrNumber	attnum;
	char	   *name;
	Oid			type;
} LooseColumn;

/* One call of effaced_lint(); everything in it lives as long as the call */
typedef struct LintRun
{
	DataMap    *map;
	List	   *labels;			/* of StoredLabel: all that are stored */
	HTAB	   *reaching;		/* Oids of relations with a chain of foreign keys to a subject */
	HTAB	   *connected;		/* Oids joined to a subject by keys of any direction; NULL without a
								 * subject */
	List	   *schemas;		/* of Oid; NIL for all but the system's */
	int			sample;			/* rows to look into per table; 0 for none */
	List	   *loose;			/* of LooseColumn, by relation */
	Datum		labelled[3];	/* parameters of EffLintQuery() */
	List	   *findings;		/* of Finding */
	List	   *told;			/* of char *: messages of errors that a finding has told of */
} LintRun;

/* One kind of check; it looks at the whole map and files what it finds */
typedef void (*LintCheck) (LintRun *run);

/* Takes one row of an EffLintQuery(), whose columns are text or NULL */
typedef void (*LintRow) (LintRun *run, char **cells);

/* labels.c: labels that are broken, missing or not seen */
extern void EffLintNotAdmitted(LintRun *run);
extern void EffLintBrokenLabels(LintRun *run);
extern void EffLintShadowedComments(LintRun *run);
extern void EffLintUnlabelledColumns(LintRun *run);
extern void EffLintUnlabelledTables(LintRun *run);
extern void EffLintRetention(LintRun *run);
extern void EffLintSurrogates(LintRun *run);

/* links.c: how tables reach their subjects */
extern void EffLintLinks(LintRun *run);
extern void EffLintHops(LintRun *run);
extern void EffLintOwners(LintRun *run);
extern void EffLintWhere(LintRun *run);

/* ownerless.c: rows that nobody owns, and references to the same person */
extern void EffLintOwnerless(LintRun *run);
extern void EffLintMerged(LintRun *run);

/* keys.c: keys and indexes */
extern void EffLintPaths(LintRun *run);
extern void EffLintReferences(LintRun *run);
extern void EffLintUnenforced(LintRun *run);
extern void EffLintCascades(LintRun *run);
extern void EffLintPrimaryKeys(LintRun *run);
extern void EffLintAnchors(LintRun *run);
extern void EffLintPlans(LintRun *run);

/* ways.c: ways that end, and what references are moved to */
extern void EffLintPlanWays(LintRun *run, ErasurePlan *plan);
extern void EffLintGhosts(LintRun *run);

/* personal.c, values.c: columns without a label that look like personal data */
extern void EffLintPersonal(LintRun *run);
extern void EffLintValues(LintRun *run);

/* copies.c: other relations and columns that hold labelled values */
extern void EffLintViews(LintRun *run);
extern void EffLintTriggers(LintRun *run);
extern void EffLintRules(LintRun *run);
extern void EffLintForeignTables(LintRun *run);
extern void EffLintGenerated(LintRun *run);

/* storage.c: where the server keeps, sends or shows labelled values */
extern void EffLintStatistics(LintRun *run);
extern void EffLintIndexes(LintRun *run);
extern void EffLintReplication(LintRun *run);
extern void EffLintReaders(LintRun *run);

/* registered.c: what was registered and is gone */
extern void EffLintLedgers(LintRun *run);
extern void EffLintDeletionAnchors(LintRun *run);
extern void EffLintProducers(LintRun *run);
extern void EffLintResolvers(LintRun *run);

/* exempt.c: findings that somebody has judged; the last check */
extern void EffLintExemptions(LintRun *run);

/* finding.c: filing findings */
extern bool EffLintAdd(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
					   char *message, char *hint);
extern bool EffLintAddAs(LintRun *run, LintSeverity severity, LintCode code, EffRelation *rel,
						 AttrNumber attnum, char *message, char *hint);
extern bool EffLintAddError(LintRun *run, LintCode code, EffRelation *rel, AttrNumber attnum,
							const MapError *error, char *hint);
extern void EffLintAddNamed(LintRun *run, LintSeverity severity, LintCode code, Oid relid,
							char *relation, char *column, char *message, char *hint);
extern int	EffLintCompare(const ListCell *a, const ListCell *b);
extern const char *EffLintSeverityWord(LintSeverity severity);
extern bool EffLintIsCode(const char *word);
extern char *EffLintCodeWords(void);
extern const char *EffLintCodeWord(LintCode code);

/* finding.c: questions that several checks ask */
extern bool EffLintErases(MapTable *table);
extern bool EffLintDeletes(MapTable *table);
extern bool EffLintIsInQuestion(LintRun *run, Oid relid);
extern bool EffLintIsOwn(Oid relid);
extern bool EffLintToldColumn(LintRun *run, Oid relid, AttrNumber attnum);
extern const char *EffLintConsequence(LintRun *run, Oid relid);
extern LintSeverity EffLintPersonalSeverity(LintRun *run, Oid relid);
extern void EffLintQuery(LintRun *run, const char *sql, LintRow row);
extern char *EffLintDefinition(Oid function, Oid object);
extern ErrorData *EffLintTry(void (*body) (void *arg), void *arg);

/* finding.c: names for a message */
extern char *EffLintNames(List *names);
extern char *EffLintColumns(EffRelation *rel, const char *attnums);
extern char *EffLintColumnName(EffRelation *rel, AttrNumber attnum);

/* hints.c: statements that relabel */
extern char *EffLintRelabel(LintRun *run, EffRelation *rel, AttrNumber attnum, List *keys,
							const char *value);
extern char *EffLintRelabelLink(LintRun *run, TableLink *link, char *key, const char *value);
extern char *EffLintJsonString(const char *text);
extern char *EffLintLabelLike(LintRun *run, EffRelation *rel, AttrNumber attnum, AttrNumber like);

/* Rows of a relation, alias t, that meet a condition; it raises, so run it by EffLintTry() */
extern int64 EffLintCountRows(EffRelation *rel, const char *condition);

#endif							/* EFF_LINT_INT_H */
