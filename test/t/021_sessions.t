# A session that has everything in its caches notices at once what another one
# changes: labels, comments, keys, columns, names, constraints, triggers.

use strict;
use warnings;
use EffacedTest;
use Test::More;

my $node = start_node('main', 'max_prepared_transactions = 2');
$node->safe_psql('postgres', 'CREATE EXTENSION effaced');
$node->safe_psql('postgres', q{
	CREATE SCHEMA app;
	CREATE DOMAIN app.nickname AS text;
	CREATE TABLE app.person (id int PRIMARY KEY, name text, nick app.nickname, grade int, joined date);
	CREATE TABLE app.post (id int PRIMARY KEY, person_id int NOT NULL CONSTRAINT author REFERENCES app.person, body text, title text);
	CREATE TABLE app.likes (id int PRIMARY KEY, post_id int REFERENCES app.post, emoji text);
	INSERT INTO app.person SELECT i, 'name ' || i, 'nick ' || i, i, '2020-01-01' FROM generate_series(1, 20) i;
	INSERT INTO app.post SELECT i, 1 + i % 20, 'body', 'title' FROM generate_series(1, 40) i;
	INSERT INTO app.likes SELECT i, 1 + i % 40, 'heart' FROM generate_series(1, 40) i;
}
	. label('TABLE app.person', '{"path": ""}')
	. label('COLUMN app.person.name', '{"category": "identity"}')
	. label('COLUMN app.person.nick', '{"category": "identity"}')
	. label('TABLE app.post', '{"path": "author"}')
	. label('COLUMN app.post.body', '{"category": "communication"}')
	. label('TABLE app.likes', '{"path": "post.author"}')
	. label('COLUMN app.likes.emoji', '{"category": "behavioral"}'));

my $warm = EffacedTest::Session->new($node, 'postgres', verbosity => 'verbose');
my $other = EffacedTest::Session->new($node, 'postgres');
my $person = 0;

sub plan_of_warm { return $warm->query(q{SELECT string_agg(relation || ':' || strategy || ':' || array_to_string(columns, '+'), ' ' ORDER BY step) FROM effaced_plan('1')}); }
sub erase_in_warm
{
	$person++;
	return $warm->query("SELECT concat_ws(' ', e -> 'deleted', e -> 'anonymized') FROM effaced_erase('$person') e");
}

# Tell what a change of the other session does to the plan of the warm one.
sub noticed
{
	my ($change, $sql, $expected) = @_;
	$warm->query('SELECT count(*) FROM effaced_plan(1)');
	my $said = $other->query($sql);
	unlike($said, qr/ERROR/, "$change: done");
	my $plan = plan_of_warm();
	if (ref $expected) { like($plan, $expected, "$change: noticed"); }
	else { is($plan, $expected, "$change: noticed"); }
	return;
}

my $start = 'app.likes:delete: app.post:anonymize:body app.person:anonymize:name+nick';
# likes hang from posts, which survive
is(plan_of_warm(), $start, 'the plan at first');
is(erase_in_warm(), '{"app.likes": 2} {"app.post": 2, "app.person": 1}', 'and an erasure');

noticed('a label', label('COLUMN app.post.title', '{"category": "communication"}'), qr/^app.likes:delete: app.post:delete: app.person/);
noticed('a label gone', 'SECURITY LABEL FOR effaced ON COLUMN app.post.title IS NULL', $start);
noticed('another label', label('COLUMN app.person.name', '{"category": "identity", "erasure": "retain", "retention": {"reason": "law"}}'),
	'app.likes:delete: app.post:anonymize:body app.person:anonymize:nick app.person:retain:name');
noticed('the former label', label('COLUMN app.person.name', '{"category": "identity"}'), $start);
noticed('a label in a comment', q{COMMENT ON COLUMN app.person.grade IS 'mark @effaced {"category": "behavioral"}'},
	'app.likes:delete: app.post:anonymize:body app.person:anonymize:name+nick+grade');
