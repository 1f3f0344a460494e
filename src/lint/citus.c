/*
 * citus.c
 *	  Checks of what Citus does not do for distributed tables.
 */
#include "postgres.h"

#include "base/citus.h"
#include "lint/lint_int.h"

#include "utils/builtins.h"

static char *distribute_statement(EffRelation *rel, EffRelation *target, ForeignKey *fk);

/*
 * EffLintUnenforced finds foreign keys whose other end is in shards: nothing
 * looks at them when a row there goes, nor sets them to NULL.
 */
void
EffLintUnenforced(LintRun *run)
{
	if (!EffCitusPresent())
		return;
	foreach_ptr(ForeignKey, fk, run->map->foreign_keys)
	{
		MapTable   *target = EffMapTableOver(run->map, fk->target);
		CitusKind	kind;
		EffRelation *rel;

		if (target == NULL || EffCitusKindOf(fk->target) != CITUS_DISTRIBUTED)
			continue;
		kind = EffCitusKindOf(fk->relid);
		rel = EffMapFind(run->map, fk->relid);
		if (rel == NULL || kind == CITUS_DISTRIBUTED || kind == CITUS_REFERENCE)
			continue;
		(void) EffLintAdd(run, LINT_UNENFORCED_REFERENCE, rel, fk->columns[0],
						  psprintf("%s is on this server and constraint %s references the distributed table %s: Citus does not enforce it, and what it says ON DELETE is not done",
								   rel->name, quote_identifier(fk->name), target->name),
						  distribute_statement(rel, EffMapLoad(run->map, fk->target), fk));
	}
}

/* distribute_statement puts the rows beside those that they reference. */
static char *
distribute_statement(EffRelation *rel, EffRelation *target, ForeignKey *fk)
{
	return psprintf("SELECT create_distributed_table(%s, %s, colocate_with => %s);",
					quote_literal_cstr(rel->sql),
					quote_literal_cstr(EffRelationColumn(rel, fk->columns[0])->name),
					quote_literal_cstr(target->sql));
}
