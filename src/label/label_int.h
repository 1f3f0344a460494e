/*
 * label_int.h
 *	  Between the files that read labels.
 */
#ifndef EFF_LABEL_INT_H
#define EFF_LABEL_INT_H

#include "label/label.h"

/* An interval in ISO 8601; ERROR ZE001 where it is not positive */
extern char *EffLabelDuration(const char *text);

#endif							/* EFF_LABEL_INT_H */
