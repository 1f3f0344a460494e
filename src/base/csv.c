/*
 * csv.c
 *	  Cells and lines of CSV.
 */
#include "postgres.h"

#include "base/csv.h"

#include "mb/pg_wchar.h"

static bool starts_formula(const char *text, bool number);
static bool is_formula_sign(const char *text);

/*
 * EffCsvCell appends a cell. column is its place in the line, counted from 0;
 * number says that the text is of a numeric type.  A NULL is an empty cell, an
 * empty text "".  A text that a spreadsheet would run as a formula gets an
 * apostrophe before it, also behind a semicolon, tab or line end in it: a spreadsheet
 * that separates cells by semicolons sees a cell begin there.  A text that holds more
 * than plain text is quoted.
 */
void
EffCsvCell(StringInfo buf, int column, const char *text, bool number)
{
	bool		formula = text != NULL && starts_formula(text, number);

	if (column > 0)
		appendStringInfoChar(buf, ',');
	if (text == NULL)
		return;
	/* \. alone would end the data for COPY */
	if (*text != '\0' && strpbrk(text, ",;\t\"\r\n") == NULL && strcmp(text, "\\.") != 0 &&
		text[0] != ' ' && text[strlen(text) - 1] != ' ')
	{
		appendStringInfo(buf, "%s%s", formula ? "'" : "", text);
		return;
	}
	appendStringInfoString(buf, formula ? "\"'" : "\"");
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '"')
			appendStringInfoChar(buf, '"');
		appendStringInfoChar(buf, *c);
		if (strchr(";\t\r\n", *c) != NULL && is_formula_sign(c + 1 + strspn(c + 1, "\"")))
			appendStringInfoChar(buf, '\'');
	}
	appendStringInfoChar(buf, '"');
}

/*
 * EffCsvEndLine ends a line, as RFC 4180 has it.
 */
void
EffCsvEndLine(StringInfo buf)
{
	appendStringInfoString(buf, "\r\n");
}

/* starts_formula: a signed number is none, where it is a number. */
static bool
starts_formula(const char *text, bool number)
{
	if (number && (text[0] == '-' || text[0] == '+') &&
		text[1] != '\0' && strspn(text + 1, "0123456789.eE+-") == strlen(text + 1))
		return false;
	if (text[0] != '\0' && strchr("\t\r\n", text[0]) != NULL)
		return true;
	return is_formula_sign(text);
}

/* is_formula_sign tells whether a text begins with what a formula begins with. */
static bool
is_formula_sign(const char *text)
{
	static const char *const wide[] = {"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d",
									   "\xef\xbc\xa0"};

	if (text[0] != '\0' && strchr("=+-@", text[0]) != NULL)
		return true;
	/* the same in full width, which some take for them */
	for (int i = 0; GetDatabaseEncoding() == PG_UTF8 && i < lengthof(wide); i++)
		if (strncmp(text, wide[i], strlen(wide[i])) == 0)
			return true;
	return false;
}
