# Neither the server log, at its default settings, nor an error's fields hold a
# personal value: no identifier, no value of a row, whatever fails.

use strict;
use warnings;
use EffacedTest;
use Test::More;

# the settings of the test cluster that are not the defaults
my $node = start_node('main', "log_statement = none\nlog_lock_waits = off\nlog_min_duration_statement = -1\ndeadlock_timeout = 100ms");
is($node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE category ~ 'Logging' AND setting <> boot_val
		AND name NOT IN ('log_destination', 'log_filename', 'log_directory', 'logging_collector', 'log_timezone', 'log_line_prefix',
			'log_replication_commands', 'log_file_mode', 'application_name', 'log_checkpoints', 'log_autovacuum_min_duration', 'cluster_name', 'update_process_title')}),
	'', 'the log is set as by default');

# Every value that the test writes has this word in it.
my $secret = 'xyzzy';
$node->safe_psql('postgres', qq{
	CREATE EXTENSION effaced;
	CREATE TABLE person (mail text PRIMARY KEY, name text, grade int DEFAULT 1, joined date);
	CREATE TABLE post (id int PRIMARY KEY, mail text NOT NULL REFERENCES person, body text);
	CREATE TABLE note (id int PRIMARY KEY, post_id int REFERENCES post, text text);
	CREATE TABLE report (id int, note_id int CONSTRAINT reported REFERENCES note, text text);
	CREATE TABLE device (ip inet PRIMARY KEY, label text, kind text);
	INSERT INTO person SELECT i || '-$secret\@example.com', 'name $secret', 1 FROM generate_series(1, 9) i;
	INSERT INTO post SELECT i, i || '-$secret\@example.com', '$secret says' FROM generate_series(1, 9) i;
	INSERT INTO note SELECT i, i, '$secret notes' FROM generate_series(1, 9) i;
	INSERT INTO report VALUES (1, 2, '$secret');
	CREATE ROLE clerk;
	GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO clerk;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO clerk;
}
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.name', '{"category": "identity", "surrogate": "\'nobody\'"}')
	. label('TABLE post', '{"path": "person"}')
	. label('COLUMN post.body', '{"category": "communication"}')
	. label('TABLE note', '{"path": "post.person"}')
	. label('COLUMN note.text', '{"category": "communication"}')
	. label('TABLE device', '{"path": ""}')
	. label('COLUMN device.label', '{"category": "technical"}'));

