#!/usr/bin/env bash
# Installs what weft is built from, on Debian 12+ and Ubuntu 24.04+. Skips what is there; says what it installs.
# WEFT_SKIP_SETUP=1 skips it altogether, for systems where the packages come from elsewhere. With --emulators also what
# the tests run code for other architectures with, where the release has that.
set -euo pipefail
[ -z "${WEFT_SKIP_SETUP:-}" ] || exit 0

needs() {
  cat >&2 <<'TEXT'
weft needs:
  a C++20 compiler (g++ 12 or newer), CMake 3.25 or newer, Ninja; ccache if you build often
  LLVM 19.1 or newer with its headers and llvm-config, and zlib (zstd where LLVM is linked statically)
  fmt, CLI11, nlohmann-json, and for the tests Catch2 and MPFR
TEXT
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not a Debian or Ubuntu system, so please install the following yourself," >&2
  echo "setup: then run the same command again with WEFT_SKIP_SETUP=1 in the environment." >&2
  needs
  exit 1
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
cmake_ok() {
  local v
  v=$(cmake --version 2>/dev/null | sed -n '1s/.*version //p') && [ -n "$v" ] &&
    [ "$(printf '%s\n' 3.25 "$v" | sort -V | head -n 1)" = 3.25 ]
}

# A tool may come from anywhere on PATH; a library is looked for as its package.
missing=()
command -v g++ >/dev/null || missing+=(g++)
cmake_ok || missing+=(cmake)
command -v ninja >/dev/null || missing+=(ninja-build)
command -v ccache >/dev/null || missing+=(ccache)
for package in libzstd-dev zlib1g-dev libfmt-dev catch2 libmpfr-dev libcli11-dev nlohmann-json3-dev; do
  installed "$package" || missing+=("$package")
done
emulators=()
if [ "${1:-}" = --emulators ]; then
  for package in qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross; do
    installed "$package" || emulators+=("$package")
  done
fi
llvm=
for version in 19 20 21; do
  if installed "llvm-$version-dev"; then llvm=$version; fi
done
if [ -n "$llvm" ] && [ "${#missing[@]}" -eq 0 ] && [ "${#emulators[@]}" -eq 0 ]; then
  echo "setup: every package is there already" >&2
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null; then
    as_root=(sudo)
  else
    echo "setup: not root and there is no sudo; please have an administrator run" >&2
    [ -n "$llvm" ] || missing+=(llvm-19-dev)
    echo "    apt-get install --no-install-recommends ${missing[*]} ${emulators[*]}" >&2
    [ -n "$llvm" ] && [ "${#missing[@]}" -eq 0 ] || exit 1
    echo "setup: without them tests of other architectures are skipped" >&2
    exit 0
  fi
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >&2; }

apt update
if [ -z "$llvm" ]; then
  for version in 19 20 21; do
    if [ -n "$(apt-cache madison "llvm-$version-dev" 2>/dev/null)" ]; then
      llvm=$version
      break
    fi
  done
  if [ -z "$llvm" ]; then
    echo "setup: this release has no llvm-19-dev, llvm-20-dev or llvm-21-dev (Debian 12 and Ubuntu 24.04 have);" >&2
    echo "setup: https://apt.llvm.org has packages for other releases." >&2
    needs
    exit 1
  fi
  missing+=("llvm-$llvm-dev")
fi

for package in "${emulators[@]}"; do
  if [ -n "$(apt-cache madison "$package" 2>/dev/null)" ]; then
    missing+=("$package")
  else
    echo "setup: this release has no $package; some tests of other architectures are skipped" >&2
  fi
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

before=$(dpkg-query -f '.\n' -W | wc -l)
echo "setup: installing ${#missing[@]} packages and what they depend on: ${missing[*]}" >&2
apt install -y --no-install-recommends "${missing[@]}"
echo "setup: $(($(dpkg-query -f '.\n' -W | wc -l) - before)) packages installed, dependencies included" >&2

if ! cmake_ok; then
  echo "setup: this release's CMake is older than 3.25; https://cmake.org/download has newer ones." >&2
  exit 1
fi
