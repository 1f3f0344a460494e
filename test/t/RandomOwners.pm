# Random schemas with rows that have several owners: several links to subjects of
# two kinds, many-to-many tables, rows reached against a reference, children of
# such rows, references that may or must not be NULL, rows that go or survive.

package RandomOwners;

use strict;
use warnings;
use EffacedTest;
use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(pick chance shuffled make_schema schema_sql owners);

my $serial;

sub pick { return $_[ int rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub shuffled { my @in = @_; my @out; push @out, splice @in, int rand @in, 1 while @in; return @out; }
sub value { return 'value-' . ++$serial . '-'; }

# A link is {name, path, first (the column where it starts, if any), subject
# (kind), owners => sub (row) → identifiers, through => tables on its way}.
sub make_schema
{
	$serial = 0;
	my %kinds;
	for my $kind ('person', 'firm')
	{
		$kinds{$kind} = { name => $kind, subject => 1, survives => chance(0.6), refs => [], rows => [] };
		push @{ $kinds{$kind}{rows} }, { id => $_, v => value() } for 1 .. 4;
	}
	my @tables;
	for my $n (1 .. 2 + int rand 4)
	{
		my $table = { name => "t$n", refs => [], links => [], values => [], rows => [] };
		if (@tables && chance(0.5))
		{
			my $parent = pick(@tables);
			push @{ $table->{refs} }, { column => 'up', target => $parent, nullable => chance(0.5) };
			for my $link (@{ $parent->{links} })
			{
				push @{ $table->{links} }, { name => "up_$link->{name}", path => "up.$link->{path}", subject => $link->{subject},
					through => [ $parent, @{ $link->{through} } ],
					owners => sub { my $row = $_[0]; return defined $row->{up} ? $link->{owners}->($parent->{rows}[ $row->{up} - 1 ]) : (); } };
			}
		}
		for my $i (1 .. int(rand 3))
		{
			my $kind = $kinds{ chance(0.75) ? 'person' : 'firm' };
			push @{ $table->{refs} }, { column => "own$i", target => $kind, nullable => chance(0.65) };
			push @{ $table->{links} }, { name => "own$i", path => "own$i", subject => $kind, through => [$kind],
				owners => sub { my $id = $_[0]{"own$i"}; return defined $id ? "$kind->{name} $id" : (); } };
		}
		if (chance(0.35))
		{
			my $kind = $kinds{ chance(0.75) ? 'person' : 'firm' };
			my $join = { name => "j$n", of => $kind, pairs => {}, to => $table };
			$table->{join} = $join;
			$table->{reverse} = 1;
			push @{ $table->{links} }, { name => 'joined', path => "j$n(item).owner", subject => $kind, through => [$kind],
				owners => sub { my $id = $_[0]{id}; return map { "$kind->{name} $_" } grep { $join->{pairs}{"$id $_"} } 1 .. 4; } };
		}
		if (chance(0.3) || !@{ $table->{links} })
		{
			my $kind = $kinds{ chance(0.75) ? 'person' : 'firm' };
			push @{ $kind->{refs} }, { column => "has$n", target => $table, nullable => chance(0.5) };
			$table->{reverse} = 1;
			push @{ $table->{links} }, { name => 'held', path => "$kind->{name}(has$n)", subject => $kind, through => [$kind],
				owners => sub { my $id = $_[0]{id}; return map { "$kind->{name} $_->{id}" } grep { defined $_->{"has$n"} && $_->{"has$n"} == $id } @{ $kind->{rows} }; } };
		}
		# rows that survive must not hang from rows that go
		$table->{survives} = chance(0.5) && !grep { !$_->{survives} } map { @{ $_->{through} } } @{ $table->{links} };
		push @{ $table->{values} }, { column => "v$_", link => chance(0.5) ? pick(@{ $table->{links} }) : undef } for 1 .. 1 + int rand 3;
		$table->{outside} = chance(0.2);
		push @tables, $table;
	}

	# rows
	for my $table (@tables)
	{
		for my $id (1 .. 2 + int rand 5)
		{
			my $row = { id => $id };
			$row->{ $_->{column} } = value() for @{ $table->{values} };
			for my $ref (@{ $table->{refs} })
			{
				$row->{ $ref->{column} } = $ref->{nullable} && chance(0.3) ? undef : 1 + int rand @{ $ref->{target}{rows} };
			}
			push @{ $table->{rows} }, $row;
			if ($table->{join}) { chance(0.4) and $table->{join}{pairs}{"$id $_"} = 1 for 1 .. 4; }
			push @{ $table->{needed} }, $id if $table->{outside} && chance(0.15);
		}
	}
	for my $kind (@kinds{ 'person', 'firm' })
	{
		for my $ref (@{ $kind->{refs} })
		{
			$_->{ $ref->{column} } = $ref->{nullable} && chance(0.3) ? undef : 1 + int rand @{ $ref->{target}{rows} } for @{ $kind->{rows} };
		}
	}
	return ([ @kinds{ 'person', 'firm' } ], \@tables);
}

sub literal { return defined $_[0] ? "'$_[0]'" : 'NULL'; }

sub schema_sql
{
	my ($kinds, $tables) = @_;
	my ($create, $alter, $labels, $rows) = ('', '', '', '');
	for my $table (@$kinds, @$tables)
	{
		my @columns = ('id int PRIMARY KEY', map { "$_->{column} text" } @{ $table->{values} || [ { column => 'v' } ] });
		push @columns, 'plain int' if $table->{survives};
		for my $ref (@{ $table->{refs} })
		{
			push @columns, "$ref->{column} int" . ($ref->{nullable} ? '' : ' NOT NULL');
			$alter .= "ALTER TABLE $table->{name} ADD FOREIGN KEY ($ref->{column}) REFERENCES $ref->{target}{name};\n";
		}
		$create .= "CREATE TABLE $table->{name} (" . join(', ', @columns) . ");\n";
		my %spec = $table->{subject} ? (path => '') : (links => [ map { { name => $_->{name}, path => $_->{path} } } @{ $table->{links} } ]);
		$spec{owned} = JSON::PP::true unless $table->{survives};
		$labels .= label("TABLE $table->{name}", encode_json(\%spec));
		for my $value (@{ $table->{values} || [ { column => 'v' } ] })
		{
			my %column = (category => 'identity');
			$column{link} = $value->{link}{name} if $value->{link};
			$labels .= label("COLUMN $table->{name}.$value->{column}", encode_json(\%column));
		}
		for my $row (@{ $table->{rows} })
		{
			$rows .= "INSERT INTO $table->{name} (" . join(', ', sort keys %$row) . ') VALUES ('
				. join(', ', map { literal($row->{$_}) } sort keys %$row) . ");\n";
		}
		if (my $join = $table->{join})
		{
			$create .= "CREATE TABLE $join->{name} (item int, owner int, PRIMARY KEY (item, owner));\n";
			$alter .= "ALTER TABLE $join->{name} ADD FOREIGN KEY (item) REFERENCES $table->{name}, ADD FOREIGN KEY (owner) REFERENCES $join->{of}{name};\n";
			$labels .= label("TABLE $join->{name}", '{"path": "owner", "owned": true}');
			$rows .= "INSERT INTO $join->{name} VALUES (" . join(', ', split / /) . ");\n" for sort keys %{ $join->{pairs} };
		}
		if ($table->{needed})
		{
			$create .= "CREATE TABLE u_$table->{name} (item int NOT NULL);\n";
			$alter .= "ALTER TABLE u_$table->{name} ADD FOREIGN KEY (item) REFERENCES $table->{name};\n";
			$rows .= "INSERT INTO u_$table->{name} VALUES ($_);\n" for @{ $table->{needed} };
		}
	}
	return $create . $labels . $rows . $alter;
}

sub owners
{
	my ($table, $row, $link) = @_;
	return ("$table->{name} $row->{id}") if $table->{subject};
	my %owners = map { $_ => 1 } map { $_->{owners}->($row) } $link ? $link : @{ $table->{links} };
	return sort keys %owners;
}

1;