# What fails, how, and with what set up before; each in a transaction of its own.
my $erase = "SELECT effaced_erase('3-$secret\@example.com', subject => 'person')";
my $trigger = sub {
	my ($when, $body) = @_;
	return "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $body RETURN coalesce(NEW, OLD); END \$\$; CREATE TRIGGER f BEFORE $when FOR EACH ROW EXECUTE FUNCTION f();";
};
# a correction of the third person, the new value for %
my $rectify = sub {
	my ($category, $value) = @_;
	$value =~ s/%/new $secret/g;
	return "SELECT effaced_rectify('3-$secret\@example.com', ('[{\"category\": \"$category\", \"value\": $value}]')::jsonb, subject => 'person')";
};
my $correct = sub {
	my ($category, $value) = @_;
	return qq{SELECT effaced_rectify('3-$secret\@example.com', '[{"category": "$category", "value": "$value"}]', subject => 'person')};
};
my @failures = (
	[ 'an identifier that does not fit', 'ZE002', "SELECT effaced_erase('$secret', subject => 'device')" ],
	[ 'one in an array', 'ZE002', "SELECT effaced_erase(ARRAY['$secret', 'b'], subject => 'person')" ],
	[ 'one of many', 'ZE002', "SELECT effaced_erase_many(ARRAY['192.0.2.1', '$secret'], subject => 'device')" ],
	[ 'one to verify', 'ZE002', "SELECT effaced_verify('$secret', subject => 'device')" ],
	[ 'one to plan', 'ZE002', "SELECT * FROM effaced_plan('$secret', subject => 'device')" ],
	[ 'no subject named', 'ZE002', "SELECT effaced_erase('3-$secret\@example.com')" ],
	[ 'a table that is no subject', 'ZE002', "SELECT effaced_erase('3-$secret\@example.com', subject => 'note')" ],
	[ 'tables outside the map', 'ZE002', "SELECT effaced_erase('3-$secret\@example.com', subject => 'person', tables => '{report}')" ],
	[ 'a malformed composite identifier', 'ZE002', "SELECT effaced_parse_subject_id('$secret\\x')" ],
	[ 'a composite identifier of another arity', 'ZE002', "SELECT effaced_parse_subject_id('$secret:1', 3)" ],
	[ 'references', 'ZE006', "SELECT effaced_erase('3-$secret\@example.com', '[{\"kind\": \"k-$secret\", \"value\": \"$secret\"}]', subject => 'person')" ],
	[ 'isolation', 'ZE005', "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; $erase" ],
	[ 'a row in the way', 'ZE003', "SELECT effaced_erase('2-$secret\@example.com', subject => 'person')" ],
	[ 'labels that contradict each other', 'ZE003', label('COLUMN note.text', '{"category": "identity", "erasure": "retain", "retention": {"reason": "law"}}') . $erase ],
	[ 'a path that leads nowhere', 'ZE001', label('TABLE note', '{"path": "nowhere"}') . $erase ],
	[ 'no surrogate', 'ZE004', "ALTER TABLE person ADD c point;" . label('COLUMN person.c', '{"category": "location"}') . $erase ],
	[ 'a swallowed DELETE', 'ZE004', $trigger->('DELETE ON note', 'RETURN NULL;') . $erase ],
	[ 'a value put back', 'ZE004', $trigger->('UPDATE ON person', 'RETURN OLD;') . $erase ],
	[ 'a trigger that complains', 'P0001', $trigger->('DELETE ON note', q{RAISE EXCEPTION 'about %', OLD USING DETAIL = OLD.text, HINT = OLD.text;}) . $erase ],
	[ 'a trigger that divides', '22012', $trigger->('DELETE ON note', 'PERFORM 1 / (length(OLD.text) - length(OLD.text));') . $erase ],
	[ 'a trigger that casts', '22P02', $trigger->('DELETE ON note', 'PERFORM OLD.text::int;') . $erase ],
	[ 'a trigger that runs text as SQL', '42601', $trigger->('DELETE ON note', 'EXECUTE OLD.text;') . $erase ],
	[ 'a check constraint', '23514', "ALTER TABLE person ADD CHECK (name <> 'nobody');" . $erase ],
	[ 'a unique index', '23505', "UPDATE person SET name = 'nobody' WHERE mail LIKE '1-%'; CREATE UNIQUE INDEX ON person (name) WHERE mail < '4' AND mail <> '2-$secret\@example.com';" . $erase ],
	[ 'a NOT NULL', '23502', $trigger->('UPDATE ON person', 'NEW.grade := NULL;') . 'ALTER TABLE person ALTER grade SET NOT NULL;' . $erase ],
	[ 'a foreign key', '23503', $trigger->('DELETE ON note', 'INSERT INTO report VALUES (9, OLD.id, OLD.text);') . $erase ],
	[ 'a privilege', '42501', "SET ROLE clerk; $erase" ],
	[ 'row-level security', '42501', "ALTER TABLE note ENABLE ROW LEVEL SECURITY; GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk; SET ROLE clerk; $erase" ],
	[ 'row-level security in verify', '42501', "ALTER TABLE note ENABLE ROW LEVEL SECURITY; GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk; SET ROLE clerk; " . ($erase =~ s/erase/verify/r) ],
	[ 'a read-only transaction', '25006', "SET TRANSACTION READ ONLY; $erase" ],
	[ 'a timeout', '57014', $trigger->('DELETE ON post', 'PERFORM pg_sleep(60);') . "SET LOCAL statement_timeout = '500ms'; $erase" ],
	[ 'a question that cannot be asked', 'ZE005', "SELECT effaced_register_question('q', 'q', 'SELECT 1 AS a FROM person WHERE grade = ''$secret''')" ],
	[ 'a question that fails', '22P02', "SELECT effaced_register_question('q', 'q', 'SELECT name::int AS a FROM person'); SELECT * FROM effaced_run_questions('3-$secret\@example.com')" ],
	[ 'an identifier that fits no question', '22P02', "SELECT effaced_register_question('q', 'q', 'SELECT name AS a FROM person WHERE grade = \$1'); SELECT * FROM effaced_run_questions('3-$secret\@example.com')" ],
	[ 'a page of nobody', 'ZE002', "SELECT effaced_export_html('$secret', subject => 'device')" ],
	[ 'a correction of an unknown subject kind', 'ZE002', "SELECT effaced_rectify('3-$secret\@example.com', '[{\"category\": \"identity\", \"value\": \"$secret\"}]')" ],
	[ 'a correction of several facts', 'ZE005', label('COLUMN note.text', '{"category": "communication", "fact": "note"}') . $rectify->('communication', '"%"') ],
	[ 'a correction of an unknown category', 'ZE005', $rectify->($secret, '"%"') ],
	[ 'a correction with an unknown key', 'ZE005', $rectify->('identity', qq("%", "$secret": "%")) ],
	[ 'a correction that does not fit', 'ZE004', label('COLUMN person.grade', '{"category": "financial"}') . $rectify->('financial', '"%"') ],
	[ 'a correction that is too long', 'ZE004', "ALTER TABLE person ADD c varchar(3);" . label('COLUMN person.c', '{"category": "financial"}') . $rectify->('financial', '"%"') ],
	[ 'a correction outside a domain', 'ZE004', "CREATE DOMAIN d AS text CHECK (value !~ '$secret'); ALTER TABLE person ADD c d;" . label('COLUMN person.c', '{"category": "financial"}') . $rectify->('financial', '"%"') ],
	[ 'a correction against a check', '23514', "ALTER TABLE person ADD CHECK (name !~ 'new');" . $rectify->('identity', '"%"') ],
	[ 'a correction that is taken', '23505', "CREATE UNIQUE INDEX ON person (name) WHERE name ~ 'new'; UPDATE person SET name = 'new $secret' WHERE mail LIKE '1-%';" . $rectify->('identity', '"%"') ],
	[ 'a correction that excludes', '23P01', "ALTER TABLE person ADD EXCLUDE (name WITH =) WHERE (name ~ 'new'); UPDATE person SET name = 'new $secret' WHERE mail LIKE '1-%';" . $rectify->('identity', '"%"') ],
	[ 'a correction to NULL', '23502', 'ALTER TABLE person ALTER name SET NOT NULL;' . $rectify->('identity', 'null') ],
	[ 'a correction of a key', 'ZE004', label('COLUMN post.mail', '{"category": "contact"}') . $rectify->('contact', '"%"') ],
	[ 'a correction that is too large for an index', '54000', "CREATE INDEX ON person (name);" . $rectify->('identity', "' || to_json((SELECT string_agg('$secret' || md5(i::text), '') FROM generate_series(1, 900) i))::text || '") ],
	[ 'a swallowed correction', 'ZE004', $trigger->('UPDATE ON person', 'RETURN NULL;') . $rectify->('identity', '"%"') ],
	[ 'a changed correction', 'ZE004', $trigger->('UPDATE ON person', 'NEW.name := OLD.name;') . $rectify->('identity', '"%"') ],
	[ 'a trigger that complains of a correction', 'P0001', $trigger->('UPDATE ON person', q{RAISE EXCEPTION 'from % to %', OLD, NEW USING DETAIL = NEW.name, HINT = OLD.name;}) . $rectify->('identity', '"%"') ],
	[ 'a trigger that casts a correction', '22P02', $trigger->('UPDATE ON person', 'PERFORM NEW.name::int;') . $rectify->('identity', '"%"') ],
	[ 'a trigger that runs a correction as SQL', '42601', $trigger->('UPDATE ON person', 'EXECUTE NEW.name;') . $rectify->('identity', '"%"') ],
	[ 'a correction without privilege', '42501', "REVOKE UPDATE ON person FROM clerk; SET ROLE clerk; " . $rectify->('identity', '"%"') ],
	[ 'a correction under row-level security', '42501', "ALTER TABLE person ENABLE ROW LEVEL SECURITY; SET ROLE clerk; " . $rectify->('identity', '"%"') ],
	[ 'a correction in a read-only transaction', '25006', 'SET TRANSACTION READ ONLY; ' . $rectify->('identity', '"%"') ],
	[ 'a correction under another isolation', 'ZE005', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ' . $rectify->('identity', '"%"') ],
	[ 'a correction that times out', '57014', $trigger->('UPDATE ON person', 'PERFORM pg_sleep(60);') . "SET LOCAL statement_timeout = '300ms'; " . $rectify->('identity', '"%"') ],
	[ 'an export without privilege', '42501', "REVOKE SELECT ON note FROM clerk; SET ROLE clerk; SELECT effaced_export('3-$secret\@example.com', subject => 'person')" ],
	[ 'records without privilege', '42501', "REVOKE SELECT ON note FROM clerk; SET ROLE clerk; SELECT * FROM effaced_export_records('3-$secret\@example.com', 'person')" ],
	[ 'an export under row-level security', '42501', "ALTER TABLE note ENABLE ROW LEVEL SECURITY; SET ROLE clerk; SELECT effaced_export('3-$secret\@example.com', subject => 'person')" ],
	[ 'an export of an unknown scope', 'ZE005', "SELECT effaced_export('3-$secret\@example.com', subject => 'person', scope => '$secret')" ],
	[ 'a correction that is no date', 'ZE004', label('COLUMN person.joined', '{"category": "location"}') . $correct->('location', "31.01.2026 $secret") ],
	[ 'one that cannot be recorded', '25006', "SET TRANSACTION READ ONLY; " . $correct->('financial', $secret) ],
	[ 'one that takes too long to convert', '57014', "CREATE FUNCTION slow(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN true; END';"
		. "CREATE DOMAIN slow AS text CHECK (VALUE IS NULL OR slow(VALUE)); ALTER TABLE person ADD c slow;" . label('COLUMN person.c', '{"category": "location", "surrogate": "NULL"}')
		. "SET LOCAL statement_timeout = '500ms'; " . $correct->('location', $secret) ],
	[ 'one that is swallowed', 'ZE004', $trigger->('UPDATE ON person', 'RETURN NULL;') . $correct->('identity', $secret) ],
	[ 'one against a deferred constraint', '23505', "ALTER TABLE person ADD c text UNIQUE DEFERRABLE INITIALLY DEFERRED;" . label('COLUMN person.c', '{"category": "location", "surrogate": "NULL"}')
		. "UPDATE person SET c = '$secret' WHERE mail LIKE '1-%'; " . $correct->('location', $secret) ],
	[ 'one against a deferred trigger', 'P0001', "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'about %', NEW; END \$\$;"
		. "CREATE CONSTRAINT TRIGGER f AFTER UPDATE ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();" . $correct->('identity', $secret) ],
	[ 'an erasure against one', 'P0001', "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'about %', OLD; END \$\$;"
		. "CREATE CONSTRAINT TRIGGER f AFTER UPDATE ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();" . $erase ],
	[ 'an export of json that cannot be', '22P05', "ALTER TABLE person ADD c json;" . label('COLUMN person.c', '{"category": "location", "surrogate": "NULL"}')
		. qq{UPDATE person SET c = '"$secret \\u0000"'; SELECT count(*) FROM effaced_export_records('3-$secret\@example.com', 'person')} ],
	[ 'a surrogate that overflows', '22003', 'ALTER TABLE person ADD c smallint DEFAULT 7;' . label('COLUMN person.c', '{"category": "identity", "surrogate": "40000 * grade"}') . $erase ],
);

my $state_of_things = q{SELECT md5((SELECT string_agg(t::text, '' ORDER BY mail) FROM person t) || (SELECT string_agg(t::text, '' ORDER BY id) FROM post t)
	|| (SELECT string_agg(t::text, '' ORDER BY id) FROM note t) || (SELECT count(*) FROM effaced_audit_events WHERE event_type ~ '^erasure_(step|local|req|comp)'))};
my $before = $node->safe_psql('postgres', $state_of_things);
for (@failures)
{
	my ($what, $state, $sql) = @$_;
	my $from = -s $node->logfile;
	my $session = EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose');
	$session->query("BEGIN");
	my $said = $session->query($sql);
	my ($error) = $said =~ /(ERROR:.*)/s;
	$session->query('ROLLBACK');
	$session->close;
	$error //= "no error: $said";
	like($error, qr/^ERROR:  $state: /, "$what: $state");
	unlike($error, qr/$secret/, "$what: no value in the error");
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $from);
	# the set-up's own statements are not logged, for they do not fail
	like($log, qr/ERROR:/, "$what: the error is logged");
	unlike($log, qr/$secret/, "$what: no value in the log");
}
is($node->safe_psql('postgres', $state_of_things), $before, 'nothing has changed by all this');

