/*
 * arrays.c
 *	  Arrays of texts and of OIDs, as SQL takes and gives them.
 */
#include "postgres.h"

#include "base/arrays.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * EffTextArray returns a text[] of n strings, made in the current memory
 * context; a NULL pointer gives a NULL element.  The array is empty where n is
 * 0.
 */
Datum
EffTextArray(char **texts, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = texts[i] == NULL;
		elements[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower, TEXTOID, -1, false,
											  TYPALIGN_INT));
}

/*
 * EffTextArrayOfList returns the same for a list of char *.
 */
Datum
EffTextArrayOfList(List *texts)
{
	char	  **strings = palloc(sizeof(char *) * Max(list_length(texts), 1));
	ListCell   *lc;

	foreach(lc, texts)
		strings[foreach_current_index(lc)] = lfirst(lc);
	return EffTextArray(strings, list_length(texts));
}

/*
 * EffTextArrayRead returns the elements of a text[] and sets *n to their
 * number.  The strings are copies in the current memory context, NULL where an
 * element is.
 */
char **
EffTextArrayRead(Datum array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, n);
	texts = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		texts[i] = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
	return texts;
}

/*
 * EffOidArray returns an array of an element type that is stored as an OID:
 * oid, regclass and their like.  It is made in the current memory context.
 */
Datum
EffOidArray(List *oids, Oid type)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	ListCell   *lc;

	foreach(lc, oids)
		elements[foreach_current_index(lc)] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, list_length(oids), type, sizeof(Oid), true,
										   TYPALIGN_INT));
}

/*
 * EffOidArrayRead returns the elements of such an array that are not NULL, as
 * a list of Oid, and sets *n to the number of all elements, so that a caller
 * can tell whether some were NULL.
 */
List *
EffOidArrayRead(Datum array, int *n)
{
	ArrayType  *oids = DatumGetArrayTypeP(array);
	Datum	   *elements;
	bool	   *nulls;
	List	   *list = NIL;

	deconstruct_array(oids, ARR_ELEMTYPE(oids), sizeof(Oid), true, TYPALIGN_INT, &elements, &nulls,
					  n);
	for (int i = 0; i < *n; i++)
		if (!nulls[i])
			list = lappend_oid(list, DatumGetObjectId(elements[i]));
	return list;
}
