/*
 * texts.h
 *	  The texts inside values of built-in types, read from their bytes.
 *
 * No function of a type is called, so that nobody's code runs.
 */
#ifndef EFF_TEXTS_H
#define EFF_TEXTS_H

#include "effaced.h"
#include "trace/digits.h"
#include "trace/patterns.h"

/* A step on the way to a text inside a value */
typedef struct TextPlace
{
	const struct TextPlace *parent; /* NULL for the value itself */
	const char *key;			/* of a member, not ended by a zero byte; NULL for an element */
	int			length;
	bool		known;			/* the key is a column of a composite type, and no data */
} TextPlace;

/* Told of a value that is found: whole where a text, or a number, is the value and nothing else */
typedef void (*TextsHit) (void *arg, int value, bool whole, const TextPlace *place);

/* What is searched for, and who is told */
typedef struct TextsSearch
{
	EffPatterns *patterns;
	EffDigits  *digits;
	TextsHit	hit;
	void	   *arg;
	int			nested;			/* texts inside texts: 0 to begin with */
} TextsSearch;

/* Where values of a type hold texts */
typedef struct TextShape TextShape;

/*
 * The shape of a type; NULL where its values hold no text that is searched.
 * In the current context.
 */
extern TextShape *EffTextShape(Oid type);

/*
 * Search the texts in a value.  What is read of it, and made on the way, stays in
 * the current memory context, to be reset by the caller.
 */
extern void EffTextsSearch(TextsSearch *search, const TextShape *shape, Datum value);

/*
 * Whether values of the type are strings, uuids or numbers, or arrays of them:
 * what a person may be known by
 */
extern bool EffTextShapeIsPlain(const TextShape *shape);

/* Whether values of the type are numbers, or arrays of them, and nothing else */
extern bool EffTextShapeIsNumber(const TextShape *shape);

/* A plain value as strings that end with a zero byte, in the current context */
extern List *EffTextsOf(const TextShape *shape, Datum value);

/* Search one text; where it is a JSON document, its members */
extern void EffTextsSearchText(TextsSearch *search, const char *text, size_t length,
							   const TextPlace *place);
extern void EffTextsSearchNumber(TextsSearch *search, const char *number, size_t length,
								 const TextPlace *place);
extern void EffTextsSearchKey(TextsSearch *search, const char *key, int length,
							  const TextPlace *parent);

/* Search one text as it stands; one number */
extern void EffTextsSearchFlat(TextsSearch *search, const char *text, size_t length,
							   const TextPlace *place);
extern void EffTextsSearchInteger(TextsSearch *search, int64 number, const TextPlace *place);
extern void EffTextsSearchNumeric(TextsSearch *search, Numeric number, const TextPlace *place);

/* Search a JSON document: escapes are decoded, and what is no JSON is passed over */
extern void EffTextsSearchJson(TextsSearch *search, const char *text, size_t length,
							   const TextPlace *place);

/*
 * The place as a path in SQL/JSON's manner, NULL for the value itself.  Elements are
 * "[*]"; a key that may be data instead of a name is ".*".
 */
extern char *EffTextPlacePath(const TextPlace *place, EffPatterns *patterns);

#endif							/* EFF_TEXTS_H */
