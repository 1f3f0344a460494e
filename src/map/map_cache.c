/*
 * map_cache.c
 *	  Keeps the data map, and what other modules hang from it, until it is stale.
 *
 * Callbacks of the server's caches mark the map stale; they may be called at any
 * time and only set flags.  A map that is replaced stays until the transaction
 * ends, since its callers may still have pointers into it.
 */
#include "postgres.h"

#include "base/bracket.h"
#include "base/citus.h"
#include "base/own.h"
#include "map/admission.h"
#include "map/map_int.h"
#include "relations/fingerprint.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* The entries of one slot of a map */
typedef struct MapCache
{
	const MapCacheSlot *slot;
	List	   *entries;
} MapCache;

#define MAX_ATTEMPTS 20			/* to build on a map that is true once its tables are locked */

static DataMap *current_map = NULL;
static List *stale_maps = NIL;	/* of DataMap, in TopMemoryContext */
static bool building = false;
static bool changed_while_building = false;
static bool constraints_changed = false;	/* of some table, perhaps foreign keys */
static bool schemas_invalidated = false;	/* perhaps only their privileges, or a temporary one */
static uint64 role_changes = 0;	/* rights of roles, or who owns the database */
static uint64 role_changes_seen = 0;	/* how many of these the map has stood */
static uint64 maps_built = 0;	/* in this session, to tell them apart from outside */

static MapCache *cache_of(DataMap *map, const MapCacheSlot *slot);
static bool is_current(void);
static bool schemas_changed(void);
static bool relations_changed(void);
static List *take_suspects(DataMap *map);
static bool has_suspect(DataMap *map, MapRelation *entry);
static bool relation_differs(const MapRelation *entry);
static bool foreign_keys_changed(void);
static bool rights_changed(void);
static bool same_foreign_key(const ForeignKey *a, const ForeignKey *b);
static void mark_stale(void);
static void relation_changed(Datum arg, Oid relid);
static void type_changed(Datum arg, int cacheid, uint32 hashvalue);
static void schema_changed(Datum arg, int cacheid, uint32 hashvalue);
static void constraint_changed(Datum arg, int cacheid, uint32 hashvalue);
static void role_changed(Datum arg, int cacheid, uint32 hashvalue);
static void transaction_ended(XactEvent event, void *arg);
static void subtransaction_ended(SubXactEvent event, SubTransactionId id,
								 SubTransactionId parent, void *arg);
static void suspect_what_was_read(void);

/* EffMapInit registers the callbacks that mark the map stale; called once, by _PG_init(). */
void
EffMapInit(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, constraint_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, role_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}

/*
 * EffMapGet returns the data map as of now, perhaps without links resolved:
 * callers that need links use EffGraphGet().  It lives until the transaction ends.
 */
DataMap *
EffMapGet(void)
{
	AcceptInvalidationMessages();
	if (is_current())
		return current_map;

	for (int attempt = 0;; attempt++)
	{
		DataMap    *map;
		DataMap    *old = current_map;
		MemoryContext context;

		changed_while_building = false;
		constraints_changed = false;
		schemas_invalidated = false;
		role_changes_seen = role_changes;
		building = true;
		PG_TRY();
		{
			map = EffMapBuild();
		}
		PG_FINALLY();
		{
			building = false;
		}
		PG_END_TRY();

		context = MemoryContextSwitchTo(TopMemoryContext);
		if (old != NULL)
			stale_maps = lappend(stale_maps, old);
		MemoryContextSwitchTo(context);
		MemoryContextSetParent(map->context, TopMemoryContext);
		MemoryContextSetIdentifier(map->context,
								   MemoryContextStrdup(map->context,
													   psprintf(UINT64_FORMAT, ++maps_built)));
		current_map = map;
		if (!changed_while_building)
			break;
		map->stale = true;
		if (attempt >= 3)
			break;				/* used once, then built anew */
	}
	return current_map;
}

/*
 * EffMapTryAgain counts attempts to build on a map that holds; ERROR ZE005 where
 * they go on without end, as code that changes something while a plan is made
 * (a domain's CHECK, say) could bring about.
 */
void
EffMapTryAgain(int *attempts)
{
	CHECK_FOR_INTERRUPTS();
	if (++*attempts < MAX_ATTEMPTS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("the data map changes with every attempt to use it"),
			 errdetail("Nothing was changed.  Tables, labels or roles are changed all the time, or"
					   " code that runs while a plan is made does so, such as a domain's CHECK."),
			 errhint("Run the call again when nobody changes tables or labels."),
			 errhidestmt(true)));
}

/*
 * EffMapHold locks relations (EffRelation) and their children for writing, and
 * returns whether the map still holds; where it does not, fetch the map again.
 * Somebody may have changed one of them while its lock was waited for.  Once all
 * are locked, nobody adds a column, a foreign key or a trigger until the
 * transaction ends, so that what is built on the map stays right.
 */
