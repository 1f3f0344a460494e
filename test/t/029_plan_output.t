# The caller is not sent the plans of what effaced runs: they may hold the secret that
# surrogates are made with, and values of rows.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('main', 'log_min_messages = fatal');
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE TABLE customer (id int PRIMARY KEY, email text, note text);
	CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, who text);
	INSERT INTO customer SELECT i, 'mail ' || i, 'note' FROM generate_series(1, 9) i;
	INSERT INTO invoice SELECT i, i, 'who ' || i FROM generate_series(1, 9) i;
	CREATE ROLE clerk LOGIN;
	GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO clerk;
}
	. label('TABLE customer', '{"path": ""}')
	. label('COLUMN customer.email', '{"category": "contact", "erasure": "anonymize"}')
	. label('TABLE invoice', '{"path": "customer"}')
	. label('COLUMN invoice.who', '{"category": "contact", "erasure": "anonymize"}'));

# runs statements as the clerk, who asks for all that the server tells, and returns it
my $settings = 'SET client_min_messages = log; SET debug_print_parse = on; SET debug_print_rewritten = on;'
	. ' SET debug_print_plan = on; SET debug_pretty_print = off; SET plan_cache_mode = force_custom_plan;';
sub told
{
	my ($sql) = @_;
	my ($stdout, $stderr);
	is($node->psql('postgres', "$settings $sql", stdout => \$stdout, stderr => \$stderr, extra_params => [ '-U', 'clerk' ]), 0, $sql)
		or diag($stderr);
	return $stderr;
}

# The first call makes the secret.
my %told = map { $_ => told($_) } (
	q{SELECT effaced_erase('1') IS NULL},
	q{SELECT effaced_erase_many('{2,3}') IS NULL},
	q{SELECT effaced_verify('1') IS NULL},
	q{SELECT effaced_export('4') IS NULL},
	q{SELECT count(*) FROM effaced_export_records('4')},
	q{SELECT effaced_rectify('5', '[{"category": "contact", "value": "other"}]') IS NULL},
	q{SELECT count(*) FROM effaced_sweep()});

# Plans write a text as the numbers of its bytes.
my $secret = $node->safe_psql('postgres', 'SELECT secret FROM effaced.effaced_secret');
ok(length($secret) >= 32, 'there is a secret');
my $bytes = join(' ', map { ord } split //, $secret);
for my $sql (sort keys %told)
{
	like($told{$sql}, qr/LOG: +plan:/, "$sql: the caller's own plan is there");
	unlike($told{$sql}, qr/\Q$secret\E|\Q$bytes\E/, "$sql: the secret is not");
	is(() = $told{$sql} =~ /LOG: +plan:/g, 1, "$sql: nor any other plan");
}

done_testing();
