# pg_cron does what doc/batches.md schedules: records and batches of who is ready,
# and alerts for batches that nobody has reviewed. What somebody else has accepted
# is applied by the job that the page shows.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'pg_cron is not installed' unless -e "$share/extension/pg_cron.control";

# The page's own statements, every minute instead of every night.
my @schedules = slurp_file('doc/batches.md') =~ /^(SELECT cron\.schedule\(.*\);)$/mg;
is(scalar @schedules, 3, 'the page schedules records, alerts and deletion');
s/'\d+ \d+ \* \* \*'/'* * * * *'/ or die for @schedules;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $host = $node->host;
$node->append_conf('postgresql.conf', qq{
	shared_preload_libraries = 'pg_cron'
	cron.database_name = 'insurer'
	cron.host = '$host'
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE insurer');
my $database = 'insurer';
sub query { return $node->safe_psql($database, $_[0]); }

query(q{
	CREATE EXTENSION pg_cron;
	CREATE EXTENSION effaced;
	CREATE TABLE employee (id int PRIMARY KEY, name text, left_on date);
	CREATE TABLE booking (id int PRIMARY KEY, employee_id int REFERENCES employee, note text);
	INSERT INTO employee SELECT i, 'Name ' || i, CASE WHEN i > 2 THEN date '2010-01-01' END FROM generate_series(1, 6) i;
	INSERT INTO booking SELECT i, i, 'note ' || i FROM generate_series(1, 6) i;
}
	. label('TABLE employee', '{"path": "", "owned": true}')
	. label('COLUMN employee.name', '{"category": "identity"}')
	. label('TABLE booking', '{"path": "employee"}')
	. label('COLUMN booking.note', '{"category": "special"}')
	. q{
	CREATE FUNCTION verdicts(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE sql AS $$
		SELECT id::text, 'ready_for_deletion' FROM employee WHERE id = ANY (candidates::int[]) AND left_on < date '2020-01-01' $$;
	SELECT effaced_register_anchor('employee', 'employee');
	SELECT effaced_register_anchor('booking', 'booking');
	SELECT effaced_register_bucket('employment', 'employee', 3);
	SELECT effaced_register_producer('hr', 'employment', 'verdicts(text[])', '{employee,booking}');
	-- one that is waiting already, and one that may wait longer
	SELECT effaced_register_bucket('booking', 'employee', alert_after => '0');
	SELECT effaced_register_producer('hr', 'booking', 'verdicts(text[])', '{booking}');
	SELECT effaced_create_deletion_records('booking', now() + interval '1 day');
	SELECT effaced_create_deletion_batches('booking', 3);
	CREATE ROLE officer LOGIN;
	SELECT effaced_grant('officer', 'review');
});
my $listener = EffacedTest::Session->new($node, $database);
$listener->query('LISTEN effaced_alerts');
query(join('', @schedules));

# A minute begins within one.
$node->poll_query_until($database, q{SELECT count(DISTINCT jobid) = 3 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')})
  or die 'not all of it was run';
is(query(q{SELECT jobname, status FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE status IN ('succeeded', 'failed') GROUP BY 1, 2 ORDER BY jobname COLLATE "C"}),
	"deletion|succeeded\ndeletion alerts|succeeded\ndeletion records|succeeded", 'all of it succeeded');
query(q{SELECT cron.unschedule(jobid) FROM cron.job});
is(query(q{SELECT bucket_type, total_records_count, reviewed_status FROM effaced_deletion_batches ORDER BY id}),
	"booking|3|pending\nbooking|1|pending\nemployment|3|pending\nemployment|1|pending", 'records are in batches');
is(query('SELECT count(*) FROM employee'), '6', 'and nobody is erased');

my $heard = $listener->query('SELECT 1');
like($heard, qr/Asynchronous notification "effaced_alerts" with payload "\{"oldest": "[-0-9T:.+]+", "batches": 2, "records": 4, "bucket_type": "booking"\}"/,
	'the batches that wait are told');
unlike($heard, qr/employment/, 'those that may wait are not');
is(query('SELECT bucket_type, batches, records FROM effaced_unreviewed_batches()'), "booking|2|4\nemployment|2|4", 'both are to be seen');

# The officer logs in, accepts, and the job of the page applies what is accepted.
my $connection = $node->connstr($database) . ' user=officer';
for my $review ([ 3, 'accepted' ], [ 4, 'rejected' ])
{
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $connection, '-c', "SELECT effaced_review_batch($review->[0], '$review->[1]', 'by the list')" ],
		"batch $review->[0] is $review->[1]");
}
is(query('SELECT id, reviewed_by FROM effaced_deletion_batches WHERE reviewed_by IS NOT NULL ORDER BY id'), "3|officer\n4|officer", 'by the officer');
my ($job) = $schedules[2] =~ /\$\$(.*)\$\$/;
query($job);
is(query('SELECT string_agg(id::text, $$ $$ ORDER BY id), (SELECT count(*) FROM booking) FROM employee'), '1 2 6|3', 'what was accepted is gone, and nobody else');

$listener->close;
$node->stop;
done_testing();
