-- What the benchmarks write their times into, and how two sides are compared: by
-- the medians of each, and by the median of the ratios of a round, in which they
-- took turns. The quartiles of the ratios tell how noisy the run was.
CREATE TABLE timing (work text, round int, who text, milliseconds float8);

CREATE FUNCTION comparison(p_who text, p_reference text, p_target text)
RETURNS TABLE (work text, "effaced ms" numeric, reference text, "reference ms" numeric,
               ratio numeric, quartiles text, rounds bigint, target text)
LANGUAGE sql AS $$
    SELECT e.work, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.milliseconds)::numeric, 3),
           p_reference, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY r.milliseconds)::numeric, 3),
           round(percentile_cont(0.5) WITHIN GROUP (ORDER BY e.milliseconds / r.milliseconds)::numeric, 2),
           concat_ws(' - ', round(percentile_cont(0.25) WITHIN GROUP (ORDER BY e.milliseconds / r.milliseconds)::numeric, 2),
                     round(percentile_cont(0.75) WITHIN GROUP (ORDER BY e.milliseconds / r.milliseconds)::numeric, 2)),
           count(*), p_target
      FROM timing e JOIN timing r USING (work, round)
     WHERE e.who = p_who AND r.who = p_reference
     GROUP BY e.work
$$;
