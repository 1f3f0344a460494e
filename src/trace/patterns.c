/*
 * patterns.c
 *	  Searches a text for many values at once, by a filter on groups of bytes.
 *
 * Of each value a window is chosen, as rare in texts as its bytes suggest: so many
 * bytes that it has step groups of four to eight bytes, one beginning at each of its first
 * bytes.  Wherever the value stands in a text, one of these groups begins at a multiple
 * of step; so only there is the text looked at.  The group found is hashed and looked
 * up in a table of bits that fits the processor's caches, and only where its two bits
 * are set are the values that have the group compared.  Groups are hashed without case:
 * a text of ASCII alone is searched as it is, any other is folded first.
 */
#include "postgres.h"

#include "trace/fold.h"
#include "trace/patterns.h"

#include <math.h>

#include "miscadmin.h"

#define MIN_GROUP 4				/* bytes that are hashed */
#define MAX_GROUP 8
#define MAX_STEP 8
#define MIN_WORDS 7				/* of the table, as a power of two: one kilobyte */
#define MAX_WORDS 15			/* 256 kilobytes */
#define MAX_BUCKETS 24
#define PORTION (64 * 1024)		/* of a text that is folded at a time */
#define WITHOUT_CASE UINT64CONST(0x2020202020202020)

/* One text of a value */
typedef struct Pattern
{
	const char *text;			/* folded */
	int			length;
	int			value;
	int			window;			/* where its window begins */
} Pattern;

/* A group of a pattern's window */
typedef struct Group
{
	uint64		bytes;			/* without case, zero behind the group */
	uint64		tail;			/* the pattern's last eight bytes, without case; 0 where it is
								 * shorter */
	uint32		pattern;
	uint32		offset;			/* in the pattern */
	uint32		length;			/* of the pattern */
} Group;

struct EffPatterns
{
	MemoryContext context;
	int			n;
	int			allocated;
	Pattern    *patterns;
	int			longest;		/* bytes */
	int			step;
	int			group;			/* bytes of a group */
	uint64		mask;			/* which eight bytes have of them */
	int			shift;			/* of a hash to its word */
	uint64	   *words;			/* each group sets two bits of one of them */
	int			bucket_shift;	/* of a hash to its bucket */
	uint32	   *buckets;		/* where its groups begin; one more at the end */
	Group	   *groups;			/* by bucket */
	char	   *folded;			/* a portion of a text */
	size_t		room;			/* for it */
};

/* One text that is searched */
typedef struct Search
{
	EffPatterns *patterns;
	const char *text;
	size_t		length;
	bool		is_begin;		/* the whole text begins here, and ends here */
	bool		is_end;
	bool		anywhere;		/* whatever stands around a value */
	EffPatternHit hit;
	void	   *arg;
} Search;

static void choose_windows(EffPatterns *patterns);
static int	compare_groups(const void *a, const void *b);
static void choose_window(EffPatterns *patterns, Pattern *pattern, const uint64 *all, size_t nall);
static double cost_of(const EffPatterns *patterns, const Pattern *pattern, int place);
static uint64 group_of(const EffPatterns *patterns, const Pattern *pattern, int place);
static size_t count_equal(const uint64 *all, size_t nall, uint64 bytes);
static int	weight_of(unsigned char byte);
static void make_tables(EffPatterns *patterns);
static void search_folded(Search *search);
static bool search_portion(Search *search);
static uint64 last_group(const EffPatterns *patterns, const char *text, size_t length);
static bool compare_bucket(Search *search, size_t place, uint64 bytes, uint64 hash);
static bool stands_at(Search *search, const Pattern *pattern, size_t begin);
static bool is_joined(const char *text, size_t length, size_t begin, size_t end);
static bool is_joiner(unsigned char byte);
static int	compare_uint64(const void *a, const void *b);

static inline uint64
eight_at(const char *text)
{
	uint64		bytes;

	memcpy(&bytes, text, sizeof(bytes));
	return bytes | WITHOUT_CASE;
}

/* group_at: the group that begins there, of a text that goes on for eight bytes. */
static inline uint64
group_at(const EffPatterns *patterns, const char *text)
{
	return eight_at(text) & patterns->mask;
}

static inline uint64
hash_of(uint64 bytes)
{
	return bytes * UINT64CONST(0x9E3779B97F4A7C15);
}

/* bits_of: two bits of a word, by other bits of the hash than those that choose the word. */
static inline uint64
bits_of(uint64 hash)
{
	return (UINT64CONST(1) << ((hash >> 32) & 63)) | (UINT64CONST(1) << ((hash >> 38) & 63));
}

/*
 * EffPatternsNew: an empty set, in the current memory context, which has to outlive it.
 */
