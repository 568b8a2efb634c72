#!/usr/bin/env bash
# Sets up everything, then trains with and without Dynamic Mixup on real images, evaluates both
# under corruption, exports, and reports. Runs again in seconds; continues when interrupted.
#   --smoke            a tiny version of the same, to see that everything works
#   --dataset=photos   colour patches of photographs instead of Fashion-MNIST
set -euo pipefail
cd "$(dirname "$0")/.."
source experiments/environment.sh
case " $* " in
    *" --dataset"* | *" --data_dir"* | *" -h "* | *" --help "*) ;;
    *) install_fashion_mnist ;;
esac
exec "$python" experiments/quickstart.py "$@"
