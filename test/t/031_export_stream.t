# The records of a large subject are streamed: the first leaves before the last
# is read, the backend stays small, nothing is written to temporary files.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('main', "work_mem = 1MB\nautovacuum = off");
my $rows = 30_000;

$node->safe_psql('postgres', qq{
	CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, name text);
	CREATE TABLE trip (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person);
	CREATE TABLE point (id bigint PRIMARY KEY, trip_id int NOT NULL REFERENCES trip, lat float8, lon float8, speed numeric, street text, at timestamptz);
	CREATE TABLE photo (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, picture text);
	ALTER TABLE photo ALTER picture SET STORAGE EXTERNAL;
	INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
	INSERT INTO trip SELECT n, 1 + n % 2 FROM generate_series(1, 100) n;
	INSERT INTO point SELECT n, 1 + n % 100, n, -n, n / 3.0, 'street ' || n, 'epoch'::timestamptz + n * interval '1 min'
		FROM generate_series(1, 2 * $rows) n;
	INSERT INTO photo SELECT n, 1, repeat(chr(64 + n % 50), 1000000) FROM generate_series(1, 200) n;
	CREATE INDEX ON trip (person_id);
	CREATE INDEX ON point (trip_id);
	CREATE INDEX ON photo (person_id);
	ANALYZE;
	SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
	SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
	SECURITY LABEL FOR effaced ON COLUMN photo.picture IS '{"category": "identity"}';
	} . join('', map { label("COLUMN point.$_", '{"category": "location"}') } qw(lat lon speed street at)));

sub temp_files
{
	return $node->safe_psql('postgres', q{SELECT pg_stat_force_next_flush();
		SELECT temp_files FROM pg_stat_database WHERE datname = 'postgres'});
}

# kB that the backend has ever had, without what it shares
sub peak
{
	my ($pid) = @_;
	open my $status, '<', "/proc/$pid/status" or return;
	my ($peak, $shared) = (0, 0);
	while (<$status>)
	{
		$peak = $1 if /^VmHWM:\s+(\d+)/;
		$shared = $1 if /^RssShmem:\s+(\d+)/;
	}
	return $peak - $shared;
}

my $session = EffacedTest::Session->new($node, 'postgres');
my $pid = $session->query('SELECT pg_backend_pid()');
my $before = temp_files();

# In a transaction the reading of rows can be watched.
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT field, value FROM effaced_export_records(\'1\')');
is($session->query('FETCH 1 FROM c'), 'name|"Ada"', 'the first record');
is($session->query('MOVE 200 FROM c; FETCH 1 FROM c'), 'lat|1', 'the first point, after the photos');
my $read = $session->query(q{SELECT pg_stat_get_xact_tuples_fetched('point'::regclass) + pg_stat_get_xact_tuples_returned('point'::regclass)});
cmp_ok($read, '<', 2 * $rows, "after the first points only some of the rows were read ($read)");
$session->query('CLOSE c; COMMIT');

$before = temp_files();
my $sum = $session->query(q{COPY (SELECT * FROM effaced_export_records('1')) TO PROGRAM 'md5sum'; SELECT 'sent'});
is($sum, 'sent', 'all of it through COPY');
is(temp_files(), $before, 'no temporary file');
my $peak = peak($pid);
SKIP:
{
	skip 'no /proc', 1 unless defined $peak;
	cmp_ok($peak, '<', 100_000, "the backend had less than 100 MB of its own ($peak kB)");
}

is($session->query(q{COPY (SELECT count(*), count(DISTINCT row_key), sum((value #>> '{}')::numeric) FILTER (WHERE field = 'lat')
		FROM effaced_export_records('1') WHERE source = 'point') TO STDOUT}) =~ s/\t/|/gr,
	join('|', 5 * $rows, $rows, $node->safe_psql('postgres', 'SELECT sum(lat) FROM point WHERE trip_id % 2 = 0')),
	'every value of the subject and none of anyone else');
# The same rows in the same order.
is($node->safe_psql('postgres', q{
	CREATE TABLE first AS SELECT row_number() OVER () AS n, md5(r::text) AS r FROM effaced_export_records('1') r;
	CREATE TABLE second AS SELECT row_number() OVER () AS n, md5(r::text) AS r FROM effaced_export_records('1') r;
	SELECT count(*) FROM first JOIN second USING (n, r)}), 1 + 200 + 5 * $rows, 'the order is the same again');

# What was begun is recorded, and completed only where it was read to its end.
is($node->safe_psql('postgres', q{SELECT event_type, count(*), max((payload ->> 'records')::int) FROM effaced_audit_events GROUP BY 1 ORDER BY 1}),
	'export_completed|4|' . (1 + 200 + 5 * $rows) . "\nexport_requested|5|", 'requests and completions');

# A cursor whose savepoint is gone says so; one that stops early is closed.
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT field FROM effaced_export_records(\'1\'); SAVEPOINT s');
$session->query('MOVE 400 FROM c');
$session->query('ROLLBACK TO s');
like($session->query('MOVE 20000 FROM c'), qr/ERROR:  the rows of point can no longer be read/, 'rows that are gone with a savepoint');
$session->query('ROLLBACK');
is($session->query('SELECT count(*) FROM (SELECT FROM effaced_export_records(\'1\') LIMIT 3) s'), 3, 'LIMIT');

# One jsonb cannot hold this; it says where to turn.
$node->safe_psql('postgres', q{INSERT INTO photo SELECT n, 2, repeat('x', 1000000) FROM generate_series(201, 480) n});
my ($out, $err);
$node->psql('postgres', q{SELECT effaced_export(2)}, stdout => \$out, stderr => \$err);
like($err, qr/larger than one jsonb can hold.*HINT:  COPY \(SELECT \* FROM effaced_export_records/s, 'a bundle that is too large');
is($node->safe_psql('postgres', q{SELECT count(*) FROM effaced_export_records('2') WHERE source = 'photo'}), 280, 'and its rows');

$session->close;
$node->stop;
done_testing();
