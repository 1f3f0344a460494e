/*
 * label.c
 *	  From the JSON text of a label to a struct, or ERROR ZE001.
 *
 * The words and keys allowed are those of the label tables in doc/reference.md.
 */
#include "postgres.h"

#include "base/jsonb.h"
#include "label/label_int.h"

#include "utils/builtins.h"

static const char *const category_words[] = {
	"contact", "identity", "financial", "behavioral", "technical", "location",
	"communication", "special", NULL
};
static const char *const erasure_words[] = {"delete", "anonymize", "retain", NULL};
static const char *const basis_words[] = {
	"consent", "contract", "legal_obligation", "vital_interests", "public_task",
	"legitimate_interests", NULL
};
static const char *const expiry_words[] = {"report", "anonymize", "delete", NULL};
static const char *const role_words[] = {"owner", "accessor", NULL};
static const char *const shared_words[] = {"keep", "erase", NULL};

static const char *const column_keys[] = {
	"category", "erasure", "legal_basis", "description", "purpose", "retention",
	"surrogate", "fact", "link", "ref", "trace", NULL
};
static const char *const retention_keys[] = {
	"reason", "basis", "duration", "anchor", "on_expiry", NULL
};
static const char *const table_keys[] = {
	"path", "subject_id_columns", "subject", "owned", "where", "hops", "role",
	"redact", "shared", "release", "set", "links", NULL
};
static const char *const link_keys[] = {
	"name", "path", "hops", "where", "role", "redact", "shared", "release", NULL
};
static const char *const hop_keys[] = {
	"source_columns", "target_table", "target_columns", NULL
};

static int	word_member(JsonbContainer *object, const char *key, const char *const *words,
						int unset);
static char *label_string(JsonbContainer *object, const char *key, bool required);
static char *label_name(JsonbContainer *object, const char *key, bool required);
static bool bool_member(JsonbContainer *object, const char *key);
static List *strings_member(JsonbContainer *object, const char *key);
static RetentionPolicy *parse_retention(JsonbContainer *object);
static char *parse_duration(JsonbContainer *object);
static LinkLabel *parse_link(JsonbContainer *object);
static List *parse_links(JsonbContainer *object);
static List *parse_hops(JsonbContainer *object);
static List *objects_member(JsonbContainer *object, const char *key, const char *const *keys,
							const char *hint);
static List *parse_set(JsonbContainer *object);

/*
 * EffLabelParseColumn returns the label of a column that a text holds, in the
 * current memory context.  ERROR ZE001 says what is wrong with it and what is
 * allowed.
 */
ColumnLabel *
EffLabelParseColumn(const char *json)
{
	return EffLabelColumnFromJsonb(EffJsonbParse(json, "label", column_keys));
}

/*
 * EffLabelParseTable does the same for the label of a table.
 */
TableLabel *
EffLabelParseTable(const char *json)
{
	return EffLabelTableFromJsonb(EffJsonbParse(json, "label", table_keys));
}

/*
 * EffLabelColumnFromJsonb does the same for an object that has been read: the
 * spec of a column in a manifest.
 */
ColumnLabel *
EffLabelColumnFromJsonb(Jsonb *spec)
{
	JsonbContainer *object = &spec->root;
	ColumnLabel *label = palloc0(sizeof(ColumnLabel));
	int			word;

	EffJsonbCheckKeys(object, column_keys, "column label");

	word = word_member(object, "category", category_words, -1);
	if (word < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label lacks the required key \"category\""),
				 errhint("Allowed values: %s.", EffJsonbWords(category_words))));
	label->category = pstrdup(category_words[word]);
	label->erasure = word_member(object, "erasure", erasure_words, ERASURE_DELETE);
	word = word_member(object, "legal_basis", basis_words, -1);
	label->legal_basis = word < 0 ? NULL : pstrdup(basis_words[word]);
	label->description = label_string(object, "description", false);
	label->purpose = label_string(object, "purpose", false);
	label->retention = parse_retention(object);
	label->surrogate = label_name(object, "surrogate", false);
	label->fact = label_name(object, "fact", false);
	label->link = label_name(object, "link", false);
	label->ref = label_name(object, "ref", false);
	if (EffJsonbMember(object, "trace") != NULL)
		label->trace = bool_member(object, "trace") ? TRACE_ALWAYS : TRACE_NEVER;

	if (label->erasure == ERASURE_RETAIN && label->retention == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label lacks the key \"retention\", "
						"which \"erasure\": \"retain\" requires"),
				 errdetail("A duty to keep a value must name its reason."),
				 errhint("Add \"retention\": {\"reason\": \"...\"} to the label.")));
	if (label->erasure == ERASURE_DELETE && label->retention != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"retention\" does not go with \"erasure\": \"delete\""),
				 errhint("Allowed with \"erasure\": \"retain\" and \"anonymize\".")));
	return label;
}

