# Reads the trees that PostgreSQL makes of statements, and tells what in them a
# distributed table would not take.

package StatementShapes;

use strict;
use warnings;

use constant { SELECT => 1, UPDATE => 2, INSERT => 3, DELETE => 4 };

# In each database: the statements that effaced has run are read out of the server's
# log, %2$s, from place %1$d on, and analysed once more before DDL can drop or change
# what they are about. Their trees go into the log too, where they survive what a
# test rolls back.
(our $helpers = <<'SQL') =~ s/CATALOG/catalog_query('> seen')/e;
	CREATE SCHEMA shapes;
	GRANT USAGE ON SCHEMA shapes TO PUBLIC;
	CREATE TABLE shapes.shown (done text);
	CREATE INDEX ON shapes.shown USING hash (done);
	-- up to where the log and the catalogs are read; what rolls it back brings back tables too
	CREATE TABLE shapes.progress (place bigint, seen oid);
	INSERT INTO shapes.progress VALUES (%1$d, 16383);

	-- what effaced asks Citus for on a coordinator
	SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_local_group (groupid int);
	INSERT INTO pg_catalog.pg_dist_local_group VALUES (0);
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text, colocationid int, repmodel "char");
	RESET allow_system_table_mods;

	-- debug_print_parse writes the tree into the log
	CREATE FUNCTION shapes.analyse(statement text) RETURNS void LANGUAGE plpgsql SET debug_print_parse = on AS $read$
	BEGIN
		EXECUTE statement;
	END $read$;

	-- to the log, each once
	CREATE FUNCTION shapes.show(statements text[]) RETURNS void LANGUAGE plpgsql AS $read$
	DECLARE
		statement text;
	BEGIN
		FOREACH statement IN ARRAY coalesce(statements, '{}') LOOP
			CONTINUE WHEN EXISTS (SELECT FROM shapes.shown WHERE done = statement);
			BEGIN
				PERFORM shapes.analyse('PREPARE shape AS ' || statement);
				DEALLOCATE shape;
				RAISE LOG 'shape: %%', encode(convert_to(statement, 'UTF8'), 'hex');
				IF NOT current_setting('transaction_read_only')::boolean THEN
					INSERT INTO shapes.shown VALUES (statement);
				END IF;
			EXCEPTION WHEN OTHERS THEN
				RAISE LOG 'unread: %% %%', encode(convert_to(statement, 'UTF8'), 'hex'), SQLERRM;
			END;
		END LOOP;
	END $read$;

	-- what was run since it was last called
	CREATE FUNCTION shapes.read() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp SET client_encoding = 'UTF8' SET client_min_messages = error
		SET auto_explain.log_min_duration = -1 AS $read$
	#variable_conflict use_variable
	<<read>>
	DECLARE
		log CONSTANT text := '%2$s';
		place bigint;
		seen oid;
		names text;
	BEGIN
		SELECT p.place, p.seen INTO place, seen FROM shapes.progress p;
		WITH new AS (
			CATALOG)
		SELECT string_agg(concat_ws('|', kind, oid, value), E'\n'), coalesce(max(oid), seen) INTO names, seen FROM new;
		IF names IS NOT NULL THEN
			RAISE LOG 'catalog: %%', encode(convert_to(names, 'UTF8'), 'hex');
		END IF;
		-- neither effaced's own tables nor PostgreSQL's checks of foreign keys
		PERFORM shapes.show(array_agg(DISTINCT s.text)) FROM (
			SELECT m[1]::jsonb #>> '{}' AS text
			  FROM regexp_matches(convert_from(pg_read_binary_file(log, place, (pg_stat_file(log)).size - place), 'UTF8'),
								  '"Query Text": ("(?:[^"\\]|\\.)*")', 'g') m) s
		 WHERE s.text ~ '\$\d+::' AND s.text ~ '\y(FROM|UPDATE) ' AND s.text !~ '\yeffaced_'
		   AND s.text !~ '^(SELECT 1 FROM|DELETE FROM|UPDATE) (ONLY )?".*OPERATOR\(';
		IF NOT current_setting('transaction_read_only')::boolean THEN
			UPDATE shapes.progress p SET place = (pg_stat_file(log)).size, seen = read.seen;
		END IF;
	EXCEPTION WHEN OTHERS THEN
		RAISE LOG 'reader: %%', SQLERRM;
	END $read$;

	-- the plan of each subject table, also where nothing is run
	CREATE FUNCTION shapes.read_plans() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
		SET search_path = public, pg_temp SET client_encoding = 'UTF8' SET client_min_messages = error
		SET auto_explain.log_min_duration = -1 AS $read$
	DECLARE
		subject jsonb;
	BEGIN
		IF to_regproc('effaced_manifest') IS NULL THEN
			RETURN;
		END IF;
		FOR subject IN SELECT t.value FROM jsonb_array_elements(effaced_manifest() -> 'tables') t WHERE t.value -> 'subject_link' ->> 'path' = '' LOOP
			BEGIN
				PERFORM shapes.show(array_agg(DISTINCT p.statement)) FROM effaced_plan(
					CASE WHEN jsonb_array_length(subject -> 'subject_link' -> 'subject_id_columns') = 1 THEN '1' END,
					(subject ->> 'name')::regclass) p WHERE p.statement LIKE '%%$%%';
			EXCEPTION WHEN SQLSTATE 'ZE001' OR SQLSTATE 'ZE002' OR SQLSTATE 'ZE003' OR SQLSTATE 'ZE004' THEN
				NULL;	-- there is no plan for it
			END;
		END LOOP;
	EXCEPTION WHEN OTHERS THEN
		NULL;	-- there is no map, or the extension is going
	END $read$;

	CREATE FUNCTION shapes.before_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $read$
	BEGIN
		IF tg_tag ~ '^(DROP|ALTER)' THEN
			PERFORM shapes.read();
			PERFORM shapes.read_plans();
		END IF;
	END $read$;
	CREATE EVENT TRIGGER shapes ON ddl_command_start EXECUTE FUNCTION shapes.before_ddl();
	ALTER EVENT TRIGGER shapes ENABLE ALWAYS;
