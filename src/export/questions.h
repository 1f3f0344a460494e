/*
 * questions.h
 *	  Saved questions and their answers.
 */
#ifndef EFF_QUESTIONS_H
#define EFF_QUESTIONS_H

#include "effaced.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* The answer to one question */
typedef struct Answer
{
	char	   *file_name;
	uint64		rows;
	char	   *content;		/* CSV, in the encoding of the database */
} Answer;

/* Answers to all questions, by name; read from the active snapshot */
extern List *EffQuestionsRun(const char *subject_id, const char *file_prefix, TimestampTz at);

#endif							/* EFF_QUESTIONS_H */
