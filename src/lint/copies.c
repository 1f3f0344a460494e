/*
 * copies.c
 *	  Checks of where copies of labelled values are: in other relations, and in
 *	  columns computed from labelled ones.
 */
#include "postgres.h"

#include "lint/lint_int.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A FROM item of the labelled columns, and the condition that a schema is a user's */
#define LABELLED "ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l (relation, attnum)"
#define USER_SCHEMA(n) n ".nspname !~ '^pg_' AND " n ".nspname <> 'information_schema'"

/*
 * Views and materialized views that read labelled columns, themselves or
 * through other views; one row per view and column.
 */
static const char *const views_query =
"WITH RECURSIVE reads AS ("
" SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation, d.refobjsubid AS attnum"
" FROM pg_catalog.pg_depend d"
" JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid"
" JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')"
" WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
" AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
" AND d.refobjid <> r.ev_class AND d.refobjsubid > 0"
"), copies AS ("
" SELECT view, relation, attnum FROM reads"
" JOIN " LABELLED " USING (relation, attnum)"
" UNION SELECT reads.view, copies.relation, copies.attnum"
" FROM copies JOIN reads ON reads.relation = copies.view"
") SELECT view, pg_catalog.string_agg(relation || ' ' || attnum, ' ' ORDER BY relation, attnum)"
" FROM copies GROUP BY view ORDER BY view";

/* A regular expression for a name in a statement, quoted or not */
#define SQL_NAME "(?:\"(?:[^\"]|\"\")+\"|[[:alpha:]_][[:alnum:]_$]*)"

/* Such a name as it stands in the catalogs, or NULL */
#define FOLDED(name) "CASE WHEN " name " ~ '^\"'" \
	" THEN pg_catalog.replace(pg_catalog.substr(" name ", 2, pg_catalog.length(" name ") - 2)," \
	" '\"\"', '\"')" \
	" ELSE pg_catalog.lower(" name ") END"

/*
 * Triggers on labelled tables that may write to other tables.  The source of the
 * trigger's function, and of the functions that it calls, is searched for statements
 * that write to a table by its name ("writes", with the table) and for SQL that is put
 * together when it runs ("builds SQL"); functions in other languages cannot be
 * searched ("is hidden").  Functions of extensions are left out.
 */
static const char *const triggers_query =
"WITH RECURSIVE bodies AS ("
" SELECT p.oid, p.proname, n.nspname, g.lanname,"
" COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) AS source"
" FROM pg_catalog.pg_proc p"
" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
" JOIN pg_catalog.pg_language g ON g.oid = p.prolang"
" WHERE p.oid >= 16384 AND g.lanname <> 'internal'"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
" WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
"  AND d.objid = p.oid AND d.deptype = 'e')"
"), triggers AS ("
" SELECT t.tgrelid, t.tgname, t.tgfoid AS function"
" FROM pg_catalog.pg_trigger t"
" WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgparentid = 0"
" AND t.tgrelid IN (SELECT l.relation FROM " LABELLED ")"
"), runs AS ("
" SELECT DISTINCT t.function, t.function AS part FROM triggers t"
" UNION SELECT r.function, c.oid"
" FROM runs r JOIN bodies b ON b.oid = r.part"
" CROSS JOIN LATERAL pg_catalog.regexp_matches(b.source,"
" '(?:(" SQL_NAME ")\\s*\\.\\s*)?(" SQL_NAME ")\\s*\\(', 'g') AS w (name)"
" JOIN bodies c ON c.proname = " FOLDED("w.name[2]")
"  AND (w.name[1] IS NULL OR c.nspname = " FOLDED("w.name[1]") ")"
"), sources AS ("
" SELECT r.function, b.oid, b.lanname, b.source FROM runs r JOIN bodies b ON b.oid = r.part"
"), written AS ("
" SELECT f.oid, pg_catalog.regexp_matches(f.source,"
" '\\m(?:insert\\s+into|update|merge\\s+into|copy)\\s+(?:only\\s+)?"
"(?:(" SQL_NAME ")\\s*\\.\\s*)?(" SQL_NAME ")', 'gi') AS name"
" FROM (SELECT DISTINCT oid, source FROM sources) AS f"
"), targets AS ("
" SELECT DISTINCT w.oid, c.oid AS target"
" FROM written w"
" JOIN pg_catalog.pg_class c ON c.relname = " FOLDED("w.name[2]")
"  AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'"
" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND " USER_SCHEMA("n")
" WHERE w.name[1] IS NULL OR n.nspname = " FOLDED("w.name[1]")
") SELECT t.tgrelid, t.tgname, 'writes', x.target FROM triggers t JOIN sources s USING (function)"
" JOIN targets x USING (oid)"
" UNION SELECT t.tgrelid, t.tgname, 'builds SQL', NULL FROM triggers t JOIN sources s"
" USING (function)"
"  WHERE s.lanname = 'plpgsql' AND s.source ~* '\\mexecute\\M'"
" UNION SELECT t.tgrelid, t.tgname, 'is hidden', NULL FROM triggers t JOIN sources s"
" USING (function)"
"  WHERE s.lanname NOT IN ('plpgsql', 'sql')"
" ORDER BY 1, 2, 3, 4";

