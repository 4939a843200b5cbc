#!/usr/bin/env bash
# Walks the whole interactive pipeline in a real terminal: replies, the end of input and Ctrl-C at every question, Ctrl-C
# during an answer. Needs bash, tmux and Go, or a built gogpt as its argument. On failure the screen is printed.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
session=gogpt-walk-$$
trap 'tmux -L "$session" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

gogpt=${1:-$work/gogpt}
[ -n "${1:-}" ] || (cd "$here" && go build -o "$gogpt" .)
gogpt=$(realpath "$gogpt")
small="--layers=1 --dim=16 --heads=2 --hidden=16 --vocab-size=300 --pretrain-epochs=2 --finetune-epochs=1 --max-steps=20"

screen() { tmux -L "$session" capture-pane -p -S - -t walk; }
press() { tmux -L "$session" send-keys -t walk "$@"; }

# sees TEXT: waits until the screen, since the last start, holds the text
sees() {
	for _ in $(seq 300); do
		screen | tr -d '\n' | grep -qF -- "$1" && return
		sleep 0.1
	done
	printf 'the screen does not show: %s\n' "$1" >&2
	screen >&2
	exit 1
}

# start FLAGS…: begins on an empty screen
LANG=C.UTF-8 tmux -u -L "$session" -f /dev/null new-session -d -s walk -x 150 -y 50 -c "$work" "exec sleep 1000"
start() {
	tmux -L "$session" respawn-pane -k -t walk "clear; \"$gogpt\" $* 2>&1; echo \"code \$?.\"; exec sleep 1000"
	tmux -L "$session" clear-history -t walk
}

# Every question in its order: the words that it shows, and a reply that leads to the next.
questions_new=("save the pretrained model?" "save the model?" "Ask something.")
replies_new=("n" "n" "Hello")
questions_found=("or continue its training?" "which one?" "epochs of pretraining" "learning rate" "${questions_new[@]}")
replies_found=("continue" "final" "1" "" "${replies_new[@]}")

# walk KIND LAST KEY: replies to the questions before number LAST, there presses KEY
walk() {
	local -n questions=questions_$1 replies=replies_$1
	start $small
	for ((i = 0; i < $2; i++)); do
		sees "${questions[i]}"
		press "${replies[i]}" Enter
	done
	sees "${questions[$2]}"
	press "$3"
}

echo "end of input at every question, then models are there"
walk new 0 C-d
sees "saved: checkpoints/model_pretrained.safetensors"
sees "save the model?"
press C-d
sees "saved: checkpoints/model_final.safetensors"
sees "Ask something."
press C-d
sees "code 0."

for kind in new found; do
	[ $kind = found ] || mv "$work/checkpoints" "$work/aside"
	declare -n questions=questions_$kind
	for ((n = 0; n < ${#questions[@]}; n++)); do
		echo "Ctrl-C at: ${questions[n]}"
		walk $kind $n C-c
		sees "code 130."
	done
	[ $kind = found ] || mv "$work/aside" "$work/checkpoints"
done

echo "nonsense, load, commands, Ctrl-C during an answer"
start $small
for reply in what why how; do
	sees "saved models:"
	press "$reply" Enter
	sees "\"$reply\" is none of"
done
sees "taking the default: load"
press Enter
sees "loaded: checkpoints/model_final.safetensors"
sees "Ask something."
press "你好" Enter "/whhy" Enter
sees "did you mean /why?"
press "/set max-tokens=1000000000" Enter "/set temperature=1" Enter
press "/set frequency-penalty=-10" Enter "an answer that repeats itself for ever" Enter
sleep 1
press C-c
sees "(stopped)"
press "/stats" Enter
sees "ended by interrupted"
press "/save talk.json" Enter
sees "(saved: talk.json)"
press C-c
sees "code 130."
grep -q '"user":"你好"' "$work/talk.json"

echo "Ctrl-C during training, then save"
start $small --max-steps=0 --pretrain-epochs=1000000 --patience=0
sees "or continue its training?"
press train Enter
sees "1/1000000"
press C-c
sees "save the model as it is?"
press "stopped.safetensors" Enter
sees "saved: stopped.safetensors"
sees "code 130."
echo "the terminal walk is complete"
