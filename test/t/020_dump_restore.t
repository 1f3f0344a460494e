# A dump and its restore bring over labels, comments, the trail and the secret:
# the restored database has the same data map and makes the same surrogates.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main');
my $source = 'shop';
$node->safe_psql('postgres', "CREATE DATABASE $source");

$node->safe_psql($source, q{
	CREATE SCHEMA gdpr;
	CREATE EXTENSION effaced SCHEMA gdpr;
	CREATE SCHEMA app;
	CREATE TABLE app.person (id int PRIMARY KEY, email text UNIQUE, phone varchar(20), born date, boss int, joined date);
	CREATE TABLE app.purchase (id int PRIMARY KEY, person_id int NOT NULL, at date, note text, ref uuid, total numeric);
	CREATE TABLE app.event (id int, person_id int, at date, ip inet, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE app.event_1 PARTITION OF app.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE app."Weird ""table""" (id int PRIMARY KEY, person_id int, "te'xt" text);
	ALTER TABLE app.person ADD FOREIGN KEY (boss) REFERENCES app.person;
	ALTER TABLE app.purchase ADD CONSTRAINT buyer FOREIGN KEY (person_id) REFERENCES app.person;
	ALTER TABLE app.event ADD FOREIGN KEY (person_id) REFERENCES app.person;
	ALTER TABLE app."Weird ""table""" ADD FOREIGN KEY (person_id) REFERENCES app.person;
	COMMENT ON TABLE app.purchase IS 'what was bought @effaced {"path": "buyer"}';
	COMMENT ON COLUMN app.purchase.note IS 'wishes @effaced {"category": "communication"}';
	COMMENT ON COLUMN app.purchase.total IS 'no label here';
}
	. label('TABLE app.person', '{"path": "", "subject": "customer", "set": {"joined": "DATE \'2000-01-01\'"}}')
	. label('COLUMN app.person.email', '{"category": "contact", "surrogate": "\'user\' || id || \'@invalid\'"}')
	. label('COLUMN app.person.phone', '{"category": "contact"}')
	. label('COLUMN app.person.born', '{"category": "identity", "erasure": "retain", "retention": {"reason": "insurance", "duration": "3 years", "anchor": "joined"}}')
	. label('COLUMN app.purchase.ref', '{"category": "technical"}')
	. label('TABLE app.event', '{"path": "person", "where": "ip IS NOT NULL"}')
	. label('COLUMN app.event.ip', '{"category": "technical", "surrogate": "\'::\'"}')
	. label('COLUMN app.event.note', '{"category": "behavioral"}')
	. label('COLUMN app."Weird ""table""".person_id', '{"category": "identity"}')
	. label('COLUMN app."Weird ""table"""."te\'xt"', '{"category": "special"}')
	. q{
	INSERT INTO app.person SELECT i, 'user' || i || '@example.com', '0' || i, '1990-01-01', nullif(i / 2, 0), '2020-01-01' FROM generate_series(1, 4) i;
	INSERT INTO app.purchase SELECT i, 1 + i % 4, '2020-01-01', 'note ' || i, gen_random_uuid(), i FROM generate_series(1, 8) i;
	INSERT INTO app.event SELECT i, 1 + i % 4, '2020-05-05', '192.0.2.1', 'note ' || i FROM generate_series(1, 8) i;
	INSERT INTO app."Weird ""table""" SELECT i, 1 + i % 4, 'text ' || i FROM generate_series(1, 8) i;
	SET search_path = app;
	SELECT gdpr.effaced_register_question('what was bought', 'purchases', 'SELECT id, note FROM purchase WHERE person_id = $1 ORDER BY id');
	RESET search_path;
	SELECT gdpr.effaced_manifest_snapshot();
	SELECT gdpr.effaced_erase('2');
	SELECT gdpr.effaced_verify('2');
	SELECT gdpr.effaced_lint_exempt('app.person', 'joined', 'unlabelled_column', 'written by "set"');
	SELECT gdpr.effaced_lint_exempt('app."Weird ""table"""', NULL, 'no_primary_key', 'it''s got one');
	SELECT gdpr.effaced_consent_grant('1', 'news', 'web');
	SELECT gdpr.effaced_restrict('3', NULL, 'disputed');
	SELECT gdpr.effaced_restrict('4', 'ads');
	SELECT gdpr.effaced_restriction_policy('app.person', 'ads'), gdpr.effaced_restriction_policy('app.purchase');
	CREATE ROLE clerk;
	CREATE ROLE keeper;
	ALTER TABLE app."Weird ""table""" OWNER TO keeper;
	SELECT gdpr.effaced_admit_labels('keeper');
	GRANT USAGE ON SCHEMA app, gdpr TO clerk;
	GRANT SELECT ON app.person, app.purchase TO clerk;
});

my %state = (
	manifest => 'SELECT gdpr.effaced_manifest()::text',
	labels => q{SELECT objtype, objname, label FROM pg_seclabels WHERE provider = 'effaced' ORDER BY 1, 2, 3},
	comments => q{SELECT objoid::regclass, objsubid, description FROM pg_description WHERE objoid::regclass::text ~ '^app' ORDER BY 1, 2},
	trail => 'SELECT seq, event_id, event_type, subject, subject_ref, occurred_at, actor, payload FROM gdpr.effaced_audit_events ORDER BY seq',
	admitted => 'SELECT * FROM gdpr.effaced_admitted',
	consent => 'SELECT * FROM gdpr.effaced_consent_records ORDER BY seq',
	restrictions => 'SELECT * FROM gdpr.effaced_restriction_records ORDER BY seq',
	ledgers => q{SELECT last_value, is_called FROM effaced.effaced_consent_records_seq_seq UNION ALL
		SELECT last_value, is_called FROM effaced.effaced_restriction_records_seq_seq},
	policies => q{SELECT polrelid::regclass, polname, polpermissive, relrowsecurity, pg_get_expr(polqual, polrelid), proacl
		FROM pg_policy JOIN pg_class c ON c.oid = polrelid, pg_proc p WHERE proname = 'effaced_restricted_keys' ORDER BY 1, 2},
	seen => q{SET ROLE clerk; SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.person), (SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.purchase)},
	secret => 'SELECT secret FROM effaced.effaced_secret',
	exemptions => 'SELECT relation, column_name, code, reason, recorded_at, recorded_by FROM gdpr.effaced_lint_exemptions ORDER BY 1',
	lint => 'SELECT severity, code, relation, column_name, message, hint FROM gdpr.effaced_lint() WHERE code !~ $$^unindexed$$',
	sequence => q{SELECT last_value, is_called FROM effaced.effaced_audit_events_seq_seq},
	questions => 'SELECT * FROM gdpr.effaced_questions',
	answers => q{SELECT row_count, content FROM gdpr.effaced_run_questions('1')},
	plan => q{SELECT gdpr.effaced_plan('1')},
	rows => q{SELECT (SELECT string_agg(t::text, '|' ORDER BY id) FROM app.person t), (SELECT string_agg(t::text, '|' ORDER BY id) FROM app.purchase t),
		(SELECT string_agg(t::text, '|' ORDER BY id) FROM app.event t), (SELECT string_agg(t::text, '|' ORDER BY id) FROM app."Weird ""table""" t)},
	triggers => q{SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE tgname ~ '^effaced' UNION ALL
		SELECT NULL, evtname, evtenabled FROM pg_event_trigger ORDER BY 1, 2},
);
sub state_of { my ($database) = @_; return { map { $_ => $node->safe_psql($database, $state{$_}) } keys %state }; }