/* Rules on labelled tables, and the other tables that they name */
static const char *const rules_query =
"SELECT DISTINCT r.ev_class, r.rulename, d.refobjid"
" FROM pg_catalog.pg_rewrite r"
" JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
" AND d.objid = r.oid"
"  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class"
" JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'f')"
" WHERE r.ev_type <> '1' AND r.ev_enabled <> 'D'"
" AND r.ev_class IN (SELECT l.relation FROM " LABELLED ")"
" ORDER BY 1, 2, 3";

/*
 * Foreign tables without a label whose columns are like those of a labelled table: two
 * columns have the same names and types, or one whose name no other table has.
 */
static const char *const foreign_query =
"WITH labelled AS ("
" SELECT a.attrelid AS relation, a.attnum, a.attname, a.atttypid, pg_catalog.count(*) OVER"
" (PARTITION BY a.attname) AS namesakes"
" FROM " LABELLED " JOIN pg_catalog.pg_attribute a ON a.attrelid = l.relation"
" AND a.attnum = l.attnum"
" WHERE l.relation = ANY ($3)"
"), alike AS ("
" SELECT f.attrelid, l.relation, pg_catalog.string_agg(f.attnum::pg_catalog.text, ' '"
" ORDER BY f.attnum) AS attnums,"
"  pg_catalog.string_agg(l.attnum::pg_catalog.text, ' ' ORDER BY f.attnum) AS labelled,"
"  pg_catalog.count(*) AS n, pg_catalog.min(l.namesakes) AS namesakes"
" FROM pg_catalog.pg_class c"
" JOIN pg_catalog.pg_attribute f ON f.attrelid = c.oid AND f.attnum > 0 AND NOT f.attisdropped"
" JOIN labelled l ON l.attname = f.attname AND l.atttypid = f.atttypid AND l.relation <> f.attrelid"
" WHERE c.relkind = 'f' AND NOT EXISTS (SELECT FROM " LABELLED " WHERE l.relation = c.oid"
" AND l.attnum = f.attnum)"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)"
" GROUP BY f.attrelid, l.relation"
") SELECT DISTINCT ON (attrelid) attrelid, relation, attnums, labelled FROM alike"
" WHERE n > 1 OR namesakes = 1 ORDER BY attrelid, n DESC, relation";

/*
 * Generated columns without a label that read labelled ones.  Two minor versions of
 * PostgreSQL keep the dependency in two places of pg_depend.
 */
static const char *const generated_query =
"SELECT g.relation, g.attnum, pg_catalog.string_agg(g.base::pg_catalog.text, ' ' ORDER BY g.base)"
" FROM (SELECT a.attrelid AS relation, a.attnum, d.refobjsubid AS base"
"  FROM pg_catalog.pg_attribute a"
"  LEFT JOIN pg_catalog.pg_attrdef v ON v.adrelid = a.attrelid AND v.adnum = a.attnum"
"  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
" AND d.refobjid = a.attrelid"
"   AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum"
"   AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = v.oid)"
"    OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid"
" AND d.objsubid = a.attnum))"
"  WHERE a.attgenerated <> '' AND NOT a.attisdropped AND a.attrelid = ANY ($3)"
"  GROUP BY 1, 2, 3) AS g"
" JOIN " LABELLED " ON l.relation = g.relation AND l.attnum = g.base"
" WHERE NOT EXISTS (SELECT FROM " LABELLED " WHERE l.relation = g.relation AND l.attnum = g.attnum)"
" GROUP BY 1, 2 ORDER BY 1, 2";

