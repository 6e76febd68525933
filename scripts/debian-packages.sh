#!/bin/sh
# Puts Debian packages into a cache folder without installing them: download with apt-get, unpack with dpkg.
# Needs neither root nor a configured service; what is there already is not fetched again.
#
#   scripts/debian-packages.sh               what the tests need: ZooKeeper, Java unless `java` works, etcd, NATS, and for the cloud
#                                            disk MariaDB, Redis, Swift unless they are installed, and Chromium, the only
#                                            one that is installed: it runs from its own place alone
#   scripts/debian-packages.sh PACKAGE...    these packages
#   scripts/debian-packages.sh --with-dependencies PACKAGE...
#                                            these, unless the system has them, and what of theirs it does not have
#   scripts/debian-packages.sh --suite SUITE PACKAGE...
#                                            these of another Debian, unpacked in debian-SUITE/root, for programs that need
#                                            a newer C library than the system's, and for what the system's Debian no
#                                            longer has, such as Consul (bullseye); without what they depend on
#
# Everything lands beneath $MPRPC_TEST_CACHE (default: ${XDG_CACHE_HOME:-~/.cache}/mprpc-test), unpacked in debian/root.
set -eu

cache=${MPRPC_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mprpc-test}/debian
suite=
if [ "${1:-}" = --suite ]; then
  suite=$2
  shift 2
  cache=$cache-$suite
fi
root=$cache/root
done_marks=$cache/done

# All of them: without snappy and metrics the server answers `ruok` but never serves; commons-cli is for zkCli.
zookeeper_packages='libzookeeper-java libslf4j-java libdropwizard-metrics-java libsnappy-java libcommons-cli-java'

say() { printf 'debian-packages: %s\n' "$*"; }
fail() {
  say "$*" >&2
  exit 1
}

# apt-get that leaves the system's own lists alone when $own_lists is yes, so that a normal user can update them too.
own_lists=no
apt() {
  if [ "$own_lists" = yes ]; then
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
    set -- -o Dir::State::lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" "$@"
  fi
  if [ -n "$suite" ]; then
    set -- -o Dir::Etc::sourcelist="$cache/apt/suite.list" -o Dir::Etc::sourceparts=/dev/null "$@"
  fi
  # Root would drop to the user _apt, who cannot write into the cache folder, and warn about it.
  apt-get -q -o APT::Sandbox::User=root "$@"
}

download() { (cd "$cache/deb" && apt download "$@") >"$cache/log" 2>&1; }

# need_tools WHAT: apt-get and dpkg, without which nothing is fetched.
need_tools() {
  for tool in apt-get dpkg; do
    command -v "$tool" >/dev/null || fail "$tool not found; on Debian or Ubuntu it is there, elsewhere provide: $1"
  done
}

# with_lists COMMAND...: again with lists of our own when the command fails, and with new ones when it fails still.
with_lists() {
  "$@" && return
  own_lists=yes
  "$@" && return
  say "the package lists are missing or old; fetching them into $cache/apt"
  apt update >"$cache/log" 2>&1 || fail "apt-get update failed: $(tail -n 3 "$cache/log")"
  "$@"
}

# The suite from the mirror that the system uses, in lists of their own.
use_suite() {
  [ -n "$suite" ] || return 0
  own_lists=yes
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v -e security -e updates | head -n 1)
  mkdir -p "$cache/apt"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "${mirror:-http://deb.debian.org/debian}" "$suite" >"$cache/apt/suite.list"
}

