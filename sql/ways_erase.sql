-- An erasure never cuts the way to a row that keeps a value: the row is released,
-- which its label must allow where it keeps something, or the call is refused and
-- says what would help.
CREATE EXTENSION effaced;

CREATE FUNCTION erased(result jsonb) RETURNS TABLE (found boolean, deleted jsonb, anonymized jsonb, retained jsonb) LANGUAGE sql AS $$
	SELECT (result -> 'subject_found')::boolean, result -> 'deleted', result -> 'anonymized', result -> 'retained'
$$;

--
-- Content that outlives the account: posts move to a ghost, whose row "where" keeps
-- from being a subject, and the account row goes, in one plan.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, email text);
CREATE TABLE post (id int PRIMARY KEY, author_id int NOT NULL REFERENCES account ON DELETE CASCADE, ip inet, body text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "owned": true, "where": "id <> 0"}';
SECURITY LABEL FOR effaced ON COLUMN account.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "author_id"}';
SECURITY LABEL FOR effaced ON COLUMN post.author_id IS '{"category": "identity", "surrogate": "0"}';
SECURITY LABEL FOR effaced ON COLUMN post.ip IS '{"category": "technical", "surrogate": "NULL"}';
INSERT INTO account VALUES (0, 'ghost@localhost'), (1, 'ada@example.com'), (2, 'ben@example.com');
INSERT INTO post VALUES (1, 1, '192.0.2.1', 'public text'), (2, 2, '192.0.2.2', 'another');
SELECT step, relation, strategy, columns FROM effaced_plan(1);
SELECT * FROM erased(effaced_erase(1));
SELECT effaced_verify(1) -> 'verified' AS verified;
-- The ghost is no subject: nothing is its own.
SELECT * FROM erased(effaced_erase(0));
SELECT count(*) AS exported FROM effaced_export_records(0);
SELECT * FROM post ORDER BY id;
SELECT * FROM account ORDER BY id;
-- Several at once, and table by table.
SAVEPOINT s;
INSERT INTO account VALUES (3, 'cy@example.com');
INSERT INTO post VALUES (3, 3, '192.0.2.3', 'of Cy');
SELECT effaced_erase_many('{2,3}') -> 'anonymized' AS anonymized;
SELECT * FROM post ORDER BY id;
ROLLBACK TO s;
SELECT * FROM erased(effaced_erase(2, tables => '{post}'));
SELECT * FROM erased(effaced_erase(2, tables => '{account}'));
SELECT * FROM post ORDER BY id;
ROLLBACK;

