#!/usr/bin/env bash
# build.sh [TARGET...]: installs what is missing, configures build/ (Release, Ninja) and builds the targets, or everything.
# What it prints goes to stderr, so that the stdout of train.sh is the command's own.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
{
  "$root/scripts/setup.sh"
  cmake -S "$root" -B "$root/build" -G Ninja -DCMAKE_BUILD_TYPE=Release
  cmake --build "$root/build" ${1:+--target "$@"}
} >&2
