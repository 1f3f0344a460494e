/*
 * identifier.c
 *	  Composite identifiers as text, and identifiers as values of the key.
 *
 * The parts of a composite identifier are joined with ':'; ':' and '\' inside
 * a part are preceded by '\'.  A single value is itself.
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/own.h"
#include "base/run.h"
#include "relations/types.h"
#include "subject/subject.h"

#include "catalog/dependency.h"
#include "catalog/pg_collation.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* The spellings on record of the subjects of a kind */
#define SPELLINGS_IN(ledger, condition) \
	"SELECT r.subject_ref FROM effaced." ledger " r WHERE r.subject = $1" condition
#define SPELLINGS(condition) \
	SPELLINGS_IN("effaced_audit_events", condition) \
	" UNION " SPELLINGS_IN("effaced_consent_records", condition) \
	" UNION " SPELLINGS_IN("effaced_restriction_records", condition)

PG_FUNCTION_INFO_V1(effaced_subject_id);
PG_FUNCTION_INFO_V1(effaced_parse_subject_id);

static char *join_parts(char **parts, int n);
static char **split_parts(const char *serialized, int *n);
static SubjectKey *resolve(MapTable *subject, const SubjectIdentifier *identifier, bool checked);
static Datum cast_part(MapTable *subject, EffColumn *column, const char *part, bool checked,
					   char **canonical);
static void spell(MapTable *subject, SubjectKey *key, char **canonical);
static bool is_spelled_freely(MapTable *subject, int i);
static bool take_record(MapTable *subject, char **canonical, const char *sql, int nargs);
static bool is_same(MapTable *subject, char **a, char **b);
static void take_row(MapTable *subject, SubjectKey *key, char **canonical);
static bool is_about_value(int sqlstate);
static void does_not_fit(MapTable *subject, EffColumn *column) pg_attribute_noreturn();
static char *canonical_text(Oid type, Datum value);
static bool is_case_insensitive(Oid type);
static int	compare_keys(const void *a, const void *b);
static void null_identifier(void) pg_attribute_noreturn();

/*
 * effaced_subject_id(VARIADIC text[]) joins the values of a key.
 */
Datum
effaced_subject_id(PG_FUNCTION_ARGS)
{
	int			n;
	char	  **parts;

	if (PG_ARGISNULL(0))
		null_identifier();
	parts = EffTextArrayRead(PG_GETARG_DATUM(0), &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifier has no values"),
				 errhint("Give the values of the key in the order of its columns.")));
	for (int i = 0; i < n; i++)
		if (parts[i] == NULL)
			null_identifier();
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
					 errmsg_plural("subject identifier has %d value instead of %d",
								   "subject identifier has %d values instead of %d",
								   n, n, PG_GETARG_INT32(1)),
					 errhint("Make the identifier with effaced_subject_id()."),
					 errhidestmt(true)));
	}
	PG_RETURN_DATUM(EffTextArray(parts, n));
}

/*
 * EffIdentifierArgument returns the identifier that argument argno of a function
 * is: a text, the values of the key as text[], or one value of some other type.
 */
SubjectIdentifier *
EffIdentifierArgument(FunctionCallInfo fcinfo, int argno)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argno);
	SubjectIdentifier *identifier = palloc0(sizeof(SubjectIdentifier));

	if (PG_ARGISNULL(argno))
		identifier->is_null = true;
	else if (type == TEXTARRAYOID)
	{
		identifier->parts = EffTextArrayRead(PG_GETARG_DATUM(argno), &identifier->n);
		identifier->is_null = identifier->n == 0;
		for (int i = 0; i < identifier->n; i++)
			identifier->is_null |= identifier->parts[i] == NULL;
	}
	else if (!OidIsValid(type) || type == TEXTOID)
		identifier->serialized = text_to_cstring(PG_GETARG_TEXT_PP(argno));
	else
		identifier->serialized = canonical_text(EffBaseType(type), PG_GETARG_DATUM(argno));
	return identifier;
}

