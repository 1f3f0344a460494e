/*
 * owners.c
 *	  FIXME
 */
#include "postgres.h"

#include "map/graph.h"

static bool same_hop(JoinHop *a, JoinHop *b);

List *
EffOwnersOfValue(MapTable *table, const char *link)
{
	List	   *claims = NIL;

	if (table->is_subject && link == NULL)
	{
		OwnerClaim *self = palloc0(sizeof(OwnerClaim));

		self->subject = table;
		claims = list_make1(self);
	}
	foreach_ptr(TableLink, other, table->links)
	{
		OwnerClaim *claim;

		if (link != NULL ? other->name == NULL || strcmp(other->name, link) != 0 : other->label->role != ROLE_OWNER)
			continue;
		claim = palloc0(sizeof(OwnerClaim));
		claim->subject = other->subject;
		claim->link = other;
		claims = lappend(claims, claim);
	}
	return claims;
}

/*
 * EffOwnersContested: a single link along references has one owner a row;
 * several links, or a hop that may meet several rows, may have more.
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

/* EffOwnersHaveTwin: another owner may have the row by the columns of this link. */
bool
EffOwnersHaveTwin(DataMap *map, TableLink *link)
{
	return EffOwnersTwins(map, link) != NIL;
}

/*
 * EffOwnersClaims lists the owners of a table's rows: itself where it is a subject
 * table, and its owner links.
 */
List *
EffOwnersClaims(MapTable *table, bool with_links)
{
	List	   *claims = NIL;
	OwnerClaim *claim;

	if (table->is_subject)
	{
		claim = palloc0(sizeof(OwnerClaim));
		claim->subject = table;
		claims = lappend(claims, claim);
	}
	if (with_links)
		foreach_ptr(TableLink, link, table->links)
		{
			if (link->label->role != ROLE_OWNER)
				continue;
			claim = palloc0(sizeof(OwnerClaim));
			claim->subject = link->subject;
			claim->link = link;
			claims = lappend(claims, claim);
		}
	return claims;
}

/*
 * EffOwnersTwins lists the claims by owner links that start at what this one lets go of:
 * others, and itself where it may lead to several owners.
 */
List *
EffOwnersTwins(DataMap *map, TableLink *link)
{
	List	   *columns = EffDetachLinkColumns(map, link);
	List	   *claims = NIL;

	foreach_ptr(OwnerClaim, claim, EffOwnersClaims(link->table, true))
	{
		if (claim->link != NULL && (claim->link != link || link->reverse) &&
			EffLinkStartsAt(claim->link, columns))
			claims = lappend(claims, claim);
	}
	return claims;
}

/*
 * EffLinkIsKey tells whether columns of a subject table are its whole
 * identifier, in whatever order.
 */
bool
EffLinkIsKey(MapTable *subject, const AttrNumber *target_columns, int n)
{
	if (n != subject->nkey)
		return false;
	for (int i = 0; i < n; i++)
	{
		bool		found = false;

		for (int k = 0; k < n; k++)
			found |= subject->key[k] == target_columns[i];
		if (!found)
			return false;
	}
	return true;
}

bool
EffLinkSameHops(TableLink *link, int i, TableLink *other)
{
	int			rest = list_length(link->hops) - i;

	if (other->subject != link->subject || list_length(other->hops) != rest)
		return false;
	for (int k = 0; k < rest; k++)
		if (!same_hop(list_nth(link->hops, i + k), list_nth(other->hops, k)))
			return false;
	return true;
}

/*
 * EffLinkStartsAt: one of the columns (int attnums) is where a link begins.
 */
bool
EffLinkStartsAt(TableLink *link, List *columns)
{
	JoinHop    *first = linitial(link->hops);

	for (int i = 0; i < first->n && !first->reverse; i++)
		if (list_member_int(columns, first->source_columns[i]))
			return true;
	return false;
}

/*
 * EffLinkCarriesKey tells whether the last hop's source columns are the subject's
 * whole identifier, so that the subject table need not be read.
 */
bool
EffLinkCarriesKey(TableLink *link)
{
	JoinHop    *last = llast(link->hops);

	return link->subject->label->subject_where == NULL &&
		EffLinkIsKey(link->subject, last->target_columns, last->n);
}

static bool
same_hop(JoinHop *a, JoinHop *b)
{
	return a->source == b->source && a->target == b->target && a->n == b->n &&
		memcmp(a->source_columns, b->source_columns, sizeof(AttrNumber) * a->n) == 0 &&
		memcmp(a->target_columns, b->target_columns, sizeof(AttrNumber) * a->n) == 0;
}
