/*
 * values.c
 *	  Columns without a label whose values look like personal data.
 *
 * Values are looked at here and nowhere else: none of them gets into a statement,
 * a message or an error.  How many values of a column must have a shape depends on
 * how likely other values have it by chance: a single e-mail address counts, while
 * numbers like those of payment cards count if at least half of the values are.
 */
#include "postgres.h"

#include "relations/types.h"

#include <arpa/inet.h>
#include <math.h>

#include "lint/lint_int.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#define MAX_VALUE 1000			/* characters of a value that are looked at */
#define FETCH_ROWS 1000
#define LARGE_PAGES 1000		/* tables from this size on are sampled by TABLESAMPLE */

/* What values of a column are, which says what shapes they can have */
typedef enum ValueForm
{
	FORM_NONE,
	FORM_TEXT,					/* any shape */
	FORM_DOCUMENT,				/* JSON, XML, arrays: shapes that are found inside a longer text */
	FORM_DIGITS					/* numbers: payment cards */
} ValueForm;

typedef bool (*ShapeTest) (const char *value);

typedef struct Shape
{
	const char *what;
	const char *category;
	ValueForm	form;			/* besides text, the form that can have this shape */
	int			least;			/* per cent of the values that must have it to count */
	ShapeTest	test;
} Shape;

static bool has_email(const char *value);
static bool is_phone(const char *value);
static bool is_iban(const char *value);
static bool is_ip(const char *value);
static bool is_mac(const char *value);
static bool is_card(const char *value);
static bool is_coordinates(const char *value);

static const Shape shapes[] = {
	{"e-mail addresses", "contact", FORM_DOCUMENT, 0, has_email},
	{"IBANs", "financial", FORM_TEXT, 5, is_iban},
	{"telephone numbers", "contact", FORM_TEXT, 20, is_phone},
	{"IP addresses", "technical", FORM_TEXT, 20, is_ip},
	{"addresses of devices", "technical", FORM_TEXT, 20, is_mac},
	{"payment card numbers", "financial", FORM_DIGITS, 50, is_card},
	{"coordinates", "location", FORM_TEXT, 50, is_coordinates},
};

/* One column of a table that is looked into */
typedef struct SampledColumn
{
	LooseColumn *column;
	ValueForm	form;
	int64		values;			/* looked at, without NULLs and empty ones */
	int64		matches[lengthof(shapes)];	/* values of each shape */
} SampledColumn;

/* What take_sample is to do, and the rows it has read */
typedef struct TableSample
{
	LintRun    *run;
	EffRelation *rel;
	List	   *columns;		/* of SampledColumn */
	char	   *lots;			/* TABLESAMPLE clause, or empty for the first rows */
	int64		rows;
} TableSample;

static void lint_table(LintRun *run, Oid relid, List *columns);
static char *why_not(EffRelation *rel, List *columns, char **hint);
static void take_sample(void *arg);
static void fetch_rows(Portal portal, EffRelation *rel);
static char *sample_sql(TableSample *sample);
static char *table_sample(TableSample *sample);
static void look_at(SampledColumn *column, const char *value);
static void lint_column(LintRun *run, EffRelation *rel, SampledColumn *column);
static char *share(int64 matches, int64 values);
static ValueForm form_of(Oid type);
static int	digits_of(const char *value, const char *separators, char *digits, int max);

/*
 * EffLintValues finds columns without a label whose values look like personal data.
 * It reads some rows of each table that has such columns, which EffLintPersonal has
 * listed, and only if the caller asked for a sample.
 */
void
EffLintValues(LintRun *run)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (run->sample == 0)
		return;
	foreach(lc, run->loose)
	{
		LooseColumn *column = lfirst(lc);
		ListCell   *next = lnext(run->loose, lc);
		ValueForm	form = form_of(column->type);

		if (form != FORM_NONE)
		{
			SampledColumn *sampled = palloc0(sizeof(SampledColumn));

			sampled->column = column;
			sampled->form = form;
			columns = lappend(columns, sampled);
		}
		if (columns != NIL && (next == NULL ||
							   ((LooseColumn *) lfirst(next))->relid != column->relid))
		{
			CHECK_FOR_INTERRUPTS();
			lint_table(run, column->relid, columns);
			columns = NIL;
		}
	}
}