/* EffIdentifierFromText returns the identifier that a text, perhaps NULL, is; it is copied. */
SubjectIdentifier *
EffIdentifierFromText(const char *text)
{
	SubjectIdentifier *identifier = palloc0(sizeof(SubjectIdentifier));

	identifier->is_null = text == NULL;
	identifier->serialized = text ? pstrdup(text) : NULL;
	return identifier;
}

/*
 * EffIdentifierResolve returns the key of a subject table that an identifier means.
 * ERROR ZE002, which names the table and never the value, where it is NULL, has
 * another number of values than the key, or a value does not fit its column.
 */
SubjectKey *
EffIdentifierResolve(MapTable *subject, const SubjectIdentifier *identifier)
{
	return resolve(subject, identifier, true);
}

/*
 * EffIdentifierSpell returns the text of EffIdentifierResolve().  It runs no CHECK of
 * a domain behind the key, so that effaced's owner can call it.
 */
char *
EffIdentifierSpell(MapTable *subject, const SubjectIdentifier *identifier)
{
	return resolve(subject, identifier, false)->text;
}

static SubjectKey *
resolve(MapTable *subject, const SubjectIdentifier *identifier, bool checked)
{
	SubjectKey *key = palloc0(sizeof(SubjectKey));
	int			n = identifier->n;
	char	  **parts = identifier->parts;
	char	  **canonical;

	if (identifier->is_null)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_SUBJECT),
				 errmsg("subject identifier for table \"%s\" is NULL", subject->rel->relname),
				 errhint("Give the values of (%s).",
						 EffJoinNames(subject->rel, subject->key, subject->nkey))));
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
				 errmsg("subject identifier for table \"%s\" is malformed", subject->rel->relname) :
				 errmsg_plural("subject identifier for table \"%s\" has %d value instead of %d",
							   "subject identifier for table \"%s\" has %d values instead of %d",
							   n, subject->rel->relname, n, subject->nkey),
				 errhint("Give the values of (%s), as text[] or joined by effaced_subject_id().",
						 EffJoinNames(subject->rel, subject->key, subject->nkey)),
				 errhidestmt(true)));

	key->n = n;
	key->values = palloc(sizeof(Datum) * n);
	canonical = palloc(sizeof(char *) * n);
	for (int i = 0; i < n; i++)
		key->values[i] = cast_part(subject, EffRelationColumn(subject->rel, subject->key[i]),
								   parts[i], checked, &canonical[i]);
	spell(subject, key, canonical);
	key->text = join_parts(canonical, n);
	return key;
}

/*
 * EffIdentifierFromValues returns the key that values of the base types of the key
 * columns make; the values are copied.
 */
SubjectKey *
EffIdentifierFromValues(MapTable *subject, const Datum *values)
{
	SubjectKey *key = palloc0(sizeof(SubjectKey));
	char	  **canonical = palloc(sizeof(char *) * subject->nkey);

	key->n = subject->nkey;
	key->values = palloc(sizeof(Datum) * key->n);
	for (int i = 0; i < key->n; i++)
	{
		Oid			type = EffKeyType(subject, i);

		key->values[i] = datumCopy(values[i], get_typbyval(type), get_typlen(type));
		canonical[i] = canonical_text(type, values[i]);
	}
	key->text = join_parts(canonical, key->n);
	return key;
}

/*
 * EffIdentifierUnique sorts keys by their text, drops repeated ones, and returns
 * how many are left at the start of the array.
 */
int
EffIdentifierUnique(SubjectKey **keys, int n)
{
	int			kept = 0;

	if (n > 1)
		qsort(keys, n, sizeof(SubjectKey *), compare_keys);
	for (int i = 0; i < n; i++)
		if (kept == 0 || strcmp(keys[kept - 1]->text, keys[i]->text) != 0)
			keys[kept++] = keys[i];
	return kept;
}

