/*
 * personal.c
 *	  Columns without a label that look like personal data by name or type.
 *
 * Names are compared word by word: "email_address" and "EmailAddress" are the
 * words email and address, and "emailed" is another word.
 */
#include "postgres.h"

#include "lint/lint_int.h"
#include "lint/personal_words.h"
#include "relations/types.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The table that a column is judged in */
typedef struct Company
{
	Oid			relid;
	bool		persons;		/* it is about persons */
} Company;

static void put_loose(LintRun *run, char **cells);
static void find_company(LintRun *run, Oid relid, Company *company);
static void lint_column(LintRun *run, LooseColumn *column, Company *company);
static const PersonalWords *match_name(const char *name, int kinds, WordWeight least);
static const char *behind_words(const char *name, const char *words);
static bool is_about(const char *behind);
static bool has_word(const char *const *list, int n, const char *word);
static bool is_person_name(const char *relname);
static char *words_of(const char *name);
static void end_word(StringInfo buf, int start);
static char *bare_type(Oid type);
static int	kinds_of(Oid type);

/* Columns that can have a label: not in views, partitions and what is inherited */
static const char *const loose_query =
"SELECT a.attrelid, a.attnum, a.attname, a.atttypid"
" FROM pg_catalog.pg_attribute a"
" JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
" WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'"
" AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0"
" AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l (relation, attnum)"
"  WHERE l.relation = a.attrelid AND l.attnum = a.attnum)"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f"
"  WHERE f.contype = 'f' AND f.conrelid = a.attrelid AND a.attnum = ANY (f.conkey))"
" ORDER BY a.attrelid, a.attnum";

/*
 * EffLintPersonal finds columns whose name or type says that somebody should
 * have judged them.
 */
void
EffLintPersonal(LintRun *run)
{
	Company		company = {InvalidOid};

	EffLintQuery(run, loose_query, put_loose);
	foreach_ptr(LooseColumn, column, run->loose)
	{
		if (column->relid != company.relid)
			find_company(run, column->relid, &company);
		lint_column(run, column, &company);
	}
}

/* put_loose takes a column in; only the parent's label counts for a child's column. */
static void
put_loose(LintRun *run, char **cells)
{
	LooseColumn *column = palloc(sizeof(LooseColumn));
	LooseColumn *previous = run->loose ? llast(run->loose) : NULL;

	column->relid = atooid(cells[0]);
	column->attnum = atoi(cells[1]);
	column->name = cells[2];
	column->type = atooid(cells[3]);
	if ((previous != NULL && previous->relid == column->relid) ||
		(EffLintIsInQuestion(run, column->relid) &&
		 EffMapTableOver(run->map, column->relid) == EffMapTable(run->map, column->relid)))
		run->loose = lappend(run->loose, column);
}

/*
 * find_company tells whether a table is about persons: by its name, by its
 * label, or because a column, labelled or not, says so.
 */
static void
find_company(LintRun *run, Oid relid, Company *company)
{
	MapTable   *table = EffMapTable(run->map, relid);
	EffRelation *rel = table ? table->rel : EffRelationLoad(relid);

	company->relid = relid;
	company->persons = rel != NULL && (is_person_name(rel->relname) || (table != NULL && table->is_subject));
	for (int i = 0; rel != NULL && i < rel->ncolumns; i++)
		company->persons |= match_name(rel->columns[i].name, kinds_of(rel->columns[i].type), WORD_TELLING) != NULL;
}

static void
lint_column(LintRun *run, LooseColumn *column, Company *company)
{
	int			kinds = kinds_of(column->type);
	const PersonalWords *words = match_name(column->name, kinds, company->persons ? WORD_WEAK : WORD_STRONG);
	LintCode	code = LINT_PERSONAL_NAME;
	const char *category = NULL;
	const char *why = NULL;
	EffRelation *rel;

	if (EffLintToldColumn(run, column->relid, column->attnum))
		return;
	if (words != NULL)
	{
		category = words->category;
		why = psprintf("\"%s\" in its name", words->words);
	}
	else
	{
		Oid			element = get_element_type(EffBaseType(column->type));
		Oid			type = OidIsValid(element) ? element : column->type;
		char	   *bare = bare_type(EffBaseType(type));

		code = LINT_PERSONAL_TYPE;
		if (get_typtype(type) == TYPTYPE_DOMAIN)
		{
			words = match_name(bare_type(type), kinds, WORD_STRONG);
			category = words ? words->category : NULL;
			why = psprintf("its domain %s", EffTypeName(type));
		}
		for (int i = 0; words == NULL && i < lengthof(personal_types); i++)
		{
			if (strcmp(bare, personal_types[i].name) != 0)
				continue;
			category = personal_types[i].category;
			why = psprintf("its type %s, whose values are %s", bare, personal_types[i].what);
			break;
		}
	}
	if (category == NULL)
		return;
	rel = EffMapTable(run->map, column->relid) ? EffMapTable(run->map, column->relid)->rel : EffRelationLoad(column->relid);
	if (rel == NULL)
		return;
	(void) EffLintAddAs(run, EffLintPersonalSeverity(run, column->relid), code, rel, column->attnum,
						psprintf("column %s has no label and looks like personal data by %s: %s",
								 EffLintColumnName(rel, column->attnum), why,
								 EffLintConsequence(run, column->relid)),
						EffLabelStatement(column->relid, column->attnum,
										  psprintf("{\"category\": \"%s\"}", category)));
}

