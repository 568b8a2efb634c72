#!/usr/bin/env bash
# Trains one setting after another on a machine without a network, and scores each under corruption
# while the next one trains. What is finished lies in OUTPUT at once, as NAME.tar.gz.
#
# bash methods.sh OUTPUT "dynmix augmix without_flips=dynmix+--operations=augmix" \
#     --model=wrn_40_2 --epochs=100 --precision=auto
#
# A setting is a method, or NAME=METHOD with flags of train.py after a +; the flags behind hold for
# all. No epoch is begun that would end after MINUTES (9, of the environment); exit status 75 says
# so, once what is trained has been scored, and the same command continues.
set -euo pipefail
output=$(realpath -m "${1:?the folder for the results}")
settings=${2:?the settings, in quotes}
shift 2
cd "$(dirname "$0")"
mkdir -p "$output"
python=${PYTHON:-python3}
# one program trains on the accelerator; beside it others score
export XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-.2}

keep() { # the run, without its checkpoint and the values of each image
  tar czf "$output/.$1.tar.gz" --exclude=checkpoints --exclude=robustness_images -C runs "$1"
  mv "$output/.$1.tar.gz" "$output/$1.tar.gz"
}

trap wait EXIT # a command that ends leaves nobody scoring, whom the next one would meet
for setting in $settings; do
  name=${setting%%=*}
  IFS=+ read -ra own <<<"${setting#"$name="}"
  train=("$python" train.py --dataset=images.npz --workdir="runs/$name" --method="${own[@]}" "$@")
  if [[ ! -e runs/$name/final.keras ]]; then
    minutes=$("$python" -c "print(max(0, ${MINUTES:-9} - $SECONDS / 60))")
    "${train[@]}" --noevaluate --minutes="$minutes"
    keep "$name"
  fi
  { "${train[@]}" && keep "$name"; } &
  scored+=($!)
done
for job in "${scored[@]}"; do wait "$job"; done
