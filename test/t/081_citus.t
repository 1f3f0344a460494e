# A coordinator and two workers of Citus, where that is installed: a shop distributed
# by the user's identifier.

use strict;
use warnings;
use EffacedTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'Citus is not installed' unless -e "$share/extension/citus.control";

my ($coordinator, @workers) = map {
	my $node = PostgreSQL::Test::Cluster->new($_);
	$node->init;
	$node->append_conf('postgresql.conf', qq{
		shared_preload_libraries = 'citus'
		wal_level = logical
		max_prepared_transactions = 20
		citus.node_conninfo = 'sslmode=disable'
		citus.shard_count = 8
	});
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	$node;
} qw(coordinator worker1 worker2);
sub query { return $coordinator->safe_psql('postgres', $_[0]); }
sub error
{
	my ($node, $sql) = @_;
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return $err;
}

query(sprintf q{SELECT citus_set_coordinator_host('%s', %d)}, $coordinator->host, $coordinator->port);
query(sprintf q{SELECT citus_add_node('%s', %d)}, $_->host, $_->port) for @workers;
query('CREATE EXTENSION effaced');
query(q{
	CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, full_name text NOT NULL, since date DEFAULT now());
	CREATE TABLE products (sku text PRIMARY KEY);
	CREATE TABLE orders (user_id bigint, id bigint, note text, PRIMARY KEY (user_id, id));
	CREATE TABLE items (user_id bigint, order_id bigint, line int, sku text, engraving text, PRIMARY KEY (user_id, order_id, line));
	CREATE TABLE invoices (user_id bigint, id bigint, issued_on date, name text NOT NULL, email text, PRIMARY KEY (user_id, id));
	CREATE TABLE lines (user_id bigint, invoice_id bigint, line int, note text NOT NULL, amount int, PRIMARY KEY (user_id, invoice_id, line));
	CREATE TABLE remarks (user_id bigint, invoice_id bigint, line int, id int, text text, stars int, PRIMARY KEY (user_id, invoice_id, line, id));
	SELECT create_reference_table('products');
	SELECT create_distributed_table('users', 'id');
	SELECT create_distributed_table(t, 'user_id', colocate_with => 'users') FROM unnest('{orders,items,invoices,lines,remarks}'::regclass[]) t;
	ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;
	ALTER TABLE items ADD FOREIGN KEY (user_id, order_id) REFERENCES orders;
	ALTER TABLE items ADD FOREIGN KEY (sku) REFERENCES products;
	ALTER TABLE invoices ADD FOREIGN KEY (user_id) REFERENCES users;
	ALTER TABLE lines ADD FOREIGN KEY (user_id, invoice_id) REFERENCES invoices;
	ALTER TABLE remarks ADD FOREIGN KEY (user_id, invoice_id, line) REFERENCES lines;
	INSERT INTO products VALUES ('pen');
	INSERT INTO users SELECT u, u || '@example.com', 'Name ' || u FROM generate_series(1, 40) u;
	INSERT INTO orders SELECT u, k, 'For ' || u FROM generate_series(1, 40) u, generate_series(1, 3) k;
	INSERT INTO items SELECT u, k, l, 'pen', 'E ' || u FROM generate_series(1, 40) u, generate_series(1, 3) k, generate_series(1, 2) l;
	INSERT INTO invoices SELECT u, k, '2024-01-01', 'Name ' || u, u || '@example.com' FROM generate_series(1, 40) u, generate_series(1, 2) k;
	INSERT INTO lines SELECT u, k, l, 'to ' || u, 5 FROM generate_series(1, 40) u, generate_series(1, 2) k, generate_series(1, 2) l;
	INSERT INTO remarks SELECT u, k, l, 1, 'by ' || u, 3 FROM generate_series(1, 40) u, generate_series(1, 2) k, generate_series(1, 2) l;
}
	. label('TABLE users', '{"path": ""}')
	. label('COLUMN users.email', '{"category": "contact", "fact": "email"}')
	. label('COLUMN users.full_name', q({"category": "identity", "surrogate": "'Deleted user #' || id"}))
	. label('TABLE orders', '{"path": "users", "owned": true}')
	. label('COLUMN orders.note', '{"category": "communication"}')
	. label('TABLE items', '{"path": "orders.users", "owned": true}')
	. label('COLUMN items.engraving', '{"category": "identity"}')
	. label('TABLE invoices', '{"path": "users"}')
	. label('COLUMN invoices.name', '{"category": "identity", "erasure": "retain", "retention": {"reason": "tax law", "duration": "10 years", "anchor": "issued_on"}}')
	. label('COLUMN invoices.email', '{"category": "contact", "fact": "email"}')
	. label('TABLE lines', '{"path": "invoices.users"}')
	. label('COLUMN lines.note', '{"category": "communication", "erasure": "anonymize"}')
	. label('TABLE remarks', '{"path": "lines.invoices.users"}')
	. label('COLUMN remarks.text', '{"category": "communication", "erasure": "anonymize"}'));

