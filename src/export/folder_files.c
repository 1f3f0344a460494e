/*
 * folder_files.c
 *	  Writes, renames and removes the files of access folders.
 *
 * A folder is written under a hidden name and renamed when it is whole.  Until
 * the transaction commits the folder is on a list, and an abort of the
 * transaction, or of the subtransaction that wrote it, removes it.  Only files on
 * that list are ever removed.
 *
 * Files are opened relative to open directories, so that no symbolic link is
 * followed and a directory that is renamed meanwhile leads nowhere else.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/folder_files.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#define CHUNK (1024 * 1024)		/* bytes written between two looks for a cancel */

/* A folder that this transaction has made, or is making */
typedef struct Folder
{
	SubTransactionId subid;
	char	   *directory;
	dev_t		device;			/* of the directory, to know it again */
	ino_t		inode;
	char	   *name;			/* in there */
	bool		made;
	dev_t		folder_device;	/* of the folder, likewise */
	ino_t		folder_inode;
	List	   *files;			/* of char *, in the folder */
} Folder;

/* Folders of the transaction that is under way, in TopMemoryContext */
static List *folders = NIL;

static int	open_directory_at(int directory, const char *name);
static void write_file(int directory, AccessFile *file);
static void write_text(int fd, const char *text);
static void rename_folder(int directory, Folder *folder, const char *name);
static void folder_exists(void) pg_attribute_noreturn();
static void could_not(const char *what) pg_attribute_noreturn();
static void remember_file(Folder *folder, const char *name);
static void forget_folder(Folder *folder);
static void remove_folder(Folder *folder);
static void at_transaction_end(XactEvent event, void *arg);
static void at_subtransaction_end(SubXactEvent event, SubTransactionId subid,
								  SubTransactionId parent, void *arg);

/*
 * EffFolderFilesInit registers the callbacks that remove the folders of aborted
 * transactions; call it once, when the module is loaded.
 */
void
EffFolderFilesInit(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

/*
 * EffFolderWrite makes a folder with these files (a list of AccessFile) in an open
 * directory, whose path is given to find it again at the transaction's end.  The
 * folder appears under its name once it is whole and on disk.  ERROR where it
 * cannot be written, or where there is something of the name; what was written
 * until then is removed when the transaction or subtransaction aborts.
 */
void
EffFolderWrite(int directory, const char *path, const char *name, List *files)
{
	MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
	Folder	   *folder = palloc0(sizeof(Folder));
	struct stat st;
	uint64		random;
	int			fd;
	ListCell   *lc;

	if (fstat(directory, &st) != 0 || !pg_strong_random(&random, sizeof(random)))
		could_not("prepare");
	folder->subid = GetCurrentSubTransactionId();
	folder->directory = pstrdup(path);
	folder->device = st.st_dev;
	folder->inode = st.st_ino;
	folder->name = psprintf(".effaced-%016llx", (unsigned long long) random);
	folders = lappend(folders, folder);
	MemoryContextSwitchTo(previous);

	if (mkdirat(directory, folder->name, S_IRWXU) != 0)
		could_not("create");
	folder->made = true;
	fd = open_directory_at(directory, folder->name);
	PG_TRY();
	{
		if (fstat(fd, &st) != 0)
			could_not("create");
		folder->folder_device = st.st_dev;
		folder->folder_inode = st.st_ino;
		foreach(lc, files)
		{
			remember_file(folder, ((AccessFile *) lfirst(lc))->name);
			write_file(fd, lfirst(lc));
		}
		if (pg_fsync(fd) != 0)
			could_not("write");
	}
	PG_FINALLY();
	{
		close(fd);
	}
	PG_END_TRY();
	rename_folder(directory, folder, name);
	/* somebody else who can write there may have put another in its place */
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		st.st_dev != folder->folder_device || st.st_ino != folder->folder_inode)
		could_not("keep");
	if (pg_fsync(directory) != 0)
		could_not("write");
}

static int
open_directory_at(int directory, const char *name)
{
	int			fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		could_not("open");
	return fd;
}

static void
write_file(int directory, AccessFile *file)
{
	int			fd = openat(directory, file->name,
							O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
							S_IRUSR | S_IWUSR);

	if (fd < 0)
		could_not("write");
	PG_TRY();
	{
		write_text(fd, file->content);
	}
	PG_FINALLY();
	{
		close(fd);
	}
	PG_END_TRY();
}

