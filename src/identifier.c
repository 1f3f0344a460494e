/*
 * identifier.c
 *	  Composite identifiers as text, and identifiers as values of the key.
 *
 * The parts of a composite identifier are joined with ':'; ':' and '\' inside
 * a part are preceded by '\'.  A single value is itself.
 */
#include "postgres.h"

#include "identifier.h"
#include "graph.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(effaced_subject_id);
PG_FUNCTION_INFO_V1(effaced_parse_subject_id);

static char *join_parts(char **parts, int n);
static char **split_parts(const char *serialized, int *n);
static Datum cast_part(MapTable *subject, EffColumn *column, const char *part, char **canonical);
static char *canonical_text(Oid type, Datum value);
static void null_identifier(void) pg_attribute_noreturn();

/*
 * effaced_subject_id(VARIADIC text[]) joins the values of a key.
 */
Datum
effaced_subject_id(PG_FUNCTION_ARGS)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	char	  **parts;

	if (PG_ARGISNULL(0))
		null_identifier();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifier has no values"),
				 errhint("Give the values of the key in the order of its columns.")));
	parts = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			null_identifier();
		parts[i] = TextDatumGetCString(elements[i]);
	}
	PG_RETURN_TEXT_P(cstring_to_text(join_parts(parts, n)));
}

/*
 * effaced_parse_subject_id(serialized, arity) takes an identifier apart.  With
 * arity 1 the text is the value itself, whatever characters it holds.
 */
Datum
effaced_parse_subject_id(PG_FUNCTION_ARGS)
{
	char	   *serialized;
	char	  **parts;
	int			n;
	Datum	   *elements;

	if (PG_ARGISNULL(0))
		null_identifier();
	serialized = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("arity of a subject identifier must be at least 1"),
				 errhint("Leave arity out to take the identifier apart at every ':'.")));
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) == 1)
	{
		parts = &serialized;
		n = 1;
	}
	else
	{
		parts = split_parts(serialized, &n);
		if (parts == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 errmsg("composite subject identifier is malformed"),
					 errdetail("A backslash must precede a colon or a backslash."),
					 errhint("Make the identifier with effaced_subject_id()."),
					 errhidestmt(true)));
		if (!PG_ARGISNULL(1) && n != PG_GETARG_INT32(1))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_SUBJECT),
					 errmsg("subject identifier has %d values, expected %d", n, PG_GETARG_INT32(1)),
					 errhint("Make the identifier with effaced_subject_id()."),
					 errhidestmt(true)));
	}
	elements = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(parts[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * EffIdentifierArgument reads an identifier given as text, text[] or a scalar.
 */
SubjectIdentifier *
EffIdentifierArgument(FunctionCallInfo fcinfo, int argno)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argno);
	SubjectIdentifier *identifier;

	if (PG_ARGISNULL(argno))
		null_identifier();
	if (type == TEXTARRAYOID)
	{
		Datum	   *elements;
		bool	   *nulls;

		identifier = palloc0(sizeof(SubjectIdentifier));
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(argno), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &identifier->n);
		if (identifier->n == 0)
			null_identifier();
		identifier->parts = palloc(sizeof(char *) * identifier->n);
		for (int i = 0; i < identifier->n; i++)
		{
			if (nulls[i])
				null_identifier();
			identifier->parts[i] = TextDatumGetCString(elements[i]);
		}
		return identifier;
	}
	if (!OidIsValid(type) || type == TEXTOID)
		return EffIdentifierFromText(text_to_cstring(PG_GETARG_TEXT_PP(argno)));
	else
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(type, &output, &varlena);
		return EffIdentifierFromText(OidOutputFunctionCall(output, PG_GETARG_DATUM(argno)));
	}
}

SubjectIdentifier *
EffIdentifierFromText(const char *text)
{
	SubjectIdentifier *identifier = palloc0(sizeof(SubjectIdentifier));

	identifier->serialized = pstrdup(text);
	return identifier;
}

/*
 * EffIdentifierResolve casts an identifier to the key of a subject table.
 */
SubjectKey *
EffIdentifierResolve(MapTable *subject, const SubjectIdentifier *identifier)
{
	SubjectKey *key = palloc0(sizeof(SubjectKey));
	int			n = identifier->n;
	char	  **parts = identifier->parts;
	char	  **canonical;

	if (n == 0 && subject->nkey == 1)
	{
		n = 1;
		parts = (char **) &identifier->serialized;
	}
	else if (n == 0)
		parts = split_parts(identifier->serialized, &n);
	if (parts == NULL || n != subject->nkey)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 parts == NULL ?
				 errmsg("subject identifier for table %s is malformed", subject->name) :
				 errmsg("subject identifier for table %s has %d values instead of %d",
						subject->name, n, subject->nkey),
				 errhint("Give the values of (%s), as text[] or joined by effaced_subject_id().",
						 EffJoinNames(subject->rel, subject->key, subject->nkey)),
				 errhidestmt(true)));

	key->n = n;
	key->values = palloc(sizeof(Datum) * n);
	canonical = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
		key->values[i] = cast_part(subject, EffRelationColumn(subject->rel, subject->key[i]),
								   parts[i], &canonical[i]);
	key->text = join_parts(canonical, n);
	return key;
}

