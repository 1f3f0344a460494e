-- A surrogate is the same in every session and on every run: settings do not
-- change it, and nothing that it is made of changes with the erasure.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, email text, name text, joined timestamptz, share float8, stay interval);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
INSERT INTO person SELECT i, 'somebody@example.com', 'name', '2024-03-01 22:30:00+00', 1 / 3.0, '1 day 02:00' FROM generate_series(1, 3) i;

-- The first erasure, in a session that quotes every name: the token does not depend on it.
SET quote_all_identifiers = on;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
SELECT effaced_verify(1) -> 'verified' AS verified;
\c -
SELECT effaced_verify(1) -> 'verified' AS verified;
SELECT effaced_erase(1) -> 'anonymized' AS anonymized;
-- And the other way round.
SELECT effaced_erase(2) -> 'anonymized' AS anonymized;
\c -
SET quote_all_identifiers = on;
SELECT effaced_verify(2) -> 'verified' AS verified;
SELECT effaced_erase(2) -> 'anonymized' AS anonymized;
RESET quote_all_identifiers;

-- Expressions that turn a value into text: DateStyle, TimeZone, IntervalStyle and
-- extra_float_digits are pinned while they run.
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "surrogate": "''joined '' || joined || '', has '' || share || '', stayed '' || stay"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT name FROM person WHERE id = 3;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -5;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT name FROM person WHERE id = 3;
-- The same in a session that starts with them; its settings are its own again afterwards.
\c -
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SHOW timezone;
SHOW datestyle;

--
-- A generated column of an erased one is the erased value in other words, so no
-- surrogate is made of it ...
--
BEGIN;
CREATE TABLE login (id int PRIMARY KEY, person_id int REFERENCES person, address text,
	folded text GENERATED ALWAYS AS (lower(address)) STORED, label text GENERATED ALWAYS AS ('login ' || id) STORED);
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "person_id"}';
INSERT INTO login VALUES (1, 3, 'Ada@example.com');
SAVEPOINT s;
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "md5(folded)"}';
SELECT effaced_erase(3);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- ... while one made of columns that stay will do.
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "md5(label)"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT address = md5('login 1') AS replaced FROM login;
ROLLBACK;

-- ... and it is no key of the row from which a token could be made either. This
-- table has no other, so its rows get constants, which its unique index forbids.
BEGIN;
CREATE TABLE login (person_id int REFERENCES person, address text NOT NULL, since int,
	folded text NOT NULL GENERATED ALWAYS AS (lower(address)) STORED UNIQUE);
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "person_id"}';
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact"}';
INSERT INTO login VALUES (3, 'Ada@example.com', 2020);
SAVEPOINT s;
SELECT effaced_erase(3);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- With one that is made of what stays it can be erased, once and for all.
SECURITY LABEL FOR effaced ON COLUMN login.address IS '{"category": "contact", "surrogate": "''login of '' || person_id"}';
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
SELECT * FROM login;
SELECT effaced_verify(3) -> 'verified' AS verified;
SELECT effaced_erase(3) -> 'anonymized' AS anonymized;
ROLLBACK;
