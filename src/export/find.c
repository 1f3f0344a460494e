/*
 * find.c
 *	  From what a person writes, an e-mail address or a phone number, to who it is.
 *
 * Whole values are compared, by index where there is one.  The value is only ever a
 * parameter: it reaches neither the trail nor a message.
 */
#include "postgres.h"

#include "map/graph.h"
#include "relations/types.h"
#include "rows/bind.h"
#include "rows/scope.h"
#include "subject/subject.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_find);

/* What is looked for, and the rows of the result */
typedef struct Find
{
	DataMap    *map;
	MapTable   *subject;		/* only subjects of this table; NULL for all */
	const char *fact;
	char	   *value;
	bool		folded;			/* without case */
	ReturnSetInfo *rsinfo;
	uint64		found;
} Find;

static void require_fact(Find *find);
static bool is_about(const MapColumn *column, const char *fact);
static void look(Find *find);
static void look_in(Find *find, MapTable *table, MapColumn *column);
static bool value_of(Find *find, EffColumn *column, BoundValue *value);
static char *condition_of(Find *find, Statement *st, MapTable *table, EffColumn *column);
static List *owners_of(Find *find, MapTable *table, MapColumn *column);
static void look_for_owners(Find *find, MapTable *table, MapColumn *column, MapTable *subject,
							BoundValue *value);
static void look_for_nobodys(Find *find, MapTable *table, MapColumn *column, BoundValue *value);
static Statement *new_statement(MapTable *table);
static void put(Find *find, MapTable *table, MapColumn *column, const char *kind,
				const char *identifier);

/*
 * effaced_find(fact, value, subject) returns whose rows hold a value in the labelled
 * columns of a fact, or of a category: as it is or, where nobody's does, without case.
 */
Datum
effaced_find(PG_FUNCTION_ARGS)
{
	Find		find = {.map = EffGraphGet(), .rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("fact and value must not be NULL"),
				 errhint("SELECT * FROM effaced_find('email', 'somebody@example.com');"),
				 errhidestmt(true)));
	find.fact = text_to_cstring(PG_GETARG_TEXT_PP(0));
	find.value = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		find.subject = EffGraphSubjectArgument(find.map, fcinfo, 2);
	require_fact(&find);
	InitMaterializedSRF(fcinfo, 0);
	look(&find);
	if (find.found == 0)
	{
		find.folded = true;
		look(&find);
	}
	return (Datum) 0;
}

/* require_fact raises ZE005 where no column could be found anything in. */
static void
require_fact(Find *find)
{
	for (int i = 0; i < find->map->ntables; i++)
		foreach_ptr(MapColumn, column, find->map->tables[i]->columns)
			if (is_about(column, find->fact))
				return;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("no labelled column has that fact or category"),
			 errhint("Name the \"fact\" of a label, or a \"category\", such as contact."),
			 errhidestmt(true)));
}

static bool
is_about(const MapColumn *column, const char *fact)
{
	return strcmp(column->label->category, fact) == 0 ||
		(column->label->fact != NULL && strcmp(column->label->fact, fact) == 0);
}

/* look goes through all columns once. */
static void
look(Find *find)
{
	for (int i = 0; i < find->map->ntables; i++)
	{
		MapTable   *table = find->map->tables[i];

		foreach_ptr(MapColumn, column, table->columns)
		{
			if (!is_about(column, find->fact))
				continue;
			EffGraphRaiseErrors(table);
			look_in(find, table, column);
		}
	}
}

/* look_in looks for the value in a column: whose rows hold it, and whether nobody's do. */
static void
look_in(Find *find, MapTable *table, MapColumn *column)
{
	BoundValue	value = {0};

	if (!value_of(find, column->column, &value))
		return;
	foreach_ptr(MapTable, subject, owners_of(find, table, column))
		look_for_owners(find, table, column, subject, &value);
	look_for_nobodys(find, table, column, &value);
}

/*
 * value_of makes the value one of the column's type, or text where case does not count;
 * false where no value of the column can be equal to it.
 */
static bool
value_of(Find *find, EffColumn *column, BoundValue *value)
{
	Oid			base = EffBaseType(column->type);
	bool		is_text = EffTypeCategory(base) == TYPCATEGORY_STRING;
	volatile bool fits = true;
	Oid			input;
	Oid			ioparam;
	EffSubtransaction sub;

	if (find->folded || base == TEXTOID || base == VARCHAROID)
	{
		value->value = CStringGetTextDatum(find->value);
		return is_text;
	}
	EffTypeInput(base, &input, &ioparam);
	EffSubBegin(&sub);
	PG_TRY();
	{
		value->value = OidInputFunctionCall(input, find->value, ioparam, -1);
		EffSubEnd(&sub, true);
	}
	PG_CATCH();
	{
		ErrorData  *error = EffSubCatch(&sub);

		/* what is no value of the type is in no row */
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			EffRethrowWithoutValues(NULL);
		fits = false;
	}
	PG_END_TRY();
	return fits;
}

