/*
 * registered.c
 *	  Checks of what was registered or recorded under a name and is gone: tables of
 *	  anchors, functions of producers, kinds of subjects, resolvers.
 */
#include "postgres.h"

#include "ledger/ledger.h"
#include "lint/lint_int.h"
#include "outbox/resolver.h"

/* A table of an anchor, with one bucket whose producer owns the anchor */
typedef struct AnchoredTable
{
	char	   *anchor;
	char	   *relation;		/* as registered */
	Oid			relid;			/* InvalidOid where the table is gone */
	char	   *bucket_type;	/* NULL where no producer owns the anchor */
	Oid			subject;
	char	   *others;			/* the other tables of the anchor, as arguments, or NULL */
} AnchoredTable;

static List *load_anchored_tables(void);
static void lint_gone(LintRun *run, AnchoredTable *anchored);
static void lint_unlinked(LintRun *run, AnchoredTable *anchored);
static void lint_lost(LintRun *run, const char *ledger, LintSeverity severity, const char *kind);
static char *column_text(int row, int column);
static Oid	column_oid(int row, int column);

/*
 * EffLintDeletionAnchors finds anchors with a table that is gone, or that has no link
 * to the subject of a bucket that deletes from it.
 */
void
EffLintDeletionAnchors(LintRun *run)
{
	foreach_ptr(AnchoredTable, anchored, load_anchored_tables())
	{
		if (!OidIsValid(anchored->relid))
			lint_gone(run, anchored);
		else if (anchored->bucket_type != NULL && OidIsValid(anchored->subject))
			lint_unlinked(run, anchored);
	}
}

/*
 * EffLintProducers finds producers whose function of eligibility is gone.
 */
void
EffLintProducers(LintRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *messages = NIL;
	List	   *hints = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT p.producer, p.bucket_type, p.eligibility"
							 " FROM effaced.effaced_producers p"
							 " WHERE pg_catalog.to_regprocedure(p.eligibility) IS NULL"
							 " ORDER BY p.bucket_type, p.producer", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the producers");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext previous = MemoryContextSwitchTo(context);
		char	   *producer = EffQuoteLiteral(column_text(row, 1));
		char	   *bucket_type = EffQuoteLiteral(column_text(row, 2));

		messages = lappend(messages,
						   psprintf("function %s of producer %s does not exist: no verdict on"
									" bucket type %s can be had",
									column_text(row, 3), producer, bucket_type));
		hints = lappend(hints,
						psprintf("UPDATE effaced.effaced_producers SET eligibility ="
								 " 'schema.function(text[])' WHERE (bucket_type, producer) = (%s,"
								 " %s);",
								 bucket_type, producer));
		MemoryContextSwitchTo(previous);
	}
	EffSpiEnd(&bracket);
	forboth(lc, messages, lc2, hints)
		(void) EffLintAdd(run, LINT_PRODUCER_FUNCTION_GONE, NULL, 0, lfirst(lc), lfirst(lc2));
}

/*
 * EffLintLedgers finds kinds of subjects that a ledger has records of and that
 * no table of the map has.
 */
void
EffLintLedgers(LintRun *run)
{
	ListCell   *lc;

	foreach(lc, EffLedgerLostKinds(run->map, LEDGER_RESTRICTIONS))
		lint_lost(run, LEDGER_RESTRICTIONS, SEVERITY_ERROR, lfirst(lc));
	foreach(lc, EffLedgerLostKinds(run->map, LEDGER_CONSENTS))
		lint_lost(run, LEDGER_CONSENTS, SEVERITY_WARNING, lfirst(lc));
}

/*
 * EffLintResolvers finds columns whose label names a resolver that is not
 * registered.  No request for such a subject succeeds, since nobody can say what
 * the column's references are to.
 */
void
EffLintResolvers(LintRun *run)
{
	List	   *resolvers = EffResolvers();

	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_ptr(MapColumn, column, table->columns)
		{
			const char *ref = column->label->ref;

			if (ref != NULL && EffResolverByName(resolvers, ref) == NULL)
				(void) EffLintAdd(run, LINT_UNREGISTERED_RESOLVER, table->rel,
								  column->column->attnum,
								  psprintf("no resolver is registered under the name \"%s\", in"
										   " which the label says that the column's values are"
										   " known", ref),
								  psprintf("SELECT %s.effaced_register_resolver(%s);",
										   EffExtensionSchemaSql(), EffQuoteLiteral(ref)));
		}
	}
}

