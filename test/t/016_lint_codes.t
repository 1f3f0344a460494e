# Every code that lint can give has a section in doc/lint.md, is listed there, and
# is found by a test; and psql's exit status tells of findings as README has it.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

sub slurp { return PostgreSQL::Test::Utils::slurp_file($_[0]); }

my $node = start_node('lint_codes');
$node->safe_psql('postgres', 'CREATE EXTENSION effaced; CREATE TABLE t (id int PRIMARY KEY)');

# effaced itself tells its codes, to whom names another one.
my (undef, undef, $err) = $node->psql('postgres', q{SELECT effaced_lint_exempt('t', NULL, 'nosuch', 'a reason')});
my ($codes) = $err =~ /Known codes: (.*)\./;
my @codes = sort split /, /, $codes;
cmp_ok(scalar @codes, '>', 30, 'there are codes');

my $page = slurp('doc/lint.md');
my @sections = sort grep { $_ ne 'Exemptions' } $page =~ /^## (\S+)$/mg;
is_deeply(\@sections, \@codes, 'doc/lint.md has a section for each of them, and no other');
is_deeply([ sort grep { $_ ne 'exemptions' } map { /\[(\w+)\]\(#\1\)/g } $page =~ /(^- Labels:.*?)^## /ms ], \@codes, 'and lists them');
my ($changes) = slurp('CHANGELOG.md') =~ /with (\d+) codes/;
is($changes, scalar @codes, 'CHANGELOG.md counts them');

# In what the tests print a finding has its code in a column or line of its own.
my $printed = join "\n", map { slurp($_) } glob('expected/lint*.out');
# (This one only where Citus is: test/t/081_citus.t finds it.)
my @elsewhere = ('unenforced_reference');
is_deeply([ grep { my $code = $_; !grep { $code eq $_ } @elsewhere } grep { $printed !~ /^ ?(?:code +\| $_| ?(?:\w+ +\| )?$_ +\|)/m } @codes ], [], 'each is found by a test');

# The exit status.
my ($sh) = slurp('README.md') =~ /(psql -X -v ON_ERROR_STOP=1 -d shop <<'SQL'\n.*?^SQL\n)/ms;
$sh =~ s/-d shop/'-d ' . "'" . $node->connstr('postgres') . "'"/e;
sub status_of { system('bash', '-c', "{ $sh } >/dev/null 2>&1"); return $? >> 8; }
is(status_of(), 0, 'nothing to say: 0');
$node->safe_psql('postgres', 'ALTER TABLE t ADD email text');
is(status_of(), 3, 'a finding: 3');
$node->safe_psql('postgres', q{SELECT effaced_lint_exempt('t', 'email', 'personal_name', 'those of machines')});
is(status_of(), 0, 'a judgement: 0');

$node->stop;
done_testing();