static void lint_view(LintRun *run, char **cells);
static void lint_trigger(LintRun *run, char **cells);
static void lint_rule(LintRun *run, char **cells);
static bool is_copy(LintRun *run, Oid target, Oid source);
static void lint_foreign_table(LintRun *run, char **cells);
static void lint_generated(LintRun *run, char **cells);
static char *copy_statement(LintRun *run, EffRelation *copy, MapTable *source);
static AttrNumber *namesakes(EffRelation *copy, EffRelation *rel, const AttrNumber *columns, int n);
static void append_hop(StringInfo buf, EffRelation *from, const AttrNumber *columns,
					   EffRelation *to, const AttrNumber *target_columns, int n);
static void append_names(StringInfo buf, EffRelation *rel, const AttrNumber *attnums, int n);

/*
 * EffLintViews finds views over labelled columns.  Materialized ones keep values that
 * an erasure has replaced in the table.
 */
void
EffLintViews(LintRun *run)
{
	EffLintQuery(run, views_query, lint_view);
}

/*
 * EffLintTriggers finds triggers on labelled tables that may write copies to tables
 * without a label.
 */
void
EffLintTriggers(LintRun *run)
{
	EffLintQuery(run, triggers_query, lint_trigger);
}

/*
 * EffLintRules finds rules on labelled tables that may write copies to tables without
 * a label.
 */
void
EffLintRules(LintRun *run)
{
	EffLintQuery(run, rules_query, lint_rule);
}

/*
 * EffLintForeignTables finds foreign tables without a label that look like a labelled
 * table, since they may show the same rows of another database.
 */
void
EffLintForeignTables(LintRun *run)
{
	EffLintQuery(run, foreign_query, lint_foreign_table);
}

/*
 * EffLintGenerated finds generated columns without a label that are computed from
 * labelled ones.
 */
void
EffLintGenerated(LintRun *run)
{
	EffLintQuery(run, generated_query, lint_generated);
}

/* lint_view takes a row of views_query. */
static void
lint_view(LintRun *run, char **cells)
{
	EffRelation *view = EffRelationLoad(atooid(cells[0]));
	List	   *names = NIL;
	char	   *list;

	if (view == NULL)
		return;
	for (char *word = strtok(cells[1], " "); word != NULL; word = strtok(NULL, " "))
	{
		EffRelation *rel = EffMapFind(run->map, atooid(word));
		AttrNumber	attnum = atoi(strtok(NULL, " "));

		if (rel != NULL && EffRelationFindColumn(rel, attnum) != NULL)
			names = lappend(names, EffLintColumnName(rel, attnum));
	}
	if (names == NIL)
		return;
	list = EffLintNames(names);
	if (view->relkind == RELKIND_MATVIEW)
		(void) EffLintAdd(run, LINT_MATVIEW_COPIES_LABELLED, view, 0,
						  psprintf("materialized view %s copies labelled columns, and keeps erased"
								   " values until it is refreshed: %s",
								   view->name, list),
						  psprintf("REFRESH MATERIALIZED VIEW %s;", view->sql));
	else
		(void) EffLintAdd(run, LINT_VIEW_COPIES_LABELLED, view, 0,
						  psprintf("view %s shows labelled columns: %s", view->name, list),
						  pstrdup("A view keeps no copy; see that those who may read it are to see"
								  " personal data."));
}

