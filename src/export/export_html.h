/*
 * export_html.h
 *	  The bundle of an export, and the page that shows it.
 */
#ifndef EFF_EXPORT_HTML_H
#define EFF_EXPORT_HTML_H

#include "effaced.h"
#include "subject/identifier.h"

/* What effaced_export() gives of a subject; records that it was asked for and given */
extern Datum EffExportBundle(MapTable *subject, SubjectKey *key);

/* The page, text, in the encoding of the database */
extern Datum EffExportHtml(Datum bundle);

#endif							/* EFF_EXPORT_HTML_H */
