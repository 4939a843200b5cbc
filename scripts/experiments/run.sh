#!/usr/bin/env bash
# The runs of docs/experiments.md, two side by side with one thread each; logs that are finished are not run again.
#   run.sh GOGPT FOLDER [TINYSHAKESPEARE.txt]
set -euo pipefail
gogpt=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
text=${3:+$(realpath "$3")}
cd "$out"

# queue NAME FLAGS…: one more run, whose log is NAME.jsonl
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
	for mode in exact straight-through stop-gradient; do
		[ -z "$text" ] || queue "shakespeare-$mode-$seed" --pretrain-data="$text" --tokenizer=char \
			--layers=4 --heads=4 --dim=128 --hidden=512 --context=64 --batch=12 \
			--max-steps=2000 --lr=1e-3 --min-lr=1e-4 --warmup-steps=100 --weight-decay=0.1 --beta2=0.99 \
			--val-fraction=0.1 --finetune-epochs=0 --attn-backward=$mode --seed=$seed
	done
done
xargs -P 2 -L 1 "$gogpt" <todo >/dev/null
rm todo

for model in m2-*.safetensors; do
	for data in chat_training_data heldout_chat; do
		"$gogpt" eval --model="$model" --data="$OLDPWD/data/$data.json" --json >"${model%.safetensors}-$data.json"
	done
done
"$gogpt" ablate --quick --seeds=5 --out=ablation
"$gogpt" ablate --quick --seeds=5 --only=smooth --lr=5e-5 --out=ablation-lr-half
"$gogpt" ablate --quick --seeds=5 --only=smooth --lr=2e-4 --out=ablation-lr-x2
