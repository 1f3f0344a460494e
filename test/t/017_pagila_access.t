# Pagila: what a customer is given on request, and what a correction changes; payments
# are partitioned, and an address may be that of several customers.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('pagila_access', 'pagila');
sub query { return $node->safe_psql('pagila', $_[0]); }
sub rectify { my ($customer, $corrections) = @_; return decode_json(query("SELECT effaced_rectify($customer, '$corrections')")); }

# tables set last_update by trigger, which is not what is looked at here
query("DROP TRIGGER last_updated ON $_") for 'customer', 'address', 'rental';

query(sample_labels('pagila',
		'COLUMN customer.first_name' => '"fact": "first name", "legal_basis": "contract", "purpose": "membership"',
		'COLUMN customer.last_name' => '"fact": "last name", "surrogate": null, "legal_basis": "contract"',
		'COLUMN customer.email' => '"fact": "email", "legal_basis": "consent"')
	. sample_labels('pagila_addresses', 'COLUMN address.address2' => undef, 'COLUMN address.phone' => '"fact": "phone", "erasure": "anonymize"',
		map { ("COLUMN address.$_" => '"erasure": "anonymize"') } qw(address district postal_code)));

my @tables = grep { !/^payment_p/ } sort keys %{ row_counts($node, 'pagila') };
# Everything but some columns of some rows: {table => [condition, columns]}.
sub rest
{
	my (%changed) = @_;
	return { map {
		my ($condition, @columns) = @{ $changed{$_} || ['false'] };
		my $row = @columns ? "CASE WHEN $condition THEN to_jsonb(t) - ARRAY['" . join("', '", @columns) . "'] ELSE to_jsonb(t) END" : 'to_jsonb(t)';
		($_ => query("SELECT count(*) || ' ' || md5(string_agg(($row)::text, '|' ORDER BY ($row)::text)) FROM $_ t"));
	} @tables };
}

# What customer 148 is given, record for record.
is(query(q{SELECT source, field, count(*) FROM effaced_export_records('148') GROUP BY 1, 2 ORDER BY 1, 2}), join("\n",
	'address|address|1', 'address|district|1', 'address|phone|1', 'address|postal_code|1',
	'customer|email|1', 'customer|first_name|1', 'customer|last_name|1', 'payment|amount|46', 'rental|return_date|46'), 'records of customer 148');
is(query(q{SELECT row_key ->> 'customer_id', field, category, value, legal_basis, purpose FROM effaced_export_records('148') WHERE source = 'customer'}), join("\n",
	'148|first_name|identity|"ELEANOR"|contract|membership', '148|last_name|identity|"HUNT"|contract|', '148|email|contact|"ELEANOR.HUNT@sakilacustomer.org"|consent|'), 'her own row');
