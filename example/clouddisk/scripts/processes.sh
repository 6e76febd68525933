# Sourced by start-all.sh and stop-all.sh: which processes are ours, and how they end.
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
# The gateway is the first to end and the database the last, so that nothing waits for what is gone.
services=(apigw upload download transfer account dbproxy)
# More than [provider] draintimeout and the HTTP servers need together.
stop_seconds=45

die() {
  printf '%s: %s\n' "$(basename -- "$0" .sh)" "$*" >&2
  exit 1
}

# Sets data, run, logs and conf_arguments from the arguments.
use_data_folder() {
  local argument named=no
  conf_arguments=("$@")
  for argument in "$@"; do
    [[ "$argument" == -i || "$argument" == -i=* ]] && named=yes
  done
  if [[ "$named" == no ]]; then
    conf_arguments=(-i "$here/clouddisk.conf" "$@")
  fi
  data="$("$here/bin/clouddisk" folder "${conf_arguments[@]}")" || exit 1
  run="$data/run"
  logs="$data/logs"
  (umask 077 && mkdir -p -- "$run" "$logs") || exit 1
}

# One start-all or stop-all at a time; ends with this script.
lock() {
  exec 9>"$run/lock"
  flock -n 9 || die "another start-all.sh or stop-all.sh is at work in $run"
}

# When a process began: with its id, what tells it from a later one that was given the same id. In ticks since the machine
# started where /proc has it; the time of day that ps makes of it may move by a second.
began() {
  if [[ -d /proc/self ]]; then
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20 || true
  else
    ps -p "$1" -o lstart= 2>/dev/null || true
  fi
}

remember() { printf '%s\n%s\n' "$2" "$(began "$2")" >"$run/$1.pid"; }

# Sets pid; fails when the process of that name is not there any more, or another one has its id.
is_running() {
  local file="$run/$1.pid" since
  [[ -f "$file" ]] || return 1
  { read -r pid && read -r since; } <"$file" || return 1
  [[ "$pid" =~ ^[0-9]+$ && -n "$since" && "$(began "$pid")" == "$since" ]] || return 1
  # Ended, but not yet taken note of by whoever started it.
  [[ "$(ps -p "$pid" -o stat=)" != Z* ]]
}

running_names() {
  local name
  for name in all "${services[@]}"; do
    if is_running "$name"; then printf '%s ' "$name"; fi
  done
}

# stop NAME: SIGTERM, and waits until it is gone.
stop() {
  local name="$1" tries=0
  is_running "$name" || { rm -f -- "$run/$name.pid"; return 0; }
  kill -TERM "$pid" 2>/dev/null || true
  while is_running "$name"; do
    if ((++tries > stop_seconds * 10)); then
      printf '%s (%s) did not end within %s s and is killed\n' "$name" "$pid" "$stop_seconds" >&2
      kill -KILL "$pid" 2>/dev/null || true
      rm -f -- "$run/$name.pid"
      return 1
    fi
    sleep 0.1
  done
  rm -f -- "$run/$name.pid"
  printf 'stopped %s (%s)\n' "$name" "$pid"
}

stop_all() {
  local name code=0
  for name in all "${services[@]}"; do stop "$name" || code=1; done
  return "$code"
}
