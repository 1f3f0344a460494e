# What several TAP tests need: a server with a database, sessions that stay open,
# row counts and checksums.

package EffacedTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_node start_sample load_sample load_file data_file row_counts checksums label);

# Files of the sample databases.
my %samples = (pagila => [ 'pagila-schema.sql', 'pagila-data.sql' ], chinook => ['chinook.sql']);

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
