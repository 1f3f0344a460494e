/*
 * export.h (public)
 *	  Access and portability (Art. 15, 20) for callers in C: effaced_export(), the
 *	  page and the access folder are shells around EffExportBundle().
 */
#ifndef EFF_EXPORT_H
#define EFF_EXPORT_H

#include "effaced.h"
#include "subject/subject.h"
#include "utils/jsonb.h"

/* Define the setting of access folders; call once, when the module is loaded */
extern void EffExportInit(void);

/* What an export is asked for; a member that is zero asks for nothing special */
typedef struct ExportRequest
{
	DataMap    *map;
	MapTable   *subject;
	SubjectKey *key;
	Jsonb	   *refs;			/* references besides those in columns; NULL: none */
	bool		portability;	/* only what rests on consent or contract (Art. 20) */
} ExportRequest;

/* The document of an export; records in the trail that it was asked for and given */
extern Jsonb *EffExportBundle(const ExportRequest *request);

#endif							/* EFF_EXPORT_H */