noticed('a comment changed', q{COMMENT ON COLUMN app.person.grade IS 'mark'}, $start);
noticed('a table label', label('TABLE app.post', '{"path": "author", "owned": true}'), 'app.likes:delete: app.post:delete: app.person:anonymize:name+nick');
noticed('the former table label', label('TABLE app.post', '{"path": "author"}'), $start);

# In the middle of the other's transaction nothing shows, at its end everything does.
$other->query('BEGIN;' . label('TABLE app.post', '{"path": "author", "owned": true}'));
is(plan_of_warm(), $start, 'uncommitted labels do not show');
$other->query('ROLLBACK');
is(plan_of_warm(), $start, 'nor do those rolled back');
$warm->query('BEGIN');
is(plan_of_warm(), $start, 'a transaction is open');
$other->query(label('TABLE app.post', '{"path": "author", "owned": true}'));
is(plan_of_warm(), 'app.likes:delete: app.post:delete: app.person:anonymize:name+nick', 'a label that was committed meanwhile is seen inside it');
$warm->query('COMMIT');
$other->query(label('TABLE app.post', '{"path": "author"}'));

# Keys, columns, constraints and triggers.
noticed('a foreign key', 'CREATE TABLE app.flag (id int, likes_id int CONSTRAINT flagged REFERENCES app.likes)',
	"app.flag:blocker:likes_id $start");
noticed('its action', 'ALTER TABLE app.flag DROP CONSTRAINT flagged, ADD CONSTRAINT flagged FOREIGN KEY (likes_id) REFERENCES app.likes ON DELETE SET NULL',
	"app.flag:side_effect:likes_id $start");
noticed('its end', 'DROP TABLE app.flag', $start);
noticed('a column gone', 'ALTER TABLE app.person DROP COLUMN nick', 'app.likes:delete: app.post:anonymize:body app.person:anonymize:name');
noticed('a column that comes', 'ALTER TABLE app.likes ADD at date',
	'app.likes:anonymize:emoji app.post:anonymize:body app.person:anonymize:name');
noticed('its label', label('COLUMN app.likes.at', '{"category": "behavioral"}'), 'app.likes:delete: app.post:anonymize:body app.person:anonymize:name');
noticed('a column renamed', 'ALTER TABLE app.person RENAME name TO full_name', 'app.likes:delete: app.post:anonymize:body app.person:anonymize:full_name');
noticed('a table renamed', 'ALTER TABLE app.post RENAME TO article', 'app.likes:delete: app.article:anonymize:body app.person:anonymize:full_name');
noticed('a schema renamed', 'ALTER SCHEMA app RENAME TO site', 'site.likes:delete: site.article:anonymize:body site.person:anonymize:full_name');
is(erase_in_warm(), '{"site.likes": 2} {"site.person": 1, "site.article": 2}', 'and erased under the new names');
noticed('another schema', 'CREATE SCHEMA app; ALTER TABLE site.likes SET SCHEMA app', 'app.likes:delete: site.article:anonymize:body site.person:anonymize:full_name');
noticed('a type', 'ALTER TABLE site.person ALTER full_name TYPE varchar(10) USING left(full_name, 10)', qr/full_name/);
is(erase_in_warm(), '{"app.likes": 2} {"site.person": 1, "site.article": 2}', 'and erased with the new type');
is($node->safe_psql('postgres', "SELECT length(full_name) FROM site.person WHERE id = $person"), 10, 'in its length');
noticed('a constraint', q{ALTER TABLE site.person ADD CONSTRAINT looks_good CHECK (full_name ~ '^name' OR id < 5)}, qr/ZE004: label of column "full_name" of table "person" must give a surrogate/);
noticed('its end', 'ALTER TABLE site.person DROP CONSTRAINT looks_good', qr/full_name/);
noticed('a unique index', 'CREATE UNIQUE INDEX distinct_names ON site.person (full_name)', qr/ZE004: .* must give a surrogate/);
noticed('its end', 'DROP INDEX site.distinct_names', qr/full_name/);
noticed('a type of a domain', 'ALTER TABLE site.person ALTER full_name TYPE site.nickname', qr/full_name/);
noticed('a check of the domain', q{ALTER DOMAIN site.nickname ADD CONSTRAINT short CHECK (length(VALUE) < 50)}, qr/ZE004: .* must give a surrogate/);
noticed('its end', 'ALTER DOMAIN site.nickname DROP CONSTRAINT short', qr/full_name/);
noticed('a domain over a domain', 'CREATE DOMAIN site.handle AS site.nickname; ALTER TABLE site.person ALTER full_name TYPE site.handle', qr/full_name/);
noticed('a check of the domain below', q{ALTER DOMAIN site.nickname ADD CONSTRAINT short CHECK (length(VALUE) < 50)}, qr/ZE004: .* must give a surrogate/);
noticed('its end', 'ALTER DOMAIN site.nickname DROP CONSTRAINT short', qr/full_name/);
noticed('a type back', 'ALTER TABLE site.person ALTER full_name TYPE text', qr/full_name/);
noticed('a foreign key into a surviving row', 'ALTER TABLE site.person ADD UNIQUE (full_name); CREATE TABLE site.alias (name text REFERENCES site.person (full_name))',
	qr/ZE001: column "full_name" of table "person" is referenced by a foreign key/);
