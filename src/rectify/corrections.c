/*
 * corrections.c
 *	  The corrections that a rectification is asked for, and the columns that
 *	  they are about.
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "map/graph.h"
#include "rectify/corrections.h"

#include "utils/builtins.h"

#define CORRECTION_FORM \
	"Write [{\"category\": \"...\", \"value\": ..., \"fact\": \"...\"}], \"fact\"" \
	" where the category has several, null for the columns without one."

static char *text_member(JsonbContainer *object, const char *key, int number);
static void bad_correction(int number, const char *what) pg_attribute_noreturn();
static bool owns(MapTable *table, MapColumn *column, MapTable *subject);
static void check_facts(Correction *correction, List *columns);
static void check_once(List *columns);
static void check_generated(RectifyColumn *column, List *columns);

/*
 * EffCorrectionsArgument returns the argument "corrections" of effaced_rectify() as
 * a list of Correction, in the current memory context.  ERROR ZE005 where it is
 * NULL or of another form.  Values stay JSON: which types they have to be of is
 * known once their columns are.
 */
List *
EffCorrectionsArgument(FunctionCallInfo fcinfo, int argno)
{
	static const char *const keys[] = {"category", "value", "fact", NULL};
	List	   *corrections = NIL;
	Jsonb	   *array;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("corrections must not be NULL"),
				 errhint(CORRECTION_FORM),
				 errhidestmt(true)));
	array = PG_GETARG_JSONB_P(argno);
	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("corrections is not a JSON array"),
				 errhint(CORRECTION_FORM),
				 errhidestmt(true)));
	for (int i = 0; i < JB_ROOT_COUNT(array); i++)
	{
		JsonbContainer *object = EffJsonbElementObject(&array->root, i);
		Correction *correction = palloc0(sizeof(Correction));
		JsonbValue	value;

		if (object == NULL)
			bad_correction(i + 1, "is not an object");
		if (EffJsonbUnknownKey(object, keys) != NULL)
			bad_correction(i + 1, "has an unknown key");
		correction->category = text_member(object, "category", i + 1);
		if (correction->category == NULL)
			bad_correction(i + 1, "has no category");
		if (!EffLabelIsCategory(correction->category))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_CONFIGURATION),
					 errmsg("entry %d of corrections has an unknown category", i + 1),
					 errhint("Allowed: %s.", EffLabelCategories()),
					 errhidestmt(true)));
		correction->fact = text_member(object, "fact", i + 1);
		correction->no_fact = correction->fact == NULL &&
			getKeyJsonValueFromContainer(object, "fact", strlen("fact"), &value) != NULL;
		if (getKeyJsonValueFromContainer(object, "value", strlen("value"), &value) == NULL)
			bad_correction(i + 1, "has no value");
		correction->value = JsonbValueToJsonb(&value);
		corrections = lappend(corrections, correction);
	}
	return corrections;
}

/*
 * EffCorrectionColumns returns the columns that the corrections are about, a list
 * of RectifyColumn by correction and by table of the map, in the current memory
 * context.  Generated columns are left out, for the server writes them.  ERROR
 * ZE005 where a correction could mean several facts or two corrections mean one
 * column, ZE004 where a generated column would keep its old value.
 */
List *
EffCorrectionColumns(DataMap *map, MapTable *subject, List *corrections)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, corrections)
	{
		Correction *correction = lfirst(lc);
		List	   *matching = NIL;

		foreach_ptr(MapTable, table, EffGraphTables(map, subject))
		{
			foreach_ptr(MapColumn, column, table->columns)
			{
				RectifyColumn *match;
				bool		has_fact = column->label->fact != NULL && correction->fact != NULL &&
					strcmp(column->label->fact, correction->fact) == 0;

				correction->fact_known |= has_fact;
				if (strcmp(column->label->category, correction->category) != 0 ||
					!owns(table, column, subject) ||
					(correction->fact != NULL && !has_fact) ||
					(correction->no_fact && column->label->fact != NULL))
					continue;
				match = palloc(sizeof(RectifyColumn));
				match->table = table;
				match->column = column;
				match->correction = foreach_current_index(lc);
				matching = lappend(matching, match);
			}
		}
		if (correction->fact == NULL && !correction->no_fact)
			check_facts(correction, matching);
		result = list_concat(result, matching);
	}
	check_once(result);
	/* a generated column follows what it is made of */
	foreach(lc, result)
		if (((RectifyColumn *) lfirst(lc))->column->column->generated)
			check_generated(lfirst(lc), result);
	foreach(lc, result)
		if (((RectifyColumn *) lfirst(lc))->column->column->generated)
			result = foreach_delete_current(result, lc);
	return result;
}

