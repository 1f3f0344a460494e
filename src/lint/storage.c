/*
 * storage.c
 *	  Checks of where the server itself keeps, sends or shows labelled values:
 *	  statistics, indexes, replication, and privileges.
 */
#include "postgres.h"

#include "lint/lint_int.h"

#include "catalog/dependency.h"
#include "catalog/pg_statistic.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define LABELLED "ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l (relation, attnum)"

/* Extended statistics that keep values: lists of most common values, statistics of expressions */
static const char *const extended_query =
"SELECT s.stxrelid, pg_catalog.format('%I.%I', n.nspname, s.stxname),"
" pg_catalog.string_agg(DISTINCT l.attnum::pg_catalog.text, ' ')"
" FROM pg_catalog.pg_statistic_ext s"
" JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace"
" JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass"
" AND d.objid = s.oid"
"  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
" JOIN " LABELLED " ON l.relation = d.refobjid AND l.attnum = d.refobjsubid"
" WHERE s.stxkind && ARRAY['m', 'e']::\"char\"[]"
" GROUP BY 1, 2 ORDER BY 1, 2";

/*
 * Publications of labelled columns: the table is published by its name, as a partition
 * of a published table, by its schema, or with all tables.  A partition has no row of
 * its own if its table has one.
 */
static const char *const publications_query =
"WITH labelled AS ("
" SELECT l.relation, pg_catalog.array_agg(l.attnum ORDER BY l.attnum) AS attnums FROM " LABELLED
" GROUP BY 1"
"), published AS ("
" SELECT p.oid, l.relation, r.prrelid AS listed, 'table' AS how,"
"  ARRAY(SELECT x FROM pg_catalog.unnest(l.attnums) AS x WHERE r.prattrs IS NULL"
" OR x = ANY (r.prattrs::pg_catalog.int2[]) ORDER BY x) AS attnums"
" FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid"
" JOIN labelled l ON l.relation = r.prrelid"
" UNION ALL SELECT p.oid, l.relation, r.prrelid, 'table', l.attnums"
" FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid"
" JOIN labelled l ON l.relation = ANY ($3) AND l.relation <> r.prrelid"
"  AND r.prrelid IN (SELECT pg_catalog.pg_partition_ancestors(l.relation))"
" UNION ALL SELECT p.oid, l.relation, l.relation, 'schema', l.attnums"
" FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid"
" JOIN pg_catalog.pg_class c ON c.relnamespace = s.pnnspid AND c.relkind IN ('r', 'p')"
" AND c.relpersistence = 'p'"
" JOIN labelled l ON l.relation = c.oid"
" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class t"
" ON t.oid = i.inhparent"
"  WHERE i.inhrelid = c.oid AND t.relnamespace = c.relnamespace AND t.oid = ANY ($1))"
" UNION ALL SELECT p.oid, l.relation, l.relation, 'all', l.attnums"
" FROM pg_catalog.pg_publication p, labelled l"
" JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')"
" AND c.relpersistence = 'p'"
" WHERE p.puballtables AND c.oid = ANY ($3)"
") SELECT x.relation, pg_catalog.quote_ident(p.pubname), x.how,"
" pg_catalog.array_to_string(x.attnums, ' '),"
" p.pubinsert, p.pubupdate AND p.pubdelete, p.pubtruncate, pg_catalog.quote_ident(n.nspname),"
" pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)"
" FROM published x JOIN pg_catalog.pg_publication p USING (oid)"
" JOIN pg_catalog.pg_class c ON c.oid = x.listed JOIN pg_catalog.pg_namespace n"
" ON n.oid = c.relnamespace"
" WHERE x.attnums <> '{}' ORDER BY 1, p.pubname, 3";

static const char *const identities_query =
"SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relreplident = 'f'"
" AND c.oid IN (SELECT l.relation FROM " LABELLED ") ORDER BY 1";

/*
 * Roles that may read labelled columns of all rows: by a grant, or as members of
 * pg_read_all_data.  Left out are superusers, roles that may act as the owner, and
 * roles from which a policy hides rows.  The policy that hides the rows of restricted
 * subjects does not count, since it leaves all others.
 */
