#!/bin/sh
# One provider in TypeScript, called from Python and from C++; then a server in C++, called from TypeScript.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${POLYGLOT_OUT:-$here/dist}
root=${MPRPC_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mprpc-test}/debian/root
# How node runs a file of TypeScript; the repository's tests say it for themselves.
node=${POLYGLOT_NODE:-"node --import tsx"}

sh "$here/build.sh" "$out"
work=$(mktemp -d)
started=
stop() {
  # shellcheck disable=SC2086 # a list of words
  if [ -n "$started" ]; then kill $started 2>/dev/null || true; fi
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT

# wait_for FILE: the address that the program behind it says it listens on.
wait_for() {
  while ! grep -q '^listening on ' "$1"; do sleep 0.1; done
  sed -n 's/^listening on //p' "$1"
}

# shellcheck disable=SC2086
(cd "$work" && exec $node "$here/src/provider.ts" --rpcserverport=0 "--registry=file:$work") >"$work/provider" &
started="$started $!"
provider=$(wait_for "$work/provider")
python=$(ls -d "$root/usr/lib/python3/dist-packages" 2>/dev/null || true)
lib=$(dirname "$(ls "$root"/usr/lib/*/libgrpc++.so /usr/lib/*/libgrpc++.so 2>/dev/null | head -n 1)")
PYTHONPATH=$out/python:$python LD_LIBRARY_PATH=$lib /usr/bin/python3 "$out/python/client.py" "$provider"
"$out/cpp/client" "$provider"

"$out/cpp/server" >"$work/server" &
started="$started $!"
server=$(wait_for "$work/server")
# shellcheck disable=SC2086
(cd "$work" && $node "$here/src/caller.ts" "--registry=static://grpc://$server")
