/*
 * access_folder.c
 *	  effaced_write_access_folder(): an access request as files on the server.
 */
#include "postgres.h"

#include "export/export.h"
#include "export/export_html.h"
#include "export/folder_files.h"
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

#define MAX_NAME 255			/* bytes, of a file */

PG_FUNCTION_INFO_V1(effaced_write_access_folder);

static char *export_directory = NULL;

static void check_caller(void);
static char *folder_name(const char *app_name, const char *subject_ref);
static void append_encoded(StringInfo buf, const char *text);
static List *collect_files(const ExportRequest *request);
static List *add_file(List *files, const char *name, const char *content);
static int	open_export_directory(char **path);
static bool is_inside(const char *path, const char *directory);

/*
 * EffExportInit defines the setting that names the directory of access folders,
 * and has folders of aborted transactions removed.  Only a superuser may set it:
 * the server can write where its callers must not.
 */
void
EffExportInit(void)
{
	DefineCustomStringVariable(EFF_EXPORT_DIRECTORY,
							   "Directory in which effaced_write_access_folder() makes its"
							   " folders.",
							   "An absolute path outside of the data directory; empty: nothing is"
							   " written.",
							   &export_directory, "", PGC_SUSET, 0, NULL, NULL, NULL);
	EffFolderFilesInit();
}

/*
 * effaced_write_access_folder(subject_id, app_name, subject) gives a row per
 * file.  All of them are of one snapshot.
 */
Datum
effaced_write_access_folder(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ExportRequest request = {0};
	char	   *name;
	char	   *path;
	int			directory;
	List	   *files;

	check_caller();
	request.map = EffGraphGet();
	request.subject = EffGraphSubjectArgument(request.map, fcinfo, 2);
	request.key = EffIdentifierResolve(request.subject, EffIdentifierArgument(fcinfo, 0));
	name = folder_name(PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)),
					   request.key->text);
	/* what cannot be written is not asked for */
	close(open_export_directory(&path));
	files = collect_files(&request);

	InitMaterializedSRF(fcinfo, 0);
	directory = open_export_directory(&path);
	PG_TRY();
	{
		EffFolderWrite(directory, path, name, files);
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
			CStringGetTextDatum(psprintf("%s/%s", path,
										 pg_any_to_server(in_folder, strlen(in_folder), PG_UTF8))),
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
				 errdetail("Only roles with the privileges of pg_write_server_files write files on"
						   " the server."),
				 errhint("GRANT pg_write_server_files TO %s; or send effaced_export_html() and"
						 " effaced_export() to the client.",
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
				 errdetail("It is missing, holds a slash, a backslash or a control character, or"
						   " is \".\" or \"..\"."),
				 errhint("Give a plain name, such as 'Web shop'."),
				 errhidestmt(true)));
	initStringInfo(&name);
	appendStringInfo(&name, "GDPR access - %s - ",
					 pg_server_to_any(app_name, strlen(app_name), PG_UTF8));
	append_encoded(&name, pg_server_to_any(subject_ref, strlen(subject_ref), PG_UTF8));
	if (name.len > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("name of the access folder would be longer than %d bytes", MAX_NAME),
				 errdetail("It holds the name of the application and the identifier of the"
						   " subject."),
				 errhint("Give a shorter app_name, or use effaced_export() and"
						 " effaced_export_html()."),
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

/* collect_files: the page and the document show the same bundle. */
static List *
collect_files(const ExportRequest *request)
{
	Jsonb	   *bundle = EffExportBundle(request);
	List	   *files = NIL;

	files = add_file(files, "data.json",
					 JsonbToCStringIndent(NULL, &bundle->root, VARSIZE(bundle)));
	files = add_file(files, "report.html", TextDatumGetCString(EffExportHtml(bundle)));
	foreach_ptr(Answer, answer,
				EffQuestionsRun(request->key->text, "", GetCurrentTransactionStartTimestamp()))
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
				 errmsg("setting \"%s\" is not set", EFF_EXPORT_DIRECTORY),
				 errhint("As a superuser: ALTER DATABASE %s SET %s = '/srv/gdpr'; and reconnect.",
						 quote_identifier(get_database_name(MyDatabaseId)), EFF_EXPORT_DIRECTORY),
				 errhidestmt(true)));
	if (!is_absolute_path(export_directory))
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("setting \"%s\" is not an absolute path", EFF_EXPORT_DIRECTORY),
				 errhint("Write the path from the root, such as '/srv/gdpr'."),
				 errhidestmt(true)));
	*path = pstrdup(export_directory);
	canonicalize_path(*path);
	fd = open(*path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("could not open the directory of setting \"%s\": %m", EFF_EXPORT_DIRECTORY),
				 errdetail("It must be a directory that the server may read and write, and not a"
						   " link."),
				 errhint("mkdir -m 700 %s, owned by the account that the server runs as.", *path),
				 errhidestmt(true)));
	if (realpath(*path, real) == NULL || realpath(DataDir, data) == NULL || is_inside(real, data))
	{
		close(fd);
		ereport(ERROR,
				(errcode(ERRCODE_EFF_CONFIGURATION),
				 errmsg("setting \"%s\" names a directory of the server's own",
						EFF_EXPORT_DIRECTORY),
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
