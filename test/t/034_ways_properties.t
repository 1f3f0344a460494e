# Random ways: rows that are found by keys, by personal values without a foreign key,
# and by generated columns; references that erasures move to a ghost or to NULL,
# accounts that go, retentions on the columns of ways, corrections of keys. Whatever
# sequence of verbs runs, these promises hold:
#
#   a call that fails changes nothing, and says so with an SQLSTATE of effaced
#   of a person who was erased nothing declared is left but what is retained, and
#     that is still found by an export, unless its link says "release"
#   an erasure changes nobody else's row
#
# EFFACED_PROPERTY_RUNS sets how many schemas are tried (25), EFFACED_PROPERTY_SEED
# the first seed (1); a failure names its seed, and one run with it repeats it.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $runs = $ENV{EFFACED_PROPERTY_RUNS} || 25;
my $first = $ENV{EFFACED_PROPERTY_SEED} || 1;

my $node = start_node('ways_properties');
my %done = map { $_ => 0 } qw(erased corrected refused kept enforced);

sub one_of { return $_[int rand @_]; }
sub maybe { return rand() < $_[0]; }

# A table of rows that belong to persons by a way of some kind.
sub random_table
{
	my ($n, $schema) = @_;
	my $way = one_of(qw(key nullable cascade hop email email generated));
	my %table = (name => "t$n", way => $way, owned => maybe(0.3), release => maybe(0.3));

	$table{retain} = one_of('', '', 'retain', 'term');
	$table{owned} = 0 if $table{retain};
	# the reference itself is personal, and goes to the ghost or to nobody
	$table{moved} = $way eq 'key' || $way eq 'cascade' ? one_of('', '0') : $way eq 'nullable' || $way eq 'hop' ? one_of('', 'NULL', '0') : '';
	$table{labelled} = $way eq 'generated' || maybe(0.5) if $way eq 'email' || $way eq 'generated';
	$table{term} = $table{labelled} && maybe(0.5);
	return \%table;
}

sub label { return "SECURITY LABEL FOR effaced ON $_[0] IS '$_[1]';\n"; }

sub schema_sql
{
	my ($schema) = @_;
	my $retention = '"retention": {"reason": "law", "duration": "1 year", "anchor": "at", "on_expiry": "anonymize"}';
	my $sql = "CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE, k text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE, since date);\n";

	$sql .= label('TABLE person', '{"path": "", "where": "id <> 0"' . ($schema->{account} eq 'goes' ? ', "owned": true' : '') . '}');
	$sql .= label('COLUMN person.email', '{"category": "contact", "fact": "email"' . ($schema->{account} eq 'stays' ? ', "erasure": "anonymize"' : '') . '}');
	$sql .= "INSERT INTO person VALUES (0, 'ghost'), (1, 'P1_mail'), (2, 'P2_mail'), (3, 'P3_mail');\n";
	for my $table (@{ $schema->{tables} })
	{
		my $t = $table->{name};
		my %column = (key => 'ref int NOT NULL REFERENCES person', nullable => 'ref int REFERENCES person', cascade => 'ref int NOT NULL REFERENCES person ON DELETE CASCADE',
			hop => 'ref int', email => 'ref text', generated => 'email text, ref text GENERATED ALWAYS AS (lower(email)) STORED');
		my %target = (hop => 'id', email => 'email', generated => 'k');
		my $link = $target{ $table->{way} } ? qq("hops": [{"source_columns": ["ref"], "target_table": "person", "target_columns": ["$target{ $table->{way} }"]}]) : '"path": "ref"';
		my $held = $table->{way} eq 'generated' ? 'email' : 'ref';

		$sql .= "CREATE TABLE $t (id int PRIMARY KEY, $column{ $table->{way} }, body text, kept text, free int, at date);\n";
		$sql .= label("TABLE $t", "{$link" . ($table->{owned} ? ', "owned": true' : '') . ($table->{release} ? ', "release": true' : '') . '}');
		$sql .= label("COLUMN $t.body", '{"category": "communication"}');
		$sql .= label("COLUMN $t.kept", qq({"category": "financial", "erasure": "retain", @{[ $table->{retain} eq 'term' ? $retention : '"retention": {"reason": "law"}' ]}})) if $table->{retain};
		$sql .= label("COLUMN $t.ref", qq({"category": "identity", "surrogate": "$table->{moved}"})) if $table->{moved} ne '';
		$sql .= label("COLUMN $t.$held", qq({"category": "contact", "fact": "email"@{[ $table->{term} ? qq(, "erasure": "anonymize", $retention) : '' ]}})) if $table->{labelled};
		for my $row (1 .. 6)
		{
			my $p = 1 + $row % 3;
			my $value = $table->{way} eq 'email' || $table->{way} eq 'generated' ? "'P${p}_mail'" : $p;
			my $body = maybe(0.8) ? "'P${p}_$t.$row.body'" : 'NULL';

			$sql .= "INSERT INTO $t (id, $held, body, kept, free, at) VALUES ($row, $value, $body, 'P${p}_$t.$row.kept', 1, '@{[ one_of('2020-01-01', '2100-01-01') ]}');\n";
		}
	}
	return $sql;
}

