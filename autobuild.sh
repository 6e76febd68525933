#!/usr/bin/env bash
# Builds, shows and tests mprpc from a clean clone. `./autobuild.sh --help` says how.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
cd -- "$root"

node_min="20.17.0"
# The JSON reports of the last `test`, which .ci/run counts from: one for each version of Node.js.
reports="$root/.cache/vitest"
scratch=""
provider_pid=""

usage() {
  cat <<'USAGE'
Usage: ./autobuild.sh [COMMAND]

  build      the default: install what is missing, build lib/, generate code from the .proto files, build the examples, check
             types and style
  demo [--tls]
             build the library and two examples, then let bin/consumer call bin/provider over a registry in a temp folder, and stop both;
             --tls: over mutual TLS, with certificates made for it
  clouddisk [--port=N]
             build the library and the cloud disk, then serve that of example/clouddisk at http://127.0.0.1:8080 (or port N) until Ctrl-C; its data
             are in CLOUDDISK_DATA (default ~/.local/share/mprpc-clouddisk)
  test       build, fetch what the tests need (ZooKeeper, Consul, dnsmasq, MariaDB, Redis, Swift, Chromium) from Debian, run every test, and
             a part of them on Node.js 22 and 24, fetched from npm
  clean      remove what the commands above made, except node_modules, downloads and the cloud disk's data
  -h, --help

Needs Node.js >= 20.17 and npm; `test` also needs what scripts/debian-packages.sh names.
Exit code: 0 done, 1 a step failed, 2 wrong usage, 3 something to install is missing.
USAGE
}

now_us() { printf '%s' "${EPOCHREALTIME//[.,]/}"; }

