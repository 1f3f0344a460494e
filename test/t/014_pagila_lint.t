# What lint finds in Pagila: without a label, under the labels of the other tests,
# and, once the rest is labelled or judged, nothing.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use Test::More;

# statistics come when the test wants them
my $node = start_sample('pagila_lint', 'pagila', 'autovacuum = off');
sub query { return $node->safe_psql('pagila', $_[0]); }
sub findings { return join "\n", sort split /\n/, query("SELECT code || ' ' || relation || coalesce('.' || column_name, '') FROM effaced_lint(sample => 1000)"); }
sub is_found { my ($what, @expected) = @_; return is(findings(), join("\n", sort @expected), $what); }
sub exempt { my ($code, $reason, @columns) = @_; return join '', map { my ($table, $column) = split /\./; "SELECT effaced_lint_exempt('$table', " . ($column ? "'$column'" : 'NULL') . ", '$code', '$reason');\n" } @columns; }

# Without a label: whatever is about a customer, a staff member, an actor or an
# address, and nothing about films, cities and shops. Telephone numbers in Pagila
# are mere digits: the name tells, the values do not.
my @actor = map { "personal_name actor.$_" } qw(first_name last_name);
my @staff = ((map { "personal_name staff.$_" } qw(first_name last_name email username password picture)), 'personal_values staff.email');
my @address = map { "personal_name address.$_" } qw(address address2 district postal_code phone);
is_found('unlabelled', @actor, @address, @staff,
	(map { "personal_name customer.$_" } qw(first_name last_name email)), 'personal_values customer.email');
is(query(q{SELECT DISTINCT severity FROM effaced_lint()}), 'warning', 'where nobody is a subject yet, all of it counts');

# Under the labels of Pagila: what they forget.
query(sample_labels('pagila'));
my @rest = (
	(map { "unlabelled_column customer.$_" } qw(activebool create_date last_update active)),
	(map { "unlabelled_column payment.$_" } qw(customer_id staff_id rental_id)),
	(map { "unlabelled_column rental.$_" } qw(rental_date last_update)));
is_found('labelled', @actor, @address, @staff, @rest,
	'hop_without_foreign_key payment.customer_id', 'unindexed_path payment.customer_id', 'unindexed_path rental.customer_id',
	'matview_copies_labelled rental_by_category',
	map { "view_copies_labelled $_" } qw(customer_list sales_by_film_category sales_by_store));

# The keys and indexes that the hints make; only partitions had the foreign key.
query($_) for split /\n/, query(q{SELECT hint FROM effaced_lint() WHERE code ~ '^(hop_without|unindexed_)' ORDER BY code});
# Where the customers live is theirs.
query(sample_labels('pagila_addresses'));
is_found('labelled and indexed', @actor, @staff, 'unlabelled_column address.last_update', 'rows_without_owner address',
	'matview_copies_labelled rental_by_category',
	(map { "view_copies_labelled $_" } qw(customer_list sales_by_film_category sales_by_store staff_list)),
	grep { !/payment.(customer|staff|rental)_id/ || /payment.(staff|rental)_id/ } @rest);

# The rest is judged.
query(exempt('personal_name', 'named in the credits of a film', map { "actor.$_" } qw(first_name last_name))
	. exempt('personal_name', 'employees are looked after elsewhere', map { "staff.$_" } qw(first_name last_name email username password picture))
	. exempt('personal_values', 'employees are looked after elsewhere', 'staff.email')
	. exempt('unlabelled_column', 'says nothing without the name', map { s/^\S+ //r } grep { !/payment.customer_id/ } @rest, '- address.last_update')
	. exempt('rows_without_owner', 'where stores and employees are', 'address')
	. exempt('matview_copies_labelled', 'sums over all customers', 'rental_by_category')
	. exempt('view_copies_labelled', 'for the staff', qw(customer_list sales_by_film_category sales_by_store staff_list)));
is_found('labelled and judged: nothing');

# ANALYZE copies values; the hint takes them away and keeps them away.
query('ANALYZE');
is_found('after ANALYZE', map { "statistics_copy_labelled $_" } (map { "address.$_" } qw(address address2 district phone postal_code)),
	(map { "customer.$_" } qw(first_name last_name email)), 'payment.amount', 'rental.return_date');
is(query(q{SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'customer' AND histogram_bounds::text ~ 'sakilacustomer'}), 't', 'e-mail addresses are in pg_stats');
query($_) for split /\n/, query(q{SELECT hint FROM effaced_lint()});
is_found('the hints take them away');
query('ANALYZE');
is_found('and keep them away');
is(query(q{SELECT count(*) FROM pg_stats WHERE histogram_bounds::text ~ 'sakilacustomer' AND tablename <> 'staff'}), '0', 'none is left in pg_stats');

# And under these labels an erasure works.
is(decode_json(query('SELECT effaced_erase(148)'))->{subject_found}, JSON::PP::true, 'erased');
is(query(q{SELECT effaced_verify(148) ->> 'verified'}), 'true', 'verified');

$node->stop;
done_testing();
