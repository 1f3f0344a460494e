-- Several kinds of subjects in one database: customers, employees, suppliers. A
-- table may hold subjects of its own and belong to others at the same time.
CREATE EXTENSION effaced;

CREATE TABLE employee (id int PRIMARY KEY, name text, phone text, manager_id int REFERENCES employee, grade int);
CREATE TABLE customer (id int PRIMARY KEY, name text, email text, support_rep_id int REFERENCES employee);
CREATE TABLE supplier (id int PRIMARY KEY, name text);
CREATE TABLE ticket (id int PRIMARY KEY, customer_id int REFERENCES customer, agent_id int REFERENCES employee, question text, answer text);
-- An address is of a customer, an employee or a supplier.
CREATE TABLE address (id int PRIMARY KEY, owner_type text NOT NULL, owner_id int, street text, city text, checked boolean);

SECURITY LABEL FOR effaced ON TABLE employee IS
	'{"path": "", "subject": "staff", "links": [{"name": "manager", "path": "manager"}], "set": {"grade": "NULL"}}';
SECURITY LABEL FOR effaced ON COLUMN employee.name IS '{"category": "identity", "surrogate": "''employee '' || id"}';
SECURITY LABEL FOR effaced ON COLUMN employee.phone IS '{"category": "contact", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE customer IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customer.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''customer '' || id"}';
SECURITY LABEL FOR effaced ON COLUMN customer.email IS '{"category": "contact", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE supplier IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN supplier.name IS '{"category": "identity", "erasure": "anonymize", "surrogate": "''supplier '' || id"}';
SECURITY LABEL FOR effaced ON TABLE ticket IS
	'{"links": [{"name": "customer", "path": "customer"}, {"name": "agent", "path": "agent"}]}';
SECURITY LABEL FOR effaced ON COLUMN ticket.question IS '{"category": "communication", "link": "customer", "surrogate": "''-''"}';
SECURITY LABEL FOR effaced ON COLUMN ticket.answer IS '{"category": "communication", "link": "agent", "surrogate": "''-''"}';
SECURITY LABEL FOR effaced ON TABLE address IS
	'{"links": [{"name": "customer", "hops": [{"source_columns": ["owner_id"], "target_table": "customer", "target_columns": ["id"]}], "where": "owner_type = ''customer''"},
	            {"name": "employee", "hops": [{"source_columns": ["owner_id"], "target_table": "employee", "target_columns": ["id"]}], "where": "owner_type = ''employee''"},
	            {"name": "supplier", "hops": [{"source_columns": ["owner_id"], "target_table": "supplier", "target_columns": ["id"]}], "where": "owner_type = ''supplier''"}],
	  "set": {"checked": "false"}}';
SECURITY LABEL FOR effaced ON COLUMN address.street IS '{"category": "location", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON COLUMN address.city IS '{"category": "location", "erasure": "retain", "retention": {"reason": "statistics"}}';

CREATE PROCEDURE fill() LANGUAGE sql AS $$
	TRUNCATE employee, customer, supplier, ticket, address;
	INSERT INTO employee VALUES (1, 'Eve', '01', NULL, 9), (2, 'Eric', '02', 1, 5), (3, 'Ella', '03', 2, 5), (4, 'Emil', '04', 4, 1);
	INSERT INTO customer VALUES (1, 'Carl', 'carl@example.com', 2), (2, 'Cora', 'cora@example.com', 3);
	INSERT INTO supplier VALUES (1, 'Sam'), (2, 'Sue');
	INSERT INTO ticket VALUES (1, 1, 2, 'Carl to Eric', 'Eric to Carl'), (2, 1, NULL, 'Carl to nobody', NULL), (3, 2, 2, 'Cora to Eric', 'Eric to Cora'), (4, 2, 3, 'Cora to Ella', 'Ella to Cora'), (5, NULL, 2, 'nobody to Eric', 'Eric to nobody');
	INSERT INTO address VALUES (1, 'customer', 1, 'Carl''s', 'A', true), (2, 'employee', 1, 'Eve''s', 'B', true), (3, 'supplier', 1, 'Sam''s', 'C', true), (4, 'employee', 2, 'Eric''s', 'D', true), (5, 'shop', 1, 'a shop''s', 'E', true), (6, 'customer', 2, 'Cora''s', 'F', true);
$$;
CREATE FUNCTION erased(kind regclass, id int) RETURNS TABLE (subject text, deleted jsonb, anonymized jsonb, retained jsonb, shared jsonb) LANGUAGE sql AS $$
	SELECT r ->> 'subject', r -> 'deleted', r -> 'anonymized', r -> 'retained', r -> 'shared' FROM effaced_erase(id, subject => kind) r
$$;
CALL fill();