--
-- The same with NULL for the ghost, in a reference without a foreign key, and one
-- whose foreign key would set it to NULL itself.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, email text);
CREATE TABLE post (id int PRIMARY KEY, author_id int, body text);
CREATE TABLE vote (id int PRIMARY KEY, voter_id int REFERENCES account ON DELETE SET NULL, points int);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN account.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"hops": [{"source_columns": ["author_id"], "target_table": "account", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN post.author_id IS '{"category": "identity", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE vote IS '{"path": "voter_id"}';
SECURITY LABEL FOR effaced ON COLUMN vote.voter_id IS '{"category": "behavioral"}';
INSERT INTO account VALUES (1, 'ada@example.com');
INSERT INTO post VALUES (1, 1, 'public text');
INSERT INTO vote VALUES (1, 1, 5);
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM post;
SELECT * FROM vote;
SELECT count(*) AS accounts FROM account;
ROLLBACK;

--
-- A released row keeps a retained value only where its link says so.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, name text);
CREATE TABLE invoice (id int PRIMARY KEY, account_id int REFERENCES account, billed_to text, total numeric);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN account.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.total IS '{"category": "financial", "erasure": "retain", "retention": {"reason": "tax law"}}';
INSERT INTO account VALUES (1, 'Ada');
INSERT INTO invoice VALUES (1, 1, 'Ada Adler', 10);
SAVEPOINT s;
-- It may not simply lose its account ...
SELECT * FROM effaced_plan(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- ... nor be released with what it keeps ...
SECURITY LABEL FOR effaced ON COLUMN invoice.account_id IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN invoice.billed_to IS '{"category": "identity"}';
SAVEPOINT s;
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT * FROM invoice;
-- ... unless the label says that the total tells nothing about Ada any more.
SECURITY LABEL FOR effaced ON TABLE invoice IS '{"path": "account_id", "release": true}';
SELECT * FROM erased(effaced_erase(1));
SELECT id, account_id, billed_to ~ '^anon-' AS anonymized, total FROM invoice;
SELECT effaced_verify(1) -> 'verified' AS verified;
ROLLBACK;

--
-- What retained rows are found by is not erased: neither the target of a hop, nor
-- what a column there is generated from, nor what "where" reads.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, username text UNIQUE, folded text GENERATED ALWAYS AS (lower(username)) STORED UNIQUE, plan text);
CREATE TABLE audit (id int PRIMARY KEY, username text, at date);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN account.username IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE audit IS '{"owned": true, "hops": [{"source_columns": ["username"], "target_table": "account", "target_columns": ["username"]}]}';
SECURITY LABEL FOR effaced ON COLUMN audit.username IS '{"category": "identity", "erasure": "retain", "retention": {"reason": "security", "duration": "1 year", "anchor": "at", "on_expiry": "delete"}}';
INSERT INTO account VALUES (1, 'nora');
INSERT INTO audit VALUES (1, 'nora', '2020-01-01');
SAVEPOINT s;
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE audit IS '{"owned": true, "hops": [{"source_columns": ["username"], "target_table": "account", "target_columns": ["folded"]}]}';
SELECT effaced_erase_many('{1}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT effaced_erase(1, tables => '{account}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- Nothing was changed, and by another key the log can stay.
SELECT * FROM account;
ALTER TABLE audit ADD account_id int REFERENCES account;
UPDATE audit SET account_id = 1;
SECURITY LABEL FOR effaced ON TABLE audit IS '{"owned": true, "path": "account_id"}';
SELECT * FROM erased(effaced_erase(1));
SELECT effaced_verify(1) -> 'surviving' AS surviving;
SELECT count(*) AS exported FROM effaced_export_records(1) WHERE source = 'audit';
ROLLBACK;

BEGIN;
CREATE TABLE person (id int PRIMARY KEY, email text, since date);
CREATE TABLE note (id int PRIMARY KEY, person_id int REFERENCES person, kind text, body text, opened date);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE note IS '{"path": "person_id", "where": "kind <> ''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN note.kind IS '{"category": "communication", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN note.opened IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "statistics"}}';
INSERT INTO person VALUES (1, 'ada@example.com');
INSERT INTO note VALUES (1, 1, 'call', 'hello', '2020-01-01');
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Through a table on the way: its own rows are released, and what hangs from them
-- is erased with them, but cannot keep anything.
--
BEGIN;
CREATE TABLE account (id int PRIMARY KEY, email text);
CREATE TABLE thread (id int PRIMARY KEY, author_id int REFERENCES account ON DELETE CASCADE, subject text);
CREATE TABLE draft (id int PRIMARY KEY, thread_id int REFERENCES thread, ip inet, words int);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN account.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON COLUMN thread.author_id IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON COLUMN draft.ip IS '{"category": "technical"}';
INSERT INTO account VALUES (1, 'ada@example.com');
INSERT INTO thread VALUES (1, 1, 'of Ada');
INSERT INTO draft VALUES (1, 1, '192.0.2.1', 100);
SAVEPOINT s;
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM thread;
SELECT * FROM draft;
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON COLUMN draft.words IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "statistics"}}';
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- Rows of another kind of subject, found through what this one's erasure writes.
--
BEGIN;
CREATE TABLE customer (id int PRIMARY KEY, email text, since date);
CREATE TABLE agent (id int PRIMARY KEY, email text, since date);
CREATE TABLE deal (id int PRIMARY KEY, no text UNIQUE, customer_id int REFERENCES customer, agent_id int REFERENCES agent, stage text);
CREATE TABLE bonus (id int PRIMARY KEY, deal_no text, amount numeric);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE agent IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN agent.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE deal IS '{"path": "customer_id"}';
SECURITY LABEL FOR effaced ON COLUMN deal.no IS '{"category": "financial"}';
SECURITY LABEL FOR effaced ON TABLE bonus IS '{"hops": [
	{"source_columns": ["deal_no"], "target_table": "deal", "target_columns": ["no"]},
	{"source_columns": ["agent_id"], "target_table": "agent", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN bonus.amount IS '{"category": "financial"}';
SELECT effaced_erase(1, subject => 'customer');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

--
-- A value that is tied to a link which does not hold for the row is about somebody
-- else, and stays.
--
BEGIN;
CREATE TABLE member (id int PRIMARY KEY, email text, since date);
CREATE TABLE room (id int PRIMARY KEY, host_id int REFERENCES member, guest_id int REFERENCES member, public boolean, title text, mood text, size int);
SECURITY LABEL FOR effaced ON TABLE member IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN member.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE room IS '{"links": [
	{"name": "host", "path": "host_id", "where": "NOT public"}, {"name": "guest", "path": "guest_id"}]}';
