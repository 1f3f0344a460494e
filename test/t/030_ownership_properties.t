# Random schemas with rows that have several owners: several links to subjects of
# two kinds, many-to-many tables, rows reached against a reference, children of
# such rows, references that may or must not be NULL, rows that go or survive.
# Whatever they look like, after some subjects are erased, in any order:
#
#   a value that is tied only to erased subjects is gone, unless its row was reached
#   against a reference and somebody else's or nobody's row still needs it
#   a value that is tied to a living subject, or to nobody, is as it was
#   (when its last owner was erased; another erasure of that owner finds it)
#   all foreign keys hold, effaced_verify() agrees, a second run finds nothing
#   the rows of living subjects are the same, in whichever order the others were
#   erased, and if they were erased at once
#   an erasure that is refused changes nothing
#
# EFFACED_PROPERTY_RUNS sets how many schemas are tried (600), EFFACED_PROPERTY_SEED
# the first seed (1); a failure names its seed, and one run with it repeats it.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use RandomOwners;
use Test::More;

my $runs = $ENV{EFFACED_PROPERTY_RUNS} || 600;
my $first = $ENV{EFFACED_PROPERTY_SEED} || 1;

# Whether somebody else's row, or nobody's, still needs a row that was reached
# against a reference.
sub needed
{
	my ($tables, $kinds, $table, $row, $erased) = @_;
	return 0 unless $table->{reverse};
	return 1 if grep { $_ == $row->{id} } @{ $table->{needed} || [] };
	for my $from (@$tables, @$kinds)
	{
		for my $ref (grep { $_->{target} == $table } @{ $from->{refs} })
		{
			for my $other (grep { defined $_->{ $ref->{column} } && $_->{ $ref->{column} } == $row->{id} } @{ $from->{rows} })
			{
				my @owners = owners($from, $other);
				return 1 if !@owners || grep({ !$erased->{$_} } @owners) || needed($tables, $kinds, $from, $other, $erased);
			}
		}
	}
	return 0;
}

