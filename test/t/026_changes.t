# Every kind of change, made by another session, against every verb: a session that
# has all of them in its caches answers and writes as one that has just begun.
# (021_sessions.t tells what some of the changes do to a plan.)

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('changes');
sub query { return $node->safe_psql('postgres', $_[0]); }

query(q{CREATE EXTENSION effaced; CREATE SCHEMA app; CREATE SCHEMA look;
	CREATE TYPE app.mood AS ENUM ('good', 'bad');
	CREATE DOMAIN app.nickname AS text;
	CREATE TABLE app.person (id int PRIMARY KEY, name text, mail varchar(60), mood app.mood, nick app.nickname, spare text, joined date);
	CREATE TABLE app.post (id int PRIMARY KEY, person_id int CONSTRAINT author REFERENCES app.person, body text, title text, written date);
	CREATE TABLE app.likes (id int PRIMARY KEY, post_id int NOT NULL REFERENCES app.post, emoji text);
	CREATE TABLE app.visit (id int, person_id int REFERENCES app.person, page text, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE app.visit_1 PARTITION OF app.visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE app.thing (id int PRIMARY KEY, person_id int REFERENCES app.person, tag text);
	CREATE TABLE app.toy (PRIMARY KEY (id)) INHERITS (app.thing);
	CREATE TABLE app.stray (id int PRIMARY KEY, person_id int, tag text);
	INSERT INTO app.person SELECT i, 'name', 'a@b', 'good', 'nick', 'spare', '2020-01-01' FROM generate_series(1, 4) i;
	INSERT INTO app.post SELECT i, 1 + i % 4, 'body', 'title', '2020-01-01' FROM generate_series(1, 12) i;
	INSERT INTO app.likes SELECT i, 1 + i % 12, 'heart' FROM generate_series(1, 24) i;
	INSERT INTO app.visit SELECT i, 1 + i % 4, 'page', '2020-02-02' FROM generate_series(1, 8) i;
	INSERT INTO app.thing SELECT i, 1 + i % 4, 'tag' FROM generate_series(1, 4) i;
	INSERT INTO app.toy SELECT i, 1 + i % 4, 'tag' FROM generate_series(5, 8) i;
	INSERT INTO app.stray SELECT i, 1 + i % 4, 'tag' FROM generate_series(1, 4) i;
	CREATE FUNCTION app.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

	-- all rows of all tables, whatever they are called by now
	CREATE FUNCTION look.content() RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		r regclass;
	BEGIN
		FOR r IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text ~ '^(app|site)$' ORDER BY oid LOOP
			RETURN QUERY EXECUTE format('SELECT %L || t::text FROM ONLY %s t ORDER BY 1', r, r);
		END LOOP;
	END
	$$;}
	. label('TABLE app.person', '{"path": ""}')
	. label('COLUMN app.person.name', '{"category": "identity"}')
	. label('COLUMN app.person.mail', '{"category": "contact", "fact": "mail"}')
	. label('COLUMN app.person.mood', q({"category": "special", "surrogate": "'bad'::app.mood"}))
	. label('COLUMN app.person.nick', '{"category": "identity"}')
	. label('TABLE app.post', '{"path": "author"}')
	. label('COLUMN app.post.body', '{"category": "communication"}')
	. label('COLUMN app.post.title', '{"category": "communication", "erasure": "retain", "retention": {"reason": "law", "duration": "1 year", "anchor": "written"}}')
	. label('TABLE app.likes', '{"path": "post.author"}')
	. label('COLUMN app.likes.emoji', '{"category": "behavioral"}')
	. label('TABLE app.visit', '{"path": "person", "owned": true}')
	. label('COLUMN app.visit.page', '{"category": "behavioral"}')
	. label('TABLE app.thing', '{"path": "person"}')
	. label('COLUMN app.thing.tag', '{"category": "contact", "fact": "mail"}')
	# the secret, so that all sessions make the same surrogates
	. q{SELECT effaced_erase('4')});

# What every verb answers, and the rows after it, undone each time.
my %verbs = (
	plan => q{SELECT relation, link, strategy, columns, reason, statement FROM effaced_plan('1')},
	erase => q{SELECT effaced_erase('1')},
	erase_many => q{SELECT effaced_erase_many('{1,3,9}')},
	erase_tables => q{SELECT effaced_erase('1', tables => '{app.visit}')},
	verify => q{SELECT effaced_verify('1')},
	verify_erased => q{SELECT effaced_verify('4')},
	export => q{SELECT effaced_export('1')},
	records => q{SELECT * FROM effaced_export_records('1') ORDER BY row(effaced_export_records.*)::text},
	stream => q{DECLARE c CURSOR FOR SELECT * FROM effaced_export_records('1'); FETCH 3 FROM c; FETCH ALL FROM c},
	rectify => q{SELECT effaced_rectify('1', '[{"category": "contact", "value": "new", "fact": "mail"}, {"category": "communication", "value": "new"}]')},
	sweep => q{SELECT relation, column_name, subject, cutoff, expired_rows, expired_subjects, subject_ids FROM effaced_sweep('2030-01-01')},
	graph => q{SELECT * FROM effaced_subject_graph()},
	manifest => q{SELECT effaced_manifest()},
	subject => q{SELECT effaced_restriction_status('1')},
);

sub answers
{
	my ($session) = @_;
	my %answers;
	for my $verb (sort keys %verbs)
	{
		my $answer = $session->query("BEGIN; $verbs{$verb}; SELECT * FROM look.content(); ROLLBACK");
		$answer =~ s/"(entry_id|generated_at)": "[^"]*"/"$1": .../g;
		$answers{$verb} = $answer;
	}
	return \%answers;
}