static const char *const readers_query =
"WITH policies AS ("
" SELECT p.polrelid AS relation, p.polroles, p.polpermissive"
" FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid AND c.relrowsecurity"
" WHERE p.polcmd IN ('r', '*') AND p.polrelid = ANY ($3)"
" AND CASE WHEN p.polpermissive THEN pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true'"
"  ELSE p.polname <> 'effaced_restriction' END"
"), granted AS ("
" SELECT c.oid AS relation, x.grantee, false AS all_data"
" FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS x"
" WHERE x.privilege_type = 'SELECT' AND c.oid IN (SELECT l.relation FROM " LABELLED ")"
" UNION SELECT a.attrelid, x.grantee, false"
" FROM " LABELLED " JOIN pg_catalog.pg_attribute a ON a.attrelid = l.relation"
" AND a.attnum = l.attnum,"
"  pg_catalog.aclexplode(a.attacl) AS x"
" WHERE x.privilege_type = 'SELECT'"
" UNION SELECT t.relation, m.member, true"
" FROM pg_catalog.pg_auth_members m, pg_catalog.unnest($3) AS t (relation)"
" WHERE m.roleid = 'pg_read_all_data'::pg_catalog.regrole"
"), readers AS ("
" SELECT DISTINCT g.relation, g.all_data, CASE WHEN g.grantee = 0 THEN 'PUBLIC'"
" ELSE pg_catalog.quote_ident(r.rolname) END AS role"
" FROM granted g JOIN pg_catalog.pg_class c ON c.oid = g.relation"
" LEFT JOIN pg_catalog.pg_roles r ON r.oid = g.grantee"
" WHERE g.grantee <> c.relowner"
" AND CASE WHEN g.grantee = 0 THEN true"
"  ELSE NOT r.rolsuper AND NOT pg_catalog.pg_has_role(g.grantee, c.relowner, 'USAGE') END"
" AND (NOT c.relrowsecurity OR r.rolbypassrls IS TRUE"
"  OR (SELECT COALESCE(pg_catalog.bool_and(p.polpermissive), false) FROM policies p"
" WHERE p.relation = g.relation"
"   AND (0 = ANY (p.polroles) OR (g.grantee <> 0"
" AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS m (role)"
"    WHERE m.role <> 0 AND pg_catalog.pg_has_role(g.grantee, m.role, 'USAGE'))))))"
" AND (g.all_data OR pg_catalog.has_schema_privilege(g.grantee, c.relnamespace, 'USAGE'))"
") SELECT relation,"
" pg_catalog.string_agg(role, ', ' ORDER BY role COLLATE \"C\") FILTER (WHERE NOT all_data),"
" pg_catalog.string_agg(role, ', ' ORDER BY role COLLATE \"C\") FILTER (WHERE all_data)"
" FROM readers GROUP BY 1 ORDER BY 1";

static void lint_statistics(LintRun *run, MapTable *table, EffColumn *labelled);
static bool keeps_values(Oid relid, AttrNumber attnum);
static void append_statistics(StringInfo rows, const char *name, AttrNumber attnum);
static void lint_extended(LintRun *run, char **cells);
static void lint_index(LintRun *run, MapTable *table, EffRelation *rel, EffIndex *index);
static List *labelled_of(MapTable *table, EffRelation *rel, List *attnums);
static char *names_of(EffRelation *rel, List *attnums);
static char *index_statement(EffRelation *rel, EffIndex *index, const char *name, List *labelled);
static void lint_publication(LintRun *run, char **cells);
static void lint_identity(LintRun *run, char **cells);
static void lint_readers(LintRun *run, char **cells);

/*
 * EffLintStatistics finds values of labelled columns in the planner's statistics,
 * where erased values stay until the next ANALYZE.  It looks into the system cache,
 * which needs no privilege, and only at whether there are values.
 */
void
EffLintStatistics(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_ptr(MapColumn, column, table->columns)
			lint_statistics(run, table, column->column);
	}
	EffLintQuery(run, extended_query, lint_extended);
}

/*
 * EffLintIndexes finds indexes on expressions over labelled columns, and indexes that
 * INCLUDE labelled columns.  Both keep erased values until VACUUM.
 */
