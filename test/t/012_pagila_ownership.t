# Pagila again: a customer's address is reached against the customer's reference,
# as customer(address_id), and may be a staff member's or a store's address too.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('pagila_ownership', 'pagila');
sub query { return $node->safe_psql('pagila', $_[0]); }
sub erase { return decode_json(query("SELECT effaced_erase($_[0])")); }

my %counts = %{ row_counts($node, 'pagila') };
is_deeply([ @counts{qw(customer address staff store rental payment)} ], [ 599, 603, 2, 2, 16044, 16049 ], 'row counts before');

# In the sample data everybody lives apart: let some move. 1 alone, 2 and 3
# together, 4 where a staff member lives, 5 in a store, 6 and 7 together.
query('UPDATE customer SET address_id = (SELECT address_id FROM customer WHERE customer_id = 2) WHERE customer_id = 3');
query('UPDATE customer SET address_id = (SELECT address_id FROM staff WHERE staff_id = 1) WHERE customer_id = 4');
query('UPDATE customer SET address_id = (SELECT address_id FROM store WHERE store_id = 2) WHERE customer_id = 5');
query('UPDATE customer SET address_id = (SELECT address_id FROM customer WHERE customer_id = 6) WHERE customer_id = 7');
is(query('SELECT address_id FROM customer WHERE customer_id = 2'), query('SELECT address_id FROM customer WHERE customer_id = 3'), 'two customers in one house');
my %lives = map { $_ => query("SELECT address_id FROM customer WHERE customer_id = $_") } 1 .. 7;

my $labels = sample_labels('pagila_addresses', 'TABLE address' => '"owned": true')
	. join('', map { label("COLUMN customer.$_", '{"category": "identity"}') } qw(first_name last_name email));
# Every row but those of some customers and at some addresses.
sub others
{
	my ($customers, $addresses) = @_;
	my %others = map { $_ => 'true' } keys %counts;
	$others{$_} = "customer_id NOT IN ($customers)" for grep { /^(customer|rental|payment.*)$/ } keys %others;
	$others{address} = "address_id NOT IN ($addresses)";
	return checksums($node, 'pagila', \%others);
}

# The customers' rows survive, and their address_id must not be NULL: an address is
# anonymized in place once no other customer is left, and no staff, and no store.
query($labels . label('TABLE customer', '{"path": ""}'));
is(query(q{SELECT string_agg(relation || ' ' || strategy, ', ' ORDER BY step) FROM effaced_plan(1)}),
	'customer anonymize, address delete, address anonymize, address shared', 'the plan');
my $before = others('1', $lives{1});
my $result = erase(1);
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ { address => 0 }, { address => 1, customer => 1 }, { address => 0 } ], 'an address of one\'s own is anonymized in place');
like(query("SELECT address || ' ' || postal_code || ' ' || phone FROM address WHERE address_id = $lives{1}"), qr/^anon-\w+ anon-\w+ anon-\w+$/, 'it is replaced');
is_deeply(row_counts($node, 'pagila'), \%counts, 'every row is still there');
is_deeply(others('1', $lives{1}), $before, "nobody else's row changed");

$before = others('2, 3, 4, 5', 0);
for my $customer (2, 4, 5)
{
	$result = erase($customer);
	is_deeply([ @$result{qw(deleted anonymized shared)} ], [ { address => 0 }, { address => 0, customer => 1 }, { address => 1 } ],
		"customer $customer shares an address, which stays");
	is(query("SELECT effaced_verify($customer) ->> 'verified'"), 'true', "customer $customer is verified");
}
is_deeply(others('2, 3, 4, 5', 0), $before, 'no address changed');
$before = others('3', $lives{3});
$result = erase(3);
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ { address => 0 }, { address => 1, customer => 1 }, { address => 0 } ], 'the last one in the house takes the address');
is_deeply(others('3', $lives{3}), $before, "nobody else's row changed");
is(query("SELECT string_agg(effaced_verify(c) ->> 'verified', ' ') FROM generate_series(1, 5) c"), join(' ', ('true') x 5), 'all verified');

# Now under labels by which customers go, with rentals and payments: their address
# goes after them.
query(label('TABLE customer', '{"path": "", "owned": true}')
	. label('TABLE rental', '{"path": "customer", "owned": true}')
	. label('TABLE payment', '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["customer_id"]}], "owned": true}'));
my %rentals = map { $_ => query("SELECT count(*) FROM rental WHERE customer_id = $_") } 6, 7, 8;
my %payments = map { $_ => query("SELECT count(*) FROM payment WHERE customer_id = $_") } 6, 7, 8;
my $address = query('SELECT address_id FROM customer WHERE customer_id = 8');
$before = others('6, 7, 8', "$lives{6}, $address");
$result = erase(8);
is_deeply($result->{deleted}, { payment => $payments{8}, rental => $rentals{8}, customer => 1, address => 1 }, 'a customer goes, and the address');
$result = erase(6);
is_deeply([ @$result{qw(deleted shared)} ], [ { payment => $payments{6}, rental => $rentals{6}, customer => 1, address => 0 }, { address => 1 } ],
	'another one, whose address somebody still has');
$result = erase(7);
is_deeply([ @$result{qw(deleted shared)} ], [ { payment => $payments{7}, rental => $rentals{7}, customer => 1, address => 1 }, { address => 0 } ], 'until they go too');
is_deeply(others('6, 7, 8', "$lives{6}, $address"), $before, "nobody else's row changed");
my $left = row_counts($node, 'pagila');
is_deeply([ @$left{qw(customer address staff store rental payment)} ],
	[ 596, 601, 2, 2, 16044 - $rentals{6} - $rentals{7} - $rentals{8}, 16049 - $payments{6} - $payments{7} - $payments{8} ], 'row counts after');

$node->stop;
done_testing();
