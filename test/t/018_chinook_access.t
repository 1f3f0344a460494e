# Chinook: one fact in two tables, three levels of them, and a correction that is
# refused half-way.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('chinook_access', 'chinook');
sub query { return $node->safe_psql('chinook', $_[0]); }

my @place = qw(address city state country postal_code);
query(sample_labels('chinook',
	(map { ("COLUMN customer.$_" => qq("fact": "$_", "erasure": "anonymize")) } qw(company phone fax email)),
	(map { ("COLUMN customer.$_" => qq("category": "location", "fact": "$_", "erasure": "anonymize")) } @place),
	(map { ("COLUMN customer.${_}_name" => qq("fact": "$_ name", "erasure": "anonymize")) } qw(first last)),
	(map { ("COLUMN invoice.billing_$_" => qq("category": "location", "fact": "$_")) } @place)));

my @tables = sort keys %{ row_counts($node, 'chinook') };
# Checksums, without some columns of one customer's rows: {table => [columns]}.
sub rest
{
	my ($customer, %columns) = @_;
	return { map {
		my $row = $columns{$_} ? "CASE WHEN customer_id = $customer THEN to_jsonb(t) - '{" . join(',', @{ $columns{$_} }) . "}'::text[] ELSE to_jsonb(t) END" : 'to_jsonb(t)';
		($_ => query("SELECT count(*) || ' ' || md5(string_agg(($row)::text, '|' ORDER BY ($row)::text)) FROM $_ t"));
	} @tables };
}

# All that is held on customer 1.
is(query(q{SELECT source, field, count(*) FROM effaced_export_records('1') GROUP BY 1, 2 ORDER BY 1, 2}), join("\n",
	(map { "customer|$_|1" } qw(address city company country email fax first_name last_name phone postal_code state)),
	(map { "invoice|$_|7" } qw(billing_address billing_city billing_country billing_postal_code billing_state total)),
	'invoice_line|track_id|38'), 'records of customer 1');