# Prints the tenths of seconds since the given moment.
elapsed() {
  local tenths=$((($(now_us) - $1) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*"; }

# step TEXT COMMAND...: one line for a quiet command; its output only when it fails.
step() {
  local text="$1" start log="$scratch/step.log"
  shift
  start="$(now_us)"
  printf '[%(%H:%M:%S)T] %s ... ' -1 "$text"
  if "$@" >"$log" 2>&1 </dev/null; then
    elapsed "$start"
    printf '\n'
  else
    printf 'FAILED after %s: %s\n' "$(elapsed "$start")" "$*"
    cat -- "$log"
    exit 1
  fi
}

# missing WHAT HOW: says what is not there and how to get it on Debian.
missing() {
  printf 'autobuild: %s\n  %s\n' "$1" "$2" >&2
  exit 3
}

need_node() {
  local how="Debian 13 and newer: apt-get install nodejs npm. Older: https://nodejs.org/en/download (version 20 or newer)."
  command -v node >/dev/null || missing "node is not on the PATH." "$how"
  node -e 'const p = (v) => v.split(".").map(Number); const [a, b] = p(process.versions.node), [c, d] = p(process.argv[1]);
    process.exit(a > c || (a === c && b >= d) ? 0 : 1)' "$node_min" ||
    missing "node $(node --version) is too old: mprpc needs >= $node_min." "$how"
  command -v npm >/dev/null || missing "npm is not on the PATH." "Debian: apt-get install npm."
}

# stop PID: SIGTERM, and waits until it is gone; `wait` gives its exit code.
stop() {
  kill -TERM "$1" 2>/dev/null || true
  wait "$1"
}

cleanup() {
  local code=$?
  if [[ -n "$provider_pid" ]]; then
    stop "$provider_pid" || true
  fi
  if [[ -n "$scratch" ]]; then
    rm -rf -- "$scratch"
  fi
  exit "$code"
}

install() {
  local reason
  if reason="$(node scripts/stale.mjs)"; then
    say "install: node_modules is what package-lock.json asks for"
  else
    step "install: npm ci ($reason)" npm ci --no-audit --no-fund
  fi
}

examples() {
  npx --no-install tsc -p example/callee &&
    npx --no-install tsc -p example/caller
}

# What was compiled from a file that is not there any more must not be started.
clouddisk_build() {
  rm -rf -- example/clouddisk/dist &&
    npm run --silent build -w mprpc-clouddisk
}

# launchers NAME...: each is there, and the first of them runs.
launchers() {
  local name
  for name in "$@"; do
    [[ -x "$name" ]] || { printf '%s is not there or not executable\n' "$name"; return 1; }
  done
  "$1" --help
}

build_library() {
  need_node
  install
  step "build: src/ into lib/" npm run --silent lib
  step "generate: .proto files into TypeScript" node scripts/generate.mjs
}

build_examples() {
  step "build: example/callee and example/caller" examples
  step "launchers: bin/mprpc, bin/provider, bin/consumer" launchers bin/mprpc bin/provider bin/consumer
}

build_clouddisk() {
  step "build: example/clouddisk, its services and its web page" clouddisk_build
  step "launchers: clouddisk" launchers example/clouddisk/bin/clouddisk
}

build() {
  build_library
  build_examples
  build_clouddisk
}

check() {
  step "check: types" npm run --silent types
  step "check: format and lint" npm run --silent lint
}

# Waits until the provider has said where it listens; 30 s are far more than it needs on a slow machine.
await_provider() {
  local log="$1" tries=0
  # The background process opens it, perhaps later than it is read here.
  : >>"$log"
  until grep -q 'listening on' "$log"; do
    if ! kill -0 "$provider_pid" 2>/dev/null || ((++tries > 300)); then
      say "demo: the provider did not start; it said:"
      cat -- "$log"
      exit 1
    fi
    sleep 0.1
  done
}

# What both sides of a demonstration over TLS are told, as words for `env`.
demo_tls() {
  local certificates="$scratch/certificates"
  mkdir -m 700 "$certificates"
  step "certificates: an authority, a provider and a caller" node scripts/make-certificates.mjs "$certificates"
  provider_env=("MPRPC_TLS_MODE=required" "MPRPC_TLS_CLIENTAUTH=require" "MPRPC_TLS_CA=$certificates/ca.crt"
    "MPRPC_TLS_CERT=$certificates/provider.crt" "MPRPC_TLS_KEY=$certificates/provider.key")
  consumer_env=("MPRPC_TLS_CA=$certificates/ca.crt" "MPRPC_TLS_PEERNAME=provider.example"
    "MPRPC_TLS_CERT=$certificates/caller.crt" "MPRPC_TLS_KEY=$certificates/caller.key")
  say "demo: provider with ${provider_env[*]}"
  say "demo: consumer with ${consumer_env[*]}"
}

demo() {
  local log="$scratch/provider.log" code=0
  local -a provider_env=() consumer_env=()
  if [[ "${1:-}" == --tls ]]; then
    demo_tls
  fi
  mkdir -m 700 "$scratch/registry"
  export MPRPC_REGISTRY="file:$scratch/registry" MPRPC_RPCSERVERPORT=0
  say "demo: bin/provider -i bin/mprpc.conf, with MPRPC_REGISTRY=$MPRPC_REGISTRY"
  env "${provider_env[@]}" bin/provider -i bin/mprpc.conf >"$log" 2>&1 </dev/null &
  provider_pid=$!
  await_provider "$log"
  say "demo: provider: $(grep -m 1 'listening on' "$log")"
  say "demo: bin/consumer -i bin/mprpc.conf"
  env "${consumer_env[@]}" bin/consumer -i bin/mprpc.conf </dev/null || code=$?
  local pid="$provider_pid"
  provider_pid=""
  if ! stop "$pid"; then
    say "demo: the provider did not stop cleanly; it said:"
    cat -- "$log"
    exit 1
  fi
  say "demo: provider stopped; the consumer's exit code is $code"
  ((code == 0)) || exit 1
}

# Becomes the cloud disk: signals reach it, and its exit code is ours.
clouddisk() {
  local conf=example/clouddisk/clouddisk.conf
  say "clouddisk: data in $(example/clouddisk/bin/clouddisk folder -i "$conf"); Ctrl-C ends it"
  rm -rf -- "$scratch"
  trap - EXIT INT TERM
  exec example/clouddisk/bin/clouddisk all -i "$conf" "--apigw.port=$1"
}

# run_vitest NODE NAME ARGUMENT...: the tests that the arguments choose, by that node.
run_vitest() {
  local node="$1" name="$2"
  shift 2
  say "test: vitest on Node.js $("$node" --version)"
  PATH="${node%/*}:$PATH" "$node" node_modules/vitest/vitest.mjs run --reporter=json --outputFile.json="$reports/$name.json" \
    "$@" </dev/null
}

# The part that is played on other versions of Node.js too: bytes, calls, both sides of them, and real programs.
other_versions() {
  local major node code=0
  local folders=(test/protocol test/call test/client test/server test/codegen test/interop test/simulation test/example)
  step "fetch: Node.js 22 and 24" scripts/node-versions.sh 22 24
  for major in 22 24; do
    node="$(scripts/node-versions.sh "$major")"
    MPRPC_SIMULATION_SEEDS=20 run_vitest "$node" "node-$major" --reporter=dot "${folders[@]}" || code=1
  done
  return "$code"
}

# Whether programs that need glibc 2.38 run here by themselves.
has_new_glibc() {
  local version
  version="$(getconf GNU_LIBC_VERSION 2>/dev/null)" || return 0
  printf '2.38\n%s\n' "${version#glibc }" | sort --check=silent --version-sort
}

run_tests() {
  local code=0
  step "fetch: ZooKeeper, Java, Chromium, MariaDB, Redis and Swift for the tests" scripts/debian-packages.sh
  step "fetch: Consul of Debian 11, the last that has it" scripts/debian-packages.sh --suite bullseye consul
  step "fetch: dnsmasq for the tests" scripts/debian-packages.sh --with-dependencies dnsmasq-base
  has_new_glibc || step "fetch: Debian 13's C library for protobuf's conformance runner" \
    scripts/debian-packages.sh --suite trixie libc6 libstdc++6 libgcc-s1
  rm -rf -- "$reports"
  mkdir -p -- "$reports"
  run_vitest "$(command -v node)" all --reporter=default --reporter=./test/tools/slowest-files.ts || code=1
  other_versions || code=1
  ((code == 0)) || exit 1
}

main() {
  local command="${1:-build}" port=8080 option=""
  if [[ "$command" == demo && "${2:-}" == --tls ]]; then
    option="$2"
    set -- "$1"
  fi
  if [[ "$command" == clouddisk && "${2:-}" =~ ^--port=([0-9]{1,5})$ ]]; then
    port="${BASH_REMATCH[1]}"
    set -- "$1"
  fi
  if (($# > 1)); then
    usage >&2
    exit 2
  fi
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  scratch="$(mktemp -d "${TMPDIR:-/tmp}/mprpc-autobuild.XXXXXX")"
  local start
  start="$(now_us)"
  case "$command" in
    build)
      build
      check
      ;;
    demo)
      build_library
      build_examples
      demo "$option"
      ;;
    clouddisk)
      build_library
      build_clouddisk
      clouddisk "$port"
      ;;
    test)
      build
      run_tests
      ;;
    clean) step "clean: lib/, reports, packed archives" rm -rf -- lib example/callee/dist example/caller/dist example/clouddisk/dist coverage test/bench/dist .cache/programs "$reports" ./*.tgz ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      printf 'autobuild: unknown command: %s\n' "$command" >&2
      usage >&2
      exit 2
      ;;
  esac
  say "done: ${command}, $(elapsed "$start")"
}

main "$@"
