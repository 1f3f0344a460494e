# The SQL of doc/patterns.md runs, section by section, each in a database of its own,
# and leaves nothing that lint warns of.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('patterns');
my $page = PostgreSQL::Test::Utils::slurp_file('doc/patterns.md');
my ($intro, @sections) = split /^## /m, $page;
cmp_ok(scalar @sections, '>=', 1, 'there are patterns');

my %last = ('Content that outlives the account' => '1|0||How to whistle');
my $n = 0;
for my $section (@sections)
{
	my ($title) = $section =~ /^(.*)$/m;
	my $sql = join '', map { "$_\n" } map { s/^    //r } grep { /^    / || /^$/ } split /\n/, $section;
	my $db = 'pattern' . ++$n;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION effaced');
	my ($status, $out, $err) = $node->psql($db, $sql, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
	is($status, 0, "$title: runs") or diag $err;
	is((split /\n/, $out)[-1], $last{$title}, "$title: does what it says");
	is($node->safe_psql($db, q{SELECT string_agg(code, ',') FROM effaced_lint('{public}')
		WHERE code IN ('ghost_missing', 'way_ends_with_erasure', 'plan_conflict', 'broken_label')}), '', "$title: nothing to warn of");
}
done_testing();
