/*
 * fold.h
 *	  Text without case, and what is a letter or digit.
 */
#ifndef EFF_FOLD_H
#define EFF_FOLD_H

#include "effaced.h"

/* Bytes that folding may make of one byte, at most */
#define FOLD_GROWTH 3

/* An ASCII letter in lower case, every other byte as it is */
extern const unsigned char EffFoldAscii[256];

/* Whether no byte has its high bit set */
extern bool EffIsAscii(const char *text, size_t length);

/*
 * The text without case, in UTF-8, by Unicode's full case folding; returns its
 * length.  folded has room for FOLD_GROWTH times the length.  Two texts that
 * differ in case alone become the same.  In databases of other encodings the
 * letters beyond ASCII stay as they are.
 */
extern size_t EffFold(const char *text, size_t length, char *folded);

/* Whether a letter, mark or digit ends right before, or begins right at, a place in a text */
extern bool EffIsWordBefore(const char *text, size_t place);
extern bool EffIsWordAt(const char *text, size_t length, size_t place);

#endif							/* EFF_FOLD_H */
