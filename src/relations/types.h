/*
 * types.h (public)
 *	  Look-ups of types that raise undefined_object where the type has just been
 *	  dropped, and not an internal error as the server's own do.
 */
#ifndef EFF_TYPES_H
#define EFF_TYPES_H

/* What a domain is made of, or the type itself; typmod may become the domain's */
extern Oid	EffBaseType(Oid type);
extern Oid	EffBaseTypeAndTypmod(Oid type, int32 *typmod);

/* The functions that read, write and send values */
extern void EffTypeInput(Oid type, Oid *function, Oid *ioparam);
extern void EffTypeOutput(Oid type, Oid *function);
extern void EffTypeSend(Oid type, Oid *function);

/* TYPCATEGORY_* */
extern char EffTypeCategory(Oid type);

/* For a message: "???" where the type is gone */
extern char *EffTypeName(Oid type);
extern char *EffTypeNameWithTypmod(Oid type, int32 typmod);

#endif							/* EFF_TYPES_H */
