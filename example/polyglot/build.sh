#!/bin/sh
# Fetches gRPC for Python and C++ from Debian (scripts/debian-packages.sh: no root, nothing is installed), and makes the stubs
# and programs of the other languages in the folder OUT. Nothing is done twice.
#
#   build.sh OUT
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$1
scripts=$here/../../scripts
root=${MPRPC_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mprpc-test}/debian/root

"$scripts/debian-packages.sh" --with-dependencies \
  python3-grpcio libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc protobuf-compiler >&2

# Where a package is installed already its files are in /usr.
find_file() {
  for place in "$root" ""; do
    if [ -e "$place/usr/$1" ]; then
      printf '%s' "$place/usr/$1"
      return
    fi
  done
  echo "build.sh: $1 is missing" >&2
  exit 1
}

protoc=$(find_file bin/protoc)
cpp_plugin=$(find_file bin/grpc_cpp_plugin)
python_plugin=$(find_file bin/grpc_python_plugin)
lib=$(dirname "$(ls "$root"/usr/lib/*/libgrpc++.so /usr/lib/*/libgrpc++.so 2>/dev/null | head -n 1)")
LD_LIBRARY_PATH=$lib
export LD_LIBRARY_PATH

mkdir -p "$out/python" "$out/cpp"
newest=$(ls -t "$here"/proto/* "$here"/python/* "$here"/cpp/* "$0" | head -n 1)
if [ -e "$out/built" ] && [ "$out/built" -nt "$newest" ]; then exit 0; fi

"$protoc" -I "$here/proto" --python_out="$out/python" \
  --grpc_out="$out/python" --plugin=protoc-gen-grpc="$python_plugin" weather.proto
"$protoc" -I "$here/proto" --cpp_out="$out/cpp" \
  --grpc_out="$out/cpp" --plugin=protoc-gen-grpc="$cpp_plugin" weather.proto
cp "$here/python/client.py" "$out/python/"

flags="-std=c++17 -O1 -isystem $root/usr/include -I$out/cpp -I$here/cpp"
libraries="-L$lib -Wl,--disable-new-dtags,-rpath,$lib -Wl,-rpath-link,$lib -Wl,--copy-dt-needed-entries"
echo "build.sh: compiling the programs in C++" >&2
# shellcheck disable=SC2086 # lists of words
for part in weather.pb weather.grpc.pb; do
  g++ $flags -c "$out/cpp/$part.cc" -o "$out/cpp/$part.o"
done
# shellcheck disable=SC2086
for program in client server; do
  g++ $flags "$here/cpp/$program.cpp" "$out/cpp/weather.pb.o" "$out/cpp/weather.grpc.pb.o" -o "$out/cpp/$program" \
    $libraries -Wl,--no-as-needed -lgrpc++_reflection -Wl,--as-needed -lgrpc++ -lgrpc -lgpr -lprotobuf -pthread
done
: >"$out/built"