/*
 * EffIdentifierEqual returns whether two keys are one by the = of their types and
 * the collations of their columns, although their texts may differ.
 */
bool
EffIdentifierEqual(MapTable *subject, const SubjectKey *a, const SubjectKey *b)
{
	for (int i = 0; i < subject->nkey; i++)
	{
		TypeCacheEntry *type = lookup_type_cache(EffKeyType(subject, i), TYPECACHE_EQ_OPR_FINFO);
		Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

		if (!OidIsValid(type->eq_opr) ||
			!DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, collation,
											a->values[i], b->values[i])))
			return false;
	}
	return true;
}

/* EffKeyType returns the base type of the i-th key column (from 0) of a subject table. */
Oid
EffKeyType(MapTable *subject, int i)
{
	return EffBaseType(EffRelationColumn(subject->rel, subject->key[i])->type);
}

/*
 * EffKeyArray returns an array of the i-th key values (from 0) of several keys, for
 * a statement about all of these subjects.
 */
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

/*
 * EffIdentifierSql returns SQL for the text of a key, given SQL for its values: what
 * canonical_text() and join_parts() make of them.  Statements that meet too many
 * subjects to hold them all use it.  format() calls the type's output function, as
 * canonical_text() does, and no cast that somebody has made.
 */
char *
EffIdentifierSql(MapTable *subject, char **values)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < subject->nkey; i++)
	{
		Oid			type = EffKeyType(subject, i);
		char	   *value = type != NUMERICOID ? values[i] :
			psprintf("pg_catalog.trim_scale(%s)", values[i]);
		char	   *text = psprintf("pg_catalog.format('%%s', %s)", value);

		if (is_case_insensitive(type))
			text = psprintf("pg_catalog.lower(%s COLLATE \"default\")", text);
		if (type == BPCHAROID)
			text = psprintf("pg_catalog.rtrim(%s, ' ')", text);
		if (subject->nkey > 1)
			text = psprintf("pg_catalog.regexp_replace(%s, '([:\\\\])', '\\\\\\1', 'g')", text);
		appendStringInfo(&buf, "%s%s", i > 0 ? " || ':' || " : "", text);
	}
	return buf.data;
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

/*
 * split_parts returns NULL where a backslash precedes anything but ':' and '\\'. The
 * parts stand one behind the other in a single allocation, however many they are.
 */
static char **
split_parts(const char *serialized, int *n)
{
	char	   *text = pstrdup(serialized);
	char	   *end = text;
	char	  **parts;

	*n = 1;
	for (const char *p = serialized; *p != '\0'; p++)
		*n += *p == ':';
	parts = palloc_extended(sizeof(char *) * *n, MCXT_ALLOC_HUGE);
	*n = 0;
	parts[(*n)++] = end;
	for (const char *p = serialized; *p != '\0'; p++)
	{
		CHECK_FOR_INTERRUPTS();
		if (*p == ':')
		{
			*end++ = '\0';
			parts[(*n)++] = end;
			continue;
		}
		if (*p == '\\' && *++p != ':' && *p != '\\')
			return NULL;
		*end++ = *p;
	}
	*end = '\0';
	return parts;
}

/*
 * cast_part casts one part to its column's type.  A value that only fits when
 * it is rounded or cut is another one, and refused.  The check of a domain is
 * somebody's code: the settings are the caller's own again afterwards.
 */
