/*
 * values.c
 *	  Reads the values that subjects are looked for by out of their own rows.
 *
 * A value that many subjects have tells nothing about one of them: it would be
 * found everywhere.  So each is counted over all subjects first.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/bracket.h"
#include "base/run.h"
#include "exec/subject_state.h"
#include "map/graph.h"
#include "rows/surrogate.h"
#include "trace/texts.h"
#include "trace/values.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define LEAST_CHARACTERS 6
#define LEAST_HOLDERS 3			/* so many subjects may have a value, */
#define HOLDERS_PER_THOUSAND 1	/* or such a part of them */
#define UUID_DIGITS 32
#define DENIED_HINT "Grant the calling role SELECT on the tables that hold data of the subject."

/* While values are read */
typedef struct Taking
{
	Call *call;
	MapTable   *subject;
	TraceValues *values;
	MemoryContext context;		/* of the values */
	MemoryContext scratch;		/* of a column */
	int64		subjects;		/* of that kind, -1 where nobody counted */
} Taking;

/* Values of one column, and what they are in lower case */
typedef struct Candidates
{
	List	   *texts;			/* of char * */
	List	   *lower;
} Candidates;

static void take_keys(Taking *taking);
static void take_key_column(Taking *taking, int place);
static bool is_key_traced(MapTable *subject, int place);
static bool is_traced(const ColumnLabel *label);
static void take_column(Taking *taking, MapTable *table, MapColumn *column);
static Candidates *read_column(Taking *taking, MapTable *table, MapColumn *column,
							   const TextShape *shape);
static bool append_mine(DataMap *map, Statement *st, MapTable *table, MapTable *subject);
static char *value_condition(DataMap *map, Statement *st, MapTable *table, MapTable *subject,
							 MapColumn *column);
static char *tied_condition(DataMap *map, Statement *st, MapTable *table, MapTable *subject,
							const char *name);
static void add_candidate(Candidates *candidates, char *text);
static void drop_common(Taking *taking, MapTable *table, EffColumn *column, Candidates *candidates);
static Statement *holders_statement(Taking *taking, MapTable *table, EffColumn *column);
static void append_holders(Taking *taking, Statement *st, MapTable *table, EffColumn *column,
						   TableLink *link);
static uint64 run_with_texts(Taking *taking, Statement *st, List *texts);
static int64 count_subjects(Taking *taking);
static void keep(Taking *taking, const char *text, int fact, bool named);
static int	fact_of(Taking *taking, const ColumnLabel *label);
static void make_ready(TraceValues *values);
static void add_text(TraceValues *values, int value);
static char *uuid_digits(const char *text);
static int	compare_values(const void *a, const void *b);

/*
 * EffTraceValuesOf: the values of all subjects of a call, ready to be searched for, in
 * the current memory context: their keys, and what their rows hold in columns that are
 * traced. Rows are read with the caller's privileges.  ERROR as a plan gives for labels
 * that conflict.
 */
TraceValues *
EffTraceValuesOf(Call *call)
{
	MapTable   *subject = call->plan->subject;
	Taking		taking = {.call = call, .subject = subject, .context = CurrentMemoryContext,
						  .subjects = -1};
	TraceValues *values = palloc0(sizeof(TraceValues));
	EffBracket	bracket;

	values->allocated = 16;
	values->values = palloc(sizeof(TraceValue) * values->allocated);
	values->facts = list_make1("key");
	taking.values = values;
	if (call->nkeys > 0)
	{
		EffSpiBegin(&bracket);
		taking.scratch = AllocSetContextCreate(CurrentMemoryContext, "effaced values",
											   ALLOCSET_DEFAULT_SIZES);
		take_keys(&taking);
		foreach_ptr(MapTable, table, EffGraphTables(call->map, subject))
			foreach_ptr(MapColumn, column, table->columns)
				if (is_traced(column->label))
					take_column(&taking, table, column);
		EffSpiEnd(&bracket);
		MemoryContextSwitchTo(taking.context);
	}
	make_ready(values);
	return values;
}

