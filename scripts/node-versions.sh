#!/bin/sh
# Puts other versions of Node.js into a cache folder, from npm, without installing them:
#
#   scripts/node-versions.sh MAJOR...    prints the path of each one's `node`, a line each; nothing else goes to stdout
#
# What is there already is not fetched again. It lands in $MPRPC_TEST_CACHE (default: ${XDG_CACHE_HOME:-~/.cache}/mprpc-test).
set -eu

cache=${MPRPC_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mprpc-test}/node

# Those that npm has Node.js for, as it names them.
case $(uname -sm) in
'Linux x86_64') system=linux-x64 ;;
'Linux aarch64') system=linux-arm64 ;;
*)
  printf 'node-versions: npm has no Node.js for %s\n' "$(uname -sm)" >&2
  exit 1
  ;;
esac

mkdir -p "$cache"
# Two test runs at once must not unpack over each other.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
fi

for major in "$@"; do
  folder=$cache/$major
  if [ ! -e "$folder" ]; then
    rm -rf "$cache/new"
    mkdir "$cache/new"
    npm pack --silent --pack-destination "$cache/new" "node-$system@$major" >&2
    tar -xzf "$cache/new"/*.tgz -C "$cache/new" package/bin/node
    "$cache/new/package/bin/node" --version >&2
    mv "$cache/new/package" "$folder"
    rm -rf "$cache/new"
  fi
  printf '%s\n' "$folder/bin/node"
done