EffPatterns *
EffPatternsNew(void)
{
	EffPatterns *patterns = palloc0(sizeof(EffPatterns));

	patterns->context = CurrentMemoryContext;
	patterns->allocated = 16;
	patterns->patterns = palloc(sizeof(Pattern) * patterns->allocated);
	return patterns;
}

/*
 * EffPatternsAdd: add a text that stands for the numbered value; several texts may stand
 * for one.  Returns false, and adds nothing, where it is too short to be searched for.
 */
bool
EffPatternsAdd(EffPatterns *patterns, const char *text, size_t length, int value)
{
	MemoryContext previous = MemoryContextSwitchTo(patterns->context);
	char	   *folded = palloc(length * FOLD_GROWTH + 1);
	size_t		n = EffFold(text, length, folded);
	bool		added = n >= PATTERN_LENGTH;

	if (added)
	{
		if (patterns->n == patterns->allocated)
		{
			patterns->allocated *= 2;
			patterns->patterns = repalloc_huge(patterns->patterns,
											   sizeof(Pattern) * patterns->allocated);
		}
		patterns->patterns[patterns->n++] = (Pattern)
		{
			.text = repalloc(folded, n), .length = n, .value = value
		};
		patterns->longest = Max(patterns->longest, n);
	}
	else
		pfree(folded);
	MemoryContextSwitchTo(previous);
	return added;
}

/*
 * EffPatternsReady: to be called after the last text was added and before the first
 * search.
 */
void
EffPatternsReady(EffPatterns *patterns)
{
	MemoryContext previous = MemoryContextSwitchTo(patterns->context);

	choose_windows(patterns);
	make_tables(patterns);
	/* a portion, and what has to be looked at again of the one before it */
	patterns->room = (size_t) FOLD_GROWTH * (PORTION + FOLD_GROWTH * (patterns->longest + 8));
	patterns->folded = MemoryContextAllocHuge(CurrentMemoryContext, patterns->room);
	MemoryContextSwitchTo(previous);
}

/*
 * EffPatternsSearch: find values in a text, where no letter, digit or one of "@._-+"
 * stands before or behind them.  Long texts are searched in portions, between which a
 * cancel is noticed.
 */
void
EffPatternsSearch(EffPatterns *patterns, const char *text, size_t length, EffPatternHit hit,
				  void *arg)
{
	Search		search = {.patterns = patterns, .text = text, .length = length,
	.is_begin = true, .is_end = true, .hit = hit, .arg = arg};

	if (patterns->n == 0 || length < PATTERN_LENGTH)
	{
		/* letters that fold to several may make a short text a long one */
		if (patterns->n > 0 && length > 1 && !EffIsAscii(text, length))
			search_folded(&search);
	}
	else if (EffIsAscii(text, length))
		(void) search_portion(&search);
	else
		search_folded(&search);
}

/*
 * EffPatternsMayHold: whether a value may stand in these bytes, whatever stands around
 * it: false is certain.
 */
bool
EffPatternsMayHold(EffPatterns *patterns, const char *bytes, size_t length)
{
	Search		search = {.patterns = patterns, .anywhere = true};

	for (size_t done = 0; patterns->n > 0 && done < length;)
	{
		size_t		n = Min(length - done, PORTION + FOLD_GROWTH * (patterns->longest + 8));

		search.text = patterns->folded;
		search.length = EffFold(bytes + done, n, patterns->folded);
		if (search_portion(&search))
			return true;
		done += done + n < length ? PORTION : n;
	}
	return false;
}

/*
 * search_folded folds a text portion by portion.  Each begins as far before the
 * end of the last as the longest value may be.  What touches an end of a portion
 * that is none of the text stands whole in another.
 */
static void
search_folded(Search *search)
{
	EffPatterns *patterns = search->patterns;
	const char *text = search->text;
	size_t		length = search->length;
	size_t		again = (size_t) FOLD_GROWTH * (patterns->longest + 8);
	size_t		begin = 0;

	for (;;)
	{
		size_t		end = length - begin <= PORTION + again ? length : begin + PORTION + again;

		while (end < length && ((unsigned char) text[end] & 0xC0) == 0x80 && end > begin + PORTION)
			end--;
		search->text = patterns->folded;
		search->length = EffFold(text + begin, end - begin, patterns->folded);
		search->is_begin = begin == 0;
		search->is_end = end == length;
		(void) search_portion(search);
		if (end == length)
			break;
		CHECK_FOR_INTERRUPTS();
		begin = end - again;
		while (begin > 0 && ((unsigned char) text[begin] & 0xC0) == 0x80)
			begin--;
	}
}

/*
 * search_portion looks at one group in each step; it returns whether a value
 * may be there that nobody is told of.
 */
