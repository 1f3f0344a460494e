-- Storage limitation (Art. 5(1)(e)).

CREATE FUNCTION @extschema@.effaced_sweep(as_of timestamptz DEFAULT now())
RETURNS TABLE (relation regclass, column_name name, subject text, reason text, cutoff timestamptz, expired_rows bigint,
               expired_subjects bigint, subject_ids text[], indeterminate_rows bigint)
LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.effaced_sweep(timestamptz) IS
    'Reports what has outlived its retention, per column and kind of subject, and records it for each subject; changes no data';