static void
write_text(int fd, const char *text)
{
	size_t		left = strlen(text);

	while (left > 0)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		n = write(fd, text, Min(left, CHUNK));
		if (n <= 0 && errno != EINTR)
		{
			/* nothing written and no reason given means that there is no space */
			if (errno == 0)
				errno = ENOSPC;
			could_not("write");
		}
		text += Max(n, 0);
		left -= Max(n, 0);
	}
	if (pg_fsync(fd) != 0)
		could_not("write");
}

/*
 * rename_folder never replaces anything.  Where the system cannot promise that
 * by itself, an empty directory of the name is made first, which fails where
 * there is something, and replaced.
 */
static void
rename_folder(int directory, Folder *folder, const char *name)
{
	char	   *kept = MemoryContextStrdup(TopMemoryContext, name);
	int			result = -1;

	errno = ENOSYS;
#ifdef RENAME_NOREPLACE
	result = renameat2(directory, folder->name, directory, name, RENAME_NOREPLACE);
#endif
	if (result != 0 && (errno == ENOSYS || errno == EINVAL))
	{
		if (mkdirat(directory, name, S_IRWXU) == 0)
		{
			result = renameat(directory, folder->name, directory, name);
			if (result != 0)
			{
				int			why = errno;

				(void) unlinkat(directory, name, AT_REMOVEDIR);
				errno = why;
			}
		}
	}
	if (result != 0 && (errno == EEXIST || errno == ENOTEMPTY))
		folder_exists();
	if (result != 0)
		could_not("rename");
	folder->name = kept;
}

static void
folder_exists(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_EFF_CONFIGURATION),
			 errmsg("an access folder of this application and subject is there already"),
			 errdetail("Nothing was written; what is there stays as it is."),
			 errhint("Move it out of the directory of setting \"%s\", or give another app_name.",
					 EFF_EXPORT_DIRECTORY),
			 errhidestmt(true)));
}

/* could_not names no file, for the folder's name holds the identifier. */
static void
could_not(const char *what)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s an access folder: %m", what),
			 errdetail("Nothing of it is left."),
			 errhint("Look at space and permissions of the directory of setting \"%s\".",
					 EFF_EXPORT_DIRECTORY),
			 errhidestmt(true)));
}

static void
remember_file(Folder *folder, const char *name)
{
	MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);

	folder->files = lappend(folder->files, pstrdup(name));
	MemoryContextSwitchTo(previous);
}

static void
forget_folder(Folder *folder)
{
	list_free_deep(folder->files);
	pfree(folder->directory);
	pfree(folder->name);
	pfree(folder);
}

/*
 * remove_folder is called while a transaction aborts, and complains without
 * failing.
 */
static void
remove_folder(Folder *folder)
{
	struct stat st;
	int			directory;
	int			fd;
	bool		removed = false;
	ListCell   *lc;

	if (!folder->made)
		return;
	directory = open(folder->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory >= 0 && fstat(directory, &st) == 0 && st.st_dev == folder->device &&
		st.st_ino == folder->inode)
	{
		fd = openat(directory, folder->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 &&
			st.st_dev == folder->folder_device && st.st_ino == folder->folder_inode)
		{
			foreach(lc, folder->files)
				(void) unlinkat(fd, lfirst(lc), 0);
			removed = unlinkat(directory, folder->name, AT_REMOVEDIR) == 0;
		}
		if (fd >= 0)
			close(fd);
	}
	if (directory >= 0)
		close(directory);
	if (!removed)
		ereport(WARNING,
				(errmsg("could not remove an access folder of a transaction that was rolled back"),
				 errhint("Look into the directory of setting \"%s\".", EFF_EXPORT_DIRECTORY),
				 errhidestmt(true)));
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	ListCell   *lc;

	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			/* nobody would remove them at ROLLBACK PREPARED */
			if (folders != NIL)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has written an access folder"),
						 errhint("Write it in a transaction of its own.")));
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			foreach(lc, folders)
				remove_folder(lfirst(lc));
			break;
		default:
			return;
	}
	foreach(lc, folders)
		forget_folder(lfirst(lc));
	list_free(folders);
	folders = NIL;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
					  void *arg)
{
	ListCell   *lc;

	foreach(lc, folders)
	{
		Folder	   *folder = lfirst(lc);

		if (folder->subid != subid)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			folder->subid = parent;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			remove_folder(folder);
			forget_folder(folder);
			folders = foreach_delete_current(folders, lc);
		}
	}
}