# Two that wait for each other: the log would name both statements.
my $from = -s $node->logfile;
my ($one, $two) = map { EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose') } 1, 2;
$one->query("BEGIN; SELECT FROM post WHERE id = 4 FOR UPDATE");
$two->query("BEGIN; SELECT FROM person WHERE grade = 1 AND mail LIKE '5-%' FOR UPDATE");
$two->send("SELECT effaced_erase('4-$secret\@example.com', subject => 'person')");
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) or die 'nobody waits';
$one->send("SELECT effaced_erase('5-$secret\@example.com', subject => 'person')");
my $said = $one->receive;
$one->query('ROLLBACK');
$said .= "\n" . $two->receive;
$two->query('ROLLBACK');
like($said, qr/40P01/, 'a deadlock keeps its SQLSTATE');
unlike($said =~ s/^.*?(?=ERROR)//sr =~ s/\n\{.*//sr, qr/$secret/, 'a deadlock: no value in the error');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $from);
unlike($log, qr/$secret/, 'a deadlock: no value in the log');
$_->close for $one, $two;

# The same with corrections, and one that has no time to wait.
$from = -s $node->logfile;
($one, $two) = map { EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose') } 1, 2;
$one->query("BEGIN; SELECT FROM post WHERE id = 4 FOR UPDATE");
$two->query("BEGIN; SELECT FROM person WHERE grade = 1 AND mail LIKE '5-%' FOR UPDATE");
$two->send($rectify->('communication', '"%"') =~ s/3-/4-/r);
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) or die 'nobody waits';
$one->send($rectify->('communication', '"%"') =~ s/3-/5-/r);
$said = $one->receive;
$one->query('ROLLBACK');
$said .= "\n" . $two->receive;
$two->query('ROLLBACK');
like($said, qr/40P01/, 'corrections in a deadlock keep the SQLSTATE');
$one->query("BEGIN; SELECT FROM post WHERE id = 3 FOR UPDATE");
$two->query("BEGIN; SET LOCAL lock_timeout = '100ms'");
$said .= "\n" . $two->query($rectify->('communication', '"%"'));
like($said, qr/55P03/, 'a correction that must not wait keeps the SQLSTATE');
$two->query("ROLLBACK; BEGIN; SET LOCAL lock_timeout = '100ms'");
$one->query('LOCK TABLE note');
$said .= "\n" . $two->query("SELECT effaced_export('3-$secret\@example.com', subject => 'person')");
like($said, qr/55P03.*55P03/s, 'an export that must not wait, too');
$_->query('ROLLBACK') for $one, $two;
unlike(join('', map { /^(?:ERROR|DETAIL|HINT|CONTEXT|LOCATION|STATEMENT):.*/mg } $said), qr/$secret/, 'corrections in a deadlock: no value in the errors');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/$secret/, 'corrections in a deadlock: no value in the log');
$_->close for $one, $two;

