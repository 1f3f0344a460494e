/*
 * ledger.c
 *	  Checks of the ledgers of consent and restriction.
 */
#include "postgres.h"

#include "ledger/ledger.h"
#include "lint/lint_int.h"

static void lint_lost(LintRun *run, const char *ledger, LintSeverity severity, const char *kind);

/*
 * EffLintLedgers finds records about a kind of subject that no table has.
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

/* lint_lost: the place is the ledger, so that it can be judged where the subjects are gone for good. */
static void
lint_lost(LintRun *run, const char *ledger, LintSeverity severity, const char *kind)
{
	Finding    *finding;
	char	   *statements = NULL;
	int			n = 0;

	if (run->schemas != NIL)
		return;
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];
		char	   *statement;

		if (!table->is_subject)
			continue;
		statement = EffLintRelabel(run, table->rel, 0, list_make1(pstrdup("subject")), EffLintJsonString(kind));
		statements = n++ == 0 ? statement : psprintf("%s\n%s", statements, statement);
	}
	finding = palloc0(sizeof(Finding));
	finding->code = LINT_LOST_KIND;
	finding->severity = severity;
	finding->relid = EffRelationByName(psprintf("%s.%s", EffExtensionSchemaSql(), ledger));
	finding->relation = EffRelationDisplayName(finding->relid);
	if (finding->relation == NULL)
		return;
	finding->message = psprintf("no table has subjects of kind %s any more, of which %s: they count for nobody",
								EffQuoteLiteral(kind), severity == SEVERITY_ERROR ?
								"restrictions are in force" : "consents are recorded");
	finding->hint = n > 1 ? psprintf("Choose one:\n%s", statements) : statements;
	run->findings = lappend(run->findings, finding);
}