my $before = state_of($source);
isnt($before->{secret}, '', 'the secret is there');
like($before->{answers}, qr/^2\|id,note/, 'a question is answered');
is($before->{seen}, "1 2|1 3 4 5 7 8", 'a policy hides restricted subjects');
like($before->{admitted}, qr/^keeper\|/, 'a role is admitted');
like($before->{manifest}, qr/Weird/, 'so that its labels count');
like($before->{trail}, qr/manifest_snapshot.*erasure_completed.*erasure_verified/s, 'the trail is there');

my $directory = PostgreSQL::Test::Utils::tempdir();
my @connection = ('-h', $node->host, '-p', $node->port);
command_ok([ 'pg_dump', @connection, '-f', "$directory/plain.sql", $source ], 'pg_dump as text');
command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$directory/custom", $source ], 'pg_dump as an archive');

$node->safe_psql('postgres', "CREATE DATABASE plain TEMPLATE template0; CREATE DATABASE custom TEMPLATE template0");
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$directory/plain.sql" ], 'restored by psql');
command_ok([ 'pg_restore', @connection, '--exit-on-error', '-j2', '-d', 'custom', "$directory/custom" ], 'restored by pg_restore -j2');

for my $database ('plain', 'custom')
{
	is_deeply(state_of($database), $before, "$database: everything as it was");
	is($node->safe_psql($database, q{SELECT gdpr.effaced_verify('2') ->> 'verified'}), 'true', "$database: surrogates made before are recognised");
	is($node->safe_psql($database, q{SELECT gdpr.effaced_erase('2') -> 'anonymized' ->> 'app.purchase'}), '0', "$database: nothing left to do for who was erased");
}

# What is erased afterwards gets the same surrogates in all of them.
my @after = map {
	$node->safe_psql($_, q{SELECT gdpr.effaced_lift_restriction('3'); SELECT gdpr.effaced_erase('3')});
	$node->safe_psql($_, $state{rows})
} $source, 'plain', 'custom';
isnt($after[0], $before->{rows}, 'somebody else is erased');
is($after[1], $after[0], 'plain: the same surrogates');
is($after[2], $after[0], 'custom: the same surrogates');
is($node->safe_psql('custom', q{SELECT count(*) = count(DISTINCT seq), bool_and(seq > 0) FROM gdpr.effaced_audit_events}), 't|t', 'the trail goes on');
isnt($node->safe_psql('postgres', q{SELECT 1 FROM pg_settings WHERE name = 'shared_preload_libraries' AND setting <> ''}), '1', 'nothing was preloaded for it');

# A dump of the restored is the dump.
command_ok([ 'pg_dump', @connection, '-f', "$directory/again.sql", 'custom' ], 'pg_dump of what was restored');

# A database that has not made a secret yet makes one of its own.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION effaced; CREATE TABLE person (id int PRIMARY KEY, name text, x int);'
	. label('TABLE person', '{"path": ""}') . label('COLUMN person.name', '{"category": "identity"}')
	. q{INSERT INTO person VALUES (1, 'Ada')});
command_ok([ 'pg_dump', @connection, '-f', "$directory/fresh.sql", 'fresh' ], 'pg_dump before the first use');
$node->safe_psql('postgres', 'CREATE DATABASE fresh2');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('fresh2'), '-f', "$directory/fresh.sql" ], 'restored');
my @names = map { $node->safe_psql($_, q{SELECT effaced_erase('1'); SELECT name FROM person}) =~ s/.*\n//sr } 'fresh', 'fresh2';
like($names[$_], qr/^anon-[0-9a-f]{32}$/, 'erased') for 0, 1;
isnt($names[0], $names[1], 'with secrets of their own');

$node->stop;
done_testing();
