# Retention and restrictions on Pagila, whose payments are partitioned, and on
# Chinook, whose invoices are referenced by lines: what has expired goes, batch by
# batch, and nothing else changes.

use strict;
use warnings;
use EffacedTest;
use Test::More;

data_file('chinook.sql');
my $node = start_sample('samples', 'pagila');
my $database;
sub query { return $node->safe_psql($database, $_[0]); }

# Pagila: amounts are kept for seven years, returns of films for one.
$database = 'pagila';
query(sample_labels('pagila',
	'COLUMN rental.return_date' => '"erasure": "retain", "retention": {"reason": "claims", "duration": "1 year", "anchor": "rental_date", "on_expiry": "anonymize"}',
	'COLUMN payment.amount' => '"retention": {"reason": "tax law", "duration": "7 years", "anchor": "payment_date", "on_expiry": "delete"}'));

my $as_of = '2029-04-01 00:00+00';
my $old = q{payment_date <= timestamptz '2022-04-01 00:00+00' AND amount <> 0};
my $payments = query("SELECT count(*) FROM payment WHERE $old");
my $payers = query("SELECT count(DISTINCT customer_id) FROM payment WHERE $old");
my $returns = query('SELECT count(*) FROM rental WHERE return_date IS NOT NULL');
cmp_ok($payments, '>', 5000, 'there are old payments, in several partitions');
is(query("SELECT relation, column_name, expired_rows, expired_subjects, indeterminate_rows FROM effaced_sweep('$as_of')"),
	"payment|amount|$payments|$payers|0\nrental|return_date|$returns|599|0", 'the sweep finds them');
is(query(q{SELECT count(*), count(DISTINCT subject_ref) FROM effaced_audit_events WHERE event_type = 'retention_expired'}),
	'599|599', 'and records each customer once');

my %others = (payment => "NOT ($old) OR customer_id = 148", rental => 'customer_id = 148');
$others{$_} = 'true' for 'customer', 'film', 'inventory', 'staff', 'address';
my $before = checksums($node, $database, \%others);
my $kept = query("SELECT count(*) FROM payment WHERE $old AND customer_id = 148");
my $hers = query('SELECT count(*) FROM rental WHERE return_date IS NOT NULL AND customer_id = 148');
query(q{SELECT effaced_restrict('148', reason => 'disputes a charge')});
query("CALL effaced_enforce_retention('$as_of', 700)");
is(query('SELECT deleted, anonymized, restricted, kept, left_over FROM effaced_retention_runs'),
	join('|', $payments - $kept, $returns - $hers, $kept + $hers, 0, 0), 'enforced, but for who is under a restriction');
is(query("SELECT count(*) FROM payment WHERE $old"), $kept, 'old payments are gone');
is_deeply(checksums($node, $database, \%others), $before, 'nothing else has changed');
is(query("SELECT expired_rows, subject_ids FROM effaced_sweep('$as_of')"), "$kept|{148}\n$hers|{148}", 'and the sweep says so');

# A clerk sees nothing of who is under a restriction, nor what hangs from her.
query(q{CREATE ROLE clerk; GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk; REVOKE SELECT ON effaced.effaced_secret FROM clerk});
query(qq{SELECT effaced_restriction_policy(t) FROM unnest('{customer,rental,payment}'::regclass[]) t});
is(query(q{SET ROLE clerk; SELECT (SELECT count(*) FROM customer), (SELECT count(*) FROM rental WHERE customer_id = 148),
	(SELECT count(*) FROM payment WHERE customer_id = 148), (SELECT count(*) FROM rental)}),
	join('|', 598, 0, 0, query('SELECT count(*) FROM rental WHERE customer_id <> 148')), 'her rows are hidden from a clerk');
query(q{SELECT effaced_lift_restriction('148')});
is(query(q{SET ROLE clerk; SELECT count(*) FROM customer}), '599', 'until it is lifted');

# Chinook: bills are kept for seven years, and go then; their lines, of which
# nobody can tell the age, keep them.
$database = 'chinook';
load_sample($node, $database);
my $label = sub {
	my ($action) = @_;
	query(sample_labels('chinook', 'COLUMN customer.last_name' => '"erasure": "anonymize"', 'COLUMN invoice_line.track_id' => undef,
		(map { ("COLUMN invoice.$_" => undef) } qw(billing_state billing_postal_code total)),
		map { ("COLUMN invoice.billing_$_" => qq("retention": {"reason": "tax law", "duration": "P7Y", "anchor": "invoice_date", "on_expiry": "$action"})) }
			qw(address city country)));
};
my $middle = query(q{SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY invoice_date) + interval '7 years' FROM invoice});
my $expired = query(qq{SELECT count(*) FROM invoice WHERE invoice_date <= timestamp '$middle' - interval '7 years'});
cmp_ok($expired, '>=', 206, 'half of the invoices are old');
my $all = checksums($node, $database, { map { $_ => 'true' } qw(customer invoice invoice_line employee track) });
my $young = checksums($node, $database, { invoice => "invoice_date > timestamp '$middle' - interval '7 years'" });

$label->('delete');
query("CALL effaced_enforce_retention('$middle+00', 50)");
is(query('SELECT deleted, kept > 0 FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1'), '0|t', 'lines keep their invoices');
is_deeply(checksums($node, $database, { map { $_ => 'true' } keys %$all }), $all, 'nothing has changed');

$label->('anonymize');
query("CALL effaced_enforce_retention('$middle+00', 50)");
is(query('SELECT anonymized FROM effaced_retention_runs ORDER BY run_id DESC LIMIT 1'), $expired, 'their addresses go');
is(query("SELECT count(*) FROM invoice WHERE billing_address ~ '^anon-' AND billing_city ~ '^anon-' AND billing_country ~ '^anon-'"), $expired, 'all columns');
is_deeply(checksums($node, $database, { invoice => "invoice_date > timestamp '$middle' - interval '7 years'" }), $young, 'and no younger ones');
delete $all->{invoice};
is_deeply(checksums($node, $database, { map { $_ => 'true' } keys %$all }), $all, 'nor other tables');

$node->stop;
done_testing();
