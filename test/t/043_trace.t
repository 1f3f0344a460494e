# Copies planted at random in 40 tables of all types that a trace reads: it finds
# each of them, tells of no other row, and is stopped by a cancel.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $seed = $ENV{EFFACED_PROPERTY_SEED} // 20240501;
srand($seed);
note "EFFACED_PROPERTY_SEED=$seed";
my $node = start_node('main');
my $people = 500;
my $copies = 1000;
$node->safe_psql('postgres', q{
	CREATE EXTENSION effaced;
	CREATE EXTENSION citext;
	CREATE EXTENSION hstore;
	CREATE TABLE person (id uuid PRIMARY KEY, email text, phone text, name text);
	CREATE DOMAIN mail AS text CHECK (length(VALUE) < 100000);
	CREATE DOMAIN mails AS mail[];
	CREATE TYPE card AS (kind text, mail mail, more jsonb);
	CREATE TYPE cards AS (cards card[]);
}
	. "INSERT INTO person SELECT md5('p' || i)::uuid, 'Person' || i || '.' || substr(md5(i::text), 1, 5) || '\@example.com',
		'49' || 170000000 + i, (ARRAY['Jürgen', 'Élise', 'Straße', 'Ada', 'Ömer'])[i % 5 + 1] || ' von ' || substr(md5(i || 'n'), 1, 6)
		FROM generate_series(1, $people) i;\n"
	. label('TABLE person', '{"path": ""}')
	. label('COLUMN person.email', '{"category": "contact", "fact": "email"}')
	. label('COLUMN person.phone', '{"category": "contact", "fact": "phone"}')
	. label('COLUMN person.name', '{"category": "identity", "fact": "name"}'));

# How a type holds a text, as SQL: %s is the text in a longer one, %w the whole value.
my %texts = (
	'text' => '%s', 'varchar' => '%s', 'citext' => '%s', 'mail' => '%s', 'xml' => 'xmlelement(name a, %s)',
	'char(200)' => '%w', 'name' => '%w', 'text[]' => "ARRAY['x', %s, NULL]", 'mails' => "ARRAY[%s]::mails",
	'citext[]' => "ARRAY[[%w, 'y']]", 'json' => "json_build_object('a', json_build_array(1, %s))",
	'jsonb' => "jsonb_build_object('a', jsonb_build_object('b', %s), 'c', repeat('filler ', 3000))",
	'jsonb[]' => "ARRAY[to_jsonb(%s)]", 'hstore' => "hstore('k', %s)", 'card' => "ROW('x', %s, NULL)::card",
	'card[]' => "ARRAY[ROW('x', NULL, to_jsonb(%s))]::card[]", 'cards' => "ROW(ARRAY[ROW('x', %s, NULL)]::card[])::cards",
	'tsvector' => "array_to_tsvector(ARRAY['a', lower(%w)])");
# And how one holds numbers or uuids.
my %numbers = ('bigint' => '%w::bigint', 'numeric' => "(%w || '.0')::numeric", 'float8' => '%w::float8', 'bigint[]' => 'ARRAY[1, %w::bigint]');
my %uuids = ('uuid' => '%w::uuid', 'uuid[]' => 'ARRAY[%w::uuid]');
# Longer texts, plain, escaped, compressed and out of line; and such that hold something else.
my @around = ("%w", "'Dear ' || %w || ', hello'", "'<' || upper(%w) || '>'", "upper(%w)", "'{\"note\": ' || to_json(%w) || '}'",
	"repeat('lorem ipsum ', 2000) || %w", "%w || repeat(' ödipus', 3000)",
	"(SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 3000) i) || ' ' || %w");
my @decoys = ("'x' || %w", "%w || 'x'", "%w || '.example'", "'a-' || %w", "left(%w, -1)", "reverse(%w)", "'Dear ' || md5(%w)");

