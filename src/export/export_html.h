/*
 * export_html.h
 *	  The page that shows the document of an export.
 */
#ifndef EFF_EXPORT_HTML_H
#define EFF_EXPORT_HTML_H

#include "effaced.h"
#include "utils/jsonb.h"

/* The page, text, in the encoding of the database */
extern Datum EffExportHtml(Jsonb *bundle);

#endif							/* EFF_EXPORT_HTML_H */
