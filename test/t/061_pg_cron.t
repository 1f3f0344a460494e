# pg_cron runs what the README schedules, with its default connection and with
# background workers, and tells how it went.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'pg_cron is not installed' unless -e "$share/extension/pg_cron.control";

# The two statements of the README, every minute instead of every night.
my @schedules = slurp_file('README.md') =~ /^(SELECT cron\.schedule\(.*\);)$/mg;
is(scalar @schedules, 2, 'the README schedules a sweep and an enforcement');
s/'\d+ \d+ \* \* \*'/'* * * * *'/ or die for @schedules;

my %nodes;
for my $name ('connection', 'worker')
{
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	my $host = $node->host;
	$node->append_conf('postgresql.conf', qq{
		shared_preload_libraries = 'pg_cron'
		cron.database_name = 'shop'
		cron.host = '$host'
		cron.use_background_workers = } . ($name eq 'worker' ? 'on' : 'off') . "\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE shop');
	$node->safe_psql('shop', q{
		CREATE EXTENSION pg_cron;
		CREATE EXTENSION effaced;
		CREATE TABLE person (id int PRIMARY KEY, name text);
		CREATE TABLE visit (id int PRIMARY KEY, person_id int REFERENCES person, page text, at date);
		CREATE TABLE login (id int PRIMARY KEY, person_id int REFERENCES person, ip inet, at timestamptz);
	}
		. label('TABLE person', '{"path": ""}')
		. label('COLUMN person.name', '{"category": "identity"}')
		. label('COLUMN login.ip', '{"category": "technical", "erasure": "retain", "retention": {"reason": "abuse", "duration": "90 days", "anchor": "at", "on_expiry": "delete"}}')
		. label('COLUMN visit.page', '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "abuse", "duration": "1 year", "anchor": "at"}}')
		. q{
		INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
		INSERT INTO login SELECT g, 1, '192.0.2.1', '2020-01-01' FROM generate_series(1, 2500) g;
		INSERT INTO visit VALUES (1, 2, 'page', '2020-01-01');
		INSERT INTO login VALUES (3000, 2, '192.0.2.2', now());
	});
	$node->safe_psql('shop', join('', @schedules));
	$nodes{$name} = $node;
}

# A minute begins within one.
for my $name (sort keys %nodes)
{
	my $node = $nodes{$name};
	$node->poll_query_until('shop', q{SELECT count(DISTINCT command) = 2 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')})
	  or die "$name: nothing was run";
	is($node->safe_psql('shop', q{SELECT DISTINCT command, status FROM cron.job_run_details WHERE status <> 'running' AND status <> 'starting' ORDER BY 1}),
		"CALL effaced_enforce_retention()|succeeded\nSELECT * FROM effaced_sweep()|succeeded", "$name: both succeeded");
	is($node->safe_psql('shop', q{SELECT return_message FROM cron.job_run_details WHERE command ~ 'sweep' ORDER BY runid LIMIT 1}),
		$name eq 'worker' ? 'SELECT 2' : '2 rows', "$name: the sweep reports both columns");
	is($node->safe_psql('shop', 'SELECT array_agg(id) FROM login'), '{3000}', "$name: what had expired is gone");
	is($node->safe_psql('shop', 'SELECT batches, deleted, finished_at IS NOT NULL FROM effaced_retention_runs ORDER BY run_id LIMIT 1'),
		'4|2500|t', "$name: in batches of their own");
	is($node->safe_psql('shop', q{SELECT DISTINCT payload -> 'columns' ? 'visit.page' FROM effaced_audit_events WHERE event_type = 'retention_expired' AND subject_ref = '2'}),
		't', "$name: and recorded for whose it was");
	$node->stop;
}
done_testing();
