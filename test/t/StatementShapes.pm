# Reads the trees that PostgreSQL makes of statements, and tells what in them a
# distributed table would not take.

package StatementShapes;

use strict;
use warnings;
use JSON::PP ();

use constant { SELECT => 1, UPDATE => 2, INSERT => 3, DELETE => 4 };

# Helpers in the database: a statement becomes the body of a function, whose tree
# the catalog then has. Its parameters have the types that PostgreSQL finds.
our $helpers = q{
	CREATE SCHEMA shapes;
	CREATE TABLE shapes.statement (text text, tree text, error text);
	CREATE FUNCTION shapes.read() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $read$
	DECLARE
		s record;
		types text;
		made text;
	BEGIN
		FOR s IN SELECT DISTINCT text FROM shapes.statement WHERE tree IS NULL AND error IS NULL LOOP
			BEGIN
				EXECUTE 'PREPARE shape AS ' || s.text;
				SELECT array_to_string(p.parameter_types, ', ') INTO types FROM pg_prepared_statements p WHERE name = 'shape';
				EXECUTE 'DEALLOCATE shape';
				EXECUTE format('CREATE FUNCTION shapes.body(%s) RETURNS void LANGUAGE sql BEGIN ATOMIC %s; END', types, s.text);
				SELECT p.prosqlbody::text INTO made FROM pg_proc p WHERE p.proname = 'body' AND p.pronamespace = 'shapes'::regnamespace;
				DROP FUNCTION shapes.body;
				UPDATE shapes.statement SET tree = made WHERE text = s.text;
			EXCEPTION WHEN OTHERS THEN
				UPDATE shapes.statement SET error = SQLERRM WHERE text = s.text;
			END;
		END LOOP;
	END $read$;
};

# What the catalogs say, by OID; what every database has is kept in the hash given.
sub catalog
{
	my ($query, $builtin) = @_;
	$builtin->{$_->[0]}{$_->[1]} = $_->[2] for %$builtin ? () : read_catalog($query, '< 16384');
	my %catalog = map { $_ => { %{ $builtin->{$_} } } } keys %$builtin;
	$catalog{$_->[0]}{$_->[1]} = $_->[2] for read_catalog($query, '>= 16384');
	return \%catalog;
}

sub read_catalog
{
	my ($query, $which) = @_;
	return rows($query->(qq{
		SELECT 'volatility', oid, provolatile::text FROM pg_proc WHERE oid $which
		UNION ALL SELECT 'function', oid, oid::regprocedure::text FROM pg_proc WHERE oid $which
		UNION ALL SELECT 'input', oid, typinput::oid::text FROM pg_type WHERE oid $which
		UNION ALL SELECT 'output', oid, typoutput::oid::text FROM pg_type WHERE oid $which
		UNION ALL SELECT 'code', oid, oprcode::oid::text FROM pg_operator WHERE oid $which
		UNION ALL SELECT 'operator', oid, oprname FROM pg_operator WHERE oid $which
		UNION ALL SELECT 'own', objid, '1' FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'effaced') AND objid $which}));
}

sub rows { return map { [ split /\|/, $_, 3 ] } split /\n/, $_[0]; }

# ------------------------------------------------------------------ the parser

# "{NAME :field value ...}" as a hash with its name in "", "( ... )" as an array.
sub parse
{
	my ($text) = @_;
	my @tokens = $text =~ /\G\s*([{}()\[\]]|(?:[^\s{}()\[\]\\]|\\.)+)/gs;
	my $value = take(\@tokens);
	die "more in a tree than was read" if @tokens;
	return $value;
}

sub take
{
	my ($tokens) = @_;
	my $token = shift @$tokens;
	if ($token eq '{')
	{
		my %node = ('' => shift @$tokens);
		my $field;
		while ($tokens->[0] ne '}')
		{
			if ($tokens->[0] =~ /^:[a-z_.]+$/i) { $field = substr shift @$tokens, 1; $node{$field} = undef; next; }
			my $value = take($tokens);
			$node{$field} = $value unless defined $node{$field};
		}
		shift @$tokens;
		return \%node;
	}
	if ($token eq '(' or $token eq '[')
	{
		my $end = $token eq '(' ? ')' : ']';
		my @list;
		push @list, take($tokens) while $tokens->[0] ne $end;
		shift @$tokens;
		return \@list;
	}
	return $token;
}

# --------------------------------------------------------------------- the walk

sub is_node { return ref $_[0] eq 'HASH' && ($_[1] ? $_[0]{''} eq $_[1] : 1); }

sub children
{
	my ($node) = @_;
	return ref $node eq 'HASH' ? (map { $node->{$_} } sort grep { $_ ne '' } keys %$node) : ref $node eq 'ARRAY' ? @$node : ();
}

# Every node, a query's own ones only where not deep.
sub walk
{
	my ($node, $see, $deep) = @_;
	$see->($node) if ref $node eq 'HASH';
	for my $child (children($node))
	{
		next if !$deep && is_node($child, 'QUERY');
		walk($child, $see, $deep) if ref $child;
	}
}

