/*
 * label_int.h
 *	  Between the files that read labels.
 */
#ifndef EFF_LABEL_INT_H
#define EFF_LABEL_INT_H

#include "label/label.h"

extern char *EffLabelDuration(JsonbContainer *object);

#endif							/* EFF_LABEL_INT_H */
