/*
 * types.c
 *	  Look-ups of types that raise undefined_object where the type has just been
 *	  dropped, and not an internal error as the server's own do.
 */
#include "postgres.h"

#include "base/gone.h"
#include "relations/types.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static void require(Oid type);

/*
 * EffBaseType returns what a domain is made of, or the type itself.
 */
Oid
EffBaseType(Oid type)
{
	int32		typmod = -1;

	return EffBaseTypeAndTypmod(type, &typmod);
}

/*
 * EffBaseTypeAndTypmod returns the same, and changes typmod to what the domain
 * says.  A value that is not -1 is kept where the type is no domain.
 */
Oid
EffBaseTypeAndTypmod(Oid type, int32 *typmod)
{
	for (;;)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;

		if (!HeapTupleIsValid(tuple))
			EffGoneObject("type", type);
		form = (Form_pg_type) GETSTRUCT(tuple);
		if (form->typtype != TYPTYPE_DOMAIN)
		{
			ReleaseSysCache(tuple);
			return type;
		}
		type = form->typbasetype;
		*typmod = form->typtypmod;
		ReleaseSysCache(tuple);
	}
}

/* EffTypeInput gives the function that reads values, and its parameter. */
void
EffTypeInput(Oid type, Oid *function, Oid *ioparam)
{
	require(type);
	getTypeInputInfo(type, function, ioparam);
}

/* EffTypeOutput gives the function that writes values as text. */
void
EffTypeOutput(Oid type, Oid *function)
{
	bool		varlena;

	require(type);
	getTypeOutputInfo(type, function, &varlena);
}

/* EffTypeSend gives the function that writes values in binary. */
void
EffTypeSend(Oid type, Oid *function)
{
	bool		varlena;

	require(type);
	getTypeBinaryOutputInfo(type, function, &varlena);
}

/* EffTypeCategory returns TYPCATEGORY_*. */
char
EffTypeCategory(Oid type)
{
	char		category;
	bool		preferred;

	require(type);
	get_type_category_preferred(type, &category, &preferred);
	return category;
}

/* EffTypeName returns the name for a message, "???" where the type is gone. */
char *
EffTypeName(Oid type)
{
	return format_type_extended(type, -1, FORMAT_TYPE_ALLOW_INVALID);
}

/* EffTypeNameWithTypmod returns the same with the length or precision. */
char *
EffTypeNameWithTypmod(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_ALLOW_INVALID);
}

/*
 * require: the server's look-up that follows finds the same entry in the
 * cache, since nothing in between takes notice of other sessions.
 */
static void
require(Oid type)
{
	if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)))
		EffGoneObject("type", type);
}
