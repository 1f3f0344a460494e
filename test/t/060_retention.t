# Enforcing retention beside other sessions: rows that they have locked are
# passed by, locks do not outlive a batch, progress can be watched, and a run that
# was stopped goes on where it was; and a sweep reads what has expired once, and no more.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('main');
my $database = 'shop';
$node->safe_psql('postgres', "CREATE DATABASE $database");
sub query { return $node->safe_psql($database, $_[0]); }

query(q{
	CREATE EXTENSION effaced;
	CREATE TABLE customer (id int PRIMARY KEY, name text);
	CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, who text, issued date);
	CREATE INDEX ON invoice (issued);
	CREATE TABLE visit (id int PRIMARY KEY, customer_id int REFERENCES customer, page text, at timestamptz);
	CREATE INDEX ON visit (at);
	CREATE TABLE click (id int PRIMARY KEY, visit_id int REFERENCES visit ON DELETE CASCADE);
	CREATE INDEX ON click (visit_id);
}
	. label('TABLE customer', '{"path": ""}')
	. label('COLUMN customer.name', '{"category": "identity"}')
	. label('COLUMN invoice.who', '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued", "on_expiry": "anonymize"}}')
	. label('COLUMN visit.page', '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "abuse", "duration": "1 year", "anchor": "at", "on_expiry": "delete"}}')
	. q{
	INSERT INTO customer SELECT g, 'n' || g FROM generate_series(1, 100) g;
	INSERT INTO invoice SELECT g, 1 + g % 100, 'who ' || g, date '2000-01-01' + g / 10 FROM generate_series(1, 1000) g;
	INSERT INTO visit SELECT g, 1 + g % 100, 'page ' || g, timestamptz '2000-01-01' + g * interval '1 hour' FROM generate_series(1, 1000) g;
	ANALYZE;
});

my @sessions = map { EffacedTest::Session->new($node, $database) } 1 .. 3;
my ($worker, $other, $third) = @sessions;
my $runs = 'SELECT batches, anonymized, deleted, restricted, kept, left_over, finished_at IS NOT NULL FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1';

# Locked rows are passed by, without waiting.
$other->query('BEGIN; SELECT FROM invoice WHERE id IN (5, 500) FOR UPDATE; SELECT FROM visit WHERE id = 7 FOR KEY SHARE; UPDATE customer SET name = name WHERE id = 3');
like($worker->query(q{CALL effaced_enforce_retention('2024-01-01', 100)}), qr/998 anonymized, 999 deleted.*3 that others had locked/s,
	'locked rows are passed by');
is(query('SELECT array_agg(id ORDER BY id) FROM invoice WHERE who = $$who $$ || id'), '{5,500}', 'they are as they were');
$other->query('COMMIT');
like($worker->query(q{CALL effaced_enforce_retention('2024-01-01', 100)}), qr/2 anonymized, 1 deleted.*0 that others had locked/s,
	'the next call takes them');

