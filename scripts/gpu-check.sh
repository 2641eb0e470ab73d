#!/usr/bin/env bash
# Checks and measures weft on a machine with a GPU and no build tools: tests, compute-sanitizer, benchmarks, one report.
# Needs only `weft-gpu`, which lies beside it (docs/gpu.md says how to build both); `gpu_peers.py` beside it adds peers.
set -uo pipefail

usage() {
  cat <<'TEXT'
usage: gpu-check.sh [--device cuda|emulator] [--graphs N] [--steps N] [--report FILE] [--quick]
  --device    cuda (default), or emulator: the dry run on a machine without a GPU
  --graphs    random graphs to compare with the interpreter, beyond the tests' own (default: 10000; emulator: 0)
  --steps     steps of a benchmark (default: 10000; emulator: 2)
  --report    the file to write (default: gpu-check-report.md)
  --quick     only some of the tests
TEXT
}

device=cuda graphs='' steps='' report=gpu-check-report.md quick=''
while [ $# -gt 0 ]; do
  case $1 in
    --device | --graphs | --steps | --report)
      [ $# -ge 2 ] || { echo "gpu-check.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2
      ;;
    --quick) quick=yes; shift ;;
    --help) usage; exit 0 ;;
    *) echo "gpu-check.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
case $device in
  cuda) : "${graphs:=10000}" "${steps:=10000}" ;;
  emulator) : "${graphs:=0}" "${steps:=2}" ;;
  *) echo "gpu-check.sh: --device: expected cuda or emulator, found '$device'" >&2; exit 2 ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
weft=${WEFT_GPU:-$here/weft-gpu}
[ -x "$weft" ] || { echo "gpu-check.sh: $weft is missing; docs/gpu.md says how to build it" >&2; exit 1; }
export WEFT_TEST_DEVICE=$device WEFT_TEST_GRAPHS=$graphs WEFT_CACHE=0
# The sanitizer slows everything down some ten to a hundred times: programs built by hand, no random graphs.
few='~random graphs*' fewer='~as many random*'
tests=()
[ -z "$quick" ] || tests=('a run of many steps*,phases follow*,gathers*,scatters*')

log=$(mktemp) failed=0
trap 'rm -f "$log"' EXIT
: >"$report" || exit 1

say() { printf '%s\n' "$@" >>"$report"; }
# section TITLE COMMAND…: runs it, and adds its last lines and its exit code to the report.
section() {
  local title=$1 start=$SECONDS code
  shift
  echo "gpu-check: $title" >&2
  "$@" >"$log" 2>&1
  code=$?
  say "" "## $title" ""
  say "    ${*/#$here\//}"
  say "" "exit code $code, $((SECONDS - start)) s" "" '```'
  tail -n "${lines:-25}" "$log" >>"$report"
  say '```'
  [ "$code" -eq 0 ] || { failed=$((failed + 1)); echo "gpu-check: $title FAILED" >&2; }
  return "$code"
}

{
  echo "# weft on a GPU: report"
  echo
  echo "| | |"
  echo "| --- | --- |"
  echo "| date | $(date -u +%Y-%m-%dT%H:%M:%SZ) |"
  echo "| weft | $("$weft" --version) |"
  echo "| device | $device |"
  echo "| host | $(uname -srm), $(getconf _NPROCESSORS_ONLN) processors |"
} >>"$report"
section "Devices" "$weft" devices
if [ "$device" = cuda ] && grep -q '^cuda .*none: ' "$log"; then
  echo "gpu-check.sh: $(grep '^cuda ' "$log")" >&2
  exit 1
fi

section "Tests on $device" "$weft" test "${tests[@]}"

sanitizer=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" 2>/dev/null)
for tool in memcheck racecheck synccheck; do
  if [ "$device" != cuda ]; then
    say "" "## compute-sanitizer: $tool" "" "not run: the device is the $device"
  elif [ -z "$sanitizer" ]; then
    say "" "## compute-sanitizer: $tool" "" "not run: compute-sanitizer is not on PATH, in CUDA_HOME or /usr/local/cuda"
  else
    section "compute-sanitizer: $tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$weft" test "$few" "$fewer" \
      "${tests[@]}"
  fi
done

say "" "## Training steps" "" "| model | samples | how | step ms | GFLOP/s | loss |" "| --- | --- | --- | --- | --- | --- |"
value() { sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" "$log"; }
bench() { # bench MODEL BATCH [OPTION…]
  local model=$1 batch=$2
  shift 2
  echo "gpu-check: bench $model $batch $*" >&2
  if "$weft" bench "$model" --batch-size "$batch" --device "$device" --steps "$steps" --json "$@" >"$log" 2>&1; then
    say "| $model | $batch | ${*:-graph} | $(value step_ms) | $(value gflops) | $(value loss) |"
  else
    failed=$((failed + 1))
    say "| $model | $batch | ${*:-graph} | | | FAILED: $(tail -n 1 "$log") |"
  fi
}
models="mlp cnn lstm vit"
[ "$device" != emulator ] || models="mlp"  # the others take minutes there
for model in $models; do bench "$model" 128; done
bench mlp 128 --persistent
if [ -z "$quick" ]; then
  for numerics in fast bf16; do
    bench mlp 128 --numerics "$numerics"
    bench mlp 128 --numerics "$numerics" --persistent
  done
  bench mlp 32
  bench mlp 1024
  bench mlp 1 --inference
  bench mlp 128 --inference
fi

small=()
[ "$device" = cuda ] || small=(--small)
lines=60
section "What the device can do at best" "$weft" bench limits --device "$device" "${small[@]}"
section "Single functions beside that" "$weft" bench ops --device "$device" "${small[@]}"

if [ "$device" = cuda ] && [ -z "$quick" ] && command -v python3 >/dev/null && [ -f "$here/gpu_peers.py" ]; then
  section "PyTorch and JAX on the same GPU, where they are installed" python3 "$here/gpu_peers.py"
fi

say "" "## Result" "" "$([ "$failed" -eq 0 ] && echo "all passed" || echo "$failed failed")"
echo "gpu-check: $([ "$failed" -eq 0 ] && echo "all passed" || echo "$failed failed"); report: $report" >&2
[ "$failed" -eq 0 ]
