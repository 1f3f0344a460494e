-- Rows reached against a foreign key: an address is its customer's, although the
-- customer references it. It goes when nothing references it any more, is
-- anonymized in place where only rows of erased customers hold it, and stays as
-- it is while anybody else needs it.
CREATE EXTENSION effaced;

CREATE TABLE country (id int PRIMARY KEY, name text);
CREATE TABLE address (id int PRIMARY KEY, street text NOT NULL, country_id int REFERENCES country);
CREATE TABLE store (id int PRIMARY KEY, address_id int REFERENCES address);
CREATE TABLE staff (id int PRIMARY KEY, name text NOT NULL, address_id int REFERENCES address, hired date);
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, address_id int NOT NULL REFERENCES address, billing_id int REFERENCES address);
CREATE TABLE parcel (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, address_id int NOT NULL REFERENCES address, content text);

SECURITY LABEL FOR effaced ON TABLE staff IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN staff.name IS '{"category": "identity", "surrogate": "''staff '' || id"}';
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "surrogate": "''customer '' || id"}';
SECURITY LABEL FOR effaced ON TABLE address IS
	'{"links": [{"name": "home", "path": "customer(address_id)"}, {"name": "billing", "path": "customer(billing_id)"}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location", "surrogate": "''(removed)''"}';
SECURITY LABEL FOR effaced ON TABLE parcel IS '{"path": "customer"}';
SECURITY LABEL FOR effaced ON COLUMN parcel.content IS '{"category": "behavioral"}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE country, address, store, staff, customer, parcel;
	INSERT INTO address VALUES (1, 'Ada''s'), (2, 'Ada''s and Ben''s'), (3, 'Ada''s and a store''s'), (4, 'Ada''s and Sue''s'), (5, 'nobody''s'), (6, 'Ben''s'), (7, 'a parcel of Ada''s only'), (8, 'a parcel of Ben''s only');
	INSERT INTO store VALUES (1, 3), (2, NULL);
	INSERT INTO staff VALUES (1, 'Sue', 4, '2020-01-01'), (2, 'Tom', NULL, '2020-01-02');
	INSERT INTO customer VALUES (1, 'Ada', 1, 1), (2, 'Ada', 2, 3), (3, 'Ada', 4, NULL), (10, 'Ben', 2, 6);
	INSERT INTO parcel VALUES (1, 1, 1, 'books'), (2, 1, 7, 'shoes'), (3, 10, 8, 'tea'), (4, 10, 6, 'tea');
$$;
CREATE FUNCTION erased(id int, result jsonb) RETURNS TABLE (subject int, deleted jsonb, anonymized jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT id, result -> 'deleted', result -> 'anonymized', result -> 'shared'
$$;
CALL fill();

-- Before the customer, what references the customer; after, what the customer
-- references.
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'customer');

-- An address reached twice is found once, and counted once. It goes after the
-- customer and the parcel that reference it.
SELECT effaced_verify(1, 'customer') -> 'residual' AS residual;
SELECT * FROM erased(1, effaced_erase(1, subject => 'customer'));
SELECT * FROM address ORDER BY id;
-- Where somebody else's row holds it it stays: another customer's, a store's of
-- which nobody knows whose it is, one of the staff's.
SELECT * FROM erased(2, effaced_erase(2, subject => 'customer'));
SELECT * FROM erased(3, effaced_erase(3, subject => 'customer'));
SELECT * FROM address ORDER BY id;
-- With the last customer it goes.
SELECT * FROM erased(10, effaced_erase(10, subject => 'customer'));
SELECT * FROM address ORDER BY id;
SELECT id, effaced_verify(id, 'customer') -> 'verified' AS verified FROM unnest('{1,2,3,10}'::int[]) id;
-- All of it at once leaves the same.
CREATE TEMPORARY TABLE one_by_one AS TABLE address;
CALL fill();
SELECT effaced_erase_many('{1,2,3,10}', subject => 'customer') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT count(*) AS different FROM (TABLE address EXCEPT TABLE one_by_one) d;