# Every verb; three hops lock rows by the identifier that they carry.
my $left = q{SELECT (SELECT count(*) FROM orders WHERE user_id = ANY (%1$s)), (SELECT count(*) FROM items WHERE user_id = ANY (%1$s)),
	(SELECT count(*) FROM users WHERE id = ANY (%1$s) AND full_name = 'Deleted user #' || id AND email LIKE 'anon-%%'),
	(SELECT count(*) FROM invoices WHERE user_id = ANY (%1$s) AND name LIKE 'Name %%' AND email LIKE 'anon-%%'),
	(SELECT count(*) FROM lines WHERE user_id = ANY (%1$s) AND note LIKE 'anon-%%'),
	(SELECT count(*) FROM remarks WHERE user_id = ANY (%1$s) AND text LIKE 'anon-%%')};
is(query(q{SELECT effaced_export(1) -> 'records' @> '[{"source": "remarks", "value": "by 1"}]', jsonb_array_length(effaced_export(1) -> 'records'), effaced_export(1) -> 'incomplete_sources'}),
	't|23|[]', 'export finds what is on workers');
like(query('SELECT effaced_erase(1)'), qr/"subject_found": true/, 'erase');
is(query(sprintf $left, q{'{1}'}), '0|0|1|2|4|4', 'nothing of the subject is left');
is(query(q{SELECT effaced_verify(1) ->> 'verified', effaced_verify(2) ->> 'verified'}), 'true|false', 'verify');
query(q{SELECT effaced_erase_many('{2,3,4,5,6,7,8,9}')});
is(query(sprintf $left, q{'{2,3,4,5,6,7,8,9}'}), '0|0|8|16|32|32', 'nor of many, in several shards');
is(query(q{SELECT count(*), count(*) FILTER (WHERE full_name LIKE 'Name %') FROM users}), '40|31', 'others are as they were');
is(query(q{SELECT count(*) FROM orders}), 31 * 3, 'and so are their rows');
like(query(q{SELECT effaced_rectify(10, '[{"category": "contact", "fact": "email", "value": "new"}]')}), qr/"users": 1/, 'rectify');
is(query(q{SELECT count(*) FROM invoices WHERE email = 'new'}), 2, 'in every table');
is(query(q{SELECT expired_rows, expired_subjects FROM effaced_sweep('2100-01-01')}), '80|40', 'sweep counts on all nodes');

# A worker has neither all rows nor the trail; DDL reaches it all the same.
for my $verb (q{effaced_erase(11)}, q{effaced_plan(11)}, q{effaced_export(11)}, q{effaced_lint()}, q{effaced_enable_citus()})
{
	like(error($workers[0], "SELECT $verb"), qr/ZE005: effaced cannot be called on a worker of Citus.*Connect to the coordinator/s, "$verb on a worker");
}
query('ALTER TABLE remarks RENAME COLUMN stars TO points; ALTER TABLE remarks ADD COLUMN extra int');