SQL

# What the catalogs say of objects with such an OID, as (kind, oid, value).
sub catalog_query
{
	my ($which) = @_;
	return qq{
			SELECT 'volatility' AS kind, oid, provolatile::text AS value FROM pg_proc WHERE oid $which
			UNION ALL SELECT 'function', oid, oid::regprocedure::text FROM pg_proc WHERE oid $which
			UNION ALL SELECT 'input', oid, typinput::oid::text FROM pg_type WHERE oid $which
			UNION ALL SELECT 'output', oid, typoutput::oid::text FROM pg_type WHERE oid $which
			UNION ALL SELECT 'code', oid, oprcode::oid::text FROM pg_operator WHERE oid $which
			UNION ALL SELECT 'operator', oid, oprname FROM pg_operator WHERE oid $which
			UNION ALL SELECT 'own', objid, '1' FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
			   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'effaced') AND objid $which};
}

sub catalog
{
	my ($rows) = @_;
	my %catalog;
	for (split /\n/, $rows)
	{
		my ($kind, $oid, $value) = split /\|/, $_, 3;
		$catalog{$kind}{$oid} = $value;
	}
	return \%catalog;
}

sub decoded
{
	my $text = pack 'H*', $_[0];
	utf8::decode($text);
	return $text;
}

# A test's SQL that reads also before what it rolls back.
sub with_readings
{
	my ($sql) = @_;
	$sql =~ s/^(?=ROLLBACK\b)/SELECT shapes.read();\n/mg;
	$sql =~ s/^(?=\s*RAISE EXCEPTION\b)/PERFORM shapes.read();\n/mg;
	return $sql;
}

# What is in a log: each statement with its tree, or '' where it could not be read,
# and what the catalogs say.
sub logged
{
	my ($log) = @_;
	my (%trees, %catalog, $tree);
	for (split /^(?!\t)/m, $log)
	{
		# the last one before its statement; those before are PREPARE's own
		if (s/^.*DETAIL:  (?=\{QUERY )//s) { $tree = $_; }
		elsif (/LOG:  shape: (\w+)/) { $trees{decoded($1)} = $tree; }
		elsif (/LOG:  unread: (\w+)/) { $trees{decoded($1)} ||= ''; }
		elsif (/LOG:  catalog: (\w+)/)
		{
			my $more = catalog(decoded($1));
			$catalog{$_} = { %{ $catalog{$_} || {} }, %{ $more->{$_} } } for keys %$more;
		}
		elsif (/LOG:  reader: (.*)/) { die "the log cannot be read: $1"; }
	}
	return (\%trees, \%catalog);
}

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
		RELABELTYPE => 'resulttype', COERCEVIAIO => 'resulttype', CASE => 'casetype', CASEEXPR => 'casetype', COALESCEEXPR => 'coalescetype', MINMAXEXPR => 'minmaxtype', COERCETODOMAIN => 'resulttype',
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
	(my $bare = $text) =~ s/E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"//gs;
	push @found, "parameter $1 is not cast" while $bare =~ /(\$\d+)(?!\d|::)/g;

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

	# keys are there, or a sub-select finds them first and once
	push @found, 'a change without a key' if $changes && !by_key($query, $catalog);

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

1;
