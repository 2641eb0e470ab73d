#!/usr/bin/env bash
# train.sh [OPTION...]: from a clean clone to a trained model. Builds the weft command and trains the reference MLP on MNIST;
# options are those of `weft train mnist` (--epochs 3, --data DIR, --json, …).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/build.sh" weft
exec "$root/build/bin/weft" train mnist "$@"