/*
 * match_name finds the first entry whose words are in the name, one after the
 * other, and which what follows does not turn into something else.
 */
static const PersonalWords *
match_name(const char *name, int kinds, WordWeight least)
{
	char	   *words = words_of(name);

	for (int i = 0; i < lengthof(personal_words); i++)
	{
		const PersonalWords *entry = &personal_words[i];
		const char *behind;

		if ((entry->kinds & kinds) == 0 || entry->weight < least)
			continue;
		behind = behind_words(words, entry->words);
		if (behind != NULL && !is_about(behind))
			return entry;
	}
	return NULL;
}

/*
 * behind_words finds words in a name that words_of has parted, and what follows
 * them.  Several words may be written as one: unquoted, "firstName" is firstname.
 */
static const char *
behind_words(const char *name, const char *words)
{
	for (const char *start = strchr(name, ' '); start != NULL; start = strchr(start + 1, ' '))
	{
		const char *p = start + 1;
		const char *word = words;

		for (; *word != '\0'; word++)
		{
			if (*p == *word)
				p++;
			else if (*word != ' ' || p[-1] == ' ')
				break;
		}
		if (*word == '\0' && *p == ' ')
			return p;
	}
	return NULL;
}

static bool
is_about(const char *behind)
{
	char	   *rest = pstrdup(behind);

	for (char *word = strtok(rest, " "); word != NULL; word = strtok(NULL, " "))
		if (has_word(about_words, lengthof(about_words), word))
			return true;
	return false;
}

static bool
has_word(const char *const *list, int n, const char *word)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

/* is_person_name: the last word counts, so that user_roles are no users. */
static bool
is_person_name(const char *relname)
{
	char	   *words = words_of(relname);
	char	   *last = NULL;
	char	   *before = NULL;

	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
	{
		before = last;
		last = word;
	}
	if (last == NULL)
		return false;
	return has_word(person_words, lengthof(person_words), last) ||
		(before != NULL && has_word(person_words, lengthof(person_words), before) &&
		 has_word(person_suffixes, lengthof(person_suffixes), last));
}

/*
 * words_of parts a name at whatever is no letter and at capitals that begin
 * a word, as in "userIPAddress"; the words are in small letters and in the
 * singular, with a blank before and behind each.
 */
static char *
words_of(const char *name)
{
	StringInfoData buf;
	int			start;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, ' ');
	start = buf.len;
	for (const char *p = name; *p != '\0'; p++)
	{
		unsigned char c = *p;

		if (!IS_HIGHBIT_SET(c) && !isalpha(c))
		{
			end_word(&buf, start);
			start = buf.len;
			continue;
		}
		if (p > name && isupper(c) && (islower((unsigned char) p[-1]) ||
									   (isupper((unsigned char) p[-1]) && islower((unsigned char) p[1]))))
		{
			end_word(&buf, start);
			start = buf.len;
		}
		appendStringInfoChar(&buf, IS_HIGHBIT_SET(c) ? c : pg_ascii_tolower(c));
	}
	end_word(&buf, start);
	return buf.data;
}

static void
end_word(StringInfo buf, int start)
{
	char	   *word = buf->data + start;
	int			length = buf->len - start;

	if (length == 0)
		return;
	if (length > 4 && strcmp(word + length - 4, "sses") == 0)
		length -= 2;
	else if (length > 3 && word[length - 1] == 's' && strchr("siu", word[length - 2]) == NULL)
		length--;
	buf->len = start + length;
	buf->data[buf->len] = '\0';
	appendStringInfoChar(buf, ' ');
}

/* bare_type gives the name of a type without its schema. */
static char *
bare_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return "";
	name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	ReleaseSysCache(tuple);
	return name;
}

static int
kinds_of(Oid type)
{
	Oid			base = EffBaseType(type);
	Oid			element = get_element_type(base);
	char		category;

	if (OidIsValid(element) && element != CHAROID)
		base = EffBaseType(element);
	if (base == JSONOID || base == JSONBOID || base == XMLOID || base == CHAROID || base == NAMEOID)
		return KIND_TEXT;
	if (base == BYTEAOID || base == UUIDOID)
		return KIND_OTHER;
	category = EffTypeCategory(base);
	switch (category)
	{
		case TYPCATEGORY_BOOLEAN:
		case TYPCATEGORY_TIMESPAN:
			return 0;
		case TYPCATEGORY_NUMERIC:
			return KIND_NUMBER;
		case TYPCATEGORY_DATETIME:
			return KIND_DATE;
		case TYPCATEGORY_STRING:
		case TYPCATEGORY_ENUM:
		case TYPCATEGORY_COMPOSITE:
			return KIND_TEXT;
		default:
			return KIND_OTHER;
	}
}
