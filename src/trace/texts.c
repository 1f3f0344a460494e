/*
 * texts.c
 *	  Reads the texts inside values of built-in types, citext and hstore.
 *
 * A value is read from its bytes as they are stored: output functions and casts
 * of types that somebody has made are never called.  Documents are first searched
 * as bytes, and only taken apart where something may be in them.
 */
#include "postgres.h"

#include "trace/texts.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tsearch/ts_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/xml.h"

#define MAX_KEY 40				/* bytes of a key that is taken for a name */
#define MAX_KEY_DIGITS 4
#define MAX_EXACT_INTEGER 9007199254740992.0	/* of a double */
#define UUID_TEXT 36

typedef enum TextKind
{
	KIND_TEXT,					/* bytes of a string; json too */
	KIND_PADDED,				/* with blanks at the end that do not count */
	KIND_NAME,
	KIND_XML,
	KIND_JSONB,
	KIND_HSTORE,
	KIND_TSVECTOR,
	KIND_UUID,
	KIND_INT2,
	KIND_INT4,
	KIND_INT8,
	KIND_NUMERIC,
	KIND_FLOAT4,
	KIND_FLOAT8,
	KIND_ARRAY,
	KIND_COMPOSITE
} TextKind;

struct TextShape
{
	TextKind	kind;
	bool		document;		/* of KIND_TEXT: json */
	/* of an array */
	Oid			element_type;
	int16		length;
	bool		by_value;
	char		align;
	TextShape  *element;
	/* of a composite type */
	int			natts;
	TextShape **attributes;		/* NULL where one holds no text */
};

/* hstore, as its version 1.1 and later keep it on disk */
typedef struct HstoreHeader
{
	int32		vl_len_;
	uint32		size;
} HstoreHeader;

#define HSTORE_IS_NEW 0x80000000
#define HSTORE_PAIRS 0x0FFFFFFF
#define HSTORE_IS_FIRST 0x80000000
#define HSTORE_IS_NULL 0x40000000
#define HSTORE_END 0x3FFFFFFF

/* A lexeme at one of its positions */
typedef struct PlacedLexeme
{
	int			position;
	const char *text;
	int			length;
} PlacedLexeme;

static bool kind_of(Oid type, TextKind *kind);
static bool is_string_type(Oid type);
static bool is_extension_type(Oid type, const char *name);
static TextShape *composite_shape(Oid type);
static void search_value(TextsSearch *search, const TextShape *shape, Datum value,
						 const TextPlace *place);
static void search_xml(TextsSearch *search, const char *text, size_t length,
					   const TextPlace *place);
static const char *decode_entity(const char *at, const char *end, char **to);
static void search_jsonb(TextsSearch *search, Jsonb *document, const TextPlace *place);
static void search_container(TextsSearch *search, JsonbContainer *container,
							 const TextPlace *place);
static void search_jsonb_value(TextsSearch *search, JsonbValue *value, const TextPlace *place);
static void search_hstore(TextsSearch *search, HstoreHeader *pairs, const TextPlace *place);
static void search_tsvector(TextsSearch *search, TSVector vector, const TextPlace *place);
static int	compare_lexemes(const void *a, const void *b);
static void search_uuid(TextsSearch *search, pg_uuid_t *uuid, const TextPlace *place);
static void search_float(TextsSearch *search, double number, const TextPlace *place);
static void search_array(TextsSearch *search, const TextShape *shape, ArrayType *array,
						 const TextPlace *place);
static void search_composite(TextsSearch *search, const TextShape *shape, HeapTupleHeader row,
							 const TextPlace *place);
static bool is_name(const char *key, int length);
static bool is_plain_name(const char *key, int length);

/*
 * EffTextShape: the shape of a type; NULL where its values hold no text that is
 * searched.  In the current context.
 */
TextShape *
EffTextShape(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	TextShape  *shape;
	TextKind	kind;

	check_stack_depth();
	if (OidIsValid(element))
	{
		TextShape  *inner = EffTextShape(element);

		if (inner == NULL)
			return NULL;
		shape = palloc0(sizeof(TextShape));
		shape->kind = KIND_ARRAY;
		shape->element = inner;
		shape->element_type = element;
		get_typlenbyvalalign(element, &shape->length, &shape->by_value, &shape->align);
		return shape;
	}
	if (get_typtype(base) == TYPTYPE_COMPOSITE)
		return composite_shape(base);
	if (!kind_of(base, &kind))
		return NULL;
	shape = palloc0(sizeof(TextShape));
	shape->kind = kind;
	shape->document = base == JSONOID;
	return shape;
}

