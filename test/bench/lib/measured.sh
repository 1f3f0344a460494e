# measured NAME: run the SQL on stdin in a session of its own and print what it
# took as "NAME milliseconds private peak temp": private is the most memory in MB
# that the backend had beside what it shares with others, sampled, peak its VmHWM
# (into which every shared buffer counts that it has touched), temp the MB that it
# wrote into temporary files. Times are those that the session itself prints, in
# lines "Time: n ms", of which the first counts.
measured() {
	local out pid before after anonymous=0 most=0 peak=0 key value
	out=$(mktemp)
	before=$(temporary_bytes)
	{
		echo '\pset format unaligned'
		echo '\pset tuples_only on'
		echo 'SELECT pg_backend_pid();'
		cat
		# long enough to be looked at once more
		echo 'SELECT pg_sleep(0.2);'
	} | psql -X -q -v ON_ERROR_STOP=1 >"$out" &
	until pid=$(head -1 "$out") && [[ $pid ]]; do sleep 0.01; done
	while [[ -e /proc/$pid/status ]]; do
		while read -r key value _; do
			case $key in
			RssAnon:) anonymous=$value ;;
			VmHWM:) peak=$value ;;
			esac
		done <"/proc/$pid/status" || break
		((anonymous <= most)) || most=$anonymous
		sleep 0.02
	done 2>/dev/null
	wait $! || { cat "$out" >&2; rm "$out"; return 1; }
	after=$(temporary_bytes)
	printf '%s %s %d %d %d\n' "$1" "$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$out" | head -1)" \
		$((most / 1024)) $((peak / 1024)) $(((after - before) / 1048576))
	rm "$out"
}

temporary_bytes() {
	psql -X -q -At -c "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
}

# table HEADER: the lines of measured() on stdin, below each other
table() {
	awk -v header="$1" 'BEGIN { printf "%-40s %12s %12s %12s %10s\n", header, "ms", "private MB", "VmHWM MB", "temp MB" }
		{ printf "%-40s %12.1f %12d %12d %10d\n", $1, $2, $3, $4, $5 }'
}
