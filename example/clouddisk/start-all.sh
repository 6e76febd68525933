#!/usr/bin/env bash
# Starts the cloud disk in the background and waits until it serves; ./stop-all.sh ends it. `./start-all.sh --help` says how.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/scripts/processes.sh"

usage() {
  cat <<'USAGE'
Usage: ./start-all.sh [--processes] [-i FILE] [--key=value]...

  --processes  a process for each of the six services; without it all are in one
  -i FILE      the conf file; without it clouddisk.conf beside this script
  --key=value  a key of the conf, e.g. --apigw.port=9000

Process ids are kept in run/ and logs in logs/ of the data folder (CLOUDDISK_DATA, or [clouddisk] data).
Exit code: 0 they serve, 1 they do not, 2 wrong usage.
USAGE
}

together=yes
arguments=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --processes) together=no ;;
    *) arguments+=("$argument") ;;
  esac
done
use_data_folder "${arguments[@]+"${arguments[@]}"}"
lock

if names="$(running_names)" && [[ -n "$names" ]]; then
  die "already running: ${names% } (run/ in $data); ./stop-all.sh ends it"
fi
rm -f -- "$run"/*.pid

# start NAME: the log grows; what this start says begins at the size it has now.
declare -A log_start
secrets=""
start() {
  local name="$1" log="$logs/$1.log"
  touch -- "$log"
  log_start[$name]=$(($(wc -c <"$log") + 1))
  local proof=()
  if [[ -n "$secrets" ]]; then
    proof=("--auth.secrets=$secrets" "--auth.secret=$name" --tls.mode=required)
  fi
  setsid -- "$here/bin/clouddisk" "$name" "${conf_arguments[@]}" "${proof[@]+"${proof[@]}"}" </dev/null >>"$log" 2>&1 9>&- &
  remember "$name" $!
}

# conf_value KEY: its value, as `clouddisk config` shows it.
conf_value() {
  "$here/bin/clouddisk" config "${conf_arguments[@]}" | sed -n "s/^$1  *= \\([^ ]*\\).*/\\1/p"
}

said() { tail -c "+${log_start[$1]}" -- "$logs/$1.log"; }

# No test for a time: a service that cannot start ends, and one that is slow (a database that recovers) is waited for.
await_ready() {
  local name="$1"
  until said "$name" | grep -q '^clouddisk ready:'; do
    if ! is_running "$name"; then
      printf 'start-all: %s did not start; it said (%s):\n' "$name" "$logs/$name.log" >&2
      said "$name" | tail -n 20 >&2
      stop_all >&2 || true
      exit 1
    fi
    sleep 0.1
  done
}

if [[ "$together" == yes ]]; then
  names=(all)
else
  names=("${services[@]}")
  # One for each, made at the first start. On one machine nobody else reaches their sockets; where they meet by addresses, each has to
  # prove which it is.
  secrets="$("$here/bin/clouddisk" secrets "${conf_arguments[@]}")" || exit 1
  if [[ "$(conf_value registry)" == file:* || -n "$(conf_value auth.secrets)" || "$(conf_value clouddisk.callers)" == any ]]; then
    secrets=""
  fi
fi
trap 'stop_all; exit 130' INT
trap 'stop_all; exit 143' TERM
for name in "${names[@]}"; do start "$name"; done
for name in "${names[@]}"; do await_ready "$name"; done
printf 'start-all: %s running, data and logs in %s\n' "${names[*]}" "$data"
for name in "${names[@]}"; do said "$name"; done | sed -n 's/^clouddisk ready:.* apigw=\(http[^ ]*\).*/\1/p'
