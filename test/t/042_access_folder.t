# An access request as files on the server: what is written where, for whom, and
# that it is whole or not there at all.

use strict;
use warnings;
use EffacedTest;
use Cwd qw(abs_path);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main', "max_prepared_transactions = 2");
my $directory = abs_path(PostgreSQL::Test::Utils::tempdir());
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }
sub query { return $node->safe_psql('postgres', $_[0]); }

# Everything that is in a directory, hidden or not.
sub names_in
{
	my ($path) = @_;
	opendir(my $handle, $path) or die "$path: $!";
	return sort grep { !/^\.\.?$/ } readdir $handle;
}
sub mode_of { return sprintf '%o', (lstat $_[0])[2] & 07777; }
# {name => content} of the files of a folder.
sub files_of { my ($path) = @_; return { map { $_ => slurp_file("$path/$_") } names_in($path) }; }
# SQLSTATE and message of what fails.
sub failure
{
	my ($sql, %options) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1, %options);
	return $status ? $err : "no error: $out";
}

query(q{
	CREATE EXTENSION effaced;
	CREATE TABLE customer (id int PRIMARY KEY, name text);
	CREATE TABLE purchase (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, note text);
	CREATE TABLE player (game text, nick text, mail text, PRIMARY KEY (game, nick));
	INSERT INTO customer VALUES (1, 'Ada <b>'), (2, E'Ben');
	INSERT INTO purchase SELECT i, 1 + i % 2, 'note ' || i FROM generate_series(1, 4) i;
	INSERT INTO player VALUES ('../../x', 'a/b', 'one'), ('..', '..', 'two'), ('a%2Fb', 'c', 'three'), ('a/b', 'c', 'four'), (E'new\nline', E'tab\t\\\\', 'five');
	CREATE ROLE clerk;
	GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk;
	GRANT EXECUTE ON FUNCTION effaced_write_access_folder(text, text, regclass), effaced_register_question TO clerk;
	SELECT effaced_register_question('bought', 'purchases', 'SELECT id, note FROM purchase WHERE customer_id::text = $1 ORDER BY id');
	SELECT effaced_register_question('counted', 'count', 'SELECT count(*) AS n FROM purchase WHERE customer_id::text = $1');
}
	. label('TABLE customer', '{"path": ""}')
	. label('COLUMN customer.name', '{"category": "identity"}')
	. label('TABLE purchase', '{"path": "customer"}')
	. label('COLUMN purchase.note', '{"category": "behavioral"}')
	. label('TABLE player', '{"path": ""}')
	. label('COLUMN player.mail', '{"category": "contact"}'));
my $write = q{SELECT * FROM effaced_write_access_folder('1', 'Shop', 'customer')};
my $events = q{SELECT count(*) FROM effaced_audit_events};

