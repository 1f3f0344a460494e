/*
 * fold.c
 *	  Folds the case of text by tables of Unicode, whatever locale the database
 *	  has: what a person wrote in one case is found in another.
 */
#include "postgres.h"

#include "trace/fold.h"
#include "trace/fold_table.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define CODES 0x20000			/* beyond, nothing folds */
#define PAGE_BITS 7
#define PAGE_CODES (1 << PAGE_BITS)
#define PAGES (CODES >> PAGE_BITS)
#define SEVERAL 0x80000000		/* marks an entry that is a place in fold_several */
#define COMBINING_DOT 0x307		/* what Turkish lower case leaves behind an i */

#define HIGH_BITS UINT64CONST(0x8080808080808080)
#define EACH_BYTE UINT64CONST(0x0101010101010101)

/* Of a page that has a folding: what each code folds to.  Page 0 is for all others. */
static uint32 (*fold_pages)[PAGE_CODES] = NULL;
static uint8 page_of[PAGES];
static uint64 word_bits[CODES / 64];

static void build_tables(void);
static void set_fold(uint32 (*pages)[PAGE_CODES], uint32 code, uint32 to, int *npages);
static size_t fold_ascii(const char *text, size_t length, char *folded);
static uint64 fold_eight(uint64 bytes);
static char *append_folded(char *to, uint32 code, bool after_i);
static char *append_code(char *to, uint32 code);
static int	decode(const unsigned char *text, size_t length, uint32 *code);
static bool is_word(uint32 code);

#define L(x) x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7
#define M(x) L(x), L(x + 8), L(x + 16), L(x + 24)

const unsigned char EffFoldAscii[256] = {
	M(0), L(32), L(40), L(48), L(56),
	'@', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '[', '\\', ']', '^', '_',
	M(96), M(128), M(160), M(192), M(224)
};

/*
 * EffIsAscii: whether no byte has its high bit set.
 */
bool
EffIsAscii(const char *text, size_t length)
{
	uint64		all = 0;
	uint64		eight;
	size_t		i = 0;

	for (; i + 8 <= length; i += 8)
	{
		memcpy(&eight, text + i, 8);
		all |= eight;
	}
	for (; i < length; i++)
		all |= (unsigned char) text[i] & 0x80;
	return (all & HIGH_BITS) == 0;
}

/*
 * EffFold: the text without case, in UTF-8, by Unicode's full case folding; returns its
 * length.  folded has room for FOLD_GROWTH times the length.  Two texts that differ in
 * case alone become the same.  In databases of other encodings the letters beyond ASCII
 * stay as they are.
 */
size_t
EffFold(const char *text, size_t length, char *folded)
{
	const unsigned char *in = (const unsigned char *) text;
	char	   *to = folded;
	size_t		i = 0;
	uint32		code;

	if (GetDatabaseEncoding() != PG_UTF8)
	{
		for (; i < length; i++)
			folded[i] = EffFoldAscii[in[i]];
		return length;
	}
	build_tables();
	while (i < length)
	{
		size_t		n = fold_ascii(text + i, length - i, to);

		to += n;
		i += n;
		while (i < length && in[i] >= 0x80)
		{
			n = decode(in + i, length - i, &code);
			if (n == 0)
				*to++ = in[i++];	/* no character begins here */
			else
			{
				to = append_folded(to, code, to > folded && to[-1] == 'i');
				i += n;
			}
		}
	}
	return to - folded;
}

/*
 * EffIsWordBefore: whether a letter, mark or digit ends right before, or begins right
 * at, a place in a text.
 */
bool
EffIsWordBefore(const char *text, size_t place)
{
	const unsigned char *in = (const unsigned char *) text;
	size_t		begin = place;
	uint32		code;

	if (place == 0)
		return false;
	if (in[place - 1] < 0x80)
		return isalnum(in[place - 1]) != 0;
	if (GetDatabaseEncoding() != PG_UTF8)
		return true;
	build_tables();
	do
		begin--;
	while (begin > 0 && place - begin < 4 && (in[begin] & 0xC0) == 0x80);
	return decode(in + begin, place - begin, &code) == place - begin && is_word(code);
}

/*
 * EffIsWordAt: whether a letter, mark or digit ends right before, or begins right at, a
 * place in a text.
 */
bool
EffIsWordAt(const char *text, size_t length, size_t place)
{
	const unsigned char *in = (const unsigned char *) text;
	uint32		code;

	if (place == length)
		return false;
	if (in[place] < 0x80)
		return isalnum(in[place]);
	if (GetDatabaseEncoding() != PG_UTF8)
		return true;
	build_tables();
	return decode(in + place, length - place, &code) > 0 && is_word(code);
}

