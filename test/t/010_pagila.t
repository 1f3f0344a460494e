# Pagila, a video shop: one customer is erased, who survives as a row because her
# payments are kept for the tax office. Payments are partitioned, and only their
# partitions have foreign keys.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('pagila', 'pagila');
sub query { return $node->safe_psql('pagila', $_[0]); }

query(sample_labels('pagila'));

my %counts = (
	actor => 200, address => 603, category => 16, city => 600, country => 109, customer => 599, film => 1000,
	film_actor => 5462, film_category => 1000, inventory => 4581, language => 6, payment => 16049,
	payment_p2022_01 => 723, payment_p2022_02 => 2401, payment_p2022_03 => 2713, payment_p2022_04 => 2547,
	payment_p2022_05 => 2677, payment_p2022_06 => 2654, payment_p2022_07 => 2334, rental => 16044, staff => 2, store => 2);
is_deeply(row_counts($node, 'pagila'), \%counts, 'row counts before');

my %others = map { $_ => 'true' } keys %counts;
$others{$_} = 'customer_id <> 148' for 'customer', 'rental';
my $before = checksums($node, 'pagila', \%others);
my $retained = checksums($node, 'pagila', { payment => 'customer_id = 148' });

is(query(q{SELECT step, relation, strategy, columns FROM effaced_plan(148) ORDER BY step}),
	join("\n", '1|payment|retain|{amount}', '2|rental|anonymize|{return_date}', '3|customer|anonymize|{first_name,last_name,email}'),
	'the plan');
like(query('SELECT concat_ws(chr(32), first_name, last_name, email) FROM customer WHERE customer_id = 148'),
	qr/^ELEANOR HUNT ELEANOR\.HUNT\@sakilacustomer\.org$/, 'the customer before');

my $rentals = query('SELECT count(*) FROM rental WHERE customer_id = 148');
my $returned = query('SELECT count(*) FROM rental WHERE customer_id = 148 AND return_date IS NOT NULL');
is($rentals, 46, 'her rentals');
my $result = decode_json(query('SELECT effaced_erase(148)'));
is_deeply($result->{anonymized}, { customer => 1, rental => $returned }, 'rows anonymized');
is_deeply($result->{retained}, { payment => 46 }, 'rows retained');
is_deeply($result->{deleted}, {}, 'rows deleted');

is_deeply(row_counts($node, 'pagila'), \%counts, 'row counts after: every row is still there');
is_deeply(checksums($node, 'pagila', \%others), $before, "nobody else's row changed");
is_deeply(checksums($node, 'pagila', { payment => 'customer_id = 148' }), $retained, 'her payments are as they were');
like(query('SELECT concat_ws(chr(32), first_name, last_name, email) FROM customer WHERE customer_id = 148'),
	qr/^anon-[0-9a-f]{32} CUSTOMER 148 anon-[0-9a-f]{32}$/, 'the customer after');
is(query('SELECT count(*) FROM rental WHERE customer_id = 148 AND return_date IS NOT NULL'), 0, 'her return dates are gone');
is(query(q{SELECT count(*) FROM customer c WHERE c::text ~* 'eleanor.hunt'}), 0, 'her name is gone from the table');
is(query(q{SELECT effaced_verify(148) ->> 'verified'}), 'true', 'verified');
is(query(q{SELECT effaced_erase(148) -> 'anonymized'}), '{"rental": 0, "customer": 0}', 'a second run changes nothing');

# Without the last labels the customer's row would go, which the payments forbid.
my ($status, $out, $err) = $node->psql('pagila', label('TABLE customer', '{"path": "", "owned": true}')
	. label('COLUMN customer.last_name', '{"category": "identity"}') . 'SELECT effaced_erase(149)');
like($err, qr/rows of table "payment" must be kept, but hang from rows of table "customer", which are deleted/, 'retained payments keep their customer');
is_deeply(row_counts($node, 'pagila'), \%counts, 'and nothing has gone');

$node->stop;
done_testing();