-- No subject named: which ones there are.
SELECT effaced_erase(1);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_verify(1);
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_erase_many('{1}');
\echo :LAST_ERROR_SQLSTATE
-- Each kind has a graph of its own; a chain ends at the first subject table.
SELECT 'customer' AS kind, ordinal, relation, link, is_subject_table FROM effaced_subject_graph('customer')
UNION ALL SELECT 'staff', ordinal, relation, link, is_subject_table FROM effaced_subject_graph('employee')
UNION ALL SELECT 'supplier', ordinal, relation, link, is_subject_table FROM effaced_subject_graph('supplier')
ORDER BY 1, 2, 4;

-- Number 1 is three different subjects. The address is whose owner_type says.
SELECT effaced_verify(1, 'customer') AS customer, effaced_verify(1, 'employee') AS employee, effaced_verify(1, 'supplier') AS supplier \gx
BEGIN;
SELECT * FROM erased('supplier', 1);
SELECT * FROM address ORDER BY id;
SELECT * FROM erased('customer', 1);
SELECT * FROM address ORDER BY id;
TABLE customer;
-- Carl's question that is Eric's too stays, without Carl's part.
SELECT * FROM ticket ORDER BY id;
SELECT * FROM erased('employee', 1);
SELECT * FROM address ORDER BY id;
SELECT subject, subject_ref, event_type FROM effaced_audit_events WHERE event_type IN ('erasure_requested', 'erasure_completed') ORDER BY seq;
SELECT effaced_verify(1, 'customer') AS customer, effaced_verify(1, 'employee') AS employee, effaced_verify(1, 'supplier') AS supplier \gx
ROLLBACK;

--
-- Employees report to one another, and are the support reps of customers: who
-- leaves is erased, but not those who report to them, nor what these own.
--
BEGIN;
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('2', 'employee');
SELECT * FROM erased('employee', 2);
SELECT * FROM employee ORDER BY id;
SELECT * FROM customer ORDER BY id;
SELECT * FROM ticket ORDER BY id;
SELECT effaced_verify(2, 'employee');
-- again
SELECT * FROM erased('employee', 2);
-- With the customer the rest of the tickets goes.
SELECT * FROM erased('customer', 1);
SELECT * FROM ticket ORDER BY id;
-- Who is one's own manager is one subject.
SELECT * FROM erased('employee', 4);
SELECT * FROM employee WHERE id = 4;
-- All at once.
SELECT effaced_erase_many('{1,2,3}', subject => 'employee') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT * FROM employee ORDER BY id;
ROLLBACK;
-- Where the row of an employee goes, references of every kind are let go.
BEGIN;
SECURITY LABEL FOR effaced ON TABLE employee IS
	'{"path": "", "subject": "staff", "links": [{"name": "manager", "path": "manager"}], "owned": true}';
SECURITY LABEL FOR effaced ON TABLE address IS NULL;
SECURITY LABEL FOR effaced ON COLUMN address.street IS NULL;
SECURITY LABEL FOR effaced ON COLUMN address.city IS NULL;
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('2', 'employee');
SELECT * FROM erased('employee', 2);
SELECT * FROM employee ORDER BY id;
SELECT * FROM customer ORDER BY id;
SELECT * FROM ticket ORDER BY id;
SELECT effaced_verify(2, 'employee');
SELECT effaced_erase_many('{1,3,4}', subject => 'employee') - 'enqueued' - 'skipped_resolvers' AS result;
TABLE employee;
ROLLBACK;

--
-- A customer's support rep is the customer's to know, and an employee all the
-- same: the customer's erasure leaves the employee, the employee's does not wait
-- for the customer.
--
BEGIN;
SECURITY LABEL FOR effaced ON TABLE employee IS
	'{"path": "", "subject": "staff", "links": [{"name": "rep_of", "path": "customer(support_rep_id)"}]}';
SELECT ordinal, relation, link, is_subject_table FROM effaced_subject_graph('customer');
SELECT step, relation, link, strategy, columns, reason FROM effaced_plan('1', 'customer') WHERE relation = 'employee'::regclass;
SELECT * FROM erased('customer', 1);
SELECT * FROM employee ORDER BY id;
SELECT * FROM erased('employee', 3);
SELECT * FROM erased('customer', 2);
SELECT * FROM employee ORDER BY id;
ROLLBACK;

