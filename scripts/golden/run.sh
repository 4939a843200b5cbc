#!/usr/bin/env bash
# Fresh golden cases from PyTorch, with sizes that are multiples of nothing, checked by the given gogpt binary.
set -euo pipefail
gogpt=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check() {
	local name=$1
	shift
	/usr/bin/python3 "$here/make_case.py" "$@" "$tmp/$name.safetensors"
	"$gogpt" gradcheck --golden="$tmp/$name.safetensors" --json
}

check odd --layers 2 --heads 1 --dim 9 --hidden 13 --vocab 23 --context 7 --lengths 8,2,3
check single --layers 1 --heads 1 --dim 3 --hidden 2 --vocab 5 --context 3 --lengths 2,3,4
check pairs --layers 3 --heads 3 --dim 21 --hidden 5 --vocab 301 --context 70 \
	--lengths 71,2,2,66 --decay 0.1 --lr 3e-3 --seed 5
check smooth --layers 2 --heads 5 --dim 35 --hidden 71 --vocab 37 --context 19 --lengths 20,7 --smoothing 0.2 --seed 7