/*
 * take_keys takes identifiers that are text or uuid; of those of several
 * columns also the parts that few share.
 */
static void
take_keys(Taking *taking)
{
	MapTable   *subject = taking->subject;
	Call *call = taking->call;
	bool		any = false;

	for (int k = 0; k < subject->nkey; k++)
	{
		if (!is_key_traced(subject, k))
			continue;
		any = true;
		if (subject->nkey > 1)
			take_key_column(taking, k);
	}
	for (int i = 0; any && i < call->nkeys; i++)
		if (pg_mbstrlen(call->keys[i]->text) >= LEAST_CHARACTERS)
			keep(taking, call->keys[i]->text, TRACE_FACT_KEY, true);
}

static void
take_key_column(Taking *taking, int place)
{
	MemoryContext previous = MemoryContextSwitchTo(taking->scratch);
	EffColumn  *column = EffRelationColumn(taking->subject->rel, taking->subject->key[place]);
	TextShape  *shape = EffTextShape(EffKeyType(taking->subject, place));
	Candidates	candidates = {NIL};

	for (int i = 0; i < taking->call->nkeys; i++)
		foreach_ptr(char, text, EffTextsOf(shape, taking->call->keys[i]->values[place]))
			add_candidate(&candidates, text);
	drop_common(taking, taking->subject, column, &candidates);
	foreach_ptr(char, text, candidates.texts)
		keep(taking, text, TRACE_FACT_KEY, true);
	MemoryContextSwitchTo(previous);
	MemoryContextReset(taking->scratch);
}

static bool
is_key_traced(MapTable *subject, int place)
{
	MapColumn  *labelled = EffMapColumn(subject, subject->key[place]);
	Oid			type = EffKeyType(subject, place);
	char		category;
	bool		preferred;

	if (labelled != NULL && labelled->label->trace == TRACE_NEVER)
		return false;
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING || type == UUIDOID;
}

static bool
is_traced(const ColumnLabel *label)
{
	if (label->trace != TRACE_BY_CATEGORY)
		return label->trace == TRACE_ALWAYS;
	return strcmp(label->category, "contact") == 0 || strcmp(label->category, "identity") == 0;
}

static void
take_column(Taking *taking, MapTable *table, MapColumn *column)
{
	MemoryContext previous = MemoryContextSwitchTo(taking->scratch);
	TextShape  *shape = EffTextShape(column->column->type);
	Candidates *candidates;

	if (shape != NULL && EffTextShapeIsPlain(shape))
	{
		candidates = read_column(taking, table, column, shape);
		drop_common(taking, table, column->column, candidates);
		foreach_ptr(char, text, candidates->texts)
			keep(taking, text, fact_of(taking, column->label), column->label->fact != NULL);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextReset(taking->scratch);
}

/* read_column reads what a column holds of the subjects, in rows that they own. */
static Candidates *
read_column(Taking *taking, MapTable *table, MapColumn *column, const TextShape *shape)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "reading rows of", table->rel);
	DataMap    *map = taking->call->map;
	Candidates *candidates = palloc0(sizeof(Candidates));
	char	   *value = EffColumnSql("t", table->rel, column->column->attnum);
	char	   *condition;
	SPITupleTable *rows;
	uint64		n;

	st->all = true;
	st->place.denied_hint = DENIED_HINT;
	condition = value_condition(map, st, table, taking->subject, column);
	appendStringInfo(&st->text,
					 "SELECT DISTINCT %s AS v FROM %s t WHERE %s IS NOT NULL AND (%s) AND (",
					 value, table->rel->sql, value, condition);
	if (!append_mine(map, st, table, taking->subject))
		return candidates;
	appendStringInfoChar(&st->text, ')');
	n = EffExecStatement(taking->call->all, st);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(taking->scratch);
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;
		Datum		datum = SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull);

		foreach_ptr(char, text, EffTextsOf(shape, datum))
			add_candidate(candidates, text);
	}
	SPI_freetuptable(rows);
	return candidates;
}