noticed('its end', 'DROP TABLE site.alias', qr/full_name/);

$warm->query(q{SELECT effaced_plan('1')});
$other->query(q{CREATE FUNCTION site.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER swallow BEFORE DELETE ON app.likes FOR EACH ROW EXECUTE FUNCTION site.swallow()});
like(erase_in_warm(), qr/ZE004: rows of table "likes" were not written as planned/, 'a trigger that swallows: noticed');
$other->query('ALTER TABLE app.likes DISABLE TRIGGER swallow');
$person--;
is(erase_in_warm(), '{"app.likes": 2} {"site.person": 1, "site.article": 2}', 'its end: noticed');
$other->query('ALTER TABLE app.likes ENABLE ALWAYS TRIGGER swallow');
like(erase_in_warm(), qr/ZE004: rows of table "likes" were not written as planned/, 'enabled again: noticed');
$other->query('DROP TRIGGER swallow ON app.likes');

$other->query('ALTER TABLE site.article ENABLE ROW LEVEL SECURITY');
like(erase_in_warm(), qr/"site.article": 2/, 'row-level security does not apply to the owner');
$other->query('GRANT USAGE ON SCHEMA site, app TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA site, app TO PUBLIC; CREATE ROLE clerk; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO clerk');
$warm->query('SET ROLE clerk');
like(erase_in_warm(), qr/42501/, 'the role changed in the session: row-level security applies');
$other->query('ALTER TABLE site.article DISABLE ROW LEVEL SECURITY');
like(erase_in_warm(), qr/"site.article": 2/, 'and no more');
$other->query('REVOKE ALL ON app.likes FROM PUBLIC');
like(erase_in_warm(), qr/42501/, 'a privilege revoked');
$warm->query('RESET ROLE');

# Whose labels count.
$other->query('CREATE ROLE shopkeeper; CREATE ROLE landlord');
my $without_likes = qr/^site.article:anonymize:body/;
my $with_likes = qr/^app.likes:delete/;
noticed('an owner who does not count', 'ALTER TABLE app.likes OWNER TO shopkeeper', qr/ZE003|$without_likes/);
noticed('admitted', q{SELECT effaced_admit_labels('shopkeeper')}, $with_likes);
noticed('a name changed', 'ALTER ROLE shopkeeper RENAME TO merchant', qr/ZE003|$without_likes/);
noticed('the former name', 'ALTER ROLE merchant RENAME TO shopkeeper', $with_likes);
noticed('expelled', q{SELECT effaced_expel_labels('shopkeeper')}, qr/ZE003|$without_likes/);
noticed('a superuser', 'ALTER ROLE shopkeeper SUPERUSER', $with_likes);
noticed('no more', 'ALTER ROLE shopkeeper NOSUPERUSER', qr/ZE003|$without_likes/);
noticed('a membership', 'ALTER DATABASE postgres OWNER TO landlord; GRANT landlord TO shopkeeper', $with_likes);
noticed('no more a member', 'REVOKE landlord FROM shopkeeper', qr/ZE003|$without_likes/);
noticed('the owner of the database', 'ALTER DATABASE postgres OWNER TO shopkeeper', $with_likes);
noticed('and another', 'ALTER DATABASE postgres OWNER TO CURRENT_USER', qr/ZE003|$without_likes/);
noticed('a trusted owner', 'ALTER TABLE app.likes OWNER TO CURRENT_USER', $with_likes);
my $map_before = $warm->query(q{SELECT ident FROM pg_backend_memory_contexts WHERE name = 'effaced data map'});
$other->query(q{ALTER ROLE shopkeeper SET work_mem = '4MB'; CREATE ROLE passer_by; GRANT passer_by TO shopkeeper});
plan_of_warm();
is($warm->query(q{SELECT ident FROM pg_backend_memory_contexts WHERE name = 'effaced data map'}), $map_before,
	'what changes no right leaves the map alone');

