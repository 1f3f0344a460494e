-- Findings about ways: those that end with an erasure, and references that it moves to
-- a row which is not there.
CREATE EXTENSION effaced;
\pset expanded on

--
-- way_ends_with_erasure: a newsletter is found by the address that the erasure
-- replaces; what is subscribed later, or was kept elsewhere and comes back, is not.
--
CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE, folded text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE, since date);
CREATE TABLE newsletter (email text, topic text, PRIMARY KEY (email, topic));
CREATE TABLE visit (id int PRIMARY KEY, email text, page text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.email IS '{"category": "contact"}';
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"owned": true, "hops": [{"source_columns": ["email"], "target_table": "person", "target_columns": ["email"]}]}';
SECURITY LABEL FOR effaced ON TABLE visit IS '{"owned": true, "hops": [{"source_columns": ["email"], "target_table": "person", "target_columns": ["folded"]}]}';
SECURITY LABEL FOR effaced ON COLUMN visit.page IS '{"category": "behavioral"}';
SELECT code, relation, message, hint FROM effaced_lint() WHERE code = 'way_ends_with_erasure';
-- A key that stays is what helps.
ALTER TABLE newsletter ADD person_id int REFERENCES person;
SECURITY LABEL FOR effaced ON TABLE newsletter IS '{"owned": true, "path": "person_id"}';
SECURITY LABEL FOR effaced ON TABLE visit IS NULL;
SECURITY LABEL FOR effaced ON COLUMN visit.page IS NULL;
SELECT count(*) FROM effaced_lint() WHERE code = 'way_ends_with_erasure';

--
-- ghost_missing: the row that a reference is moved to has to be there.
--
CREATE TABLE post (id int PRIMARY KEY, author_id int REFERENCES person, body text);
SECURITY LABEL FOR effaced ON TABLE post IS '{"path": "author_id"}';
SECURITY LABEL FOR effaced ON COLUMN post.author_id IS '{"category": "identity", "surrogate": "0"}';
SELECT code, relation, column_name, message, hint FROM effaced_lint() WHERE code = 'ghost_missing';
INSERT INTO person VALUES (0, 'ghost@localhost');
SELECT count(*) FROM effaced_lint() WHERE code = 'ghost_missing';
-- NULL is no row's key.
DELETE FROM person;
SECURITY LABEL FOR effaced ON COLUMN post.author_id IS '{"category": "identity", "surrogate": "NULL"}';
SELECT count(*) FROM effaced_lint() WHERE code = 'ghost_missing';
