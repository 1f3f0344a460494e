/*
 * redis-worker.c
 *	  Carries out entries of effaced's outbox in Redis: deletes the sessions of
 *	  a user.
 *
 * The sessions of user 42 are the members of the set user_sessions:42, and
 * member abc has its data in session:abc.  All of them are deleted by one
 * script, so that a user is logged out completely or not at all, and once more
 * does no harm.
 *
 * The worker may be killed at any point.  What it had claimed is claimed again
 * when the lease has ended; what it had deleted is then found absent.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#define BATCH "10"
#define RETRY_SECONDS 1			/* until a server that is away is tried again */
#define COMMAND_SECONDS 5		/* until Redis counts as away; well below the lease */

static const char *const delete_sessions =
	"local ids = redis.call('SMEMBERS', KEYS[1])\n"
	"for _, id in ipairs(ids) do redis.call('DEL', ARGV[1] .. id) end\n"
	"redis.call('DEL', KEYS[1])\n"
	"return #ids";

/* What the command line says */
static const char *resolver = "sessions";
static const char *conninfo = "";
static const char *redis_at = "127.0.0.1:6379";
static const char *lease = "60 s";
static int	poll_seconds = 5;
static bool once = false;

static PGconn *pg = NULL;
static redisContext *redis = NULL;
static volatile sig_atomic_t stopping = 0;

/* An entry that was claimed */
typedef struct Entry
{
	const char *id;
	const char *claim;
	const char *user;
} Entry;

/* How an attempt at an entry went */
typedef enum Outcome
{
	DELETED,
	ABSENT,
	FAILED
} Outcome;

static void parse_options(int argc, char **argv);
static void usage(int status);
static void complain(const char *format, ...);
static void on_signal(int signum);
static void pause_seconds(int seconds);
static bool connect_postgres(void);
static bool connect_redis(void);
static void drop_redis(void);
static int	work(void);
static bool claim(PGresult **entries);
static Outcome act(const Entry *entry, const char **error_class);
static void report(const Entry *entry, Outcome outcome, const char *error_class);
static void wait_for_news(void);

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};

	parse_options(argc, argv);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);

	while (!stopping)
	{
		int			done;

		/* nothing is claimed that could not be done: an attempt would be lost */
		if (!connect_postgres() || !connect_redis())
		{
			pause_seconds(RETRY_SECONDS);
			continue;
		}
		done = work();
		if (done == 0 && once)
			break;
		if (done == 0)
			wait_for_news();
	}
	drop_redis();
	PQfinish(pg);
	return 0;
}

static void
parse_options(int argc, char **argv)
{
	int			option;

	while ((option = getopt(argc, argv, "d:r:R:l:p:1h")) != -1)
		switch (option)
		{
			case 'd':
				conninfo = optarg;
				break;
			case 'r':
				redis_at = optarg;
				break;
			case 'R':
				resolver = optarg;
				break;
			case 'l':
				lease = optarg;
				break;
			case 'p':
				poll_seconds = atoi(optarg);
				break;
			case '1':
				once = true;
				break;
			case 'h':
				usage(0);
				break;
			default:
				usage(2);
		}
	if (optind < argc || poll_seconds < 1)
		usage(2);
}

static void
usage(int status)
{
	fprintf(status ? stderr : stdout,
			"redis-worker [options]: delete the sessions of erased users from Redis\n"
			"  -d CONNINFO  PostgreSQL, as libpq writes it (default: the environment)\n"
			"  -r REDIS     host:port, or the path of a UNIX socket (%s)\n"
			"  -R NAME      resolver to work for (%s)\n"
			"  -l INTERVAL  lease of what is claimed (%s)\n"
			"  -p SECONDS   look for what is due without being told (%d)\n"
			"  -1           end when nothing is due\n",
			redis_at, resolver, lease, poll_seconds);
	exit(status);
}

