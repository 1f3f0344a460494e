/*
 * folder_files.h
 *	  The files of an access folder, which go where a transaction aborts.
 */
#ifndef EFF_FOLDER_FILES_H
#define EFF_FOLDER_FILES_H

#include "effaced.h"
#include "nodes/pg_list.h"

/* The setting that names the directory of access folders */
#define EFF_EXPORT_DIRECTORY "effaced.export_directory"

/* A file to write */
typedef struct AccessFile
{
	char	   *name;
	char	   *content;		/* UTF-8 */
} AccessFile;

/* See to it that a folder goes with the (sub)transaction that wrote it */
extern void EffFolderFilesInit(void);

/* Make a folder with these files in an open directory; ERROR where it cannot be, or is there */
extern void EffFolderWrite(int directory, const char *path, const char *name, List *files);

#endif							/* EFF_FOLDER_FILES_H */