void
EffLintIndexes(LintRun *run)
{
	for (int i = 0; i < run->map->ntables; i++)
	{
		MapTable   *table = run->map->tables[i];

		foreach_oid(oid, table->rel->inheritors)
		{
			EffRelation *rel = EffMapFind(run->map, oid);

			if (rel == NULL)
				continue;
			foreach_ptr(EffIndex, index, rel->indexes)
				lint_index(run, table, rel, index);
		}
	}
}

/*
 * EffLintReplication finds publications of labelled columns, and tables whose replica
 * identity writes old rows to the WAL.
 */
void
EffLintReplication(LintRun *run)
{
	EffLintQuery(run, publications_query, lint_publication);
	EffLintQuery(run, identities_query, lint_identity);
}

/*
 * EffLintReaders finds roles that may read labelled columns of all rows.
 */
void
EffLintReaders(LintRun *run)
{
	EffLintQuery(run, readers_query, lint_readers);
}

/*
 * lint_statistics checks one column, those of children and indexes on expressions over
 * it included.  The hint sets a statistics target of 0, which keeps ANALYZE from
 * collecting values, and deletes those that it has collected.
 */
static void
lint_statistics(LintRun *run, MapTable *table, EffColumn *labelled)
{
	StringInfoData rows;
	StringInfoData indexes;
	bool		found = false;

	initStringInfo(&rows);
	initStringInfo(&indexes);
	foreach_oid(oid, table->rel->inheritors)
	{
		EffRelation *rel = EffMapFind(run->map, oid);
		EffColumn  *column = rel ? EffRelationColumnByName(rel, labelled->name) : NULL;

		if (column == NULL)
			continue;
		if (keeps_values(rel->oid, column->attnum))
		{
			append_statistics(&rows, rel->sql, column->attnum);
			found = true;
		}
		foreach_ptr(EffIndex, index, rel->indexes)
		{
			char	   *name = get_rel_name(index->oid);

			if (name == NULL)
				continue;
			name = quote_qualified_identifier(rel->schema, name);
			if (!list_member_int(index->expr_columns, column->attnum))
				continue;
			for (int i = 0; i < index->nkeys; i++)
			{
				if (index->keys[i] != 0 || !keeps_values(index->oid, i + 1))
					continue;
				appendStringInfo(&indexes, "ALTER INDEX %s ALTER COLUMN %d SET STATISTICS 0;\n",
								 name, i + 1);
				append_statistics(&rows, name, i + 1);
			}
		}
	}
	if (rows.len == 0)
		return;
	(void) EffLintAdd(run, LINT_STATISTICS_COPY_LABELLED, table->rel, labelled->attnum,
					  psprintf("the planner's statistics hold values of column %s, and keep erased"
							   " ones until the next ANALYZE",
							   EffLintColumnName(table->rel, labelled->attnum)),
					  psprintf("%s%sDELETE FROM pg_catalog.pg_statistic"
							   " WHERE (starelid, staattnum) IN (%s);",
							   found ? psprintf("ALTER %s %s ALTER COLUMN %s SET STATISTICS 0;\n",
												table->rel->relkind == RELKIND_FOREIGN_TABLE ?
												"FOREIGN TABLE" : "TABLE",
												table->rel->sql, quote_identifier(labelled->name)) :
							   "",
							   indexes.data, rows.data));
}

/* keeps_values returns whether the statistics of a column hold any of its values. */
static bool
keeps_values(Oid relid, AttrNumber attnum)
{
	bool		found = false;

	for (int inherited = 0; inherited < 2; inherited++)
	{
		HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
											Int16GetDatum(attnum), BoolGetDatum(inherited));

		if (!HeapTupleIsValid(tuple))
			continue;
		for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
		{
			bool		isnull;

			(void) SysCacheGetAttr(STATRELATTINH, tuple, Anum_pg_statistic_stavalues1 + i, &isnull);
			found |= !isnull;
		}
		ReleaseSysCache(tuple);
	}
	return found;
}

/* append_statistics adds the key of a row of pg_statistic to a list of them. */
static void
append_statistics(StringInfo rows, const char *name, AttrNumber attnum)
{
	appendStringInfo(rows, "%s(%s::pg_catalog.regclass, %d)", rows->len > 0 ? ", " : "",
					 quote_literal_cstr(name), attnum);
}