sub fresh_answers
{
	my $session = EffacedTest::Session->new($node, 'postgres');
	my $answers = answers($session);
	$session->close;
	return $answers;
}

my $warm = EffacedTest::Session->new($node, 'postgres');
my $other = EffacedTest::Session->new($node, 'postgres');
my $before = answers($warm);
is_deeply($before, fresh_answers(), 'at first');
unlike($before->{$_}, qr/ERROR/, "$_ answers") for sort keys %verbs;

# A change, and which verbs are to answer differently: at least these.
sub change
{
	my ($what, $sql, @affected) = @_;
	my $said = $other->query($sql);
	unlike($said, qr/ERROR/, "$what: done");
	my $answers = answers($warm);
	is_deeply($answers, fresh_answers(), "$what: the session answers as a new one does");
	isnt($answers->{$_}, $before->{$_}, "$what: $_ follows") for @affected;
	$before = $answers;
	return;
}
my @writers = qw(plan erase erase_many);
my @readers = qw(export records stream manifest);

# Labels
change('label set', label('COLUMN app.person.spare', '{"category": "identity"}'), @writers, @readers, 'verify_erased');
change('label changed', label('COLUMN app.person.spare', '{"category": "contact", "fact": "mail", "purpose": "letters"}'), @readers, 'rectify');
change('label with surrogate', label('COLUMN app.person.spare', q({"category": "contact", "fact": "mail", "surrogate": "'gone' || id"})), @writers);
change('label removed', 'SECURITY LABEL FOR effaced ON COLUMN app.person.spare IS NULL', @writers, @readers, 'rectify', 'verify_erased');
change('label in a comment', q{COMMENT ON COLUMN app.person.spare IS 'note @effaced {"category": "contact", "fact": "mail"}'}, @writers, @readers, 'rectify');
change('label in a comment changed', q{COMMENT ON COLUMN app.person.spare IS '@effaced {"category": "identity"}'}, @readers, 'rectify');
change('label in a comment removed', q{COMMENT ON COLUMN app.person.spare IS NULL}, @writers, @readers);
change('table label changed', label('TABLE app.thing', '{"path": "person", "owned": true}'), 'plan');
change('condition of a table label', label('TABLE app.thing', '{"path": "person", "where": "id > 5"}'), @writers, @readers, 'rectify');
change('role of a table label', label('TABLE app.thing', '{"path": "person", "role": "accessor"}'), @writers, @readers, 'rectify');
change('"set" of a table label', label('TABLE app.post', '{"path": "author", "set": {"written": "NULL"}}'), @writers);
change('"set" gone', label('TABLE app.post', '{"path": "author"}'), @writers);
change('the table label back', label('TABLE app.thing', '{"path": "person"}'), 'manifest');
change('table label in a comment', q{COMMENT ON TABLE app.stray IS '@effaced {"hops": [{"source_columns": ["person_id"], "target_table": "app.person", "target_columns": ["id"]}]}';}
	. label('COLUMN app.stray.tag', '{"category": "contact", "fact": "mail"}'), @writers, @readers, 'rectify', 'verify');
