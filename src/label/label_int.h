/*
 * label_int.h
 *	  Between the files that read labels.
 */
#ifndef EFF_LABEL_INT_H
#define EFF_LABEL_INT_H

#include "label/label.h"

/* Members of a label that are texts; ERROR ZE001 where a text is required or not one */
extern char *EffLabelString(JsonbContainer *object, const char *key, bool required);

/* The duration of a retention policy, in ISO 8601 */
extern char *EffLabelDuration(JsonbContainer *object);

#endif							/* EFF_LABEL_INT_H */