# The setting.
my $said = failure($write);
like($said, qr/ERROR:  ZE005: setting "effaced.export_directory" is not set/, 'unset: refused');
like($said, qr/HINT:  .*ALTER DATABASE postgres SET effaced.export_directory/, 'with the statement that sets it');
sub with { my ($value) = @_; return "SET effaced.export_directory = @{[ quoted($value) ]};\n"; }
like(failure(with('relative/path') . $write), qr/ZE005: .*not an absolute path/, 'a relative path');
like(failure(with("$directory/missing") . $write), qr/ZE005: could not open the directory/, 'no such directory');
like(failure(with($node->data_dir) . $write), qr/ZE005: .*of the server's own/, 'the data directory');
like(failure(with($node->data_dir . '/base') . $write), qr/ZE005: .*of the server's own/, 'inside of it');
like(failure(with($node->data_dir . '/../' . (split m{/}, $node->data_dir)[-1] . '/base') . $write), qr/ZE005: .*of the server's own/, 'inside of it, by a detour');
append_to_file("$directory/file", 'x');
symlink($directory, "$directory/link") or die;
like(failure(with("$directory/file") . $write), qr/ZE005: could not open the directory/, 'a file');
like(failure(with("$directory/link") . $write), qr/ZE005: could not open the directory/, 'a link');
like(failure(with("$directory/link/") . $write), qr/ZE005: could not open the directory/, 'a link, written as a directory');
like(failure("LOAD 'effaced'; SET ROLE clerk; " . with($directory)), qr/42501: permission denied to set parameter/, 'not for everybody to set');
like(failure('SET ROLE clerk; ' . with($directory) . "RESET ROLE; $write"), qr/ZE005: setting .* is not set/, 'not before the library is loaded either');
unlink "$directory/file", "$directory/link";
is(query($events), 0, 'nothing was asked for');
query("ALTER DATABASE postgres SET effaced.export_directory = @{[ quoted($directory) ]}");

# Only for members of pg_write_server_files.
$said = failure("SET ROLE clerk; $write");
like($said, qr/42501: permission denied to write an access folder/, 'not for everybody');
like($said, qr/HINT:  GRANT pg_write_server_files TO clerk;/, 'with the statement that allows it');
query('GRANT pg_write_server_files TO clerk');
# ... with the caller's privileges on the tables
query('REVOKE SELECT ON purchase FROM clerk');
like(failure("SET ROLE clerk; $write"), qr/42501: /, 'privileges are the caller\'s');
query('GRANT SELECT ON purchase TO clerk');
is_deeply([ names_in($directory) ], [], 'nothing is there after all that');

# What is written.
my $rows = query("SET ROLE clerk; SET TimeZone = 'Asia/Kathmandu'; $write");
my $folder = "$directory/GDPR access - Shop - 1";
is_deeply([ names_in($directory) ], ['GDPR access - Shop - 1'], 'one folder, with its name');
my $files = files_of($folder);
my ($stamp) = join(' ', keys %$files) =~ /count_(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.csv/;
is_deeply([ sort keys %$files ], [ sort 'data.json', 'report.html', "count_$stamp.csv", "purchases_$stamp.csv" ], 'document, page, and a file per question');
is($rows, join("\n", map { "$folder/$_|" . length $files->{$_} } 'data.json', 'report.html', "purchases_$stamp.csv", "count_$stamp.csv"), 'the rows tell of them');
is($files->{"purchases_$stamp.csv"}, "id,note\r\n2,note 2\r\n4,note 4\r\n", 'an answer');
is(mode_of($folder), '700', 'nobody else looks into the folder');
is(mode_of("$folder/$_"), '600', "nor into $_") for sort keys %$files;
query("CREATE TABLE written (bundle jsonb); INSERT INTO written VALUES (\$json\$$files->{'data.json'}\$json\$)");
is(query(q{SELECT bundle - 'generated_at' = effaced_export('1', subject => 'customer') - 'generated_at' FROM written}), 't', 'the document is the export');
my $generated = query(q{SET TimeZone = 'UTC'; SELECT to_jsonb((bundle ->> 'generated_at')::timestamptz) #>> '{}' FROM written});
like($files->{'report.html'}, qr/datetime="\Q$generated\E"/, 'the page shows the same document');
like($files->{'report.html'}, qr/Ada &lt;b&gt;.*<\/html>\n$/s, 'whole');
is(query(q{SELECT event_type, payload FROM effaced_audit_events ORDER BY seq LIMIT 2}),
	qq{export_requested|{"scope": "access"}\nexport_completed|{"scope": "access", "records": 3, "incomplete_sources": []}}, 'one export is recorded');

# A folder that is there, in whatever form, is left alone.
my $before = query($events);
like(failure($write), qr/ZE005: an access folder of this application and subject is there already/, 'not twice');
is_deeply(files_of($folder), $files, 'what was there is as it was');
append_to_file("$directory/GDPR access - Shop - 2", 'mine');
my $two = $write =~ s/'1'/'2'/r;
like(failure($two), qr/ZE005: .* is there already/, 'a file of that name');
is(slurp_file("$directory/GDPR access - Shop - 2"), 'mine', 'is not replaced');
unlink "$directory/GDPR access - Shop - 2";
mkdir "$directory/elsewhere";
symlink("$directory/elsewhere", "$directory/GDPR access - Shop - 2");
like(failure($two), qr/ZE005: .* is there already/, 'a link of that name');
unlink "$directory/GDPR access - Shop - 2";
mkdir "$directory/GDPR access - Shop - 2";
like(failure($two), qr/ZE005: .* is there already/, 'an empty directory of that name');
rmdir "$directory/GDPR access - Shop - 2";
is_deeply([ names_in("$directory/elsewhere") ], [], 'nothing went through the link');
rmdir "$directory/elsewhere";
is(query($events), $before, 'and nothing is recorded');

# Names cannot leave the directory, and different subjects do not meet.
my $nowhere = sub { my ($app) = @_; return "SELECT * FROM effaced_write_access_folder('2', $app, 'customer')"; };
like(failure($nowhere->($_)), qr/ZE005: name of the application is no part of a file name/, "application $_")
  for q{'../evil'}, q{'a/b'}, q{'a\\b'}, q{'..'}, q{'.'}, q{''}, q{E'a\\nb'}, q{E'a\\x7f'}, 'NULL';
like(failure($nowhere->(q{repeat('x', 300)})), qr/ZE005: name of the access folder would be longer than 255 bytes/, 'too long');
$said = failure(q{SELECT * FROM effaced_write_access_folder(repeat('secret', 99) || ':x', 'Shop', 'player')});
like($said, qr/ZE005: name of the access folder would be longer/, 'an identifier that is too long');
unlike($said =~ s/^.*?(?=ERROR)//sr =~ s/\nLINE.*//sr, qr/secretsecret/, 'is not told');
query(q{SELECT * FROM player, LATERAL effaced_write_access_folder(effaced_subject_id(game, nick), 'G', 'player')});
is_deeply([ names_in($directory) ],
	[ sort 'GDPR access - Shop - 1', map {"GDPR access - G - $_"} '..%2F..%2Fx:a%2Fb', '..:..', 'a%252Fb:c', 'a%2Fb:c', 'new%0Aline:tab%09%5C%5C' ],
	'identifiers are encoded, each for itself');
query(q{SELECT * FROM effaced_write_access_folder('2', 'Zoë''s "shop" $HOME', 'customer')});
ok(-d "$directory/GDPR access - Zoë's \"shop\" \$HOME - 2", 'other names are as written');
is(query(q{SELECT count(*) FROM effaced_write_access_folder(99, 'Shop', 'customer')}), 4, 'somebody of whom nothing is held gets a folder that says so');
like(slurp_file("$directory/GDPR access - Shop - 99/report.html"), qr/No personal data is held on this person/, 'in words');
like(failure(q{SELECT * FROM effaced_write_access_folder(NULL::text, 'Shop', 'customer')}), qr/ZE002/, 'an identifier is needed');

# Whole or not at all: what is rolled back is not there.
my @there = names_in($directory);
my $folders_are = sub { my ($what) = @_; is_deeply([ names_in($directory) ], \@there, $what); };
query("BEGIN; $two; ROLLBACK");
$folders_are->('a rollback removes the folder');
query("BEGIN; SAVEPOINT s; $two; ROLLBACK TO s; COMMIT");
$folders_are->('of a savepoint too');
query("BEGIN; SAVEPOINT s; $two; RELEASE s; ROLLBACK");
$folders_are->('and of one that was released');
query("BEGIN; SAVEPOINT a; SAVEPOINT b; $two; RELEASE b; ROLLBACK TO a; COMMIT");
$folders_are->('into one that was not');
query("DO \$\$ BEGIN PERFORM effaced_write_access_folder('2', 'Shop', 'customer'); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$");
$folders_are->('a block with an exception removes it');
like(failure("SELECT count(*), 1 / (count(*) - 4) FROM effaced_write_access_folder('2', 'Shop', 'customer')"), qr/22012/, 'a statement that fails later');
$folders_are->('removes it');
like(failure("BEGIN; $two; $two"), qr/ZE005: .* is there already/, 'twice in a transaction');
$folders_are->('removes the first');
like(failure("BEGIN; $two; PREPARE TRANSACTION 'x'"), qr/0A000: cannot PREPARE a transaction that has written an access folder/, 'no prepared transaction');
$folders_are->('leaves nothing');
my $session = EffacedTest::Session->new($node, 'postgres');
$session->query("BEGIN; $two");
is_deeply([ names_in($directory) ], [ sort @there, 'GDPR access - Shop - 2' ], 'the folder is there within the transaction');
append_to_file("$directory/GDPR access - Shop - 2/other", 'not ours');
like($session->query('ROLLBACK'), qr/WARNING:  could not remove an access folder/, 'what somebody has put in stays, with a warning');
is_deeply([ names_in("$directory/GDPR access - Shop - 2") ], ['other'], 'it alone');
unlink "$directory/GDPR access - Shop - 2/other";
rmdir "$directory/GDPR access - Shop - 2";
# a session that ends
$session->query("BEGIN; $two");
ok(-d "$directory/GDPR access - Shop - 2", 'there again');
query(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE state = 'idle in transaction'});
$session->close;
$folders_are->('a session that is terminated leaves nothing');
# a subtransaction that stays, and one that does not
query("BEGIN; $two; SAVEPOINT s; SELECT * FROM effaced_write_access_folder('2', 'Other', 'customer'); ROLLBACK TO s; COMMIT");
is_deeply([ names_in($directory) ], [ sort @there, 'GDPR access - Shop - 2' ], 'only what is rolled back goes');
@there = names_in($directory);
# a question that fails
query(q{SELECT effaced_register_question('failing', 'failing', 'SELECT 1 / (count(*) - 2) AS a FROM purchase WHERE customer_id::text = $1')});
$before = query($events);
like(failure($write =~ s/Shop/Again/r), qr/22012: question "failing" failed/, 'a question that fails');
$folders_are->('leaves nothing');
is(query($events), $before, 'not in the trail either');
query(q{SELECT effaced_drop_question('failing')});
# no space: a file that may not grow
SKIP:
{
	skip 'a directory without write permission is no obstacle for root', 2 if $> == 0;
	chmod 0500, $directory;
	$said = failure($write =~ s/Shop/Full/r);
	chmod 0700, $directory;
	like($said, qr/42501: could not create an access folder: Permission denied/, 'a directory that cannot be written');
	$folders_are->('is as it was');
}
like(failure("BEGIN READ ONLY; " . $write =~ s/Shop/Read/r), qr/25006/, 'not in a read-only transaction');
$folders_are->('which leaves nothing');

# All of one snapshot: what commits while the first question waits is in no file.
query(q{SELECT effaced_register_question('a wait', 'wait', 'SELECT pg_advisory_lock(1)::text AS locked, pg_advisory_unlock(1) AS unlocked')});
my ($writer, $other) = map { EffacedTest::Session->new($node, 'postgres') } 1, 2;
$other->query('SELECT pg_advisory_lock(1)');
$writer->send($write =~ s/Shop/Snapshot/r);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'}) or die 'nobody waits';
$other->query("INSERT INTO purchase VALUES (5, 1, 'late'), (6, 1, 'late'); DELETE FROM purchase WHERE id = 2; SELECT pg_advisory_unlock(1)");
$writer->receive;
$files = files_of("$directory/GDPR access - Snapshot - 1");
my ($count) = map { $files->{$_} } grep {/^count/} keys %$files;
my ($purchases) = map { $files->{$_} } grep {/^purchases/} keys %$files;
is($count, "n\r\n2\r\n", 'one question and another ...');
is($purchases, "id,note\r\n2,note 2\r\n4,note 4\r\n", '... agree');
my @notes = $files->{'data.json'} =~ /"value": "(note \d)"/g;
is_deeply(\@notes, [ 'note 2', 'note 4' ], 'with the document');
unlike($files->{'report.html'}, qr/late/, 'and the page');
$_->close for $writer, $other;

$node->stop;
done_testing();
