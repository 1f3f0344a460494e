/*
 * json_texts.c
 *	  Finds the strings, numbers and keys of a JSON document in a text.
 *
 * Whatever is no JSON is passed over: the text of a column is looked into, not
 * checked.
 */
#include "postgres.h"

#include "trace/texts.h"

#include "mb/pg_wchar.h"

#define MAX_DEPTH 64			/* deeper members are told of at the place of this depth */

/* A document that is read */
typedef struct JsonReader
{
	TextsSearch *search;
	const char *at;
	const char *end;
	int			depth;
	TextPlace	places[MAX_DEPTH];
	bool		in_object[MAX_DEPTH];
	bool		expects_key;
} JsonReader;

#define MAX_NESTED 3			/* JSON texts inside strings of JSON texts */

/* Found in one text, to be told of at a place */
typedef struct FoundAt
{
	TextsSearch *search;
	const TextPlace *place;
} FoundAt;

/* Found in a text as a whole, and inside it as a document */
typedef struct FoundTwice
{
	TextsSearch *outer;
	List	   *whole;			/* of int: values found in the text */
	List	   *inside;			/* of int: values found in the document */
} FoundTwice;

static void search_document(TextsSearch *search, const char *text, size_t length,
							const TextPlace *place);
static bool looks_like_json(const char *text, size_t length);
static void tell(void *arg, int value, bool whole);
static void keep_whole(void *arg, int value, bool whole);
static void tell_inside(void *arg, int value, bool whole, const TextPlace *place);
static void open_level(JsonReader *reader, const TextPlace *place, bool object);
static void close_level(JsonReader *reader);
static const TextPlace *place_of(JsonReader *reader, const TextPlace *place);
static void read_string(JsonReader *reader, const TextPlace *place);
static void read_bare(JsonReader *reader, const TextPlace *place);
static bool is_number(const char *at, const char *end);
static size_t decode_string(const char *text, size_t length, char *decoded);
static const char *decode_escape(const char *at, const char *end, char **to);
static bool read_unit(const char *at, const char *end, uint32 *unit);

/*
 * EffTextsSearchText: search one text; where it is a JSON document, its members.
 */
void
EffTextsSearchText(TextsSearch *search, const char *text, size_t length, const TextPlace *place)
{
	if (search->nested < MAX_NESTED && looks_like_json(text, length))
		search_document(search, text, length, place);
	else
		EffTextsSearchFlat(search, text, length, place);
}

/*
 * EffTextsSearchNumber: search one text; where it is a JSON document, its members.
 */
void
EffTextsSearchNumber(TextsSearch *search, const char *number, size_t length, const TextPlace *place)
{
	FoundAt		found = {search, place};

	EffTextsSearchFlat(search, number, length, place);
	if (EffDigitsAny(search->digits))
		EffDigitsFindText(search->digits, number, length, tell, &found);
}

/* EffTextsSearchKey: what is found in a key stands in one of the members. */
void
EffTextsSearchKey(TextsSearch *search, const char *key, int length, const TextPlace *parent)
{
	TextPlace	place = {.parent = parent, .key = "", .length = 0};

	EffTextsSearchFlat(search, key, length, &place);
}

/*
 * EffTextsSearchFlat searches one text as it stands, also where it is a document.
 */
void
EffTextsSearchFlat(TextsSearch *search, const char *text, size_t length, const TextPlace *place)
{
	FoundAt		found = {search, place};

	EffPatternsSearch(search->patterns, text, length, tell, &found);
}

/*
 * EffTextsSearchInteger and EffTextsSearchNumeric tell of the values of digits
 * alone that are this number.
 */
void
EffTextsSearchInteger(TextsSearch *search, int64 number, const TextPlace *place)
{
	FoundAt		found = {search, place};

	if (EffDigitsAny(search->digits))
		EffDigitsFindInteger(search->digits, number, tell, &found);
}

/* EffTextsSearchNumeric: see EffTextsSearchInteger(). */
void
EffTextsSearchNumeric(TextsSearch *search, Numeric number, const TextPlace *place)
{
	FoundAt		found = {search, place};

	if (EffDigitsAny(search->digits))
		EffDigitsFindNumeric(search->digits, number, tell, &found);
}

/*
 * search_document searches the text as it stands, and the document only where
 * that finds something, or may miss something: escapes, and numbers without the
 * zeros that they begin with.
 */
static void
search_document(TextsSearch *search, const char *text, size_t length, const TextPlace *place)
{
	FoundTwice	found = {.outer = search};
	TextsSearch inside = *search;
	ListCell   *lc;

	EffPatternsSearch(search->patterns, text, length, keep_whole, &found);
	if (found.whole == NIL && !EffDigitsAny(search->digits) && memchr(text, '\\', length) == NULL)
		return;
	inside.hit = tell_inside;
	inside.arg = &found;
	inside.nested++;
	EffTextsSearchJson(&inside, text, length, place);
	foreach(lc, found.whole)
		if (!list_member_int(found.inside, lfirst_int(lc)))
			search->hit(search->arg, lfirst_int(lc), false, place);
}

