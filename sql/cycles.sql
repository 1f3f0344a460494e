-- Foreign keys that form a cycle: a deferrable one is checked at the end of the
-- call, else a nullable reference is set to NULL first. Only where neither can
-- be is the cycle an error that names it.
CREATE EXTENSION effaced;

CREATE TABLE person (id int PRIMARY KEY, name text);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity"}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');

CREATE FUNCTION erase(id text) RETURNS text LANGUAGE sql AS $$
	SELECT effaced_erase(id) ->> 'deleted'
$$;

-- Person, account, and the person's main account.
CREATE TABLE account (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, iban text);
SECURITY LABEL FOR effaced ON TABLE account IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial"}';
INSERT INTO account VALUES (11, 1, 'AT1'), (12, 1, 'AT2'), (21, 2, 'AT3');

-- A nullable reference is set to NULL first.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account;
UPDATE person SET main = 10 * id + 1;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT erase('1');
TABLE person;
TABLE account;
ROLLBACK;

-- A deferrable one is left in place and checked before the call returns.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account DEFERRABLE;
UPDATE person SET main = 10 * id + 1;
ALTER TABLE person ALTER main SET NOT NULL;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT erase('1');
TABLE person;
TABLE account;
-- The constraint is immediate again ...
SAVEPOINT s;
DELETE FROM account WHERE id = 21;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
ROLLBACK;

-- ... and one that is initially deferred goes on being deferred.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account DEFERRABLE INITIALLY DEFERRED;
UPDATE person SET main = 10 * id + 1;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE person ALTER main SET NOT NULL;
SET CONSTRAINTS ALL DEFERRED;
SELECT erase('1');
SAVEPOINT s;
DELETE FROM account WHERE id = 21;
SET CONSTRAINTS main_account IMMEDIATE;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Where no cycle is, a deferred reference from elsewhere is still found before
-- the call returns, and not at the end of the transaction.
BEGIN;
CREATE TABLE elsewhere (account_id int REFERENCES account DEFERRABLE INITIALLY DEFERRED);
INSERT INTO elsewhere VALUES (11);
SELECT erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Nor does the caller's SET CONSTRAINTS move a failure to COMMIT, whose message
-- would show the key: a row that slips in fails the call.
BEGIN;
CREATE TABLE elsewhere (account_id int CONSTRAINT needs_account REFERENCES account DEFERRABLE);
CREATE FUNCTION slip_in() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO elsewhere VALUES (OLD.id); RETURN NULL; END';
CREATE TRIGGER slip_in AFTER DELETE ON account FOR EACH ROW EXECUTE FUNCTION slip_in();
SET CONSTRAINTS ALL DEFERRED;
SELECT erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- A constraint of the same name on another table is not mistaken for this one.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account DEFERRABLE;
UPDATE person SET main = 10 * id + 1;
ALTER TABLE person ALTER main SET NOT NULL;
CREATE TABLE firm (id int PRIMARY KEY, account_id int CONSTRAINT main_account REFERENCES account);
SELECT erase('1');
TABLE person;
ROLLBACK;

-- Neither deferrable nor nullable: the cycle is named, and nothing is planned.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account;
UPDATE person SET main = 10 * id + 1;
ALTER TABLE person ALTER main SET NOT NULL;
SAVEPOINT s;
SELECT * FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT erase('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- Where one of the tables survives there is nothing to break.
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''?''"}';
SECURITY LABEL FOR effaced ON COLUMN account.iban IS '{"category": "financial", "surrogate": "''?''", "erasure": "anonymize"}';
SELECT step, relation, strategy FROM effaced_plan('1');
ROLLBACK;

-- A longer cycle, through tables that only it connects: person, device, session,
-- login and back to device.
BEGIN;
CREATE TABLE device (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, last_login int, mac text);
CREATE TABLE session (id int PRIMARY KEY, device_id int NOT NULL REFERENCES device, cookie text);
CREATE TABLE login (id int PRIMARY KEY, session_id int NOT NULL REFERENCES session, ip text);
ALTER TABLE device ADD CONSTRAINT last_login FOREIGN KEY (last_login) REFERENCES login;
SECURITY LABEL FOR effaced ON TABLE device IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN device.mac IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON TABLE session IS '{"path": "device.person"}';
SECURITY LABEL FOR effaced ON COLUMN session.cookie IS '{"category": "technical"}';
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "session.device.person"}';
SECURITY LABEL FOR effaced ON COLUMN login.ip IS '{"category": "technical"}';
INSERT INTO device SELECT i, 1 + i % 2, NULL, 'mac ' || i FROM generate_series(1, 4) i;
INSERT INTO session SELECT i, i, 'cookie ' || i FROM generate_series(1, 4) i;
INSERT INTO login SELECT i, i, 'ip ' || i FROM generate_series(1, 4) i;
UPDATE device SET last_login = id;
SELECT step, relation, strategy, columns FROM effaced_plan('1');
SELECT erase('1');
SELECT * FROM device ORDER BY id;
SELECT * FROM login ORDER BY id;
SAVEPOINT s;
ALTER TABLE device ALTER last_login SET NOT NULL;
SAVEPOINT s2;
SELECT erase('2');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s2;
SELECT effaced_deletion_order('{person,device,session,login}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- A cycle in which the action of a foreign key does the work; a cascade does not
-- give an order.
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account ON DELETE SET NULL;
UPDATE person SET main = 10 * id + 1;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
SELECT erase('1');
TABLE person;
TABLE account;
ROLLBACK;
BEGIN;
ALTER TABLE person ADD main int CONSTRAINT main_account REFERENCES account ON DELETE CASCADE;
UPDATE person SET main = 10 * id + 1;
ALTER TABLE person ALTER main SET NOT NULL;
SELECT step, relation, strategy, columns, reason FROM effaced_plan('1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Self-references go with their rows in one statement, whatever their action.
BEGIN;
CREATE TABLE folder (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person, parent int NOT NULL REFERENCES folder, twin int REFERENCES folder ON DELETE RESTRICT, name text);
SECURITY LABEL FOR effaced ON TABLE folder IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN folder.name IS '{"category": "behavioral"}';
INSERT INTO folder VALUES (1, 1, 1, NULL, 'root'), (2, 1, 1, 1, 'a'), (3, 1, 2, 2, 'b'), (4, 2, 4, NULL, 'root');
UPDATE folder SET twin = 3 WHERE id = 2;
SELECT erase('1');
TABLE folder;
ROLLBACK;
SELECT count(*) FROM effaced_audit_events;
