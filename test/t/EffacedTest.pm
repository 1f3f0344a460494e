# What several TAP tests need: a server with a database, sessions that stay open,
# row counts and checksums.

package EffacedTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_node start_sample load_sample load_file data_file row_counts checksums label sample_labels);

# Files of the sample databases.
my %samples = (pagila => [ 'pagila-schema.sql', 'pagila-data.sql' ], chinook => ['chinook.sql']);

# How the sample databases are labelled. A test says what it has otherwise.
my $tax = '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "duration": "P7Y", "anchor": "invoice_date"}}';
my @place = qw(address city state country postal_code);
my %labels = (
	pagila => [
		'TABLE customer' => '{"path": ""}',
		'COLUMN customer.first_name' => '{"category": "identity"}',
		'COLUMN customer.last_name' => q({"category": "identity", "erasure": "anonymize", "surrogate": "'CUSTOMER ' || customer_id"}),
		'COLUMN customer.email' => '{"category": "contact"}',
		'TABLE rental' => '{"path": "customer"}',
		'COLUMN rental.return_date' => '{"category": "behavioral", "erasure": "anonymize", "surrogate": "NULL"}',
		'TABLE payment' => '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["customer_id"]}]}',
		'COLUMN payment.amount' => '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law", "duration": "7 years", "anchor": "payment_date"}}',
	],
	# where the customers of Pagila live
	pagila_addresses => [
		'TABLE address' => '{"path": "customer(address_id)"}',
		(map { ("COLUMN address.$_" => '{"category": "location"}') } qw(address address2 district postal_code)),
		'COLUMN address.phone' => '{"category": "contact"}',
	],
	chinook => [
		'TABLE customer' => '{"path": ""}',
		(map { ("COLUMN customer.$_" => '{"category": "identity"}') } qw(first_name last_name)),
		(map { ("COLUMN customer.$_" => '{"category": "contact"}') } qw(company phone fax email), @place),
		'TABLE invoice' => '{"path": "customer"}',
		(map { ("COLUMN invoice.$_" => $tax) } (map { "billing_$_" } @place), 'total'),
		'TABLE invoice_line' => '{"path": "invoice.customer"}',
		'COLUMN invoice_line.track_id' => '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "tax law"}}',
	]);

# A started server that preloads nothing; settings are lines of postgresql.conf.
sub start_node
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', $settings) if $settings;
	$node->start;
	return $node;
}

# Run a file with psql; it has to run without error.
sub load_file
{
	my ($node, $database, $file) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $file ],
		'>', \$out, '2>', \$err)
	  or die "$file: $err";
	return;
}

# The path of a sample database, or skip the whole test and say why.
sub data_file
{
	my ($name) = @_;
	plan skip_all => 'EFFACED_DATA does not name the folder of the sample databases'
	  unless $ENV{EFFACED_DATA};
	plan skip_all => "EFFACED_DATA has no $name" unless -e "$ENV{EFFACED_DATA}/$name";
	return "$ENV{EFFACED_DATA}/$name";
}

# A started server with a sample database of that name, and effaced in it; or skip
# the whole test and say why.
sub start_sample
{
	my ($name, $sample, $settings) = @_;
	data_file($_) for @{ $samples{$sample} };
	my $node = start_node($name, $settings);
	load_sample($node, $sample);
	return $node;
}

# The same database on a server that is there. Pagila's belongs to role postgres.
sub load_sample
{
	my ($node, $sample) = @_;
	$node->safe_psql('postgres', q{DO $$ BEGIN
		IF to_regrole('postgres') IS NULL THEN CREATE ROLE postgres SUPERUSER; END IF; END $$});
	$node->safe_psql('postgres', "CREATE DATABASE $sample");
	load_file($node, $sample, data_file($_)) for @{ $samples{$sample} };
	$node->safe_psql($sample, 'CREATE EXTENSION effaced');
	return;
}

# {table => rows} of every table of schema public but effaced's own, partitions apart.
sub row_counts
{
	my ($node, $database) = @_;
	my $rows = $node->safe_psql($database, q{
		SELECT relname, (xpath('//c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', oid::regclass), false, true, '')))[1]
		  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname !~ '^effaced_'
		 ORDER BY 1});
	return { map { split /\|/ } split /\n/, $rows };
}

# {table => checksum} of the rows that fulfil a condition: {table => condition}.
sub checksums
{
	my ($node, $database, $conditions) = @_;
	my %sums;
	for my $table (sort keys %$conditions)
	{
		$sums{$table} = $node->safe_psql($database,
			"SELECT count(*) || ' rows ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM $table t WHERE $conditions->{$table}");
	}
	return \%sums;
}

# One SECURITY LABEL statement: label('COLUMN t.c', '{...}').
sub label
{
	my ($object, $json) = @_;
	$json =~ s/'/''/g;
	return "SECURITY LABEL FOR effaced ON $object IS '$json';\n";
}

# The statements that label a sample database. Changes are pairs of an object and what
# its label has besides, as JSON members that replace those of the same name, or undef
# for no label at all.
sub sample_labels
{
	my ($sample, %changes) = @_;
	my %left = map { $_ => 1 } keys %changes;
	my @pairs = @{ $labels{$sample} };
	my $statements = '';
	while (my ($object, $json) = splice @pairs, 0, 2)
	{
		if (delete $left{$object})
		{
			next unless defined $changes{$object};
			$json = encode_json({ %{ decode_json($json) }, %{ decode_json("{$changes{$object}}") } });
		}
		$statements .= label($object, $json);
	}
	die "no label of $sample is on " . join ', ', sort keys %left if %left;
	return $statements;
}

package EffacedTest::Session;

# A psql that stays connected.
sub new
{
	my ($class, $node, $database, %options) = @_;
	my $self = bless { in => '', out => '', sent => 0 }, $class;
	$self->{harness} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', "VERBOSITY=@{[ $options{verbosity} // 'default' ]}", '-d', $node->connstr($database), '-f', '-' ],
		'<', \$self->{in}, '>&', \$self->{out},
		IPC::Run::timeout(180));
	return $self;
}

# Send without waiting.
sub send
{
	my ($self, $sql) = @_;
	my $mark = 'done-' . ++$self->{sent};
	$self->{in} .= "$sql\n;\n\\echo $mark\n";
	$self->{harness}->pump_nb;
	return;
}

# Wait for what was sent; returns the rows, or the messages where it failed.
sub receive
{
	my ($self) = @_;
	my $mark = "done-$self->{sent}";
	$self->{harness}->pump until $self->{out} =~ /^$mark\n/m;
	(my $answer = $self->{out}) =~ s/^done-\d+\n//mg;
	$self->{out} = '';
	$answer =~ s/^psql:<stdin>:\d+: //mg;
	chomp $answer;
	return $answer;
}

sub query
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->receive;
}

# Whatever the connection is in.
sub close
{
	my ($self) = @_;
	$self->{in} .= "\\q\n";
	eval { $self->{harness}->finish };
	return;
}

1;