# fetch PACKAGE...: those that are not there yet.
fetch() {
  missing=
  for package in "$@"; do
    [ -e "$done_marks/$package" ] || missing="$missing $package"
  done
  if [ -z "$missing" ]; then
    say "present in $root: $*"
    return
  fi
  need_tools "$missing"
  use_suite
  mkdir -p "$cache/deb" "$root" "$done_marks"
  rm -f "$cache"/deb/*.deb
  say "downloading:$missing"
  # shellcheck disable=SC2086 # a list of words
  with_lists download $missing || fail "apt-get download failed: $(tail -n 3 "$cache/log")"
  for deb in "$cache"/deb/*.deb; do
    dpkg -x "$deb" "$root"
  done
  for package in $missing; do : >"$done_marks/$package"; done
  rm -f "$cache"/deb/*.deb
  say "unpacked into $root"
}

simulate() { apt -s install --no-install-recommends "$@" >"$cache/simulated" 2>"$cache/log"; }

# fetch_with_dependencies PACKAGE...: what of them, and of what they need, the system does not have. Apt takes seconds to say
# what that is: it is asked again only when the system's packages have changed since.
fetch_with_dependencies() {
  answer=$done_marks/with-dependencies/$(printf '%s ' "$@" | cksum | tr ' ' -)
  if ! [ "$answer" -nt /var/lib/dpkg/status ]; then
    need_tools "$*"
    use_suite
    with_lists simulate "$@" || fail "apt-get knows no way to install $*: $(tail -n 3 "$cache/log")"
    mkdir -p "$done_marks/with-dependencies"
    sed -n 's/^Inst \([^ ]*\).*/\1/p' "$cache/simulated" >"$cache/answer"
    mv "$cache/answer" "$answer"
  fi
  # shellcheck disable=SC2046 # a list of words
  set -- $(cat "$answer")
  [ $# -eq 0 ] || fetch "$@"
}

# The packaged JRE keeps its configuration in /etc and links to it; unpacked elsewhere, the links must become files.
relocate_java() {
  find "$root"/usr/lib/jvm -type l | while read -r link; do
    target=$(readlink "$link")
    case $target in
    /etc/java-*)
      if [ -e "$root$target" ]; then
        rm "$link"
        cp -R "$root$target" "$link"
      fi
      ;;
    esac
  done
}

unpacked_java() { ls "$root"/usr/lib/jvm/java-*/bin/java 2>/dev/null | head -n 1; }

need_java() {
  if java -version >/dev/null 2>&1; then
    say "java on PATH: $(command -v java)"
    return
  fi
  if [ -z "$(unpacked_java)" ]; then
    package=$(apt-cache depends default-jre-headless 2>/dev/null | sed -n 's/.*Depends: \(openjdk-[0-9]*-jre-headless\).*/\1/p')
    fetch "${package:-openjdk-17-jre-headless}"
  fi
  relocate_java
  java=$(unpacked_java)
  "$java" -version >/dev/null 2>&1 || fail "no java that runs; install one: sudo apt-get install default-jre-headless"
  say "java unpacked: $java"
}

# need_installed PROGRAM PACKAGE: what is more than files to unpack is installed, as root or with sudo, unless it is there.
need_installed() {
  for place in /usr/bin /usr/sbin; do
    if [ -x "$place/$1" ]; then
      say "$2: $place/$1"
      return
    fi
  done
  install="apt-get install -y --no-install-recommends $2"
  become='env DEBIAN_FRONTEND=noninteractive'
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "$1 is missing; install it as root: $install"
    become="sudo -n $become"
  fi
  say "installing $2"
  # shellcheck disable=SC2086 # lists of words
  $become $install >"$cache/log" 2>&1 ||
    { $become apt-get -q update >"$cache/log" 2>&1 && $become $install >"$cache/log" 2>&1; } ||
    fail "$2 could not be installed ($install): $(tail -n 3 "$cache/log")"
}

mkdir -p "$cache"
# Two test runs at once must not unpack over each other.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
fi

if [ "${1:-}" = --with-dependencies ]; then
  shift
  fetch_with_dependencies "$@"
elif [ $# -gt 0 ]; then
  fetch "$@"
else
  # shellcheck disable=SC2086
  fetch $zookeeper_packages
  need_java
  # For the cloud disk: its page in a browser, and its production mode; for publish and subscribe Redis, whose tools have the server
  # too, and NATS.
  need_installed chromium chromium
  fetch_with_dependencies mariadb-server-core redis-tools python3-swift nats-server etcd-server
fi