/* complain writes to the log: what happened, never to whom. */
static void
complain(const char *format,...)
{
	va_list		args;

	fputs("redis-worker: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void
on_signal(int signum)
{
	(void) signum;
	stopping = 1;
}

static void
pause_seconds(int seconds)
{
	struct timespec duration = {.tv_sec = seconds};

	/* a signal ends it */
	nanosleep(&duration, NULL);
}

/*
 * connect_postgres gives a connection that listens.
 */
static bool
connect_postgres(void)
{
	PGresult   *result;
	bool		listening;

	if (pg != NULL && PQstatus(pg) == CONNECTION_OK)
		return true;
	PQfinish(pg);
	pg = PQconnectdb(conninfo);
	if (PQstatus(pg) != CONNECTION_OK)
	{
		complain("PostgreSQL is away");
		return false;
	}
	/* before the first look, so that nothing is missed in between */
	result = PQexec(pg, "LISTEN effaced_outbox");
	listening = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return listening;
}

static bool
connect_redis(void)
{
	struct timeval timeout = {.tv_sec = COMMAND_SECONDS};
	redisReply *pong = NULL;
	bool		alive;

	if (redis == NULL)
	{
		const char *colon = strrchr(redis_at, ':');

		if (redis_at[0] == '/')
			redis = redisConnectUnixWithTimeout(redis_at, timeout);
		else if (colon != NULL)
		{
			char		host[256];

			snprintf(host, sizeof(host), "%.*s", (int) (colon - redis_at), redis_at);
			redis = redisConnectWithTimeout(host, atoi(colon + 1), timeout);
		}
		else
			redis = redisConnectWithTimeout(redis_at, 6379, timeout);
		if (redis != NULL && !redis->err)
			redisSetTimeout(redis, timeout);
	}
	if (redis != NULL && !redis->err)
		pong = redisCommand(redis, "PING");
	alive = pong != NULL && pong->type == REDIS_REPLY_STATUS;
	if (pong != NULL)
		freeReplyObject(pong);
	if (!alive)
	{
		complain("Redis is away");
		drop_redis();
	}
	return alive;
}

static void
drop_redis(void)
{
	if (redis != NULL)
		redisFree(redis);
	redis = NULL;
}

/*
 * work claims what is due, carries it out and reports; returns how many entries
 * that were.
 */
static int
work(void)
{
	PGresult   *entries;
	int			n;

	if (!claim(&entries))
		return 0;
	n = PQntuples(entries);
	for (int row = 0; row < n && !stopping; row++)
	{
		Entry		entry = {PQgetvalue(entries, row, 0), PQgetvalue(entries, row, 1), PQgetvalue(entries, row, 2)};
		const char *error_class = NULL;
		Outcome		outcome = act(&entry, &error_class);

		report(&entry, outcome, error_class);
	}
	PQclear(entries);
	return n;
}

/* claim is committed when it returns: whatever happens to us, others can see it. */
static bool
claim(PGresult **entries)
{
	const char *params[] = {resolver, BATCH, lease};

	*entries = PQexecParams(pg, "SELECT entry_id, claim_id, ref ->> 'value' FROM effaced_outbox_claim($1, $2, $3)",
							3, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(*entries) == PGRES_TUPLES_OK)
		return true;
	complain("nothing can be claimed: SQLSTATE %s", PQresultErrorField(*entries, PG_DIAG_SQLSTATE) ?
			 PQresultErrorField(*entries, PG_DIAG_SQLSTATE) : "none");
	PQclear(*entries);
	/* refused, as in a copy of the database, or cut off */
	pause_seconds(RETRY_SECONDS);
	return false;
}

/*
 * act deletes the sessions.  A correction is the same to a cache: what is not
 * there is made anew from what is right.
 */
static Outcome
act(const Entry *entry, const char **error_class)
{
	char		key[2048];
	int			length = snprintf(key, sizeof(key), "user_sessions:%s", entry->user);
	redisReply *reply;
	Outcome		outcome = FAILED;

	if (length < 0 || length >= (int) sizeof(key))
	{
		*error_class = "value_too_long";
		return FAILED;
	}
	/* one that has failed in this batch; the next look connects again */
	reply = redis == NULL ? NULL : redisCommand(redis, "EVAL %s 1 %b %s", delete_sessions, key, (size_t) length, "session:");
	if (reply == NULL)
	{
		*error_class = "redis_unreachable";
		drop_redis();
		return FAILED;
	}
	if (reply->type == REDIS_REPLY_INTEGER)
		outcome = reply->integer > 0 ? DELETED : ABSENT;
	else
		*error_class = "redis_error";
	freeReplyObject(reply);
	return outcome;
}

/*
 * report tells until PostgreSQL has answered.  The claim goes with it, since
 * the session may be another one than that which claimed.
 */
static void
report(const Entry *entry, Outcome outcome, const char *error_class)
{
	const char *success[] = {entry->id, outcome == ABSENT ? "true" : "false", entry->claim};
	const char *failure[] = {entry->id, error_class, entry->claim};

	/* once at least, also if we are to end */
	do
	{
		PGresult   *result = outcome == FAILED ?
			PQexecParams(pg, "SELECT effaced_outbox_fail($1, $2, claim_id => $3)", 3, NULL, failure, NULL, NULL, 0) :
			PQexecParams(pg, "SELECT effaced_outbox_succeed($1, $2, claim_id => $3)", 3, NULL, success, NULL, NULL, 0);
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		bool		answered = PQresultStatus(result) == PGRES_TUPLES_OK;
		bool		final = sqlstate != NULL && strcmp(sqlstate, "ZE006") == 0;

		if (answered && strcmp(PQgetvalue(result, 0, 0), "t") != 0)
			complain("a report came too late");
		PQclear(result);
		if (answered || final)
			return;
		complain("a report was not taken");
		pause_seconds(RETRY_SECONDS);
		(void) connect_postgres();
	} while (!stopping);
}

/* wait_for_news sleeps until an erasure commits, or until it is time to look for retries. */
static void
wait_for_news(void)
{
	struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};
	PGnotify   *notification;

	if (stopping)
		return;
	if (poll(&fd, 1, poll_seconds * 1000) < 0 && errno != EINTR)
		complain("poll: %s", strerror(errno));
	PQconsumeInput(pg);
	while ((notification = PQnotifies(pg)) != NULL)
		PQfreemem(notification);
}
