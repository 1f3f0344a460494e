# examples/redis-worker against real Redis: killed at every point, with Redis and
# PostgreSQL going away meanwhile. Every entry ends, nothing is lost, and nobody
# else's sessions go.

use strict;
use warnings;
use EffacedTest;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'redis-server is not installed' if system('command -v redis-server >/dev/null') != 0;
my $directory = 'examples/redis-worker';
my $built = `make -C $directory 2>&1`;
plan skip_all => 'libpq-dev or libhiredis-dev is not installed' if $? != 0 && $built =~ /No such file|cannot find/;
is($?, 0, 'the worker is built') or BAIL_OUT($built);
unlike($built, qr/warning/, 'without warnings');

# Redis, on a socket of its own; what it is told survives its end.
my $redis_directory = PostgreSQL::Test::Utils::tempdir_short();
my $socket = "$redis_directory/redis.sock";
my $redis;
my @workers;
# whatever the test comes to
END { $_ && eval { $_->kill_kill(grace => 1) } for @workers, $redis; }

sub start_redis
{
	$redis = IPC::Run::start([ 'redis-server', '--port', 0, '--unixsocket', $socket, '--dir', $redis_directory,
			'--appendonly', 'yes', '--appendfsync', 'always', '--save', '' ], '<', \undef, '>&', "$redis_directory/log");
	eventually('Redis answers', sub { (redis('PING') // '') eq 'PONG' });
}

sub stop_redis { my ($signal) = @_; $redis->signal($signal); eval { $redis->finish }; unlink $socket; }

sub redis
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'redis-cli', '-s', $socket, @_ ], '<', \undef, '>', \$out, '2>', \$err);
	$out =~ s/\n$//;
	return $out;
}

sub eventually
{
	my ($what, $test) = @_;
	my $end = time + 60;
	until ($test->())
	{
		if (time > $end) { fail("$what, in time"); return 0; }
		sleep 0.05;
	}
	pass($what);
	return 1;
}

my $users = 120;
start_redis();
redis('EVAL', "for i = 1, $users do for j = 1, 3 do redis.call('SADD', 'user_sessions:u' .. i, i .. '-' .. j)"
		. " redis.call('HSET', 'session:' .. i .. '-' .. j, 'user', i) end end", 0);
# users whose names are patterns, or begin like others
redis('SADD', "user_sessions:$_", "s-$_"), redis('SET', "session:s-$_", 'x') for 'u*', 'u1 ', 'u[1-9]', "u'1";
sub sessions { my ($user) = @_; return redis('EXISTS', "user_sessions:u$user", map { "session:$user-$_" } 1 .. 3); }

# As often as it takes, and soon: what is tested is that all end well.
my $node = start_node('main', "effaced.outbox_backoff = '1s'\neffaced.outbox_max_backoff = '1s'\neffaced.outbox_max_attempts = 100");
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE TABLE account (id int PRIMARY KEY, login text, since date DEFAULT '2020-01-01');
	SELECT effaced_register_resolver('sessions');
	CREATE ROLE session_worker LOGIN;
	GRANT EXECUTE ON FUNCTION effaced_outbox_claim, effaced_outbox_succeed, effaced_outbox_fail TO session_worker;
}
	. label('TABLE account', '{"path": ""}')
	. label('COLUMN account.login', '{"category": "technical", "ref": "sessions"}')
	. "INSERT INTO account SELECT i, 'u' || i FROM generate_series(1, $users) i");
sub query { return $node->safe_psql('postgres', $_[0]); }
sub erase { my ($from, $to) = @_; query("SELECT effaced_erase_many(ARRAY(SELECT i::text FROM generate_series($from, $to) i))"); }

sub start_worker
{
	my ($lease, @more) = @_;
	my $worker = IPC::Run::start(
		[ "$directory/redis-worker", '-d', $node->connstr('postgres') . ' user=session_worker application_name=worker',
			'-r', $socket, '-l', $lease, '-p', 1, @more ],
		'<', \undef, '>>', "$redis_directory/worker.log", '2>&1');
	push @workers, $worker;
	return $worker;
}
sub end_worker { my ($worker, $signal) = @_; $worker->signal($signal); eval { $worker->finish }; return; }
sub open_entries { return query(q{SELECT count(*) FROM effaced_outbox WHERE status <> 'succeeded'}); }
sub all_done { my ($what) = @_; return eventually("$what: every entry has succeeded", sub { open_entries() eq '0' }); }

# 1. As it should be
my $worker = start_worker('60 s');
erase(1, 10);
all_done('erasures while the worker listens');
is(join(',', map { sessions($_) } 1 .. 12), '0,0,0,0,0,0,0,0,0,0,4,4', 'their sessions are gone, and nobody else\'s');
end_worker($worker, 'TERM');
is($worker->result(0), 0, 'SIGTERM ends it in order');

