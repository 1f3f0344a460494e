/*
 * citus.c
 *	  Reads the metadata of Citus, by name, since nothing of it is linked.
 *
 * Its tables are in pg_catalog, where users cannot create one.  Nothing is kept
 * here: without Citus the question ends at a negative entry of the system
 * cache, which is invalidated when the extension comes.
 */
#include "postgres.h"

#include "base/citus.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(effaced_refuse_worker);

static Oid	metadata_table(const char *name);
static AttrNumber column_of(Oid relid, const char *name);

/*
 * effaced_refuse_worker() raises ZE005 on a worker of Citus.  It is for
 * functions in SQL, which do not build a map.
 */
Datum
effaced_refuse_worker(PG_FUNCTION_ARGS)
{
	EffCitusRefuseWorker();
	PG_RETURN_VOID();
}

/*
 * EffCitusPresent tells whether Citus is installed in this database.  The
 * answer is one look into a system cache, so it may be asked on any hot path.
 */
bool
EffCitusPresent(void)
{
	return OidIsValid(metadata_table("pg_dist_local_group"));
}

/*
 * EffCitusIsWorker tells whether this server is a worker of a cluster: it has
 * neither all rows of a subject nor the trail.  The group of a coordinator, and
 * of a server that belongs to no cluster, is 0.
 */
bool
EffCitusIsWorker(void)
{
	Oid			relid = metadata_table("pg_dist_local_group");
	Relation	relation;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		worker = false;

	if (!OidIsValid(relid))
		return false;
	relation = try_table_open(relid, AccessShareLock);
	if (relation == NULL)
		return false;
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		group = heap_getattr(tuple, column_of(relid, "groupid"),
										 RelationGetDescr(relation), &isnull);

		worker = !isnull && DatumGetInt32(group) != 0;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return worker;
}

/*
 * EffCitusRefuseWorker raises ZE005 where this server is a worker.
 */
void
EffCitusRefuseWorker(void)
{
	if (EffCitusIsWorker())
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("effaced cannot be called on a worker of Citus"),
				 errdetail("A worker does not have all rows of a subject, and the trail is on the "
						   "coordinator."),
				 errhint("Connect to the coordinator: SELECT nodename, nodeport FROM pg_dist_node "
						 "WHERE groupid = 0;"),
				 errhidestmt(true)));
}

/*
 * EffCitusPlaceOf fills place with how Citus keeps a table; CITUS_UNKNOWN
 * where Citus is not installed or does not know the table.
 */
void
EffCitusPlaceOf(Oid relid, CitusPlace *place)
{
	Oid			metadata = metadata_table("pg_dist_partition");
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	*place = (CitusPlace) {.kind = CITUS_UNKNOWN};
	if (!OidIsValid(metadata))
		return;
	relation = try_table_open(metadata, AccessShareLock);
	if (relation == NULL)
		return;
	ScanKeyInit(&key, column_of(metadata, "logicalrelid"), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc	desc = RelationGetDescr(relation);
		bool		isnull;
		char		method = DatumGetChar(heap_getattr(tuple, column_of(metadata, "partmethod"),
													   desc, &isnull));
		char		replication = DatumGetChar(heap_getattr(tuple, column_of(metadata, "repmodel"),
															desc, &isnull));
		Datum		column = heap_getattr(tuple, column_of(metadata, "partkey"), desc, &isnull);

		if (!isnull)
			place->column = castNode(Var, stringToNode(TextDatumGetCString(column)))->varattno;
		place->colocation = DatumGetInt32(heap_getattr(tuple, column_of(metadata, "colocationid"),
													   desc, &isnull));
		if (method != 'n')
			place->kind = CITUS_DISTRIBUTED;
		else if (replication == 't')
			place->kind = CITUS_REFERENCE;
		else
			/* a table of one shard has a colocation group, and may be moved to a worker */
			place->kind = place->colocation != 0 ? CITUS_DISTRIBUTED : CITUS_LOCAL;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

/*
 * EffCitusFingerprint hashes the rows by which Citus knows its tables, so that
 * two states can be told apart; 0 without Citus.
 */
uint64
EffCitusFingerprint(void)
{
	Oid			metadata = metadata_table("pg_dist_partition");
	Relation	relation = OidIsValid(metadata) ? try_table_open(metadata, AccessShareLock) : NULL;
	uint64		fingerprint = 0;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (relation == NULL)
		return 0;
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		/* rows come in no order of their own */
		fingerprint += hash_bytes_extended((unsigned char *) tuple->t_data + SizeofHeapTupleHeader,
										   tuple->t_len - SizeofHeapTupleHeader, 1);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return fingerprint;
}

/*
 * EffCitusKindOf returns the kind of EffCitusPlaceOf() alone.
 */
CitusKind
EffCitusKindOf(Oid relid)
{
	CitusPlace	place;

	EffCitusPlaceOf(relid, &place);
	return place.kind;
}

/*
 * EffCitusIsRemote tells whether rows of a table may be on other servers.
 */
bool
EffCitusIsRemote(Oid relid)
{
	CitusKind	kind = EffCitusKindOf(relid);

	return kind == CITUS_REFERENCE || kind == CITUS_DISTRIBUTED;
}

static Oid
metadata_table(const char *name)
{
	return get_relname_relid(name, PG_CATALOG_NAMESPACE);
}

static AttrNumber
column_of(Oid relid, const char *name)
{
	AttrNumber	attnum = get_attnum(relid, name);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("this version of Citus is unknown to effaced"),
				 errdetail("Its table \"%s\" has no column \"%s\".", get_rel_name(relid), name),
				 errhint("Use Citus 13."),
				 errhidestmt(true)));
	return attnum;
}