# What is sent to other nodes: a statement about two subjects goes to their shards alone.
sub notices { my ($out, $err) = ('', ''); $coordinator->psql('postgres', "SET citus.log_remote_commands = on; SET client_min_messages = notice; SELECT $_[0]", stdout => \$out, stderr => \$err); return $err; }
my $sent = () = notices(q{effaced_erase_many('{33,34}')}) =~ /issuing UPDATE public\.remarks_/g;
ok($sent == 1 || $sent == 2, 'few shards for few subjects');

# The trail and other nodes commit together, once that is enabled.
unlike(notices('effaced_erase(12)'), qr/PREPARE TRANSACTION/, 'one phase');
is(query('SELECT * FROM effaced_enable_citus()'), 'effaced_citus_commit|registered', 'enabled');
is(query('SELECT * FROM effaced_enable_citus()'), 'effaced_citus_commit|registered already', 'twice is once');
like(notices('effaced_erase(13)'), qr/PREPARE TRANSACTION.*COMMIT PREPARED/s, 'two phases');
is(query(q{BEGIN; SELECT effaced_erase(14) IS NULL; ROLLBACK; SELECT count(*) FROM orders WHERE user_id = 14;
	SELECT count(*) FROM effaced_audit_events WHERE subject_ref = '14' AND event_type LIKE 'erasure%'}), "f\n3\n0", 'a rollback takes both back');

# Tables that are not colocated: the rows of a subject are in any shard.
query(q{CREATE TABLE parcels (id bigint PRIMARY KEY, user_id bigint, address text);
	CREATE TABLE scans (id bigint PRIMARY KEY, parcel_id bigint, place text);
	SELECT create_distributed_table(t, 'id', colocate_with => 'none') FROM unnest('{parcels,scans}'::regclass[]) t;
	INSERT INTO parcels SELECT u * 10 + k, u, 'of ' || u FROM generate_series(1, 40) u, generate_series(1, 3) k;
	INSERT INTO scans SELECT u * 100 + k * 10 + l, u * 10 + k, 'of ' || u FROM generate_series(1, 40) u, generate_series(1, 3) k, generate_series(1, 2) l;}
	. label('TABLE parcels', '{"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}')
	. label('COLUMN parcels.address', '{"category": "location", "erasure": "anonymize"}')
	. label('TABLE scans', '{"hops": [{"source_columns": ["parcel_id"], "target_table": "parcels", "target_columns": ["id"]}, {"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}], "owned": true}')
	. label('COLUMN scans.place', '{"category": "location"}'));
is(query(q{SELECT string_agg(row_key ->> 'id', ' ') FROM effaced_export_records('20') WHERE source = 'scans'}),
	'2011 2012 2021 2022 2031 2032', 'not colocated: export_records, in order of the key');
is(query(q{SELECT effaced_verify(20) ->> 'verified'; SELECT effaced_erase(20) -> 'deleted' ->> 'scans'; SELECT effaced_verify(20) ->> 'verified'}),
	"false\n6\ntrue", 'verify, erase');
query(q{SELECT effaced_erase_many('{21,22,23}')});
is(query(q{SELECT string_agg(effaced_verify(u::text) ->> 'verified', ' ' ORDER BY u) FROM generate_series(21, 24) u}), 'true true true false', 'erase_many');
is(query(q{SELECT (SELECT count(*) FROM scans), (SELECT count(*) FROM parcels WHERE address LIKE 'of %')}), 36 * 6 . '|' . 36 * 3, 'and nobody else');

# Nor does Citus join a table that it knows with one that it does not.
query(q{CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint, place text);
	CREATE TABLE photos (id bigint PRIMARY KEY, visit_id bigint, place text);
	SELECT citus_add_local_table_to_metadata('visits');
	INSERT INTO visits SELECT u, u, 'of ' || u FROM generate_series(1, 40) u;
	INSERT INTO photos SELECT u, u, 'of ' || u FROM generate_series(1, 40) u;}
	. label('TABLE visits', '{"hops": [{"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}]}')
	. label('COLUMN visits.place', '{"category": "location", "erasure": "anonymize"}')
	. label('TABLE photos', '{"hops": [{"source_columns": ["visit_id"], "target_table": "visits", "target_columns": ["id"]}, {"source_columns": ["user_id"], "target_table": "users", "target_columns": ["id"]}], "owned": true}')
	. label('COLUMN photos.place', '{"category": "location"}'));