is(query(q{SELECT row_key ->> 'address_id', string_agg(value #>> '{}', ', ' ) FROM effaced_export_records('148') WHERE source = 'address' GROUP BY 1}),
	query('SELECT address_id, concat_ws($$, $$, address, district, postal_code, phone) FROM address JOIN customer USING (address_id) WHERE customer_id = 148'), 'her address');
my $sql = q{
	SELECT 'payment', jsonb_build_object('payment_date', payment_date, 'payment_id', payment_id), 'amount', 'financial', to_jsonb(amount), NULL, NULL, 'tax law',
	       (payment_date AT TIME ZONE 'UTC' + interval '7 years') AT TIME ZONE 'UTC' FROM payment WHERE customer_id = 148
	UNION ALL
	SELECT 'rental', jsonb_build_object('rental_id', rental_id), 'return_date', 'behavioral', to_jsonb(return_date), NULL, NULL, NULL, NULL
	  FROM rental WHERE customer_id = 148 AND return_date IS NOT NULL};
my $records = q{SELECT * FROM effaced_export_records('148') WHERE source IN ('payment', 'rental')};
is(query("SET TimeZone = 'UTC'; SELECT count(*) FROM (($records EXCEPT ALL ($sql)) UNION ALL (($sql) EXCEPT ALL $records)) d"), 0, 'her payments and rentals');
is(query(q{SELECT sum((value #>> '{}')::numeric) FROM effaced_export_records('148') WHERE source = 'payment'}), '216.54', 'what she paid');
is(query(q{SELECT jsonb_agg(r) = effaced_export(148) -> 'records' FROM effaced_export_records('148') r}), 't', 'effaced_export() gives the same');
is(query(q{SELECT string_agg(r ->> 'field', ' ') FROM jsonb_array_elements(effaced_export(148, scope => 'portability') -> 'records') r}), 'first_name last_name email', 'portability');
is(query(q{SELECT count(*) FROM effaced_export_records('9999')}), 0, 'nobody');
is(query(q{SELECT sum(n), md5(string_agg(n::text, ' ' ORDER BY c)) FROM generate_series(1, 40) c, LATERAL (SELECT count(*) AS n FROM effaced_export_records(c)) s}),
	query(q{SELECT sum(n), md5(string_agg(n::text, ' ' ORDER BY customer_id)) FROM (
		SELECT customer_id, 3 + (SELECT num_nonnulls(address, district, postal_code, phone) FROM address a WHERE a.address_id = c.address_id)
			+ (SELECT count(*) FROM payment p WHERE p.customer_id = c.customer_id) + (SELECT count(return_date) FROM rental r WHERE r.customer_id = c.customer_id) AS n
		  FROM customer c WHERE customer_id <= 40) s}), 'the numbers of forty customers');

# A correction of her mail address, and of her name.
my %hers = (customer => [ 'customer_id = 148', 'email', 'last_name' ]);
my $before = rest(%hers);
is_deeply(rectify(148, '[{"category": "contact", "fact": "email", "value": "e@hunt.example"}, {"category": "identity", "fact": "last name", "value": "HUNT-LEE"}]')->{rectified},
	{ customer => 1 }, 'her mail address and her name');
is(query('SELECT email, first_name, last_name FROM customer WHERE customer_id = 148'), 'e@hunt.example|ELEANOR|HUNT-LEE', 'are corrected');
is_deeply(rest(%hers), $before, 'and nothing else has changed');
# What is kept for the tax office can be wrong, too.
my %paid = (payment => [ 'customer_id = 148', 'amount' ]);
$before = rest(%paid);
is_deeply(rectify(148, '[{"category": "financial", "value": 1.5}]')->{rectified}, { payment => 46 }, 'her payments, in every partition');
is(query('SELECT sum(amount) FROM payment WHERE customer_id = 148'), '69.00', 'are corrected');
is_deeply(rest(%paid), $before, 'and nothing else has changed');
is(query(q{SELECT DISTINCT value FROM effaced_export_records('148') WHERE source = 'payment'}), '1.50', 'the export shows it');

# An address of her own is corrected; one that two customers share is left to both.
query('UPDATE customer SET address_id = (SELECT address_id FROM customer WHERE customer_id = 2) WHERE customer_id = 3');
my %lives = map { $_ => query("SELECT address_id FROM customer WHERE customer_id = $_") } 2, 148;
my %called = (address => [ "address_id = $lives{148}", 'phone' ]);
$before = rest(%called);
is_deeply([ @{ rectify(148, '[{"category": "contact", "fact": "phone", "value": "555"}]') }{ 'rectified', 'shared' } ], [ { address => 1 }, { address => 0 } ], 'a phone of her own');
is_deeply([ @{ rectify(2, '[{"category": "contact", "fact": "phone", "value": "556"}]') }{ 'rectified', 'shared' } ], [ { address => 0 }, { address => 1 } ], 'a shared phone');
is(query("SELECT phone FROM address WHERE address_id = $lives{148}"), '555', 'hers is corrected');
is_deeply(rest(%called), $before, 'and nothing else has changed');

# Refused: nothing is written.
$before = rest();
my ($status, $out, $err) = $node->psql('pagila', q{SELECT effaced_rectify(148, '[{"category": "contact", "value": "?"}]')});
like($err, qr/must say which fact.*Facts of the category: phone, email|must say which fact.*Facts of the category: email, phone/s, 'a mail address is no phone number');
($status, $out, $err) = $node->psql('pagila', q{SELECT effaced_rectify(148, '[{"category": "contact", "fact": "email", "value": "x"}, {"category": "financial", "value": "plenty"}]')});
like($err, qr/does not fit column "amount" of table "payment"/, 'no amount');
is_deeply(rest(), $before, 'nothing has changed');

# Once erased, only what is kept is given.
query('SELECT effaced_erase(148)');
is(query(q{SELECT source, field, count(*) FROM effaced_export_records('148') GROUP BY 1, 2}), 'payment|amount|46', 'once erased, what is retained is given');
$before = rest();
is_deeply(rectify(148, '[{"category": "contact", "fact": "email", "value": "back"}, {"category": "identity", "fact": "first name", "value": "BACK"}]')->{rectified},
	{ customer => 0 }, 'and surrogates are not corrected');
is_deeply(rest(), $before, 'nothing has changed');

$node->stop;
done_testing();
