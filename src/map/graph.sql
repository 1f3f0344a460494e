-- How tables reach the subject.

CREATE FUNCTION @extschema@.effaced_subject_graph(subject regclass DEFAULT NULL)
RETURNS TABLE (ordinal int, relation regclass, link text, hops jsonb, role text,
               fully_pii_owned boolean, is_subject_table boolean)
LANGUAGE c STABLE ROWS 20 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_subject_graph(regclass) IS
    'The tables that reach a subject, in deletion order, and by which joins: a row per link';

CREATE FUNCTION @extschema@.effaced_table_access(relation regclass, subject regclass DEFAULT NULL)
RETURNS TABLE (ordinal int, relation regclass, link text, hops jsonb, role text,
               fully_pii_owned boolean, is_subject_table boolean)
LANGUAGE c STABLE ROWS 1 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_table_access(regclass, regclass) IS
    'How one table reaches a subject';

CREATE FUNCTION @extschema@.effaced_deletion_order(relations regclass[]) RETURNS regclass[]
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_deletion_order(regclass[]) IS
    'Sorts tables so that rows go before the rows that they reference';

CREATE FUNCTION @extschema@.effaced_graph_dot(subject regclass DEFAULT NULL) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_graph_dot(regclass) IS
    'The subject graph as a Graphviz drawing: owner links solid, accessor links dashed, hops against a reference with an empty arrow head';
