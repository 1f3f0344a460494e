/*
 * access_folder.h
 *	  An access request as files on the server.
 */
#ifndef EFF_ACCESS_FOLDER_H
#define EFF_ACCESS_FOLDER_H

#include "effaced.h"

/* Define the setting, and see to it that what is rolled back leaves no files */
extern void EffAccessFolderInit(void);

#endif							/* EFF_ACCESS_FOLDER_H */
