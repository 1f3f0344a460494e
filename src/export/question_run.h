/*
 * question_run.h
 *	  Asking questions that are saved.
 */
#ifndef EFF_QUESTION_RUN_H
#define EFF_QUESTION_RUN_H

#include "effaced.h"
#include "nodes/pg_list.h"

/* A saved query whose answer belongs to an access request */
typedef struct Question
{
	char	   *name;
	char	   *short_name;
	char	   *query;
	char	   *search_path;	/* of the session that registered it */
	char	   *role;			/* that registered it */
} Question;

/* The answer to one question */
typedef struct Answer
{
	char	   *file_name;
	uint64		rows;
	char	   *content;		/* CSV, in the encoding of the database */
} Answer;

/* ERROR ZE005 where a question could not be asked now */
extern void EffQuestionCheck(const Question *question);

/* Answers to a list of questions, in their order, without file names */
extern List *EffQuestionsAsk(List *questions, const char *subject_id);

#endif							/* EFF_QUESTION_RUN_H */
