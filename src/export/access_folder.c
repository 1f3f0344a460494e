/*
 * access_folder.c
 *	  effaced_write_access_folder(): an access request as files on the server.
 *
 * A folder is written under a hidden name and renamed when it is whole.  Until
 * the transaction commits it is on a list, and whatever aborts the transaction
 * or the subtransaction that wrote it removes it.  Only files on that list are
 * ever removed.
 *
 * Everything happens relative to open directories, so that no link is followed
 * and nothing that is renamed meanwhile leads elsewhere.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "export/access_folder.h"
#include "export/export_html.h"
#include "export/questions.h"
#include "map/graph.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define SETTING "effaced.export_directory"
#define MAX_NAME 255			/* bytes, of a file */
#define CHUNK (1024 * 1024)

PG_FUNCTION_INFO_V1(effaced_write_access_folder);

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

/* A file to write */
typedef struct AccessFile
{
	char	   *name;
	char	   *content;		/* UTF-8 */
} AccessFile;

static char *export_directory = NULL;

/* Folders of the transaction that is under way, in TopMemoryContext */
static List *folders = NIL;

static void check_caller(void);
static char *folder_name(const char *app_name, const char *subject_ref);
static void append_encoded(StringInfo buf, const char *text);
static List *collect_files(MapTable *subject, SubjectKey *key);
static List *add_file(List *files, const char *name, const char *content);
static int	open_export_directory(char **path);
static bool is_inside(const char *path, const char *directory);
static void write_folder(int directory, const char *path, const char *name, List *files);
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
static void at_subtransaction_end(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg);

/*
 * EffAccessFolderInit: the directory is the administrator's, since the server
 * can write where its callers must not.
 */
void
EffAccessFolderInit(void)
{
	DefineCustomStringVariable(SETTING,
							   "Directory in which effaced_write_access_folder() makes its folders.",
							   "An absolute path outside of the data directory; empty: nothing is written.",
							   &export_directory, "", PGC_SUSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

/*
 * effaced_write_access_folder(subject_id, app_name, subject) gives a row per
 * file.  All of them are of one snapshot.
 */
Datum
effaced_write_access_folder(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DataMap    *map;
	MapTable   *subject;
	SubjectKey *key;
	char	   *name;
	char	   *path;
	int			directory;
	List	   *files;

	check_caller();
	map = EffGraphGet();
	subject = EffGraphSubjectArgument(map, fcinfo, 2);
	key = EffIdentifierResolve(subject, EffIdentifierArgument(fcinfo, 0));
	name = folder_name(PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)), key->text);
	/* what cannot be written is not asked for */
	close(open_export_directory(&path));
	files = collect_files(subject, key);

	InitMaterializedSRF(fcinfo, 0);
	directory = open_export_directory(&path);
	PG_TRY();
	{
		write_folder(directory, path, name, files);
	}
	PG_FINALLY();
	{
		close(directory);
	}
	PG_END_TRY();
	foreach_ptr(AccessFile, file, files)
	{
		char	   *in_folder = psprintf("%s/%s", name, file->name);
		Datum		values[2] = {
			CStringGetTextDatum(psprintf("%s/%s", path, pg_any_to_server(in_folder, strlen(in_folder), PG_UTF8))),
			Int64GetDatum(strlen(file->content))
		};
		bool		nulls[2] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
check_caller(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write an access folder"),
				 errdetail("Only roles with the privileges of pg_write_server_files write files on the server."),
				 errhint("GRANT pg_write_server_files TO %s; or send effaced_export_html() and effaced_export() to the client.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false))),
				 errhidestmt(true)));
}

/*
 * folder_name: what cannot stand in a name is refused of an application, but
 * encoded of an identifier, which nobody has chosen to be a name.
 */
static char *
folder_name(const char *app_name, const char *subject_ref)
{
	StringInfoData name;
	bool		plain = app_name[0] != '\0';

	for (const char *c = app_name; *c != '\0'; c++)
		plain &= *c != '/' && *c != '\\' && (unsigned char) *c >= ' ' && *c != '\x7f';
	if (!plain || strcmp(app_name, ".") == 0 || strcmp(app_name, "..") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("name of the application is no part of a file name"),
				 errdetail("It is missing, holds a slash, a backslash or a control character, or is \".\" or \"..\"."),
				 errhint("Give a plain name, such as 'Web shop'."),
				 errhidestmt(true)));
	initStringInfo(&name);
	appendStringInfo(&name, "GDPR access - %s - ", pg_server_to_any(app_name, strlen(app_name), PG_UTF8));
	append_encoded(&name, pg_server_to_any(subject_ref, strlen(subject_ref), PG_UTF8));
	if (name.len > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("name of the access folder would be longer than %d bytes", MAX_NAME),
				 errdetail("It holds the name of the application and the identifier of the subject."),
				 errhint("Give a shorter app_name, or use effaced_export() and effaced_export_html()."),
				 errhidestmt(true)));
	return name.data;
}