--
-- A contact owns its login, which is a subject table too: erasing the contact
-- leaves a login that is used, and erasing the login leaves the contact.
--
BEGIN;
CREATE TABLE login (id int PRIMARY KEY, user_name text, recovery text, failures int);
CREATE TABLE contact (id int PRIMARY KEY, login_id int UNIQUE REFERENCES login, name text, memo text);
CREATE TABLE session (id int PRIMARY KEY, login_id int NOT NULL REFERENCES login, ip inet);
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "", "links": [{"name": "contact", "path": "contact(login_id)"}]}';
SECURITY LABEL FOR effaced ON COLUMN login.user_name IS '{"category": "identity", "surrogate": "''user '' || id"}';
SECURITY LABEL FOR effaced ON COLUMN login.recovery IS '{"category": "contact", "link": "contact", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE contact IS '{"path": "", "links": [{"name": "login", "path": "login", "role": "accessor", "redact": ["memo"]}]}';
SECURITY LABEL FOR effaced ON COLUMN contact.name IS '{"category": "identity", "surrogate": "''contact '' || id"}';
SECURITY LABEL FOR effaced ON COLUMN contact.memo IS '{"category": "behavioral", "surrogate": "NULL"}';
SECURITY LABEL FOR effaced ON TABLE session IS '{"path": "login"}';
SECURITY LABEL FOR effaced ON COLUMN session.ip IS '{"category": "technical"}';
INSERT INTO login VALUES (1, 'ada', 'ada@example.com', 0), (2, 'ben', 'ben@example.com', 0);
INSERT INTO contact VALUES (10, 1, 'Ada', 'likes tea'), (20, 2, 'Ben', 'likes rum'), (30, NULL, 'Cleo', NULL);
INSERT INTO session VALUES (1, 1, '192.0.2.1'), (2, 2, '192.0.2.2');
SELECT 'contact' AS kind, ordinal, relation, link, role, is_subject_table FROM effaced_subject_graph('contact')
UNION ALL SELECT 'login', ordinal, relation, link, role, is_subject_table FROM effaced_subject_graph('login') ORDER BY 1, 2, 4;
SAVEPOINT s;
SELECT * FROM erased('contact', 10);
TABLE login;
TABLE contact;
TABLE session;
SELECT * FROM erased('login', 1);
SELECT * FROM login ORDER BY id;
TABLE session;
SELECT effaced_verify(10, 'contact') AS contact, effaced_verify(1, 'login') AS login \gx
ROLLBACK TO s;
SELECT * FROM erased('login', 1);
SELECT * FROM login ORDER BY id;
SELECT * FROM contact ORDER BY id;
SELECT * FROM erased('contact', 10);
SELECT * FROM login ORDER BY id;
SELECT * FROM contact ORDER BY id;
ROLLBACK;

--
-- "set" goes with the surrogates, in one statement, and only into rows that no
-- other owner has.
--
BEGIN;
ALTER TABLE ticket ADD closed boolean DEFAULT false;
SECURITY LABEL FOR effaced ON TABLE ticket IS
	'{"links": [{"name": "customer", "path": "customer"}, {"name": "agent", "path": "agent"}], "set": {"closed": "true"}}';
SELECT step, strategy, columns FROM effaced_plan('1', 'customer') WHERE relation = 'ticket'::regclass;
SELECT * FROM erased('customer', 1);
SELECT * FROM ticket ORDER BY id;
SELECT * FROM erased('employee', 2);
SELECT * FROM ticket ORDER BY id;
ROLLBACK;

-- A kind is a name of its own, and each has one.
SECURITY LABEL FOR effaced ON TABLE supplier IS '{"path": "", "subject": "staff"}';
SELECT effaced_plan('1', 'supplier');
\echo :LAST_ERROR_SQLSTATE

--
-- What is said about a manager's report is the manager's to lose, and one's own
-- where one is one's own manager.
--
BEGIN;
SELECT effaced_remove_labels() > 0 AS removed;
CREATE TABLE worker (id int PRIMARY KEY, boss int REFERENCES worker, name text, said text);
SECURITY LABEL FOR effaced ON TABLE worker IS '{"path": "", "links": [{"name": "boss", "path": "boss"}]}';
SECURITY LABEL FOR effaced ON COLUMN worker.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON COLUMN worker.said IS '{"category": "communication", "erasure": "anonymize", "link": "boss"}';
INSERT INTO worker VALUES (1, NULL, 'a', 'nobody''s'), (2, 1, 'b', 'by 1'), (3, 1, 'c', 'by 1'), (4, 4, 'd', 'by 4'), (5, 4, 'e', 'by 4');
SELECT effaced_verify(4, 'worker') -> 'residual' AS residual;
SELECT effaced_erase(4, subject => 'worker') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT effaced_erase(2, subject => 'worker') - 'enqueued' - 'skipped_resolvers' AS result;
SELECT effaced_verify(n, 'worker') AS verdict FROM generate_series(2, 4, 2) n;
SELECT id, boss, name LIKE 'anon-%' AS anonymous, CASE WHEN said LIKE 'anon-%' THEN 'anon' ELSE said END AS said FROM worker ORDER BY id;
ROLLBACK;