static bool
search_portion(Search *search)
{
	EffPatterns *patterns = search->patterns;
	const char *text = search->text;
	const uint64 *words = patterns->words;
	int			shift = patterns->shift;
	size_t		step = patterns->step;
	size_t		next_look = PORTION * 16;
	size_t		place = 0;

	for (; place + MAX_GROUP <= search->length; place += step)
	{
		uint64		bytes = group_at(patterns, text + place);
		uint64		hash = hash_of(bytes);
		uint64		bits = bits_of(hash);

		if (unlikely((words[hash >> shift] & bits) == bits) &&
			compare_bucket(search, place, bytes, hash))
			return true;
		if (unlikely(place >= next_look))
		{
			CHECK_FOR_INTERRUPTS();
			next_look += PORTION * 16;
		}
	}
	for (; place + patterns->group <= search->length; place += step)
	{
		uint64		bytes = last_group(patterns, text + place, search->length - place);

		if (compare_bucket(search, place, bytes, hash_of(bytes)))
			return true;
	}
	return false;
}

/* last_group is group_at() where the text goes on for length bytes. */
static uint64
last_group(const EffPatterns *patterns, const char *text, size_t length)
{
	char		bytes[MAX_GROUP] = {0};

	memcpy(bytes, text, Min(length, MAX_GROUP));
	return group_at(patterns, bytes);
}

/* compare_bucket compares the values that have the group found. */
static bool
compare_bucket(Search *search, size_t place, uint64 bytes, uint64 hash)
{
	EffPatterns *patterns = search->patterns;
	uint64		bucket = hash >> patterns->bucket_shift;

	for (uint32 i = patterns->buckets[bucket]; i < patterns->buckets[bucket + 1]; i++)
	{
		const Group *group = &patterns->groups[i];
		const Pattern *pattern = &patterns->patterns[group->pattern];
		size_t		begin = place - group->offset;

		if (group->bytes != bytes || place < group->offset ||
			search->length - begin < group->length)
			continue;
		/* many values may begin alike; few end so too */
		if (group->tail != 0 && eight_at(search->text + begin + group->length - 8) != group->tail)
			continue;
		if (!stands_at(search, pattern, begin))
			continue;
		if (search->anywhere)
			return true;
		search->hit(search->arg, pattern->value,
					search->is_begin && search->is_end && pattern->length == search->length);
	}
	return false;
}

static bool
stands_at(Search *search, const Pattern *pattern, size_t begin)
{
	const unsigned char *text = (const unsigned char *) search->text + begin;
	size_t		end = begin + pattern->length;

	for (int i = 0; i < pattern->length; i++)
		if (EffFoldAscii[text[i]] != (unsigned char) pattern->text[i])
			return false;
	if (search->anywhere)
		return true;
	if ((begin == 0 && !search->is_begin) || (end == search->length && !search->is_end))
		return false;
	return !is_joined(search->text, search->length, begin, end);
}

/* is_joined: what is found is part of a longer word, number or address. */
static bool
is_joined(const char *text, size_t length, size_t begin, size_t end)
{
	return (begin > 0 && is_joiner(text[begin - 1])) || (end < length && is_joiner(text[end])) ||
		EffIsWordBefore(text, begin) || EffIsWordAt(text, length, end);
}

static bool
is_joiner(unsigned char byte)
{
	return byte == '@' || byte == '.' || byte == '_' || byte == '-' || byte == '+';
}

/*
 * choose_windows: the shortest value decides how long a group is, and how many
 * bytes may be left out between two looks.
 */
static void
choose_windows(EffPatterns *patterns)
{
	int			shortest = MAX_STEP + MAX_GROUP - 1;
	size_t		nall = 0;
	uint64	   *all;

	for (int i = 0; i < patterns->n; i++)
	{
		shortest = Min(shortest, patterns->patterns[i].length);
		nall += patterns->patterns[i].length;
	}
	patterns->group = Max(Min(shortest / 2 + 1, MAX_GROUP), MIN_GROUP);
	patterns->step = Min(shortest - patterns->group + 1, MAX_STEP);
	patterns->mask = 0;
	memset(&patterns->mask, 0xFF, patterns->group);
	all = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * Max(nall, 1));
	nall = 0;
	for (int i = 0; i < patterns->n; i++)
		for (int k = 0; k + patterns->group <= patterns->patterns[i].length; k++)
			all[nall++] = group_of(patterns, &patterns->patterns[i], k);
	qsort(all, nall, sizeof(uint64), compare_uint64);
	for (int i = 0; i < patterns->n; i++)
		choose_window(patterns, &patterns->patterns[i], all, nall);
	pfree(all);
}

/*
 * choose_window chooses by what is known of texts in general, and of the values:
 * what many of them share (a domain) is likely to stand in texts beside others'.
 */