/* build_tables turns the runs into tables that are looked into by the code, once per session. */
static void
build_tables(void)
{
	int			npages = 1;
	uint32		(*pages)[PAGE_CODES];

	if (fold_pages != NULL)
		return;
	/* as many pages as could have a folding at all; they are few */
	pages = MemoryContextAllocZero(TopMemoryContext, sizeof(uint32) * PAGE_CODES * PG_UINT8_MAX);
	for (int i = 0; i < lengthof(fold_runs); i++)
		for (uint32 code = fold_runs[i].first; code <= fold_runs[i].last; code += fold_runs[i].step)
			set_fold(pages, code, code + fold_runs[i].delta, &npages);
	for (int i = 0; i < lengthof(fold_several); i++)
		set_fold(pages, fold_several[i].code, SEVERAL | i, &npages);
	for (int i = 0; i < lengthof(word_ranges); i++)
		for (uint32 code = word_ranges[i].first; code <= word_ranges[i].last &&
			 code < CODES; code++)
			word_bits[code / 64] |= UINT64CONST(1) << (code % 64);
	fold_pages = repalloc(pages, sizeof(uint32) * PAGE_CODES * npages);
}

static void
set_fold(uint32 (*pages)[PAGE_CODES], uint32 code, uint32 to, int *npages)
{
	uint8	   *page = &page_of[code >> PAGE_BITS];

	if (*page == 0)
		*page = (*npages)++;
	Assert(*npages <= PG_UINT8_MAX);
	pages[*page][code % PAGE_CODES] = to;
}

/* fold_ascii folds up to the first byte that is not ASCII, and returns how many bytes. */
static size_t
fold_ascii(const char *text, size_t length, char *folded)
{
	size_t		i = 0;
	uint64		eight;

	for (; i + 8 <= length; i += 8)
	{
		memcpy(&eight, text + i, 8);
		if (eight & HIGH_BITS)
			break;
		eight = fold_eight(eight);
		memcpy(folded + i, &eight, 8);
	}
	for (; i < length && (unsigned char) text[i] < 0x80; i++)
		folded[i] = EffFoldAscii[(unsigned char) text[i]];
	return i;
}

/* fold_eight: the high bit of a sum tells whether a byte is at least 'A', or beyond 'Z'. */
static uint64
fold_eight(uint64 bytes)
{
	uint64		from_a = bytes + EACH_BYTE * (0x80 - 'A');
	uint64		beyond_z = bytes + EACH_BYTE * (0x80 - 'Z' - 1);

	return bytes | ((from_a & ~beyond_z & HIGH_BITS) >> 2);
}

/*
 * append_folded: a dot above an i is dropped, which is all that lower case
 * leaves of the Turkish capital.
 */
static char *
append_folded(char *to, uint32 code, bool after_i)
{
	uint32		fold = code < CODES ? fold_pages[page_of[code >> PAGE_BITS]][code % PAGE_CODES] : 0;

	if (after_i && code == COMBINING_DOT)
		return to;
	if (fold == 0)
		return append_code(to, code);
	if ((fold & SEVERAL) == 0)
		return append_code(to, fold);
	for (int i = 0; i < 3 && fold_several[fold & ~SEVERAL].to[i] != 0; i++)
		to = append_code(to, fold_several[fold & ~SEVERAL].to[i]);
	return to;
}

static char *
append_code(char *to, uint32 code)
{
	unicode_to_utf8(code, (unsigned char *) to);
	return to + pg_utf_mblen((unsigned char *) to);
}

/* decode returns the length of the character that begins there, 0 where none does. */
static int
decode(const unsigned char *text, size_t length, uint32 *code)
{
	int			n = text[0] < 0xC0 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : text[0] < 0xF8 ?
	4 : 0;

	if (n == 0 || n > length)
		return 0;
	*code = text[0] & (0xFF >> (n + 1));
	for (int i = 1; i < n; i++)
	{
		if ((text[i] & 0xC0) != 0x80)
			return 0;
		*code = (*code << 6) | (text[i] & 0x3F);
	}
	return n;
}

static bool
is_word(uint32 code)
{
	if (code < CODES)
		return (word_bits[code / 64] >> (code % 64)) & 1;
	for (int i = 0; i < lengthof(word_ranges); i++)
		if (code >= word_ranges[i].first && code <= word_ranges[i].last)
			return true;
	return false;
}
