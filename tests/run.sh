#!/usr/bin/env bash
# Sets up everything and runs the tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source experiments/environment.sh
exec "$python" -m pytest -n 2 --dist loadfile "$@"