static bool
looks_like_json(const char *text, size_t length)
{
	while (length > 0 && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r'))
	{
		text++;
		length--;
	}
	return length > 0 && (*text == '{' || *text == '[' || *text == '"');
}

static void
tell(void *arg, int value, bool whole)
{
	FoundAt    *found = arg;

	found->search->hit(found->search->arg, value, whole, found->place);
}

static void
keep_whole(void *arg, int value, bool whole)
{
	FoundTwice *found = arg;

	found->whole = list_append_unique_int(found->whole, value);
}

static void
tell_inside(void *arg, int value, bool whole, const TextPlace *place)
{
	FoundTwice *found = arg;

	found->inside = list_append_unique_int(found->inside, value);
	found->outer->hit(found->outer->arg, value, whole, place);
}

/*
 * EffTextsSearchJson: search a JSON document: escapes are decoded, and what is no JSON
 * is passed over.
 */
void
EffTextsSearchJson(TextsSearch *search, const char *text, size_t length, const TextPlace *place)
{
	JsonReader	reader = {.search = search, .at = text, .end = text + length};

	while (reader.at < reader.end)
	{
		switch (*reader.at)
		{
			case '{':
			case '[':
				open_level(&reader, place, *reader.at++ == '{');
				break;
			case '}':
			case ']':
				close_level(&reader);
				reader.at++;
				break;
			case ',':
				reader.expects_key = reader.depth > 0 && reader.depth <= MAX_DEPTH &&
					reader.in_object[reader.depth - 1];
				reader.at++;
				break;
			case '"':
				read_string(&reader, place);
				break;
			case ' ':
			case '\t':
			case '\n':
			case '\r':
			case ':':
				reader.at++;
				break;
			default:
				read_bare(&reader, place);
		}
	}
}

static void
open_level(JsonReader *reader, const TextPlace *place, bool object)
{
	const TextPlace *parent = place_of(reader, place);

	if (reader->depth < MAX_DEPTH)
	{
		reader->places[reader->depth] = (TextPlace)
		{
			.parent = parent, .key = object ? "" : NULL
		};
		reader->in_object[reader->depth] = object;
	}
	reader->depth++;
	reader->expects_key = object && reader->depth <= MAX_DEPTH;
}

static void
close_level(JsonReader *reader)
{
	if (reader->depth > 0)
		reader->depth--;
	reader->expects_key = false;
}

/* place_of is where the next value stands. */
static const TextPlace *
place_of(JsonReader *reader, const TextPlace *place)
{
	return reader->depth == 0 ? place : &reader->places[Min(reader->depth, MAX_DEPTH) - 1];
}

static void
read_string(JsonReader *reader, const TextPlace *place)
{
	const char *begin = ++reader->at;
	bool		escaped = false;
	size_t		length;

	while (reader->at < reader->end && *reader->at != '"')
	{
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
		{
			escaped = true;
			reader->at++;
		}
		reader->at++;
	}
	length = reader->at - begin;
	if (reader->at < reader->end)
		reader->at++;
	if (escaped)
	{
		char	   *decoded = MemoryContextAllocHuge(CurrentMemoryContext, length);

		length = decode_string(begin, length, decoded);
		begin = decoded;
	}
	if (!reader->expects_key)
	{
		EffTextsSearchText(reader->search, begin, length, place_of(reader, place));
		return;
	}
	reader->expects_key = false;
	reader->places[reader->depth - 1].key = begin;
	reader->places[reader->depth - 1].length = length;
	EffTextsSearchKey(reader->search, begin, length, reader->places[reader->depth - 1].parent);
}

/* read_bare reads a number; what is no JSON at all is passed over. */
static void
read_bare(JsonReader *reader, const TextPlace *place)
{
	const char *begin = reader->at;

	while (reader->at < reader->end && strchr("{}[],:\" \t\n\r", *reader->at) == NULL)
		reader->at++;
	if (reader->at == begin)	/* a zero byte */
		reader->at++;
	if (!reader->expects_key && is_number(begin, reader->at))
		EffTextsSearchNumber(reader->search, begin, reader->at - begin, place_of(reader, place));
}

static bool
is_number(const char *at, const char *end)
{
	while (at < end && (isdigit((unsigned char) *at) || *at == '.'))
		at++;
	return at == end;
}

/* decode_string: no escape is shorter than what it stands for. */
static size_t
decode_string(const char *text, size_t length, char *decoded)
{
	const char *end = text + length;
	char	   *to = decoded;

	while (text < end)
	{
		if (*text == '\\' && text + 1 < end)
			text = decode_escape(text + 1, end, &to);
		else
			*to++ = *text++;
	}
	return to - decoded;
}

/* decode_escape decodes what follows a backslash, and returns where it ends. */
static const char *
decode_escape(const char *at, const char *end, char **to)
{
	static const char letters[] = "bfnrt";
	const char *letter = *at == '\0' ? NULL : strchr(letters, *at);
	uint32		unit;
	uint32		second;

	if (letter != NULL)
	{
		*(*to)++ = "\b\f\n\r\t"[letter - letters];
		return at + 1;
	}
	if (*at != 'u' || !read_unit(at + 1, end, &unit) ||
		(unit >= 0x80 && GetDatabaseEncoding() != PG_UTF8))
	{
		*(*to)++ = *at;
		return at + 1;
	}
	at += 5;
	if (is_utf16_surrogate_first(unit) && end - at >= 6 && at[0] == '\\' && at[1] == 'u' &&
		read_unit(at + 2, end, &second) && is_utf16_surrogate_second(second))
	{
		unit = surrogate_pair_to_codepoint(unit, second);
		at += 6;
	}
	unicode_to_utf8(unit, (unsigned char *) *to);
	*to += pg_utf_mblen((unsigned char *) *to);
	return at;
}

static bool
read_unit(const char *at, const char *end, uint32 *unit)
{
	*unit = 0;
	if (end - at < 4)
		return false;
	for (int i = 0; i < 4; i++)
	{
		if (!isxdigit((unsigned char) at[i]))
			return false;
		*unit = *unit * 16 + (isdigit((unsigned char) at[i]) ? at[i] - '0' :
							  (at[i] | 0x20) - 'a' + 10);
	}
	return true;
}