# A run that waits in the middle of a batch: what was done before is there, and is seen.
query(q{
	UPDATE invoice SET who = 'who ' || id;
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;
	CREATE TRIGGER wait BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.id = 555) EXECUTE FUNCTION wait();
});
$other->query('SELECT pg_advisory_lock(42)');
$worker->send(q{CALL effaced_enforce_retention('2024-01-01', 100)});
$node->poll_query_until($database, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
  or die 'the run did not come to the trigger';
is(query(q{SELECT batches, anonymized, target, strategy, finished_at, backend_pid = (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)
	FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1}), '6|500|invoice|anonymize||t', 'another session sees how far it is');
is(query(q{SELECT count(*) FROM invoice WHERE who ~ '^anon-'}), '500', 'batches before are committed');
# rows of batches before and after are not locked
$third->query(q{SET lock_timeout = '5s'});
is($third->query(q{UPDATE invoice SET customer_id = 1 WHERE id IN (10, 900) RETURNING id}), "10\n900", 'locks are held for the batch only');
is($third->query(q{BEGIN; ALTER TABLE customer ADD note text; COMMIT; SELECT 'ok'}), 'ok', 'and no lock on tables of steps before');

# Two at once share the work.
like(query(q{CALL effaced_enforce_retention('2024-01-01', 50); SELECT anonymized, left_over FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1}),
	qr/^400\|100$/, 'a second run takes what the first has not locked');

# Stopped: the batch is undone, the rest stays; called again, it finishes.
query(q{SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
like($worker->receive, qr/enforcement of retention on invoice failed.*57014/s, 'canceled');
is(query(q{SELECT count(*) FROM invoice WHERE who ~ '^anon-'}), '900', 'the batch is undone, those before it stay');
$other->query('SELECT pg_advisory_unlock(42)');
like($worker->query(q{CALL effaced_enforce_retention('2024-01-01', 100)}), qr/100 anonymized, 0 deleted/, 'called again, it does the rest');
is(query($runs), '3|100|0|0|0|0|t', 'and is finished');
is(query(q{SELECT count(*) FROM effaced_retention_runs WHERE finished_at IS NULL}), '1', 'the one that was stopped is not');

# Labels that change between batches count from the next batch on.
query(q{UPDATE invoice SET who = 'who ' || id});
$other->query('SELECT pg_advisory_lock(42)');
$worker->send(q{CALL effaced_enforce_retention('2024-01-01', 100)});
$node->poll_query_until($database, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die;
query(q{SECURITY LABEL FOR effaced ON COLUMN invoice.who IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued"}}'});
$other->query('SELECT pg_advisory_unlock(42)');
like($worker->receive, qr/600 anonymized, 0 deleted/, 'a label that was changed stops it');
is(query(q{SELECT count(*) FROM invoice WHERE who = 'who ' || id}), '400', 'the rest is only to be reported');

# A reference that comes in before the row is locked keeps the row, whatever ON DELETE CASCADE would do.
query(q{
	INSERT INTO visit SELECT g, 1, 'page', '2000-01-01' FROM generate_series(1, 10) g;
	CREATE TRIGGER wait BEFORE DELETE ON visit FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION wait();
});
query(q{CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END $$});
$other->query('SELECT pg_advisory_lock(42)');
$worker->send(q{CALL effaced_enforce_retention('2024-01-01', 2)});
$node->poll_query_until($database, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die;
$third->query('INSERT INTO click VALUES (1, 9)');
$third->send('INSERT INTO click VALUES (2, 2)');    # of a row that is locked: it waits
$other->query('SELECT pg_advisory_unlock(42)');
like($worker->receive, qr/9 deleted.*1 that something else keeps/s, 'a row that is referenced meanwhile stays');
like($third->receive, qr/violates foreign key/, 'a row that goes is not referenced any more');
is(query('SELECT string_agg(visit_id::text, $$ $$) FROM click JOIN visit v ON v.id = visit_id'), '9', 'nothing was taken along');

# An index on the anchor keeps the sweep from reading the rest, and columns of one term are read together.
query(q{
	ALTER TABLE invoice ADD address text DEFAULT 'address';
}
	. label('COLUMN invoice.address', '{"category": "contact", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued"}}')
	. q{
	INSERT INTO invoice SELECT g, 1, 'who', '2023-01-01' FROM generate_series(2000, 60000) g;
	ALTER TABLE invoice DISABLE TRIGGER wait;
	VACUUM ANALYZE invoice;
});
my $read = sub {
	query(q{SELECT pg_stat_reset()});
	query(q{SELECT effaced_sweep('2024-01-01')});
	$node->poll_query_until($database, q{SELECT idx_scan > 0 OR seq_scan > 0 FROM pg_stat_user_tables WHERE relname = 'invoice'});
	return query(q{SELECT seq_scan || ' ' || (seq_tup_read + idx_tup_fetch <= 1100) FROM pg_stat_user_tables WHERE relname = 'invoice'});
};
is($read->(), '0 true', 'the sweep reads the expired part only, and once');

$_->close for @sessions;
$node->stop;
done_testing();