/* lint_extended takes a row of extended_query. */
static void
lint_extended(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	char	   *columns = rel == NULL ? NULL : EffLintColumns(rel, cells[2]);

	if (columns == NULL)
		return;
	(void) EffLintAdd(run, LINT_EXTENDED_STATISTICS_COPY_LABELLED, rel, 0,
					  psprintf("statistics %s of %s collect values of labelled columns, and keep"
							   " erased ones until the next ANALYZE: %s",
							   cells[1], rel->name, columns),
					  psprintf("DROP STATISTICS %s;", cells[1]));
}

/* lint_index checks one index. */
static void
lint_index(LintRun *run, MapTable *table, EffRelation *rel, EffIndex *index)
{
	List	   *computed = labelled_of(table, rel, index->expr_columns);
	List	   *included = labelled_of(table, rel, index->included);
	char	   *name = get_rel_name(index->oid);
	char	   *statement;

	/* the index of a partition belongs to the partitioned table's, which has a finding */
	if (name == NULL || (computed == NIL && included == NIL) || get_rel_relispartition(index->oid))
		return;
	statement = index_statement(rel, index, name, computed != NIL ? NIL : included);
	if (statement == NULL)
		return;
	name = pstrdup(quote_identifier(name));
	(void) EffLintAdd(run, LINT_INDEX_COPIES_LABELLED, rel, 0,
					  computed != NIL ?
					  psprintf("index %s on %s stores what it computes from labelled columns, and"
							   " keeps erased values until VACUUM: %s",
							   name, rel->name, names_of(rel, computed)) :
					  psprintf("index %s on %s carries labelled columns along (INCLUDE), and keeps"
							   " erased values until VACUUM: %s",
							   name, rel->name, names_of(rel, included)),
					  statement);
}

/* labelled_of returns those of some columns (numbers) that have a label. */
static List *
labelled_of(MapTable *table, EffRelation *rel, List *attnums)
{
	List	   *labelled = NIL;

	foreach_int(number, attnums)
	{
		EffColumn  *column = EffRelationFindColumn(rel, number);
		EffColumn  *own = column ? EffRelationColumnByName(table->rel, column->name) : NULL;

		if (own != NULL && EffMapColumn(table, own->attnum) != NULL)
			labelled = list_append_unique_int(labelled, number);
	}
	return labelled;
}

/* names_of returns the names of columns for a message. */
static char *
names_of(EffRelation *rel, List *attnums)
{
	List	   *names = NIL;

	foreach_int(number, attnums)
		names = lappend(names, pstrdup(quote_identifier(EffRelationColumn(rel, number)->name)));
	return EffLintNames(names);
}

/*
 * index_statement returns the statement that drops an index and, if it only INCLUDEs
 * labelled columns, makes it anew without them.  It returns NULL if the index has
 * just been dropped.
 */
static char *
index_statement(EffRelation *rel, EffIndex *index, const char *name, List *labelled)
{
	Oid			constraint = get_index_constraint(index->oid);
	char	   *definition = EffLintDefinition(OidIsValid(constraint) ? F_PG_GET_CONSTRAINTDEF_OID :
											   F_PG_GET_INDEXDEF_OID,
											   OidIsValid(constraint) ? constraint : index->oid);
	char	   *constraint_name = OidIsValid(constraint) ? get_constraint_name(constraint) : NULL;
	char	   *drop;
	AttrNumber *left = palloc(sizeof(AttrNumber) * Max(list_length(index->included), 1));
	AttrNumber *all = palloc(sizeof(AttrNumber) * Max(list_length(index->included), 1));
	char	   *clause;
	char	   *at = NULL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, index->included)
	{
		all[foreach_current_index(lc)] = lfirst_int(lc);
		if (!list_member_int(labelled, lfirst_int(lc)))
			left[n++] = lfirst_int(lc);
	}
	if (definition == NULL || (OidIsValid(constraint) && constraint_name == NULL))
		return NULL;
	if (constraint_name != NULL)
		constraint_name = pstrdup(quote_identifier(constraint_name));
	drop = constraint_name ? psprintf("ALTER TABLE %s DROP CONSTRAINT %s", rel->sql,
									  constraint_name) :
		psprintf("DROP INDEX %s", quote_qualified_identifier(rel->schema, name));
	clause = psprintf(" INCLUDE (%s)", EffJoinNames(rel, all, list_length(index->included)));
	/* an earlier one may be part of a quoted name */
	for (char *p = strstr(definition, clause); p != NULL; p = strstr(p + 1, clause))
		at = p;
	if (labelled == NIL || at == NULL)
		return psprintf("%s;", drop);
	definition = psprintf("%.*s%s%s", (int) (at - definition), definition,
						  n > 0 ? psprintf(" INCLUDE (%s)", EffJoinNames(rel, left, n)) : "",
						  at + strlen(clause));
	return constraint_name ? psprintf("%s, ADD CONSTRAINT %s %s;", drop, constraint_name,
									  definition) :
		psprintf("%s;\n%s;", drop, definition);
}