-- Some tables only: what the others reference stays.
CALL fill();
SELECT effaced_erase(1, subject => 'customer', tables => '{address}') - 'subject_id' - 'subject' AS result;
SELECT effaced_erase(1, subject => 'customer', tables => '{address,parcel}') - 'subject_id' - 'subject' AS result;
SELECT effaced_erase(1, subject => 'customer', tables => '{address,parcel,customer}') - 'subject_id' - 'subject' AS result;

--
-- The customer's row survives: what it references by a column that must not be
-- NULL is anonymized in place, what a nullable one references goes.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''customer '' || id"}';
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1', 'customer') WHERE relation IN ('address'::regclass, 'customer'::regclass);
INSERT INTO customer VALUES (4, 'Ada', 5, 7), (5, 'Eve', 5, NULL);
DELETE FROM parcel WHERE id = 2;
SELECT * FROM erased(1, effaced_erase(1, subject => 'customer'));
SELECT * FROM erased(4, effaced_erase(4, subject => 'customer'));
SELECT * FROM customer ORDER BY id;
SELECT * FROM address ORDER BY id;
-- The rows of those who are erased already do not keep an address as it is.
SELECT * FROM erased(5, effaced_erase(5, subject => 'customer'));
SELECT * FROM address WHERE id = 5;
SELECT effaced_verify(5, 'customer') AS eve, effaced_verify(4, 'customer') -> 'verified' AS ada;
-- Again: nothing is written. Used anew, the address is erased anew.
SELECT * FROM erased(5, effaced_erase(5, subject => 'customer'));
UPDATE address SET street = 'new' WHERE id = 5;
SELECT effaced_verify(5, 'customer') -> 'residual' AS residual;
SELECT * FROM erased(5, effaced_erase(5, subject => 'customer'));
-- A customer who comes back keeps it.
UPDATE address SET street = 'new' WHERE id = 5;
UPDATE customer SET name = 'Ida' WHERE id = 4;
SELECT * FROM erased(5, effaced_erase(5, subject => 'customer'));
SELECT * FROM address WHERE id = 5;
SELECT effaced_verify(5, 'customer') AS eve;
ROLLBACK;

--
-- Erased rows whose references may be NULL let go as well.
--
BEGIN;
CALL fill();
ALTER TABLE customer ALTER address_id DROP NOT NULL;
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''customer '' || id"}';
SELECT * FROM erased(2, effaced_erase(2, subject => 'customer'));
SELECT * FROM customer WHERE id IN (2, 10) ORDER BY id;
SELECT * FROM erased(10, effaced_erase(10, subject => 'customer'));
SELECT * FROM customer WHERE id IN (2, 10) ORDER BY id;
SELECT * FROM address ORDER BY id;
ROLLBACK;

--
-- Shared with a subject of another kind: it goes with the last of them, if it is
-- reached from there.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE address IS
	'{"links": [{"name": "home", "path": "customer(address_id)"}, {"name": "billing", "path": "customer(billing_id)"}, {"name": "staff", "path": "staff(address_id)"}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN staff.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''staff '' || id"}';
SAVEPOINT s;
SELECT * FROM erased(3, effaced_erase(3, subject => 'customer'));
SELECT * FROM address WHERE id = 4;
SELECT * FROM erased(1, effaced_erase(1, subject => 'staff'));
SELECT * FROM address WHERE id = 4;
SELECT * FROM staff ORDER BY id;
ROLLBACK TO s;
-- the other way round
SELECT * FROM erased(1, effaced_erase(1, subject => 'staff'));
SELECT * FROM staff ORDER BY id;
SELECT * FROM address WHERE id = 4;
SELECT * FROM erased(3, effaced_erase(3, subject => 'customer'));
SELECT count(*) AS left_over FROM address WHERE street ~ 'Sue';
ROLLBACK;

