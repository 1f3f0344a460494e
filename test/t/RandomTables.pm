# Random schemas in which every row has one owner: trees of tables with single,
# composite and identifying keys, self-references, further references and cycles;
# random labels that do not contradict each other; several persons with rows. The
# tables are in schema s; a table owners (of int, owner int, key jsonb), which the
# test creates, says whose a row is.

package RandomTables;

use strict;
use warnings;
use EffacedTest;
use Exporter 'import';

our @EXPORT = qw(%types pick chance quote parent_columns make_schema sql_name key_names definition
	foreign_keys inserts labels many_more owned_rows literal promise everything);

# type => [value by number, surrogate as a condition on the column "c" of row "t"]
our %types = (
	'text' => [ sub { "'text $_[0]'" }, q{c ~ '^anon-[0-9a-f]{32}$'} ],
	'varchar(12)' => [ sub { "'v$_[0]'" }, q{c ~ '^anon-[0-9a-f]{7}$'} ],
	'char(3)' => [ sub { sprintf "'%03d'", $_[0] % 1000 }, q{c = 'ano'} ],
	'int' => [ sub { $_[0] }, 'c = 0' ],
	'numeric(8,2)' => [ sub { "$_[0].25" }, 'c = 0' ],
	'date' => [ sub { "DATE '2000-01-01' + $_[0]" }, q{c = '1970-01-01'} ],
	'timestamptz' => [ sub { "TIMESTAMPTZ '2000-01-01 00:00Z' + $_[0] * INTERVAL '1 hour'" }, q{c = '1970-01-01 00:00Z'} ],
	'boolean' => [ sub { 'true' }, 'NOT c' ],
	'uuid' => [ sub { sprintf "'00000000-0000-0000-0000-%012d'", $_[0] }, q{c::text !~ '^00000000'} ],
	'json' => [ sub { qq('{"n": $_[0]}') }, q{c::text = '{}'} ],
	'jsonb' => [ sub { qq('{"n": $_[0]}') }, q{c = '{}'} ],
	'text[]' => [ sub { "'{a,$_[0]}'" }, q{c = '{}'} ],
	'inet' => [ sub { sprintf "'192.0.%d.%d'", $_[0] / 250 % 250, $_[0] % 250 }, q{c = '0.0.0.0'} ],
	'bytea' => [ sub { "'\\x" . sprintf('%06x', $_[0]) . "'" }, q{c = ''} ],
	'int4range' => [ sub { "'[$_[0]," . ($_[0] + 2) . ")'" }, 'isempty(c)' ],
	'interval' => [ sub { "'$_[0] days'" }, q{c = '0'} ],
);
my @type_names = sort keys %types;

sub pick { return $_[ int rand @_ ]; }
sub chance { return rand() < $_[0]; }
sub quote { my ($name) = @_; return qq{"$name"}; }