is(query(q{SELECT string_agg(value #>> '{}', ' | ') FROM effaced_export_records('1') WHERE source = 'customer'}),
	query('SELECT concat_ws($$ | $$, first_name, last_name, company, address, city, state, country, postal_code, phone, fax, email) FROM customer WHERE customer_id = 1'), 'the customer, by the columns\' order');
is(query(q{SELECT row_key ->> 'invoice_id', value, retention_reason, expires_at AT TIME ZONE 'UTC' FROM effaced_export_records('1') WHERE field = 'total'}),
	query(q{SELECT invoice_id, total, 'tax law', invoice_date + interval '7 years' FROM invoice WHERE customer_id = 1 ORDER BY invoice_id}), 'the invoices, until when they are kept');
is(query(q{SELECT sum((value #>> '{}')::numeric) FROM effaced_export_records('1') WHERE field = 'total'}), '39.62', 'what they come to');
is(query(q{SELECT md5(string_agg(concat_ws(' ', row_key ->> 'invoice_line_id', value), ',' ORDER BY (row_key ->> 'invoice_line_id')::int)) FROM effaced_export_records('1') WHERE source = 'invoice_line'}),
	query(q{SELECT md5(string_agg(concat_ws(' ', invoice_line_id, track_id), ',' ORDER BY invoice_line_id)) FROM invoice_line JOIN invoice USING (invoice_id) WHERE customer_id = 1}), 'the tracks');
is(query(q{SELECT string_agg(n::text, ' ' ORDER BY c) FROM generate_series(1, 59) c, LATERAL (SELECT count(*) AS n FROM effaced_export_records(c)) s}),
	query(q{SELECT string_agg(n::text, ' ' ORDER BY customer_id) FROM (
		SELECT customer_id, num_nonnulls(first_name, last_name, company, address, city, state, country, postal_code, phone, fax, email)
			+ (SELECT sum(num_nonnulls(billing_address, billing_city, billing_state, billing_country, billing_postal_code, total)) FROM invoice i WHERE i.customer_id = c.customer_id)
			+ (SELECT count(*) FROM invoice i JOIN invoice_line USING (invoice_id) WHERE i.customer_id = c.customer_id) AS n FROM customer c) s}),
	'the number of records of each of the 59 customers');

# A new address, wherever it is written down.
my %address = (customer => [ 'address', 'city' ], invoice => [ 'billing_address', 'billing_city' ]);
my $before = rest(1, %address);
my $result = decode_json(query(q{SELECT effaced_rectify(1, '[{"category": "location", "fact": "address", "value": "Rua Nova 1"}, {"category": "location", "fact": "city", "value": "Recife"}]')}));
is_deeply($result, { subject_id => '1', rectified => { customer => 1, invoice => 7 }, shared => {}, enqueued => [], skipped_resolvers => [] }, 'an address in two tables');
is(query('SELECT address, city, count(*), min(billing_address), max(billing_address), max(billing_city) FROM customer JOIN invoice USING (customer_id) WHERE customer_id = 1 GROUP BY 1, 2'),
	'Rua Nova 1|Recife|7|Rua Nova 1|Rua Nova 1|Recife', 'is corrected in both');
is_deeply(rest(1, %address), $before, 'and nothing else has changed');
is(query(q{SELECT value, count(*) FROM effaced_export_records('1') WHERE category = 'location' AND field ~ 'address|city' GROUP BY 1 ORDER BY 1}), qq("Recife"|8\n"Rua Nova 1"|8), 'the export shows it everywhere');
is(query(q{SELECT string_agg(event_type || coalesce(' ' || (payload ->> 'target') || ' ' || (payload ->> 'rows'), ''), ', ' ORDER BY seq) FROM effaced_audit_events WHERE event_type ~ '^rectification'}),
	'rectification_requested, rectification_step_succeeded customer 1, rectification_step_succeeded invoice 7, rectification_local_completed', 'the trail');
is(query(q{SELECT count(*) FROM effaced_audit_events WHERE payload::text ~* 'rua|recife'}), 0, 'without the address');

# Country is text of 40 characters in both, postal codes of 10; a track must exist.
$before = rest(1);
for (
	[ 'a value that is too long', 'ZE004', '[{"category": "location", "fact": "country", "value": "Brasil"}, {"category": "location", "fact": "postal_code", "value": "12227-000-000"}]' ],
	[ 'a value that leads nowhere', '23503', '[{"category": "location", "fact": "country", "value": "Brasil"}, {"category": "behavioral", "value": 999999}]' ],
	[ 'a value that must not be NULL', '23502', '[{"category": "location", "fact": "country", "value": "Brasil"}, {"category": "identity", "fact": "last name", "value": null}]' ],
	[ 'one value for five facts', 'ZE005', '[{"category": "location", "value": "Brasil"}]' ])
{
	my ($what, $state, $corrections) = @$_;
	my ($status, $out, $err) = $node->psql('chinook', "\\set VERBOSITY verbose\nSELECT effaced_rectify(1, '$corrections')");
	like($err, qr/ERROR:  $state:/, $what);
	unlike($err, qr/12227-000-000|999999/, "$what: it is not said");
}
is_deeply(rest(1), $before, 'nothing has changed');

# Once erased, what the tax office wants is given, and can still be corrected.
query('SELECT effaced_erase(1)');
is(query(q{SELECT source, count(*) FROM effaced_export_records('1') GROUP BY 1 ORDER BY 1}), "invoice|42\ninvoice_line|38", 'once erased, what is retained is given');
$before = rest(1, invoice => ['billing_city']);
is(query(q{SELECT effaced_rectify(1, '[{"category": "location", "fact": "city", "value": "Olinda"}]') -> 'rectified'}), '{"invoice": 7, "customer": 0}', 'of the erased, what is retained is corrected');
is_deeply(rest(1, invoice => ['billing_city']), $before, 'and nothing else has changed');

$node->stop;
done_testing();
