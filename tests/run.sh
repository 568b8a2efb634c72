#!/usr/bin/env bash
# Sets up everything and runs the tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source experiments/environment.sh
# Two files at a time, in the order of their names: what trains with determinism on, which TensorFlow
# cannot switch off again in a process, comes after what needs it off.
exec "$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