/* lint_table samples the columns of one table, or tells why that cannot be done. */
static void
lint_table(LintRun *run, Oid relid, List *columns)
{
	TableSample sample = {.run = run, .rel = EffRelationLoad(relid), .columns = columns};
	ErrorData  *error;
	char	   *hint = NULL;
	char	   *why;
	ListCell   *lc;

	if (sample.rel == NULL)
		return;
	why = why_not(sample.rel, columns, &hint);
	if (why == NULL)
	{
		sample.lots = table_sample(&sample);
		error = EffLintTry(take_sample, &sample);
		if (error != NULL)
		{
			why = psprintf("reading them fails with SQLSTATE %s",
						   unpack_sql_state(error->sqlerrcode));
			hint = psprintf("See why: SELECT count(*) FROM (SELECT FROM %s LIMIT %d) AS s;",
							sample.rel->sql, run->sample);
		}
		else if (sample.rows == 0 && sample.lots[0] != '\0')
		{
			why = pstrdup("the pages drawn hold no row");
			hint = psprintf("VACUUM ANALYZE %s;", sample.rel->sql);
		}
	}
	if (why != NULL)
	{
		(void) EffLintAdd(run, LINT_NOT_SAMPLED, sample.rel, 0,
						  psprintf("the values of table %s were not looked into: %s",
								   sample.rel->name, why), hint);
		return;
	}
	foreach(lc, columns)
		lint_column(run, sample.rel, lfirst(lc));
}

/*
 * why_not returns what keeps the caller from reading the columns, and a hint, or NULL
 * if nothing does.  Row-level security does: a sample of the rows that the caller may
 * see would say nothing of the others.
 */
static char *
why_not(EffRelation *rel, List *columns, char **hint)
{
	Oid			user = GetUserId();
	const char *role = quote_identifier(GetUserNameFromId(user, false));
	char	   *schema = pstrdup(quote_identifier(rel->schema));
	bool		all_columns = true;
	bool		all = pg_class_aclcheck(rel->oid, user, ACL_SELECT) == ACLCHECK_OK;

	if (EffSchemaAclCheck(get_rel_namespace(rel->oid), user, ACL_USAGE) != ACLCHECK_OK)
	{
		*hint = psprintf("GRANT USAGE ON SCHEMA %s TO %s;", schema, role);
		return psprintf("role %s may not use schema %s", role, schema);
	}
	foreach_ptr(SampledColumn, sampled, columns)
		all_columns &= pg_attribute_aclcheck(rel->oid, sampled->column->attnum, user,
											 ACL_SELECT) == ACLCHECK_OK;
	if (!all && !all_columns)
	{
		*hint = psprintf("GRANT SELECT ON %s TO %s;", rel->sql, role);
		return psprintf("role %s may not read all of them", role);
	}
	if (check_enable_rls(rel->oid, InvalidOid, true) == RLS_ENABLED)
	{
		*hint = pstrdup("Call effaced_lint() as the owner of the table or as a role with"
						" BYPASSRLS.");
		return psprintf("row-level security may hide rows from role %s", role);
	}
	return NULL;
}

/*
 * take_sample is run by EffLintTry().  It reads the rows in portions, since they may be
 * many.  The caller may read the table, as why_not() has found; but the planner computes
 * expressions of its indexes, and a cast may be its owner's, so the statement runs as that
 * owner.
 */
static void
take_sample(void *arg)
{
	TableSample *sample = arg;
	SPIParseOpenOptions options = {.read_only = true};
	EffBracket	bracket;
	Portal		portal;
	ListCell   *lc;

	EffSpiBeginAs(&bracket, sample->rel->oid);
	portal = SPI_cursor_parse_open(NULL, sample_sql(sample), &options);
	do
	{
		fetch_rows(portal, sample->rel);
		for (uint64 i = 0; i < SPI_processed; i++)
			foreach(lc, sample->columns)
			{
				char	   *value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
												 foreach_current_index(lc) + 1);

				if (value == NULL)
					continue;
				look_at(lfirst(lc), value);
				pfree(value);
			}
		sample->rows += SPI_processed;
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	EffSpiEnd(&bracket);
}

/*
 * fetch_rows reads one portion.  What an error quotes of a row, even the context
 * that a foreign data wrapper adds to a cancellation, is taken out of the error.
 */
static void
fetch_rows(Portal portal, EffRelation *rel)
{
	EffStatementPlace place = {.action = "reading of", .relation = rel->name, .relid = rel->oid};
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EffRethrowWithoutValues(&place);
	}
	PG_END_TRY();
}

/* sample_sql returns the statement; it reads no more of a value than is looked at. */
static char *
sample_sql(TableSample *sample)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, sample->columns)
	{
		LooseColumn *column = ((SampledColumn *) lfirst(lc))->column;

		appendStringInfo(&sql, "%s pg_catalog.\"left\"(t.%s::pg_catalog.text, %d)",
						 foreach_current_index(lc) > 0 ? "," : "SELECT",
						 quote_identifier(column->name), MAX_VALUE);
	}
	appendStringInfo(&sql, " FROM %s AS t%s LIMIT %d", sample->rel->sql, sample->lots,
					 sample->run->sample);
	return sql.data;
}

/*
 * table_sample returns the clause that draws pages of a large table by lot, the same
 * ones in each call.  Of a small table the first rows are as good, and cheaper.
 */
