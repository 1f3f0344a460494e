/*
 * export_html.c
 *	  effaced_export_html(): an export as a page.
 */
#include "postgres.h"

#include "base/gone.h"
#include "base/own.h"
#include "export/export.h"
#include "export/export_html.h"
#include "map/graph.h"
#include "map/manifest.h"

#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(effaced_export_html);

/*
 * effaced_export_html(subject_id, subject) shows the same records as
 * effaced_export(), and records the same events.
 */
Datum
effaced_export_html(PG_FUNCTION_ARGS)
{
	ExportRequest request = {.map = EffGraphGet()};

	request.subject = EffGraphSubjectArgument(request.map, fcinfo, 1);
	request.key = EffIdentifierResolve(request.subject, EffIdentifierArgument(fcinfo, 0));
	return EffExportHtml(EffExportBundle(&request));
}

/*
 * EffExportHtml returns the page that shows a document of EffExportBundle(), as
 * text in the encoding of the database.  The page adds what only the labels say:
 * descriptions, and terms that begin with no date.
 *
 * The page is written by an SQL function, which is called directly: whoever may
 * ask for a page needs no privilege on what it is made of.
 */
Datum
EffExportHtml(Jsonb *bundle)
{
	Oid			types[] = {JSONBOID, JSONBOID};
	List	   *name = list_make2(makeString(get_namespace_name(EffExtensionSchema())),
								  makeString("effaced_bundle_html"));

	return OidFunctionCall2(LookupFuncName(name, lengthof(types), types, false),
							JsonbPGetDatum(bundle), JsonbPGetDatum(EffManifestDocument()));
}