static bool
kind_of(Oid type, TextKind *kind)
{
	static const struct
	{
		Oid			type;
		TextKind	kind;
	}			kinds[] = {
		{TEXTOID, KIND_TEXT}, {VARCHAROID, KIND_TEXT}, {BPCHAROID, KIND_PADDED},
			{NAMEOID, KIND_NAME},
		{JSONOID, KIND_TEXT}, {JSONBOID, KIND_JSONB}, {XMLOID, KIND_XML},
			{TSVECTOROID, KIND_TSVECTOR},
		{UUIDOID, KIND_UUID}, {INT2OID, KIND_INT2}, {INT4OID, KIND_INT4}, {INT8OID, KIND_INT8},
		{NUMERICOID, KIND_NUMERIC}, {FLOAT4OID, KIND_FLOAT4}, {FLOAT8OID, KIND_FLOAT8},
	};

	for (int i = 0; i < lengthof(kinds); i++)
		if (kinds[i].type == type)
		{
			*kind = kinds[i].kind;
			return true;
		}
	if (type < FirstNormalObjectId)
		return false;
	*kind = is_extension_type(type, "hstore") ? KIND_HSTORE : KIND_TEXT;
	return *kind == KIND_HSTORE || is_string_type(type);
}

/*
 * is_string_type: a base type of somebody's that calls itself a string, as
 * citext does, and is kept as bytes.
 */
static bool
is_string_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	result = form->typtype == TYPTYPE_BASE && form->typlen == -1 &&
		form->typcategory == TYPCATEGORY_STRING;
	ReleaseSysCache(tuple);
	return result;
}

static bool
is_extension_type(Oid type, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			extension;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), name) == 0;
	ReleaseSysCache(tuple);
	if (!result)
		return false;
	extension = getExtensionOfObject(TypeRelationId, type);
	return OidIsValid(extension) && extension == get_extension_oid(name, true);
}

static TextShape *
composite_shape(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	TextShape  *shape = palloc0(sizeof(TextShape));
	bool		any = false;

	shape->kind = KIND_COMPOSITE;
	shape->natts = desc->natts;
	shape->attributes = palloc0(sizeof(TextShape *) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped)
			continue;
		shape->attributes[i] = EffTextShape(attribute->atttypid);
		any |= shape->attributes[i] != NULL;
	}
	FreeTupleDesc(desc);
	return any ? shape : NULL;
}

/*
 * EffTextShapeIsPlain: whether values of the type are strings, uuids or numbers, or
 * arrays of them: what a person may be known by.
 */
bool
EffTextShapeIsPlain(const TextShape *shape)
{
	switch (shape->kind)
	{
		case KIND_XML:
		case KIND_JSONB:
		case KIND_HSTORE:
		case KIND_TSVECTOR:
		case KIND_COMPOSITE:
			return false;
		case KIND_TEXT:
			return !shape->document;
		case KIND_ARRAY:
			return EffTextShapeIsPlain(shape->element);
		default:
			return true;
	}
}

/*
 * EffTextShapeIsNumber: whether values of the type are numbers, or arrays of them, and
 * nothing else.
 */
bool
EffTextShapeIsNumber(const TextShape *shape)
{
	switch (shape->kind)
	{
		case KIND_INT2:
		case KIND_INT4:
		case KIND_INT8:
		case KIND_NUMERIC:
		case KIND_FLOAT4:
		case KIND_FLOAT8:
			return true;
		case KIND_ARRAY:
			return EffTextShapeIsNumber(shape->element);
		default:
			return false;
	}
}

/*
 * EffTextsOf: a plain value as strings that end with a zero byte, in the current
 * context.
 */
