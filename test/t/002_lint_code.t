# The rules that "make lint-code" holds the sources to are noticed where they are
# broken, each of them once.

use strict;
use warnings;
use Test::More;

my @lines = split /\n/, `make -s lint-code LINT_MODE=--self-test 2>&1`;
my $status = $?;

for my $line (@lines)
{
	if ($line =~ /^(NOT )?noticed: (.*)/) { ok(!$1, "noticed: $2") }
	else { diag($line) }
}
is($status, 0, 'the rules were tried');
cmp_ok(scalar(@lines), '>=', 20, 'all of them');

done_testing();
