# What a call locks until its transaction ends: no table more than ROW EXCLUSIVE,
# and of rows those that it changes, the subject's, and those that children of
# surviving rows hang from. Asked row by row, by a session that skips what is locked.

use strict;
use warnings;
use EffacedTest;
use File::Basename;
use Test::More;

my $node = start_node('locks');
my ($database, $caller);
sub query { return $node->safe_psql($database, $_[0]); }

# A database with effaced, and with functions to look at rows and their locks.
sub begin_database
{
	my ($name, @files) = @_;
	$database = $name;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	load_file($node, $name, $_) for @files;
	query('CREATE EXTENSION effaced; CREATE SCHEMA look');
	query(q{
		-- every table, with its rows' key as SQL
		CREATE VIEW look.tables AS
		SELECT c.oid::regclass AS relation, string_agg(format('t.%I', a.attname), ', ' ORDER BY array_position(i.indkey::int2[], a.attnum)) AS key
		  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname !~ '^effaced_'
		 GROUP BY c.oid;
		CREATE TABLE look.before (relation regclass, key text, content text, PRIMARY KEY (relation, key));
		CREATE TABLE look.locked (relation regclass, key text);
		CREATE FUNCTION look.rows() RETURNS SETOF look.before LANGUAGE plpgsql AS $$
		DECLARE
			r record;
		BEGIN
			FOR r IN SELECT * FROM look.tables LOOP
				RETURN QUERY EXECUTE format('SELECT %L::regclass, concat_ws(''|'', %s), t::text FROM %s t', r.relation, r.key, r.relation);
			END LOOP;
		END
		$$;
		-- a row that another transaction has any lock on cannot be had FOR UPDATE
		CREATE FUNCTION look.locked() RETURNS SETOF look.locked LANGUAGE plpgsql AS $$
		DECLARE
			r record;
		BEGIN
			FOR r IN SELECT * FROM look.tables LOOP
				RETURN QUERY EXECUTE format('WITH free AS MATERIALIZED (SELECT t.tableoid AS part, t.ctid AS place FROM %3$s t FOR UPDATE SKIP LOCKED)
					SELECT %1$L::regclass, concat_ws(''|'', %2$s) FROM %3$s t LEFT JOIN free f ON f.part = t.tableoid AND f.place = t.ctid
					 WHERE f.place IS NULL', r.relation, r.key, r.relation);
			END LOOP;
		END
		$$;
	});
	$caller = EffacedTest::Session->new($node, $name);
	return;
}

# Run a call in a transaction that stays open while another session looks, and
# tell what is locked beyond the rows that it changes.
sub locks_of
{
	my ($what, $call, $expected, $changes) = @_;
	query('TRUNCATE look.before, look.locked; INSERT INTO look.before SELECT * FROM look.rows()');
	is(query('SELECT count(*) FROM look.locked()'), 0, "$what: nothing is locked before");
	unlike($caller->query("BEGIN; $call"), qr/ERROR/, "$what: done");
	is(query(q{SELECT string_agg(DISTINCT concat_ws(' ', relation::regclass, mode), ', ') FROM pg_locks
			WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			  AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')}), '', "$what: no strong lock of a table");
	cmp_ok(query(q{SELECT count(*) FROM pg_locks l JOIN look.tables t ON t.relation = l.relation::regclass}), '>', 0, "$what: but some");
	query('INSERT INTO look.locked SELECT * FROM look.locked()');
	$caller->query('COMMIT');
	is(query(q{SELECT count(*) FROM look.before b LEFT JOIN look.rows() n USING (relation, key) WHERE n.content IS DISTINCT FROM b.content
			AND NOT EXISTS (SELECT FROM look.locked l WHERE l.relation = b.relation AND l.key = b.key)}), 0, "$what: what was changed was locked");
	is(query(q{SELECT string_agg(format('%s:%s', l.relation, l.key), ' ' ORDER BY l.relation::text, length(l.key), l.key)
			FROM look.locked l JOIN look.before b USING (relation, key) LEFT JOIN look.rows() n USING (relation, key)
			WHERE n.content IS NOT DISTINCT FROM b.content}), $expected, "$what: and besides only what is expected");
	cmp_ok(query(q{SELECT count(*) FROM look.before b LEFT JOIN look.rows() n USING (relation, key) WHERE n.content IS DISTINCT FROM b.content}),
		'==', $changes, "$what: $changes rows were changed");
	return;
}

# The demo shop: orders of others' addresses are let go, invoices are retained, so
# not written, and nothing hangs from them.
my $demo = dirname(__FILE__) . '/../demo';
begin_database('demo', "$demo/shop.sql");
load_file($node, 'demo', "$demo/labels.sql");
locks_of('erase', q{SELECT effaced_erase('2')}, '', 10);
# Orders stay, and what hangs from them.
locks_of('erase again', q{SELECT effaced_erase('2')}, 'orders:201 orders:202 users:2', 0);
locks_of('erase nobody', q{SELECT effaced_erase('4')}, '', 0);
locks_of('rectify', q{SELECT effaced_rectify('3', '[{"category": "contact", "fact": "phone", "value": "+43 1"}]')}, '', 1);
locks_of('rectify to the same', q{SELECT effaced_rectify('3', '[{"category": "communication", "value": "For Carl"}]')}, 'orders:301 users:3', 0);
locks_of('erase some tables', q{SELECT effaced_erase('3', tables => '{login_events}')}, 'users:3', 1);
locks_of('erase many', q{SELECT effaced_erase_many('{3,2,1,7}')}, 'orders:201 orders:202 users:2', 12);
locks_of('read', q{SELECT count(effaced_verify('1')), count(effaced_export('1')), (SELECT count(*) FROM effaced_sweep()) FROM effaced_plan('1')}, '', 0);
$caller->close;

# Pagila: 1 lives alone, 2 and 3 together, 4 where a staff member does. Addresses
# are owned by those who live there, and not shared ones need no more locks.
SKIP:
{
	skip 'no sample database', 1 unless $ENV{EFFACED_DATA} && -e "$ENV{EFFACED_DATA}/pagila-data.sql";
	$node->safe_psql('postgres', q{DO $$ BEGIN
		IF to_regrole('postgres') IS NULL THEN CREATE ROLE postgres SUPERUSER; END IF; END $$});
	begin_database('pagila', map { data_file($_) } 'pagila-schema.sql', 'pagila-data.sql');
	query('UPDATE customer SET address_id = (SELECT address_id FROM customer WHERE customer_id = 2) WHERE customer_id = 3;
		UPDATE customer SET address_id = (SELECT address_id FROM staff WHERE staff_id = 1) WHERE customer_id = 4;'
		. label('TABLE customer', '{"path": ""}') . label('TABLE address', '{"path": "customer(address_id)", "owned": true}')
		. label('COLUMN address.phone', '{"category": "contact"}') . label('COLUMN address.address', '{"category": "location"}')
		. join('', map { label("COLUMN customer.$_", '{"category": "identity"}') } qw(first_name last_name email))
		. label('TABLE rental', '{"path": "customer"}')
		. label('COLUMN rental.return_date', '{"category": "behavioral", "erasure": "anonymize", "surrogate": "NULL"}')
		. label('TABLE payment', '{"hops": [{"source_columns": ["customer_id"], "target_table": "customer", "target_columns": ["customer_id"]}]}')
		. label('COLUMN payment.amount', '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}'));
	my ($ours, $staffs) = map { query("SELECT 'address:' || address_id FROM customer WHERE customer_id = $_") } 2, 4;
	my $returned = sub { return query("SELECT count(*) FROM rental WHERE customer_id IN ($_[0]) AND return_date IS NOT NULL"); };
	locks_of('Pagila, alone', 'SELECT effaced_erase(1)', '', 2 + $returned->(1));
	locks_of('Pagila, with the staff', 'SELECT effaced_erase(4)', $staffs, 1 + $returned->(4));
	locks_of('Pagila, the first of two', 'SELECT effaced_erase(2)', $ours, 1 + $returned->(2));
	locks_of('Pagila, corrected', q{SELECT effaced_rectify(3, '[{"category": "contact", "value": "1"}]')}, 'customer:3', 1);
	locks_of('Pagila, many', q{SELECT effaced_erase_many('{3,5,6}')}, '', 6 + $returned->('3, 5, 6'));
	$caller->close;
}

# Chinook: lines hang from invoices, all of which stay as they are. Then all go.
SKIP:
{
	skip 'no sample database', 1 unless $ENV{EFFACED_DATA} && -e "$ENV{EFFACED_DATA}/chinook.sql";
	begin_database('chinook', data_file('chinook.sql'));
	my $tax = '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
	query(label('TABLE customer', '{"path": ""}') . label('COLUMN customer.email', '{"category": "contact"}')
		. label('TABLE invoice', '{"path": "customer"}') . label('COLUMN invoice.total', $tax)
		. label('TABLE invoice_line', '{"path": "invoice.customer"}') . label('COLUMN invoice_line.track_id', $tax));
	my $invoices = sub { return query("SELECT string_agg('invoice:' || invoice_id, ' ' ORDER BY length(invoice_id::text), invoice_id) FROM invoice WHERE customer_id IN ($_[0])"); };
	locks_of('Chinook, retained', 'SELECT effaced_erase(1)', $invoices->(1), 1);
	locks_of('Chinook, many retained', q{SELECT effaced_erase_many('{2,3}')}, $invoices->('2, 3'), 2);
	query(label('TABLE customer', '{"path": "", "owned": true}') . label('TABLE invoice', '{"path": "customer", "owned": true}')
		. label('TABLE invoice_line', '{"path": "invoice.customer", "owned": true}')
		. label('COLUMN invoice.total', '{"category": "financial"}') . label('COLUMN invoice_line.track_id', '{"category": "behavioral"}')
		. label('TABLE employee', '{"path": "", "owned": true}') . label('COLUMN employee.email', '{"category": "contact"}'));
	my $rows = sub { return query("SELECT count(DISTINCT c) + count(DISTINCT i) + count(*) FROM customer c JOIN invoice i USING (customer_id) JOIN invoice_line USING (invoice_id) WHERE c.customer_id IN ($_[0])"); };
	locks_of('Chinook, deleted', q{SELECT effaced_erase(4, subject => 'customer')}, '', $rows->(4));
	locks_of('Chinook, many deleted', q{SELECT effaced_erase_many('{5,6,7}', subject => 'customer')}, '', $rows->('5, 6, 7'));
	my $served = query('SELECT count(*) FROM customer WHERE support_rep_id = 3');
	locks_of('Chinook, a support rep', q{SELECT effaced_erase(3, subject => 'employee')}, '', 1 + $served);
	$caller->close;
}

$node->stop;
done_testing();