static char *
table_sample(TableSample *sample)
{
	double		pages = 0;
	double		rows = 0;
	double		percent;

	foreach_oid(oid, sample->rel->inheritors)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
		Form_pg_class form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_class) GETSTRUCT(tuple);
		if (form->relkind == RELKIND_RELATION)
		{
			pages += form->relpages;
			rows += Max(form->reltuples, 0);
		}
		else if (form->relkind == RELKIND_FOREIGN_TABLE)
			pages = -INFINITY;	/* TABLESAMPLE does not work on it */
		ReleaseSysCache(tuple);
	}
	if (pages < LARGE_PAGES || rows <= 0)
		return "";
	/* half as many rows again as asked for, but not all pages of a table with few rows per page */
	percent = Min(150.0 * sample->run->sample / rows,
				  100.0 * Max(LARGE_PAGES, 4.0 * sample->run->sample) / pages);
	/* and at least 20 pages, or the rows of a table with full pages would be neighbours */
	percent = Max(percent, 100.0 * 20 / pages);
	if (percent >= 100)
		return "";
	return psprintf(" TABLESAMPLE pg_catalog.system (%.6f) REPEATABLE (0)", percent);
}

/* look_at counts a value under each shape that it has. */
static void
look_at(SampledColumn *column, const char *value)
{
	if (value[0] == '\0')
		return;
	column->values++;
	for (int i = 0; i < lengthof(shapes); i++)
		if ((column->form == FORM_TEXT || column->form == shapes[i].form) && shapes[i].test(value))
			column->matches[i]++;
}

/* lint_column files a finding for the shapes that enough values of a column have. */
static void
lint_column(LintRun *run, EffRelation *rel, SampledColumn *column)
{
	AttrNumber	attnum = column->column->attnum;
	StringInfoData found;
	const char *category = NULL;

	initStringInfo(&found);
	for (int i = 0; i < lengthof(shapes); i++)
	{
		if (column->matches[i] == 0 || column->matches[i] * 100 < column->values * shapes[i].least)
			continue;
		if (category == NULL)
			category = shapes[i].category;
		if (found.len == 0)
			appendStringInfo(&found, "%s of " INT64_FORMAT " sampled values %s %s",
							 share(column->matches[i], column->values), column->values,
							 column->form == FORM_DOCUMENT ? "hold" : "look like", shapes[i].what);
		else
			appendStringInfo(&found, ", %s like %s", share(column->matches[i], column->values),
							 shapes[i].what);
	}
	if (category == NULL)
		return;
	(void) EffLintAddAs(run, EffLintPersonalSeverity(run, rel->oid), LINT_PERSONAL_VALUES, rel,
						attnum,
						psprintf("column %s has no label, and %s: %s",
								 EffLintColumnName(rel, attnum), found.data,
								 EffLintConsequence(run, rel->oid)),
						EffLabelStatement(rel->oid, attnum,
										  psprintf("{\"category\": \"%s\"}", category)));
}

/* share returns per cent in words; 0 % means none, and 100 % all. */
static char *
share(int64 matches, int64 values)
{
	int			percent = (int) ((matches * 100 + values / 2) / values);

	if (matches < values)
		percent = Min(percent, 99);
	return percent == 0 ? pstrdup("less than 1 %") : psprintf("%d %%", percent);
}

/* form_of returns what values of a type are; FORM_NONE if they are not looked at. */
static ValueForm
form_of(Oid type)
{
	Oid			base = EffBaseType(type);
	Oid			element = get_element_type(base);
	char		category;

	if (base == JSONOID || base == JSONBOID || base == XMLOID)
		return FORM_DOCUMENT;
	if (base == INT8OID || base == NUMERICOID)
		return FORM_DIGITS;
	if (base == CHAROID || element == CHAROID || base == NAMEOID)
		return FORM_NONE;
	category = EffTypeCategory(OidIsValid(element) ? EffBaseType(element) : base);
	if (category != TYPCATEGORY_STRING)
		return FORM_NONE;
	return OidIsValid(element) ? FORM_DOCUMENT : FORM_TEXT;
}

/* has_email looks for an @ with a local part before it and a domain with a dot behind it. */
static bool
has_email(const char *value)
{
	for (const char *at = strchr(value + 1, '@'); at != NULL; at = strchr(at + 1, '@'))
	{
		const char *p = at + 1;
		const char *label = p;
		int			labels = 0;

		if (at == value || !(isalnum((unsigned char) at[-1]) || strchr("_-+%", at[-1]) ||
							 IS_HIGHBIT_SET(at[-1])))
			continue;
		for (;; p++)
		{
			if (isalnum((unsigned char) *p) || IS_HIGHBIT_SET(*p) || (*p == '-' && p > label))
				continue;
			if (p == label)
				break;
			labels++;
			if (*p != '.')
				break;
			label = p + 1;
		}
		/* the dot at the end of a sentence does not belong to the domain */
		if (p == label)
			label = p - 1;
		while (label > at && label[-1] != '.' && label[-1] != '@')
			label--;
		if (labels >= 2 && !isdigit((unsigned char) label[0]) && label[0] != '\0' &&
			label[1] != '\0' &&
			(isalpha((unsigned char) label[1]) || IS_HIGHBIT_SET(label[1])))
			return true;
	}
	return false;
}