/*
 * EffLabelTableFromJsonb does the same for the label of a table: the
 * subject_link of a manifest.
 */
TableLabel *
EffLabelTableFromJsonb(Jsonb *spec)
{
	JsonbContainer *object = &spec->root;
	TableLabel *label = palloc0(sizeof(TableLabel));
	LinkLabel  *link;
	char	   *path;
	ListCell   *lc;

	EffJsonbCheckKeys(object, table_keys, "table label");

	label->owned = bool_member(object, "owned");
	label->subject = label_name(object, "subject", false);
	label->subject_id_columns = strings_member(object, "subject_id_columns");
	if (list_length(label->subject_id_columns) > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"subject_id_columns\" names more than %d columns",
						INDEX_MAX_KEYS),
				 errhint("Name the columns of a key.")));
	label->set = parse_set(object);
	path = label_string(object, "path", false);

	if (EffJsonbMember(object, "links") != NULL)
	{
		static const char *const alone[] = {"hops", "where", "role", "redact", "shared",
			"release"};
		bool		marked = false;

		for (int i = 0; i < lengthof(alone); i++)
			if (EffJsonbMember(object, alone[i]) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"%s\" does not go beside \"links\"", alone[i]),
						 errhint("Write it into the entries of \"links\".  Allowed beside "
								 "\"links\": subject_id_columns, subject, owned, set, and "
								 "\"path\": \"\".")));
		if (path != NULL && path[0] != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"path\" does not go beside \"links\""),
					 errhint("Write it into the entries of \"links\"; beside them only \"path\": "
							 "\"\" is allowed, which marks a subject table.")));
		label->is_subject = path != NULL;
		label->many = true;
		label->links = parse_links(object);
		foreach(lc, label->links)
		{
			link = lfirst(lc);
			if (link->path != NULL && link->path[0] == '\0')
			{
				if (marked)
					ereport(ERROR,
							(errcode(ERRCODE_EFF_MANIFEST),
							 errmsg("label key \"links\" marks the subject table twice"),
							 errhint("Keep one entry with \"path\": \"\".")));
				marked = true;
				label->is_subject = true;
				label->subject_where = link->where;
				label->links = foreach_delete_current(label->links, lc);
			}
		}
	}
	else
	{
		link = parse_link(object);
		if (link->path != NULL && link->path[0] == '\0')
		{
			label->is_subject = true;
			label->subject_where = link->where;
		}
		else
			label->links = list_make1(link);
	}

	if (!label->is_subject && (label->subject != NULL || label->subject_id_columns != NIL))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" is for subject tables only",
						label->subject != NULL ? "subject" : "subject_id_columns"),
				 errhint("A subject table is marked by \"path\": \"\".")));
	return label;
}

/*
 * EffLabelIsCategory tells whether a word is a category of personal data.
 */
bool
EffLabelIsCategory(const char *word)
{
	for (int i = 0; category_words[i] != NULL; i++)
		if (strcmp(category_words[i], word) == 0)
			return true;
	return false;
}

/*
 * EffLabelCategories returns all of these words, for a hint.
 */
char *
EffLabelCategories(void)
{
	return EffJsonbWords(category_words);
}

/*
 * EffErasureWord returns the word that labels and manifests have for a value
 * of the enum; the next three do the same for theirs.
 */
const char *
EffErasureWord(ErasureStrategy erasure)
{
	return erasure_words[erasure];
}

/*
 * EffExpiryWord returns the word for what is done to an expired value.
 */
const char *
EffExpiryWord(ExpiryAction action)
{
	return expiry_words[action];
}

/*
 * EffRoleWord returns the word for the role of a link.
 */
const char *
EffRoleWord(LinkRole role)
{
	return role_words[role];
}

/*
 * EffSharedWord returns the word for what is done to rows of several owners.
 */
const char *
EffSharedWord(SharedPolicy shared)
{
	return shared_words[shared];
}

/* label_string reads a string; NULL where the key is unset. */
static char *
label_string(JsonbContainer *object, const char *key, bool required)
{
	char	   *text;

	if (!EffJsonbText(object, key, &text))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be a string", key),
				 errhint("Write \"%s\": \"...\".", key)));
	if (text == NULL && required)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label lacks the required key \"%s\"", key),
				 errhint("Give \"%s\" a string.", key)));
	return text;
}