static void
choose_window(EffPatterns *patterns, Pattern *pattern, const uint64 *all, size_t nall)
{
	int			ngroups = pattern->length - patterns->group + 1;
	double	   *costs = palloc(sizeof(double) * ngroups);
	double		cost = 0;
	double		best = 0;

	for (int k = 0; k < ngroups; k++)
		costs[k] = cost_of(patterns, pattern, k) +
			(count_equal(all, nall, group_of(patterns, pattern,
											 k)) - 1) / (double) patterns->n / 64;
	for (int k = 0; k < ngroups; k++)
	{
		cost += costs[k] - (k >= patterns->step ? costs[k - patterns->step] : 0);
		if (k == patterns->step - 1 || (k >= patterns->step && cost < best))
		{
			best = cost;
			pattern->window = k - patterns->step + 1;
		}
	}
	pfree(costs);
}

/* cost_of: how often the group at a place is in texts, by its bytes; domains are everywhere. */
static double
cost_of(const EffPatterns *patterns, const Pattern *pattern, int place)
{
	int			weight = 0;

	for (int i = 0; i < patterns->group; i++)
		weight += weight_of(pattern->text[place + i]);
	return ldexp(1, memchr(pattern->text, '@', place + 1) != NULL ? Max(weight, -12) : weight);
}

static uint64
group_of(const EffPatterns *patterns, const Pattern *pattern, int place)
{
	return last_group(patterns, pattern->text + place, pattern->length - place);
}

static size_t
count_equal(const uint64 *all, size_t nall, uint64 bytes)
{
	size_t		ends[2];

	for (int end = 0; end < 2; end++)
	{
		size_t		low = 0;
		size_t		high = nall;

		while (low < high)
		{
			size_t		middle = (low + high) / 2;

			if (all[middle] < bytes || (end == 1 && all[middle] == bytes))
				low = middle + 1;
			else
				high = middle;
		}
		ends[end] = low;
	}
	return ends[1] - ends[0];
}

/* weight_of: how often a byte is in texts, as a power of two. */
static int
weight_of(unsigned char byte)
{
	if (byte == ' ')
		return -3;
	if (byte >= 0x80)
		return -7;
	if (strchr("etaoinsr", byte) != NULL)
		return -4;
	if (strchr("hldcumfgpwyb", byte) != NULL)
		return -5;
	if (isdigit(byte) || strchr("kv.,-", byte) != NULL)
		return -6;
	return -9;
}

/* make_tables sorts the groups of all windows into buckets, and sets their bits. */
static void
make_tables(EffPatterns *patterns)
{
	size_t		ngroups = (size_t) patterns->n * patterns->step;
	size_t		n = 0;
	int			words = MIN_WORDS;
	int			bucket_bits = MIN_WORDS;
	size_t		group = 0;

	while (words < MAX_WORDS && ((size_t) 1 << words) < ngroups)
		words++;
	while (bucket_bits < MAX_BUCKETS && ((size_t) 1 << bucket_bits) < ngroups)
		bucket_bits++;
	patterns->shift = 64 - words;
	patterns->bucket_shift = 64 - bucket_bits;
	patterns->words = palloc0(sizeof(uint64) << words);
	patterns->buckets = palloc(sizeof(uint32) * (((size_t) 1 << bucket_bits) + 1));
	patterns->groups = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(Group) * Max(ngroups, 1));
	for (int i = 0; i < patterns->n; i++)
		for (int k = 0; k < patterns->step; k++)
		{
			Group	   *new = &patterns->groups[n++];
			uint64		hash;

			new->pattern = i;
			new->offset = patterns->patterns[i].window + k;
			new->length = patterns->patterns[i].length;
			new->tail = new->length < 8 ? 0 :
				eight_at(patterns->patterns[i].text + new->length - 8);
			new->bytes = group_of(patterns, &patterns->patterns[i], new->offset);
			hash = hash_of(new->bytes);
			patterns->words[hash >> patterns->shift] |= bits_of(hash);
		}
	qsort(patterns->groups, ngroups, sizeof(Group), compare_groups);
	for (size_t bucket = 0; bucket < (size_t) 1 << bucket_bits; bucket++)
	{
		patterns->buckets[bucket] = group;
		while (group < ngroups &&
			   hash_of(patterns->groups[group].bytes) >> patterns->bucket_shift == bucket)
			group++;
	}
	patterns->buckets[(size_t) 1 << bucket_bits] = ngroups;
}

static int
compare_groups(const void *a, const void *b)
{
	uint64		hash_a = hash_of(((const Group *) a)->bytes);
	uint64		hash_b = hash_of(((const Group *) b)->bytes);

	return hash_a < hash_b ? -1 : hash_a > hash_b;
}

static int
compare_uint64(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right;
}
