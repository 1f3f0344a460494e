# What lint finds in Chinook: without a label, under the labels of the other tests,
# and, once the rest is labelled or judged, nothing.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

my $node = start_sample('chinook_lint', 'chinook', 'autovacuum = off');
sub query { return $node->safe_psql('chinook', $_[0]); }
sub findings { return join "\n", sort split /\n/, query("SELECT code || ' ' || relation || coalesce('.' || column_name, '') FROM effaced_lint(sample => 1000)"); }
sub is_found { my ($what, @expected) = @_; return is(findings(), join("\n", sort @expected), $what); }

# Customers, employees and invoices, and nothing of the catalogue: a track's
# composer is named by no word that lint knows, and is as public as the artist.
my @place = qw(address city state country postal_code);
my @employee = ((map { "personal_name employee.$_" } qw(first_name last_name title birth_date hire_date phone fax email), @place),
	map { "personal_values employee.$_" } qw(phone fax email));
my @customer = ((map { "personal_name customer.$_" } qw(first_name last_name company phone fax email), @place),
	map { "personal_values customer.$_" } qw(phone fax email));
is_found('unlabelled', @customer, @employee, map { "personal_name invoice.billing_$_" } @place);
is(query(q{SELECT substring(message from 'and .*:') FROM effaced_lint(sample => 30) WHERE code = 'personal_values' AND relation = 'customer'::regclass AND column_name = 'email'}),
	'and 100 % of 30 sampled values look like e-mail addresses:', 'with the share');

# Under the labels of Chinook: employees are forgotten.
query(sample_labels('chinook', 'COLUMN customer.last_name' => '"erasure": "anonymize"'));
is_found('labelled', @employee, 'unindexed_anchor invoice.invoice_date', map { "unlabelled_column invoice_line.$_" } qw(unit_price quantity));

# They are subjects of their own.
query(query(q{SELECT hint FROM effaced_lint() WHERE code = 'unindexed_anchor'}));
query(label('TABLE employee', '{"path": "", "subject": "staff", "owned": true}'));
query($_) for split /\n/, query(q{SELECT hint FROM effaced_lint() WHERE relation = 'employee'::regclass});
query("SELECT effaced_lint_exempt('invoice_line', '$_', 'unlabelled_column', 'about what was bought')") for qw(unit_price quantity);
is_found('labelled and judged: nothing');

# A copy is found that somebody makes later.
query('CREATE MATERIALIZED VIEW mailing AS SELECT email FROM customer; CREATE INDEX ON customer (lower(email)); CREATE ROLE reporting; GRANT SELECT ON customer TO reporting');
is_found('copies', 'matview_copies_labelled mailing', 'index_copies_labelled customer', 'readable_in_bulk customer');
query('DROP MATERIALIZED VIEW mailing');
query($_) for split /\n/, query(q{SELECT hint FROM effaced_lint()});
is_found('copies are gone');

my $result = decode_json(query(q{SELECT effaced_erase(3, subject => 'employee')}));
is_deeply($result->{deleted}, { employee => 1 }, 'an employee is erased');
is(query(q{SELECT effaced_verify(1, 'customer') ->> 'verified'}), 'false', 'customers are not');
is(decode_json(query(q{SELECT effaced_erase(1, subject => 'customer')}))->{anonymized}{customer}, 1, 'until they are');

$node->stop;
done_testing();
