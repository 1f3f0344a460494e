/*
 * effaced.h (public)
 *	  SQLSTATEs and names that every module shares.
 */
#ifndef EFFACED_H
#define EFFACED_H

#include "postgres.h"

#include "compat.h"

#define EFF_PROVIDER "effaced"
#define EFF_OWN_SCHEMA "effaced"
#define EFF_COMMENT_TAG "@effaced"

/* Changes of labels are told through this table, which nothing else changes */
#define EFF_SENTINEL "effaced_secret"

/* SQLSTATEs of section 3 of the contract */
#define ERRCODE_EFF_MANIFEST		MAKE_SQLSTATE('Z', 'E', '0', '0', '1')
#define ERRCODE_EFF_SUBJECT			MAKE_SQLSTATE('Z', 'E', '0', '0', '2')
#define ERRCODE_EFF_RETENTION		MAKE_SQLSTATE('Z', 'E', '0', '0', '3')
#define ERRCODE_EFF_ANONYMIZATION	MAKE_SQLSTATE('Z', 'E', '0', '0', '4')
#define ERRCODE_EFF_CONFIGURATION	MAKE_SQLSTATE('Z', 'E', '0', '0', '5')
#define ERRCODE_EFF_RESOLVER		MAKE_SQLSTATE('Z', 'E', '0', '0', '6')
#define ERRCODE_EFF_HOLD			MAKE_SQLSTATE('Z', 'E', '0', '0', '7')

#endif							/* EFFACED_H */
