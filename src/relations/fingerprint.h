/*
 * fingerprint.h (public)
 *	  Hashes of catalog rows, to tell whether what was read from them has changed.
 */
#ifndef EFF_FINGERPRINT_H
#define EFF_FINGERPRINT_H

#include "access/attnum.h"
#include "access/htup.h"

/* Add bytes, a row as it is stored, or a row of pg_class without what no reader of it holds */
extern void EffFingerprintBytes(uint64 *fingerprint, const void *bytes, size_t length);
extern void EffFingerprintRow(uint64 *fingerprint, HeapTuple tuple);
extern void EffFingerprintClass(uint64 *fingerprint, HeapTuple tuple);

/* Add all rows of a catalog with that OID in that column, by an index that begins with it */
extern void EffFingerprintRowsOf(uint64 *fingerprint, Oid catalog, Oid index, AttrNumber column,
								 Oid value);

/* The names of all schemas but the server's own and temporary ones */
extern uint64 EffFingerprintSchemas(void);

#endif							/* EFF_FINGERPRINT_H */