/* label_name reads a string that must not be empty. */
static char *
label_name(JsonbContainer *object, const char *key, bool required)
{
	char	   *value = label_string(object, key, required);

	if (value != NULL && value[strspn(value, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must not be empty", key),
				 errhint("Write \"%s\": \"...\"%s.", key,
						 required ? "" : " or leave the key out")));
	return value;
}

static int
word_member(JsonbContainer *object, const char *key, const char *const *words, int unset)
{
	char	   *value;

	if (!EffJsonbText(object, key, &value))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be a string", key),
				 errhint("Allowed values: %s.", EffJsonbWords(words))));
	if (value == NULL)
		return unset;
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("label key \"%s\" has the unknown value \"%s\"", key, value),
			 errhint("Allowed values: %s.", EffJsonbWords(words))));
}

static bool
bool_member(JsonbContainer *object, const char *key)
{
	JsonbValue *value = EffJsonbMember(object, key);

	if (value == NULL)
		return false;
	if (value->type != jbvBool)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be true or false", key),
				 errhint("Write \"%s\": true.", key)));
	return value->val.boolean;
}

/* strings_member reads an array of distinct names; NIL where the key is unset. */
static List *
strings_member(JsonbContainer *object, const char *key)
{
	JsonbValue *value = EffJsonbMember(object, key);
	List	   *result = NIL;
	int			n;

	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data) ||
		(n = JsonContainerSize(value->val.binary.data)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be an array of column names", key),
				 errhint("Write \"%s\": [\"...\"].", key)));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
		char	   *name;
		ListCell   *lc;

		if (element->type != jbvString || element->val.string.len == 0)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"%s\" must be an array of column names", key),
					 errhint("Write \"%s\": [\"...\"].", key)));
		name = pnstrdup(element->val.string.val, element->val.string.len);
		foreach(lc, result)
			if (strcmp(lfirst(lc), name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"%s\" names column \"%s\" twice", key, name),
						 errhint("Name each column once.")));
		result = lappend(result, name);
	}
	return result;
}

static RetentionPolicy *
parse_retention(JsonbContainer *object)
{
	JsonbValue *value = EffJsonbMember(object, "retention");
	RetentionPolicy *retention;
	JsonbContainer *inner;
	int			word;

	if (value == NULL)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"retention\" must be an object"),
				 errhint("Allowed keys: %s.", EffJsonbWords(retention_keys))));
	inner = value->val.binary.data;
	EffJsonbCheckKeys(inner, retention_keys, "label key \"retention\"");

	retention = palloc0(sizeof(RetentionPolicy));
	retention->reason = label_name(inner, "reason", true);
	word = word_member(inner, "basis", basis_words, 2);
	retention->basis = pstrdup(basis_words[word]);
	retention->duration = parse_duration(inner);
	retention->anchor = label_name(inner, "anchor", false);
	retention->on_expiry = word_member(inner, "on_expiry", expiry_words, EXPIRY_REPORT);
	return retention;
}

/* parse_duration reads an interval, or a number of seconds. */
static char *
parse_duration(JsonbContainer *object)
{
	JsonbValue *value = EffJsonbMember(object, "duration");
	Datum		number;

	if (value == NULL)
		return NULL;
	if (value->type != jbvNumeric)
		return EffLabelDuration(label_string(object, "duration", true));
	number = DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric));
	return EffLabelDuration(psprintf("%s seconds", DatumGetCString(number)));
}

/* parse_link reads the keys of one link, in a table label or in "links". */
static LinkLabel *
parse_link(JsonbContainer *object)
{
	LinkLabel  *link = palloc0(sizeof(LinkLabel));

	link->path = label_string(object, "path", false);
	link->hops = parse_hops(object);
	link->where = label_name(object, "where", false);
	link->role = word_member(object, "role", role_words, ROLE_OWNER);
	link->redact = strings_member(object, "redact");
	link->shared = word_member(object, "shared", shared_words, SHARED_KEEP);
	link->release = bool_member(object, "release");
	link->release_given = EffJsonbMember(object, "release") != NULL;

	if (link->path != NULL && link->hops != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label keys \"path\" and \"hops\" exclude each other"),
				 errhint("Keep one of them.")));
	if (link->path != NULL && link->path[0] == '\0')
	{
		const char *other = link->role != ROLE_OWNER ? "role" : link->redact != NIL ? "redact" :
			link->shared != SHARED_KEEP ? "shared" : link->release ? "release" : NULL;

		if (other != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"%s\" does not go with \"path\": \"\"", other),
					 errhint("A row of a subject table is nobody's but the subject's; leave the "
							 "key out.")));
	}
	if (link->redact != NIL && link->role != ROLE_ACCESSOR)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"redact\" is for accessors only"),
				 errhint("Add \"role\": \"accessor\" or leave \"redact\" out.")));
	if (link->release && link->role == ROLE_ACCESSOR)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"release\" is for owners only"),
				 errhint("An accessor's rows are not erased for the accessor; leave the key"
						 " out.")));
	return link;
}