/* lint_trigger takes a row of triggers_query. */
static void
lint_trigger(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	char	   *name = pstrdup(quote_identifier(cells[1]));
	MapTable   *source = EffMapTableOver(run->map, atooid(cells[0]));
	EffRelation *target;
	char	   *disable;
	char	   *label;

	if (rel == NULL || source == NULL)
		return;
	disable = psprintf("ALTER TABLE %s DISABLE TRIGGER %s;", rel->sql, name);
	if (cells[3] == NULL)
	{
		(void) EffLintAdd(run, LINT_TRIGGER_COPIES_LABELLED, rel, 0,
						  strcmp(cells[2], "is hidden") == 0 ?
						  psprintf("trigger %s on %s may copy labelled columns to where no erasure"
								   " looks: its source cannot be read here",
								   name, rel->name) :
						  psprintf("trigger %s on %s may copy labelled columns to where no erasure"
								   " looks: it puts statements together when it runs",
								   name, rel->name),
						  disable);
		return;
	}
	if (!is_copy(run, atooid(cells[3]), rel->oid))
		return;
	target = EffRelationLoad(atooid(cells[3]));
	if (target == NULL)
		return;
	label = copy_statement(run, target, source);
	(void) EffLintAdd(run, LINT_TRIGGER_COPIES_LABELLED, rel, 0,
					  psprintf("trigger %s on %s writes to %s, which has no label: an erasure"
							   " leaves there what it copied",
							   name, rel->name, target->name),
					  label ? label : disable);
}

/* lint_rule takes a row of rules_query. */
static void
lint_rule(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	char	   *name = pstrdup(quote_identifier(cells[1]));
	MapTable   *source = EffMapTableOver(run->map, atooid(cells[0]));
	EffRelation *target;
	char	   *label;

	if (rel == NULL || source == NULL || !is_copy(run, atooid(cells[2]), rel->oid))
		return;
	target = EffRelationLoad(atooid(cells[2]));
	if (target == NULL)
		return;
	label = copy_statement(run, target, source);
	(void) EffLintAdd(run, LINT_RULE_COPIES_LABELLED, rel, 0,
					  psprintf("rule %s on %s uses %s, which has no label: an erasure leaves there"
							   " what it copied",
							   name, rel->name, target->name),
					  label ? label : psprintf("ALTER TABLE %s DISABLE RULE %s;", rel->sql, name));
}

/*
 * is_copy returns whether a table that a trigger or rule of a labelled one names is
 * another one, not in the map and not effaced's own.
 */
static bool
is_copy(LintRun *run, Oid target, Oid source)
{
	return target != source && EffMapTableOver(run->map, target) == NULL &&
		EffLintIsInQuestion(run, source) &&
		get_rel_name(target) != NULL && !EffLintIsOwn(target);
}

/* lint_foreign_table takes a row of foreign_query. */
static void
lint_foreign_table(LintRun *run, char **cells)
{
	EffRelation *rel = EffRelationLoad(atooid(cells[0]));
	MapTable   *source = EffMapTable(run->map, atooid(cells[1]));
	StringInfoData hint;
	char	   *columns;
	char	   *label;
	char	   *own = cells[2];
	char	   *like = cells[3];

	columns = rel == NULL ? NULL : EffLintColumns(rel, own);
	if (columns == NULL || source == NULL)
		return;
	initStringInfo(&hint);
	label = EffMapTable(run->map, rel->oid) != NULL ? NULL : copy_statement(run, rel, source);
	if (label != NULL)
		appendStringInfo(&hint, "%s\n", label);
	for (AttrNumber attnum = strtol(own, &own, 10); attnum != 0; attnum = strtol(own, &own, 10))
	{
		MapColumn  *column = EffMapColumn(source, strtol(like, &like, 10));

		if (column == NULL)
			continue;
		appendStringInfo(&hint, "%s%s", hint.len > 0 && hint.data[hint.len - 1] != '\n' ? "\n" : "",
						 EffLabelStatement(rel->oid, attnum,
										   psprintf("{\"category\": \"%s\"}",
													column->label->category)));
	}
	(void) EffLintAdd(run, LINT_FOREIGN_TABLE_COPIES_LABELLED, rel, 0,
					  psprintf("foreign table %s has columns without a label that look like"
							   " labelled ones of %s: %s",
							   rel->name, source->name, columns),
					  hint.data);
}

