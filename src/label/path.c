/*
 * path.c
 *	  Splits the path of a link; what its names mean is for map/links.c.
 *
 * A path is segments divided by dots, and a segment a name, or a name and column
 * names in parentheses.  Any name may be quoted as an identifier is.
 */
#include "postgres.h"

#include "label/path.h"

#include "lib/stringinfo.h"

#define BLANKS " \t\r\n"

/* How far a path has been read */
typedef struct PathScanner
{
	const char *path;
	const char *p;
} PathScanner;

static PathSegment *read_segment(PathScanner *scanner);
static char *read_name(PathScanner *scanner, const char *stops);
static void read_quoted(PathScanner *scanner, StringInfo name);
static void skip_blanks(PathScanner *scanner);
static void malformed(PathScanner *scanner) pg_attribute_noreturn();

/*
 * EffPathParse returns the segments of a path, as a list of PathSegment in the
 * current memory context.  ERROR ZE001 where the path is malformed.
 */
List *
EffPathParse(const char *path)
{
	PathScanner scanner = {path, path};
	List	   *segments = NIL;

	for (;;)
	{
		skip_blanks(&scanner);
		segments = lappend(segments, read_segment(&scanner));
		skip_blanks(&scanner);
		if (*scanner.p == '\0')
			return segments;
		if (*scanner.p != '.')
			malformed(&scanner);
		scanner.p++;
	}
}

static PathSegment *
read_segment(PathScanner *scanner)
{
	PathSegment *segment = palloc0(sizeof(PathSegment));
	const char *start = scanner->p;

	segment->name = read_name(scanner, "(.");
	if (*scanner->p == '(')
	{
		do
		{
			scanner->p++;
			segment->columns = lappend(segment->columns, read_name(scanner, ",)"));
		} while (*scanner->p == ',');
		if (*scanner->p != ')')
			malformed(scanner);
		scanner->p++;
	}
	segment->text = pnstrdup(start, scanner->p - start);
	return segment;
}

/*
 * read_name reads a name up to the first of the characters that stop it, which is
 * not taken.  Blanks around the name are left out, unless they are quoted.  A
 * parenthesis that no name stands before belongs to the name.
 */
static char *
read_name(PathScanner *scanner, const char *stops)
{
	StringInfoData name;
	int			quoted_length = 0;

	initStringInfo(&name);
	for (; *scanner->p != '\0'; scanner->p++)
	{
		if (*scanner->p == '"')
		{
			read_quoted(scanner, &name);
			quoted_length = name.len;
		}
		else if (strchr(stops, *scanner->p) != NULL && (*scanner->p != '(' || name.len > 0))
			break;
		else if (name.len > 0 || strchr(BLANKS, *scanner->p) == NULL)
			appendStringInfoChar(&name, *scanner->p);
	}
	while (name.len > quoted_length && strchr(BLANKS, name.data[name.len - 1]) != NULL)
		name.data[--name.len] = '\0';
	if (name.len == 0)
		malformed(scanner);
	return name.data;
}

/* read_quoted appends what stands in quotes, and stops at the closing one. */
static void
read_quoted(PathScanner *scanner, StringInfo name)
{
	for (scanner->p++; *scanner->p != '"' || scanner->p[1] == '"'; scanner->p++)
	{
		if (*scanner->p == '\0')
			malformed(scanner);
		if (*scanner->p == '"')
			scanner->p++;
		appendStringInfoChar(name, *scanner->p);
	}
}

static void
skip_blanks(PathScanner *scanner)
{
	scanner->p += strspn(scanner->p, BLANKS);
}

static void
malformed(PathScanner *scanner)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("path \"%s\" is malformed", scanner->path),
			 errhint("Write segments divided by dots, each the name of a foreign key, its column "
					 "or its table, or child(column).")));
}
