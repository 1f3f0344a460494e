/*
 * refs.c
 *	  Reads the references to external systems that a request is given.
 */
#include "postgres.h"

#include "label.h"
#include "refs.h"

#include "utils/jsonb.h"

/*
 * EffRefsCheck reads references to external systems.  None is registered, so
 * each of them is of an unknown kind.
 */
void
EffRefsCheck(FunctionCallInfo fcinfo, int argno)
{
	Jsonb	   *refs;
	JsonbContainer *array;

	if (PG_ARGISNULL(argno))
		return;
	refs = PG_GETARG_JSONB_P(argno);
	if (!JB_ROOT_IS_ARRAY(refs) || JB_ROOT_IS_SCALAR(refs))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_RESOLVER),
				 errmsg("refs is not a JSON array"),
				 errhint("Write [{\"kind\": \"...\", \"value\": \"...\"}]."),
				 errhidestmt(true)));
	array = &refs->root;
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *ref = getIthJsonbValueFromContainer(array, i);
		JsonbValue *kind = NULL;

		if (ref->type == jbvBinary && JsonContainerIsObject(ref->val.binary.data))
			kind = EffJsonbMember(ref->val.binary.data, "kind");
		if (kind == NULL || kind->type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_EFF_RESOLVER),
					 errmsg("an entry of refs has no kind"),
					 errhint("Write [{\"kind\": \"...\", \"value\": \"...\"}]."),
					 errhidestmt(true)));
		ereport(ERROR,
				(errcode(ERRCODE_EFF_RESOLVER),
				 errmsg("no resolver is registered for the kind of a reference"),
				 errdetail("Entry %d of refs.", i + 1),
				 errhint("A reference goes to the resolver named like its kind; none is registered in this database."),
				 errhidestmt(true)));
	}
}
