/*
 * stored_label.c
 *	  Labels as they are stored, in pg_seclabel and behind @effaced in
 *	  comments, and the statements that store them.
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/gone.h"
#include "relations/relations.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_description.h"
#include "catalog/pg_seclabel.h"
#include "commands/comment.h"
#include "commands/seclabel.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static int	compare_labels(const ListCell *a, const ListCell *b);
static StoredLabel *make_label(Oid relid, int attnum, const char *json, bool from_comment);

/*
 * EffLabelsLoad returns every label of the database as a list of StoredLabel,
 * in order of relation and attnum.  Where a column or table has both a security
 * label and a comment with one, the security label counts, and is marked as
 * shadowing the comment.
 */
List *
EffLabelsLoad(void)
{
	Relation	catalog = table_open(SecLabelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	ScanKeyData key;
	List	   *all = NIL;
	List	   *result = NIL;
	StoredLabel *previous = NULL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		FormData_pg_seclabel *form = (FormData_pg_seclabel *) GETSTRUCT(tuple);
		bool		isnull;
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider,
											RelationGetDescr(catalog), &isnull);
		Datum		label;

		if (form->classoid != RelationRelationId ||
			strcmp(TextDatumGetCString(provider), EFF_PROVIDER) != 0)
			continue;
		label = heap_getattr(tuple, Anum_pg_seclabel_label, RelationGetDescr(catalog), &isnull);
		all = lappend(all, make_label(form->objoid, form->objsubid, TextDatumGetCString(label),
									  false));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	/* the thousands of built-in comments stand before the first user object */
	catalog = table_open(DescriptionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_description_objoid, BTGreaterEqualStrategyNumber,
				F_OIDGE, ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(catalog, DescriptionObjIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_description form = (Form_pg_description) GETSTRUCT(tuple);
		bool		isnull;
		Datum		comment;
		const char *json;

		if (form->classoid != RelationRelationId)
			continue;
		comment = heap_getattr(tuple, Anum_pg_description_description, RelationGetDescr(catalog),
							   &isnull);
		json = EffLabelFromComment(TextDatumGetCString(comment));
		if (json != NULL)
			all = lappend(all, make_label(form->objoid, form->objsubid, json, true));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	list_sort(all, compare_labels);
	foreach_ptr(StoredLabel, label, all)
	{
		if (previous != NULL && previous->relid == label->relid &&
			previous->attnum == label->attnum)
			previous->shadowed = true;
		else
		{
			result = lappend(result, label);
			previous = label;
		}
	}
	return result;
}

/*
 * EffLabelsOf returns the same for one relation.
 */
List *
EffLabelsOf(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts;
	List	   *result = NIL;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);

	for (int attnum = 0; attnum <= natts; attnum++)
	{
		ObjectAddress address;
		char	   *security;
		char	   *comment;
		const char *json;

		ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
		security = GetSecurityLabel(&address, EFF_PROVIDER);
		comment = GetComment(relid, RelationRelationId, attnum);
		json = comment == NULL ? NULL : EffLabelFromComment(comment);
		if (security != NULL)
		{
			StoredLabel *label = make_label(relid, attnum, security, false);

			label->shadowed = json != NULL;
			result = lappend(result, label);
		}
		else if (json != NULL)
			result = lappend(result, make_label(relid, attnum, json, true));
	}
	return result;
}

/*
 * EffLabelStatement returns the statement that sets a label, or, where json is
 * NULL, removes it.
 */
char *
EffLabelStatement(Oid relid, AttrNumber attnum, const char *json)
{
	char	   *relname = get_rel_name(relid);
	char	   *column = attnum == 0 ? NULL : get_attname(relid, attnum, true);
	char	   *name;

	if (relname == NULL)
		EffGoneRelation(relid, NULL);
	if (attnum != 0 && column == NULL)
		EffGoneColumn(relname, attnum);
	name = quote_qualified_identifier(EffSchemaName(get_rel_namespace(relid)), relname);
	return psprintf("SECURITY LABEL FOR " EFF_PROVIDER " ON %s %s%s%s IS %s;",
					attnum == 0 ? (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE ?
								   "FOREIGN TABLE" : "TABLE") : "COLUMN",
					name, attnum == 0 ? "" : ".",
					attnum == 0 ? "" : quote_identifier(column),
					json == NULL ? "NULL" : quote_literal_cstr(json));
}

/*
 * EffCommentStatement returns the statement that removes the label from a
 * comment and leaves its free text.
 */
char *
EffCommentStatement(EffRelation *rel, AttrNumber attnum)
{
	char	   *comment = GetComment(rel->oid, RelationRelationId, attnum);
	const char *json = comment == NULL ? NULL : EffLabelFromComment(comment);
	int			length;

	if (json == NULL)
		return NULL;
	length = json - comment - strlen(EFF_COMMENT_TAG);
	while (length > 0 && strchr(" \t\r\n", comment[length - 1]) != NULL)
		length--;
	comment[length] = '\0';
	return psprintf("COMMENT ON %s %s%s%s IS %s;",
					attnum != 0 ? "COLUMN" :
					rel->relkind == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" :
					rel->relkind == RELKIND_VIEW ? "VIEW" :
					rel->relkind == RELKIND_MATVIEW ? "MATERIALIZED VIEW" : "TABLE",
					rel->sql, attnum != 0 ? "." : "",
					attnum != 0 ? quote_identifier(EffRelationColumn(rel, attnum)->name) : "",
					length > 0 ? quote_literal_cstr(comment) : "NULL");
}

/* compare_labels puts the security label of an object before its comment. */
static int
compare_labels(const ListCell *a, const ListCell *b)
{
	StoredLabel *x = lfirst(a);
	StoredLabel *y = lfirst(b);

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	if (x->attnum != y->attnum)
		return x->attnum - y->attnum;
	return (int) x->from_comment - (int) y->from_comment;
}

static StoredLabel *
make_label(Oid relid, int attnum, const char *json, bool from_comment)
{
	StoredLabel *label = palloc0(sizeof(StoredLabel));

	label->relid = relid;
	label->attnum = attnum;
	label->json = pstrdup(json);
	label->from_comment = from_comment;
	return label;
}

/*
 * EffLabelFromComment returns the label in a comment: the text behind the
 * first @effaced that is a word, and not part of an address or of another
 * name.  NULL where there is none.
 */
const char *
EffLabelFromComment(const char *comment)
{
	const char *at = comment;

	while ((at = strstr(at, EFF_COMMENT_TAG)) != NULL)
	{
		const char *json = at + strlen(EFF_COMMENT_TAG);

		if (*json == '\0' || strchr(" \t\r\n{", *json) != NULL)
			return json;
		at = json;
	}
	return NULL;
}