# The same when the last of its owners was erased: it was not looked at again.
sub kept_for_others
{
	my ($tables, $kinds, $table, $row, $erased) = @_;
	my ($last) = sort { $b <=> $a } map { $erased->{$_} // 0 } owners($table, $row);
	return needed($tables, $kinds, $table, $row, { map { $_ => 1 } grep { $erased->{$_} <= ($last // 0) } keys %$erased });
}

my $node = start_node('ownership');
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE FUNCTION try_erase(kind regclass, ids text[], at_once boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		one text;
	BEGIN
		IF at_once THEN
			BEGIN
				PERFORM effaced_erase_many(ids, subject => kind);
				RETURN NEXT 'many ' || kind || ' erased';
			EXCEPTION WHEN OTHERS THEN
				RETURN NEXT 'many ' || kind || ' ' || SQLSTATE || ' ' || SQLERRM;
			END;
			RETURN;
		END IF;
		FOREACH one IN ARRAY ids LOOP
			BEGIN
				PERFORM effaced_erase(one, subject => kind);
				RETURN NEXT 'one ' || kind || ' ' || one || ' erased';
			EXCEPTION WHEN OTHERS THEN
				RETURN NEXT 'one ' || kind || ' ' || one || ' ' || SQLSTATE || ' ' || SQLERRM;
			END;
		END LOOP;
	END
	$$;
	-- what a second erasure still found to do
	CREATE FUNCTION again(kind regclass, id text) RETURNS SETOF text LANGUAGE plpgsql AS $$
	BEGIN
		RETURN QUERY SELECT format('again %s %s: %s', kind, id, r) FROM effaced_erase(id, subject => kind) r
		              WHERE (SELECT sum(value::int) FROM jsonb_each_text((r -> 'deleted') || (r -> 'anonymized'))) > 0;
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT format('again %s %s: %s', kind, id, SQLERRM);
	END
	$$;
	CREATE FUNCTION verify(kind regclass, id text) RETURNS SETOF text LANGUAGE plpgsql AS $$
	BEGIN
		RETURN QUERY SELECT format('left of %s %s: %s', kind, id, v) FROM effaced_verify(id, kind) v WHERE NOT (v -> 'verified')::boolean;
	EXCEPTION WHEN OTHERS THEN
		RETURN NEXT format('left of %s %s: %s', kind, id, SQLERRM);
	END
	$$;
	CREATE FUNCTION dump() RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		name text;
	BEGIN
		FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname !~ '^effaced_' LOOP
			RETURN QUERY EXECUTE format('SELECT %L || to_json(t)::text FROM %I t', 'row ' || name || ' ', name);
		END LOOP;
	END
	$$;
	-- rows whose references lead nowhere, by foreign key
	CREATE FUNCTION dangling() RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		fk record;
		n bigint;
	BEGIN
		FOR fk IN SELECT conname, conrelid::regclass AS child, a.attname AS c, confrelid::regclass AS parent
		            FROM pg_constraint JOIN pg_attribute a ON attrelid = conrelid AND attnum = conkey[1] WHERE contype = 'f' LOOP
			EXECUTE format('SELECT count(*) FROM %s c WHERE %I IS NOT NULL AND NOT EXISTS (SELECT FROM %s p WHERE p.id = c.%2$I)', fk.child, fk.c, fk.parent) INTO n;
			IF n > 0 THEN RETURN NEXT 'dangling ' || fk.conname; END IF;
		END LOOP;
	END
	$$;
});

# The secret that tokens are derived from is made with the first of them: it must
# outlive the transactions below.
$node->safe_psql('postgres', 'CREATE TABLE nobody (id int PRIMARY KEY, v text, plain int);'
	. label('TABLE nobody', '{"path": ""}') . label('COLUMN nobody.v', '{"category": "identity"}')
	. "INSERT INTO nobody VALUES (1, 'nobody'); SELECT effaced_erase(1); DROP TABLE nobody;");

# What one way of erasing leaves: {state => {table => {id => row}}, erased => {subject =>
# when}, refused, wrong}
sub read_result
{
	my (@lines) = @_;
	my %result = (state => {}, erased => {}, refused => [], wrong => []);
	for (@lines)
	{
		if (/^one (\w+ \d+) erased$/) { $result{erased}{$1} = 1 + keys %{ $result{erased} }; }
		elsif (/^many (\w+) erased$/) { $result{erased}{"$1 $_"} = $1 eq 'person' ? 1 : 2 for 1 .. 4; }
		elsif (/^(?:one|many) .*? ZE00[123] /) { push @{ $result{refused} }, $_; }
		elsif (/^row (\w+) (.*)$/)
		{
			my ($table, $row) = ($1, decode_json($2));
			$result{state}{$table}{ join ' ', $row->{id} // ($row->{item}, $row->{owner} // '') } = $row;
		}
		else { push @{ $result{wrong} }, $_; }
	}
	return \%result;
}

my ($tried, $refusals, $comparisons, $gone, $kept) = (0, 0, 0, 0, 0);

SEED: for my $seed ($first .. $first + $runs - 1)
{
	srand($seed);
	my ($kinds, $tables) = make_schema();
	my @order = shuffled(map { my $kind = $_; map { "$kind->{name} $_->{id}" } grep { chance(0.6) } @{ $kind->{rows} } } @$kinds);
	my $one_by_one = sub { return join '', map { /(\w+) (\d+)/; "SELECT try_erase('$1', '{$2}', false);\n" } @_; };
	my $at_once = join '', map { my $kind = $_->{name}; my $ids = join ',', map { /^$kind (\d+)/ ? $1 : () } @order;
		$ids ne '' ? "SELECT try_erase('$kind', '{$ids}', true);\n" : '' } @$kinds;
	my $look = "SELECT dump();\nSELECT dangling();\n";
	my $verify = join '', map { /(\w+) (\d+)/; "SELECT verify('$1', '$2');\n" } @order;
	my @shuffled = shuffled(@order);
	my $again = join '', map { /(\w+) (\d+)/; "SELECT again('$1', '$2');\n" } @order;
	my $sql = "BEGIN;\n" . schema_sql($kinds, $tables) . "SAVEPOINT s;\n"
		. $one_by_one->(@order) . "SELECT '== first';\n$look"
		. "SELECT '== verify';\n$verify"
		. "SELECT '== again';\nSAVEPOINT a;\n$again$look"
		. "SELECT '== second';\nROLLBACK TO s;\n" . $one_by_one->(@shuffled) . $look
		. "SELECT '== once';\nROLLBACK TO s;\n$at_once$look"
		. "ROLLBACK;\n";
	my ($status, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);
	my $fail = sub { fail("seed $seed"); diag("seed $seed: ", @_, "\norder @order; then @shuffled\n$sql\n", $err); last SEED; };
	my ($head, @parts) = split /^== \w+\n?/m, $out;
	$fail->("the script failed: $err") unless @parts == 5;
	my $first = read_result(split /\n/, $head . $parts[0]);
	my $verified = $parts[1];
	my $second = read_result(split /\n/, $parts[3]);
	my $once = read_result(split /\n/, $parts[4]);
	my %erased = %{ $first->{erased} };
	$tried++;
	$refusals += @{ $first->{refused} };

	$fail->("unexpected: @{ $_->{wrong} }") for grep { @{ $_->{wrong} } } $first, $second, $once;

	# What an erasure has refused to touch may stay, and what others needed until
	# they were erased themselves; nothing else.
	my $released = grep { my $table = $_; grep { kept_for_others($tables, $kinds, $table, $_, \%erased) && !needed($tables, $kinds, $table, $_, \%erased) } @{ $table->{rows} } } @$tables;
	# A row that one kind reaches along a reference and another against one stays for
	# the latter where the former would delete it.
	my $mixed = grep { my $table = $_; $table->{reverse} && grep { $_->{subject} != $table->{links}[0]{subject} } @{ $table->{links} } } @$tables;
	if (!@{ $first->{refused} } && !$released && !$mixed)
	{
		$fail->("not verified: $verified") if $verified ne '';
		$fail->("a second run found something: $parts[2]\n$err") if $parts[2] =~ /^again/m || $err =~ /ERROR/;
		my $unchanged = read_result(split /\n/, $parts[2]);
		$fail->('a second run changed something')
			if JSON::PP->new->canonical->encode($unchanged->{state}) ne JSON::PP->new->canonical->encode($first->{state});
	}

	for my $result ($first, $second, $once)
	{
		next if $result != $first && @{ $result->{refused} };
		my %erased = map { $_ => $result->{erased}{$_} } grep { $result->{erased}{$_} } @order;
		for my $table (@$kinds, @$tables)
		{
			for my $row (@{ $table->{rows} })
			{
				my $now = $result->{state}{ $table->{name} }{ $row->{id} };
				for my $value (@{ $table->{values} || [ { column => 'v' } ] })
				{
					my @all = owners($table, $row);
					my @tied = owners($table, $row, $value->{link});
					my $is = $now && defined $now->{ $value->{column} } && $now->{ $value->{column} } eq $row->{ $value->{column} };
					my $where = "$table->{name}.$value->{column} of row $row->{id}, tied to (@tied), owners (@all)";
					if (@tied && !grep { !$erased{$_} } @tied)
					{
						# not tied by "link", it stays with a row that others need
						next if kept_for_others($tables, $kinds, $table, $row, \%erased) && (!$value->{link} || !grep { !$erased{$_} } @all);
						$gone++;
						$fail->("$where is left") if $is;
					}
					elsif (!@all || ($value->{link} ? @tied && !grep { $erased{$_} } @tied : grep { !$erased{$_} } @tied))
					{
						# (of what is tied to a link with several owners, each may take it)
						$kept++;
						$fail->("$where is gone or changed") unless $is;
					}
				}
			}
		}
	}

	# The rows of the living are the same, whoever went first.
	my $living = sub {
		my ($result) = @_;
		my %rows;
		for my $table (@$kinds, @$tables)
		{
			for my $row (@{ $table->{rows} })
			{
				$rows{"$table->{name} $row->{id}"} = $result->{state}{ $table->{name} }{ $row->{id} }
					if grep { my $owner = $_; !grep { $_ eq $owner } @order } owners($table, $row);
			}
		}
		return join "\n", map { "$_ " . JSON::PP->new->canonical->encode([ $rows{$_} ]) } sort keys %rows;
	};
	for my $other ($second, $once)
	{
		next if @{ $first->{refused} } || @{ $other->{refused} };
		$comparisons++;
		my ($a, $b) = map { $living->($_) } $first, $other;
		next if $a eq $b;
		my %in_b = map { $_ => 1 } split /\n/, $b;
		my %in_a = map { $_ => 1 } split /\n/, $a;
		$fail->($other == $once ? 'at once' : 'the order', " makes a difference:\n",
			join("\n", (map { "- $_" } grep { !$in_b{$_} } split /\n/, $a), (map { "+ $_" } grep { !$in_a{$_} } split /\n/, $b)));
	}
}

note("$tried schemas, $refusals erasures refused, $comparisons comparisons, $gone values gone, $kept values kept");
ok($gone > 0 && $kept > 0 && $comparisons > 0, 'something was tried');
$node->stop;
done_testing();
