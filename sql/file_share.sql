-- A file share: a file belongs to everybody it is shared with, by a table of its
-- own, and is reached from the file against that table's reference.
CREATE EXTENSION effaced;

CREATE TABLE account (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE folder (id int PRIMARY KEY, account_id int NOT NULL REFERENCES account, parent_id int REFERENCES folder, name text NOT NULL);
CREATE TABLE file (id int PRIMARY KEY, folder_id int REFERENCES folder, name text NOT NULL, content text);
CREATE TABLE share (file_id int REFERENCES file, owner_id int REFERENCES account, nickname text, PRIMARY KEY (file_id, owner_id));
CREATE TABLE version (file_id int REFERENCES file, number int, changes text, PRIMARY KEY (file_id, number));
CREATE TABLE link (token text PRIMARY KEY, file_id int NOT NULL REFERENCES file);

SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE folder IS '{"path": "account"}';
SECURITY LABEL FOR effaced ON COLUMN folder.name IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE file IS '{"path": "share(file_id).owner"}';
SECURITY LABEL FOR effaced ON COLUMN file.name IS '{"category": "communication", "surrogate": "''file '' || id"}';
SECURITY LABEL FOR effaced ON COLUMN file.content IS '{"category": "communication", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE share IS '{"path": "owner"}';
SECURITY LABEL FOR effaced ON COLUMN share.nickname IS '{"category": "communication"}';
SECURITY LABEL FOR effaced ON TABLE version IS '{"path": "file.share(file_id).owner"}';
SECURITY LABEL FOR effaced ON COLUMN version.changes IS '{"category": "communication"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE account, folder, file, share, version, link;
	INSERT INTO account VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cleo');
	INSERT INTO folder VALUES (10, 1, NULL, 'home of Ada'), (11, 1, 10, 'pictures of Ada'), (20, 2, NULL, 'home of Ben'), (21, 2, 11, 'Ben''s in Ada''s');
	INSERT INTO file VALUES (1, 11, 'cat.jpg', 'Ada''s alone'), (2, 10, 'plan.txt', 'Ada''s and Ben''s'), (3, 21, 'song.mp3', 'everybody''s'), (4, 20, 'tax.pdf', 'Ben''s alone'), (5, NULL, 'lost.txt', 'nobody''s'), (6, 10, 'web.html', 'Ada''s, published');
	INSERT INTO share VALUES (1, 1, 'kitty'), (2, 1, 'the plan'), (2, 2, NULL), (3, 1, NULL), (3, 2, 'tune'), (3, 3, 'noise'), (4, 2, NULL), (6, 1, NULL);
	INSERT INTO version SELECT id, n, name || ' version ' || n FROM file, generate_series(1, 2) n;
	INSERT INTO link VALUES ('https://a', 6);
$$;
CREATE VIEW files AS
	SELECT f.*, array_agg(DISTINCT s.owner_id) FILTER (WHERE s.owner_id IS NOT NULL) AS owners, count(DISTINCT v.number) AS versions
	  FROM file f LEFT JOIN share s ON s.file_id = f.id LEFT JOIN version v ON v.file_id = f.id GROUP BY f.id ORDER BY f.id;
CREATE FUNCTION erased(id int, result jsonb) RETURNS TABLE (account int, deleted jsonb, anonymized jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT id, result -> 'deleted', result -> 'anonymized', result -> 'shared'
$$;
CALL fill();
SELECT * FROM files;

-- The files go after what references them. Nobody knows whose the links are.
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT relation, strategy, statement FROM effaced_plan('1') WHERE relation IN ('file'::regclass, 'share'::regclass) AND strategy IN ('delete', 'shared') \gx

-- Ada leaves. Her own file goes, with its versions; those that Ben or Cleo have
-- too stay as they are, and so does the published one, which a link still needs:
-- of it go her share and its versions. Ben's folder is in one of hers no more.
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM files;
SELECT * FROM share ORDER BY file_id, owner_id;
SELECT * FROM folder ORDER BY id;
SELECT effaced_verify(1);
SELECT * FROM erased(1, effaced_erase(1));

-- Ben: one file is Cleo's alone now. And Cleo.
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM files;
SELECT * FROM erased(3, effaced_erase(3));
SELECT * FROM files;

-- All of them at once leave the same.
CREATE TEMPORARY TABLE one_by_one AS TABLE files;
CALL fill();
SELECT effaced_erase_many('{1,2,3}') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT count(*) AS different FROM (SELECT f::text FROM files f EXCEPT SELECT o::text FROM one_by_one o) d;

-- Two of them, and the third keeps what is theirs too.
CALL fill();
SELECT effaced_erase_many('{1,2}') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM files;

--
-- Who shares a file twice is one owner; a share that its "where" leaves out makes
-- nobody one, but its row still references the file.
--
BEGIN;
CALL fill();
ALTER TABLE share ADD id serial, ADD revoked boolean NOT NULL DEFAULT false, DROP CONSTRAINT share_pkey, ADD PRIMARY KEY (id);
SECURITY LABEL FOR effaced ON TABLE share IS '{"path": "owner", "where": "NOT revoked", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity", "erasure": "anonymize"}';
INSERT INTO share (file_id, owner_id, nickname) VALUES (1, 1, 'again'), (1, 1, 'and again');
UPDATE share SET revoked = true WHERE file_id = 2 AND owner_id = 2;
SELECT effaced_verify(1) -> 'residual' AS residual;
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM files;
SELECT effaced_verify(1);
ROLLBACK;

--
-- The rows of the table in between may survive: not nullable, they hold the file,
-- which is then anonymized in place once they are all of erased owners; nullable,
-- they let it go.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN share.nickname IS '{"category": "communication", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN version.changes IS '{"category": "communication", "erasure": "anonymize"}';
SAVEPOINT s;
-- versions that survive cannot hang from files that go
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON COLUMN version.changes IS '{"category": "communication"}';
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1') WHERE relation IN ('file'::regclass, 'share'::regclass);
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM files;
SELECT effaced_verify(1);
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM files;
ROLLBACK;
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN share.nickname IS '{"category": "communication", "erasure": "anonymize"}';
ALTER TABLE share ADD id serial, DROP CONSTRAINT share_pkey, ADD PRIMARY KEY (id), ALTER file_id DROP NOT NULL;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1') WHERE relation IN ('file'::regclass, 'share'::regclass);
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM files;
SELECT file_id, owner_id, nickname ~ '^anon-' AS anonymized FROM share ORDER BY id;
SELECT * FROM erased(2, effaced_erase(2));
SELECT * FROM files;
SELECT effaced_verify(1) -> 'verified' AS ada, effaced_verify(2) -> 'verified' AS ben;
ROLLBACK;

--
-- "shared": "erase" takes a file at once. Rows of others that reference it are
-- never deleted: it is anonymized in place.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE file IS '{"path": "share(file_id).owner", "shared": "erase"}';
SECURITY LABEL FOR effaced ON TABLE version IS '{"path": "file.share(file_id).owner", "shared": "erase"}';
SELECT * FROM erased(1, effaced_erase(1));
SELECT * FROM files;
SELECT * FROM share ORDER BY file_id, owner_id;
SELECT effaced_verify(1) -> 'verified' AS verified;
ROLLBACK;

--
-- Folders too may be reached so, and are in one another: a folder stays as long
-- as one that is somebody else's, or in which somebody else's is, is in it.
--
BEGIN;
CALL fill();
CREATE TABLE shelf (id int PRIMARY KEY, parent_id int REFERENCES shelf, name text);
CREATE TABLE holder (shelf_id int REFERENCES shelf, account_id int REFERENCES account, PRIMARY KEY (shelf_id, account_id));
SECURITY LABEL FOR effaced ON TABLE shelf IS '{"path": "holder(shelf_id).account"}';
SECURITY LABEL FOR effaced ON COLUMN shelf.name IS '{"category": "behavioral"}';
SECURITY LABEL FOR effaced ON TABLE holder IS '{"path": "account", "owned": true}';
INSERT INTO shelf VALUES (1, NULL, 'Ada: all'), (2, 1, 'Ada: books'), (3, 2, 'Ada: novels'), (4, 3, 'Ben: loan'), (5, 1, 'Ada: music'), (6, 5, 'Ada: jazz'), (7, 4, 'Ada: in Ben''s');
INSERT INTO holder SELECT id, CASE id WHEN 4 THEN 2 ELSE 1 END FROM shelf;
SELECT * FROM erased(1, effaced_erase(1, tables => '{shelf,holder}'));
SELECT * FROM shelf ORDER BY id;
SELECT * FROM erased(2, effaced_erase(2, tables => '{shelf,holder}'));
SELECT * FROM shelf ORDER BY id;
ROLLBACK;
