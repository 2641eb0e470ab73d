#!/usr/bin/env bash
# test.sh [OPTION...]: from a clean clone to a tested build. Builds everything and runs all tests; options are those of ctest
# (-R NAME, -LE slow, …).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup.sh" --emulators
"$root/scripts/build.sh"
exec ctest --test-dir "$root/build" -j2 --output-on-failure "$@"
