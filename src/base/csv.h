/*
 * csv.h (public)
 *	  Writing CSV by RFC 4180, for people who open it in a spreadsheet.
 */
#ifndef EFF_CSV_H
#define EFF_CSV_H

#include "effaced.h"
#include "lib/stringinfo.h"

/* Append a cell.  NULL is empty and "" quoted; number: the text is of a numeric type */
extern void EffCsvCell(StringInfo buf, int column, const char *text, bool number);
extern void EffCsvEndLine(StringInfo buf);

#endif							/* EFF_CSV_H */
