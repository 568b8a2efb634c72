#!/usr/bin/env bash
# Trains methods one after another on a machine without a network, and scores each under corruption
# while the next one trains. What is finished lies in OUTPUT at once, as METHOD.tar.gz.
#
# bash methods.sh OUTPUT "dynmix augmix standard" --model=wrn_40_2 --epochs=100 --precision=auto
#
# Flags after the methods are those of train.py. Exit status 75 says that --minutes, which each
# training has of its own, are over; the same command continues.
set -euo pipefail
output=$(realpath -m "${1:?the folder for the results}")
methods=${2:?the methods, in quotes}
shift 2
cd "$(dirname "$0")"
mkdir -p "$output"
python=${PYTHON:-python3}
# two programs share the accelerator: one trains, one scores
export XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-.4}

keep() { # the run, without its checkpoint and the values of each image
  tar czf "$output/.$1.tar.gz" --exclude=checkpoints --exclude=robustness_images -C runs "$1"
  mv "$output/.$1.tar.gz" "$output/$1.tar.gz"
}

trap wait EXIT # a command that ends leaves nobody scoring, whom the next one would meet
for method in $methods; do
  train=("$python" train.py --dataset=images.npz --workdir="runs/$method" --method="$method" "$@")
  "${train[@]}" --noevaluate
  keep "$method"
  { "${train[@]}" && keep "$method"; } &
  scored+=($!)
done
for job in "${scored[@]}"; do wait "$job"; done
