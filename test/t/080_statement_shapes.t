# Generated statements keep to shapes that a distributed table takes: what effaced
# runs on every schema that the tests, the demo and the benchmarks have is read
# with PostgreSQL's own parser and catalogs.

use strict;
use warnings;
use EffacedTest;
use StatementShapes;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('shapes', q{
	session_preload_libraries = 'auto_explain'
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on
	auto_explain.log_format = 'json'
	auto_explain.log_analyze = off
	log_min_messages = log
	log_min_error_statement = panic
});

# What a distributed table refuses, always before anything has changed: see
# doc/scaling.md. More than that fails, and so does a line here that nothing needs.
my %known = (
	'stable date_out(date) of a column' => qr/joined/,    # a label's own expression
	'stable timestamptz_out(timestamp with time zone) of a column' => qr/joined/,
	'stable interval_out(interval) of a column' => qr/stay/,
	'a sub-select in SET' => qr/attachment|public\.pair/,              # a row reached by two ways of several owners
	'FOR UPDATE without a key' => qr/SKIP LOCKED/,        # enforcement, which is ZE005 there
);
my (%builtin, %met);
my ($statements, $unread, $changes) = (0, 0, 0);

sub psql
{
	my ($database, @arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($database), @arguments ], '>', \$out, '2>', \$err);
	return ($out, $err);
}

# Run files one after the other in a database of their own, and read what effaced did.
sub check
{
	my ($name, $files, @commands) = @_;
	my $database = "shape_$name";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $from = -s $node->logfile;
	psql($database, (map { ('-f', $_) } @$files), (map { ('-c', $_) } @commands));
	open my $log, '<', $node->logfile or die;
	seek $log, $from, 0;
	my @texts = StatementShapes::logged(do { local $/; <$log> });
	close $log;

	# the plan of each subject table, also where nothing was run
	my ($plans) = psql($database, '-c', q{SET search_path = public;
		SELECT coalesce(string_agg(DISTINCT encode(convert_to(p.statement, 'UTF8'), 'hex'), E'\n'), '')
		FROM jsonb_array_elements(effaced_manifest() -> 'tables') t,
		     LATERAL (SELECT (t ->> 'name')::regclass AS subject) s,
		     LATERAL effaced_plan(CASE WHEN jsonb_array_length(t -> 'subject_link' -> 'subject_id_columns') = 1 THEN '1' END, s.subject) p
		WHERE t -> 'subject_link' ->> 'path' = '' AND p.statement LIKE '%$%'});
	my %texts = map { $_ => 1 } @texts, map { my $t = pack 'H*', $_; utf8::decode($t); $t } split /\n/, $plans;
	return if !%texts;

	my $insert = join ', ', map { (my $t = $_) =~ s/'/''/g; $t =~ s/\\/\\\\/g; "(E'$t')" } sort keys %texts;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
	open my $out, '>:utf8', $file or die;
	print $out "SET client_encoding = 'UTF8'; SET session_replication_role = replica; SET auto_explain.log_min_duration = -1;\n$StatementShapes::helpers\nINSERT INTO shapes.statement (text) VALUES $insert;\nSELECT shapes.read();\n";
	close $out;
	my (undef, $err) = psql($database, '-v', 'ON_ERROR_STOP=1', '-f', $file);
	is($err, '', "$name: statements can be read");
	my $catalog = StatementShapes::catalog(sub { return (psql($database, '-c', $_[0]))[0] }, \%builtin);
	my ($trees) = psql($database, '-c', q{SELECT string_agg(encode(convert_to(text, 'UTF8'), 'hex') || '|' || encode(convert_to(coalesce(tree, ''), 'UTF8'), 'hex') || '|' || coalesce(replace(error, E'\n', ' '), ''), E'\n') FROM shapes.statement});

	my @found;
	for my $row (split /\n/, $trees)
	{
		my ($text, $tree, $error) = split /\|/, $row, 3;
		utf8::decode($text = pack 'H*', $text);
		utf8::decode($tree = pack 'H*', $tree);
		# of a table that the test has dropped or changed since
		if (!$tree) { $unread++; note("$name: $error: $text"); next; }
		$statements++;
		$changes++ if $text =~ /^(WITH done AS \()?(UPDATE|DELETE)/;
		for (StatementShapes::offences($text, $tree, $catalog))
		{
			if ($known{$_} && $text =~ $known{$_}) { $met{$_} = 1; }
			else { push @found, "$_: $text"; }
		}
	}
	is(join("\n", @found), '', "$name: every statement has a shape that a distributed table takes");
	$node->safe_psql('postgres', "DROP DATABASE $database");
	return;
}

# The tests' schemas, with all that they run on them.
for my $file (sort glob('sql/*.sql'))
{
	next unless slurp_file($file) =~ /effaced_(plan|erase|erase_many|verify|rectify|export|export_records|sweep|enforce_retention)\(/;
	my ($name) = $file =~ m{([^/]+)\.sql$};
	check($name, [$file]);
}

# The demo's and the benchmarks' shop: every verb.
my @verbs = (
	q{SELECT effaced_erase('1')}, q{SELECT effaced_erase_many('{2,3}')}, q{SELECT effaced_verify('2')},
	q{SELECT effaced_export('4')}, q{SELECT count(*) FROM effaced_export_records('4')},
	q{SELECT effaced_rectify('5', '[{"category": "contact", "fact": "email", "value": "x@example.com"}]')},
	q{SELECT count(*) FROM effaced_sweep('2100-01-01')});
my $extension = PostgreSQL::Test::Utils::tempdir() . '/extension.sql';
append_to_file($extension, "CREATE EXTENSION effaced;\n\\set users 20\n");
check('demo', [ $extension, 'test/demo/shop.sql', 'test/demo/labels.sql' ], @verbs);
check('bench', [ $extension, map { "test/bench/shop/$_.sql" } qw(schema data labels) ], @verbs);

cmp_ok($statements, '>', 500, 'enough was read');
cmp_ok($changes, '>', 100, 'and enough of it writes');
cmp_ok($unread, '<', $statements, 'most of it was of tables that are still there');
is(join("\n", grep { !$met{$_} } sort keys %known), '', 'what is known to be refused is met');
note("$statements statements, $changes of them write, $unread of tables that are gone");

$node->stop;
done_testing();