/*
 * lint_publication takes a row of publications_query.  Subscribers of a publication
 * that sends UPDATE and DELETE get erasures, too; others keep erased values, which is
 * the graver finding.
 */
static void
lint_publication(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	char	   *columns = rel == NULL ? NULL : EffLintColumns(rel, cells[3]);
	char	   *hint;

	if (columns == NULL)
		return;
	if (strcmp(cells[5], "t") != 0)
	{
		(void) EffLintAdd(run, LINT_PUBLICATION_KEEPS_LABELLED, rel, 0,
						  psprintf("publication %s sends labelled columns of %s on, but not every"
								   " UPDATE and DELETE: subscribers keep what is erased here: %s",
								   cells[1], rel->name, columns),
						  psprintf("ALTER PUBLICATION %s SET (publish = '%supdate, delete%s');",
								   cells[1],
								   strcmp(cells[4], "t") == 0 ? "insert, " : "",
								   strcmp(cells[6], "t") == 0 ? ", truncate" : ""));
		return;
	}
	if (strcmp(cells[2], "table") == 0)
		hint = psprintf("ALTER PUBLICATION %s DROP TABLE %s;", cells[1], cells[8]);
	else if (strcmp(cells[2], "schema") == 0)
		hint = psprintf("ALTER PUBLICATION %s DROP TABLES IN SCHEMA %s;", cells[1], cells[7]);
	else
		hint = psprintf("DROP PUBLICATION %s;", cells[1]);
	(void) EffLintAdd(run, LINT_PUBLICATION_COPIES_LABELLED, rel, 0,
					  psprintf("publication %s sends labelled columns of %s on to whoever"
							   " subscribes: %s",
							   cells[1], rel->name, columns),
					  hint);
}

/* lint_identity takes a row of identities_query. */
static void
lint_identity(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));

	if (rel == NULL)
		return;
	(void) EffLintAdd(run, LINT_REPLICA_IDENTITY_FULL, rel, 0,
					  psprintf("replica identity FULL of %s writes every erased value to the WAL"
							   " once more, for subscribers to read",
							   rel->name),
					  psprintf("ALTER TABLE ONLY %s REPLICA IDENTITY DEFAULT;", rel->sql));
}

/* lint_readers takes a row of readers_query. */
static void
lint_readers(LintRun *run, char **cells)
{
	EffRelation *rel = EffMapFind(run->map, atooid(cells[0]));
	char	   *granted = cells[1];
	char	   *all_data = cells[2];

	if (rel == NULL)
		return;
	(void) EffLintAdd(run, LINT_READABLE_IN_BULK, rel, 0,
					  psprintf("labelled columns of all rows of %s may be read by %s%s%s%s",
							   rel->name,
							   granted ? granted : "", granted && all_data ? ", and " : "",
							   all_data ? all_data : "", all_data ? " through pg_read_all_data" :
							   ""),
					  psprintf("%s%s%s",
							   granted ? psprintf("REVOKE SELECT ON TABLE %s FROM %s;", rel->sql,
												  granted) : "",
							   granted && all_data ? "\n" : "",
							   all_data ? psprintf("REVOKE pg_read_all_data FROM %s;", all_data) :
							   ""));
}