--
-- The foreign key's own action lets go of what nobody else needs.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''customer '' || id"}';
ALTER TABLE customer ALTER address_id DROP NOT NULL, DROP CONSTRAINT customer_address_id_fkey, ADD FOREIGN KEY (address_id) REFERENCES address ON DELETE SET NULL;
SELECT * FROM erased(1, effaced_erase(1, subject => 'customer'));
SELECT * FROM customer WHERE id = 1;
-- A cascade would take a customer's row: it counts as a reference that holds.
ALTER TABLE customer DROP CONSTRAINT customer_address_id_fkey, ADD FOREIGN KEY (address_id) REFERENCES address ON DELETE CASCADE;
SELECT * FROM erased(3, effaced_erase(3, subject => 'customer'));
SELECT * FROM erased(2, effaced_erase(2, subject => 'customer'));
SELECT * FROM erased(10, effaced_erase(10, subject => 'customer'));
SELECT * FROM customer ORDER BY id;
SELECT * FROM address ORDER BY id;
ROLLBACK;

--
-- Against one reference and another: what holds an address holds its country.
--
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON TABLE country IS '{"path": "address(country_id).customer(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN country.name IS '{"category": "location", "surrogate": "''(removed)''"}';
INSERT INTO country SELECT id, 'country ' || id FROM address WHERE id > 1;
UPDATE address SET country_id = greatest(id, 2);
SELECT ordinal, relation, link FROM effaced_subject_graph('customer');
SELECT * FROM erased(1, effaced_erase(1, subject => 'customer'));
SELECT * FROM erased(2, effaced_erase(2, subject => 'customer'));
SELECT * FROM erased(3, effaced_erase(3, subject => 'customer'));
SELECT * FROM address JOIN country ON country.id = country_id ORDER BY address.id;
SELECT * FROM erased(10, effaced_erase(10, subject => 'customer'));
SELECT * FROM address FULL JOIN country ON country.id = country_id ORDER BY address.id, country.id;
ROLLBACK;
-- The same where customers survive: the address, held by a customer, holds it.
BEGIN;
CALL fill();
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''customer '' || id"}';
SECURITY LABEL FOR effaced ON TABLE country IS '{"path": "address(country_id).customer(address_id)"}';
SECURITY LABEL FOR effaced ON COLUMN country.name IS '{"category": "location", "surrogate": "''(removed)''"}';
INSERT INTO country SELECT id, 'country ' || id FROM address;
UPDATE address SET country_id = id;
ALTER TABLE address ALTER country_id SET NOT NULL;
SELECT effaced_erase_many('{1,2,3}', subject => 'customer') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM address JOIN country ON country.id = country_id ORDER BY address.id;
SELECT * FROM erased(10, effaced_erase(10, subject => 'customer'));
SELECT * FROM address JOIN country ON country.id = country_id ORDER BY address.id;
SELECT id, effaced_verify(id, 'customer') -> 'verified' AS verified FROM unnest('{1,2,3,10}'::int[]) id;
ROLLBACK;

--
-- Composite keys, and a hop that no foreign key declares.
--
BEGIN;
CREATE TABLE person (tenant int, id int, name text, PRIMARY KEY (tenant, id));
CREATE TABLE room (house text, door int, code text, PRIMARY KEY (house, door));
CREATE TABLE stay (tenant int, person int, house text, door int, PRIMARY KEY (tenant, person, house, door), FOREIGN KEY (tenant, person) REFERENCES person, FOREIGN KEY (house, door) REFERENCES room);
CREATE TABLE key_card (id int PRIMARY KEY, room text, owner text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE room IS '{"path": "stay(house, door).person"}';
SECURITY LABEL FOR effaced ON COLUMN room.code IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON TABLE stay IS '{"path": "person", "owned": true}';
SECURITY LABEL FOR effaced ON TABLE key_card IS
	'{"hops": [{"source_columns": ["room"], "target_table": "room", "target_columns": ["code"]},
	           {"source_columns": ["house", "door"], "target_table": "stay", "target_columns": ["house", "door"]},
	           {"source_columns": ["tenant", "person"], "target_table": "person", "target_columns": ["tenant", "id"]}], "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN key_card.owner IS '{"category": "identity"}';
