# Generated statements keep to shapes that a distributed table takes: what effaced
# plans and runs on every schema that the tests, the demo, the benchmarks and the
# sample databases have is read with PostgreSQL's own parser and catalogs. All of it
# is generated as for a coordinator of Citus.

use strict;
use warnings;
use EffacedTest;
use StatementShapes;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('shapes', q{
	session_preload_libraries = 'auto_explain'
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on
	auto_explain.log_format = 'json'
	auto_explain.log_analyze = off
	log_min_messages = log
	debug_pretty_print = off
	log_min_error_statement = panic
});

# What a distributed table refuses, always before anything has changed: see
# doc/scaling.md. More than that fails, and so does a line here that nothing needs.
my %known = (
	# the label of sql/poisoned_settings says so itself
	'stable date_trunc(text,timestamp with time zone) of a column' => qr/shop\.invoice/,
	# a label's own expression
	'stable date_out(date) of a column' => qr/joined|'note of '/,
	'stable timestamptz_out(timestamp with time zone) of a column' => qr/joined/,
	'stable interval_out(interval) of a column' => qr/stay/,
	# a type whose text no immutable function gives, in keys or where it has no =
	'stable range_send(anyrange) of a column' => qr/public\.(by_key|subject)/,
	'stable enum_out(anyenum) of a column' => qr/public\.mood/,
	'stable array_out(anyarray) of a column' => qr/json\[\]/,
	# a key and its reference have different types
	'stable timestamptz_eq_date(timestamp with time zone,date) of a column' => qr/public\.child/,
	'stable timestamptz_eq_timestamp(timestamp with time zone,timestamp without time zone) of a column' => qr/public\.child/,
	# a row reached by two ways of several owners
	'a sub-select in SET' => qr/public\.(attachment|pair|login|picture)/,
	# enforcement, which is ZE005 there
	'FOR UPDATE without a key' => qr/SKIP LOCKED/,
	'a change without a key' => qr/pg_catalog\.tid\[\]/,
);
my (%met, %sample);
my ($statements, $unread, $changes) = (0, 0, 0);

my $builtin = StatementShapes::catalog($node->safe_psql('postgres', StatementShapes::catalog_query('< 16384')));

# The errors that are said, which are part of what tests do.
sub psql
{
	my ($database, @arguments) = @_;
	my $err = '';
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($database), @arguments ], '>', '/dev/null', '2>', \$err);
	return join "\n", grep { /ERROR|FATAL/ } split /\n/, $err;
}