static Datum
cast_part(MapTable *subject, EffColumn *column, const char *part, bool checked, char **canonical)
{
	MemoryContext context = CurrentMemoryContext;
	int32		typmod = column->typmod;
	Oid			base = EffBaseTypeAndTypmod(column->type, &typmod);
	bool		users_type = column->type >= FirstNormalObjectId;
	Datum		volatile value = 0;
	bool		volatile fits = true;
	EffBracket	bracket;

	if (users_type)
		EffKeepBegin(&bracket);
	PG_TRY();
	{
		Oid			input;
		Oid			ioparam;

		EffTypeInput(checked ? column->type : base, &input, &ioparam);
		value = OidInputFunctionCall(input, unconstify(char *, part), ioparam,
									 checked ? column->typmod : typmod);
		if (typmod >= 0 && base != BPCHAROID)
		{
			TypeCacheEntry *type = lookup_type_cache(base, TYPECACHE_EQ_OPR_FINFO);
			Datum		exact;

			EffTypeInput(base, &input, &ioparam);
			exact = OidInputFunctionCall(input, unconstify(char *, part), ioparam, -1);
			fits = DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, column->collation,
												  value, exact));
		}
		*canonical = canonical_text(base, value);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (!is_about_value(geterrcode()))
			EffRethrowWithoutValues(&(EffStatementPlace) {.action = "reading an identifier of",
														  .relation = subject->rel->name});
		(void) EffCatchUserError(context);
		does_not_fit(subject, column);
	}
	PG_END_TRY();
	if (users_type)
		EffPinEnd(&bracket);
	if (!fits)
		does_not_fit(subject, column);
	return value;
}

/*
 * is_about_value: an input function, or the check of a domain, takes no such value.
 * Any other error says nothing of it; as an identifier that fits no row it would be
 * passed over in a ledger, and with it a restriction.
 */
static bool
is_about_value(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_PLPGSQL_ERROR:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return true;
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
			return sqlstate != ERRCODE_INSUFFICIENT_PRIVILEGE;
		default:
			return false;
	}
}

static void
does_not_fit(MapTable *subject, EffColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("subject identifier does not fit the key of table \"%s\"",
					subject->rel->relname),
			 errdetail("Column \"%s\" is of type %s.", column->name,
					   EffTypeNameWithTypmod(column->type, column->typmod)),
			 errhint("Give a value of that type."),
			 errhidestmt(true)));
}

/*
 * spell puts the one spelling of a subject in the place of the given one, where the
 * collation of the key takes several for equal.  That is the spelling on record, if
 * there is one, else that of the subject's row, else the given one, which the
 * record that is being made will have.
 */
static void
spell(MapTable *subject, SubjectKey *key, char **canonical)
{
	bool		freely = false;

	for (int i = 0; i < subject->nkey; i++)
		freely |= is_spelled_freely(subject, i);
	if (!freely || take_record(subject, canonical, SPELLINGS(" AND r.subject_ref = $2"), 2))
		return;
	take_row(subject, key, canonical);
	if (!take_record(subject, canonical, SPELLINGS(" AND r.subject_ref = $2"), 2))
		(void) take_record(subject, canonical, SPELLINGS(""), 1);
}

/* is_spelled_freely: equal values of the key column may be different texts. */
static bool
is_spelled_freely(MapTable *subject, int i)
{
	Oid			collation = EffRelationColumn(subject->rel, subject->key[i])->collation;

	return OidIsValid(collation) && !get_collation_isdeterministic(collation);
}

/*
 * take_record takes the spelling of a record that is the subject's, and returns
 * whether there is one.  The records are compared here: the statement, which runs as
 * the owner of effaced's tables, uses no collation of a user's.
 */
static bool
take_record(MapTable *subject, char **canonical, const char *sql, int nargs)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(subject->kind),
	CStringGetTextDatum(join_parts(canonical, subject->nkey))};
	MemoryContext context = CurrentMemoryContext;
	EffBracket	bracket;
	bool		found = false;

	EffSpiBeginAsOwner(&bracket);
	/* also what this command has recorded */
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look a spelling up");
	for (uint64 row = 0; !found && row < SPI_processed; row++)
	{
		char	   *ref = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		char	  **parts = &ref;
		int			n = 1;

		CHECK_FOR_INTERRUPTS();
		if (subject->nkey > 1)
			parts = split_parts(ref, &n);
		found = parts != NULL && n == subject->nkey && is_same(subject, canonical, parts);
		for (int i = 0; found && i < n; i++)
			canonical[i] = MemoryContextStrdup(context, parts[i]);
	}
	EffSpiEnd(&bracket);
	return found;
}

