/*
 * patterns.h (public)
 *	  Searches a text for thousands of values at once, without case.
 *
 * The time that a search takes depends on the text, and hardly on the number
 * of values; it allocates no memory that grows with either.
 */
#ifndef EFF_PATTERNS_H
#define EFF_PATTERNS_H

#include "effaced.h"

/* Bytes, without case, that a value must have to be searched for */
#define PATTERN_LENGTH 6

typedef struct EffPatterns EffPatterns;

/*
 * Called for each value found; whole: the text is the value and nothing else.
 * A value may be told twice.
 */
typedef void (*EffPatternHit) (void *arg, int value, bool whole);

/* An empty set, in the current memory context, which has to outlive it */
extern EffPatterns *EffPatternsNew(void);

/*
 * Add a text that stands for the numbered value; several texts may stand for
 * one.  Returns false, and adds nothing, where it is too short to be searched for.
 */
extern bool EffPatternsAdd(EffPatterns *patterns, const char *text, size_t length, int value);

/* To be called after the last text was added and before the first search */
extern void EffPatternsReady(EffPatterns *patterns);

/*
 * Find values in a text, where no letter, digit or one of "@._-+" stands before or behind
 * them.  Long texts are searched in portions, between which a cancel is noticed.
 */
extern void EffPatternsSearch(EffPatterns *patterns, const char *text, size_t length,
							  EffPatternHit hit, void *arg);

/* Whether a value may stand in these bytes, whatever stands around it: false is certain */
extern bool EffPatternsMayHold(EffPatterns *patterns, const char *bytes, size_t length);

#endif							/* EFF_PATTERNS_H */
