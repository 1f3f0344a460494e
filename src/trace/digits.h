/*
 * digits.h
 *	  Values of digits alone, found in columns and documents as numbers.
 */
#ifndef EFF_DIGITS_H
#define EFF_DIGITS_H

#include "effaced.h"
#include "trace/patterns.h"
#include "utils/numeric.h"

typedef struct EffDigits EffDigits;

/* An empty set, in the current memory context */
extern EffDigits *EffDigitsNew(void);

/*
 * Add a text that stands for the numbered value; false where it is no number
 * of at least PATTERN_LENGTH digits
 */
extern bool EffDigitsAdd(EffDigits *digits, const char *text, size_t length, int value);

extern void EffDigitsReady(EffDigits *digits);
extern bool EffDigitsAny(const EffDigits *digits);

/* Tell of the values that are this number; leading zeros of a value do not count */
extern void EffDigitsFindInteger(const EffDigits *digits, int64 number, EffPatternHit hit,
								 void *arg);
extern void EffDigitsFindNumeric(const EffDigits *digits, Numeric number, EffPatternHit hit,
								 void *arg);
extern void EffDigitsFindText(const EffDigits *digits, const char *number, size_t length,
							  EffPatternHit hit, void *arg);

#endif							/* EFF_DIGITS_H */