# Run files one after the other in a database of their own, and read what effaced did.
sub check
{
	my ($name, $files, @commands) = @_;
	my $database = "shape_$name";
	$node->safe_psql('postgres', "CREATE DATABASE $database" . ($sample{$name} ? " TEMPLATE $name" : ''));
	my $from = -s $node->logfile;
	my @input = map { ('-f', $_) } written("$name.before", sprintf $StatementShapes::helpers, $from, $node->logfile);
	push @input, map { ('-f', written("$name." . basename($_), StatementShapes::with_readings(slurp_file($_)))) } @$files;
	push @input, map { ('-c', $_) } @commands, 'RESET ROLE; SELECT shapes.read(), shapes.read_plans()';
	my $errors = psql($database, @input);

	open my $log, '<', $node->logfile or die;
	seek $log, $from, 0;
	my ($trees, $catalog) = StatementShapes::logged(do { local $/; <$log> });
	close $log;
	$catalog->{$_} = { %{ $builtin->{$_} }, %{ $catalog->{$_} || {} } } for keys %$builtin;

	my @found;
	for my $text (sort keys %$trees)
	{
		if (!$trees->{$text}) { $unread++; note("$name: unread: " . substr $text, 0, 1000); next; }
		$statements++;
		$changes++ if $text =~ /^(WITH done AS \()?(UPDATE|DELETE)/;
		for (StatementShapes::offences($text, $trees->{$text}, $catalog))
		{
			if ($known{$_} && $text =~ $known{$_}) { $met{$_} = 1; }
			else { push @found, "$_: $text"; }
		}
	}
	is(join("\n", @found), '', "$name: every statement has a shape that a distributed table takes");
	$node->safe_psql('postgres', "DROP DATABASE $database");
	return $errors;
}

# The path of a file with that text.
sub written
{
	my ($name, $text) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name";
	open my $out, '>:raw', $file or die;
	print $out $text;
	close $out;
	return $file;
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
is(check('demo', [ $extension, 'test/demo/shop.sql', 'test/demo/labels.sql' ], @verbs), '', 'demo: no errors');
is(check('bench', [ $extension, map { "test/bench/shop/$_.sql" } qw(schema data labels) ], @verbs), '', 'bench: no errors');

# The sample databases, where they are: every verb, partitions, rows of several
# owners, two kinds of subjects, and what has outlived its term.
sub load
{
	my ($name, @data) = @_;
	my @files = grep { -e } map { ($ENV{EFFACED_DATA} // '') . "/$_" } @data;
	return 0 if @files < @data;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	local $ENV{PGOPTIONS} = '-c auto_explain.log_min_duration=-1';
	load_file($node, $name, $_) for @files;
	return $sample{$name} = 1;
}
sub labels { return written("$_[0].labels", join '', "CREATE EXTENSION effaced;\n", @_[1 .. $#_]); }
my $kept = '"erasure": "retain", "retention": {"reason": "tax law", "duration": "7 years", "anchor": "%s", "on_expiry": "%s"}';
$node->safe_psql('postgres', q{DO $$ BEGIN
	IF to_regrole('postgres') IS NULL THEN CREATE ROLE postgres SUPERUSER; END IF; END $$});

if (load('pagila', 'pagila-schema.sql', 'pagila-data.sql'))
{
	is(check('pagila', [ labels('pagila',
		label('TABLE customer', '{"path": ""}'),
		label('COLUMN customer.first_name', '{"category": "identity", "fact": "name"}'),
		label('COLUMN customer.last_name', '{"category": "identity", "erasure": "anonymize", "surrogate": "\'CUSTOMER \' || customer_id"}'),
		label('COLUMN customer.email', '{"category": "contact", "fact": "email"}'),
		label('TABLE address', '{"path": "customer(address_id)", "owned": true}'),
		(map { label("COLUMN address.$_", '{"category": "location"}') } qw(address address2 district postal_code phone)),
		label('TABLE rental', '{"path": "customer"}'),
		label('COLUMN rental.return_date', sprintf qq({"category": "behavioral", "surrogate": "NULL", $kept}), 'rental_date', 'anonymize'),
		label('TABLE payment', '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["customer_id"]}]}'),
		label('COLUMN payment.amount', sprintf qq({"category": "financial", $kept}), 'payment_date', 'delete')) ],
		@verbs, q{CALL effaced_enforce_retention('2029-04-01', 700)}), '', 'pagila: no errors');
}
if (load('chinook', 'chinook.sql'))
{
	my @verbs_of_customers = map { s/\)$/, subject => 'customer')/r } grep { !/sweep|count/ } @verbs;
	is(check('chinook', [ labels('chinook',
		label('TABLE customer', '{"path": "", "owned": true}'),
		label('TABLE employee', '{"path": "", "subject": "staff", "owned": true, "links": [{"name": "manager", "path": "reports_to"}]}'),
		label('TABLE invoice', '{"path": "customer", "owned": true}'),
		label('TABLE invoice_line', '{"path": "invoice.customer", "owned": true}'),
		(map { label("COLUMN customer.$_", '{"category": "contact", "fact": "' . $_ . '"}') } qw(first_name last_name address city phone email)),
		(map { label("COLUMN employee.$_", '{"category": "contact"}') } qw(first_name last_name title birth_date address phone email)),
		label('COLUMN invoice.billing_address', '{"category": "location"}')) ],
		@verbs_of_customers, q{SELECT effaced_erase('3', subject => 'employee')}, q{SELECT effaced_erase_many('{2,4}', subject => 'employee')},
		q{SELECT effaced_export('5', subject => 'employee')}, q{SELECT effaced_verify('4', subject => 'employee')},
		label('TABLE invoice', '{"path": "customer"}')
		  . label('COLUMN customer.last_name', '{"category": "identity", "erasure": "anonymize"}')
		  . label('COLUMN invoice.total', sprintf qq({"category": "financial", $kept}), 'invoice_date', 'anonymize'),
		@verbs_of_customers, q{SELECT count(*) FROM effaced_sweep('2100-01-01')}, q{CALL effaced_enforce_retention('2100-01-01')}), '', 'chinook: no errors');
}

cmp_ok($statements, '>', 1900, 'enough was read');
cmp_ok($changes, '>', 700, 'and enough of it writes');
cmp_ok($unread, '<', $statements / 50, 'of what was run, little was on tables that could not be looked at any more');
is(join("\n", grep { !$met{$_} } sort keys %known), '', 'what is known to be refused is met');
note("$statements statements, $changes of them write, $unread could not be read");

$node->stop;
done_testing();