List *
EffTextsOf(const TextShape *shape, Datum value)
{
	List	   *texts = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	switch (shape->kind)
	{
		case KIND_TEXT:
		case KIND_PADDED:
			return list_make1(TextDatumGetCString(value));
		case KIND_NAME:
			return list_make1(pstrdup(NameStr(*DatumGetName(value))));
		case KIND_UUID:
			return list_make1(DatumGetCString(DirectFunctionCall1(uuid_out, value)));
		case KIND_INT2:
			return list_make1(psprintf("%d", DatumGetInt16(value)));
		case KIND_INT4:
			return list_make1(psprintf("%d", DatumGetInt32(value)));
		case KIND_INT8:
			return list_make1(psprintf(INT64_FORMAT, DatumGetInt64(value)));
		case KIND_NUMERIC:
			value = DirectFunctionCall1(numeric_trim_scale, value);
			return list_make1(DatumGetCString(DirectFunctionCall1(numeric_out, value)));
		case KIND_FLOAT4:
			return list_make1(psprintf("%.0f", DatumGetFloat4(value)));
		case KIND_FLOAT8:
			return list_make1(psprintf("%.0f", DatumGetFloat8(value)));
		case KIND_ARRAY:
			deconstruct_array(DatumGetArrayTypeP(value), shape->element_type, shape->length,
							  shape->by_value,
							  shape->align, &values, &nulls, &n);
			for (int i = 0; i < n; i++)
				if (!nulls[i])
					texts = list_concat(texts, EffTextsOf(shape->element, values[i]));
			return texts;
		default:
			return NIL;
	}
}

/*
 * EffTextsSearch: search the texts in a value.  What is read of it, and made on the way,
 * stays in the current memory context, to be reset by the caller.
 */
void
EffTextsSearch(TextsSearch *search, const TextShape *shape, Datum value)
{
	search_value(search, shape, value, NULL);
}

static void
search_value(TextsSearch *search, const TextShape *shape, Datum value, const TextPlace *place)
{
	text	   *string;

	switch (shape->kind)
	{
		case KIND_TEXT:
			string = DatumGetTextPP(value);
			EffTextsSearchText(search, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string), place);
			break;
		case KIND_PADDED:
			string = DatumGetTextPP(value);
			EffTextsSearchText(search, VARDATA_ANY(string),
							   bpchartruelen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)),
							   place);
			break;
		case KIND_NAME:
			EffTextsSearchText(search, NameStr(*DatumGetName(value)),
							   strlen(NameStr(*DatumGetName(value))), place);
			break;
		case KIND_XML:
			string = DatumGetTextPP(value);
			search_xml(search, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string), place);
			break;
		case KIND_JSONB:
			search_jsonb(search, DatumGetJsonbP(value), place);
			break;
		case KIND_HSTORE:
			search_hstore(search, (HstoreHeader *) PG_DETOAST_DATUM(value), place);
			break;
		case KIND_TSVECTOR:
			search_tsvector(search, DatumGetTSVector(value), place);
			break;
		case KIND_UUID:
			search_uuid(search, DatumGetUUIDP(value), place);
			break;
		case KIND_INT2:
			EffTextsSearchInteger(search, DatumGetInt16(value), place);
			break;
		case KIND_INT4:
			EffTextsSearchInteger(search, DatumGetInt32(value), place);
			break;
		case KIND_INT8:
			EffTextsSearchInteger(search, DatumGetInt64(value), place);
			break;
		case KIND_NUMERIC:
			EffTextsSearchNumeric(search, DatumGetNumeric(value), place);
			break;
		case KIND_FLOAT4:
			search_float(search, DatumGetFloat4(value), place);
			break;
		case KIND_FLOAT8:
			search_float(search, DatumGetFloat8(value), place);
			break;
		case KIND_ARRAY:
			search_array(search, shape, DatumGetArrayTypeP(value), place);
			break;
		case KIND_COMPOSITE:
			search_composite(search, shape, DatumGetHeapTupleHeader(value), place);
			break;
	}
}

/* search_xml searches the text with its entities decoded. */
static void
search_xml(TextsSearch *search, const char *text, size_t length, const TextPlace *place)
{
	const char *end = text + length;
	char	   *decoded;
	char	   *to;

	if (memchr(text, '&', length) == NULL)
	{
		EffTextsSearchFlat(search, text, length, place);
		return;
	}
	decoded = to = MemoryContextAllocHuge(CurrentMemoryContext, length);
	while (text < end)
	{
		if (*text == '&')
			text = decode_entity(text, end, &to);
		else
			*to++ = *text++;
	}
	EffTextsSearchFlat(search, decoded, to - decoded, place);
}