noticed('a table gone', 'DROP TABLE app.likes', 'site.article:anonymize:body site.person:anonymize:full_name');
is(erase_in_warm(), '{} {"site.person": 1, "site.article": 2}', 'and erased without it');
noticed('the foreign key of a path gone', 'ALTER TABLE site.article DROP CONSTRAINT author', qr/ZE001: segment "author" of a path fits no foreign key/);
noticed('the foreign key back', 'ALTER TABLE site.article ADD CONSTRAINT author FOREIGN KEY (person_id) REFERENCES site.person', qr/site.article:anonymize:body/);
noticed('a table and its labels replaced', 'BEGIN; DROP TABLE site.article; CREATE TABLE site.article (id int PRIMARY KEY, person_id int CONSTRAINT author REFERENCES site.person, body text);'
	. label('TABLE site.article', '{"path": "author"}') . label('COLUMN site.article.body', '{"category": "communication"}') . 'COMMIT',
	'site.article:delete: site.person:anonymize:full_name');

# The extension itself.
$other->query('SELECT effaced_remove_labels()');
like($warm->query(q{SELECT effaced_erase('9')}), qr/ZE002/, 'all labels gone: noticed');
$other->query('DROP EXTENSION effaced; CREATE SCHEMA gdpr; CREATE EXTENSION effaced SCHEMA gdpr;'
	. label('TABLE site.person', '{"path": ""}') . label('COLUMN site.person.full_name', '{"category": "identity"}'));
like($warm->query(q{SELECT gdpr.effaced_erase('18') -> 'anonymized'}), qr/"site.person": 1/, 'the extension made anew elsewhere: noticed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM gdpr.effaced_audit_events'), 4, 'and its events are in the new table');

# Exports and corrections follow the labels too, and so does a stream between two rows.
$node->safe_psql('postgres', 'CREATE DATABASE access');
$node->safe_psql('access', q{CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, email text, phone text, plain int);
	CREATE TABLE post (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, email varchar(20), body text);
	INSERT INTO person SELECT i, 'old', 'old' FROM generate_series(1, 3) i;
	INSERT INTO post SELECT i, 1 + i % 3, 'old', 'old' FROM generate_series(1, 3000) i;}
	. label('TABLE person', '{"path": ""}') . label('COLUMN person.email', '{"category": "contact"}')
	. label('TABLE post', '{"path": "person"}') . label('COLUMN post.email', '{"category": "contact"}'));
