# What only reads, beside a storm of DDL: whatever a call looks up may have just
# been dropped, renamed or changed. It then leaves that out or fails with an error
# that says so; the server never goes down, and no internal error is seen.
#
# EFFACED_STORM_SECONDS says for how long (30).

use strict;
use warnings;
use EffacedTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{EFFACED_STORM_SECONDS} // 30;
my $node = start_node('storm', "restart_after_crash = on\nautovacuum_naptime = 1s\nlog_error_verbosity = verbose\nlog_min_error_statement = error\n");
$node->safe_psql('postgres', 'CREATE DATABASE storm');

my $setup = q{
CREATE EXTENSION effaced;
SET client_min_messages = error;
CREATE ROLE regress_reader;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (1); RETURN NEW; END';
CREATE TABLE log (id int);
CREATE TABLE person (id int PRIMARY KEY, email text, name text, born date, city text);
CREATE TABLE post (id int PRIMARY KEY, person_id int REFERENCES person, body text, extra text, likes int);
CREATE TABLE visit (person_id int REFERENCES person, at date NOT NULL, path text) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE message (id int PRIMARY KEY, person_id int REFERENCES person, text text);
CREATE TABLE answer (id int PRIMARY KEY, message_id int REFERENCES message, text text);
INSERT INTO person SELECT n, n || '@example.org', 'Name ' || n, '2000-01-01', 'Town' FROM generate_series(1, 50) AS n;
INSERT INTO post SELECT n, n, 'body', 'extra', 1 FROM generate_series(1, 50) AS n;
INSERT INTO visit SELECT n, '2020-05-05', '/' FROM generate_series(1, 50) AS n;
INSERT INTO message SELECT n, n, 'text' FROM generate_series(1, 50) AS n;
INSERT INTO answer SELECT n, n, 'text' FROM generate_series(1, 50) AS n;
ANALYZE;
} . join('',
	label('TABLE person', '{"path": ""}'),
	label('COLUMN person.email', '{"category": "contact"}'),
	label('COLUMN person.name', '{"category": "identity"}'),
	label('TABLE post', '{"path": "person_id"}'),
	label('COLUMN post.body', '{"category": "communication"}'),
	label('TABLE visit', '{"path": "person", "owned": true}'),
	label('COLUMN visit.path', '{"category": "behavioral"}'),
	label('COLUMN message.text', '{"category": "communication"}'),
	label('COLUMN answer.text', '{"category": "communication"}'));
$node->safe_psql('storm', $setup);

# Each line is a statement of its own; what it makes, a later one takes away.
my @storm = grep { /\S/ } split /\n/, q{
CREATE INDEX post_lower ON post (lower(body));
CREATE INDEX post_carries ON post (likes) INCLUDE (body);
ALTER TABLE post ADD CONSTRAINT post_carried UNIQUE (id) INCLUDE (body);
CREATE STATISTICS person_stats (mcv) ON email, name FROM person;
ANALYZE person, post, visit;
CREATE PUBLICATION everything FOR TABLE person, post, message;
CREATE PUBLICATION columns FOR TABLE answer (id, text);
ALTER TABLE message REPLICA IDENTITY FULL;
GRANT SELECT ON person, message TO regress_reader;
CREATE VIEW mails AS SELECT p.email, o.body FROM person p JOIN post o ON o.person_id = p.id;
CREATE MATERIALIZED VIEW kept AS SELECT email FROM person;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE extra (id int PRIMARY KEY, person_id int REFERENCES person ON DELETE CASCADE, email mail, mood mood);
SECURITY LABEL FOR effaced ON TABLE extra IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN extra.email IS '{"category": "contact", "surrogate": "''gone@example.org''"}';
SECURITY LABEL FOR effaced ON COLUMN extra.mood IS '{"category": "special", "surrogate": "NULL"}';
INSERT INTO extra VALUES (1, 1, 'a@example.org', 'good');
ALTER TABLE extra ADD COLUMN lower text GENERATED ALWAYS AS (lower(email)) STORED;
CREATE TRIGGER pass AFTER UPDATE ON extra FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TRIGGER pass AFTER UPDATE ON post FOR EACH ROW EXECUTE FUNCTION pass();
CREATE RULE copy AS ON UPDATE TO message DO ALSO INSERT INTO log VALUES (1);
ALTER TABLE post ADD COLUMN author int REFERENCES person;
COMMENT ON COLUMN post.extra IS 'what else @effaced {"category": "contact"}';
ALTER TABLE post RENAME COLUMN extra TO other;
COMMENT ON COLUMN post.other IS NULL;
ALTER TABLE post RENAME COLUMN other TO extra;
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX ON visit (person_id);
CREATE TABLE letter (stamp text) INHERITS (message);
ALTER TABLE person ADD CONSTRAINT city CHECK (city <> 'x');
ALTER TABLE person ADD COLUMN twin int REFERENCES person;
CREATE SCHEMA shop;
CREATE TABLE shop.bill (id int PRIMARY KEY, person_id int REFERENCES person, address text);
SECURITY LABEL FOR effaced ON COLUMN shop.bill.address IS '{"category": "contact"}';
ALTER TABLE shop.bill RENAME TO invoice;
ALTER TABLE extra DROP COLUMN lower;
ALTER TABLE extra ALTER email TYPE text;
DROP SCHEMA shop CASCADE;
DROP TABLE extra CASCADE;
DROP TYPE mood CASCADE;
DROP DOMAIN mail CASCADE;
ALTER TABLE visit DETACH PARTITION visit_2;
DROP TABLE visit_2;
DROP INDEX visit_person_id_idx;
DROP TABLE letter;
ALTER TABLE person DROP COLUMN twin;
ALTER TABLE person DROP CONSTRAINT city;
ALTER TABLE post DROP COLUMN author;
DROP TRIGGER pass ON post;
DROP RULE copy ON message;
DROP MATERIALIZED VIEW kept;
DROP VIEW mails;
REVOKE SELECT ON person, message FROM regress_reader;
ALTER TABLE message REPLICA IDENTITY DEFAULT;
DROP PUBLICATION columns;
DROP PUBLICATION everything;
DROP STATISTICS person_stats;
ALTER TABLE post DROP CONSTRAINT post_carried;
DROP INDEX post_carries;
DROP INDEX post_lower;
ALTER TABLE answer RENAME TO reply;
ALTER TABLE reply RENAME TO answer;
ALTER TABLE answer DROP CONSTRAINT answer_message_id_fkey;
ALTER TABLE answer ADD FOREIGN KEY (message_id) REFERENCES message;
};