/* load_anchored_tables returns a list of AnchoredTable, read as the owner of effaced's tables. */
static List *
load_anchored_tables(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *tables = NIL;
	EffBracket	bracket;

	EffSpiBeginAsOwner(&bracket);
	if (SPI_execute("SELECT t.anchor, t.relation,"
					" pg_catalog.to_regclass(t.relation)::pg_catalog.oid,"
					" b.bucket_type, pg_catalog.to_regclass(b.subject)::pg_catalog.oid,"
					" (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(o.relation),"
					" ', ' ORDER BY o.relation)"
					" FROM effaced.effaced_anchor_tables o WHERE o.anchor = t.anchor"
					" AND o.relation <> t.relation)"
					" FROM effaced.effaced_anchor_tables t"
					" LEFT JOIN (effaced.effaced_producer_contracts c"
					" JOIN effaced.effaced_buckets b ON b.bucket_type = c.bucket_type)"
					" ON c.anchor = t.anchor AND c.contract = 'owns'"
					" ORDER BY t.anchor, t.relation, b.bucket_type", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the anchors");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext previous = MemoryContextSwitchTo(context);
		AnchoredTable *anchored = palloc(sizeof(AnchoredTable));

		anchored->anchor = column_text(row, 1);
		anchored->relation = column_text(row, 2);
		anchored->relid = column_oid(row, 3);
		anchored->bucket_type = column_text(row, 4);
		anchored->subject = column_oid(row, 5);
		anchored->others = column_text(row, 6);
		tables = lappend(tables, anchored);
		MemoryContextSwitchTo(previous);
	}
	EffSpiEnd(&bracket);
	return tables;
}

/*
 * lint_gone files the finding about a table of an anchor that is gone.  It names no
 * bucket, so that it is shown once where several buckets use the anchor.
 */
static void
lint_gone(LintRun *run, AnchoredTable *anchored)
{
	char	   *anchor = EffQuoteLiteral(anchored->anchor);

	(void) EffLintAdd(run, LINT_ANCHOR_TABLE_GONE, NULL, 0,
					  psprintf("table %s of anchor %s does not exist: no batch that deletes from"
							   " it can be applied",
							   anchored->relation, anchor),
					  psprintf("SELECT %s.effaced_register_anchor(%s, %s);",
							   EffExtensionSchemaSql(), anchor,
							   anchored->others ? anchored->others : "'schema.table'"));
}

/* lint_unlinked finds a table of an anchor that no owner's link makes the subject's. */
static void
lint_unlinked(LintRun *run, AnchoredTable *anchored)
{
	MapTable   *table = EffMapTable(run->map, anchored->relid);
	MapTable   *subject = EffMapTable(run->map, anchored->subject);
	EffRelation *rel = EffMapFind(run->map, anchored->relid);
	char	   *anchor = EffQuoteLiteral(anchored->anchor);

	if (rel == NULL || subject == NULL || !subject->is_subject || table == subject)
		return;
	/* a broken link has a finding of its own */
	if (table != NULL && (table->error != NULL ||
						  EffGraphRoleLinks(table, subject, ROLE_OWNER) != NIL))
		return;
	(void) EffLintAdd(run, LINT_ANCHOR_WITHOUT_LINK, rel, 0,
					  psprintf("table %s of anchor %s has no link to %s, whose batches of bucket"
							   " type %s cannot be applied",
							   rel->name, anchor, subject->name,
							   EffQuoteLiteral(anchored->bucket_type)),
					  anchored->others ?
					  psprintf("SELECT %s.effaced_register_anchor(%s, %s);",
							   EffExtensionSchemaSql(), anchor, anchored->others) :
					  psprintf("Label the table with a path to %s.", subject->name));
}

/*
 * lint_lost files a finding about the ledger itself, so that it can be exempted
 * where the subjects are gone for good.
 */
static void
lint_lost(LintRun *run, const char *ledger, LintSeverity severity, const char *kind)
{
	Oid			relid = EffRelationByName(psprintf("%s.%s", EffExtensionSchemaSql(), ledger));
	char	   *relation = EffRelationDisplayName(relid);
	char	   *statements = NULL;
	int			n = 0;

	if (run->schemas != NIL || relation == NULL)
		return;
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		char	   *statement;

		if (!table->is_subject)
			continue;
		statement = EffLintRelabel(run, table->rel, 0, list_make1(pstrdup("subject")),
								   EffLintJsonString(kind));
		statements = n++ == 0 ? statement : psprintf("%s\n%s", statements, statement);
	}
	EffLintAddNamed(run, severity, LINT_LOST_KIND, relid, relation, NULL,
					psprintf("no table has subjects of kind %s any more, of which %s: they count"
							 " for nobody",
							 EffQuoteLiteral(kind), severity == SEVERITY_ERROR ?
							 "restrictions are in force" : "consents are recorded"),
					n > 1 ? psprintf("Choose one:\n%s", statements) : statements);
}

/* column_text returns a column of the result as text, or NULL. */
static char *
column_text(int row, int column)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return text ? pstrdup(text) : NULL;
}

/* column_oid returns a column of the result as an OID, InvalidOid for NULL. */
static Oid
column_oid(int row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
									  &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}
