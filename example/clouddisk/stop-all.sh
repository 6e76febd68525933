#!/usr/bin/env bash
# Ends what ./start-all.sh started, and nothing else: requests in flight are finished first. `./stop-all.sh --help` says how.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/scripts/processes.sh"

for argument in "$@"; do
  if [[ "$argument" == -h || "$argument" == --help ]]; then
    cat <<'USAGE'
Usage: ./stop-all.sh [-i FILE] [--key=value]...

The arguments are those ./start-all.sh had, as far as they say where the data folder is.
Exit code: 0 nothing runs any more, 1 something had to be killed.
USAGE
    exit 0
  fi
done
use_data_folder "$@"
lock
[[ -n "$(running_names)" ]] || printf 'stop-all: nothing of %s is running\n' "$data"
stop_all