static List *
parse_links(JsonbContainer *object)
{
	List	   *result = NIL;
	ListCell   *entry;

	foreach(entry, objects_member(object, "links", link_keys,
								  psprintf("Allowed keys of each: %s.", EffJsonbWords(link_keys))))
	{
		LinkLabel  *link = parse_link(lfirst(entry));

		link->name = label_name(lfirst(entry), "name", true);
		if (link->path == NULL && link->hops == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("link \"%s\" lacks the key \"path\" or \"hops\"", link->name),
					 errhint("Say how the link leads to a subject table, for example \"path\": "
							 "\"user_id\".")));
		foreach_ptr(LinkLabel, each_label, result)
			if (strcmp(each_label->name, link->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_EFF_MANIFEST),
						 errmsg("label key \"links\" has two links named \"%s\"", link->name),
						 errhint("Give each link a name of its own.")));
		result = lappend(result, link);
	}
	return result;
}

static List *
parse_hops(JsonbContainer *object)
{
	List	   *result = NIL;

	foreach_ptr(JsonbContainer, inner, objects_member(object, "hops", hop_keys,
							   psprintf("Required keys of each: %s.", EffJsonbWords(hop_keys))))
	{
		HopLabel   *hop = palloc0(sizeof(HopLabel));

		hop->source_columns = strings_member(inner, "source_columns");
		hop->target_table = label_name(inner, "target_table", true);
		hop->target_columns = strings_member(inner, "target_columns");
		if (hop->source_columns == NIL || hop->target_columns == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label lacks the required key \"%s\"",
							hop->source_columns == NIL ? "source_columns" : "target_columns"),
					 errhint("Required keys of each hop: %s.", EffJsonbWords(hop_keys))));
		if (list_length(hop->source_columns) != list_length(hop->target_columns))
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label keys \"source_columns\" and \"target_columns\" "
							"differ in length"),
					 errhint("Each source column joins to the target column at its place.")));
		result = lappend(result, hop);
	}
	return result;
}

/*
 * objects_member returns the objects of a member that is an array of objects
 * and not empty, NIL where the member is unset.
 */
static List *
objects_member(JsonbContainer *object, const char *key, const char *const *keys, const char *hint)
{
	JsonbValue *value = EffJsonbMember(object, key);
	char	   *what = psprintf("entry of label key \"%s\"", key);
	List	   *objects = NIL;
	bool		valid;

	if (value == NULL)
		return NIL;
	valid = value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data) &&
		JsonContainerSize(value->val.binary.data) > 0;
	for (int i = 0; valid && i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbContainer *element = EffJsonbElementObject(value->val.binary.data, i);

		valid = element != NULL;
		if (valid)
			EffJsonbCheckKeys(element, keys, what);
		objects = lappend(objects, element);
	}
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"%s\" must be an array of objects", key),
				 errhint("%s", hint)));
	return objects;
}

static List *
parse_set(JsonbContainer *object)
{
	JsonbValue *value = EffJsonbMember(object, "set");
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	List	   *result = NIL;

	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_MANIFEST),
				 errmsg("label key \"set\" must be an object"),
				 errhint("Write \"set\": {\"column\": \"SQL expression\"}.")));
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		SetLabel   *set;

		if (token != WJB_KEY)
			continue;
		set = palloc0(sizeof(SetLabel));
		set->column = pnstrdup(v.val.string.val, v.val.string.len);
		(void) JsonbIteratorNext(&it, &v, true);
		if (v.type == jbvNull)
			continue;			/* unset, as everywhere */
		if (v.type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_MANIFEST),
					 errmsg("label key \"set\" must give column \"%s\" an SQL expression "
							"as a string",
							set->column),
					 errhint("Write \"set\": {\"column\": \"SQL expression\"}.")));
		set->expression = pnstrdup(v.val.string.val, v.val.string.len);
		result = lappend(result, set);
	}
	return result;
}
