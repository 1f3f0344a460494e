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

/* What is known of the table whose columns are judged */
typedef struct Company
{
	Oid			relid;
	bool		persons;		/* the table is about persons */
} Company;

static void put_loose(LintRun *run, char **cells);
static void find_company(LintRun *run, Oid relid, Company *company);
static void lint_column(LintRun *run, LooseColumn *column, Company *company);
static const char *category_of_type(Oid type, const char **why);
static const PersonalWords *match_name(const char *name, int kinds, WordWeight least);
static const char *behind_words(const char *name, const char *words);
static bool is_about(const char *behind);
static bool has_word(const char *const *list, int n, const char *word);
static bool is_person_name(const char *relname);
static char *words_of(const char *name);
static void end_word(StringInfo buf, int start);
static char *bare_type(Oid type);
static int	kinds_of(Oid type);

/* Columns without a label that can have one, which partitions and inherited columns cannot */
static const char *const loose_query =
"SELECT a.attrelid, a.attnum, a.attname, a.atttypid"
" FROM pg_catalog.pg_attribute a"
" JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
" WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'"
" AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0"
" AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS l"
" (relation, attnum)"
"  WHERE l.relation = a.attrelid AND l.attnum = a.attnum)"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f"
"  WHERE f.contype = 'f' AND f.conrelid = a.attrelid AND a.attnum = ANY (f.conkey))"
" ORDER BY a.attrelid, a.attnum";

/*
 * EffLintPersonal finds columns without a label whose name or type suggests
 * personal data.  It fills run->loose for EffLintValues, which comes after it.
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

/*
 * put_loose notes a column, unless its table is the child of a labelled one: only
 * the parent's labels count then, and EffLintUnlabelledColumns tells of it.
 */
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
 * find_company finds out whether a table is about persons: its name says so, or its
 * label, or the name of any of its columns.
 */
static void
find_company(LintRun *run, Oid relid, Company *company)
{
	MapTable   *table = EffMapTable(run->map, relid);
	EffRelation *rel = table ? table->rel : EffRelationLoad(relid);

	company->relid = relid;
	company->persons = rel != NULL &&
		(is_person_name(rel->relname) || (table != NULL && table->is_subject));
	if (rel == NULL)
		return;
	for (int i = 0; i < rel->ncolumns; i++)
		company->persons |= match_name(rel->columns[i].name, kinds_of(rel->columns[i].type),
									   WORD_TELLING) != NULL;
}

/* lint_column judges a column by its name, else by its domain or type. */
static void
lint_column(LintRun *run, LooseColumn *column, Company *company)
{
	int			kinds = kinds_of(column->type);
	const PersonalWords *words = match_name(column->name, kinds,
											company->persons ? WORD_WEAK : WORD_STRONG);
	const char *category;
	const char *why = NULL;
	MapTable   *table = EffMapTable(run->map, column->relid);
	EffRelation *rel;

	if (EffLintToldColumn(run, column->relid, column->attnum))
		return;
	if (words != NULL)
	{
		category = words->category;
		why = psprintf("\"%s\" in its name", words->words);
	}
	else
		category = category_of_type(column->type, &why);
	rel = table ? table->rel : EffRelationLoad(column->relid);
	if (category == NULL || rel == NULL)
		return;
	(void) EffLintAddAs(run, EffLintPersonalSeverity(run, column->relid),
						words ? LINT_PERSONAL_NAME : LINT_PERSONAL_TYPE, rel, column->attnum,
						psprintf("column %s has no label and looks like personal data by %s: %s",
								 EffLintColumnName(rel, column->attnum), why,
								 EffLintConsequence(run, column->relid)),
						EffLabelStatement(column->relid, column->attnum,
										  psprintf("{\"category\": \"%s\"}", category)));
}

/*
 * category_of_type returns the category of values of a type that hold little but
 * personal data, or of a domain with such a name, and why.  It is NULL for others.
 */
static const char *
category_of_type(Oid type, const char **why)
{
	Oid			element = get_element_type(EffBaseType(type));
	char	   *bare;

	if (OidIsValid(element))
		type = element;
	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		const PersonalWords *words = match_name(bare_type(type), kinds_of(type), WORD_STRONG);

		*why = psprintf("its domain %s", EffTypeName(type));
		if (words != NULL)
			return words->category;
	}
	bare = bare_type(EffBaseType(type));
	for (int i = 0; i < lengthof(personal_types); i++)
	{
		if (strcmp(bare, personal_types[i].name) != 0)
			continue;
		*why = psprintf("its type %s, whose values are %s", bare, personal_types[i].what);
		return personal_types[i].category;
	}
	return NULL;
}

/*
 * match_name returns the first entry of personal_words whose words are in the name,
 * one after the other, for columns of these kinds and of at least that weight.  It
 * returns NULL if there is none, or what follows the words changes their meaning.
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
 * behind_words looks for words in a name that words_of has parted, and returns what
 * follows them, or NULL if they are not there.  Several words may be written as one,
 * since firstName is firstname unless it is quoted.
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

/* is_about returns whether one of the words says that the value is about something else. */
static bool
is_about(const char *behind)
{
	char	   *rest = pstrdup(behind);

	for (char *word = strtok(rest, " "); word != NULL; word = strtok(NULL, " "))
		if (has_word(about_words, lengthof(about_words), word))
			return true;
	return false;
}

/* has_word returns whether a word is in a list. */
static bool
has_word(const char *const *list, int n, const char *word)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

/*
 * is_person_name returns whether a table is named after persons.  The last word
 * counts, since user_roles are no users.
 */
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
 * words_of parts a name at everything that is no letter and at capitals that begin
 * a word, as in "userIPAddress".  It returns the words in small letters and in the
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
									   (isupper((unsigned char) p[-1]) &&
										islower((unsigned char) p[1]))))
		{
			end_word(&buf, start);
			start = buf.len;
		}
		appendStringInfoChar(&buf, IS_HIGHBIT_SET(c) ? c : pg_ascii_tolower(c));
	}
	end_word(&buf, start);
	return buf.data;
}

/* end_word makes the word that begins at start a singular, and ends it. */
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

/* bare_type returns the name of a type without its schema, or "" if it has just been dropped. */
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

/* kinds_of returns what values of a type can be; 0 for types that hold no personal data. */
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
