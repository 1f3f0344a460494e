/*
 * export_html.c
 *	  effaced_export_html(): an export as a page.
 *
 * Functions are called directly: whoever may ask for a page needs no privilege
 * on what it is made of.
 */
#include "postgres.h"

#include "base/gone.h"
#include "base/own.h"
#include "export/export_html.h"
#include "map/graph.h"

#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_export_html);

static Oid	find_function(const char *name, int nargs, Oid *types);

/*
 * effaced_export_html(subject_id, subject) shows the same records as
 * effaced_export(), and records the same events.
 */
Datum
effaced_export_html(PG_FUNCTION_ARGS)
{
	DataMap    *map = EffGraphGet();
	MapTable   *subject = EffGraphSubjectArgument(map, fcinfo, 1);
	SubjectKey *key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));

	return EffExportHtml(EffExportBundle(subject, key));
}

Datum
EffExportBundle(MapTable *subject, SubjectKey *key)
{
	Oid			types[] = {TEXTOID, JSONBOID, REGCLASSOID, TEXTOID};

	return OidFunctionCall4(find_function("effaced_export", lengthof(types), types),
							CStringGetTextDatum(key->text),
							DirectFunctionCall1(jsonb_in, CStringGetDatum("[]")),
							ObjectIdGetDatum(subject->rel->oid), CStringGetTextDatum("access"));
}

/*
 * EffExportHtml renders what the bundle holds, with what only the labels say:
 * descriptions, and terms that begin with no date.
 */
Datum
EffExportHtml(Datum bundle)
{
	Oid			types[] = {JSONBOID, JSONBOID};

	return OidFunctionCall2(find_function("effaced_bundle_html", lengthof(types), types), bundle,
							OidFunctionCall0(find_function("effaced_manifest", 0, NULL)));
}

/* find_function looks for one of effaced's own functions. */
static Oid
find_function(const char *name, int nargs, Oid *types)
{
	List	   *names = list_make2(makeString(EffSchemaName(EffExtensionSchema())), makeString(pstrdup(name)));

	return LookupFuncName(names, nargs, types, false);
}