INSERT INTO person VALUES (1, 1, 'Ada'), (1, 2, 'Ben'), (2, 1, 'Cleo');
INSERT INTO room VALUES ('a', 1, 'a1'), ('a', 2, 'a2'), ('b', 1, 'b1');
INSERT INTO stay VALUES (1, 1, 'a', 1), (1, 1, 'a', 2), (1, 2, 'a', 2), (2, 1, 'b', 1);
INSERT INTO key_card VALUES (1, 'a1', 'Ada'), (2, 'a2', 'Ada or Ben'), (3, 'b1', 'Cleo'), (4, 'c1', 'nobody');
SELECT effaced_erase('{1,1}'::text[], subject => 'person') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE room;
TABLE key_card;
SELECT effaced_verify('1:1', 'person') AS ada, effaced_verify('1:2', 'person') -> 'residual' AS ben;
SELECT effaced_erase('1:2', subject => 'person') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE room;
TABLE key_card;
ROLLBACK;

--
-- A way may meet the same table twice, along a reference or against it: albums in
-- somebody's album are theirs too, with their pictures, and so are those that hold
-- one of theirs.
--
BEGIN;
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE album (id int PRIMARY KEY, person_id int REFERENCES person, part_of int REFERENCES album, title text);
CREATE TABLE picture (id int PRIMARY KEY, album_id int REFERENCES album, caption text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": "", "owned": true}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
SECURITY LABEL FOR effaced ON TABLE album IS
	'{"links": [{"name": "own", "path": "person"}, {"name": "inside", "path": "part_of.person"}]}';
SECURITY LABEL FOR effaced ON COLUMN album.title IS '{"category": "communication", "surrogate": "''(removed)''"}';
SECURITY LABEL FOR effaced ON TABLE picture IS
	'{"links": [{"name": "own", "path": "album.person"}, {"name": "inside", "path": "album.part_of.person"}]}';
SECURITY LABEL FOR effaced ON COLUMN picture.caption IS '{"category": "communication"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO album VALUES (1, 1, NULL, 'Ada'), (2, 1, 1, 'Ada in Ada'), (3, 2, 1, 'Ben in Ada'), (4, NULL, 1, 'nobody in Ada'), (5, 2, NULL, 'Ben'), (6, 1, 5, 'Ada in Ben'), (7, NULL, NULL, 'nobody'), (8, 1, 7, 'Ada in nobody');
INSERT INTO picture SELECT id, id, title FROM album;
SAVEPOINT s;
SELECT link, hops FROM effaced_subject_graph('person') WHERE relation = 'picture'::regclass;
SELECT effaced_verify(1, 'person') -> 'residual' AS residual;
SELECT * FROM erased(1, effaced_erase(1, subject => 'person'));
SELECT a.*, p.caption FROM album a LEFT JOIN picture p ON p.album_id = a.id ORDER BY a.id;
SELECT * FROM picture WHERE album_id IS NULL;
SELECT effaced_verify(1, 'person');
SELECT * FROM erased(2, effaced_erase(2, subject => 'person'));
SELECT a.*, p.caption FROM album a FULL JOIN picture p ON p.album_id = a.id ORDER BY a.id;
ROLLBACK TO s;
SECURITY LABEL FOR effaced ON TABLE picture IS NULL;
SECURITY LABEL FOR effaced ON COLUMN picture.caption IS NULL;
TRUNCATE picture;
SECURITY LABEL FOR effaced ON TABLE album IS
	'{"links": [{"name": "own", "path": "person"}, {"name": "around", "path": "album(part_of).person"}, {"name": "further", "path": "album(part_of).album(part_of).person"}]}';
UPDATE album SET person_id = 1 WHERE id = 4;
UPDATE album SET part_of = 6 WHERE id = 7;
SELECT * FROM erased(1, effaced_erase(1, subject => 'person'));
SELECT * FROM album ORDER BY id;
SELECT * FROM erased(2, effaced_erase(2, subject => 'person'));
SELECT * FROM album ORDER BY id;
ROLLBACK;
