# A backup brings back whom it knew; a trail that survived erases them again. A
# copy of a database carries out nothing of its outbox until it is adopted.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Base backups need WAL.
my $node = PostgreSQL::Test::Cluster->new('live');
$node->init(allows_streaming => 1);
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, name text, crm text, since date DEFAULT '2020-01-01');
	CREATE TABLE post (id int PRIMARY KEY, person_id int REFERENCES person, body text);
	CREATE TABLE bill (id int PRIMARY KEY, person_id int REFERENCES person, who text, paid date);
	CREATE TABLE told (who text);
	CREATE FUNCTION erase(ref jsonb) RETURNS jsonb LANGUAGE sql AS
		$$ INSERT INTO public.told VALUES (ref ->> 'value'); SELECT '{"already_absent": false}'::jsonb $$;
	SELECT effaced_register_resolver('crm', erase => 'erase(jsonb)');
}
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.name', '{"category": "identity"}')
	. label('COLUMN person.crm', '{"category": "identity", "ref": "crm"}')
	. label('COLUMN post.body', '{"category": "communication"}')
	. label('COLUMN bill.who', '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law"}}')
	. q{
	INSERT INTO person SELECT i, 'person ' || i, 'crm ' || i FROM generate_series(1, 50) i;
	INSERT INTO post SELECT i, 1 + i % 50, 'post ' || i FROM generate_series(1, 500) i;
	INSERT INTO bill SELECT i, i, 'who ' || i, '2024-01-01' FROM generate_series(1, 50) i;
	SELECT effaced_erase_many(ARRAY(SELECT i::text FROM generate_series(1, 5) i));
	CALL effaced_run_outbox();
});
my %tables = map { $_ => 'true' } 'person', 'post', 'bill';
my $all = sub { my ($n, $database) = @_; checksums($n, $database, \%tables) };

# 1. Base backup, erasures, the disaster.
my $taken = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->backup('before');
$node->safe_psql('postgres', 'SELECT effaced_erase(i) FROM generate_series(11, 17) i');
$node->safe_psql('postgres', q{SELECT effaced_erase_many('{21,22}'); BEGIN; SELECT effaced_erase(30); ROLLBACK});
my $after = $all->($node, 'postgres');
# the trail is saved elsewhere, as CSV
my $saved = $node->safe_psql('postgres', 'COPY (SELECT * FROM effaced_audit_events) TO STDOUT (FORMAT csv)');
$node->stop;

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($node, 'before');
$restored->start;
isnt($all->($restored, 'postgres')->{person}, $after->{person}, 'the backup knows those who were erased since');
is($restored->safe_psql('postgres', 'SELECT count(*) FROM effaced_replay_plan(now())'), 5, 'and only its own trail');

my $file = PostgreSQL::Test::Utils::tempdir() . '/events.csv';
PostgreSQL::Test::Utils::append_to_file($file, "$saved\n");
$restored->safe_psql('postgres', "CREATE TABLE saved_events (LIKE effaced_audit_events); COPY saved_events FROM '$file' (FORMAT csv)");
is($restored->safe_psql('postgres', "SELECT subject_id FROM effaced_replay_plan('$taken', 'saved_events', '0') WHERE verdict = 'replayable' ORDER BY subject_id::int"),
	join("\n", 11 .. 17, 21, 22), 'whom to erase again');
# those of the day before the backup too: that is harmless
is($restored->safe_psql('postgres', "SELECT count(*), count(DISTINCT subject_id), min(verdict), max(verdict) FROM effaced_replay('$taken', 'saved_events')"),
	'14|14|replayable|replayable', 'a row for each');
is_deeply($all->($restored, 'postgres'), $after, 'everything is as it was before the disaster');
is($restored->safe_psql('postgres', q{SELECT count(*) FROM effaced_audit_events r JOIN effaced_audit_events l ON l.subject_ref = r.subject_ref AND l.seq > r.seq
	WHERE r.event_type = 'erasure_replayed' AND l.event_type = 'erasure_local_completed'}), 14, 'each replay is recorded before its erasure');
is($restored->safe_psql('postgres', 'SELECT count(*) FROM generate_series(1, 50) i WHERE (effaced_verify(i) ->> \'verified\')::boolean'), 14, 'nothing is left of them');
# what was left to do elsewhere is found in the rows again
$restored->safe_psql('postgres', 'TRUNCATE told; CALL effaced_run_outbox()');
is($restored->safe_psql('postgres', 'SELECT string_agg(who, \',\' ORDER BY who) FROM told'), join(',', map { "crm $_" } 11 .. 17, 21, 22), 'and elsewhere');
is($restored->safe_psql('postgres', "SELECT count(*) FROM effaced_replay('$taken', 'saved_events')"), 14, 'once more: harmless');
is_deeply($all->($restored, 'postgres'), $after, 'nothing changes');

# 2. Copies: a template, a dump into another database, a dump into another server.
$restored->safe_psql('postgres', 'SELECT effaced_erase(40)');
$restored->safe_psql('template1', 'CREATE DATABASE by_template TEMPLATE postgres');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
command_ok([ 'pg_dump', '-h', $restored->host, '-p', $restored->port, '-f', $dump, 'postgres' ], 'pg_dump');
$restored->safe_psql('postgres', 'CREATE DATABASE by_dump TEMPLATE template0');
load_file($restored, 'by_dump', $dump);
my $elsewhere = start_node('elsewhere');
load_file($elsewhere, 'postgres', $dump);
for ([ $restored, 'by_template' ], [ $restored, 'by_dump' ], [ $elsewhere, 'postgres' ])
{
	my ($where, $database) = @$_;
	my $what = $where->name . ", $database";
	is($where->safe_psql($database, q{SELECT subject_id, resolver, ref ->> 'value', status FROM effaced_outbox WHERE status <> 'succeeded'}),
		'40|crm|crm 40|pending', "$what: the entry has come along");
	for my $sql ('SELECT * FROM effaced_outbox_claim()', 'CALL effaced_run_outbox()')
	{
		my (undef, undef, $err) = $where->psql($database, "\\set VERBOSITY verbose\n$sql");
		like($err, qr/ZE005/, "$what: $sql is refused");
	}
	is($where->safe_psql($database, q{SELECT count(effaced_erase(41)); SELECT count(*) FROM effaced_outbox WHERE status <> 'succeeded'}), "1\n2", "$what: erasures go on");
	is($where->safe_psql($database, 'SELECT count(*) FROM told WHERE who ~ \'4\d$\''), 0, "$what: nobody was told");
	$where->safe_psql($database, 'SELECT effaced_outbox_adopt(); CALL effaced_run_outbox()');
	is($where->safe_psql($database, q{SELECT string_agg(who, ',' ORDER BY who) FROM told WHERE who ~ '4\d$'}), 'crm 40,crm 41', "$what: once it is adopted");
}
$restored->safe_psql('postgres', 'CALL effaced_run_outbox()');
is($restored->safe_psql('postgres', q{SELECT count(*) FROM told WHERE who = 'crm 40'}), 1, 'the original needs no permission');

$_->stop for $restored, $elsewhere;
done_testing();
