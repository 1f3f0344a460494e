# Chinook again: employees are subjects of their own, support reps of customers,
# and report to one another.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('chinook_employees', 'chinook');
sub query { return $node->safe_psql('chinook', $_[0]); }
sub erase { return decode_json(query("SELECT effaced_erase($_[1], subject => '$_[0]')")); }

my %counts = %{ row_counts($node, 'chinook') };
is_deeply([ @counts{qw(customer employee invoice invoice_line)} ], [ 59, 8, 412, 2240 ], 'row counts before');
sub others
{
	my (%except) = @_;
	return checksums($node, 'chinook', { (map { $_ => 'true' } keys %counts), %except });
}

my @personal = qw(address city state country postal_code phone fax email);
my $labels = sample_labels('chinook', (map { ("TABLE $_" => '"owned": true') } qw(customer invoice invoice_line)),
		'COLUMN invoice_line.track_id' => undef,
		map { ("COLUMN invoice.$_" => undef) } 'total', map { "billing_$_" } qw(address city state country postal_code))
	. join('', map { label("COLUMN employee.$_", '{"category": "contact"}') } 'first_name', 'last_name', 'title', 'birth_date', 'hire_date', @personal);
query($labels . label('TABLE employee', '{"path": "", "subject": "staff", "links": [{"name": "manager", "path": "reports_to"}]}'));

my ($status, $out, $err) = $node->psql('chinook', '\set VERBOSITY verbose' . "\nSELECT effaced_erase(3)");
like($err, qr/ZE002.*\n.*customer, employee/, 'which subject is meant has to be said');
is(query(q{SELECT string_agg(relation || ':' || coalesce(link, '') , ' ' ORDER BY ordinal, link NULLS FIRST) FROM effaced_subject_graph('employee')}),
	'employee: employee:manager', "a chain ends at the customer: the rep owns nothing of what is the customer's");

# Employee 3, support rep of 21 customers, reports to 2, to whom 4 and 5 report as
# well. The row goes: the customers lose their rep, and are otherwise as they were.
is(query('SELECT count(*) FROM customer WHERE support_rep_id = 3'), 21, 'customers of the rep');
is(query('SELECT string_agg(employee_id::text, chr(44) ORDER BY 1) FROM employee WHERE reports_to = 2'), '3,4,5', 'reports of the manager');
my $before = others(employee => 'employee_id <> 3', customer => 'support_rep_id IS DISTINCT FROM 3');
my $columns = 'SELECT md5(string_agg((to_jsonb(c) - $$support_rep_id$$)::text, chr(10) ORDER BY customer_id)) FROM customer c';
my $customers = query($columns);
query(label('TABLE employee', '{"path": "", "subject": "staff", "owned": true, "links": [{"name": "manager", "path": "reports_to"}]}'));
my $result = erase('employee', 3);
is($result->{subject}, 'staff', 'the kind');
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ { employee => 1 }, {}, { employee => 0 } ], 'one employee goes');
is_deeply(others(employee => 'true', customer => 'support_rep_id IS NOT NULL'), $before, "nobody else's row changed");
is(query($columns), $customers, 'of the customers only the reference did');
is(query('SELECT count(*) FROM customer WHERE support_rep_id IS NULL'), 21, 'which is gone');
is(query(q{SELECT effaced_verify(3, 'employee') ->> 'verified'}), 'true', 'verified');

# The manager leaves: 4 and 5 report to nobody, and stay.
$before = others(employee => 'employee_id NOT IN (2, 4, 5)');
my $reports = 'SELECT md5(string_agg((to_jsonb(e) - $$reports_to$$)::text, chr(10) ORDER BY employee_id)) FROM employee e WHERE employee_id IN (4, 5)';
my $staff = query($reports);
$result = erase('employee', 2);
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ { employee => 1 }, {}, { employee => 2 } ], 'the manager goes, two reports do not');
is_deeply(others(employee => 'employee_id NOT IN (4, 5)'), $before, "nobody else's row changed");
is(query($reports), $staff, 'of the reports only the reference did');
is(query('SELECT string_agg(coalesce(reports_to::text, $$nobody$$), chr(32)) FROM employee WHERE employee_id IN (4, 5)'), 'nobody nobody', 'which is gone');

# A customer goes with all invoices, and the rep stays.
$before = others(customer => 'customer_id <> 5', invoice => 'customer_id <> 5',
	invoice_line => 'invoice_id NOT IN (SELECT invoice_id FROM invoice WHERE customer_id = 5)');
is(query('SELECT support_rep_id FROM customer WHERE customer_id = 5'), 4, 'the rep of the customer');
$result = erase('customer', 5);
is_deeply($result->{deleted}, { invoice_line => 38, invoice => 7, customer => 1 }, 'the customer goes');
is_deeply(others(), $before, "nobody else's row changed, the rep's least of all");

# Under the other label employees survive as rows: nothing is detached from them,
# and their reports are let go.
query(label('TABLE employee', '{"path": "", "subject": "staff", "links": [{"name": "manager", "path": "reports_to"}]}')
	. label('COLUMN employee.title', '{"category": "contact", "erasure": "anonymize"}'));
$before = others(employee => 'employee_id NOT IN (6, 7, 8)');
is(query('SELECT count(*) FROM employee WHERE reports_to = 6'), 2, 'reports of another manager');
$result = erase('employee', 6);
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ {}, { employee => 1 }, { employee => 2 } ], 'anonymized, two reports shared');
is_deeply(others(employee => 'employee_id NOT IN (6, 7, 8)'), $before, "nobody else's row changed");
like(query('SELECT first_name || chr(32) || last_name FROM employee WHERE employee_id = 6'), qr/^anon-\w+ anon-\w+$/, 'the name is replaced');
is(query('SELECT count(*) FROM employee WHERE reports_to = 6'), 0, 'nobody reports there');
$result = erase('employee', 6);
is_deeply([ @$result{qw(deleted anonymized shared)} ], [ {}, { employee => 0 }, { employee => 0 } ], 'again: nothing to do');

# All that are left, at once.
$result = decode_json(query(q{SELECT effaced_erase_many('{1,4,5,6,7,8}', subject => 'employee')}));
is_deeply([ @$result{qw(subjects not_found anonymized)} ], [ 6, 0, { employee => 5 } ], 'the others at once');
is(query(q{SELECT count(*) FROM generate_series(1, 8) id WHERE NOT (effaced_verify(id, 'employee') -> 'verified')::boolean}), 0, 'all verified');
my $left = row_counts($node, 'chinook');
is_deeply([ @$left{qw(customer employee invoice invoice_line)} ], [ 58, 6, 405, 2202 ], 'row counts after');

$node->stop;
done_testing();