/* lint_generated takes a row of generated_query. */
static void
lint_generated(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	MapTable   *table = EffMapTable(run->map, atooid(cells[0]));
	AttrNumber	attnum = atoi(cells[1]);
	char	   *columns = rel == NULL ? NULL : EffLintColumns(rel, cells[2]);

	if (columns == NULL || table == NULL)
		return;
	(void) EffLintAdd(run, LINT_GENERATED_COPIES_LABELLED, rel, attnum,
					  psprintf("column %s has no label and is generated from labelled columns"
							   " (%s): %s",
							   EffLintColumnName(rel, attnum), columns,
							   table->fully_pii_owned ? "an export leaves it out" :
							   "an export leaves it out, and because of it the row is never"
							   " deleted"),
					  EffLintLabelLike(run, rel, attnum, strtol(cells[2], NULL, 10)));
}

/*
 * copy_statement returns the statement that labels a copy with a way to the subject
 * of the original: by foreign keys, or else by columns that are called like the
 * original's keys.  It returns NULL if the copy has neither.
 */
static char *
copy_statement(LintRun *run, EffRelation *copy, MapTable *source)
{
	TableLink  *link = EffGraphInfer(run->map, copy, run->reaching);
	List	   *hops = NIL;
	AttrNumber *columns = source->key;	/* of the original, by which the copy joins */
	EffRelation *target = source->rel;
	AttrNumber *target_columns = source->key;
	int			n = source->nkey;
	AttrNumber *own;
	StringInfoData buf;

	if (link->error == NULL)
		return EffLintRelabel(run, copy, 0, list_make1(pstrdup("path")),
							  EffLintJsonString(EffGraphInferredPath(run->map, link)));
	if (!source->is_subject)
	{
		JoinHop    *hop;

		link = list_length(source->links) == 1 ? linitial(source->links) : NULL;
		if (link == NULL || link->error != NULL || (hop = linitial(link->hops))->reverse)
			return NULL;
		/* the copy takes the place of the original in its first hop; the others are the same */
		columns = hop->source_columns;
		target = hop->target;
		target_columns = hop->target_columns;
		n = hop->n;
		hops = list_copy_tail(link->hops, 1);
	}
	own = source->error ? NULL : namesakes(copy, source->rel, columns, n);
	if (own == NULL)
		return NULL;
	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"hops\": [");
	append_hop(&buf, copy, own, target, target_columns, n);
	foreach_ptr(JoinHop, hop, hops)
	{
		appendStringInfoString(&buf, ", ");
		append_hop(&buf, hop->source, hop->source_columns, hop->target, hop->target_columns,
				   hop->n);
	}
	appendStringInfoString(&buf, "]}");
	return EffLabelStatement(copy->oid, 0, buf.data);
}

/* namesakes returns the columns of the same names and types in a copy; NULL if one is missing. */
static AttrNumber *
namesakes(EffRelation *copy, EffRelation *rel, const AttrNumber *columns, int n)
{
	AttrNumber *result = palloc(sizeof(AttrNumber) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		EffColumn  *column = EffRelationColumn(rel, columns[i]);
		EffColumn  *namesake = EffRelationColumnByName(copy, column->name);

		if (namesake == NULL || namesake->type != column->type)
			return NULL;
		result[i] = namesake->attnum;
	}
	return n > 0 ? result : NULL;
}

/* append_hop writes a hop as the label key "hops" has it. */
static void
append_hop(StringInfo buf, EffRelation *from, const AttrNumber *columns,
		   EffRelation *to, const AttrNumber *target_columns, int n)
{
	appendStringInfoString(buf, "{\"source_columns\": [");
	append_names(buf, from, columns, n);
	appendStringInfo(buf, "], \"target_table\": %s, \"target_columns\": [",
					 EffLintJsonString(to->name));
	append_names(buf, to, target_columns, n);
	appendStringInfoString(buf, "]}");
}

/* append_names writes names of columns as strings of JSON. */
static void
append_names(StringInfo buf, EffRelation *rel, const AttrNumber *attnums, int n)
{
	for (int i = 0; i < n; i++)
		appendStringInfo(buf, "%s%s", i > 0 ? ", " : "",
						 EffLintJsonString(EffRelationColumn(rel, attnums[i])->name));
}