/* append_encoded writes %2F for a slash; different texts stay different. */
static void
append_encoded(StringInfo buf, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '/' || *c == '\\' || *c == '%' || (unsigned char) *c < ' ' || *c == '\x7f')
			appendStringInfo(buf, "%%%02X", (unsigned char) *c);
		else
			appendStringInfoChar(buf, *c);
	}
}

/* collect_files: page and document show the same bundle. */
static List *
collect_files(MapTable *subject, SubjectKey *key)
{
	Datum		bundle = EffExportBundle(subject, key);
	Jsonb	   *json = DatumGetJsonbP(bundle);
	List	   *files = NIL;

	files = add_file(files, "data.json", JsonbToCStringIndent(NULL, &json->root, VARSIZE(json)));
	files = add_file(files, "report.html", TextDatumGetCString(EffExportHtml(bundle)));
	foreach_ptr(Answer, answer, EffQuestionsRun(key->text, "", GetCurrentTransactionStartTimestamp()))
	{
		files = add_file(files, answer->file_name, answer->content);
	}
	return files;
}

static List *
add_file(List *files, const char *name, const char *content)
{
	AccessFile *file = palloc(sizeof(AccessFile));

	file->name = pg_server_to_any(pstrdup(name), strlen(name), PG_UTF8);
	file->content = pg_server_to_any(content, strlen(content), PG_UTF8);
	return lappend(files, file);
}

/*
 * open_export_directory opens what the setting names, which must not be a link:
 * who can replace a link chooses where the server writes.
 */
static int
open_export_directory(char **path)
{
	char		real[PATH_MAX];
	char		data[PATH_MAX];
	int			fd;

	if (export_directory == NULL || export_directory[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("setting \"%s\" is not set", SETTING),
				 errhint("As a superuser: ALTER DATABASE %s SET %s = '/srv/gdpr'; and reconnect.",
						 quote_identifier(get_database_name(MyDatabaseId)), SETTING),
				 errhidestmt(true)));
	if (!is_absolute_path(export_directory))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("setting \"%s\" is not an absolute path", SETTING),
				 errhint("Write the path from the root, such as '/srv/gdpr'."),
				 errhidestmt(true)));
	*path = pstrdup(export_directory);
	canonicalize_path(*path);
	fd = open(*path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("could not open the directory of setting \"%s\": %m", SETTING),
				 errdetail("It must be a directory that the server may read and write, and not a link."),
				 errhint("mkdir -m 700 %s, owned by the account that the server runs as.", *path),
				 errhidestmt(true)));
	if (realpath(*path, real) == NULL || realpath(DataDir, data) == NULL || is_inside(real, data))
	{
		close(fd);
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("setting \"%s\" names a directory of the server's own", SETTING),
				 errdetail("It must not be in the data directory."),
				 errhint("Choose another, such as '/srv/gdpr'."),
				 errhidestmt(true)));
	}
	return fd;
}

static bool
is_inside(const char *path, const char *directory)
{
	size_t		length = strlen(directory);

	return strncmp(path, directory, length) == 0 &&
		(path[length] == '\0' || path[length] == '/' || directory[length - 1] == '/');
}

/* write_folder: an error leaves it to the transaction's end to remove what there is. */
static void
write_folder(int directory, const char *path, const char *name, List *files)
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
	int			fd = openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);

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
			 errhint("Move it out of the directory of setting \"%s\", or give another app_name.", SETTING),
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
			 errhint("Look at space and permissions of the directory of setting \"%s\".", SETTING),
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
	if (directory >= 0 && fstat(directory, &st) == 0 && st.st_dev == folder->device && st.st_ino == folder->inode)
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
				 errhint("Look into the directory of setting \"%s\".", SETTING),
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
at_subtransaction_end(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
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