my @calls = grep { /\S/ } split /\n/, q{
SELECT count(*) FROM effaced_lint();
SELECT count(*) FROM effaced_lint(sample => 10);
SELECT count(*) FROM effaced_plan('1');
SELECT count(*) FROM effaced_plan('1', 'person', ARRAY['post', 'message']::regclass[]);
SELECT effaced_verify('1') IS NOT NULL;
SELECT effaced_manifest() IS NOT NULL;
SELECT effaced_manifest_table('post') IS NOT NULL;
SELECT effaced_manifest_diff(effaced_manifest()) IS NOT NULL;
SELECT count(*) FROM effaced_subject_graph();
SELECT count(*) FROM effaced_table_access('post');
SELECT count(*) FROM unnest(effaced_deletion_order('{post,message,answer,visit}'));
SELECT effaced_graph_dot() IS NOT NULL;
SELECT effaced_export('1') IS NOT NULL;
SELECT count(*) FROM effaced_export_records('1');
SELECT effaced_export_html('1') IS NOT NULL;
SELECT count(*) FROM effaced_sweep();
SELECT effaced_subject_kind();
SELECT count(*) FROM effaced_subject_ids();
SELECT effaced.effaced_subject_ref('1') IS NOT NULL;
SELECT effaced_consent_status('1', 'mail') IS NOT NULL;
SELECT effaced_restriction_status('1') IS NOT NULL;
SELECT count(*) FROM effaced_restriction_history('1');
SELECT count(*) FROM effaced_consent_history('1');
};

# Run a file again and again in new sessions until the time is over; returns what was written.
sub repeat
{
	my ($name, $times, @statements) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.sql";
	append_to_file($file, "SET lock_timeout = '5s'; SET client_min_messages = error;\n" . join("\n", (@statements) x $times) . "\n");
	my $out = "$PostgreSQL::Test::Utils::tmp_check/$name.out";
	my $command = sprintf q{end=$(($(date +%%s) + %d)); n=0; while [ $(date +%%s) -lt $end ]; do
		timeout $((end - $(date +%%s) + 1)) psql -X -q -A -t -v VERBOSITY=sqlstate -d '%s' -f '%s' >>'%s' 2>&1; done}, $seconds, $node->connstr('storm'), $file, $out;
	return { harness => IPC::Run::start([ 'bash', '-c', $command ]), out => $out };
}

my $started = $node->safe_psql('storm', 'SELECT pg_postmaster_start_time()');
my @running = (repeat('storm', 3, @storm), repeat('calls_warm', 20, @calls), repeat('calls_cold', 1, @calls));
IPC::Run::finish($_->{harness}) for @running;

my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC|all server processes terminated/, 'the server has not gone down');
is($node->safe_psql('storm', 'SELECT 1'), 1, 'the server answers');
is($node->safe_psql('storm', 'SELECT pg_postmaster_start_time()'), $started, 'it is the same server');
is(join("\n", $log =~ /(ERROR:  XX.*\n.*\n.*)/g), '', 'no internal error');
my %states;
$states{$_}++ for map { slurp_file($_->{out}) =~ /(?:ERROR|FATAL|PANIC):  (\w{5})/g } @running[ 1, 2 ];
my $rows = () = slurp_file($running[1]{out}) =~ /^(?:\d+|t|person)$/mg;
note("$rows answers; errors: " . join ', ', map { "$_ ($states{$_})" } sort keys %states);
cmp_ok($rows, '>', 20, 'most calls have an answer');
is(join(' ', grep { !/^(?:42P01|42703|42704|3F000|40P01|ZE00[1-5])$/ } sort keys %states), '', 'every error says what is gone, or wrong with a label');

done_testing();