change('table label in a comment removed', q{COMMENT ON TABLE app.stray IS NULL; SECURITY LABEL FOR effaced ON COLUMN app.stray.tag IS NULL}, @writers, @readers, 'rectify', 'verify');
change('retention', label('COLUMN app.post.title', '{"category": "communication", "erasure": "retain", "retention": {"reason": "another law", "duration": "20 years", "anchor": "written"}}'), 'plan', @readers, 'sweep');

# References to external systems
change('resolver registered', q{SELECT effaced_register_resolver('stripe')}, 'erase', 'rectify');
change('label with a reference', label('COLUMN app.person.spare', '{"category": "technical", "ref": "stripe"}'), @writers, 'rectify');
change('resolver gone', q{DELETE FROM effaced.effaced_resolvers}, 'erase', 'erase_many');
change('reference gone', 'SECURITY LABEL FOR effaced ON COLUMN app.person.spare IS NULL', 'erase', 'rectify', 'export');

# Columns and types
change('column added', 'ALTER TABLE app.likes ADD at date', @writers);
change('column labelled', label('COLUMN app.likes.at', '{"category": "behavioral"}'), @writers);
change('column renamed', 'ALTER TABLE app.thing RENAME tag TO "a ""tag"""', @readers);
change('column dropped', 'ALTER TABLE app.likes DROP at', 'manifest');
change('labelled column dropped', 'ALTER TABLE app.person DROP nick', @writers, @readers);
change('column of that name again', 'ALTER TABLE app.person ADD nick app.nickname');
change('and labelled', label('COLUMN app.person.nick', '{"category": "identity"}'), 'plan');
change('type', 'UPDATE app.person SET mail = $$a@b$$; ALTER TABLE app.person ALTER mail TYPE varchar(12)', @writers, 'verify_erased');
change('type of a key', 'ALTER TABLE app.person ALTER id TYPE bigint', 'plan');
change('foreign key replaced', 'ALTER TABLE app.post DROP CONSTRAINT author; ALTER TABLE app.post ADD CONSTRAINT author FOREIGN KEY (person_id) REFERENCES app.person');
change('column not null', q{ALTER TABLE app.post ALTER body SET NOT NULL}, 'plan');
change('and null', q{ALTER TABLE app.post ALTER body DROP NOT NULL}, 'plan');
change('generated column', q{ALTER TABLE app.person ADD made text GENERATED ALWAYS AS (name || '!') STORED;} . label('COLUMN app.person.made', '{"category": "identity"}'), @writers, @readers);
change('generated column gone', 'ALTER TABLE app.person DROP made', @writers, @readers);
change('value of an enum', q{ALTER TYPE app.mood ADD VALUE 'so so'});
change('value of an enum renamed', q{ALTER TYPE app.mood RENAME VALUE 'bad' TO 'worse'}, @writers);
change('and renamed back', q{ALTER TYPE app.mood RENAME VALUE 'worse' TO 'bad'}, @writers);
change('type renamed', 'ALTER TYPE app.mood RENAME TO temper', @writers);
change('type renamed back', 'ALTER TYPE app.temper RENAME TO mood', @writers);
change('check of a domain', q{ALTER DOMAIN app.nickname ADD CONSTRAINT short CHECK (length(VALUE) < 50)}, @writers);
change('check of a domain gone', 'ALTER DOMAIN app.nickname DROP CONSTRAINT short', @writers);
change('domain not null', q{UPDATE app.person SET nick = ''; ALTER DOMAIN app.nickname SET NOT NULL}, @writers);
change('domain null', 'ALTER DOMAIN app.nickname DROP NOT NULL', 'plan');

