# Random schemas with rows that have several owners, as in 030_ownership_properties.t.
# Whatever they look like, before and after some subjects are erased:
#
#   an export of a living subject holds every value of the rows that it owns, but for
#   what is tied to another owner's link, and nothing else; effaced_export() and
#   effaced_export_records() agree
#   a correction writes what is tied to the subject, and what is tied to no link in
#   rows that no other living subject owns; everything else is as it was, and what is
#   left to others is counted
#   the next export shows it
#   of an erased subject an export gives no surrogate and nothing of its own, and a
#   correction writes nothing that a living subject owns; surrogates stay
#
# EFFACED_PROPERTY_RUNS sets how many schemas are tried (40), EFFACED_PROPERTY_SEED
# the first seed (1); a failure names its seed, and one run with it repeats it.

use strict;
use warnings;
use EffacedTest;
use JSON::PP;
use RandomOwners;
use Test::More;

my $runs = $ENV{EFFACED_PROPERTY_RUNS} || 40;
my $first = $ENV{EFFACED_PROPERTY_SEED} || 1;
my $new = 'corrected';

my $node = start_node('access');
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE FUNCTION try_erase(kind regclass, id text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM effaced_erase(id, subject => kind);
		RETURN format('erased %s %s', kind, id);
	EXCEPTION WHEN OTHERS THEN
		RETURN format('refused %s', SQLSTATE);
	END
	$$;
	CREATE FUNCTION records(kind regclass, id text) RETURNS SETOF text LANGUAGE sql AS $$
		SELECT format('record %s %s|%s %s %s %s', kind, id, source, row_key ->> 'id', field, value #>> '{}') FROM effaced_export_records(id, kind)
		UNION ALL
		SELECT format('differs %s %s', kind, id) FROM effaced_export(id, subject => kind) e
		 WHERE e -> 'records' <> (SELECT coalesce(jsonb_agg(r), '[]') FROM effaced_export_records(id, kind) r)
	$$;
	CREATE FUNCTION dump() RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		name text;
	BEGIN
		FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname !~ '^(effaced|u)_' LOOP
			RETURN QUERY EXECUTE format('SELECT %L || jsonb_strip_nulls(to_jsonb(t))::text FROM %I t', 'row ' || name || ' ', name);
		END LOOP;
	END
	$$;
});
# The secret that tokens are derived from must outlive the transactions below.
$node->safe_psql('postgres', 'CREATE TABLE nobody (id int PRIMARY KEY, v text, plain int);'
	. label('TABLE nobody', '{"path": ""}') . label('COLUMN nobody.v', '{"category": "identity"}')
	. "INSERT INTO nobody VALUES (1, 'nobody'); SELECT effaced_erase(1); DROP TABLE nobody;");

sub values_of { return @{ $_[0]{values} || [ { column => 'v' } ] }; }