Oid
EffKeyType(MapTable *subject, int i)
{
	return getBaseType(EffRelationColumn(subject->rel, subject->key[i])->type);
}

Datum
EffKeyArray(MapTable *subject, int i, SubjectKey **keys, int nkeys)
{
	Oid			type = EffKeyType(subject, i);
	Datum	   *values = palloc(sizeof(Datum) * nkeys);
	int16		length;
	bool		byval;
	char		align;

	for (int k = 0; k < nkeys; k++)
		values[k] = keys[k]->values[i];
	get_typlenbyvalalign(type, &length, &byval, &align);
	return PointerGetDatum(construct_array(values, nkeys, type, length, byval, align));
}

static char *
join_parts(char **parts, int n)
{
	StringInfoData buf;

	if (n == 1)
		return parts[0];
	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&buf, ':');
		for (const char *p = parts[i]; *p; p++)
		{
			if (*p == ':' || *p == '\\')
				appendStringInfoChar(&buf, '\\');
			appendStringInfoChar(&buf, *p);
		}
	}
	return buf.data;
}

/* split_parts returns NULL where a backslash precedes anything but ':' and '\'. */
static char **
split_parts(const char *serialized, int *n)
{
	StringInfoData buf;
	List	   *parts = NIL;
	char	  **result;
	ListCell   *lc;

	initStringInfo(&buf);
	for (const char *p = serialized;; p++)
	{
		if (*p == ':' || *p == '\0')
		{
			parts = lappend(parts, buf.data);
			initStringInfo(&buf);
			if (*p == '\0')
				break;
			continue;
		}
		if (*p == '\\')
		{
			p++;
			if (*p != ':' && *p != '\\')
				return NULL;
		}
		appendStringInfoChar(&buf, *p);
	}
	*n = list_length(parts);
	result = palloc(sizeof(char *) * *n);
	foreach(lc, parts)
		result[foreach_current_index(lc)] = lfirst(lc);
	return result;
}

/*
 * cast_part casts one part to its column's type.  A value that only fits when
 * it is rounded or cut is another one, and refused.
 */
static Datum
cast_part(MapTable *subject, EffColumn *column, const char *part, char **canonical)
{
	MemoryContext context = CurrentMemoryContext;
	int32		typmod = column->typmod;
	Oid			base = getBaseTypeAndTypmod(column->type, &typmod);
	Datum		volatile value = 0;
	bool		volatile fits = true;

	PG_TRY();
	{
		Oid			input;
		Oid			ioparam;

		getTypeInputInfo(column->type, &input, &ioparam);
		value = OidInputFunctionCall(input, unconstify(char *, part), ioparam, column->typmod);
		if (typmod >= 0 && base != BPCHAROID && base != VARCHAROID)
		{
			TypeCacheEntry *type = lookup_type_cache(base, TYPECACHE_EQ_OPR_FINFO);
			Datum		exact;

			getTypeInputInfo(base, &input, &ioparam);
			exact = OidInputFunctionCall(input, unconstify(char *, part), ioparam, -1);
			fits = DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, column->collation, value, exact));
		}
		*canonical = canonical_text(base, value);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		FlushErrorState();
		fits = false;
	}
	PG_END_TRY();

	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifier does not fit the key of table %s", subject->name),
				 errdetail("Column %s is of type %s.", quote_identifier(column->name),
						   format_type_with_typemod(column->type, column->typmod)),
				 errhint("Give a value of that type."),
				 errhidestmt(true)));
	return value;
}

/* canonical_text writes a value so that equal keys have one text in every session. */
static char *
canonical_text(Oid type, Datum value)
{
	char		category;
	bool		preferred;
	Oid			output;
	bool		varlena;
	char	   *text;
	int			level = 0;

	if (type == NUMERICOID)
		value = DirectFunctionCall1(numeric_trim_scale, value);
	get_type_category_preferred(type, &category, &preferred);
	if (category == TYPCATEGORY_DATETIME || category == TYPCATEGORY_TIMESPAN)
	{
		level = NewGUCNestLevel();
		(void) set_config_option("datestyle", "ISO, YMD", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		(void) set_config_option("timezone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	if (level > 0)
		AtEOXact_GUC(true, level);
	if (type == BPCHAROID)
	{
		int			length = strlen(text);

		while (length > 0 && text[length - 1] == ' ')
			text[--length] = '\0';
	}
	return text;
}

static void
null_identifier(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("subject identifier must not be NULL or empty"),
			 errhint("Give every value of the key.")));
}
