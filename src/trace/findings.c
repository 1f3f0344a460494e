/*
 * findings.c
 *	  Counts what a trace finds.
 *
 * The memory depends on the number of places, and not on that of rows; documents
 * with ever new keys count at the place "$" once there are too many.
 */
#include "postgres.h"

#include "relations/relations.h"
#include "trace/findings.h"

#include "common/hashfn.h"

#define MAX_TEXTS 10000
#define MANY_PLACES "$"

/* What tells findings apart; with no gaps between its members */
typedef struct FindingKey
{
	const char *column;
	const char *place;
	Oid			relid;
	int			fact;
	int			labelled;
	int			reached;
	int			unread;
	int			unused;
} FindingKey;

typedef struct FindingEntry
{
	FindingKey	key;
	uint64		rows;
} FindingEntry;

struct TraceFindings
{
	MemoryContext context;
	HTAB	   *entries;		/* of FindingEntry */
	HTAB	   *texts;			/* of char *, by what they say */
};

static uint32 hash_text(const void *key, Size size);
static int	match_texts(const void *a, const void *b, Size size);
static int	compare_findings(const ListCell *a, const ListCell *b);
static int	compare_texts(const char *a, const char *b);

/*
 * EffFindingsNew: none yet, in the current memory context.
 */
TraceFindings *
EffFindingsNew(void)
{
	TraceFindings *findings = palloc0(sizeof(TraceFindings));
	HASHCTL		entries = {.keysize = sizeof(FindingKey), .entrysize = sizeof(FindingEntry), .hcxt =
		CurrentMemoryContext};
	HASHCTL		texts = {.keysize = sizeof(char *), .entrysize = sizeof(char *), .hcxt =
		CurrentMemoryContext,
	.hash = hash_text, .match = match_texts};

	findings->context = CurrentMemoryContext;
	findings->entries = hash_create("effaced findings", 128, &entries,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	findings->texts = hash_create("effaced places", 128, &texts,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	return findings;
}

/*
 * EffFindingsText: the same pointer for the same text, for as long as the findings live.
 */
const char *
EffFindingsText(TraceFindings *findings, const char *text)
{
	bool		found;
	const char **entry;

	if (text == NULL)
		return NULL;
	entry = hash_search(findings->texts, &text, HASH_FIND, NULL);
	if (entry != NULL)
		return *entry;
	if (text[0] == '$' && hash_get_num_entries(findings->texts) >= MAX_TEXTS)
		text = MANY_PLACES;
	text = MemoryContextStrdup(findings->context, text);
	entry = hash_search(findings->texts, &text, HASH_ENTER, &found);
	return *entry;
}

/*
 * EffFindingsAdd: count one more row; the texts of the finding are from
 * EffFindingsText().
 */
void
EffFindingsAdd(TraceFindings *findings, const TraceFinding *finding)
{
	FindingKey	key = {.column = finding->column, .place = finding->place, .relid = finding->relid,
	.fact = finding->fact, .labelled = finding->labelled, .reached = finding->reached, .unread =
		finding->unread};
	bool		found;
	FindingEntry *entry = hash_search(findings->entries, &key, HASH_ENTER, &found);

	entry->rows = found ? entry->rows + 1 : 1;
}

/*
 * EffFindingsList: all findings, of TraceFinding, by relation, column, place and fact.
 */
List *
EffFindingsList(TraceFindings *findings)
{
	List	   *list = NIL;
	HASH_SEQ_STATUS status;
	FindingEntry *entry;

	hash_seq_init(&status, findings->entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		TraceFinding *finding = palloc0(sizeof(TraceFinding));

		finding->relid = entry->key.relid;
		finding->column = entry->key.column;
		finding->place = entry->key.place;
		finding->fact = entry->key.fact;
		finding->labelled = entry->key.labelled;
		finding->reached = entry->key.reached;
		finding->unread = entry->key.unread;
		finding->rows = entry->rows;
		list = lappend(list, finding);
	}
	list_sort(list, compare_findings);
	return list;
}

static uint32
hash_text(const void *key, Size size)
{
	const char *text = *(const char *const *) key;

	return hash_bytes((const unsigned char *) text, strlen(text));
}

static int
match_texts(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const TraceFinding *left = lfirst(a);
	const TraceFinding *right = lfirst(b);
	int			order = left->relid == right->relid ? 0 :
		strcmp(EffRelationDisplayName(left->relid), EffRelationDisplayName(right->relid));

	if (order == 0)
		order = compare_texts(left->column, right->column);
	if (order == 0)
		order = compare_texts(left->place, right->place);
	if (order == 0)
		order = left->fact - right->fact;
	return order != 0 ? order : (int) left->reached - (int) right->reached;
}

static int
compare_texts(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}
