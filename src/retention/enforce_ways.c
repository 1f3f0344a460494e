/*
 * enforce_ways.c
 *	  The end of a retention never cuts the way to values that have not expired: the
 *	  row keeps the column until they have.
 */
#include "postgres.h"

#include "retention/enforce_ways.h"
#include "rows/ways.h"

/* Values that a column of the step leads to */
typedef struct WayKeeper
{
	MapTable   *table;			/* whose values they are */
	TableLink  *link;			/* by which its rows are found; NULL for a subject's own row */
	JoinHop    *hop;			/* joins other rows to the row of the step; NULL: its own values */
	bool		direct;			/* the hop starts at the table's rows */
	List	   *columns;		/* of MapColumn: what keeps */
	List	   *terms;			/* of RetentionTerm, NULL where a column has none; by columns */
} WayKeeper;

static void add_keeper(EnforcementStep *step, MapTable *table, TableLink *link, List *written,
					   DataMap *map, List *terms);
static JoinHop *hop_to(EnforcementStep *step, WayCut *cut);
static void add_columns(WayKeeper *keeper, EnforcementStep *step, List *terms);
static const Condition *joined_values(DataMap *map, EnforcementStep *step, WayKeeper *keeper,
									  Statement *st);
static const Condition *held_values(DataMap *map, WayKeeper *keeper, Statement *st);
static char *held(DataMap *map, MapTable *table, MapColumn *column, Statement *st);

/*
 * EffEnforceWays notes in a step what its columns lead to: values of the same row, which
 * is found by them, and of rows that are joined to the row.
 */
void
EffEnforceWays(DataMap *map, EnforcementStep *step, List *terms)
{
	Bitmapset  *columns = NULL;
	List	   *written;

	foreach_ptr(RetentionTerm, term, step->terms)
		columns = bms_add_member(columns, term->column->column->attnum);
	written = EffWaysAdd(map, NIL, step->table->rel->oid, columns);
	for (int i = 0; i < map->ntables; i++)
	{
		MapTable   *table = map->tables[i];

		if (table->error != NULL)
			continue;
		if (table->is_subject)
			add_keeper(step, table, NULL, written, map, terms);
		foreach_ptr(TableLink, link, table->links)
			if (link->error == NULL && link->label->role == ROLE_OWNER)
				add_keeper(step, table, link, written, map, terms);
	}
}

/* add_keeper adds the values of one table that are found by a way, if it would be cut. */
static void
add_keeper(EnforcementStep *step, MapTable *table, TableLink *link, List *written, DataMap *map,
		   List *terms)
{
	foreach_ptr(WayCut, cut, EffWaysCut(map, table, link, written))
	{
		WayKeeper  *keeper = palloc0(sizeof(WayKeeper));

		keeper->table = table;
		keeper->link = link;
		keeper->hop = hop_to(step, cut);
		keeper->direct = keeper->hop != NULL && keeper->hop == linitial(link->hops);
		add_columns(keeper, step, terms);
		if (keeper->columns != NIL)
			step->keepers = lappend(step->keepers, keeper);
	}
}

/*
 * hop_to returns the hop by which a way comes to the row whose column is written; NULL
 * where the way starts at that row.
 */
static JoinHop *
hop_to(EnforcementStep *step, WayCut *cut)
{
	JoinHop    *before = NULL;

	foreach_ptr(JoinHop, hop, cut->link ? cut->link->hops : NIL)
	{
		if (hop->source == cut->rel && before == NULL && cut->own_reference)
			return NULL;
		if (hop->target == cut->rel)
			return hop;
		before = hop;
	}
	return NULL;
}

/* add_columns lists what may keep the row: every labelled column that is about the link's owner. */
static void
add_columns(WayKeeper *keeper, EnforcementStep *step, List *terms)
{
	foreach_ptr(MapColumn, column, keeper->table->columns)
	{
		const char *tied = column->label->link;
		RetentionTerm *found = NULL;
		bool		own = false;

		foreach_ptr(RetentionTerm, term, step->terms)
			own |= term->column == column;
		if ((own && keeper->hop == NULL) || column->column->generated ||
			(tied != NULL && keeper->link != NULL && keeper->link->name != NULL &&
			 strcmp(tied, keeper->link->name) != 0))
			continue;
		foreach_ptr(RetentionTerm, term, terms)
			if (term->column == column)
				found = term;
		keeper->columns = lappend(keeper->columns, column);
		keeper->terms = lappend(keeper->terms, found);
	}
}

/*
 * EffEnforceCuts returns the condition that a row of alias t holds, or leads to, a value
 * that has not expired and would not be found any more.
 */
const Condition *
EffEnforceCuts(DataMap *map, EnforcementStep *step, Statement *st)
{
	const Condition *any = &EffFalse;

	foreach_ptr(WayKeeper, keeper, step->keepers)
	{
		any = EffConditionOr(any, keeper->hop == NULL ? held_values(map, keeper, st) :
							 joined_values(map, step, keeper, st));
	}
	return any;
}

/*
 * joined_values: a row that is joined to the row of alias t holds a value.  Where its
 * values cannot be looked at, any such row counts.
 */
static const Condition *
joined_values(DataMap *map, EnforcementStep *step, WayKeeper *keeper, Statement *st)
{
	JoinHop    *hop = keeper->hop;
	bool		named = false;

	for (int i = 0; i < hop->n; i++)
		named |= EffEqualitySchema(EffRelationColumn(hop->target,
													 hop->target_columns[i])->type) != NULL;
	if (!keeper->direct || named)
		return EffScopeReferenced(st, "t", hop->target, hop->target_columns, hop->source,
								  hop->source_columns, hop->n);
	/* the inner alias hides the outer one, which is named on the left only */
	return EffScopeJoin(st, "t", hop->target, hop->target_columns, "t", hop->source,
						hop->source_columns, hop->n, false, held_values(map, keeper, st));
}

/* held_values: a row of alias t of the keeper's table holds a value that has not expired. */
static const Condition *
held_values(DataMap *map, WayKeeper *keeper, Statement *st)
{
	StringInfoData buf;
	ListCell   *lc;
	ListCell   *lc2;

	initStringInfo(&buf);
	forboth(lc, keeper->columns, lc2, keeper->terms)
	{
		RetentionTerm *term = lfirst(lc2);
		char	   *expired = term == NULL || term->policy->on_expiry == EXPIRY_REPORT ? NULL :
			EffRetentionExpired(term, st);

		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " OR " : "",
						 held(map, keeper->table, lfirst(lc), st));
		if (expired != NULL)
			appendStringInfo(&buf, " AND (%s) IS NOT TRUE", expired);
	}
	return EffConditionOf(psprintf("(%s) IS TRUE", buf.data), NULL);
}

/* held: a column has a value that is not NULL, nor what an erasure writes. */
static char *
held(DataMap *map, MapTable *table, MapColumn *column, Statement *st)
{
	Surrogate  *surrogate = EffSurrogateChoose(map, table, column);
	char	   *residual = surrogate->error ? NULL : EffSurrogateResidualSql(surrogate, st, "t");

	return residual ? psprintf("(%s)", residual) :
		psprintf("(%s IS NOT NULL)", EffColumnSql("t", table->rel, column->column->attnum));
}