/* is_same compares canonical texts as the collations of the key compare them. */
static bool
is_same(MapTable *subject, char **a, char **b)
{
	for (int i = 0; i < subject->nkey; i++)
		if (!is_spelled_freely(subject, i) ? strcmp(a[i], b[i]) != 0 :
			!DatumGetBool(DirectFunctionCall2Coll(texteq,
												  EffRelationColumn(subject->rel,
																	subject->key[i])->collation,
												  CStringGetTextDatum(a[i]),
												  CStringGetTextDatum(b[i]))))
			return false;
	return true;
}

/*
 * take_row takes the spelling of the subject's row, if there is one.  The row is read as
 * the table's owner, since whoever keeps a ledger need not be allowed to read it.
 */
static void
take_row(MapTable *subject, SubjectKey *key, char **canonical)
{
	Oid		   *types = palloc(sizeof(Oid) * subject->nkey);
	MemoryContext context = CurrentMemoryContext;
	StringInfoData columns;
	StringInfoData where;
	EffBracket	bracket;

	initStringInfo(&columns);
	initStringInfo(&where);
	for (int i = 0; i < subject->nkey; i++)
	{
		char	   *column = EffColumnSql("t", subject->rel, subject->key[i]);

		types[i] = EffKeyType(subject, i);
		appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", column);
		appendStringInfo(&where, "%s%s = $%d", i > 0 ? " AND " : "", column, i + 1);
	}
	EffSpiBeginAs(&bracket, subject->rel->oid);
	if (SPI_execute_with_args(psprintf("SELECT %s FROM %s t WHERE %s LIMIT 1", columns.data,
									   subject->rel->sql, where.data),
							  subject->nkey, types, key->values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a key");
	for (int i = 0; SPI_processed > 0 && i < subject->nkey; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1,
										  &isnull);
		MemoryContext previous = MemoryContextSwitchTo(context);

		if (is_spelled_freely(subject, i))
			canonical[i] = canonical_text(types[i], value);
		MemoryContextSwitchTo(previous);
	}
	EffSpiEnd(&bracket);
}

/* canonical_text writes a value so that equal keys have one text in every session. */
static char *
canonical_text(Oid type, Datum value)
{
	bool		pinned = type != INT4OID && type != INT8OID && type != UUIDOID && type != TEXTOID;
	EffBracket	bracket;
	Oid			output;
	char	   *text;

	if (type == NUMERICOID)
		value = DirectFunctionCall1(numeric_trim_scale, value);
	if (pinned)
		EffPinBegin(&bracket);
	EffTypeOutput(type, &output);
	text = OidOutputFunctionCall(output, value);
	if (pinned)
		EffPinEnd(&bracket);
	if (is_case_insensitive(type))
		text = str_tolower(text, strlen(text), DEFAULT_COLLATION_OID);
	if (type == BPCHAROID)
	{
		int			length = strlen(text);

		while (length > 0 && text[length - 1] == ' ')
			text[--length] = '\0';
	}
	return text;
}

/* is_case_insensitive: citext, whose equal values differ in case */
static bool
is_case_insensitive(Oid type)
{
	Oid			extension;

	if (type < FirstNormalObjectId)
		return false;
	extension = getExtensionOfObject(TypeRelationId, type);
	return OidIsValid(extension) && extension == get_extension_oid("citext", true);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp((*(SubjectKey *const *) a)->text, (*(SubjectKey *const *) b)->text);
}

static void
null_identifier(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_SUBJECT),
			 errmsg("subject identifier must not be NULL"),
			 errhint("Give every value of the key.")));
}
