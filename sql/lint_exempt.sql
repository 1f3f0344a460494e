-- A finding that needs no action: effaced_lint_exempt() records why, and
-- effaced_lint() no longer gives it.
CREATE EXTENSION effaced;
CREATE TABLE customers (id int PRIMARY KEY, name text, joined date, plan text);
SECURITY LABEL FOR effaced ON TABLE customers IS '{"path": ""}';
SECURITY LABEL FOR effaced ON COLUMN customers.name IS '{"category": "identity"}';
CREATE SCHEMA "Other shop";
CREATE TABLE "Other shop"."Pro""ducts" (id int PRIMARY KEY, "Contact e-mail" text);
CREATE MATERIALIZED VIEW mailing AS SELECT name FROM customers;
CREATE ROLE officer;
SELECT severity, code, relation, column_name FROM effaced_lint();

-- Of one column, and of one code.
SELECT effaced_lint_exempt('customers', 'joined', 'unlabelled_column', 'the day of joining tells nothing by itself');
SELECT code, relation, column_name FROM effaced_lint();
SELECT effaced_lint_exempt('"Other shop"."Pro""ducts"', 'Contact e-mail', 'personal_name', 'addresses of firms');
SELECT effaced_lint_exempt('mailing', NULL, 'matview_copies_labelled', 'refreshed every night');
SELECT code, relation, column_name FROM effaced_lint();
-- A judgement about the table is none about its columns.
SELECT effaced_lint_exempt('customers', NULL, 'unlabelled_column', 'no finding is about the table');
SELECT code, relation, column_name FROM effaced_lint();
SELECT relation, column_name, code, reason, recorded_by = session_user AS by_me FROM effaced_lint_exemptions ORDER BY 1, 2;
-- Said again, the later reason counts.
SELECT effaced_lint_exempt('customers', 'joined', 'unlabelled_column', 'a better reason');
SELECT effaced_lint_exempt('mailing', NULL, 'matview_copies_labelled', 'refreshed every hour');
SELECT reason FROM effaced_lint_exemptions ORDER BY 1;

-- Also where everything is published.
SET client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
RESET client_min_messages;
SELECT effaced_lint_exempt('customers', 'plan', 'unlabelled_column', 'published');
SELECT effaced_lint_exempt('customers', 'plan', 'unlabelled_column', 'published still');
SELECT effaced_lint_unexempt('customers', 'plan', 'unlabelled_column');
DROP PUBLICATION everything;

-- Taken back.
SELECT effaced_lint_unexempt('customers', 'joined', 'unlabelled_column');
SELECT effaced_lint_unexempt('customers', NULL, 'unlabelled_column');
SELECT code, column_name FROM effaced_lint();
SET search_path = "Other shop", public;
SELECT effaced_lint_unexempt('"Pro""ducts"', 'Contact e-mail', 'personal_name');
RESET search_path;
SELECT effaced_lint_unexempt('customers', 'joined', 'unlabelled_column');
\echo :LAST_ERROR_SQLSTATE

-- What it refuses; nothing is recorded.
SELECT effaced_lint_exempt('customers', 'joined', 'unlabeled_column', 'a typing error');
\echo :LAST_ERROR_SQLSTATE
SELECT effaced_lint_exempt('customers', 'nosuch', 'unlabelled_column', 'a reason');
SELECT effaced_lint_exempt('customers', 'ctid', 'unlabelled_column', 'a reason');
SELECT effaced_lint_exempt('customers', 'joined', 'unlabelled_column', E' \n');
SELECT effaced_lint_exempt('customers', NULL, 'unlabelled_column', NULL);
SELECT effaced_lint_exempt(NULL, NULL, 'unlabelled_column', 'a reason');
SELECT effaced_lint_exempt('customers', NULL, NULL, 'a reason');
SELECT effaced_lint_exempt(4711::regclass, NULL, 'unlabelled_column', 'a reason');
SELECT effaced_lint_unexempt(NULL, NULL, NULL);
SELECT count(*) FROM effaced_lint_exemptions;

-- EXECUTE is all that is needed, and the reasons are their owner's.
SELECT effaced_lint_exempt('customers', 'joined', 'unlabelled_column', 'judged');
SET ROLE officer;
SELECT effaced_lint_exempt('customers', 'plan', 'unlabelled_column', 'judged');
RESET ROLE;
GRANT EXECUTE ON FUNCTION effaced_lint, effaced_lint_exempt, effaced_lint_unexempt TO officer;
SET ROLE officer;
SELECT effaced_lint_exempt('customers', 'plan', 'unlabelled_column', 'judged');
SELECT code, relation, column_name FROM effaced_lint('{public}');
SELECT reason FROM effaced_lint_exemptions;
SELECT effaced_lint_unexempt('customers', 'plan', 'unlabelled_column');
RESET ROLE;

-- stale_exemption: what a judgement was about is gone.  A table that is renamed is
-- judged anew.
SELECT effaced_lint_exempt('"Other shop"."Pro""ducts"', 'Contact e-mail', 'personal_name', 'addresses of firms');
DROP MATERIALIZED VIEW mailing;
ALTER TABLE customers DROP joined;
ALTER TABLE "Other shop"."Pro""ducts" RENAME TO goods;
SELECT severity, code, relation, column_name, message, hint FROM effaced_lint();
SELECT code, relation FROM effaced_lint('{public}');
SELECT hint FROM effaced_lint() WHERE code = 'stale_exemption' \gexec
SELECT code, relation, column_name FROM effaced_lint();

-- An empty result can be required: see README.
DO $$
DECLARE
    findings bigint;
BEGIN
    SELECT count(*) INTO findings FROM effaced_lint();
    IF findings > 0 THEN
        RAISE EXCEPTION 'effaced_lint() has % findings', findings;
    END IF;
END $$;