sub has_column
{
	my ($node) = @_;
	my $found = 0;
	walk($node, sub { $found = 1 if $_[0]{''} eq 'VAR' }, 1);
	return $found;
}

# The type that an expression gives.
sub type_of
{
	my ($node) = @_;
	my %field = (
		VAR => 'vartype', CONST => 'consttype', PARAM => 'paramtype', FUNCEXPR => 'funcresulttype', OPEXPR => 'opresulttype',
		RELABELTYPE => 'resulttype', COERCEVIAIO => 'resulttype', CASE => 'casetype', COERCETODOMAIN => 'resulttype',
		AGGREF => 'aggtype', ARRAY => 'array_typeid', ARRAYEXPR => 'array_typeid', ARRAYCOERCEEXPR => 'resulttype', SUBSCRIPTINGREF => 'refrestype',
		COALESCE => 'coalescetype', SQLVALUEFUNCTION => 'type', MINMAX => 'minmaxtype', CASETESTEXPR => 'typeId', WINDOWFUNC => 'wintype', NULLIFEXPR => 'opresulttype');
	return type_of($node->{arg}) if is_node($node, 'COLLATE') || is_node($node, 'COLLATEEXPR');
	return 16 if $node->{''} =~ /^(BOOLEXPR|NULLTEST|DISTINCTEXPR|SCALARARRAYOPEXPR|BOOLEANTEST)$/;
	my $field = $field{ $node->{''} } or die "type of $node->{''} is not known here";
	return $node->{$field};
}

# The functions that a node by itself calls.
sub functions
{
	my ($node, $catalog) = @_;
	my $kind = $node->{''};
	return ($node->{funcid}) if $kind eq 'FUNCEXPR';
	return ($node->{opfuncid} || $catalog->{code}{ $node->{opno} })
	  if $kind =~ /^(OPEXPR|DISTINCTEXPR|NULLIFEXPR|SCALARARRAYOPEXPR)$/;
	return map { $catalog->{code}{$_} } grep { /^\d+$/ } @{ $node->{opnos} } if $kind eq 'ROWCOMPARE';
	return ($catalog->{output}{ type_of($node->{arg}) }, $catalog->{input}{ $node->{resulttype} }) if $kind eq 'COERCEVIAIO';
	return ();
}

# ---------------------------------------------------------------------- the rules

# Everything in a statement that a distributed table would not take, as texts.
sub offences
{
	my ($text, $tree, $catalog) = @_;
	my @found;

	# a parameter is cast itself, so that no column has to be
	push @found, "parameter $1 is not cast" while $text =~ /(\$\d+)(?!\d|::)/g;

	walk(parse($tree), sub {
		my ($query) = @_;
		return unless $query->{''} eq 'QUERY';
		push @found, query_offences($query, $catalog);
	}, 1);
	my %seen;
	return grep { !$seen{$_}++ } @found;
}

