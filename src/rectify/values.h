/*
 * values.h
 *	  Corrected values, as their columns take them.
 */
#ifndef EFF_VALUES_H
#define EFF_VALUES_H

#include "effaced.h"
#include "exec/exec.h"

/* The value of each RectifyColumn, inside the SPI bracket; ERROR ZE004 where one does not fit */
extern BoundValue *EffRectifyConvert(List *columns, List *corrections);

#endif							/* EFF_VALUES_H */
