# The runner in the server, interrupted: cancelled, killed and with the server down
# between the act and the report, in a loop, and side by side with others.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main');
my $acts = PostgreSQL::Test::Utils::tempdir() . '/acts';
# What a resolver does here is outside of the transaction, as it is in earnest: a line in a file.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, name text);
	CREATE FUNCTION erase(ref jsonb) RETURNS jsonb LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE format('COPY (SELECT %L) TO PROGRAM %L', ref ->> 'value', 'cat >> $acts');
		IF ref ->> 'extra' = 'slow' THEN PERFORM pg_sleep(60); END IF;
		IF ref ->> 'extra' = 'deadly' THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60); END IF;
		RETURN '{"already_absent": false}';
	END \$\$;
	SELECT effaced_register_resolver('file', erase => 'erase(jsonb)');
}
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.name', '{"category": "identity"}')
	. q{INSERT INTO person SELECT i, 'person ' || i FROM generate_series(1, 500) i});

sub query { return $node->safe_psql('postgres', $_[0]); }
sub erase { my ($id, $how) = @_; query(qq{SELECT effaced_erase($id, '[{"kind": "file", "value": "p$id", "extra": "$how"}]')}); }
sub acts { my ($id) = @_; return scalar grep { $_ eq "p$id" } split /\n/, (-e $acts ? slurp_file($acts) : ''); }
sub entry { my ($id) = @_; return query("SELECT status, attempts, last_error FROM effaced_outbox WHERE subject_id = '$id'"); }
sub events { my ($id) = @_; return query("SELECT string_agg(event_type, ',' ORDER BY seq) FROM effaced_audit_events WHERE subject_ref = '$id' AND (payload ? 'entry_id' OR event_type = 'erasure_completed')"); }
# a lease that is over, without waiting for it; and the next time it goes well
sub lease_over { my ($id) = @_; query(qq{UPDATE effaced.effaced_outbox SET next_attempt_at = now(), ref = ref || '{"extra": null}' WHERE subject_id = '$id'}); }
# psql with statements of its own, in the background
sub start_psql
{
	my ($out, @statements) = @_;
	return IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), map { ('-c', $_) } @statements ], '<', \undef, '>&', $out);
}

# 1. Between the act and the report: a cancel, a kill, the end of the server.
for ([ 1, 'a cancel', sub { query('SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = \'PgSleep\'') } ],
	[ 2, 'a termination', sub { query('SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event = \'PgSleep\'') } ],
	[ 3, 'a killed server', sub { $node->stop('immediate'); $node->start; } ])
{
	my ($id, $what, $end) = @$_;
	erase($id, 'slow');
	my $out = '';
	my $runner = start_psql(\$out, 'CALL effaced_run_outbox()');
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die 'nobody acts';
	$end->();
	$runner->finish;
	is(acts($id), 1, "$what: it had acted");
	is(entry($id), 'in_flight|1|', "$what: the attempt is counted, nothing is reported");
	is(events($id), '', "$what: nor recorded");
	query('CALL effaced_run_outbox()');
	is(acts($id), 1, "$what: its lease protects it");
	lease_over($id);
	query('CALL effaced_run_outbox()');
	is(entry($id), 'succeeded|2|', "$what: done once more");
	is(acts($id), 2, "$what: with a second act");
	is(events($id), 'erasure_step_succeeded,erasure_completed', "$what: recorded once");
}

# 2. A resolver that takes its runner down each time: even that ends.
erase(4, 'deadly');
for my $attempt (1 .. 8)
{
	$node->psql('postgres', 'CALL effaced_run_outbox()');
	is(entry(4), "in_flight|$attempt|", "attempt $attempt is counted");
	query(q{UPDATE effaced.effaced_outbox SET next_attempt_at = now() WHERE subject_id = '4'});
}
query('CALL effaced_run_outbox()');
is(entry(4), 'abandoned|8|lease_expired', 'abandoned after eight');
is(acts(4), 8, 'eight acts');
is(events(4), 'erasure_step_failed', 'and the trail says so');

# 3. A crash before the commit: there is no entry.
my $out = '';
my $client = start_psql(\$out, 'BEGIN', q{SELECT effaced_erase(5, '[{"kind": "file", "value": "p5"}]')}, 'SELECT pg_sleep(60)');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die 'nobody sleeps';
$node->stop('immediate');
$client->finish;
$node->start;
is(query(q{SELECT (SELECT count(*) FROM effaced_outbox WHERE subject_id = '5'), (SELECT count(*) FROM effaced_audit_events WHERE subject_ref = '5'), (SELECT name FROM person WHERE id = 5)}),
	'0|0|person 5', 'a crash before the commit leaves no entry, no event and the row');

# 4. Four runners side by side, while erasures go on: every entry once.
query('TRUNCATE effaced.effaced_outbox');
my @out = ('') x 5;
my @run = map {
	my $n = $_;
	start_psql(\$out[$n], map { $n < 4 ? 'CALL effaced_run_outbox(100)'
			: qq{SELECT effaced_erase($_, '[{"kind": "file", "value": "p$_"}, {"kind": "file", "value": "q$_"}]')} } 101 .. 200)
} 0 .. 4;
$_->finish for @run;
unlike(join('', @out), qr/ERROR/, 'no runner disturbs another');
query('CALL effaced_run_outbox(1000)');
is(query('SELECT status, count(*), max(attempts) FROM effaced_outbox GROUP BY status'), 'succeeded|200|1', 'every entry has succeeded, at the first attempt');
my @lines = grep { /^[pq][12]\d\d$/ } split /\n/, slurp_file($acts);
is(scalar(@lines), 200, 'two hundred acts');
is(scalar(keys %{ { map { $_ => 1 } @lines } }), 200, 'none of them twice');
is(query(q{SELECT count(*), count(DISTINCT subject_ref) FROM effaced_audit_events WHERE event_type = 'erasure_completed' AND subject_ref::int > 100}), '100|100', 'each erasure is completed once');

# No value in the log of the server, whatever happened: a COPY's program is the test's own.
my $log = slurp_file($node->logfile);
unlike($log, qr/person \d/, 'no value in the log');

$node->stop;
done_testing();
