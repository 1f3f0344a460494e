/*
 * questions.h
 *	  Saved questions and their answers.
 */
#ifndef EFF_QUESTIONS_H
#define EFF_QUESTIONS_H

#include "effaced.h"
#include "datatype/timestamp.h"
#include "export/question_run.h"

/* Answers to all questions, by name; read from the active snapshot */
extern List *EffQuestionsRun(const char *subject_id, const char *file_prefix, TimestampTz at);

#endif							/* EFF_QUESTIONS_H */