sub query_offences
{
	my ($query, $catalog) = @_;
	my $command = $query->{commandType};
	my $changes = $command == UPDATE || $command == DELETE;
	my @parts = map { $query->{$_} } qw(targetList jointree returningList);
	my @found;

	walk(\@parts, sub {
		my ($node) = @_;
		my $kind = $node->{''};

		for my $function (functions($node, $catalog))
		{
			my $name = $catalog->{function}{$function} // "function $function";
			my $volatility = $catalog->{volatility}{$function} // '?';
			push @found, "volatile $name" if $volatility !~ /^[is]$/;
			push @found, "stable $name of a column" if $changes && $volatility eq 's' && has_column($node);
			# it would run on a worker
			push @found, "effaced's own $name of a column" if $catalog->{own}{$function} && has_column($node);
		}
		push @found, 'CURRENT OF' if $kind eq 'CURRENTOFEXPR';
		push @found, "$kind of a column" if $changes && $kind eq 'SQLVALUEFUNCTION' && has_column($node);
		if ($kind =~ /^(OPEXPR|SCALARARRAYOPEXPR)$/ && ($catalog->{operator}{ $node->{opno} } // '') eq '=')
		{
			my ($left, $right) = @{ $node->{args} };
			for ([ $left, $right ], [ $right, $left ])
			{
				my ($side, $other) = @$_;
				push @found, 'a column is cast to compare it with a parameter'
				  if is_node($other, 'PARAM') && !is_node($side, 'VAR') && has_column($side) && is_cast($side);
			}
		}
	}, 0);

	walk($query->{targetList}, sub {
		my ($node) = @_;
		push @found, 'an array subscript in SET' if $command == UPDATE && $node->{''} eq 'SUBSCRIPTINGREF';
		push @found, 'CASE of a value in SET' if $command == UPDATE && $node->{''} eq 'CASE' && ref $node->{arg};
		push @found, 'a sub-select in SET' if $command == UPDATE && $node->{''} eq 'SUBLINK';
	}, 0);
	walk($query->{returningList}, sub {
		push @found, 'a whole row in RETURNING' if $_[0]{''} eq 'VAR' && $_[0]{varattno} eq '0';
	}, 0);

	# a place counts in one shard only
	my (%place, %shard);
	walk(\@parts, sub {
		my ($node) = @_;
		return unless $node->{''} eq 'VAR';
		$place{"$node->{varlevelsup}.$node->{varno}"} = 1 if $node->{varattno} eq '-1';
		$shard{"$node->{varlevelsup}.$node->{varno}"} = 1 if $node->{varattno} eq '-6';
	}, 0);
	push @found, 'ctid alone' if grep { !$shard{$_} } keys %place;

	if (ref $query->{rowMarks} && @{ $query->{rowMarks} })
	{
		my @relations = grep { is_node($_) && $_->{rtekind} eq '0' } @{ $query->{rtable} };
		push @found, 'FOR UPDATE of several tables' if @{ $query->{rowMarks} } > 1;
		push @found, 'FOR UPDATE over a join' if @relations > 1;
		push @found, 'FOR UPDATE without a key' unless by_key($query, $catalog);
	}
	return @found;
}

# The cast that changes a value, not that which only names it anew.
sub is_cast
{
	my ($node) = @_;
	return is_cast($node->{arg}) if is_node($node, 'RELABELTYPE') && ref $node->{arg} && !is_node($node->{arg}, 'VAR');
	return $node->{''} =~ /^(COERCEVIAIO|FUNCEXPR)$/ && ($node->{coerceformat} // $node->{funcformat} // 0) != 0;
}

# Some condition that holds for every row found is about a key given as parameter
# or found first by one: "column = ANY ($1)", "(columns) IN (SELECT ...)".
sub by_key
{
	my ($query, $catalog) = @_;
	my @conditions = ($query->{jointree}{quals});
	my $found = 0;
	while (defined(my $condition = shift @conditions))
	{
		next unless ref $condition eq 'HASH';
		push @conditions, @{ $condition->{args} } if is_node($condition, 'BOOLEXPR') && $condition->{boolop} eq 'and';
		if (is_node($condition, 'SCALARARRAYOPEXPR'))
		{
			my $keys = $condition->{args}[1];
			$keys = $keys->{arg} while is_node($keys, 'RELABELTYPE') || is_node($keys, 'ARRAYCOERCEEXPR');
			$found = 1 if is_node($keys, 'PARAM') || is_node($keys, 'SUBLINK') && !correlated($keys->{subselect});
		}
		# of one subject
		$found = 1 if is_node($condition, 'OPEXPR') && ($catalog->{operator}{ $condition->{opno} } // '') eq '='
		  && grep { is_parameter($_) } @{ $condition->{args} };
		# an = that has to be named asks for each row, but of parameters alone
		$found = 1 if is_node($condition, 'SUBLINK')
		  && (!correlated($condition->{subselect}) || !grep { $_->{rtekind} eq '0' } @{ $condition->{subselect}{rtable} });
		# several links: each by its own
		$found = 1 if is_node($condition, 'BOOLEXPR') && $condition->{boolop} eq 'or'
		  && !grep { !by_key({ jointree => { quals => $_ } }, $catalog) } @{ $condition->{args} };
	}
	return $found;
}

# A parameter, cast or not.
sub is_parameter
{
	my ($node) = @_;
	$node = is_node($node, 'RELABELTYPE') ? $node->{arg} : $node->{args}[0]
	  while is_node($node, 'RELABELTYPE') || is_node($node, 'FUNCEXPR') && $node->{funcformat} ne '0';
	return is_node($node, 'PARAM');
}

# A sub-select asks for each row of the outer query anew.
sub correlated
{
	my ($query) = @_;
	my $found = 0;
	my $look;
	$look = sub {
		my ($node, $depth) = @_;
		$found = 1 if is_node($node, 'VAR') && $node->{varlevelsup} > $depth;
		for my $child (children($node))
		{
			$look->($child, $depth + (is_node($child, 'QUERY') ? 1 : 0)) if ref $child;
		}
	};
	$look->($query, 0);
	return $found;
}

# --------------------------------------------------------------------- the log

# The statements with parameters that effaced ran, out of what auto_explain wrote.
sub logged
{
	my ($log) = @_;
	my %texts;
	while ($log =~ /^\s*"Query Text": ("[^"\\]*+(?:\\.[^"\\]*+)*+")/mg)
	{
		my $text = JSON::PP->new->allow_nonref->decode($1);
		# neither effaced's own tables nor PostgreSQL's checks of foreign keys
		next if $text !~ /\$\d+::/ || $text !~ /\b(FROM|UPDATE) / || $text =~ /\beffaced_/ || $text =~ /^(SELECT 1 FROM|DELETE FROM|UPDATE) (ONLY )?".*OPERATOR\(/;
		$texts{$text} = 1;
	}
	return sort keys %texts;
}

1;
