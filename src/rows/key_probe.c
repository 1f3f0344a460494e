/*
 * key_probe.c
 *	  Looks for a subject's key in indexes.
 *
 * An index has an entry for each row that anybody sees, from before its
 * transaction commits.  So where it has none no statement that begins now finds
 * a row, and where it has one, maybe of a row that is long gone, the statement
 * is run and tells.
 */
#include "postgres.h"

#include "relations/types.h"
#include "rows/key_probe.h"
#include "rows/statement.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "parser/parse_oper.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

static void find_index(KeyProbe *probe);
static bool fits(KeyProbe *probe, EffIndex *index);
static Oid	equality(Oid left, Oid right);
static bool is_usable(Relation index, Relation table);
static bool has_entry(KeyProbe *probe, Relation table, Relation index, SubjectKey **keys,
					  int nkeys);

/*
 * EffProbeNew returns a probe for rows whose columns hold a subject's whole key; the i-th
 * column is compared with the i-th of target_columns of the subject table.
 */
KeyProbe *
EffProbeNew(MapTable *subject, EffRelation *rel, const AttrNumber *columns,
			const AttrNumber *target_columns)
{
	KeyProbe   *probe = palloc0(sizeof(KeyProbe));

	probe->subject = subject;
	probe->rel = rel;
	probe->n = subject->nkey;
	for (int i = 0; i < probe->n; i++)
		for (int k = 0; k < probe->n; k++)
			if (target_columns[k] == subject->key[i])
				probe->columns[i] = columns[k];
	return probe;
}

/* EffProbeSame returns whether two probes look for the same key in the same columns. */
bool
EffProbeSame(const KeyProbe *a, const KeyProbe *b)
{
	return a->rel == b->rel && a->subject == b->subject &&
		memcmp(a->columns, b->columns, sizeof(AttrNumber) * a->n) == 0;
}

/*
 * EffProbeNothing: who drops an index waits for those that have its table locked,
 * so the index needs no lock of its own.
 */
bool
EffProbeNothing(KeyProbe *probe, SubjectKey **keys, int nkeys)
{
	Relation	table;
	Relation	index;
	bool		nothing = false;

	table = probe->held ? table_open(probe->rel->oid, NoLock) :
		try_table_open(probe->rel->oid, AccessShareLock);
	if (table == NULL)
		return false;
	if (!probe->known)
		find_index(probe);
	index = OidIsValid(probe->index) ? RelationIdGetRelation(probe->index) : NULL;
	if (index != NULL)
	{
		/* a child that is new has indexes of its own */
		nothing = is_usable(index, table) && !table->rd_rel->relhassubclass &&
			!has_entry(probe, table, index, keys, nkeys);
		RelationClose(index);
	}
	table_close(table, NoLock);
	return nothing;
}

/*
 * EffProbeGranted: roles that are granted columns only, or less than they need,
 * are told by the statements themselves what is missing.
 */
bool
EffProbeGranted(List *accesses, List *schemas)
{
	Oid			role = GetUserId();

	if (superuser_arg(role))
		return true;
	foreach_oid(oid, schemas)
		if (EffSchemaAclCheck(oid, role, ACL_USAGE) != ACLCHECK_OK)
			return false;
	foreach_ptr(ProbeAccess, access, accesses)
	{
		AclMode		granted = pg_class_aclmask(access->relid, role, access->needed, ACLMASK_ALL);

		if (granted != access->needed || check_enable_rls(access->relid, role, true) == RLS_ENABLED)
			return false;
	}
	return true;
}

/* find_index takes the first index that the statements could be answered from, too. */
static void
find_index(KeyProbe *probe)
{
	ListCell   *lc;

	foreach(lc, probe->rel->indexes)
		if (fits(probe, lfirst(lc)))
		{
			probe->index = ((EffIndex *) lfirst(lc))->oid;
			break;
		}
	probe->known = true;
}

/*
 * fits: an index that begins with the columns, in any order, and compares them as
 * the statements do.  The keys are made on the way.
 */
static bool
fits(KeyProbe *probe, EffIndex *candidate)
{
	Relation	index;
	int			n = 0;

	if (candidate->lookup == 0 || probe->n < candidate->lookup || candidate->nkeys < probe->n)
		return false;
	index = RelationIdGetRelation(candidate->oid);
	if (index == NULL)
		return false;
	for (; n < probe->n && index->rd_rel->relkind == RELKIND_INDEX &&
		 index->rd_rel->relam == BTREE_AM_OID; n++)
	{
		EffColumn  *column = EffRelationFindColumn(probe->rel, candidate->keys[n]);
		int			place = 0;
		Oid			type;
		Oid			operator;
		int			strategy = InvalidStrategy;
		Oid			left = InvalidOid;
		Oid			right = InvalidOid;

		while (place < probe->n && probe->columns[place] != candidate->keys[n])
			place++;
		if (place == probe->n || column == NULL)
			break;
		type = EffKeyType(probe->subject, place);
		operator = equality(EffBaseType(column->type), type);
		if (op_in_opfamily(operator, index->rd_opfamily[n]))
			get_op_opfamily_properties(operator, index->rd_opfamily[n], false, &strategy, &left,
									   &right);
		if (strategy != BTEqualStrategyNumber || left != index->rd_opcintype[n] ||
			column->collation != index->rd_indcollation[n])
			break;
		ScanKeyEntryInitialize(&probe->keys[n], 0, n + 1, BTEqualStrategyNumber, right,
							   index->rd_indcollation[n], get_opcode(operator), (Datum) 0);
		probe->place[n] = place;
	}
	RelationClose(index);
	return n == probe->n;
}

/* equality is the = that a statement compares a column with a value of a key by. */
static Oid
equality(Oid left, Oid right)
{
	if (left == right)
		return lookup_type_cache(left, TYPECACHE_EQ_OPR)->eq_opr;
	/* one of another schema is named, and may take the column's value for another type */
	if (EffEqualitySchema(right) != NULL)
		return InvalidOid;
	return compatible_oper_opid(list_make2(makeString("pg_catalog"), makeString("=")), left, right,
								true);
}

/* is_usable: the index is complete, also for a snapshot that may be older. */
static bool
is_usable(Relation index, Relation table)
{
	return index->rd_index->indisvalid && index->rd_index->indrelid == RelationGetRelid(table) &&
		(!index->rd_index->indcheckxmin ||
		 TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin));
}

static bool
has_entry(KeyProbe *probe, Relation table, Relation index, SubjectKey **keys, int nkeys)
{
	IndexScanDesc scan = index_beginscan(table, index, GetActiveSnapshot(), probe->n, 0);
	ScanKeyData scan_keys[INDEX_MAX_KEYS];
	bool		found = false;

	memcpy(scan_keys, probe->keys, sizeof(ScanKeyData) * probe->n);
	for (int i = 0; i < nkeys && !found; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < probe->n; k++)
		{
			scan_keys[k].sk_func.fn_mcxt = CurrentMemoryContext;
			scan_keys[k].sk_argument = keys[i]->values[probe->place[k]];
		}
		index_rescan(scan, scan_keys, probe->n, NULL, 0);
		found = index_getnext_tid(scan, ForwardScanDirection) != NULL;
	}
	index_endscan(scan);
	return found;
}