/* append_mine: rows that the subjects own; false where no link makes them owners. */
static bool
append_mine(DataMap *map, Statement *st, MapTable *table, MapTable *subject)
{
	List	   *links = EffGraphRoleLinks(table, subject, ROLE_OWNER);
	const ScopeOwner *owner = list_length(links) + (table == subject ? 1 : 0) > 1 ?
	&EffScopeEither : &EffScopeMine;
	bool		any = table == subject;

	if (any)
		EffConditionAppend(st, EffScopeSubject(map, st, "t", table, &EffScopeMine));
	foreach_ptr(TableLink, link, links)
	{
		appendStringInfoString(&st->text, any ? " OR " : "");
		EffConditionAppend(st, EffScopeLink(map, st, "t", link, 0, owner));
		any = true;
	}
	return any;
}

/* value_condition: the column is not about another subject, and holds no surrogate. */
static char *
value_condition(DataMap *map, Statement *st, MapTable *table, MapTable *subject, MapColumn *column)
{
	char	   *condition = column->label->link == NULL ? "true" :
		tied_condition(map, st, table, subject, column->label->link);
	Surrogate  *surrogate;
	char	   *residual;

	if (!EffMayHoldSurrogate(table, column))
		return condition;
	surrogate = EffSurrogateChoose(map, table, column);
	residual = surrogate->error ? NULL : EffSurrogateResidualSql(surrogate, st, "t");
	return residual == NULL ? condition : psprintf("%s AND (%s)", condition, residual);
}

/* tied_condition: the row is the subjects' by that link, or nobody's by it. */
static char *
tied_condition(DataMap *map, Statement *st, MapTable *table, MapTable *subject, const char *name)
{
	foreach_ptr(TableLink, link, table->links)
	{
		const Condition *about;

		if (link->name == NULL || link->label->role != ROLE_OWNER || strcmp(link->name, name) != 0)
			continue;
		about = EffConditionNot(EffScopeLink(map, st, "t", link, 0, &EffScopeAny));
		if (link->subject == subject)
			about = EffConditionOr(about, EffScopeLink(map, st, "t", link, 0, &EffScopeEither));
		return psprintf("(%s)", EffConditionSql(st, about));
	}
	return "true";
}

/* add_candidate adds a value without the white space around it, if it is long enough. */
static void
add_candidate(Candidates *candidates, char *text)
{
	size_t		length;

	text += strspn(text, " \t\r\n");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
		text[--length] = '\0';
	if (pg_mbstrlen(text) < LEAST_CHARACTERS)
		return;
	candidates->texts = lappend(candidates->texts, text);
	candidates->lower = lappend(candidates->lower, str_tolower(text, length,
															   DEFAULT_COLLATION_OID));
}

/* drop_common leaves out what too many subjects have in that column. */
static void
drop_common(Taking *taking, MapTable *table, EffColumn *column, Candidates *candidates)
{
	Statement  *st;
	SPITupleTable *rows;
	uint64		n;
	List	   *texts = NIL;
	ListCell   *text;
	ListCell   *lower;
	HTAB	   *common;
	HASHCTL		control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt =
		taking->scratch};

	if (candidates->texts == NIL || (st = holders_statement(taking, table, column)) == NULL)
		return;
	n = run_with_texts(taking, st, candidates->lower);
	rows = SPI_tuptable;
	MemoryContextSwitchTo(taking->scratch);
	common = hash_create("effaced common values", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;
		int64		holders = DatumGetInt64(SPI_getbinval(rows->vals[row], rows->tupdesc, 2,
														  &isnull));
		uint64		place = DatumGetInt64(SPI_getbinval(rows->vals[row], rows->tupdesc, 1,
														&isnull)) - 1;

		if (holders > LEAST_HOLDERS &&
			holders * 1000 > count_subjects(taking) * HOLDERS_PER_THOUSAND)
			(void) hash_search(common, &place, HASH_ENTER, NULL);
	}
	SPI_freetuptable(rows);
	if (hash_get_num_entries(common) == 0)
		return;
	forboth(text, candidates->texts, lower, candidates->lower)
	{
		uint64		place = foreach_current_index(text);

		if (hash_search(common, &place, HASH_FIND, NULL) == NULL)
			texts = lappend(texts, lfirst(text));
	}
	candidates->texts = texts;
}

