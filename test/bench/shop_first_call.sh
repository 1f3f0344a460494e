#!/usr/bin/env bash
# The first erasure of a session, which reads labels and catalogs, makes the plan
# and prepares the statements, against one when all that is there. What the client
# waits, in sessions of their own; the function written by hand beside it.
set -euo pipefail

# psql's \timing of nine erasures from user $2 on, one a line
times() {
	local i
	{
		echo 'SET client_min_messages = warning;'
		printf '%s\n' '\timing on'
		for ((i = 0; i < 9; i++)); do echo "SELECT $1($2 + $i);"; done
	} | psql -X -q -At -v ON_ERROR_STOP=1 | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}

id=1
for ((round = 1; round <= 30; round++)); do
	for side in effaced_erase hand_erase; do
		times "$side" "$id" | {
			read -r first
			sort -n | sed -n 4p | {
				read -r warm
				echo "INSERT INTO timing VALUES ('$side', $round, 'first', $first), ('$side', $round, 'warm', $warm);"
			}
		}
		id=$((id + 10))
	done
done | psql -X -q -v ON_ERROR_STOP=1

psql -X -q -P pager=off <<'SQL'
SELECT f.work, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY f.milliseconds)::numeric, 2) AS "first ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY w.milliseconds)::numeric, 2) AS "warm ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY f.milliseconds - w.milliseconds)::numeric, 2) AS "more ms",
       count(*) AS sessions, CASE f.work WHEN 'effaced_erase' THEN '< 10 more' END AS target
  FROM timing f JOIN timing w USING (work, round) WHERE f.who = 'first' AND w.who = 'warm'
 GROUP BY f.work ORDER BY f.work;
SQL
