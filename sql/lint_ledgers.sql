-- What lint finds of the ledgers: records of a kind of subject that no table has any
-- more, since it was renamed.
CREATE EXTENSION effaced;
\set SHOW_CONTEXT never
CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE login (id int PRIMARY KEY, person_id int REFERENCES person, ip inet, at date);
CREATE INDEX ON login (person_id);
CREATE INDEX ON login (at);
SECURITY LABEL FOR effaced ON TABLE person IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN person.name IS '{"category": "identity", "erasure": "anonymize"}';
SECURITY LABEL FOR effaced ON TABLE login IS '{"path": "person"}';
SECURITY LABEL FOR effaced ON COLUMN login.ip IS '{"category": "technical", "erasure": "retain",
  "retention": {"reason": "abuse", "duration": "90 days", "anchor": "at", "on_expiry": "delete"}}';
INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben');
INSERT INTO login VALUES (1, 1, '192.0.2.1', '2020-01-01'), (2, 2, '192.0.2.2', '2020-01-01');
SELECT effaced_restrict('1', reason => 'SECRET') IS NOT NULL AND effaced_consent_grant('2', 'news') IS NOT NULL;
SELECT * FROM effaced_lint();

ALTER TABLE person RENAME TO "hu man";
\x on
SELECT severity, code, relation, column_name, message, hint FROM effaced_lint();
-- The finding is no schema's of the users.
SELECT code FROM effaced_lint('{public}');
\x off
-- Whoever enforces retention meanwhile is told.
CALL effaced_enforce_retention('2020-01-01');
-- A consent may be judged.
SELECT effaced_lint_exempt('effaced_consent_records', NULL, 'lost_kind', 'asked anew');
SELECT code, relation FROM effaced_lint();

-- The hint brings the records back.
SELECT hint FROM effaced_lint() \gexec
SELECT code, relation FROM effaced_lint();
SELECT effaced_restriction_status('1'), effaced_consent_status('2', 'news');
CALL effaced_enforce_retention();
SELECT id FROM login ORDER BY id;

-- A restriction that was lifted needs no table.
SELECT effaced_lift_restriction('1') IS NOT NULL;
SECURITY LABEL FOR effaced ON TABLE "hu man" IS '{"path": ""}';
CALL effaced_enforce_retention();
SELECT id FROM login ORDER BY id;