/*
 * holders_statement gives the place of each value that too many may have, and
 * how many subjects do.
 */
static Statement *
holders_statement(Taking *taking, MapTable *table, EffColumn *column)
{
	Statement  *st = EffStatementNew(SPI_OK_SELECT, "counting rows of", table->rel);
	bool		any = table == taking->subject;
	const char *param = EffStatementParam(st, PARAM_VALUE, 0, NULL, 0, TEXTARRAYOID);

	st->place.denied_hint = DENIED_HINT;
	appendStringInfoString(&st->text,
						   "SELECT v.place, s.holders FROM (SELECT o.v, pg_catalog.count(*) AS "
						   "holders FROM (");
	if (any)
		append_holders(taking, st, table, column, NULL);
	foreach_ptr(TableLink, link, EffGraphRoleLinks(table, taking->subject, ROLE_OWNER))
	{
		appendStringInfoString(&st->text, any ? " UNION " : "");
		append_holders(taking, st, table, column, link);
		any = true;
	}
	appendStringInfo(&st->text, ") AS o GROUP BY o.v HAVING pg_catalog.count(*) > %d) AS s"
					 " JOIN pg_catalog.unnest(%s) WITH ORDINALITY AS v (v, place) ON v.v = s.v",
					 LEAST_HOLDERS, param);
	return any ? st : NULL;
}

/* append_holders: values in lower case, and the identifiers of those who have them by a link. */
static void
append_holders(Taking *taking, Statement *st, MapTable *table, EffColumn *column, TableLink *link)
{
	OwnerJoin  *join = EffScopeOwnerJoin(taking->call->map, st, taking->subject, link);
	char	   *value = EffColumnSql("t", table->rel, column->attnum);
	bool		array = OidIsValid(get_element_type(getBaseType(column->type)));
	char	   *lower = psprintf("pg_catalog.lower(pg_catalog.btrim(%s::pg_catalog.text, E' "
								 "\\t\\r\\n') COLLATE pg_catalog.\"default\")",
								 array ? "e.v" : value);

	appendStringInfo(&st->text, "SELECT DISTINCT %s AS v", lower);
	for (int k = 0; k < taking->subject->nkey; k++)
		appendStringInfo(&st->text, ", %s AS k%d", join->keys[k], k);
	appendStringInfo(&st->text, " FROM %s t%s", table->rel->sql, join->from.data);
	if (array)
		appendStringInfo(&st->text, ", LATERAL pg_catalog.unnest(%s) AS e (v)", value);
	appendStringInfo(&st->text, " WHERE %s", join->where.data);
	for (int k = 0; k < taking->subject->nkey; k++)
		appendStringInfo(&st->text, "%s IS NOT NULL AND ", join->keys[k]);
	/* a sub-select is hashed, whatever number of values there is */
	appendStringInfo(&st->text, "%s IN (SELECT u.v FROM pg_catalog.unnest(%s) AS u (v))", lower,
					 EffStatementParam(st, PARAM_VALUE, 0, NULL, 0, TEXTARRAYOID));
}

/* run_with_texts runs a statement that has texts as its only value. */
static uint64
run_with_texts(Taking *taking, Statement *st, List *texts)
{
	Call *call = taking->call;
	BoundValue  *values = call->values;
	uint64		n;

	call->values = &(BoundValue) {.value = EffTextArrayOfList(texts)};
	n = EffExecStatement(call->all, st);
	call->values = values;
	return n;
}

