/*
 * What cppcheck has to know of PostgreSQL's macros; it does not read the
 * server's headers, which have too many configurations.
 */
#define PG_VERSION_NUM 150000
#define PG_FUNCTION_INFO_V1(f)
#define PG_MODULE_MAGIC
#define pg_attribute_noreturn() __attribute__((noreturn))
#define ERROR 21
#define ereport(level, ...) do { if ((level) >= ERROR) abort(); } while (0)
#define ereport_domain(level, domain, ...) ereport(level, __VA_ARGS__)
#define elog(level, ...) ereport(level, __VA_ARGS__)
#define PG_TRY(...) if (1) {
#define PG_CATCH(...) } else {
#define PG_FINALLY(...) } {
#define PG_END_TRY(...) }
#define PG_RE_THROW() abort()
#define foreach_ptr(type, var, list) for (type *var = first_of(list); var != NULL; var = next_of(list))
#define foreach_oid(var, list) for (Oid var = first_of(list); var != 0; var = next_of(list))
#define foreach_int(var, list) for (int var = first_of(list); var != 0; var = next_of(list))
#define foreach(cell, list) for (cell = list_head(list); cell != NULL; cell = lnext(list, cell))
