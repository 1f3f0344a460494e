/*
 * prepare.h (public)
 *	  Prepares statements that are kept, and how they look rows up.
 */
#ifndef EFF_PREPARE_H
#define EFF_PREPARE_H

#include "effaced.h"
#include "executor/spi.h"

/* Inside the bracket; kept until SPI_freeplan() */
extern SPIPlanPtr EffPrepare(const char *sql, int nargs, Oid *types);

/* The same for a statement that looks rows of one subject up, by its key or theirs */
extern SPIPlanPtr EffPrepareLookup(const char *sql, int nargs, Oid *types);

#endif							/* EFF_PREPARE_H */
