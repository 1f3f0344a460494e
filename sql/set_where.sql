-- "where" narrows a link to the rows that are the subject's, "set" writes more
-- into rows that survive.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text, deleted boolean NOT NULL DEFAULT false, deleted_at timestamptz, status text DEFAULT 'active', version int DEFAULT 1);
CREATE TABLE firm (id int PRIMARY KEY, name text);
-- A polymorphic reference: of a person, of a firm, or of nobody known.
CREATE TABLE address (id int PRIMARY KEY, owner_kind text, owner_id int, street text, city text, checked date);
CREATE TABLE visit (id int PRIMARY KEY, address_id int REFERENCES address, note text);

SECURITY LABEL FOR effaced ON TABLE person IS
	'{"path": "", "set": {"deleted": "true", "deleted_at": "now()"}}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE address IS
	'{"hops": [{"source_columns": ["owner_id"], "target_table": "person", "target_columns": ["id"]}], "where": "owner_kind = ''person''", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location"}';
SECURITY LABEL FOR effaced ON TABLE visit IS
	'{"hops": [{"source_columns": ["address_id"], "target_table": "address", "target_columns": ["id"]},
	           {"source_columns": ["owner_id"], "target_table": "person", "target_columns": ["id"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.note IS '{"category": "behavioral"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE person, firm, address, visit;
	INSERT INTO person (id, name) VALUES (1, 'Ada'), (2, 'Ben');
	INSERT INTO firm VALUES (1, 'Ada Ltd');
	INSERT INTO address VALUES (10, 'person', 1, 'Ahornweg 1'), (11, 'firm', 1, 'Birkenweg 2'), (12, NULL, 1, 'Cedar Road 3'), (20, 'person', 2, 'Dorfplatz 4');
	INSERT INTO visit VALUES (100, 10, 'at Ada''s'), (110, 11, 'at the firm'), (120, 12, 'at nobody''s'), (200, 20, 'at Ben''s');
$$;
CALL fill();

-- The condition is part of every statement, also where another table's path
-- passes through by that link. NULL is not true.
\pset format unaligned
SELECT step, relation, strategy, columns, statement FROM effaced_plan('1');
\pset format aligned
SELECT effaced_erase('1') - 'subject_id' - 'subject' AS result;
SELECT id, name ~ '^anon-' AS anonymized, deleted, deleted_at > now() - interval '1 minute' AS stamped, status FROM person ORDER BY id;
SELECT * FROM address ORDER BY id;
SELECT * FROM visit ORDER BY id;

-- Verify counts what the condition leaves out.
SELECT effaced_verify('1');

-- Once written, "set" is written again only where a constant is gone: a time is
-- done once it is there.
CREATE TEMPORARY TABLE before AS SELECT p.xmin::text AS version, p::text AS row FROM person p;
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;
SELECT count(*) AS written FROM (SELECT p.xmin::text, p::text FROM person p EXCEPT TABLE before) w;
UPDATE person SET deleted = false WHERE id = 1;
SELECT effaced_erase('1') -> 'anonymized' AS anonymized;
SELECT id, deleted FROM person ORDER BY id;

-- "set" alone makes a step too, on rows that survive for another reason.
CREATE TABLE consent (id int PRIMARY KEY, person_id int REFERENCES person, given date, valid boolean, text text);
SECURITY LABEL FOR effaced ON TABLE consent IS '{"path": "person", "set": {"valid": "false", "text": "NULL"}}';
SECURITY LABEL FOR effaced ON COLUMN consent.given IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "proof of consent"}}';
INSERT INTO consent VALUES (1, 1, '2020-01-01', true, 'yes'), (2, 1, '2020-01-02', NULL, NULL), (3, 2, '2020-01-03', true, 'yes'), (4, 1, NULL, false, NULL);
SELECT effaced_erase('1', tables => '{consent}') - 'subject_id' - 'subject' AS result;
SELECT * FROM consent ORDER BY id;
SELECT effaced_erase('1', tables => '{consent}') -> 'anonymized' AS anonymized;
-- On rows that go it is not needed.
SECURITY LABEL FOR effaced ON TABLE visit IS
	'{"hops": [{"source_columns": ["address_id"], "target_table": "address", "target_columns": ["id"]},
	           {"source_columns": ["owner_id"], "target_table": "person", "target_columns": ["id"]}], "set": {"note": "''gone''"}, "owned": true}';
SELECT step, relation, strategy, columns FROM effaced_plan('1', tables => '{visit}');

-- Where rows are found by a column that an earlier step writes, they are found
-- first: here the retained count reads the reference that became NULL.
CREATE TABLE ticket (id int PRIMARY KEY, person_id int REFERENCES person, subject text, opened date);
SECURITY LABEL FOR effaced ON TABLE ticket IS '{"path": "person", "release": true}';
SECURITY LABEL FOR effaced ON COLUMN ticket.person_id IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN ticket.opened IS '{"category": "behavioral", "erasure": "retain", "retention": {"reason": "statistics"}}';
CREATE TABLE answer (id int PRIMARY KEY, ticket_id int REFERENCES ticket, body text, sent date);
SECURITY LABEL FOR effaced ON TABLE answer IS '{"path": "ticket.person"}';
SECURITY LABEL FOR effaced ON COLUMN answer.body IS '{"category": "communication", "erasure": "anonymize", "surrogate": "''-''"}';
INSERT INTO ticket VALUES (1, 1, 'it smokes', '2020-01-01'), (2, 2, 'it burns', '2020-01-02');
INSERT INTO answer VALUES (1, 1, 'open a window', '2020-01-01'), (2, 2, 'call 112', '2020-01-02');
SELECT effaced_erase('1', tables => '{ticket,answer}') - 'subject_id' - 'subject' AS result;
SELECT * FROM ticket ORDER BY id;
SELECT * FROM answer ORDER BY id;
-- The row has no owner any more, so there is nothing left to find.
SELECT effaced_erase('1', tables => '{ticket,answer}') - 'subject_id' - 'subject' AS result;

