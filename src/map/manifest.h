/*
 * manifest.h (public)
 *	  The data map as a document.
 */
#ifndef EFF_MANIFEST_H
#define EFF_MANIFEST_H

#include "effaced.h"
#include "utils/jsonb.h"

/* What effaced_manifest() returns; ERROR where the labels of a table are in error */
extern Jsonb *EffManifestDocument(void);

#endif							/* EFF_MANIFEST_H */
