# Buckets, contracts, batches and records survive a dump and its restore, also where
# what they name is gone, and are gone on with.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main');
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', q{
	CREATE SCHEMA gdpr;
	CREATE EXTENSION effaced SCHEMA gdpr;
	CREATE SCHEMA "my app";
	CREATE TABLE "my app"."Person" (id int PRIMARY KEY, name text);
	CREATE TABLE "my app".login (id int PRIMARY KEY, person_id int REFERENCES "my app"."Person", ip text);
	CREATE TABLE "my app".gone (id int);
	CREATE FUNCTION "my app"."Ready"(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
		SELECT id::text, 'ready_for_deletion' FROM "my app"."Person" WHERE id = ANY (candidates::int[]) $$;
	INSERT INTO "my app"."Person" SELECT i, 'Name ' || i FROM generate_series(1, 5) i;
	INSERT INTO "my app".login SELECT i, i, '192.0.2.1' FROM generate_series(1, 5) i;
}
	. label('TABLE "my app"."Person"', '{"path": "", "owned": true}')
	. label('COLUMN "my app"."Person".name', '{"category": "identity"}')
	. label('TABLE "my app".login', '{"path": "person"}')
	. label('COLUMN "my app".login.ip', '{"category": "technical"}')
	. q{
	SET effaced.four_eyes = off;
	SELECT gdpr.effaced_register_bucket('all', '"my app"."Person"', 2, '1 day');
	SELECT gdpr.effaced_register_anchor('person', '"my app"."Person"');
	SELECT gdpr.effaced_register_anchor('login', '"my app".login');
	SELECT gdpr.effaced_register_anchor('gone', '"my app".gone');
	SELECT gdpr.effaced_register_producer('app', 'all', '"my app"."Ready"(text[])', '{person,login}', '{}', '{gone}');
	DROP TABLE "my app".gone;
	SELECT gdpr.effaced_create_deletion_records('all');
	SELECT gdpr.effaced_review_batch(b, 'accepted', 'fine') FROM unnest(gdpr.effaced_create_deletion_batches('all')) b;
	SELECT gdpr.effaced_review_record(4, false, 'stays');
});
$node->safe_psql('source', 'CALL gdpr.effaced_apply_batch(1)');

my @tables = map { "effaced.effaced_$_" } qw(buckets anchors anchor_tables producers producer_contracts compliance_profiles
	deletion_batch_rows deletion_record_rows batch_runs deletion_batches deletion_records);
my @sequences = map { "effaced.effaced_${_}_id_seq" } qw(compliance_profiles deletion_batch_rows deletion_record_rows batch_runs);
sub state_of
{
	my ($database) = @_;
	return {
		(map { $_ => $node->safe_psql($database, "SELECT t FROM $_ t ORDER BY t::text") } @tables),
		(map { $_ => $node->safe_psql($database, "SELECT last_value, is_called FROM $_") } @sequences)
	};
}
my $before = state_of('source');
like($before->{'effaced.effaced_deletion_record_rows'}, qr/all/, 'there are records');

my $directory = PostgreSQL::Test::Utils::tempdir();
my @connection = ('-h', $node->host, '-p', $node->port);
command_ok([ 'pg_dump', @connection, '-f', "$directory/plain.sql", 'source' ], 'pg_dump as text');
command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$directory/custom", 'source' ], 'pg_dump as an archive');
$node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0; CREATE DATABASE custom TEMPLATE template0');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$directory/plain.sql" ], 'restored by psql');
command_ok([ 'pg_restore', @connection, '--exit-on-error', '-j2', '-d', 'custom', "$directory/custom" ], 'restored by pg_restore -j2');

for my $database ('plain', 'custom')
{
	is_deeply(state_of($database), $before, "$database: everything as it was");
	is($node->safe_psql($database, 'SELECT started_at IS NOT NULL, rate > 0, eta FROM gdpr.effaced_batch_progress(1)'), 't|t|', "$database: no run goes on");
	is($node->safe_psql($database, 'SELECT ordinal, producer FROM gdpr.effaced_producer_order($$all$$)'), '1|app', "$database: contracts are understood");
	is($node->safe_psql($database, 'SELECT code, message FROM gdpr.effaced_lint() WHERE code ~ $$gone$$'),
		q{anchor_table_gone|table "my app".gone of anchor 'gone' does not exist: no batch that deletes from it can be applied}, "$database: what is gone is gone");
	$node->safe_psql($database, 'CALL gdpr.effaced_apply_batch(2); CALL gdpr.effaced_apply_batch(3)');
	is($node->safe_psql($database, 'SELECT string_agg(name, $$ $$) FROM "my app"."Person"'), 'Name 4', "$database: the other batches are applied");
	$node->safe_psql($database, 'INSERT INTO "my app"."Person" VALUES (6, $$Name 6$$)');
	is($node->safe_psql($database, 'SELECT gdpr.effaced_create_deletion_records($$all$$), gdpr.effaced_create_deletion_batches($$all$$)'), '1|{4}', "$database: and numbers go on");
}

$node->stop;
done_testing();