# Constraints and indexes
change('check', q{ALTER TABLE app.person ADD CONSTRAINT neat CHECK (length(name) < 100)}, @writers);
change('check gone', 'ALTER TABLE app.person DROP CONSTRAINT neat', @writers);
change('unique index', q{UPDATE app.person SET mail = id; CREATE UNIQUE INDEX once ON app.person (mail)}, @writers);
change('unique index gone', 'DROP INDEX app.once', @writers);
change('foreign key that blocks', 'CREATE TABLE app.flag (id int PRIMARY KEY, likes_id int NOT NULL CONSTRAINT flagged REFERENCES app.likes); INSERT INTO app.flag SELECT id, id FROM app.likes', @writers);
change('foreign key that cascades', 'ALTER TABLE app.flag DROP CONSTRAINT flagged, ADD CONSTRAINT flagged FOREIGN KEY (likes_id) REFERENCES app.likes ON DELETE CASCADE', @writers);
change('foreign key that sets NULL', 'ALTER TABLE app.flag ALTER likes_id DROP NOT NULL, DROP CONSTRAINT flagged, ADD CONSTRAINT flagged FOREIGN KEY (likes_id) REFERENCES app.likes ON DELETE SET NULL', @writers);
change('foreign key renamed', 'ALTER TABLE app.flag RENAME CONSTRAINT flagged TO waved', 'plan');
change('its table labelled, and detached', 'ALTER TABLE app.flag DROP CONSTRAINT waved, ADD CONSTRAINT flagged FOREIGN KEY (likes_id) REFERENCES app.likes, ADD note text;'
	. label('TABLE app.flag', '{"path": "likes.post.author"}') . label('COLUMN app.flag.note', '{"category": "behavioral"}'), @writers);
change('foreign key deferrable', 'ALTER TABLE app.flag ALTER CONSTRAINT flagged DEFERRABLE INITIALLY DEFERRED');
change('its table gone', 'DROP TABLE app.flag', @writers);
change('new table with an inferred way', q{CREATE TABLE app.purchase (id int PRIMARY KEY, person_id int REFERENCES app.person, other_id int, mail text); INSERT INTO app.purchase SELECT i, i, i, 'a@b' FROM generate_series(1, 3) i;}
	. label('COLUMN app.purchase.mail', '{"category": "contact", "fact": "mail"}'), @writers, 'export', 'rectify', 'graph');
change('a second way', 'ALTER TABLE app.purchase ADD CONSTRAINT other FOREIGN KEY (other_id) REFERENCES app.person', @writers, 'export', 'rectify', 'verify', 'graph', 'sweep') ;
change('one of them gone', 'ALTER TABLE app.purchase DROP CONSTRAINT other', @writers, 'export', 'rectify', 'verify', 'graph');
change('a table in between', 'CREATE TABLE app.between (id int PRIMARY KEY, person_id int REFERENCES app.person); ALTER TABLE app.purchase ADD between_id int REFERENCES app.between', @writers, 'graph');
change('and gone', 'DROP TABLE app.between CASCADE', @writers, 'graph');
change('primary key gone', 'ALTER TABLE app.purchase DROP CONSTRAINT purchase_pkey', 'records', 'export');
change('another primary key', 'ALTER TABLE app.purchase ADD PRIMARY KEY (other_id)', 'records', 'export');
change('the foreign key of a path gone', 'ALTER TABLE app.post DROP CONSTRAINT author', @writers, 'export', 'rectify', 'verify');
change('the foreign key of a path back', 'ALTER TABLE app.post ADD CONSTRAINT author FOREIGN KEY (person_id) REFERENCES app.person', @writers, 'export', 'rectify', 'verify');

