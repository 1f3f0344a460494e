# An erasure that is interrupted in the middle, by a timeout, a cancellation, the
# end of the session or of the server, has not happened.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('main');
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, name text, joined date);
	CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, body text);
	CREATE TABLE note (id int PRIMARY KEY, post_id int NOT NULL REFERENCES post, text text);
	INSERT INTO person SELECT i, 'name ' || i FROM generate_series(1, 3) i;
	INSERT INTO post SELECT i, 1 + i % 3, 'body' FROM generate_series(1, 9) i;
	INSERT INTO note SELECT i, i, 'text' FROM generate_series(1, 9) i;
	CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(coalesce(nullif(current_setting('test.linger', true), ''), '0')::float8);
		RETURN OLD;
	END
	$$;
	CREATE TRIGGER linger BEFORE DELETE ON post FOR EACH ROW EXECUTE FUNCTION linger();
}
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.name', '{"category": "identity"}')
	. label('TABLE post', '{"path": "person"}')
	. label('COLUMN post.body', '{"category": "communication"}')
	. label('TABLE note', '{"path": "post.person"}')
	. label('COLUMN note.text', '{"category": "communication"}'));

my $state = q{SELECT md5((SELECT string_agg(t::text, '' ORDER BY id) FROM person t) || (SELECT string_agg(t::text, '' ORDER BY id) FROM post t)
	|| (SELECT string_agg(t::text, '' ORDER BY id) FROM note t) || (SELECT count(*) FROM effaced_audit_events))};
my $before = $node->safe_psql('postgres', $state);
my $lingering = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query ~ 'effaced_erase'};

my $session = EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose');
$session->query("SET test.linger = '100'");

# A timeout.
$session->query("SET statement_timeout = '300ms'");
like($session->query("SELECT effaced_erase('1')"), qr/^ERROR:  57014: /, 'a statement timeout');
is($node->safe_psql('postgres', $state), $before, 'nothing has changed');
$session->query('RESET statement_timeout');

# A cancellation.
$session->send("SELECT effaced_erase_many('{1,2}')");
$node->poll_query_until('postgres', $lingering) or die 'nobody sleeps';
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
like($session->receive, qr/^ERROR:  57014: /, 'a cancellation');
is($node->safe_psql('postgres', $state), $before, 'nothing has changed');

# Caught in the same transaction, which goes on.
$session->query("SET statement_timeout = 0; BEGIN; SET LOCAL test.linger = '0'");
is($session->query("SELECT effaced_erase('2') -> 'deleted'"), '{"note": 3, "post": 3}', 'one that succeeds');
$session->query("SAVEPOINT s; SET LOCAL test.linger = '100'; SET LOCAL statement_timeout = '300ms'");
like($session->query("SELECT effaced_erase('1')"), qr/^ERROR:  57014: /, 'one that does not, in the same transaction');
$session->query('ROLLBACK TO s; COMMIT');
isnt($node->safe_psql('postgres', $state), $before, 'the first is committed');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT subject_ref, ',') FROM effaced_audit_events}), '2', 'and it alone');
$before = $node->safe_psql('postgres', $state);

# A lock that does not come.
my $holder = EffacedTest::Session->new($node, 'postgres');
$holder->query('BEGIN; SELECT FROM note WHERE id = 3 FOR UPDATE');
$session->query("SET test.linger = '0'; SET lock_timeout = '300ms'");
like($session->query("SELECT effaced_erase('1')"), qr/^ERROR:  55P03: /, 'a lock timeout');
is($node->safe_psql('postgres', $state), $before, 'nothing has changed');
$holder->query('ROLLBACK');
$session->query("SET test.linger = '100'; SET lock_timeout = 0");

# The end of the session.
$session->send("SELECT effaced_erase('1')");
$node->poll_query_until('postgres', $lingering) or die 'nobody sleeps';
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
$node->poll_query_until('postgres', $lingering, 'f') or die 'the session goes on';
is($node->safe_psql('postgres', $state), $before, 'the session was terminated: nothing has changed');
$session->close;

# The end of the server.
$session = EffacedTest::Session->new($node, 'postgres');
$session->query("SET test.linger = '100'");
$session->send("SELECT effaced_erase('1')");
$node->poll_query_until('postgres', $lingering) or die 'nobody sleeps';
$node->stop('immediate');
$session->close;
$holder->close;
$node->start;
is($node->safe_psql('postgres', $state), $before, 'the server stopped at once: nothing has changed');

# And then it is done.
is($node->safe_psql('postgres', q{SELECT effaced_erase('1') -> 'deleted'}), '{"note": 3, "post": 3}', 'repeated, it works');
is($node->safe_psql('postgres', q{SELECT effaced_verify('1') ->> 'verified'}), 'true', 'and is verified');

$node->stop;
done_testing();
