# Chinook, a music shop: one customer is anonymized for the sake of the invoices,
# then, under other labels, another goes with all invoices.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('chinook', 'chinook');
sub query { return $node->safe_psql('chinook', $_[0]); }

my %counts = (
	album => 347, artist => 275, customer => 59, employee => 8, genre => 25, invoice => 412, invoice_line => 2240,
	media_type => 5, playlist => 18, playlist_track => 8715, track => 3503);
is_deeply(row_counts($node, 'chinook'), \%counts, 'row counts before');

# All rows, but for those of one customer.
sub others
{
	my ($customer) = @_;
	my %others = map { $_ => 'true' } keys %counts;
	$others{$_} = "customer_id <> $customer" for 'customer', 'invoice';
	$others{invoice_line} = "invoice_id NOT IN (SELECT invoice_id FROM invoice WHERE customer_id = $customer)";
	return checksums($node, 'chinook', \%others);
}

query(sample_labels('chinook'));

# Every column of customer is labelled "delete" or a key, so the row would go: but
# not as long as invoices are retained.
my ($status, $out, $err) = $node->psql('chinook', '\set VERBOSITY verbose' . "\nSELECT * FROM effaced_plan(1)");
like($err, qr/ZE003: rows of table "invoice_line" must be kept, but hang from rows of table "customer"/, 'retention keeps the customer');

query(label('COLUMN customer.last_name', '{"category": "identity", "erasure": "anonymize"}'));
my $before = others(1);
my $retained = checksums($node, 'chinook', { invoice => 'customer_id = 1', invoice_line => 'invoice_id IN (SELECT invoice_id FROM invoice WHERE customer_id = 1)' });
my $result = decode_json(query('SELECT effaced_erase(1)'));
is_deeply($result->{anonymized}, { customer => 1 }, 'anonymized');
is_deeply($result->{retained}, { invoice => 7, invoice_line => 38 }, 'retained');
is_deeply($result->{deleted}, {}, 'deleted');
is_deeply(row_counts($node, 'chinook'), \%counts, 'every row is still there');
is_deeply(others(1), $before, "nobody else's row changed");
is_deeply(checksums($node, 'chinook', { invoice => 'customer_id = 1', invoice_line => 'invoice_id IN (SELECT invoice_id FROM invoice WHERE customer_id = 1)' }),
	$retained, 'retained rows are byte-identical');
is(query(q{SELECT count(*) FROM customer, jsonb_each_text(to_jsonb(customer)) WHERE customer_id = 1 AND key NOT IN ('customer_id', 'support_rep_id')
		AND value IS NOT NULL AND value !~ '^anon(-[0-9a-f]+)?$'}), 0, 'every value of the customer is replaced');
is(query('SELECT support_rep_id FROM customer WHERE customer_id = 1'), 3, 'what has no label stays');
is(query(q{SELECT effaced_verify(1) ->> 'verified'}), 'true', 'verified');

# The shop gives up its invoices: then the whole of a customer goes.
query(join('', map { label("COLUMN invoice.$_", '{"category": "financial"}') }
			qw(billing_address billing_city billing_state billing_country billing_postal_code total invoice_date))
	. label('COLUMN invoice_line.track_id', '{"category": "behavioral"}')
	. label('TABLE invoice_line', '{"path": "invoice.customer", "owned": true}')
	. label('COLUMN customer.last_name', '{"category": "identity"}'));
is(query('SELECT relation, strategy FROM effaced_plan(2) ORDER BY step'), "invoice_line|delete\ninvoice|delete\ncustomer|delete", 'the plan');
$before = others(2);
$result = decode_json(query('SELECT effaced_erase(2)'));
is_deeply($result->{deleted}, { customer => 1, invoice => 7, invoice_line => 38 }, 'deleted');
is_deeply(row_counts($node, 'chinook'), { %counts, customer => 58, invoice => 405, invoice_line => 2202 }, 'row counts after');
is_deeply(others(2), $before, "nobody else's row changed");

# The one that was anonymized before goes too, now.
is(query(q{SELECT effaced_erase(1) -> 'deleted'}), '{"invoice": 7, "customer": 1, "invoice_line": 38}', 'new labels apply to whom is left');

# Employees manage employees and look after customers, and they have no label.
($status, $out, $err) = $node->psql('chinook', label('TABLE employee', '{"path": "", "owned": true}')
	. label('COLUMN employee.last_name', '{"category": "identity"}')
	. label('COLUMN customer.support_rep_id', '{"category": "behavioral"}')
	. q{SELECT effaced_erase(3, subject => 'employee') -> 'deleted'});
is($out, '{"employee": 1}', 'an employee goes; customers and other employees are only detached') or diag $err;
is(query('SELECT count(*) FROM customer WHERE support_rep_id = 3'), 0, 'no customer has that support any more');
is(query('SELECT count(*) FROM employee'), 7, 'the other employees are there');

$node->stop;
done_testing();