query(q{SELECT effaced_erase_many('{29,30}')});
is(query(q{SELECT (SELECT count(*) FROM photos), (SELECT count(*) FROM visits WHERE place LIKE 'of %')}), '38|38', 'local tables');

# Rows of several owners in several shards cannot be locked.
query(q{CREATE TABLE mails (id bigint PRIMARY KEY, sender bigint, recipient bigint, body text);
	SELECT create_distributed_table('mails', 'id', colocate_with => 'none');}
	. label('TABLE mails', '{"owned": true, "links": [' . join(', ', map { qq({"name": "$_", "hops": [{"source_columns": ["$_"], "target_table": "users", "target_columns": ["id"]}]}) } qw(sender recipient)) . ']}')
	. label('COLUMN mails.body', '{"category": "communication"}'));
like(error($coordinator, 'SELECT effaced_erase(24)'), qr/0A000: finding rows of mails failed.*Citus may take no such statement on distributed tables/s, 'several owners');
query('DROP TABLE mails');

# Batches ask producers about one candidate after the other, of whom Citus has to know.
query(q{CREATE FUNCTION crm(candidates text[]) RETURNS TABLE (subject_id text, verdict text) STABLE LANGUAGE plpgsql AS $$
	BEGIN RETURN QUERY SELECT u.id::text, 'ready_for_deletion' FROM users u WHERE u.id = ANY (candidates::bigint[]) AND u.id BETWEEN 25 AND 27; END $$;
	SELECT effaced_register_bucket('shop', 'users');
	SELECT effaced_register_anchor('orders', 'orders', 'items');
	SELECT effaced_register_producer('crm', 'shop', 'crm(text[])', '{orders}', '{}', '{}');
	SELECT effaced_create_deletion_records('shop'), effaced_create_deletion_batches('shop');
	CREATE ROLE officer;
	GRANT EXECUTE ON FUNCTION effaced_review_batch TO officer;
	SET SESSION AUTHORIZATION officer;
	SELECT effaced_review_batch(1, 'accepted', 'seen')});
query('CALL effaced_apply_batch(1)');
is(query('SELECT applied, failed FROM effaced_batch_progress(1)'), '3|0', 'a batch');
is(query('SELECT count(*) FROM orders WHERE user_id BETWEEN 25 AND 28'), 3, 'of which nothing is left');

# A foreign key that Citus does not enforce.
query(q{CREATE TABLE notes (id int PRIMARY KEY, about bigint);
	ALTER TABLE notes ADD CONSTRAINT notes_about_fkey FOREIGN KEY (about) REFERENCES users ON DELETE SET NULL});
is(query(q{SELECT relation, column_name FROM effaced_lint() WHERE code = 'unenforced_reference'}), 'notes|about', 'unenforced_reference');
query(query(q{SELECT hint FROM effaced_lint() WHERE code = 'unenforced_reference'}) =~ s/^/ALTER TABLE notes DROP CONSTRAINT notes_pkey, DROP CONSTRAINT notes_about_fkey; /r);
is(query(q{SELECT count(*) FROM effaced_lint() WHERE code = 'unenforced_reference'}), 0, 'its hint settles it');

# What is refused, before anything changes.
query(label('COLUMN invoices.email', '{"category": "contact", "fact": "email", "erasure": "anonymize", "retention": {"reason": "r", "duration": "1 year", "anchor": "issued_on", "on_expiry": "anonymize"}}'));
like(error($coordinator, 'CALL effaced_enforce_retention()'), qr/ZE005: retention of column "email" of table "invoices" cannot be enforced on a table that Citus distributes/, 'enforcement of retention');
like(error($coordinator, q{SELECT effaced_restriction_policy('orders')}), qr/ZE005: table "orders" cannot have a policy, since Citus knows it/, 'a restriction policy');
# And it goes again, from workers too.
query('DROP EXTENSION effaced');
is($workers[1]->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'effaced'}), 0, 'DROP EXTENSION');

$_->stop for $coordinator, @workers;
done_testing();