/* condition_of returns the condition that a row of alias t holds the value. */
static char *
condition_of(Find *find, Statement *st, MapTable *table, EffColumn *column)
{
	Oid			base = EffBaseType(column->type);
	char	   *sql = EffColumnSql("t", table->rel, column->attnum);
	const char *schema = EffEqualitySchema(column->type);

	if (find->folded)
		return psprintf("pg_catalog.lower(%s::pg_catalog.text) OPERATOR(pg_catalog.=)"
						" pg_catalog.lower(%s)", sql,
						EffStatementParam(st, PARAM_VALUE, 0, NULL, 0, TEXTOID));
	return psprintf("%s OPERATOR(%s.=) %s", sql, schema ? schema : "pg_catalog",
					EffStatementParam(st, PARAM_VALUE, 0, NULL, 0,
									  base == VARCHAROID ? TEXTOID : base));
}

/* owners_of returns the subject tables (of MapTable) whose subjects may own a column's value. */
static List *
owners_of(Find *find, MapTable *table, MapColumn *column)
{
	List	   *subjects = NIL;

	if (table->is_subject && column->label->link == NULL)
		subjects = lappend(subjects, table);
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->label->role == ROLE_OWNER &&
			(column->label->link == NULL ||
			 (link->name != NULL && strcmp(link->name, column->label->link) == 0)))
			subjects = list_append_unique_ptr(subjects, link->subject);
	}
	if (find->subject != NULL)
		return list_member_ptr(subjects, find->subject) ? list_make1(find->subject) : NIL;
	return subjects;
}

/* look_for_owners adds the subjects of a kind that own a row that holds the value. */
static void
look_for_owners(Find *find, MapTable *table, MapColumn *column, MapTable *subject,
				BoundValue *value)
{
	MemoryContext context = CurrentMemoryContext;
	BindValues	values = {.map = find->map, .values = value};
	Statement  *st;
	const char *joiner = "";
	EffBracket	bracket;

	EffSpiBegin(&bracket);
	st = new_statement(table);
	if (table == subject && column->label->link == NULL)
	{
		EffScopeOwners(find->map, st, table->rel, subject, NULL);
		appendStringInfoString(&st->text, condition_of(find, st, table, column->column));
		joiner = " UNION ";
	}
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->label->role != ROLE_OWNER || link->subject != subject ||
			(column->label->link != NULL &&
			 (link->name == NULL || strcmp(link->name, column->label->link) != 0)))
			continue;
		appendStringInfoString(&st->text, joiner);
		EffScopeOwners(find->map, st, table->rel, subject, link);
		appendStringInfoString(&st->text, condition_of(find, st, table, column->column));
		joiner = " UNION ";
	}
	(void) EffBindExecute(st, &values, true, NULL);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		key[INDEX_MAX_KEYS];
		bool		isnull;

		for (int i = 0; i < subject->nkey; i++)
			key[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
		put(find, table, column, subject->kind, EffIdentifierFromValues(subject, key)->text);
	}
	EffSpiEnd(&bracket);
}

/* look_for_nobodys adds one row for the column where a row that nobody owns holds the value. */
static void
look_for_nobodys(Find *find, MapTable *table, MapColumn *column, BoundValue *value)
{
	BindValues	values = {.map = find->map, .values = value};
	const Condition *owned = &EffFalse;
	Statement  *st;
	uint64		n;
	EffBracket	bracket;

	EffSpiBegin(&bracket);
	st = new_statement(table);
	if (table->is_subject)
		owned = EffScopeSubject(find->map, st, "t", table, &EffScopeAny);
	foreach_ptr(TableLink, link, table->links)
		if (link->label->role == ROLE_OWNER)
			owned = EffConditionOr(owned, EffScopeLink(find->map, st, "t", link, 0, &EffScopeAny));
	appendStringInfo(&st->text, "SELECT FROM %s t WHERE %s AND (", table->rel->sql,
					 condition_of(find, st, table, column->column));
	EffConditionAppend(st, owned);
	appendStringInfoString(&st->text, ") IS NOT TRUE LIMIT 1");
	n = EffBindExecute(st, &values, true, NULL);
	EffSpiEnd(&bracket);
	if (n > 0)
		put(find, table, column, NULL, NULL);
}

static Statement *
new_statement(MapTable *table)
{
	return EffStatementNew(SPI_OK_SELECT, "finding a value in", table->rel);
}

/* put adds a row to the result. */
static void
put(Find *find, MapTable *table, MapColumn *column, const char *kind, const char *identifier)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {kind == NULL, identifier == NULL};

	if (kind != NULL)
		values[0] = CStringGetTextDatum(kind);
	if (identifier != NULL)
		values[1] = CStringGetTextDatum(identifier);
	values[2] = ObjectIdGetDatum(table->rel->oid);
	values[3] = CStringGetTextDatum(column->column->name);
	values[4] = BoolGetDatum(identifier != NULL);
	tuplestore_putvalues(find->rsinfo->setResult, find->rsinfo->setDesc, values, nulls);
	find->found++;
}
