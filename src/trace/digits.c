/*
 * digits.c
 *	  Finds values of digits alone where they are kept as numbers: telephone
 *	  numbers in a bigint, members of a document.
 */
#include "postgres.h"

#include "trace/digits.h"

#include "utils/builtins.h"

#define INT64_DIGITS 20			/* and a byte for the end */

/* A number as its digits, without leading zeros */
typedef struct DigitsEntry
{
	char	   *text;
	size_t		length;
	int			value;
} DigitsEntry;

struct EffDigits
{
	int			n;
	int			allocated;
	DigitsEntry *entries;		/* by length and text, once ready */
};

static int	compare_entries(const void *a, const void *b);
static int	compare_digits(const char *a, size_t length_a, const char *b, size_t length_b);

/*
 * EffDigitsNew: an empty set, in the current memory context.
 */
EffDigits *
EffDigitsNew(void)
{
	EffDigits  *digits = palloc0(sizeof(EffDigits));

	digits->allocated = 16;
	digits->entries = palloc(sizeof(DigitsEntry) * digits->allocated);
	return digits;
}

/*
 * EffDigitsAdd: add a text that stands for the numbered value; false where it is no
 * number of at least PATTERN_LENGTH digits.
 */
bool
EffDigitsAdd(EffDigits *digits, const char *text, size_t length, int value)
{
	if (length == 0 || strspn(text, "0123456789") != length)
		return false;
	for (; *text == '0'; text++)
		length--;
	if (length < PATTERN_LENGTH)
		return false;
	if (digits->n == digits->allocated)
	{
		digits->allocated *= 2;
		digits->entries = repalloc_huge(digits->entries, sizeof(DigitsEntry) * digits->allocated);
	}
	digits->entries[digits->n++] = (DigitsEntry)
	{
		.text = pnstrdup(text, length), .length = length, .value = value
	};
	return true;
}

/*
 * EffDigitsReady sorts the set: call it after the last text was added and before the
 * first search.
 */
void
EffDigitsReady(EffDigits *digits)
{
	qsort(digits->entries, digits->n, sizeof(DigitsEntry), compare_entries);
}

/*
 * EffDigitsAny returns whether there is any value in the set.
 */
bool
EffDigitsAny(const EffDigits *digits)
{
	return digits->n > 0;
}

/*
 * EffDigitsFindInteger: tell of the values that are this number; leading zeros of a
 * value do not count.
 */
void
EffDigitsFindInteger(const EffDigits *digits, int64 number, EffPatternHit hit, void *arg)
{
	char		text[INT64_DIGITS + 1];
	int			length;

	if (number < 100000)		/* fewer than PATTERN_LENGTH digits */
		return;
	length = pg_lltoa(number, text);
	EffDigitsFindText(digits, text, length, hit, arg);
}

/*
 * EffDigitsFindNumeric: tell of the values that are this number; leading zeros of a
 * value do not count.
 */
void
EffDigitsFindNumeric(const EffDigits *digits, Numeric number, EffPatternHit hit, void *arg)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

	EffDigitsFindText(digits, text, strlen(text), hit, arg);
	pfree(text);
}

/* EffDigitsFindText: 1234567.00 is 1234567. */
void
EffDigitsFindText(const EffDigits *digits, const char *number, size_t length, EffPatternHit hit,
				  void *arg)
{
	const char *point = memchr(number, '.', length);
	int			low = 0;
	int			high = digits->n;

	if (point != NULL)
	{
		while (length > 0 && number[length - 1] == '0')
			length--;
		if (number + length != point + 1)
			return;
		length--;
	}
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare_digits(digits->entries[middle].text, digits->entries[middle].length, number,
						   length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < digits->n; low++)
	{
		if (compare_digits(digits->entries[low].text, digits->entries[low].length, number,
						   length) != 0)
			break;
		hit(arg, digits->entries[low].value, true);
	}
}

static int
compare_entries(const void *a, const void *b)
{
	const DigitsEntry *left = a;
	const DigitsEntry *right = b;

	return compare_digits(left->text, left->length, right->text, right->length);
}

static int
compare_digits(const char *a, size_t length_a, const char *b, size_t length_b)
{
	if (length_a != length_b)
		return length_a < length_b ? -1 : 1;
	return memcmp(a, b, length_a);
}