-- Where "where" reads a column that the erasure writes, it holds for the row as
-- it was; afterwards the row is not the subject's any more.
CREATE TABLE contact (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, kind text, value text, since date);
SECURITY LABEL FOR effaced ON TABLE contact IS '{"path": "person", "where": "kind <> ''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN contact.kind IS '{"category": "contact", "erasure": "anonymize", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN contact.value IS '{"category": "contact", "erasure": "anonymize", "surrogate": "''gone''"}';
SECURITY LABEL FOR effaced ON COLUMN contact.since IS '{"category": "contact", "erasure": "retain", "retention": {"reason": "statistics"}}';
INSERT INTO contact VALUES (1, 1, 'e-mail', 'ada@example.com', '2020-01-01'), (2, 1, 'phone', '0123', '2020-01-02'), (3, 2, 'phone', '0987', '2020-01-03');
-- What is kept in such a row could not be found again.
SELECT effaced_erase('1', tables => '{contact}');
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON COLUMN contact.since IS NULL;
SELECT effaced_erase('1', tables => '{contact}') - 'subject_id' - 'subject' AS result;
SELECT * FROM contact ORDER BY id;

-- A key that "set" writes is none to derive tokens from: they have to be the same
-- when the erasure is run again.
CREATE TABLE coupon (code text PRIMARY KEY, person_id int REFERENCES person, memo text, left_over int);
SECURITY LABEL FOR effaced ON COLUMN coupon.memo IS '{"category": "behavioral", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE coupon IS '{"path": "person", "set": {"code": "''gone-'' || person_id"}}';
INSERT INTO coupon VALUES ('SPRING', 1, 'for Ada');
SELECT effaced_erase('1', tables => '{coupon}') -> 'anonymized' AS anonymized;
CREATE TEMPORARY TABLE coupon_before AS TABLE coupon;
SELECT effaced_erase('1', tables => '{coupon}') -> 'anonymized' AS anonymized;
SELECT count(*) AS changed FROM (TABLE coupon EXCEPT TABLE coupon_before) c;

-- Nor may "set" depend on what the erasure writes: a second run has to change
-- nothing.
CREATE TABLE lead (id int PRIMARY KEY, person_id int REFERENCES person, phone text, status text);
SECURITY LABEL FOR effaced ON COLUMN lead.phone IS '{"category": "contact", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE lead IS '{"path": "person", "set": {"status": "status || '' (erased)''"}}';
SELECT * FROM effaced_plan('1', tables => '{lead}');
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE lead IS '{"path": "person", "set": {"status": "''no '' || phone"}}';
SELECT * FROM effaced_plan('1', tables => '{lead}');
\echo :LAST_ERROR_SQLSTATE
-- It is written also where nothing else is left to do in the row.
SECURITY LABEL FOR effaced ON TABLE lead IS '{"path": "person", "set": {"status": "''lead '' || id"}}';
INSERT INTO lead VALUES (1, 1, NULL, 'warm'), (2, 2, NULL, 'cold');
SELECT effaced_erase('1', tables => '{lead}') -> 'anonymized' AS anonymized;
SELECT effaced_erase('1', tables => '{lead}') -> 'anonymized' AS anonymized;
SELECT * FROM lead ORDER BY id;
DROP TABLE lead;

-- Subjects may have a condition too: other rows of the table are none.
CREATE TABLE account (id int PRIMARY KEY, kind text NOT NULL, owner text, opened date);
CREATE TABLE entry (id int PRIMARY KEY, account_id int REFERENCES account, text text, amount numeric);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "", "where": "kind = ''private''"}';
SECURITY LABEL FOR effaced ON COLUMN account.owner IS '{"category": "identity", "surrogate": "''?''"}';
SECURITY LABEL FOR effaced ON TABLE entry IS '{"path": "account"}';
SECURITY LABEL FOR effaced ON COLUMN entry.text IS '{"category": "financial", "surrogate": "''?''"}';
INSERT INTO account VALUES (1, 'private', 'Ada'), (2, 'business', 'Ada Ltd');
INSERT INTO entry VALUES (1, 1, 'salary', 1), (2, 2, 'invoice', 2);
SELECT id, effaced_erase(id, subject => 'account') - 'subject_id' - 'subject' AS result FROM generate_series(1, 2) id;
SELECT * FROM account ORDER BY id;
SELECT * FROM entry ORDER BY id;

-- What cannot be is refused with the label.
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"nickname": "true"}}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"deleted": "''perhaps''"}}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"deleted": "random() > 0.5"}}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"deleted": "(SELECT true)"}}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "set": {"status": "''x''"}, "where": "status <> ''y''"}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "where": "name"}';
\echo :LAST_ERROR_SQLSTATE
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "where": "EXISTS (SELECT FROM firm)"}';
\echo :LAST_ERROR_SQLSTATE