# {table => {id => row}} of what dump() gave.
sub read_rows
{
	my %rows;
	for (@_)
	{
		my ($table, $row) = /^row (\w+) (.*)$/ or next;
		$row = decode_json($row);
		$rows{$table}{ join ' ', $row->{id} // ($row->{item}, $row->{owner}) } = $row;
	}
	return \%rows;
}

# Bring the model to what the database holds; rows that are gone keep their place.
sub follow
{
	my ($all, $rows) = @_;
	for my $table (@$all)
	{
		for my $row (@{ $table->{rows} })
		{
			my $now = $rows->{ $table->{name} }{ $row->{id} };
			%$row = $now ? %$now : (id => $row->{id}, gone => 1);
		}
		$table->{join}{pairs} = { map { $_ => 1 } keys %{ $rows->{ $table->{join}{name} } || {} } } if $table->{join};
	}
	return;
}

# What an export of a living subject gives.
sub expected_records
{
	my ($all, $who) = @_;
	my @records;
	for my $table (@$all)
	{
		for my $row (grep { !$_->{gone} } @{ $table->{rows} })
		{
			next unless grep { $_ eq $who } owners($table, $row);
			for my $value (grep { defined $row->{ $_->{column} } } values_of($table))
			{
				my @tied = $value->{link} ? owners($table, $row, $value->{link}) : ();
				push @records, "$table->{name} $row->{id} $value->{column} $row->{ $value->{column} }"
				  if !@tied || grep { $_ eq $who } @tied;
			}
		}
	}
	return sort @records;
}

# What a correction for a living subject writes, and the rows in which it leaves something.
sub expected_correction
{
	my ($all, $who, $erased) = @_;
	my (%rows, %left, %written, %either);
	for my $table (@$all)
	{
		for my $row (grep { !$_->{gone} } @{ $table->{rows} })
		{
			my $now = $rows{ $table->{name} }{ $row->{id} } = {%$row};
			my @owners = owners($table, $row);
			next unless grep { $_ eq $who } @owners;
			for my $value (values_of($table))
			{
				my @about = $value->{link} ? owners($table, $row, $value->{link}) : @owners;
				next unless grep { $_ eq $who } @about;
				if (grep { $_ ne $who && !$erased->{$_} } @about) { $left{ $table->{name} }{ $row->{id} } = 1; next; }
				$written{ $table->{name} }{ $row->{id} } = 1;
				# a surrogate is that of an erased subject; by a way that leads to several,
				# it stands for a living one as well
				$either{"$table->{name} $row->{id} $value->{column}"} = 1 if $value->{link} && $value->{link}{path} =~ /\(/;
				next if defined $row->{ $value->{column} } && $row->{ $value->{column} } =~ /^anon-/;
				$now->{ $value->{column} } = $new;
			}
		}
	}
	return (\%rows, \%left, \%written, \%either);
}

my $json = JSON::PP->new->canonical;
my ($tried, $records, $corrected, $left, $erasures) = (0) x 5;

SEED: for my $seed ($first .. $first + $runs - 1)
{
	srand($seed);
	my ($kinds, $tables) = make_schema();
	my @all = (@$kinds, @$tables);
	my @subjects = map { my $kind = $_; map { "$kind->{name} $_->{id}" } @{ $kind->{rows} } } @$kinds;
	my @correct = (shuffled(@subjects))[ 0 .. 2 ];
	my @erase = (shuffled(@subjects))[ 0 .. 2 ];
	my $call = sub { my ($function, $who) = @_; my ($kind, $id) = split / /, $who; return "SELECT $function('$kind', '$id');\n"; };
	my $rectify = sub {
		my ($who) = @_;
		my ($kind, $id) = split / /, $who;
		return "SELECT 'result ' || effaced_rectify('$id', '[{\"category\": \"identity\", \"value\": \"$new\"}]', subject => '$kind')::text;\n";
	};
	my $corrections = sub { my $at = $_[0]; return join '', map { "SELECT '== correct $_';\n" . $rectify->($_) . "SELECT dump();\n" . $call->('records', $_) . "ROLLBACK TO $at;\n" } @correct; };
	my $sql = "BEGIN;\n" . schema_sql($kinds, $tables) . "SAVEPOINT s;\nSELECT '== export';\n" . join('', map { $call->('records', $_) } @subjects)
	  . $corrections->('s')
	  . "SELECT '== erase';\n" . join('', map { $call->('try_erase', $_) } @erase) . "SELECT dump();\nSAVEPOINT e;\n"
	  . "SELECT '== export';\n" . join('', map { $call->('records', $_) } @subjects)
	  . $corrections->('e')
	  . "ROLLBACK;\n";
	my ($status, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);
	my $fail = sub { fail("seed $seed"); diag(@_, "\n", $err, $runs == 1 ? $sql : "EFFACED_PROPERTY_SEED=$seed EFFACED_PROPERTY_RUNS=1 shows the script"); next SEED; };
	$fail->("the script failed") if $err =~ /\S/;
	$tried++;
	my $erased = {};
	for my $part (split /^== /m, $out)
	{
		my ($what, @lines) = split /\n/, $part;
		next unless defined $what;
		my %given = map { $_ => [] } @subjects;
		for (@lines) { push @{ $given{$1} }, $2 if /^record (\w+ \d+)\|(.*)$/; }
		$fail->("$what: effaced_export() and effaced_export_records() differ") if grep { /^differs/ } @lines;
		if ($what eq 'erase')
		{
			follow(\@all, read_rows(@lines));
			for (@lines) { $erased->{$1} = 1, $erasures++ if /^erased (.*)/; }
		}
		elsif ($what eq 'export')
		{
			for my $who (@subjects)
			{
				my @is = sort @{ $given{$who} };
				$records += @is;
				if (!$erased->{$who})
				{
					my @should = expected_records(\@all, $who);
					# a surrogate that an erased owner has left in the row is nobody's value
					@$_ = grep { !/ anon-/ } @$_ for \@is, \@should;
					$fail->("export of $who, erased (@{[ sort keys %$erased ]}):\nis     ", join("\n       ", @is), "\nshould ", join("\n       ", @should)) if "@is" ne "@should";
					next;
				}
				for (@is)
				{
					my ($name, $id, $column, $value) = split / /;
					my ($table) = grep { $_->{name} eq $name } @all;
					my ($row) = grep { $_->{id} == $id } @{ $table->{rows} };
					# what an erasure leaves is somebody else's too, or still needed
					my $needed = $table->{reverse} || grep { !$erased->{$_} } owners($table, $row);
					$fail->("export of the erased $who: $_") if $value =~ /^anon-/ || !$needed;
				}
			}
		}
		else
		{
			my ($who) = $what =~ /^correct (.*)$/;
			my $rows = read_rows(@lines);
			delete $rows->{ $_->{name} } for map { $_->{join} || () } @$tables;
			my ($result) = map { /^result (.*)/ ? decode_json($1) : () } @lines;
			my ($expected, $others, $written, $either) = expected_correction(\@all, $who, $erased);
			if ($erased->{$who})
			{
				# nothing of the living, and no surrogate, is touched
				for my $table (@all)
				{
					for my $row (grep { !$_->{gone} } @{ $table->{rows} })
					{
						my $now = $rows->{ $table->{name} }{ $row->{id} };
						for my $column (sort keys %$row)
						{
							next if ($now->{$column} // '') eq ($row->{$column} // '');
							$fail->("correction for the erased $who: $table->{name} $row->{id} $column was $row->{$column}")
							  if $row->{$column} =~ /^anon-/ || grep { !$erased->{$_} } owners($table, $row);
						}
					}
				}
				next;
			}
			for my $table (@all)
			{
				my ($is, $should) = map { $_->{ $table->{name} } || {} } $rows, $expected;
				for my $id (sort keys %{ { %$is, %$should } })
				{
					for my $column (grep { $either->{"$table->{name} $id $_"} } keys %{ $should->{$id} })
					{
						$should->{$id}{$column} = $new if $should->{$id}{$column} =~ /^anon-/ && $is->{$id}{$column} eq $new;
					}
					my ($a, $b) = map { my $row = $_->{$id} || {}; $json->encode({ map { defined $row->{$_} ? ($_ => "$row->{$_}") : () } keys %$row }) } $is, $should;
					$fail->("correction for $who, erased (@{[ sort keys %$erased ]}), $table->{name}:\nis     $a\nshould $b") if $a ne $b;
				}
				my $shared = keys %{ $others->{ $table->{name} } || {} };
				$left += $shared;
				$fail->("correction for $who: shared rows of $table->{name}, $shared expected: " . $json->encode($result))
				  if ($result->{shared}{ $table->{name} } // 0) != $shared;
				my $count = keys %{ $written->{ $table->{name} } || {} };
				$corrected += $count;
				$fail->("correction for $who: corrected rows of $table->{name}, $count expected: " . $json->encode($result))
				  if !%$erased && ($result->{rectified}{ $table->{name} } // 0) != $count;
			}
			my @is = sort @{ $given{$who} };
			my @should = do {
				my @saved = map { my $table = $_; map { {%$_} } @{ $table->{rows} } } @all;
				for my $table (@all) { %$_ = %{ $expected->{ $table->{name} }{ $_->{id} } } for grep { !$_->{gone} } @{ $table->{rows} }; }
				my @records = expected_records(\@all, $who);
				for my $table (@all) { %$_ = %{ shift @saved } for @{ $table->{rows} }; }
				@records;
			};
			@$_ = grep { !/ anon-/ } @$_ for \@is, \@should;
			$fail->("export of $who after a correction:\nis     ", join("\n       ", @is), "\nshould ", join("\n       ", @should)) if "@is" ne "@should";
		}
	}
}

note("$tried schemas, $records records, $corrected rows corrected, $left left to others, $erasures erasures");
ok($records > 0 && $corrected > 0 && $left > 0 && $erasures > 0, 'something was tried');
$node->stop;
done_testing();
