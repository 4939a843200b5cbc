#!/usr/bin/env bash
# The runs of docs/experiments.md, two at a time with one thread each. A run that is finished is not run again. The
# studies go on where docs/studies/*.jsonl stop.
#   run.sh GOGPT FOLDER [TINYSHAKESPEARE.txt]
set -euo pipefail
gogpt=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
text=${3:+$(realpath "$3")}
studies=$(realpath "$(dirname "$0")/../../docs/studies")

# study NAME FLAGS…: trains what is missing of a study, and summarizes it in NAME.json and NAME.html
study() {
	"$gogpt" ablate --study="$1" --out="$studies" --jobs=2 "${@:2}"
}

for name in freezing release tuning cooldown; do
	study "$name"
done
if [ -n "$text" ]; then
	study freezing-text --pretrain-data="$text"
	study ladder --pretrain-data="$text"
fi

cd "$out"

# ablate OUT FLAGS…: compares changes with the stable configuration; the log of a run is OUT/CHANGE-SEED.jsonl
ablate() {
	"$gogpt" ablate --jobs=2 --out="$1" --seeds=5 --quick "${@:2}"
}

ablate ablation
ablate ablation-lr-half --only=smooth --lr=5e-5
ablate ablation-lr-x2 --only=smooth --lr=2e-4

# run NAME FLAGS…: a single run, whose log is NAME.jsonl
run() {
	grep -qs '"event":"end"' "$1.jsonl" || "$gogpt" --log-json="$1.jsonl" --no-interactive "${@:2}" >/dev/null
}

for seed in 1 2 3; do
	run "m1-$seed" --quick --seed=$seed
done
run laboratory --quick --log-attn-gradient=1260
if [ -n "$text" ]; then
	for shape in "short 16 48" "long 128 6"; do
		read -r name context batch <<<"$shape"
		run "laboratory-$name" --pretrain-data="$text" --context="$context" --batch="$batch" --max-steps=300 \
			--pretrain-epochs=500 --finetune-epochs=0 --val-fraction=0.1 --patience=0 --tokenizer=char --layers=4 \
			--heads=4 --dim=128 --hidden=512 --warmup-steps=100 --weight-decay=0.1 --beta2=0.99 --lr=1e-3 \
			--log-attn-gradient=50
	done
fi