bool
EffMapHold(DataMap *map, List *relations)
{
	CHECK_FOR_INTERRUPTS();
	foreach_ptr(EffRelation, relation, relations)
		foreach_oid(oid, relation->inheritors)
			LockRelationOid(oid, RowExclusiveLock);
	return EffMapGet() == map;
}

/*
 * EffMapCacheGet returns the entry of a slot for a key.  Where the map has none
 * yet, the slot's build() makes it, with the settings pinned and in a memory
 * context that lives as long as the map.  An entry holds what matches() compares
 * with a key: the key itself may be the caller's.  Where build() raises an error
 * nothing is kept, so that the next caller gets the error too.
 */
void *
EffMapCacheGet(DataMap *map, const MapCacheSlot *slot, const void *key)
{
	MapCache   *cache = cache_of(map, slot);
	MemoryContext context;
	MemoryContext previous;
	EffBracket	bracket;
	void	   *entry;
	ListCell   *lc;

	foreach(lc, cache->entries)
		if (slot->matches == NULL || slot->matches(lfirst(lc), key))
			return lfirst(lc);

	context = AllocSetContextCreate(CurrentMemoryContext, "effaced map entry",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSetIdentifier(context, slot->name);
	previous = MemoryContextSwitchTo(context);
	EffPinBegin(&bracket);
	entry = slot->build(map, key);
	EffPinEnd(&bracket);
	MemoryContextSetParent(context, map->context);
	MemoryContextSwitchTo(map->context);
	cache->entries = lappend(cache->entries, entry);
	MemoryContextSwitchTo(previous);

	/* what was made between a change and another that takes it back would look sound */
	AcceptInvalidationMessages();
	if (map->suspicions != map->settled)
		map->stale = true;
	return entry;
}

/*
 * EffMapInvalidate makes the map of every session stale when the transaction
 * commits, and the map of this session at once.  relid is the relation whose
 * labels changed, InvalidOid where the change is about no single one.
 */
void
EffMapInvalidate(Oid relid)
{
	Oid			extension = get_extension_oid(EFF_PROVIDER, true);

	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
	if (OidIsValid(extension))
	{
		Oid			own = get_relname_relid(EFF_SENTINEL, EffOwnSchema());

		if (OidIsValid(own))
			CacheInvalidateRelcacheByRelid(own);
	}
	mark_stale();
}

/* cache_of returns the entries of a slot, made empty where the slot is new to the map. */
static MapCache *
cache_of(DataMap *map, const MapCacheSlot *slot)
{
	MemoryContext previous;
	MapCache   *made;

	foreach_ptr(MapCache, cache, map->caches)
		if (cache->slot == slot)
			return cache;
	previous = MemoryContextSwitchTo(map->context);
	made = palloc0(sizeof(MapCache));
	made->slot = slot;
	map->caches = lappend(map->caches, made);
	MemoryContextSwitchTo(previous);
	return made;
}

/*
 * is_current tells whether there is a map, and it says what the catalogs say.
 * What other sessions did is looked into only as far as they were heard of.
 */
static bool
is_current(void)
{
	return current_map != NULL && !current_map->stale &&
		!schemas_changed() && !foreign_keys_changed() && !relations_changed() && !rights_changed();
}

static bool
schemas_changed(void)
{
	if (!schemas_invalidated)
		return false;
	schemas_invalidated = false;
	if (EffFingerprintSchemas() != current_map->schemas)
		mark_stale();
	return current_map->stale;
}

/*
 * relations_changed reads anew those relations of the map that may have changed,
 * and compares: VACUUM and ANALYZE, too, say that a table has changed, but the
 * map holds nothing of what they do.  An error in between leaves all suspect.
 */
static bool
relations_changed(void)
{
	DataMap    *map = current_map;
	uint64		suspicions = map->suspicions;
	MemoryContext context;
	MemoryContext previous;
	bool		changed;

	if (suspicions == map->settled)
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced suspects",
									ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	changed = EffCitusFingerprint() != map->citus;
	foreach_ptr(MapRelation, entry, take_suspects(map))
	{
		changed = changed || relation_differs(entry);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(context);
	map->all_suspect = false;
	map->settled = suspicions;
	if (changed)
		mark_stale();
	return map->stale;
}

/* take_suspects lists what is to be compared; until that is done, all is suspect. */
static List *
take_suspects(DataMap *map)
{
	List	   *suspects = NIL;
	HASH_SEQ_STATUS status;
	MapRelation *entry;

	hash_seq_init(&status, map->relations);
	while ((entry = hash_seq_search(&status)) != NULL)
		if ((entry->rel != NULL || entry->gone) && (map->all_suspect || has_suspect(map, entry)))
			suspects = lappend(suspects, entry);
	map->all_suspect = true;
	map->loading = false;
	hash_seq_init(&status, map->relations);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->suspect = false;
	return suspects;
}

/* has_suspect: the triggers and children of children are told with their table. */
static bool
has_suspect(DataMap *map, MapRelation *entry)
{
	if (entry->rel != NULL)
		foreach_oid(oid, entry->rel->inheritors)
		{
			MapRelation *child = hash_search(map->relations, &oid, HASH_FIND, NULL);

			if (child != NULL && child->suspect)
				return true;
		}
	return entry->suspect;
}

static bool
relation_differs(const MapRelation *entry)
{
	EffRelation *now = EffRelationLoad(entry->oid);

	if (now == NULL || entry->rel == NULL)
		return now != entry->rel;
	return now->fingerprint != entry->rel->fingerprint;
}

/*
 * foreign_keys_changed tells whether there are other foreign keys than the map
 * has.  One between tables that it has not loaded may open another way to a
 * subject, and the relcache would not tell of it.
 */
static bool
foreign_keys_changed(void)
{
	MemoryContext context;
	MemoryContext previous;
	List	   *foreign_keys;
	bool		changed;
	ListCell   *a;
	ListCell   *b;

	if (!constraints_changed)
		return false;
	constraints_changed = false;
	context = AllocSetContextCreate(CurrentMemoryContext, "effaced foreign keys",
									ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(context);
	foreign_keys = EffForeignKeysLoad();
	changed = list_length(foreign_keys) != list_length(current_map->foreign_keys);
	if (!changed)
		forboth(a, foreign_keys, b, current_map->foreign_keys)
			changed |= !same_foreign_key(lfirst(a), lfirst(b));
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(context);
	if (changed)
		mark_stale();
	return changed;
}

/*
 * rights_changed finds out whether labels of other owners count than when the map
 * was built.  Roles change for many reasons, passwords and settings among them.
 */
static bool
rights_changed(void)
{
	uint64		changes = role_changes;

	if (changes == role_changes_seen)
		return false;
	foreach_ptr(LabelOwner, owner, current_map->label_owners)
		if (EffLabelsCount(current_map->admitted, owner->role) != owner->counts)
			mark_stale();
	role_changes_seen = changes;
	return current_map->stale;
}

static bool
same_foreign_key(const ForeignKey *a, const ForeignKey *b)
{
	return a->oid == b->oid && strcmp(a->name, b->name) == 0 && strcmp(a->schema, b->schema) == 0 &&
		a->relid == b->relid && a->target == b->target &&
		a->nkeys == b->nkeys && a->nset == b->nset &&
		memcmp(a->columns, b->columns, sizeof(AttrNumber) * a->nkeys) == 0 &&
		memcmp(a->target_columns, b->target_columns, sizeof(AttrNumber) * a->nkeys) == 0 &&
		(a->nset == 0 ||
		 memcmp(a->set_columns, b->set_columns, sizeof(AttrNumber) * a->nset) == 0) &&
		a->on_delete == b->on_delete && a->on_update == b->on_update &&
		a->match_full == b->match_full &&
		a->deferrable == b->deferrable && a->initially_deferred == b->initially_deferred &&
		a->validated == b->validated && a->namesake == b->namesake;
}

static void
mark_stale(void)
{
	changed_while_building = true;
	if (current_map != NULL)
		current_map->stale = true;
}

/*
 * relation_changed only sets flags: it may be called at any time.  A change of
 * the sentinel is one of labels, which is not compared.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (building)
		changed_while_building = true;
	if (current_map == NULL || current_map->stale)
		return;
	if (!OidIsValid(relid) || relid == current_map->sentinel)
		mark_stale();
	else
	{
		MapRelation *entry = hash_search(current_map->relations, &relid, HASH_FIND, NULL);

		/* what is being read may find that it uses the relation */
		current_map->all_suspect |= current_map->loading;
		if (entry != NULL && entry->used)
			entry->suspect = true;
		if (current_map->loading || (entry != NULL && entry->used))
			current_map->suspicions++;
	}
}

static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	if (current_map == NULL || current_map->stale)
		return;
	if (hashvalue == 0 || list_member_int(current_map->watched_types, hashvalue))
		mark_stale();
}

static void
schema_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	schemas_invalidated = true;
	changed_while_building = true;
}

static void
role_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	role_changes++;
	if (building)
		changed_while_building = true;
}

static void
constraint_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	constraints_changed = true;
}

/* transaction_ended frees the maps that nobody can point into any more. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_ABORT)
		suspect_what_was_read();
	if (current_map != NULL)
		current_map->read = false;
	foreach_ptr(DataMap, map, stale_maps)
		MemoryContextDelete(map->context);
	list_free(stale_maps);
	stale_maps = NIL;
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	/* one without a number of its own has written nothing, and so no DDL */
	if (event == SUBXACT_EVENT_ABORT_SUB && TransactionIdIsValid(GetCurrentTransactionIdIfAny()))
		suspect_what_was_read();
}

/*
 * suspect_what_was_read: a rollback takes back DDL of this session.  The server
 * tells of the relations that it changed, and not of a parent that has its
 * child again.
 */
static void
suspect_what_was_read(void)
{
	if (current_map == NULL || !current_map->read)
		return;
	current_map->all_suspect = true;
	current_map->suspicions++;
}
