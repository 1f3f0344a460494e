/*
 * personal.c
 *	  Columns without a label that look like personal data by name or type.
 *
 * Names are compared word by word: "email_address" and "EmailAddress" are the
 * words email and address, and "emailed" is another word.
 */
#include "postgres.h"

#include "lint/lint_int.h"
#include "relations/types.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* What values of a type can be */
#define KIND_TEXT	0x01		/* JSON, enums, composites and arrays of text too */
#define KIND_NUMBER	0x02
#define KIND_DATE	0x04
#define KIND_OTHER	0x08		/* addresses, geometry, bytea, uuid */
#define KIND_ANY	(KIND_TEXT | KIND_NUMBER | KIND_DATE | KIND_OTHER)

typedef enum WordWeight
{
	WORD_WEAK,					/* personal where the table is about persons */
	WORD_STRONG,				/* personal anywhere */
	WORD_TELLING				/* the same, and says that the table is about persons */
} WordWeight;

/* Words that name personal data, in the singular; the first that match count */
typedef struct PersonalWords
{
	const char *words;
	const char *category;
	int			kinds;
	WordWeight	weight;
} PersonalWords;

static const PersonalWords personal_words[] = {
	{"email address", "contact", KIND_TEXT, WORD_TELLING},
	{"email", "contact", KIND_TEXT, WORD_TELLING},
	{"e mail", "contact", KIND_TEXT, WORD_TELLING},
	{"mail", "contact", KIND_TEXT, WORD_TELLING},
	{"phone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"telephone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"tel", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"cell", "contact", KIND_TEXT, WORD_WEAK},
	{"cellphone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"msisdn", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"fax", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"phone number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"telephone number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile phone", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"mobile number", "contact", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"skype", "contact", KIND_TEXT, WORD_STRONG},
	{"whatsapp", "contact", KIND_TEXT, WORD_STRONG},
	{"twitter", "contact", KIND_TEXT, WORD_STRONG},
	{"facebook", "contact", KIND_TEXT, WORD_STRONG},
	{"instagram", "contact", KIND_TEXT, WORD_STRONG},
	{"linkedin", "contact", KIND_TEXT, WORD_STRONG},

	{"birth date", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"date of birth", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"birth", "identity", KIND_TEXT | KIND_DATE | KIND_NUMBER, WORD_TELLING},
	{"birthday", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"birthplace", "identity", KIND_TEXT, WORD_TELLING},
	{"dob", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"d o b", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"born", "identity", KIND_TEXT | KIND_DATE, WORD_TELLING},
	{"age", "identity", KIND_NUMBER | KIND_TEXT, WORD_WEAK},
	{"first name", "identity", KIND_TEXT, WORD_TELLING},
	{"fname", "identity", KIND_TEXT, WORD_TELLING},
	{"last name", "identity", KIND_TEXT, WORD_TELLING},
	{"lname", "identity", KIND_TEXT, WORD_TELLING},
	{"middle name", "identity", KIND_TEXT, WORD_TELLING},
	{"given name", "identity", KIND_TEXT, WORD_TELLING},
	{"family name", "identity", KIND_TEXT, WORD_TELLING},
	{"maiden name", "identity", KIND_TEXT, WORD_TELLING},
	{"full name", "identity", KIND_TEXT, WORD_TELLING},
	{"surname", "identity", KIND_TEXT, WORD_TELLING},
	{"forename", "identity", KIND_TEXT, WORD_TELLING},
	{"nickname", "identity", KIND_TEXT, WORD_TELLING},
	{"user name", "identity", KIND_TEXT, WORD_TELLING},
	{"screen name", "identity", KIND_TEXT, WORD_STRONG},
	{"display name", "identity", KIND_TEXT, WORD_WEAK},
	{"login", "identity", KIND_TEXT, WORD_WEAK},
	{"name", "identity", KIND_TEXT, WORD_WEAK},
	{"initial", "identity", KIND_TEXT, WORD_WEAK},
	{"title", "identity", KIND_TEXT, WORD_WEAK},
	{"company", "identity", KIND_TEXT, WORD_WEAK},
	{"employer", "identity", KIND_TEXT, WORD_STRONG},
	{"hire date", "identity", KIND_DATE, WORD_WEAK},
	{"gender", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"sex", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"nationality", "identity", KIND_TEXT, WORD_TELLING},
	{"citizenship", "identity", KIND_TEXT, WORD_TELLING},
	{"marital status", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"marital", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ssn", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"social security", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"social insurance", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"national insurance", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"national id", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"insurance number", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"identity card", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"id card", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"passport id", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"passport", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"tax id", "identity", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"tax number", "identity", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"vat id", "identity", KIND_TEXT | KIND_NUMBER, WORD_WEAK},
	{"vat number", "identity", KIND_TEXT | KIND_NUMBER, WORD_WEAK},
	{"driver license", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"driver licence", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"driving licence", "identity", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"license plate", "identity", KIND_TEXT, WORD_STRONG},
	{"licence plate", "identity", KIND_TEXT, WORD_STRONG},
	{"avatar", "identity", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"photo", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"picture", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"signature", "identity", KIND_TEXT | KIND_OTHER, WORD_WEAK},

	{"iban", "financial", KIND_TEXT, WORD_TELLING},
	{"bic", "financial", KIND_TEXT, WORD_STRONG},
	{"account number", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"bank account", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"account holder", "financial", KIND_TEXT, WORD_TELLING},
	{"credit card", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"card number", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"cardholder", "financial", KIND_TEXT, WORD_TELLING},
	{"salary", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"wage", "financial", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"income", "financial", KIND_TEXT | KIND_NUMBER, WORD_WEAK},

	{"ip address", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ipaddr", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ip", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ips", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"ipv", "technical", KIND_TEXT | KIND_OTHER | KIND_NUMBER, WORD_STRONG},
	{"remote address", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"remote addr", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"mac address", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"macaddr", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"user agent", "technical", KIND_TEXT, WORD_STRONG},
	{"device id", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"advertising id", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"idfa", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"imei", "technical", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"imsi", "technical", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"cookie", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"password", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"passwd", "technical", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"session id", "technical", KIND_TEXT | KIND_OTHER, WORD_WEAK},

	{"street", "location", KIND_TEXT, WORD_TELLING},
	{"house number", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"zip code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"zip", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"postal code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"postal", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"post code", "location", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"address", "location", KIND_TEXT, WORD_TELLING},
	{"addr", "location", KIND_TEXT, WORD_TELLING},
	{"street address", "location", KIND_TEXT, WORD_TELLING},
	{"home address", "location", KIND_TEXT, WORD_TELLING},
	{"postal address", "location", KIND_TEXT, WORD_TELLING},
	{"geohash", "location", KIND_TEXT, WORD_STRONG},
	{"lat", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"latitude", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"lon", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"lng", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"longitude", "location", KIND_TEXT | KIND_NUMBER, WORD_STRONG},
	{"coordinate", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"gps", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"geolocation", "location", KIND_TEXT | KIND_OTHER, WORD_STRONG},
	{"location", "location", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"city", "location", KIND_TEXT, WORD_WEAK},
	{"town", "location", KIND_TEXT, WORD_WEAK},
	{"district", "location", KIND_TEXT, WORD_WEAK},
	{"county", "location", KIND_TEXT, WORD_WEAK},
	{"state", "location", KIND_TEXT, WORD_WEAK},
	{"province", "location", KIND_TEXT, WORD_WEAK},
	{"region", "location", KIND_TEXT, WORD_WEAK},
	{"country", "location", KIND_TEXT, WORD_WEAK},

	{"religion", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ethnicity", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"ethnic", "special", KIND_TEXT | KIND_NUMBER, WORD_TELLING},
	{"race", "special", KIND_TEXT, WORD_WEAK},
	{"disability", "special", KIND_TEXT, WORD_STRONG},
	{"diagnosis", "special", KIND_TEXT, WORD_STRONG},
	{"medication", "special", KIND_TEXT, WORD_STRONG},
	{"allergy", "special", KIND_TEXT, WORD_STRONG},
	{"allergie", "special", KIND_TEXT, WORD_STRONG},
	{"blood type", "special", KIND_TEXT, WORD_STRONG},
	{"blood group", "special", KIND_TEXT, WORD_STRONG},
	{"medical", "special", KIND_TEXT, WORD_STRONG},
	{"sexual orientation", "special", KIND_TEXT, WORD_TELLING},
	{"fingerprint", "special", KIND_TEXT | KIND_OTHER, WORD_WEAK},
	{"biometric", "special", KIND_TEXT | KIND_OTHER, WORD_STRONG},
};

/* Before one of these a word names something about the value, not the value */
static const char *const about_words[] = {
	"type", "kind", "status", "format", "template", "regex", "pattern", "verified", "verification",
	"confirmed", "valid", "enabled", "count", "total", "length", "version", "provider", "server",
	"host", "port", "preference", "opt", "optin", "subject", "sent", "bounced", "required", "label",
	"os", "app", "range", "mask", "mode", "id", "uuid", "uid", "fk", "ref", "key", "limit", "domain"
};

/* A table named after one of these is about persons */
static const char *const person_words[] = {
	"user", "customer", "client", "person", "people", "patient", "employee", "staff", "member", "contact",
	"subscriber", "guest", "visitor", "student", "teacher", "pupil", "passenger", "applicant", "candidate",
	"citizen", "resident", "donor", "volunteer", "doctor", "physician", "nurse", "participant", "attendee",
	"player", "driver", "buyer", "seller", "shopper", "recipient", "sender", "worker", "individual",
	"beneficiary", "spouse", "lead"
};

/* ... also with one of these behind */
static const char *const person_suffixes[] = {
	"account", "base", "data", "detail", "info", "master", "profile", "record"
};

/* Types that hold little else */
static const struct
{
	const char *name;
	const char *category;
	const char *what;
}			personal_types[] =
{
	{"inet", "technical", "IP addresses"},
	{"cidr", "technical", "IP networks"},
	{"macaddr", "technical", "addresses of devices"},
	{"macaddr8", "technical", "addresses of devices"},
	{"citext", "contact", "mostly e-mail addresses and user names"},
	{"point", "location", "places"},
	{"geography", "location", "places"},
	{"geometry", "location", "places"},
};

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