static int64
count_subjects(Taking *taking)
{
	MapTable   *subject = taking->subject;
	Statement  *st;
	OwnerJoin  *join;

	if (taking->subjects >= 0)
		return taking->subjects;
	st = EffStatementNew(SPI_OK_SELECT, "counting rows of", subject->rel);
	st->place.denied_hint = DENIED_HINT;
	join = EffScopeOwnerJoin(taking->call->map, st, subject, NULL);
	appendStringInfo(&st->text, "SELECT pg_catalog.count(*) FROM %s t WHERE %strue",
					 subject->rel->sql, join->where.data);
	taking->subjects = EffExecCount(taking->call->all, st);
	return taking->subjects;
}

/* keep adds a value of its own, in the context that outlives the reading. */
static void
keep(Taking *taking, const char *text, int fact, bool named)
{
	TraceValues *values = taking->values;

	if (values->n == values->allocated)
	{
		values->allocated *= 2;
		values->values = repalloc_huge(values->values, sizeof(TraceValue) * values->allocated);
	}
	values->values[values->n++] = (TraceValue)
	{
		.text = MemoryContextStrdup(taking->context, text), .fact = fact, .named = named
	};
}

/* fact_of: the fact that a label names, else its category. */
static int
fact_of(Taking *taking, const ColumnLabel *label)
{
	TraceValues *values = taking->values;
	const char *fact = label->fact ? label->fact : label->category;
	MemoryContext previous;

	foreach_ptr(char, known, values->facts)
		if (strcmp(known, fact) == 0)
			return foreach_ptr_index(known);
	previous = MemoryContextSwitchTo(taking->context);
	values->facts = lappend(values->facts, pstrdup(fact));
	MemoryContextSwitchTo(previous);
	return list_length(values->facts) - 1;
}

/* make_ready: the same text is one value, of the key or a named fact rather than of a category. */
static void
make_ready(TraceValues *values)
{
	int			n = 0;

	qsort(values->values, values->n, sizeof(TraceValue), compare_values);
	for (int i = 0; i < values->n; i++)
		if (n == 0 || strcmp(values->values[n - 1].text, values->values[i].text) != 0)
			values->values[n++] = values->values[i];
	values->n = n;
	values->patterns = EffPatternsNew();
	values->digits = EffDigitsNew();
	for (int i = 0; i < n; i++)
		add_text(values, i);
	EffPatternsReady(values->patterns);
	EffDigitsReady(values->digits);
}

/* add_text: a uuid is looked for in the spellings that it has where it is text. */
static void
add_text(TraceValues *values, int value)
{
	const char *text = values->values[value].text;
	char	   *digits = uuid_digits(text);

	(void) EffPatternsAdd(values->patterns, text, strlen(text), value);
	(void) EffDigitsAdd(values->digits, text, strlen(text), value);
	if (digits == NULL)
		return;
	(void) EffPatternsAdd(values->patterns, digits, UUID_DIGITS, value);
	text = psprintf("%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16,
					digits + 20);
	(void) EffPatternsAdd(values->patterns, text, strlen(text), value);
}

/* uuid_digits gives the digits of what is spelled like a uuid, NULL for anything else. */
static char *
uuid_digits(const char *text)
{
	char	   *digits = palloc(UUID_DIGITS + 1);
	int			n = 0;

	for (; *text != '\0'; text++)
	{
		if (*text == '-' || *text == '{' || *text == '}')
			continue;
		if (!isxdigit((unsigned char) *text) || n == UUID_DIGITS)
			return NULL;
		digits[n++] = *text;
	}
	digits[n] = '\0';
	return n == UUID_DIGITS ? digits : NULL;
}

static int
compare_values(const void *a, const void *b)
{
	const TraceValue *left = a;
	const TraceValue *right = b;
	int			order = strcmp(left->text, right->text);

	if (order != 0)
		return order;
	return left->named != right->named ? right->named - left->named : left->fact - right->fact;
}