/* decode_entity decodes what begins with '&', and returns where it ends. */
static const char *
decode_entity(const char *at, const char *end, char **to)
{
	static const struct
	{
		const char *name;
		char		character;
	}			entities[] = {
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}
	};
	const char *semicolon = memchr(at, ';', Min(end - at, 10));
	unsigned long code;

	for (int i = 0; i < lengthof(entities); i++)
		if (end - at >= strlen(entities[i].name) && memcmp(at, entities[i].name,
														   strlen(entities[i].name)) == 0)
		{
			*(*to)++ = entities[i].character;
			return at + strlen(entities[i].name);
		}
	if (semicolon != NULL && semicolon - at > 2 && at[1] == '#')
	{
		char		number[10] = {0};
		bool		hex = at[2] == 'x';
		char	   *rest;

		memcpy(number, at + (hex ? 3 : 2), semicolon - at - (hex ? 3 : 2));
		code = strtoul(number, &rest, hex ? 16 : 10);
		if (*rest == '\0' && code > 0 && code <= (GetDatabaseEncoding() == PG_UTF8 ? 0x10FFFF :
												  0x7F))
		{
			unicode_to_utf8(code, (unsigned char *) *to);
			*to += pg_utf_mblen((unsigned char *) *to);
			return semicolon + 1;
		}
	}
	*(*to)++ = *at;
	return at + 1;
}

/* search_jsonb: its strings stand in its bytes as they are, but nothing stands between them. */
static void
search_jsonb(TextsSearch *search, Jsonb *document, const TextPlace *place)
{
	const char *bytes = VARDATA(document);
	size_t		length = VARSIZE(document) - VARHDRSZ;

	if (EffDigitsAny(search->digits) || memchr(bytes, '\\', length) != NULL ||
		EffPatternsMayHold(search->patterns, bytes, length))
		search_container(search, &document->root, place);
}

static void
search_container(TextsSearch *search, JsonbContainer *container, const TextPlace *place)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	bool		scalar = JsonContainerIsScalar(container);
	TextPlace	inner = {.parent = place};
	JsonbValue	value;
	JsonbIteratorToken token;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			EffTextsSearchKey(search, value.val.string.val, value.val.string.len, place);
			inner.key = value.val.string.val;
			inner.length = value.val.string.len;
		}
		else if (token == WJB_VALUE || token == WJB_ELEM)
			search_jsonb_value(search, &value, scalar ? place : &inner);
	}
}

static void
search_jsonb_value(TextsSearch *search, JsonbValue *value, const TextPlace *place)
{
	switch (value->type)
	{
		case jbvString:
			EffTextsSearchText(search, value->val.string.val, value->val.string.len, place);
			break;
		case jbvNumeric:
			EffTextsSearchNumeric(search, value->val.numeric, place);
			break;
		case jbvBinary:
			search_container(search, value->val.binary.data, place);
			break;
		default:
			break;
	}
}

static void
search_hstore(TextsSearch *search, HstoreHeader *pairs, const TextPlace *place)
{
	uint32		n = pairs->size & HSTORE_PAIRS;
	const uint32 *ends = (const uint32 *) (pairs + 1);
	const char *strings = (const char *) (ends + 2 * n);
	size_t		room = VARSIZE(pairs) - Min(VARSIZE(pairs),
											sizeof(HstoreHeader) + sizeof(uint32) * 2 * (size_t) n);
	TextPlace	member = {.parent = place};

	if ((pairs->size & HSTORE_IS_NEW) == 0)
	{
		/* as versions before PostgreSQL 9.0 kept it: no place is known */
		EffTextsSearchFlat(search, VARDATA(pairs), VARSIZE(pairs) - VARHDRSZ, place);
		return;
	}
	if (sizeof(uint32) * 2 * (size_t) n > VARSIZE(pairs))
		return;
	for (uint32 i = 0; i < 2 * n; i++)
	{
		uint32		begin = i == 0 ? 0 : ends[i - 1] & HSTORE_END;
		uint32		end = ends[i] & HSTORE_END;

		if (end < begin || end > room)
			return;
		if (i % 2 == 0)
		{
			EffTextsSearchKey(search, strings + begin, end - begin, place);
			member.key = strings + begin;
			member.length = end - begin;
		}
		else if ((ends[i] & HSTORE_IS_NULL) == 0)
			EffTextsSearchText(search, strings + begin, end - begin, &member);
	}
}