/*
 * is_phone returns whether a value is an international telephone number, or a
 * national one with separators, without which it could be any number.
 */
static bool
is_phone(const char *value)
{
	char		digits[16];
	int			n;

	while (*value == ' ')
		value++;
	n = digits_of(value + (*value == '+'), " ()-./", digits, lengthof(digits) - 1);
	if (n < 0)
		return false;
	if (*value == '+')
		return n >= 8 && n <= 15 && digits[0] != '0';
	/* (030) 1234567 and 030/1234567, but no date and no decimal number */
	if (*value == '(' || (*value == '0' && strpbrk(value, " -/") != NULL))
		return n >= 9 && n <= 12;
	/* 555-123-4567 */
	return n == 10 && strlen(value) >= 12 && strchr("-. ", value[3]) && value[7] == value[3] &&
		strlen(value) == 12;
}

/* is_iban goes by the check digits: read as a number, the rest modulo 97 is 1. */
static bool
is_iban(const char *value)
{
	char		iban[35];
	int			n = 0;
	int			rest = 0;

	for (; *value != '\0'; value++)
	{
		if (*value == ' ')
			continue;
		if (!isalnum((unsigned char) *value) || IS_HIGHBIT_SET(*value) || n == lengthof(iban) - 1)
			return false;
		iban[n++] = pg_ascii_toupper((unsigned char) *value);
	}
	if (n < 15 || !isalpha((unsigned char) iban[0]) || !isalpha((unsigned char) iban[1]) ||
		!isdigit((unsigned char) iban[2]) || !isdigit((unsigned char) iban[3]))
		return false;
	for (int i = 0; i < n; i++)
	{
		char		c = iban[(i + 4) % n];

		rest = isdigit((unsigned char) c) ? (rest * 10 + c - '0') % 97 :
			(rest * 100 + c - 'A' + 10) % 97;
	}
	return rest == 1;
}

/* is_ip returns whether a value is an IP address; "::" and such are too short to tell. */
static bool
is_ip(const char *value)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, value, address) == 1 ||
		(strlen(value) >= 4 && inet_pton(AF_INET6, value, address) == 1);
}

/* is_mac returns whether a value is six bytes in hexadecimal, parted by one separator. */
static bool
is_mac(const char *value)
{
	if (strlen(value) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? value[i] != value[2] || (value[i] != ':' && value[i] != '-') :
			!isxdigit((unsigned char) value[i]))
			return false;
	return true;
}

/* is_card goes by the check digit of Luhn, which one number in ten has by chance. */
static bool
is_card(const char *value)
{
	char		digits[20];
	int			n = digits_of(value, " -", digits, lengthof(digits) - 1);
	int			sum = 0;

	if (n < 13 || digits[0] < '2' || digits[0] > '6')
		return false;
	for (int i = 0; i < n; i++)
	{
		int			digit = digits[n - 1 - i] - '0';

		if (i % 2 == 1)
			digit *= 2;
		sum += digit > 9 ? digit - 9 : digit;
	}
	return sum % 10 == 0;
}

/* is_coordinates returns whether a value is a latitude and a longitude, as decimal numbers. */
static bool
is_coordinates(const char *value)
{
	static const double limits[] = {90, 180};

	if (*value == '(')
		value++;
	for (int i = 0; i < lengthof(limits); i++)
	{
		char	   *end;
		char	   *dot;
		double		number = strtod(value, &end);

		if (end == value || fabs(number) > limits[i] ||
			(dot = memchr(value, '.', end - value)) == NULL || end - dot < 3)
			return false;
		value = end;
		while (*value == ' ' || (*value == ',' && i == 0))
			value++;
	}
	return *value == '\0' || (value[0] == ')' && value[1] == '\0');
}

/*
 * digits_of copies the digits of a value and returns their number.  It is -1 if the
 * value holds anything but digits and separators, or more than max digits.
 */
static int
digits_of(const char *value, const char *separators, char *digits, int max)
{
	int			n = 0;

	for (; *value != '\0'; value++)
	{
		if (isdigit((unsigned char) *value))
		{
			if (n == max)
				return -1;
			digits[n++] = *value;
		}
		else if (strchr(separators, *value) == NULL)
			return -1;
	}
	digits[n] = '\0';
	return n;
}
