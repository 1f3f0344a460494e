/*
 * path.c
 *	  Splits the path of a link; what its names mean is for graph.c.
 */
#include "postgres.h"

#include "label/path.h"

#include "lib/stringinfo.h"

static char *trimmed(StringInfo name, int *quoted_length);

/*
 * EffPathParse splits a dotted path; names may be quoted as identifiers are.
 */
List *
EffPathParse(const char *path)
{
	const char *p = path;
	List	   *result = NIL;

	for (;;)
	{
		PathSegment *segment = palloc0(sizeof(PathSegment));
		const char *start;
		StringInfoData name;
		bool		inside = false;
		int			quoted_length = 0;

		p += strspn(p, " \t\r\n");
		start = p;
		initStringInfo(&name);
		for (;; p++)
		{
			bool		quoted = false;

			if (*p == '"')
			{
				for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
				{
					if (*p == '"')
						p++;
					appendStringInfoChar(&name, *p);
				}
				if (*p == '\0')
					goto malformed;
				quoted = true;
			}
			if (quoted)
			{
				quoted_length = name.len;
				continue;
			}
			if (*p == '(' && !inside && name.len > 0)
			{
				segment->name = trimmed(&name, &quoted_length);
				inside = true;
			}
			else if ((*p == ',' || *p == ')') && inside)
			{
				if (name.len == 0)
					goto malformed;
				segment->columns = lappend(segment->columns, trimmed(&name, &quoted_length));
				if (*p == ')')
				{
					p++;
					break;
				}
			}
			else if (*p == '.' && !inside)
				break;
			else if (*p == '\0')
			{
				if (inside)
					goto malformed;
				break;
			}
			else if (name.len > 0 || strchr(" \t\r\n", *p) == NULL)
				appendStringInfoChar(&name, *p);
		}
		segment->text = pnstrdup(start, p - start);
		if (segment->name == NULL)
			segment->name = trimmed(&name, &quoted_length);
		if (segment->name[0] == '\0')
			goto malformed;
		result = lappend(result, segment);
		p += strspn(p, " \t\r\n");
		if (*p == '\0')
			return result;
		if (*p != '.')
			goto malformed;
		p++;
	}

malformed:
	ereport(ERROR,
			(errcode(ERRCODE_EFF_MANIFEST),
			 errmsg("path \"%s\" is malformed", path),
			 errhint("Write segments divided by dots, each the name of a foreign key, its column or its table, or child(column).")));
}

/* trimmed takes a name out of the buffer, without the blanks behind what is quoted. */
static char *
trimmed(StringInfo name, int *quoted_length)
{
	char	   *result;

	while (name->len > *quoted_length && strchr(" \t\r\n", name->data[name->len - 1]) != NULL)
		name->data[--name->len] = '\0';
	result = pstrdup(name->data);
	resetStringInfo(name);
	*quoted_length = 0;
	return result;
}