/* search_tsvector puts the words in the order in which they stood, as far as that is kept. */
static void
search_tsvector(TextsSearch *search, TSVector vector, const TextPlace *place)
{
	WordEntry  *entries = ARRPTR(vector);
	PlacedLexeme *lexemes;
	int			n = 0;
	StringInfoData words;

	for (int i = 0; i < vector->size; i++)
		n += entries[i].haspos ? POSDATALEN(vector, &entries[i]) : 1;
	lexemes = palloc(sizeof(PlacedLexeme) * Max(n, 1));
	n = 0;
	for (int i = 0; i < vector->size; i++)
		for (int k = 0; k < (entries[i].haspos ? POSDATALEN(vector, &entries[i]) : 1); k++)
			lexemes[n++] = (PlacedLexeme)
		{
			.position = entries[i].haspos ? WEP_GETPOS(POSDATAPTR(vector, &entries[i])[k]) : 0,
			.text = STRPTR(vector) + entries[i].pos,
			.length = entries[i].len
		};
	qsort(lexemes, n, sizeof(PlacedLexeme), compare_lexemes);
	initStringInfo(&words);
	for (int i = 0; i < n; i++)
	{
		bool		follows = i > 0 && lexemes[i].position > 0 &&
		lexemes[i].position == lexemes[i - 1].position + 1;

		appendStringInfoChar(&words, follows ? ' ' : '\n');
		appendBinaryStringInfo(&words, lexemes[i].text, lexemes[i].length);
	}
	EffTextsSearchFlat(search, words.data, words.len, place);
}

static int
compare_lexemes(const void *a, const void *b)
{
	return ((const PlacedLexeme *) a)->position - ((const PlacedLexeme *) b)->position;
}

static void
search_uuid(TextsSearch *search, pg_uuid_t *uuid, const TextPlace *place)
{
	static const char digits[] = "0123456789abcdef";
	char		text[UUID_TEXT];
	char	   *to = text;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[uuid->data[i] >> 4];
		*to++ = digits[uuid->data[i] & 0xF];
	}
	EffTextsSearchFlat(search, text, UUID_TEXT, place);
}

static void
search_float(TextsSearch *search, double number, const TextPlace *place)
{
	if (number > 0 && number < MAX_EXACT_INTEGER && number == (double) (int64) number)
		EffTextsSearchInteger(search, (int64) number, place);
}

static void
search_array(TextsSearch *search, const TextShape *shape, ArrayType *array, const TextPlace *place)
{
	TextPlace	element = {.parent = place};
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, shape->element_type, shape->length, shape->by_value, shape->align,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			search_value(search, shape->element, values[i], &element);
}

static void
search_composite(TextsSearch *search, const TextShape *shape, HeapTupleHeader row,
				 const TextPlace *place)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
											  HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};
	Datum	   *values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(desc->natts, 1));

	ItemPointerSetInvalid(&tuple.t_self);
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < Min(desc->natts, shape->natts); i++)
	{
		TextPlace	member = {.parent = place, .known = true};

		if (nulls[i] || shape->attributes[i] == NULL || TupleDescAttr(desc, i)->attisdropped)
			continue;
		member.key = NameStr(TupleDescAttr(desc, i)->attname);
		member.length = strlen(member.key);
		search_value(search, shape->attributes[i], values[i], &member);
	}
	ReleaseTupleDesc(desc);
}

/*
 * EffTextPlacePath: the place as a path in SQL/JSON's manner, NULL for the value itself.
 * Elements are "[*]"; a key that may be data instead of a name is ".*".
 */
char *
EffTextPlacePath(const TextPlace *place, EffPatterns *patterns)
{
	char	   *parent;

	if (place == NULL)
		return NULL;
	parent = EffTextPlacePath(place->parent, patterns);
	if (parent == NULL)
		parent = "$";
	if (place->key == NULL)
		return psprintf("%s[*]", parent);
	if (!place->known && (!is_name(place->key, place->length) ||
						  EffPatternsMayHold(patterns, place->key, place->length)))
		return psprintf("%s.*", parent);
	if (is_plain_name(place->key, place->length))
		return psprintf("%s.%.*s", parent, place->length, place->key);
	return psprintf("%s.%s", parent, quote_identifier(pnstrdup(place->key, place->length)));
}

/*
 * is_name: the key looks like one that a programmer has chosen, and not like an
 * address, a name or a number of somebody, which no path may tell.
 */
static bool
is_name(const char *key, int length)
{
	int			digits = 0;

	if (length == 0 || length > MAX_KEY || isdigit((unsigned char) key[0]))
		return false;
	for (int i = 0; i < length; i++)
	{
		if (!isalnum((unsigned char) key[i]) && key[i] != '_' && key[i] != '-' && key[i] != '$')
			return false;
		digits += isdigit((unsigned char) key[i]) ? 1 : 0;
	}
	return digits <= MAX_KEY_DIGITS;
}

static bool
is_plain_name(const char *key, int length)
{
	for (int i = 0; i < length; i++)
		if (!isalnum((unsigned char) key[i]) && key[i] != '_')
			return false;
	return length > 0 && !isdigit((unsigned char) key[0]);
}