SECURITY LABEL FOR effaced ON COLUMN room.title IS '{"category": "communication", "link": "host", "surrogate": "''a room''"}';
SECURITY LABEL FOR effaced ON COLUMN room.mood IS '{"category": "special", "link": "guest", "surrogate": "''-''"}';
INSERT INTO member VALUES (1, 'ada@example.com'), (2, 'ben@example.com');
INSERT INTO room VALUES (1, 2, 1, true, 'town hall', 'bored', 9), (2, 1, 1, false, 'Ada''s', 'well', 1), (3, 2, 1, false, 'Ben''s', 'shy', 2);
SELECT effaced_erase(1) -> 'shared' AS shared;
SELECT * FROM room ORDER BY id;
SELECT effaced_verify(1) -> 'verified' AS verified;
SELECT effaced_erase(2) -> 'shared' AS shared;
SELECT * FROM room ORDER BY id;
ROLLBACK;

--
-- An identifier that is an e-mail address and was anonymized is nobody: what the two
-- shared goes with the second.
--
BEGIN;
CREATE TABLE address (id int PRIMARY KEY, street text);
CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE, address_id int REFERENCES address, since date);
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "subject_id_columns": ["email"]}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE address IS '{"owned": true, "path": "customer(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
INSERT INTO address VALUES (1, 'Main Street 1');
INSERT INTO customer VALUES (1, 'ada@x', 1, '2020-01-01'), (2, 'ben@x', 1, '2020-01-01');
SELECT * FROM erased(effaced_erase('ada@x'));
SELECT * FROM address;
SELECT * FROM erased(effaced_erase('ben@x'));
SELECT * FROM address;
SELECT id, email ~ '^anon-' AS anonymized, address_id FROM customer ORDER BY id;
SELECT effaced_verify('ben@x') -> 'verified' AS verified;
ROLLBACK;

--
-- Two links that each take the row: nobody asks who else has it, so that it needs no
-- key; and one that erasure does not touch will do as well.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE post (id int PRIMARY KEY, author int NOT NULL REFERENCES person ON DELETE CASCADE);
CREATE TABLE reaction (post_id int REFERENCES post ON DELETE CASCADE, who int REFERENCES person ON DELETE CASCADE, emoji text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "author", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE reaction IS '{"owned": true, "links": [{"name": "who", "path": "who", "shared": "erase"}, {"name": "author", "path": "post_id.author", "shared": "erase"}]}';
SECURITY LABEL FOR effaced ON COLUMN reaction.emoji IS '{"category": "behavioral"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO post VALUES (10, 1), (20, 2);
INSERT INTO reaction VALUES (10, 2, 'smile'), (20, 2, 'frown'), (20, 1, 'shrug');
SELECT * FROM erased(effaced_erase(1));
SELECT * FROM reaction;
SELECT effaced_verify(1) -> 'verified' AS verified;
ROLLBACK;