# 2. Killed between the deletion and the report: a lock on the trail makes the
# report wait, and the worker dies while it does.
erase(11, 12);
my $locker = EffacedTest::Session->new($node, 'postgres');
$locker->query('BEGIN; LOCK TABLE effaced.effaced_audit_events IN EXCLUSIVE MODE');
$worker = start_worker('3 s');
eventually('one is deleted', sub { sessions(11) eq '0' });
is(query(q{SELECT string_agg(status, ',') FROM effaced_outbox WHERE subject_id IN ('11', '12')}), 'in_flight,in_flight', 'and not reported');
end_worker($worker, 'KILL');
query(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'worker'});
$locker->query('COMMIT');
$locker->close;
is(query(q{SELECT count(*) FROM effaced_audit_events WHERE payload ? 'entry_id' AND subject_ref IN ('11', '12')}), 0, 'the trail knows of nothing');
is(query(q{SELECT count(*) FROM effaced_outbox_claim('sessions')}), 0, 'it is still leased');
$worker = start_worker('60 s');
all_done('killed before the report');
is(query(q{SELECT subject_ref, payload ->> 'attempts', payload ->> 'already_absent' FROM effaced_audit_events
	WHERE payload ? 'entry_id' AND subject_ref IN ('11', '12') ORDER BY 1}), "11|2|true\n12|2|false", 'done once more: already absent');
end_worker($worker, 'KILL');

# 3. Killed between the claim and the deletion: Redis stands still meanwhile.
erase(13, 14);
$locker = EffacedTest::Session->new($node, 'postgres');
$locker->query('BEGIN; LOCK TABLE effaced.effaced_outbox IN EXCLUSIVE MODE');
$worker = start_worker('2 s');
eventually('the claim waits', sub { query(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'worker' AND wait_event_type = 'Lock'}) eq '1' });
$redis->signal('STOP');
$locker->query('COMMIT');
$locker->close;
eventually('it is claimed', sub { query(q{SELECT count(*) FROM effaced_outbox WHERE status = 'in_flight'}) eq '2' });
end_worker($worker, 'KILL');
$redis->signal('CONT');
is(query(q{SELECT count(*) FROM effaced_outbox WHERE status = 'in_flight'}), 2, 'and left behind');
$worker = start_worker('60 s');
all_done('killed before the deletion');
is(sessions(13) . sessions(14), '00', 'the sessions are gone');

# 4. Redis is away for a while: that costs no attempt.
stop_redis('TERM');
erase(15, 24);
sleep 3;
is(query(q{SELECT count(*), sum(attempts) FROM effaced_outbox WHERE status = 'pending'}), '10|0', 'nothing is claimed while Redis is away');
start_redis();
all_done('Redis is back');
is(query(q{SELECT max(attempts) FROM effaced_outbox WHERE subject_id::int BETWEEN 15 AND 24}), 1, 'at the first attempt');
# it dies while the worker is at work
erase(25, 60);
sleep 0.02;
stop_redis('KILL');
sleep 0.5;
start_redis();
all_done('Redis died');

# 5. So does PostgreSQL.
erase(61, 80);
sleep 0.02;
$node->stop('immediate');
sleep 0.5;
$node->start;
erase(81, 84);
# its claims of before may have been in flight: they are anybody's after the lease
query(q{UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE status = 'in_flight'});
all_done('PostgreSQL died');
end_worker($worker, 'KILL');

# 6. Two workers, killed again and again, each with a lease that is soon over.
my $seed = $ENV{EFFACED_PROPERTY_SEED} // 1;
srand $seed;
for my $round (0 .. 9)
{
	my @pair = map { start_worker('1 s') } 1, 2;
	erase(85 + 3 * $round, 87 + 3 * $round);
	sleep rand 0.1;
	end_worker($_, 'KILL') for @pair;
}
$worker = start_worker('60 s', '-1');
start_worker('60 s');
all_done("killed again and again, seed $seed");
end_worker($_, 'KILL') for grep { eval { $_->pumpable } } @workers;

# What must be true in the end.
is(query(q{SELECT count(*), count(DISTINCT subject_id), count(*) FILTER (WHERE ref ->> 'value' IS NULL) FROM effaced_outbox}), '114|114|114', 'an entry for each erased user, and no name in it');
is(query(q{SELECT count(*), count(DISTINCT subject_ref) FROM effaced_audit_events WHERE event_type = 'erasure_completed'}), '114|114', 'each erasure is completed once');
is(query(q{SELECT count(*), count(DISTINCT payload ->> 'entry_id') FROM effaced_audit_events WHERE event_type = 'erasure_step_succeeded' AND payload ? 'entry_id'}), '114|114', 'each entry is recorded once');
is(scalar(grep { sessions($_) ne '0' } 1 .. 114), 0, 'no session of the erased is left');
is(join(',', map { sessions($_) } 115 .. $users), '4,4,4,4,4,4', 'all sessions of the others are');
is(redis('EXISTS', map { ("user_sessions:$_", "session:s-$_") } 'u*', 'u1 ', 'u[1-9]', "u'1"), 8, 'also of those who are called almost the same');
is(query(q{SELECT count(*) FROM effaced_audit_events WHERE payload::text ~ '"u\d+"'}), 0, 'no name in the trail');
unlike(PostgreSQL::Test::Utils::slurp_file("$redis_directory/worker.log"), qr/\bu\d+/, 'nor in the worker\'s log');

stop_redis('TERM');
$node->stop;
done_testing();
