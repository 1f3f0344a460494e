# Every function of the extension, called with what nobody means: NULLs, hostile texts
# and arrays, OIDs of nothing; by a superuser and by an ordinary role with every duty,
# in a subtransaction, read-only, in a trigger, on a standby, and on its own. No call
# ends the server or is an internal error, and no message tells a planted value.
#
# EFFACED_FUZZ_CALLS says how many calls (1500), EFFACED_FUZZ_SEED from which seed (1).

use strict;
use warnings;
use EffacedTest;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{EFFACED_FUZZ_CALLS} || 1500;
my $seed = $ENV{EFFACED_FUZZ_SEED} || 1;
my @modes = qw(superuser role read_only trigger standby alone);
my $batch = 100;
diag("EFFACED_FUZZ_CALLS=$calls EFFACED_FUZZ_SEED=$seed");
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('fuzz');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "log_error_verbosity = verbose\nhot_standby_feedback = on");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop; CREATE ROLE clerk LOGIN');
load_file($node, 'shop', 'test/demo/shop.sql');
$node->safe_psql('shop', 'CREATE EXTENSION effaced');
load_file($node, 'shop', 'test/demo/labels.sql');

# What is planted is put together by the server, so that its log has it only if a
# message does. Statements name the values by number.
my @values = (
	[ text => "''" ], [ text => "'1'" ], [ text => "'2'" ], [ text => "'02'" ], [ text => "'users'" ], [ text => "'1e400'" ],
	[ text => q('''"; \\ %s %n $1 {} -- /*') ], [ text => q('%1$s%999999999$s') ], [ text => "'/nonexistent/../x'" ],
	[ text => "chr(1) || chr(8238) || chr(133)" ], [ text => "repeat('x', 100000)" ], [ text => "repeat('[', 20000)" ],
	[ text => "'{\"id\": 1}'" ], [ text => "'99999999999999999999'" ], [ text => "'S3CRET' || '-VALUE-text'" ],
	[ text => "'S3CRET' || '-VALUE-two''\"'" ],
	[ jsonb => "'null'" ], [ jsonb => "'{}'" ], [ jsonb => "'[]'" ], [ jsonb => "'1e300'" ], [ jsonb => "'[null, [1], {\"\": {}}]'" ],
	[ jsonb => q('{"a": null, "email": 1, "users": {"email": []}, "id": "x"}') ], [ jsonb => q('{"email": "new@example.org"}') ],
	[ jsonb => "'{\"email\": \"S3CRET' || '-VALUE-json\"}'" ], [ jsonb => "'[\"S3CRET' || '-VALUE-element\"]'" ],
	[ jsonb => "repeat('[', 1000) || repeat(']', 1000)" ],
	(map { [ bigint => "'$_'" ] } 0, 1, -1, 2147483648, '-9223372036854775808', '9223372036854775807'),
	(map { [ integer => "'$_'" ] } 0, 1, -1, 100, -2147483648, 2147483647),
	(map { [ smallint => "'$_'" ] } 0, 1, -1, -32768, 32767),
	(map { [ numeric => "'$_'" ] } 0, -1, 'NaN', 'Infinity', '1e1000', '0.1'),
	(map { [ 'double precision' => "'$_'" ] } 0, -1, 'NaN', 'Infinity', '1e300'),
	(map { [ boolean => "'$_'" ] } 'true', 'false'),
	(map { [ uuid => "'$_'" ] } '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
	(map { [ interval => "'$_'" ] } '0', '1 day', '-1 day', '178000000 years', '-178000000 years', '1 year -1 day'),
	(map { [ 'timestamp with time zone' => "'$_'" ] } 'infinity', '-infinity', '294276-12-31', '4713-01-01 BC', 'epoch'),
	(map { [ date => "'$_'" ] } 'infinity', '-infinity', '5874897-12-31', '4713-01-01 BC', 'epoch'),
	[ bytea => "''" ], [ bytea => "'\\x00ff'" ], [ bytea => "'\\x' || repeat('ff', 100000)" ],
	(map { [ oid => $_ ] } "'0'", "'4294967295'", "'1259'", "'users'::regclass::oid"),
	(map { [ regclass => $_ ] } "'0'", "'4294967295'", (map { "'$_'::regclass::oid" } qw(users users users orders users_pkey
		fuzz.a_view fuzz.a_sequence fuzz.foreign_values pg_class pg_toast.pg_toast_1255 pg_stat_activity effaced.effaced_outbox
		fuzz.parted fuzz.a_type)), 'fuzz.dropped()'),
	(map { [ $_ => "'0'" ], [ $_ => "'4294967295'" ], [ $_ => "'1'" ] } qw(regprocedure regproc regtype regnamespace)),
	[ regprocedure => "'fuzz.v(integer)'::regprocedure::oid" ],
	(map { [ regrole => $_ ] } "'0'", "'4294967295'", "'clerk'::regrole::oid", "'pg_monitor'::regrole::oid"),
	(map { [ name => $_ ] } "''", "'users'", "'S3CRET' || '-VALUE-name'"),
	(map { [ 'refcursor' => $_ ] } "''", "'c'"), [ tid => "'(0,0)'" ], [ xid => "'0'" ], [ json => "'[]'" ], [ json => "'{}'" ],
	[ 'text[]' => "'{}'" ], [ 'text[]' => "'{NULL}'" ], [ 'text[]' => "'{1,NULL,2}'" ], [ 'text[]' => "'{{1,2},{3,NULL}}'" ],
	[ 'text[]' => "'[-5:-4]={1,2}'" ], [ 'text[]' => "array_fill('1'::text, '{3000}')::text" ], [ 'text[]' => "'{1,1,\"\",\"\\\"\\\\\"}'" ],
	[ 'text[]' => "'{S3CRET' || '-VALUE-array,1}'" ], [ 'text[]' => "'[2147483646:2147483646]={1}'" ],
	[ 'regclass[]' => "'{}'" ], [ 'regclass[]' => "'{NULL}'" ], [ 'regclass[]' => "'{0,4294967295}'" ],
	[ 'regclass[]' => "ARRAY['users'::regclass::oid, 'fuzz.a_view'::regclass, 'pg_class'::regclass, NULL]::text" ],
	[ 'regclass[]' => "ARRAY['users'::regclass::oid, 'users'::regclass, 'orders'::regclass]::text" ],
	[ 'regclass[]' => "'[3:4][0:0]={{1259},{NULL}}'" ],
	(map { my $type = $_; map { [ "$type\[]" => $_ ] } "'{}'", "'{NULL}'", "'{{NULL},{NULL}}'", "'[-2:-1]={NULL,NULL}'" }
		qw(integer bigint smallint uuid jsonb oid boolean bytea name regtype)),
	[ 'smallint[]' => "'{0,-1,32767}'" ], [ 'integer[]' => "'{0,-1,2147483647}'" ], [ 'bigint[]' => "'{0,-1}'" ]);

$node->safe_psql('shop', q[
	CREATE SCHEMA fuzz;
	GRANT USAGE ON SCHEMA fuzz TO clerk;
	CREATE VIEW fuzz.a_view AS SELECT * FROM users;
	CREATE SEQUENCE fuzz.a_sequence;
	CREATE TYPE fuzz.a_type AS (a int, b text);
	CREATE TABLE fuzz.parted (a int) PARTITION BY RANGE (a);
	CREATE TABLE fuzz.foreign_values (id int, value int);
	INSERT INTO users SELECT n, n || '@example.org', 'S3CRET' || '-VALUE-row', 'S3CRET' || '-VALUE-phone', 'epoch', '', now()
	  FROM generate_series(1000, 1010) n;
	-- the OID of a table that is gone
	CREATE FUNCTION fuzz.dropped() RETURNS oid LANGUAGE plpgsql AS $$
	DECLARE
		gone oid;
	BEGIN
		CREATE TABLE fuzz.goes ();
		gone := 'fuzz.goes'::regclass;
		DROP TABLE fuzz.goes;
		RETURN gone;
	END
	$$;
	CREATE TABLE fuzz.pool (n int PRIMARY KEY, value text);
	CREATE FUNCTION fuzz.v(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT p.value FROM fuzz.pool p WHERE p.n = $1';
	-- a call in a subtransaction: its SQLSTATE, and everything that it says
	CREATE FUNCTION fuzz.call(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		message text;
		detail text;
		hint text;
		context text;
	BEGIN
		EXECUTE statement;
		RETURN '00000 ';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
		RETURN left(replace(concat_ws(' | ', SQLSTATE || ' ' || message, detail, hint, context), chr(10), ' '), 20000);
	END
	$$;
	CREATE TABLE fuzz.calls (statement text, answer text);
	CREATE FUNCTION fuzz.call_inside() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		NEW.answer := fuzz.call(NEW.statement);
		RETURN NEW;
	END
	$$;
	CREATE TRIGGER inside BEFORE INSERT ON fuzz.calls FOR EACH ROW EXECUTE FUNCTION fuzz.call_inside();
	GRANT SELECT ON fuzz.pool TO clerk;
	GRANT SELECT, INSERT ON fuzz.calls TO clerk;
	GRANT SELECT, INSERT, UPDATE, DELETE ON users, addresses, orders, order_items, invoices, products, reviews TO clerk;
	SELECT effaced_grant('clerk', duty) FROM effaced.effaced_duties();
]);

my %numbers;
my $pool = '';
for my $n (0 .. $#values)
{
	my ($type, $value) = @{ $values[$n] };
	push @{ $numbers{$type} }, $n;
	$pool .= "INSERT INTO fuzz.pool SELECT $n, $value;\n";
}
$node->safe_psql('shop', $pool);

# Schema, name, kind, and the types of the arguments with their type classes.
my @functions = map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('shop', q{
	SELECT p.oid::regproc, p.prokind, p.proretset,
	       coalesce((SELECT string_agg(format_type(t.oid, NULL) || '=' || t.typtype::text || '=' || coalesce(p.proargnames[a.n], ''), ';' ORDER BY a.n)
	          FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a(type, n) JOIN pg_type t ON t.oid = a.type
	         WHERE p.proargmodes IS NULL OR p.proargmodes[a.n] IN ('i', 'b', 'v') OR p.prokind = 'p'), '')
	  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'effaced' JOIN pg_proc p ON p.oid = d.objid
	 WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND p.prokind IN ('f', 'p')
	 ORDER BY p.oid::regprocedure::text COLLATE "C"});
cmp_ok(scalar @functions, '>', 100, 'functions are found');

my $standby = PostgreSQL::Test::Cluster->new('fuzz_standby');
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));

sub one_of { return $_[ int rand @_ ]; }

# Arguments that name what an administrator set up, or are code: messages quote them,
# so nothing is planted there.
my %names_things = map { $_ => 1 } qw(name code codes steps anchor bucket_type call resolver duty procedure message detail hint relation link purpose);

# One argument of a type, as SQL.
sub argument
{
	my ($type, $class, $name) = split /=/, $_[0];
	return "NULL::$type" if rand() < 0.12;
	return "jsonb_populate_record(NULL::$type, '" . one_of('{}', '{"id": 1}', '{"run_id": 0, "batch_id": -1}') . "')" if $class eq 'c';
	return "NULL" if $class eq 'p';

	# a value of another type, where the server has a cast or an overload for it
	return one_of('1', "'1'", '1.5', "ARRAY[1]", "'epoch'::date", "'{}'::jsonb", 'true') if rand() < 0.03;
	my @numbers = grep { !($names_things{$name // ''} && $values[$_]->[1] =~ /S3CRET/) } @{ $numbers{$type} // [] };
	return "NULL::$type" if !@numbers;
	# (text is a name to the casts of these)
	return 'fuzz.v(' . one_of(@numbers) . ')' . ($type =~ /^reg\w+$/ ? '::oid' : '') . "::$type";
}

sub quoted { my $text = $_[0]; $text =~ s/'/''/g; return "'$text'"; }

# A statement that calls a function.
sub call
{
	my ($name, $kind, $set, $types) = @{ $_[0] };
	my @arguments = map { argument($_) } split /;/, $types;
	my $call = "$name(" . join(', ', @arguments) . ')';
	return "CALL $call" if $kind eq 'p';
	return $set eq 't' ? "SELECT count(*) FROM (SELECT $call) f" : "SELECT $call" if rand() < 0.3;
	return "SELECT count(*) FROM $call f";
}

# The same in a mode, as psql gets it.
sub in_mode
{
	my ($mode, $statement) = @_;
	my $caught = 'SELECT fuzz.call(' . quoted($statement) . ')';
	return "$statement;" if $mode eq 'alone';
	return "BEGIN READ ONLY; $caught; COMMIT;" if $mode eq 'read_only';
	$caught = 'INSERT INTO fuzz.calls VALUES (' . quoted($statement) . ') RETURNING answer' if $mode eq 'trigger';
	return "$caught;" if rand() < 0.3 || $mode eq 'standby';
	return "BEGIN; $caught; ROLLBACK;";
}

# Run statements in one session; return what psql says, both ways, an answer a line.
sub run
{
	my ($server, $user, $statements) = @_;
	my $script = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\nSET client_min_messages = notice;\nSET statement_timeout = '3s';\n";
	$script .= "\\warn --- $_\n$_\n" for @$statements;
	my $answers = '';
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $server->connstr('shop') . ($user ? " user=$user" : '') ],
		'<', \$script, '>&', \$answers);
	return $answers;
}

my (%called, %states, @wrong, %told);
my $count = 0;
my @queue = map { my $mode = $_; map { [ $mode, $_ ] } @functions } @modes;
my %waiting;
my $flush = sub {
	my ($mode, $user) = split / /, $_[0], -1;
	my $statements = delete $waiting{ $_[0] } or return;
	my $server = $mode eq 'standby' ? $standby : $node;
	my $answers = run($server, $user, $statements);
	for my $answer (split /^--- /m, $answers)
	{
		my ($statement, $text) = split /\n/, $answer, 2;
		$text //= '';
		$states{$1}++ while $text =~ /^(?:ERROR:  )?(\d[0-9A-Z]{4}|[A-Z]{2}\d{3})[ :]/mg;
		push @wrong, "$_[0]: $statement\n$text"
		  if $text =~ /^(?:\w+:  )?XX\d\d\d[ :]|server closed the connection|terminating connection|connection to server/m;
		my $says = $mode eq 'alone' ? qr/^(?:ERROR|WARNING|NOTICE|INFO|DETAIL|HINT|CONTEXT):[^\n]*S3CRET/m : qr/S3CRET/;
		$told{ ($statement =~ /(effaced_\w+)\(/)[0] } //= "$_[0]: $statement\n" . substr($text, 0, 3000) if $text =~ $says;
	}
};
while ($count < $calls)
{
	my ($mode, $function) = @{ $queue[ $count++ % @queue ] };
	my $user = $mode eq 'role' || ($mode ne 'superuser' && rand() < 0.5) ? 'clerk' : '';
	$called{"$mode $function->[0]"}++;
	push @{ $waiting{"$mode $user"} }, in_mode($mode, call($function));
	$flush->("$mode $user") if @{ $waiting{"$mode $user"} } >= $batch;
}
$flush->($_) for sort keys %waiting;

is($count, $calls, "$calls calls of " . @functions . ' functions');
note(join ', ', map { "$_: $states{$_}" } sort keys %states);
cmp_ok($states{'00000'} // 0, '>', $calls / 50, 'of which some succeed');
cmp_ok(scalar(grep { !/^(?:00000|42501|42883)$/ } keys %states), '>', 5, 'and others fail in several ways');
is_deeply([ @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ] ], [], 'no internal error, no lost connection');
is(join("\n", map { $told{$_} } sort keys %told), '', 'no message to a client tells a planted value');

for my $server ($node, $standby)
{
	my $log = slurp_file($server->logfile);
	unlike($log, qr/terminated by signal|PANIC:|TRAP:|terminating any other active/, $server->name . ': the server never restarted');
	my ($line) = $log =~ /^([^\n]*S3CRET-VALUE[^\n]*)/m;
	is($line, undef, $server->name . ': nor does its log');
	is($server->safe_psql('shop', 'SELECT 1'), 1, $server->name . ': is up');
}
done_testing();