my @tables;
my $sql = '';
my @types = (sort(keys %texts), sort(keys %numbers), sort(keys %uuids));
for my $i (1 .. 40)
{
	# each type at least once, and some more
	my @columns = map { $types[ ($i * 3 + $_) % @types ] } 0 .. int(rand(4));
	push @tables, { name => "t$i", types => \@columns };
	$sql .= "CREATE " . ($i % 7 ? '' : 'UNLOGGED ') . "TABLE t$i (row serial, " . join(', ', map { "c$_ $columns[$_]" } 0 .. $#columns) . ")"
	  . ($i % 5 ? '' : ' PARTITION BY HASH (row)') . ";\n";
	$sql .= "CREATE TABLE t${i}_p0 PARTITION OF t$i FOR VALUES WITH (MODULUS 2, REMAINDER 0);\n"
	  . "CREATE TABLE t${i}_p1 PARTITION OF t$i FOR VALUES WITH (MODULUS 2, REMAINDER 1);\n" unless $i % 5;
}
$node->safe_psql('postgres', $sql);

# The value of a person that a type holds, in a text that surrounds it.
sub held
{
	my ($type, $person, $around) = @_;
	my ($form, $fact) =
	  $numbers{$type} ? ($numbers{$type}, 'phone') : $uuids{$type} ? ($uuids{$type}, 'id') : ($texts{$type}, (qw(email phone name))[ rand 3 ]);
	my $value = "(SELECT $fact" . ($fact eq 'id' ? '::text' : '') . " FROM person WHERE id = md5('p$person')::uuid)";
	$form =~ s/%s/$around/;
	$form =~ s/%w/$value/g;
	return ($form, $fact eq 'id' ? 'key' : $fact);
}

my %planted;	# of the one person: table, column and fact to rows
my $her = 42;
$sql = '';
for my $copy (1 .. $copies)
{
	my $table = $tables[ $copy % @tables ];
	my $column = int(rand(@{ $table->{types} }));
	my ($value, $fact) = held($table->{types}[$column], $her, $around[ rand @around ]);
	$sql .= "INSERT INTO $table->{name} (c$column) VALUES ($value);\n";
	$planted{"$table->{name}.c$column $fact"}++;
}
# As many of other persons, and of what is no copy of hers.
for my $copy (1 .. $copies)
{
	my $table = $tables[ rand @tables ];
	my $column = int(rand(@{ $table->{types} }));
	my $type = $table->{types}[$column];
	my $decoy = $copy % 2 && $texts{$type} && $texts{$type} =~ /%s/;
	my $other = 1 + int(rand($people - 1));
	$other++ if $other >= $her;
	my ($value) = held($type, $decoy ? $her : $other, $decoy ? $decoys[ rand @decoys ] : $around[ rand @around ]);
	$sql .= "INSERT INTO $table->{name} (c$column) VALUES ($value);\n";
}
$node->safe_psql('postgres', $sql);
my $partitioned = join ',', map { $_->{name} } grep { substr($_->{name}, 1) % 5 == 0 } @tables;

my $found = $node->safe_psql('postgres',
	"SELECT relation || '.' || column_name || ' ' || fact, sum(row_count) FROM effaced_trace(md5('p$her')::uuid) WHERE relation <> 'person'::regclass GROUP BY 1 ORDER BY 1");
is($found, join("\n", map { "$_|$planted{$_}" } sort keys %planted), "$copies copies in 40 tables are found, and nothing else");
is($node->safe_psql('postgres', "SELECT count(*) FROM effaced_trace(md5('p$her')::uuid) WHERE place ~ '\@|\\d{5}' OR row_count IS NULL"),
	0, 'no place tells a value, and everything was read');

# Of all persons at once: what an erasure leaves is as many rows.
my $sums = $node->safe_psql('postgres', "SELECT sum(value::int) FROM jsonb_each_text(effaced_erase_many(ARRAY[md5('p$her')::uuid::text], trace => 'report') -> 'traces')");
my %columns;
for (keys %planted) { my ($column) = /^(\S+)/; $columns{$column} += $planted{$_} }
my $rows = 0;
$rows += $_ for values %columns;
is($sums, $rows, 'and so an erasure tells, after it');

# A control proves that a count of zero means that there is none.
my $none = q{SELECT count(*) FROM effaced_trace(md5('p7')::uuid, relations => '{control}')};
$node->safe_psql('postgres', q{CREATE TABLE control (body text); INSERT INTO control SELECT md5(i::text) FROM generate_series(1, 10000) i});
is($node->safe_psql('postgres', $none), 0, 'nothing is found where nothing is');
$node->safe_psql('postgres', q{INSERT INTO control SELECT 'x ' || name || ' x' FROM person WHERE id = md5('p7')::uuid});
is($node->safe_psql('postgres', $none), 1, 'and the control that was planted there is');

# A cancel is noticed, in many rows and in one long value; meanwhile the progress is seen.
$node->safe_psql('postgres', q{
	INSERT INTO control SELECT repeat('lorem ipsum ä ', 7000000) FROM generate_series(1, 4);
	INSERT INTO control SELECT md5(i::text) FROM generate_series(1, 300000) i});
my $session = EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose');
for my $statement (
	"SELECT count(*) FROM effaced_trace(md5('p7')::uuid), generate_series(1, 1000)",
	"SELECT effaced_erase_many((SELECT array_agg(id::text) FROM person), trace => 'report')")
{
	$session->query("SET statement_timeout = '20ms'");
	like($session->query($statement), qr/^ERROR:  57014: /, 'a timeout');
	unlike($session->query($statement), qr/Person|\@example/, 'and no value in it');
}
$session->query('RESET statement_timeout');
$session->send("DO \$\$ BEGIN LOOP PERFORM count(*) FROM effaced_trace(md5('p7')::uuid); END LOOP; END \$\$");
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^effaced trace: relation \d+ of \d+, \d+ MB read$'}),
	'the progress is seen');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^effaced trace' OR query ~ '^DO .. BEGIN LOOP'});
like($session->receive, qr/^ERROR:  57014: /, 'a cancellation');
is($session->query('SELECT 1'), 1, 'the session goes on');
$session->close;

done_testing();
