/*
 * owners.c
 *	  Who owns the rows of a table.
 *
 * A subject owns a row of its own table, and rows that an owner link leads to it
 * from.  Where rows may have several owners, plans have to find out whose each
 * row is; what the data map tells of that is told here.
 */
#include "postgres.h"

#include "map/graph.h"

static OwnerClaim *make_claim(MapTable *subject, TableLink *link);

/*
 * EffOwnersClaims returns the ways (OwnerClaim) in which rows of a table have
 * owners: the row itself where the table is a subject's and, where with_links is
 * true, each owner link.
 */
List *
EffOwnersClaims(MapTable *table, bool with_links)
{
	List	   *claims = NIL;

	if (table->is_subject)
		claims = lappend(claims, make_claim(table, NULL));
	foreach_ptr(TableLink, link, with_links ? table->links : NIL)
		if (link->label->role == ROLE_OWNER)
			claims = lappend(claims, make_claim(link->subject, link));
	return claims;
}

/*
 * EffOwnersOfValue returns the ways in which a value of a table has owners: those
 * of its row where link is NULL; else the links of that name, since a value that
 * its label ties to a link is about that link's subject, whatever the link's role.
 */
List *
EffOwnersOfValue(MapTable *table, const char *link)
{
	List	   *claims = NIL;

	if (link == NULL)
		return EffOwnersClaims(table, true);
	foreach_ptr(TableLink, other, table->links)
		if (other->name != NULL && strcmp(other->name, link) == 0)
			claims = lappend(claims, make_claim(other->subject, other));
	return claims;
}

/*
 * EffOwnersContested tells whether a row that a subject owns may have other
 * owners.  By a single link along references a row has one owner; by several
 * links, or by a hop that may meet several rows, it may have more.
 */
bool
EffOwnersContested(MapTable *table, MapTable *subject)
{
	int			owners = table->is_subject && table != subject ? 1 : 0;

	if (table == subject)
		return false;
	foreach_ptr(TableLink, link, table->links)
	{
		if (link->label->role != ROLE_OWNER)
			continue;
		owners++;
		if (link->reverse && link->subject == subject)
			return true;
	}
	return owners > 1;
}

/*
 * EffOwnersTwins returns the ways in which rows have owners by a column that
 * detaching the row from a link's subject sets to NULL: other links that start
 * at the column, and the link itself where it may lead to several owners.
 */
List *
EffOwnersTwins(DataMap *map, TableLink *link)
{
	List	   *columns = EffDetachLinkColumns(map, link);
	List	   *claims = NIL;

	foreach_ptr(OwnerClaim, claim, EffOwnersClaims(link->table, true))
		if (claim->link != NULL && (claim->link != link || link->reverse) &&
			EffLinkStartsAt(claim->link, columns))
			claims = lappend(claims, claim);
	return claims;
}

/* EffOwnersHaveTwin tells whether EffOwnersTwins() returns anything. */
bool
EffOwnersHaveTwin(DataMap *map, TableLink *link)
{
	return EffOwnersTwins(map, link) != NIL;
}

static OwnerClaim *
make_claim(MapTable *subject, TableLink *link)
{
	OwnerClaim *claim = palloc0(sizeof(OwnerClaim));

	claim->subject = subject;
	claim->link = link;
	return claim;
}