static char *
text_member(JsonbContainer *object, const char *key, int number)
{
	char	   *text;

	if (!EffJsonbText(object, key, &text))
		bad_correction(number, "has a category or fact that is not a string");
	return text;
}

static void
bad_correction(int number, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("entry %d of corrections %s", number, what),
			 errhint(CORRECTION_FORM),
			 errhidestmt(true)));
}

/*
 * owns returns whether a column is about subjects of the kind.  A column whose
 * label names a link is about the owner by that link, any other about every owner
 * of the row.
 */
static bool
owns(MapTable *table, MapColumn *column, MapTable *subject)
{
	List	   *links = EffGraphRoleLinks(table, subject, ROLE_OWNER);

	if (column->label->link == NULL)
		return table == subject || links != NIL;
	foreach_ptr(TableLink, link, links)
		if (link->name != NULL && strcmp(link->name, column->label->link) == 0)
			return true;
	return false;
}

/*
 * check_facts raises an error where a correction without a fact is about
 * columns of several facts.
 */
static void
check_facts(Correction *correction, List *columns)
{
	const char *first = NULL;
	bool		differ = false;
	StringInfoData facts;
	List	   *named = NIL;
	List	   *unnamed = NIL;

	initStringInfo(&facts);
	foreach_ptr(RectifyColumn, column, columns)
	{
		const char *fact = column->column->label->fact;
		bool		known = false;
		ListCell   *lc2;

		if (fact == NULL)
		{
			unnamed = lappend(unnamed, column);
			continue;
		}
		if (first == NULL)
			first = fact;
		differ |= strcmp(first, fact) != 0;
		foreach(lc2, named)
			known |= strcmp(lfirst(lc2), fact) == 0;
		if (known)
			continue;
		named = lappend(named, unconstify(char *, fact));
		appendStringInfo(&facts, "%s%s", facts.len > 0 ? ", " : "", fact);
	}
	if (differ || (named != NIL && unnamed != NIL))
	{
		RectifyColumn *column = unnamed != NIL ? linitial(unnamed) : NULL;

		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("a correction of category %s must say which fact it is about",
						correction->category),
				 column ?
				 errdetail("Facts of the category: %s, and columns without one, as column \"%s\" of"
						   " table \"%s\".",
						   facts.data,
						   column->column->column->name, column->table->rel->relname) :
				 errdetail("Facts of the category: %s.", facts.data),
				 unnamed != NIL ?
				 errhint("Add \"fact\": \"%s\" to the correction, or \"fact\": null for the"
						 " columns without one.", first) :
				 errhint("Add \"fact\": \"%s\" to the correction.", first),
				 errhidestmt(true)));
	}
}

/* check_once raises an error where two corrections are about one column. */
static void
check_once(List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, columns)
		for_each_from(lc2, columns, foreach_current_index(lc) + 1)
		{
			RectifyColumn *a = lfirst(lc);
			RectifyColumn *b = lfirst(lc2);

			if (a->column == b->column)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_CONFIGURATION),
						 errmsg("entries %d and %d of corrections are about the same column",
								a->correction + 1, b->correction + 1),
						 errdetail("Column \"%s\" of table \"%s\" has category %s%s%s.",
								   a->column->column->name, a->table->rel->relname,
								   a->column->label->category,
								   a->column->label->fact ? " and fact " : "",
								   a->column->label->fact ? a->column->label->fact : ""),
						 errhint("Correct each fact once."),
						 errhidestmt(true)));
		}
}

/*
 * check_generated: some column that it is made of is corrected with it, or it
 * would keep its value.
 */
static void
check_generated(RectifyColumn *column, List *columns)
{
	EffColumn  *c = column->column->column;
	EffRelation *rel = column->table->rel;
	Bitmapset  *attnums = EffGeneratedFrom(rel, c);

	foreach_ptr(RectifyColumn, other, columns)
	{
		if (other->table == column->table && !other->column->column->generated &&
			bms_is_member(other->column->column->attnum, attnums))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_EFF_ANONYMIZATION),
			 errmsg("entry %d of corrections cannot be written to generated column \"%s\" of "
					"table \"%s\"",
					column->correction + 1, c->name, rel->relname),
			 errdetail("No column that it is generated from is corrected with it.  Nothing was"
					   " changed."),
			 errhint("Label the columns that %s.%s is generated from with the same category and"
					 " fact, or correct theirs.",
					 rel->name, quote_identifier(c->name)),
			 err_generic_string(PG_DIAG_SCHEMA_NAME, rel->schema),
			 err_generic_string(PG_DIAG_TABLE_NAME, rel->relname),
			 err_generic_string(PG_DIAG_COLUMN_NAME, c->name),
			 errhidestmt(true)));
}
