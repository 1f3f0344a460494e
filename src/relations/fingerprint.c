/*
 * fingerprint.c
 *	  Hashes of catalog rows, to tell whether what was read from them has changed.
 *
 * Whoever reads a row adds it to the fingerprint in the same breath: two
 * fingerprints that are equal were made of equal rows, whatever other sessions
 * did meanwhile.
 */
#include "postgres.h"

#include "relations/fingerprint.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "common/hashfn.h"
#include "utils/fmgroids.h"

/* EffFingerprintBytes adds bytes to the fingerprint. */
void
EffFingerprintBytes(uint64 *fingerprint, const void *bytes, size_t length)
{
	*fingerprint = hash_bytes_extended(bytes, length, *fingerprint);
}

/*
 * EffFingerprintRow adds all columns of a row, and which of them are NULL, but
 * nothing of the transactions that wrote it.
 */
void
EffFingerprintRow(uint64 *fingerprint, HeapTuple tuple)
{
	EffFingerprintBytes(fingerprint, (char *) tuple->t_data + SizeofHeapTupleHeader,
						tuple->t_len - SizeofHeapTupleHeader);
}

/*
 * EffFingerprintClass adds a row of pg_class but for what VACUUM, ANALYZE and a
 * rewrite of the table change: statistics, the age and the place of the file.
 * Indexes, triggers, rules and children are added by themselves.
 */
void
EffFingerprintClass(uint64 *fingerprint, HeapTuple tuple)
{
	HeapTuple	copy = heap_copytuple(tuple);
	Form_pg_class form = (Form_pg_class) GETSTRUCT(copy);

	form->relfilenode = InvalidOid;
	form->reltablespace = InvalidOid;
	form->reltoastrelid = InvalidOid;
	form->relrewrite = InvalidOid;
	form->relpages = 0;
	form->reltuples = 0;
	form->relallvisible = 0;
#if PG_VERSION_NUM >= 180000
	form->relallfrozen = 0;
#endif
	form->relfrozenxid = InvalidTransactionId;
	form->relminmxid = InvalidMultiXactId;
	form->relhasindex = false;
	form->relhastriggers = false;
	form->relhasrules = false;
	form->relhassubclass = false;
	EffFingerprintRow(fingerprint, copy);
	heap_freetuple(copy);
}

/*
 * EffFingerprintRowsOf adds all rows of a catalog that have the OID in a
 * column, in the order of an index that begins with this column.
 */
void
EffFingerprintRowsOf(uint64 *fingerprint, Oid catalog, Oid index, AttrNumber column, Oid value)
{
	Relation	relation = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(relation, index, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		EffFingerprintRow(fingerprint, tuple);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

/*
 * EffFingerprintSchemas tells two states of the names of schemas apart.  Those
 * of the server do not change, and temporary ones come and go with sessions.
 */
uint64
EffFingerprintSchemas(void)
{
	Relation	relation = table_open(NamespaceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, NamespaceOidIndexId, true, NULL, 0, NULL);
	uint64		fingerprint = 0;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tuple);

		if (IsReservedName(NameStr(form->nspname)))
			continue;
		EffFingerprintBytes(&fingerprint, &form->oid, sizeof(Oid));
		EffFingerprintBytes(&fingerprint, NameStr(form->nspname), NAMEDATALEN);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return fingerprint;
}