# Partitions and children
change('partition added', q{CREATE TABLE app.visit_2 PARTITION OF app.visit FOR VALUES FROM ('2021-01-01') TO ('2022-01-01'); INSERT INTO app.visit VALUES (21, 1, 'page', '2021-02-02')}, 'erase', 'erase_many', 'records', 'verify');
change('partition attached', q{CREATE TABLE app.visit_3 (LIKE app.visit INCLUDING INDEXES); INSERT INTO app.visit_3 VALUES (31, 1, 'page', '2022-02-02');
	ALTER TABLE app.visit ATTACH PARTITION app.visit_3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')}, 'erase', 'erase_many', 'records', 'verify');
change('partition detached', 'ALTER TABLE app.visit DETACH PARTITION app.visit_3', 'erase', 'erase_many', 'records', 'verify');
change('partition attached again', q{ALTER TABLE app.visit ATTACH PARTITION app.visit_3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')}, 'erase', 'records');
change('partition detached concurrently', 'ALTER TABLE app.visit DETACH PARTITION app.visit_3 CONCURRENTLY', 'erase', 'records');
change('trigger on a partition', 'CREATE TRIGGER swallow BEFORE DELETE ON app.visit_2 FOR EACH ROW EXECUTE FUNCTION app.swallow()', 'erase', 'erase_many', 'erase_tables');
change('partition dropped', 'DROP TABLE app.visit_2', 'erase', 'erase_many', 'erase_tables', 'records');
change('foreign key to a partition', 'CREATE TABLE app.seen (visit_id int, at date, FOREIGN KEY (visit_id, at) REFERENCES app.visit_1); INSERT INTO app.seen SELECT id, at FROM app.visit_1', @writers);
change('and gone', 'DROP TABLE app.seen', @writers);
change('child table', q{CREATE TABLE app.doll () INHERITS (app.thing); INSERT INTO app.doll VALUES (9, 1, 'tag')}, 'erase', 'erase_many', 'records', 'rectify');
change('child table that adds a column', 'ALTER TABLE app.doll ADD dress text');
change('child no more', 'ALTER TABLE app.doll NO INHERIT app.thing', 'erase', 'erase_many', 'records', 'rectify');
change('child again', 'ALTER TABLE app.doll INHERIT app.thing', 'erase', 'erase_many', 'records', 'rectify');
change('child gone', 'DROP TABLE app.doll', 'erase', 'erase_many', 'export', 'rectify');

# Triggers and rules
change('trigger', 'CREATE TRIGGER swallow BEFORE DELETE ON app.likes FOR EACH ROW EXECUTE FUNCTION app.swallow()', 'erase', 'erase_many');
change('trigger disabled', 'ALTER TABLE app.likes DISABLE TRIGGER swallow', 'erase', 'erase_many');
change('trigger enabled', 'ALTER TABLE app.likes ENABLE TRIGGER swallow', 'erase', 'erase_many');
change('trigger gone', 'DROP TRIGGER swallow ON app.likes', 'erase', 'erase_many');
change('trigger on an update', 'CREATE TRIGGER swallow BEFORE UPDATE ON app.post FOR EACH ROW EXECUTE FUNCTION app.swallow()', 'erase', 'erase_many', 'rectify');
change('trigger gone', 'DROP TRIGGER swallow ON app.post', 'erase', 'erase_many', 'rectify');
change('rule', 'CREATE RULE nothing AS ON DELETE TO app.likes DO INSTEAD NOTHING', 'erase', 'erase_many');
change('rule gone', 'DROP RULE nothing ON app.likes', 'erase', 'erase_many');

# Names and tables
change('table renamed', 'ALTER TABLE app.post RENAME TO "an ""article"""', @writers, @readers, 'rectify', 'sweep');
change('table renamed back', 'ALTER TABLE app."an ""article""" RENAME TO post', @writers, @readers, 'rectify', 'sweep');
change('constraint renamed', 'ALTER TABLE app.post RENAME CONSTRAINT author TO writer', @writers, 'export', 'rectify');
change('constraint renamed back', 'ALTER TABLE app.post RENAME CONSTRAINT writer TO author', @writers, 'export', 'rectify');
change('names swapped', 'BEGIN; ALTER TABLE app.likes RENAME TO x; ALTER TABLE app.thing RENAME TO likes; ALTER TABLE app.x RENAME TO thing; COMMIT', @writers, @readers);
change('names swapped back', 'BEGIN; ALTER TABLE app.likes RENAME TO x; ALTER TABLE app.thing RENAME TO likes; ALTER TABLE app.x RENAME TO thing; COMMIT', @writers, @readers);
change('rewritten', 'TRUNCATE app.stray; VACUUM FULL app.post');
change('unlogged', 'ALTER TABLE app.stray SET UNLOGGED');
change('schema renamed', 'ALTER SCHEMA app RENAME TO site; ALTER FUNCTION site.swallow() RENAME TO gulp', @writers, @readers, 'rectify', 'sweep');
change('schema renamed back', 'ALTER SCHEMA site RENAME TO app', @writers, @readers, 'rectify', 'sweep');
change('schema of a table', 'CREATE SCHEMA site; ALTER TABLE app.likes SET SCHEMA site', @writers, @readers);
change('table gone', 'DROP TABLE site.likes', @writers, @readers);
change('table replaced', 'BEGIN; DROP TABLE app.purchase; CREATE TABLE app.purchase (id text PRIMARY KEY, person_id bigint REFERENCES app.person, mail text); INSERT INTO app.purchase VALUES ($$x$$, 1, $$a@b$$);'
	. label('COLUMN app.purchase.mail', '{"category": "contact", "fact": "mail"}') . 'COMMIT', @writers, 'export', 'rectify');
# A change that is not committed yet when the call begins, and is when the call gets
# to the table: it goes by what there is then.
sub change_meanwhile
{
	my ($what, $sql, $call, $expected, $undo) = @_;
	$warm->query("BEGIN; $call; ROLLBACK");
	unlike($other->query("BEGIN; $sql"), qr/ERROR/, "$what: done");
	$warm->send("BEGIN; $call; SELECT * FROM look.content(); ROLLBACK");
	$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)') or die "$what: the call does not wait";
	$other->query('COMMIT');
	like($warm->receive, $expected, "$what meanwhile: noticed");
	unlike($other->query($undo), qr/ERROR/, "$what: undone");
	return;
}
my $swallow = 'CREATE TRIGGER swallow BEFORE DELETE OR UPDATE ON app.thing FOR EACH ROW EXECUTE FUNCTION app.gulp()';
my $spits = 'DROP TRIGGER swallow ON app.thing';
my $swallowed = qr/rows of table "thing" were not written as planned/;
change_meanwhile('a trigger', $swallow, q{SELECT effaced_erase('1')}, $swallowed, $spits);
change_meanwhile('a trigger, for many', $swallow, q{SELECT effaced_erase_many('{1,3}')}, $swallowed, $spits);
change_meanwhile('a trigger, for a correction', $swallow, $verbs{rectify}, $swallowed, $spits);
change_meanwhile('a trigger on a child', $swallow =~ s/thing/toy/r, q{SELECT effaced_erase('1')}, $swallowed, $spits =~ s/thing/toy/r);
change_meanwhile('a column', q{ALTER TABLE app.thing ADD price int}, q{SELECT effaced_erase('1')}, qr/app\.thing\(4,1,anon-\w+,\)/, 'ALTER TABLE app.thing DROP price');
change_meanwhile('a column, for many', q{ALTER TABLE app.thing ADD price int}, q{SELECT effaced_erase_many('{1,3}')}, qr/app\.thing\(4,1,anon-\w+,\)/, 'ALTER TABLE app.thing DROP price');
change_meanwhile('a foreign key that cascades', q{CREATE TABLE app.part (id int PRIMARY KEY, thing_id int REFERENCES app.thing ON DELETE CASCADE); INSERT INTO app.part VALUES (1, 4)},
	q{SELECT effaced_erase('1')}, qr/ERROR.*part/s, 'DROP TABLE app.part');
change_meanwhile('a label with a column', q{ALTER TABLE app.thing ADD mail text DEFAULT 'a@b';} . label('COLUMN app.thing.mail', '{"category": "contact", "fact": "mail"}'),
	$verbs{rectify}, qr/app\.thing\(4,1,new,new\)/, 'ALTER TABLE app.thing DROP mail');
change_meanwhile('another name', 'ALTER TABLE app.thing RENAME TO object', q{SELECT effaced_erase_many('{1,3}')}, qr/"app\.object": 4/, 'ALTER TABLE app.object RENAME TO thing');
change_meanwhile('the end of a table', 'DROP TABLE app.purchase', q{SELECT effaced_erase('1')}, qr/"app\.thing": 2/, 'SELECT 1');

# Batches take turns with changes in the same way.
$other->query(label('COLUMN app.post.title', '{"category": "communication", "erasure": "retain", "retention": {"reason": "law", "duration": "1 year", "anchor": "written", "on_expiry": "delete"}}'));
like($warm->query(q{CALL effaced_enforce_retention('2020-06-01')}), qr/ 0 deleted/, 'nothing has expired');
$other->query('CREATE TABLE app.part (id int PRIMARY KEY, post_id int); INSERT INTO app.part VALUES (1, 4);
	BEGIN; ALTER TABLE app.part ADD FOREIGN KEY (post_id) REFERENCES app.post ON DELETE CASCADE');
$warm->send(q{CALL effaced_enforce_retention('2030-01-01')});
$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)') or die 'the call does not wait';
$other->query('COMMIT');
unlike($warm->receive, qr/ERROR/, 'and then all have');
is(query(q{SELECT string_agg(id::text, ' ') FROM app.post}), 4, 'but one that is referenced now');
is(query('SELECT count(*) FROM app.part'), 1, 'by what has not gone with it');
$before = answers($warm);
is_deeply($before, fresh_answers(), 'after all of that');

change('another subject table', label('TABLE app.post', '{"path": "", "subject": "text"}'), @writers, 'export', 'rectify', 'verify', 'sweep');
change('none', 'SELECT effaced_remove_labels()', @writers, 'export', 'rectify', 'verify', 'sweep', 'manifest');

$warm->close;
$other->close;
$node->stop;
done_testing();
