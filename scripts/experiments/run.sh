#!/usr/bin/env bash
# The runs of docs/experiments.md, two at a time with one thread each. A run whose log is finished is not run again.
#   run.sh GOGPT FOLDER [TINYSHAKESPEARE.txt]
set -euo pipefail
gogpt=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
text=${3:+$(realpath "$3")}
cd "$out"

# `gogpt ablate` compares pretraining by its validation loss. A queue of this script trains what it does not cover: the
# comparison of gradients within one run, training without a validation split, and tuning with `gogpt eval` after it.

# queue NAME FLAGS…: adds a run, whose log is NAME.jsonl
queue() {
	local name=$1
	shift
	grep -qs '"event":"end"' "$name.jsonl" || printf '%s\n' "--log-json=$name.jsonl --threads=1 --no-interactive $*" >>todo
}

: >todo
queue laboratory --quick --log-attn-gradient=1260
for seed in 1 2 3; do
	queue "m1-$seed" --quick --seed=$seed
	queue "m2-after-$seed" --seed=$seed --save="m2-after-$seed.safetensors"
	queue "m2-before-$seed" --seed=$seed --save="m2-before-$seed.safetensors" \
		--finetune-lr=3e-4 --finetune-patience=80 --finetune-restarts=2 --finetune-accum=4
done
xargs -P 2 -L 1 "$gogpt" <todo >/dev/null
rm todo

for model in m2-*.safetensors; do
	for data in chat_training_data heldout_chat; do
		"$gogpt" eval --model="$model" --data="$OLDPWD/data/$data.json" --json >"${model%.safetensors}-$data.json"
	done
done

# ablate OUT FLAGS…: compares changes with the stable configuration; the log of a run is OUT/CHANGE-SEED.jsonl
ablate() {
	local out=$1
	shift
	"$gogpt" ablate --jobs=2 --out="$out" "$@"
}

ablate ablation --quick --seeds=5
ablate ablation-lr-half --quick --seeds=5 --only=smooth --lr=5e-5
ablate ablation-lr-x2 --quick --seeds=5 --only=smooth --lr=2e-4
# the stable configuration has the exact backward
[ -z "$text" ] || ablate shakespeare --seeds=3 --only=straight-through,stop-gradient \
	--pretrain-data="$text" --tokenizer=char --layers=4 --heads=4 --dim=128 --hidden=512 --context=64 --batch=12 \
	--max-steps=2000 --lr=1e-3 --min-lr=1e-4 --warmup-steps=100 --weight-decay=0.1 --beta2=0.99 --val-fraction=0.1