my $reader = EffacedTest::Session->new($node, 'access');
my $relabels = EffacedTest::Session->new($node, 'access');
my $seen = q{SELECT string_agg(DISTINCT source || '.' || field || '=' || (value #>> '{}'), ' ') FROM effaced_export_records('1')};
my $correct = sub { return qq{SELECT effaced_rectify(1, '[{"category": "contact", "value": "$_[0]"}]') -> 'rectified'}; };
is($reader->query($seen), 'person.email=old post.email=old', 'what is exported at first');
is($reader->query($correct->('a')), '{"post": 1000, "person": 1}', 'and corrected');
$relabels->query(label('COLUMN person.phone', '{"category": "contact"}') . label('COLUMN post.email', '{"category": "communication"}'));
is($reader->query($correct->('b')), '{"person": 1}', 'other labels: a correction follows them');
is($reader->query($seen), 'person.email=b person.phone=b post.email=a', 'and so does an export');
$relabels->query(label('COLUMN person.phone', '{"category": "contact", "fact": "phone"}'));
like($reader->query($correct->('c')), qr/must say which fact/, 'a fact is noticed');
$relabels->query('SECURITY LABEL FOR effaced ON COLUMN person.phone IS NULL;' . label('COLUMN post.email', '{"category": "contact"}') . 'ALTER TABLE post ALTER email TYPE varchar(3)');
like($reader->query($correct->('four')), qr/does not fit column "email" of table "post"/, 'a type is noticed');
$relabels->query('ALTER TABLE post RENAME email TO mail; ALTER TABLE post DROP body; ALTER TABLE post ADD note text');
is($reader->query($correct->('d')), '{"post": 1000, "person": 1}', 'names and columns are noticed by a correction');
is($reader->query($seen), 'person.email=d post.mail=d', 'and by an export');
$relabels->query('CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.mail := OLD.mail; RETURN NEW; END $$;
	CREATE TRIGGER keep BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION keep()');
like($reader->query($correct->('e')), qr/were not written as planned/, 'a trigger is noticed');
$relabels->query('DROP TRIGGER keep ON post');
$reader->query(q{BEGIN; DECLARE c CURSOR FOR SELECT source, field, value FROM effaced_export_records('1')});
is($reader->query('FETCH 2 FROM c'), qq(person|email|"d"\npost|mail|"d"), 'a stream is read');
# a label needs no lock that a reader holds
$relabels->query(label('COLUMN post.mail', '{"category": "behavioral"}') . label('COLUMN post.note', '{"category": "behavioral"}'));
is($reader->query('MOVE 998 FROM c; FETCH 2 FROM c'), qq(post|mail|"d"), 'and goes on by the labels that it was begun with');
is($reader->query('COMMIT; ' . $seen), 'person.email=d post.mail=d', 'the next one goes by the new ones');
is($reader->query($correct->('f')), '{"person": 1}', 'as does the next correction');
$_->close for $reader, $relabels;

# The secret is made by the first erasure. One that is prepared and rolled back
# takes it away again, and the session that made it knows it no more.
$node->safe_psql('postgres', 'CREATE DATABASE prepared');
$node->safe_psql('prepared', q{CREATE EXTENSION effaced;
	CREATE TABLE person (id int PRIMARY KEY, email text, grade int);
	INSERT INTO person SELECT i, i || '@example.com' FROM generate_series(1, 3) i;}
	. label('TABLE person', '{"path": ""}') . label('COLUMN person.email', '{"category": "contact"}'));
my $preparer = EffacedTest::Session->new($node, 'prepared');
like($preparer->query(q{BEGIN; SELECT effaced_erase('1') -> 'anonymized'; PREPARE TRANSACTION 'first'; ROLLBACK PREPARED 'first'}),
	qr/^\{"person": 1\}$/, 'the first erasure is rolled back after it was prepared');
is($preparer->query(q{SELECT count(*) FROM effaced.effaced_secret}), 0, 'and the secret with it');
is($preparer->query(q{SELECT effaced_erase('2') -> 'anonymized'}), '{"person": 1}', 'the same session erases');
is($preparer->query(q{SELECT count(*) FROM effaced.effaced_secret}), 1, 'with a secret that is kept');
is($node->safe_psql('prepared', q{SELECT effaced_verify('2') -> 'verified'}), 'true', 'and by which others recognise what it wrote');
is($node->safe_psql('prepared', q{SELECT effaced_erase('2') -> 'anonymized'}), '{"person": 0}', 'and leave it as it is');
is($preparer->query(q{BEGIN; SELECT effaced_erase('3') -> 'anonymized'; PREPARE TRANSACTION 'third'; COMMIT PREPARED 'third'}),
	'{"person": 1}', 'an erasure that is prepared and committed');
is($node->safe_psql('prepared', q{SELECT effaced_verify('3') -> 'verified'}), 'true', 'is one');
$preparer->close;

$warm->close;
$other->close;
$node->stop;
done_testing();
