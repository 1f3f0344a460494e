/*
 * jsonb_writer.c
 *	  Makes a jsonb object member by member, without text in between.
 */
#include "postgres.h"

#include "base/jsonb.h"

static void push_key(JsonbWriter *object, const char *key);
static JsonbValue text_value(const char *text);

/*
 * EffObjectBegin starts an object.  What is made until EffObjectDone() is in
 * the memory context of each call.
 */
void
EffObjectBegin(JsonbWriter *object)
{
	object->state = NULL;
	(void) pushJsonbValue(&object->state, WJB_BEGIN_OBJECT, NULL);
}

/*
 * EffObjectText adds a member that is a string, or null for NULL.
 */
void
EffObjectText(JsonbWriter *object, const char *key, const char *value)
{
	JsonbValue	text = value ? text_value(value) : (JsonbValue) {.type = jbvNull};

	push_key(object, key);
	(void) pushJsonbValue(&object->state, WJB_VALUE, &text);
}

/*
 * EffObjectTexts adds a member that is an array of strings, a list of char *.
 */
void
EffObjectTexts(JsonbWriter *object, const char *key, List *values)
{
	ListCell   *lc;

	EffObjectOpenArray(object, key);
	foreach(lc, values)
	{
		JsonbValue	text = text_value(lfirst(lc));

		(void) pushJsonbValue(&object->state, WJB_ELEM, &text);
	}
	EffObjectCloseArray(object);
}

/*
 * EffObjectNumber adds a member that is a number.
 */
void
EffObjectNumber(JsonbWriter *object, const char *key, uint64 value)
{
	JsonbValue	number = {.type = jbvNumeric, .val.numeric = int64_to_numeric((int64) value)};

	push_key(object, key);
	(void) pushJsonbValue(&object->state, WJB_VALUE, &number);
}

/*
 * EffObjectBool adds a member that is true or false.
 */
void
EffObjectBool(JsonbWriter *object, const char *key, bool value)
{
	JsonbValue	boolean = {.type = jbvBool, .val.boolean = value};

	push_key(object, key);
	(void) pushJsonbValue(&object->state, WJB_VALUE, &boolean);
}

/*
 * EffObjectOpen begins a member that is an object, or, with a key that is
 * NULL, an element of an array that is one.
 */
void
EffObjectOpen(JsonbWriter *object, const char *key)
{
	if (key != NULL)
		push_key(object, key);
	(void) pushJsonbValue(&object->state, WJB_BEGIN_OBJECT, NULL);
}

/*
 * EffObjectClose ends what EffObjectOpen() began.
 */
void
EffObjectClose(JsonbWriter *object)
{
	(void) pushJsonbValue(&object->state, WJB_END_OBJECT, NULL);
}

/*
 * EffObjectOpenArray begins a member that is an array.
 */
void
EffObjectOpenArray(JsonbWriter *object, const char *key)
{
	push_key(object, key);
	(void) pushJsonbValue(&object->state, WJB_BEGIN_ARRAY, NULL);
}

/*
 * EffObjectCloseArray ends what EffObjectOpenArray() began.
 */
void
EffObjectCloseArray(JsonbWriter *object)
{
	(void) pushJsonbValue(&object->state, WJB_END_ARRAY, NULL);
}

/*
 * EffObjectDone returns the object.  Its members are sorted, as jsonb has them;
 * of several with one key the last one stays.
 */
Jsonb *
EffObjectDone(JsonbWriter *object)
{
	return JsonbValueToJsonb(pushJsonbValue(&object->state, WJB_END_OBJECT, NULL));
}

static void
push_key(JsonbWriter *object, const char *key)
{
	JsonbValue	text = text_value(key);

	(void) pushJsonbValue(&object->state, WJB_KEY, &text);
}

static JsonbValue
text_value(const char *text)
{
	return (JsonbValue) {
		.type = jbvString, .val.string.val = unconstify(char *, text), .val.string.len =
			strlen(text)
	};
}
