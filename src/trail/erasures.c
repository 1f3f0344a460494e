/*
 * erasures.c
 *	  Which subjects are on record as erased.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "trail/trail.h"

#include "utils/builtins.h"

static EffOwnStatement find_erasures = {
	"SELECT e.subject_ref, pg_catalog.bool_or((e.payload ->> 'subject_found')::boolean)"
	" FROM effaced.effaced_audit_events e"
	" WHERE e.subject_ref = ANY ($2) AND e.subject = $1"
	" AND e.event_type = 'erasure_local_completed' AND NOT e.payload ? 'tables'"
	" GROUP BY e.subject_ref"
};

static int	compare_refs(const void *a, const void *b, void *refs);

/*
 * EffTrailErasures returns, for each of n identifiers of a kind, what is on
 * record of its erasure, in an array in the current memory context.  An erasure
 * that was restricted to some tables does not count.  The trail is read as its
 * owner.
 */
ErasureRecord *
EffTrailErasures(const char *kind, char **refs, int n)
{
	ErasureRecord *erased = palloc0(sizeof(ErasureRecord) * Max(n, 1));
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	int		   *by_ref = palloc(sizeof(int) * Max(n, 1));
	EffBracket	bracket;

	if (n == 0)
		return erased;
	for (int i = 0; i < n; i++)
		by_ref[i] = i;
	qsort_arg(by_ref, n, sizeof(int), compare_refs, refs);
	values[0] = CStringGetTextDatum(kind);
	values[1] = EffTextArray(refs, n);
	EffSpiBeginAsOwner(&bracket);
	(void) EffSpiExecuteOwn(&find_erasures, lengthof(types), types, values, NULL, SPI_OK_SELECT,
							NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		char	   *ref = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		ErasureRecord record = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row],
														  SPI_tuptable->tupdesc, 2, &isnull)) ?
			ERASURE_RECORDED : ERASURE_OF_NOBODY;
		int			low = 0;
		int			high = n;

		while (low < high)
		{
			int			middle = low + (high - low) / 2;

			if (strcmp(refs[by_ref[middle]], ref) < 0)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < n && strcmp(refs[by_ref[low]], ref) == 0; low++)
			erased[by_ref[low]] = record;
	}
	EffSpiEnd(&bracket);
	return erased;
}

static int
compare_refs(const void *a, const void *b, void *refs)
{
	return strcmp(((char **) refs)[*(const int *) a], ((char **) refs)[*(const int *) b]);
}