# Corrections that succeed leave no value in the trail.
$from = -s $node->logfile;
$node->safe_psql('postgres', $rectify->('identity', '"%"') . ';' . $rectify->('communication', '"%"'));
is($node->safe_psql('postgres', "SELECT count(*) FROM person WHERE name = 'new $secret'"), 1, 'a correction was written');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM effaced_audit_events WHERE payload::text ~ '$secret' OR event_type ~ '$secret'}), 0, 'and its value is not in the trail');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/$secret/, 'nor in the log');

# What the trail keeps of those that succeed is the identifier alone.
$node->safe_psql('postgres', "SELECT effaced_erase('6-$secret\@example.com', subject => 'person'); SELECT effaced_verify('6-$secret\@example.com', subject => 'person')");
is($node->safe_psql('postgres', qq{SELECT DISTINCT subject_ref FROM effaced_audit_events WHERE effaced_audit_events::text ~ '$secret' AND event_type ~ '^erasure'}),
	"6-$secret\@example.com", 'the trail names who was erased');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM effaced_audit_events WHERE payload::text ~ '$secret'}), 0, 'and no value');

# Lint looks into values, also where they cannot be read, and gives none away.
$from = -s $node->logfile;
$node->safe_psql('postgres', qq{
	CREATE TABLE other (id int PRIMARY KEY, x text);
	INSERT INTO other VALUES (1, '$secret\@example.com');
	CREATE EXTENSION file_fdw;
	CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
	CREATE FOREIGN TABLE unreadable (x int, y text) SERVER files OPTIONS (program 'echo $secret\@example.com');
	CREATE FOREIGN TABLE slow (y text) SERVER files OPTIONS (program 'echo $secret\@example.com; sleep 60');
});
my $lint = EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose');
$said = $lint->query("SET statement_timeout = '2s'; SELECT code, relation, message, hint FROM effaced_lint(sample => 10)");
like($said, qr/57014: reading of slow failed/, 'a sample that takes too long is canceled');
unlike($said, qr/$secret/, 'a sample that takes too long: no value in the error');
$said = $lint->query('DROP FOREIGN TABLE slow; SELECT code, relation, message, hint FROM effaced_lint(sample => 10)');
like($said, qr/personal_values\|other/, 'values are found');
like($said, qr/not_sampled\|unreadable/, 'or cannot be read');
unlike($said, qr/$secret/, 'no value in the findings');
$lint->close;
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $from), qr/$secret/, 'no value in the log');

$node->stop;
done_testing();