# A table: key, parent, fate, value columns, further references, rows.
sub make_table
{
	my ($n, $parent, $all) = @_;
	my $table = { name => pick("t$n", "T $n", "t$n.x", qq(t${n}_"q")) =~ s/"/""/gr, parent => $parent, columns => [], references => [], rows => [], n => $n };
	my $kind = pick('int', 'text', 'two', $parent ? 'identifying' : 'uuid');
	$table->{key} =
		$kind eq 'two' ? [ [ 'a', 'int' ], [ 'b', 'text' ] ]
	  : $kind eq 'identifying' ? [ (map { [ "p_$_->[0]", $_->[1] ] } @{ $parent->{key} }), [ "n$n", 'int' ] ]
	  : [ [ 'id', $kind ] ];
	$table->{identifying} = $kind eq 'identifying';

	# rows that hang from rows that go, go
	$table->{mapped} = !$parent || !chance(0.1) ;
	$table->{deleted} = $table->{mapped} && ($parent ? ($parent->{deleted} || chance(0.4)) : chance(0.4));
	$table->{mapped} = 1 if $parent && $parent->{deleted};
	$table->{deleted} = 1 if $parent && $parent->{deleted};
	$table->{owned} = $table->{deleted} && chance(0.4);
	for my $i (1 .. int rand 5)
	{
		my $strategy = $table->{deleted} ? ($table->{owned} && chance(0.4) ? 'none' : 'delete') : pick('none', 'delete', 'anonymize', 'retain');
		push @{ $table->{columns} }, { name => "c$i", type => pick(@type_names), not_null => chance(0.3), strategy => $table->{mapped} ? $strategy : 'none' };
	}
	# something has to be labelled, and something has to make a row survive
	unshift @{ $table->{columns} }, { name => 'c0', type => 'text', not_null => chance(0.5), strategy => 'delete' } if $table->{mapped};
	push @{ $table->{columns} }, { name => 'stays', type => 'int', not_null => 0, strategy => 'none' } unless $table->{deleted};
	$table->{not_null} = $table->{identifying} || $table->{deleted} && $parent && $parent->{deleted} || chance(0.5);
	# the reference that the path runs along may itself be a value to erase
	$table->{unlinked} = $parent && $table->{mapped} && !$table->{deleted} && !$table->{not_null} && chance(0.4);
	return $table;
}

sub parent_columns { my ($table) = @_; return [ map { "p_$_->[0]" } @{ $table->{parent}{key} } ]; }

# A reference besides the path: to any row, or NULL.
sub add_reference
{
	my ($table, $target) = @_;
	return if $table->{mapped} && !@{ $target->{rows} };
	my $n = @{ $table->{references} };
	my $not_null = chance(0.3);
	my $reference = {
		target => $target, not_null => $not_null, name => "r$n of " . $table->{n},
		columns => [ map { "r${n}_$_->[0]" } @{ $target->{key} } ],
		action => $not_null ? '' : pick('', '', 'ON DELETE SET NULL', 'ON DELETE RESTRICT'),
		match => $not_null ? '' : pick('', 'MATCH FULL'),
		deferrable => chance(0.3) ? 'DEFERRABLE' . (chance(0.5) ? ' INITIALLY DEFERRED' : '') : '',
		strategy => $table->{mapped} && !$not_null && !$table->{deleted} && chance(0.2) ? 'anonymize' : 'none',
	};
	$reference->{strategy} = 'delete' if $table->{deleted} && chance(0.7);
	# mostly to rows of the same person, for a reference that cannot be empty
	$reference->{same} = $not_null ? !chance(0.3) : chance(0.4);
	push @{ $table->{references} }, $reference;
	return;
}

sub key_values
{
	my ($table, $parent_row, $i) = @_;
	return [ @{ $parent_row->{key} }, $i ] if $table->{identifying};
	# neither half of a composite key is distinct by itself
	return [ $i % 3, "'k:" . int($i / 3) . "\\'" ] if @{ $table->{key} } == 2;
	my $type = $table->{key}[0][1];
	return [ $type eq 'int' ? $i : $type eq 'uuid' ? sprintf("'10000000-0000-0000-0000-%012d'", $i) : pick("'k$i'", "'k:$i'", "'k\\$i'") ];
}

sub make_schema
{
	my ($seed) = @_;
	srand($seed);
	my $persons = 3 + int rand 3;
	my @tables = (make_table(0, undef));
	push @tables, make_table($_, pick(@tables)) for 1 .. 1 + int rand 7;
	my $i = 0;
	for my $table (@tables)
	{
		my @parents = $table->{parent} ? @{ $table->{parent}{rows} } : map { { owner => $_ } } 1 .. $persons;
		for my $parent_row (@parents)
		{
			for (1 .. ($table->{parent} ? int rand 4 : 1))
			{
				$i++;
				push @{ $table->{rows} }, { owner => $parent_row->{owner}, parent => $parent_row, key => key_values($table, $parent_row, $i), number => $i };
			}
		}
		# rows of nobody
		if ($table->{parent} && !$table->{not_null} && chance(0.5))
		{
			$i++;
			push @{ $table->{rows} }, { owner => 0, parent => undef, key => key_values($table, undef, $i), number => $i };
		}
	}
	for my $table (@tables)
	{
		add_reference($table, $table) if chance(0.3);
		add_reference($table, pick(@tables)) if chance(0.5);
	}
	for my $table (@tables)
	{
		for my $row (@{ $table->{rows} })
		{
			for my $reference (@{ $table->{references} })
			{
				my @targets = grep { !$reference->{same} || $_->{owner} == $row->{owner} } @{ $reference->{target}{rows} };
				my $target = @targets && ($reference->{not_null} || chance(0.7)) ? pick(@targets) : undef;
				$reference->{not_null} = 0, $reference->{match} = '' if !$target && $reference->{not_null};
				push @{ $row->{references} }, $target;
			}
		}
	}
	return ($persons, @tables);
}

sub sql_name { my ($table) = @_; return "s." . quote($table->{name}); }
sub key_names { my ($table) = @_; return join ', ', map { quote($_->[0]) } @{ $table->{key} }; }

sub definition
{
	my ($table) = @_;
	my @parts;
	my %done;
	for my $key (@{ $table->{key} }) { push @parts, quote($key->[0]) . " $key->[1] NOT NULL"; $done{ $key->[0] } = 1; }
	if ($table->{parent})
	{
		my $types = $table->{parent}{key};
		for my $j (0 .. $#$types)
		{
			my $name = parent_columns($table)->[$j];
			push @parts, quote($name) . " $types->[$j][1]" . ($table->{not_null} ? ' NOT NULL' : '') unless $done{$name};
		}
	}
	push @parts, quote($_->{name}) . " $_->{type}" . ($_->{not_null} ? ' NOT NULL' : '') for @{ $table->{columns} };
	for my $reference (@{ $table->{references} })
	{
		my $types = $reference->{target}{key};
		push @parts, quote($reference->{columns}[$_]) . " $types->[$_][1]" . ($reference->{not_null} ? ' NOT NULL' : '') for 0 .. $#$types;
	}
	my $sql = "CREATE TABLE @{[ sql_name($table) ]} (" . join(', ', @parts) . ", PRIMARY KEY (@{[ key_names($table) ]}));\n";
	return $sql;
}

sub foreign_keys
{
	my ($table) = @_;
	my $sql = '';
	$sql .= "ALTER TABLE @{[ sql_name($table) ]} ADD CONSTRAINT \"up $table->{n}\" FOREIGN KEY ("
	  . join(', ', map { quote($_) } @{ parent_columns($table) }) . ") REFERENCES @{[ sql_name($table->{parent}) ]};\n"
	  if $table->{parent};
	for my $reference (@{ $table->{references} })
	{
		$sql .= "ALTER TABLE @{[ sql_name($table) ]} ADD CONSTRAINT \"$reference->{name}\" FOREIGN KEY ("
		  . join(', ', map { quote($_) } @{ $reference->{columns} })
		  . ") REFERENCES @{[ sql_name($reference->{target}) ]} $reference->{match} $reference->{action} $reference->{deferrable};\n";
	}
	return $sql;
}

sub inserts
{
	my ($table) = @_;
	my $sql = '';
	for my $row (@{ $table->{rows} })
	{
		my %values;
		$values{ $table->{key}[$_][0] } = $row->{key}[$_] for 0 .. $#{ $table->{key} };
		if ($table->{parent})
		{
			my $names = parent_columns($table);
			$values{ $names->[$_] } //= $row->{parent} ? $row->{parent}{key}[$_] : 'NULL' for 0 .. $#$names;
		}
		for my $column (@{ $table->{columns} })
		{
			$values{ $column->{name} } = !$column->{not_null} && chance(0.2) ? 'NULL' : $types{ $column->{type} }[0]->($row->{number});
		}
		for my $r (0 .. $#{ $table->{references} })
		{
			my $reference = $table->{references}[$r];
			my $target = $row->{references}[$r];
			$values{ $reference->{columns}[$_] } = $target ? $target->{key}[$_] : 'NULL' for 0 .. $#{ $reference->{columns} };
		}
		$sql .= "INSERT INTO @{[ sql_name($table) ]} (" . join(', ', map { quote($_) } sort keys %values) . ') VALUES (' . join(', ', map { $values{$_} } sort keys %values) . ");\n";
		$sql .= "INSERT INTO owners SELECT $table->{n}, $row->{owner}, jsonb_build_array(" . join(', ', map { "($row->{key}[$_])::$table->{key}[$_][1]" } 0 .. $#{ $row->{key} }) . ");\n";
	}
	return $sql;
}

# The path to the subject, constraint by constraint.
sub path
{
	my ($table) = @_;
	my @segments;
	for (my $t = $table; $t->{parent}; $t = $t->{parent}) { push @segments, qq{"up $t->{n}"}; }
	return join '.', @segments;
}

# The fact that a value is about is its type, so that a correction fits.
sub labels
{
	my ($table) = @_;
	return '' unless $table->{mapped};
	my $path = path($table) =~ s/(["\\])/\\$1/gr;
	my $sql = label("TABLE @{[ sql_name($table) ]}", qq({"path": "$path") . ($table->{owned} ? ', "owned": true}' : '}'));
	for my $column (@{ $table->{columns} }, (map { { name => $_, strategy => 'anonymize' } } $table->{unlinked} ? @{ parent_columns($table) } : ()), map { my $r = $_; map { { name => $_, strategy => $r->{strategy} } } @{ $r->{columns} } } @{ $table->{references} })
	{
		next if $column->{strategy} eq 'none';
		$sql .= label("COLUMN @{[ sql_name($table) ]}.@{[ quote($column->{name}) ]}",
			qq({"category": "special", "erasure": "$column->{strategy}") . ($column->{type} ? qq(, "fact": "$column->{type}") : '')
			  . ($column->{strategy} eq 'retain' ? ', "retention": {"reason": "law"}}' : '}'));
	}
	return $sql;
}

# Indexes that subjects are found by, and so many empty tables of theirs that these are asked.
sub many_more
{
	my ($subject, @tables) = @_;
	my $sql = join '', map { "CREATE INDEX ON @{[ sql_name($_) ]} (" . join(', ', map { quote($_) } @{ parent_columns($_) }) . ");\n" } grep { $_->{parent} } @tables;
	my @columns = map { "k$_" } 0 .. $#{ $subject->{key} };
	my $columns = join ', ', @columns;
	my $definitions = join ', ', map { "$columns[$_] $subject->{key}[$_][1]" } 0 .. $#columns;
	for my $i (1 .. 32)
	{
		$sql .= "CREATE TABLE s.more_$i (id int PRIMARY KEY, $definitions, note text, CONSTRAINT up FOREIGN KEY ($columns) REFERENCES @{[ sql_name($subject) ]});\nCREATE INDEX ON s.more_$i ($columns);\n"
		  . label("TABLE s.more_$i", '{"path": "up"}') . label("COLUMN s.more_$i.note", '{"category": "special"}');
	}
	return $sql;
}

# Rows of a relation with their owner, as the tables t and o.
sub owned_rows
{
	my ($table, $relation) = @_;
	return "$relation t JOIN owners o ON o.of = $table->{n} AND o.key = jsonb_build_array(" . join(', ', map { 't.' . quote($_->[0]) } @{ $table->{key} }) . ')';
}

sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# A query that counts what breaks a promise, with the promise's name.
sub promise
{
	my ($what, $query) = @_;
	return 'SELECT ' . literal($what) . " || ': ' || count(*) FROM ($query) broken HAVING count(*) > 0;\n";
}

# A checksum of all rows with their versions, or without.
sub everything
{
	my ($version, @tables) = @_;
	return join ' || ', map { "coalesce((SELECT string_agg(md5(" . ($version ? 't.ctid::text || t.xmin::text || ' : '') . "t::text), ',' ORDER BY t::text) FROM @{[ sql_name($_) ]} t), '-')" } @tables;
}

1;