# What is in all tables, by person: the rows were given to persons 1 to 3 in turn.
sub content
{
	my ($db, $schema, $but) = @_;
	my $whose = $but ? "WHERE 1 + id % 3 <> $but" : '';
	my $sql = "SELECT 'person', p::text FROM person p" . ($but ? " WHERE id <> $but" : '');

	$sql .= " UNION ALL SELECT '$_->{name}', t::text FROM $_->{name} t $whose" for @{ $schema->{tables} };
	return $node->safe_psql($db, "$sql ORDER BY 1, 2");
}

# What is left of a person's values in declared columns, and should not be.
sub left
{
	my ($db, $schema, $p, $emails) = @_;
	my @left;
	my $mails = join '|', map { lc } @$emails;
	my $exported = $node->safe_psql($db, "SELECT string_agg(value::text, ' ') FROM effaced_export_records($p)") // '';

	push @left, map { "person $_" } split /\n/, $node->safe_psql($db, "SELECT id FROM person WHERE lower(email) ~ '^($mails)\$'");
	for my $table (@{ $schema->{tables} })
	{
		my $t = $table->{name};
		my $held = $table->{way} eq 'generated' ? 'email' : 'ref';

		push @left, map { "$t.body $_" } split /\n/, $node->safe_psql($db, "SELECT id FROM $t WHERE body LIKE 'P${p}\\_%'");
		push @left, map { "$t.$held $_" } split /\n/, $node->safe_psql($db, "SELECT id FROM $t WHERE lower($held) ~ '^($mails)\$'") if $table->{labelled};
		push @left, map { "$t.ref $_" } split /\n/, $node->safe_psql($db, "SELECT id FROM $t WHERE ref = $p") if $table->{moved} ne '';
		next unless $table->{retain};
		for my $kept (split /\n/, $node->safe_psql($db, "SELECT kept FROM $t WHERE kept LIKE 'P${p}\\_%'"))
		{
			if (index($exported, $kept) >= 0 || ($table->{release} && ($table->{moved} ne '' || $table->{labelled}))) { $done{kept}++; }
			else { push @left, "$t.kept $kept, which nothing finds"; }
		}
	}
	return @left;
}

for my $seed ($first .. $first + $runs - 1)
{
	srand($seed);
	my $schema = { account => one_of(qw(goes stays)), seed => $seed };
	my $db = "ways$seed";
	my (@emails, %erased, @problems);

	$schema->{tables} = [ map { random_table($_, $schema) } 1 .. 1 + int rand 3 ];
	$emails[$_] = ["P${_}_mail"] for 1 .. 3;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, "CREATE EXTENSION effaced;\n" . schema_sql($schema));
	for my $call (1 .. 5)
	{
		my $p = 1 + int rand 3;
		my $verb = one_of(qw(erase erase rectify enforce many));
		my $new = "P${p}_mail$call";
		my %statement = (erase => "SELECT effaced_erase($p)", many => "SELECT effaced_erase_many('{$p}')", enforce => 'CALL effaced_enforce_retention()',
			rectify => qq(SELECT effaced_rectify($p, '[{"category": "contact", "fact": "email", "value": "$new"}]')));
		my $before = content($db, $schema);
		my $others = content($db, $schema, $p);
		my ($status, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$statement{$verb};");
		my ($state) = $err =~ /ERROR:  (\w+):/;

		if (defined $state)
		{
			$done{refused}++;
			push @problems, "$verb of $p fails with $state: $err" unless $state =~ /^ZE00[134]$/;
			push @problems, "$verb of $p fails and changes something" if $verb ne 'enforce' && content($db, $schema) ne $before;
			next;
		}
		$erased{$p} = 1, $done{erased}++ if $verb eq 'erase' || $verb eq 'many';
		$done{enforced}++ if $verb eq 'enforce';
		# a correction of somebody who is erased writes nothing that lasts
		push(@{ $emails[$p] }, $new), $done{corrected}++ if $verb eq 'rectify';
		push @problems, "$verb of $p changes somebody else's rows" if $verb ne 'enforce' && content($db, $schema, $p) ne $others;
		for my $gone (sort keys %erased)
		{
			push @problems, "after $verb of $p something of $gone is left: $_" for left($db, $schema, $gone, $emails[$gone]);
			push @problems, "after $verb of $p $gone is not verified" if $node->safe_psql($db, "SELECT effaced_verify($gone) -> 'verified'") ne 'true';
		}
		last if @problems;
	}
	is("@problems", '', "seed $seed") or diag schema_sql($schema);
	$node->safe_psql('postgres', "DROP DATABASE $db");
}
# Else the promises would be kept by doing nothing.
cmp_ok($done{$_}, '>', 0, "some calls: $_") for qw(erased corrected refused kept enforced);
done_testing();
