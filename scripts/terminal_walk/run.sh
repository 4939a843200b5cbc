#!/usr/bin/env bash
# Tests the interactive program in a real terminal: replies, the end of input and Ctrl-C at every question, without
# and with saved models, and after an interrupted training; Ctrl-C during an answer. Needs bash, tmux, and Go or a built
# gogpt as its argument. Prints the screen on failure.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
session=gogpt-walk-$$
trap 'tmux -L "$session" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

gogpt=${1:-$work/gogpt}
[ -n "${1:-}" ] || (cd "$here" && go build -o "$gogpt" .)
gogpt=$(realpath "$gogpt")
small="--layers=1 --dim=16 --heads=2 --hidden=16 --vocab-size=300"
small+=" --pretrain-epochs=2 --finetune-epochs=1 --max-steps=20"

screen() { tmux -L "$session" capture-pane -p -S - -t walk; }
press() { tmux -L "$session" send-keys -t walk "$@"; }

fail() {
	printf '%s\n' "$1" >&2
	screen | grep . | tail -40 >&2
	exit 1
}

# sees TEXT…: waits until the screen since the last start contains the texts
sees() {
	local text
	for text in "$@"; do
		for ((try = 0; ; try++)); do
			[[ $(screen | tr -d '\n') != *"$text"* ]] || break
			[ "$try" -lt 400 ] || fail "the screen does not show: $text"
			sleep 0.05
		done
	done
}

# start FLAGS…: starts the program on an empty screen
LANG=C.UTF-8 tmux -u -L "$session" -f /dev/null new-session -d -s walk -x 150 -y 50 -c "$work" "exec sleep 1000"
start() {
	tmux -L "$session" respawn-pane -k -t walk "clear; \"$gogpt\" $* 2>&1; echo \"code \$?.\"; exec sleep 1000"
	tmux -L "$session" clear-history -t walk
}

# All questions in order: their text, a reply that leads to the next question, and the text that follows when the end of
# input selects the default. "new" starts without saved models, "found" with them.
questions_new=("save the pretrained model?" "save the model?" "Ask something.")
replies_new=("n" "n" "Hello")
defaults_new=("saved: checkpoints/model_pretrained.safetensors" "saved: checkpoints/model_final.safetensors" "code 0.")
questions_found=("or continue its training?" "which one?" "epochs of pretraining" "learning rate" "${questions_new[@]}")
replies_found=("continue" "final" "1" "" "${replies_new[@]}")
defaults_found=("which one?" "loaded: checkpoints/model_final.safetensors" "learning rate [" "pretrain: "
	"${defaults_new[@]}")

# The questions that the program asks if every reply is the default.
way_new=("${questions_new[@]}")
way_found=("or continue its training?" "which one?" "Ask something.")

# begin KIND: starts the program in an empty folder, or in one with the models of the last walk
begin() {
	[ "$1" = found ] || rm -rf "$work/checkpoints"
	start $small
}

# walk KIND LAST KEY: replies to the questions before number LAST, and presses KEY at that question
walk() {
	local -n asked=questions_$1 replies=replies_$1
	begin $1
	for ((i = 0; i < $2; i++)); do
		sees "${asked[i]}"
		press "${replies[i]}" Enter
	done
	sees "${asked[$2]}"
	press "$3"
}

# interrupted: the program exits with 130 and reports the interruption once
interrupted() {
	sees "code 130."
	[ "$(screen | grep -c 'interrupted by interrupt')" = 1 ] || fail "the interruption is not reported exactly once"
}

for kind in new found; do
	declare -n questions=questions_$kind defaults=defaults_$kind way=way_$kind
	for ((n = 0; n < ${#questions[@]}; n++)); do
		echo "Ctrl-C, and the end of input, at: ${questions[n]}"
		walk $kind $n C-c
		interrupted
		walk $kind $n C-d
		sees "${defaults[n]}"
		if ((n + 1 < ${#questions[@]})); then
			sees "${questions[n + 1]}"
			press C-c
			interrupted
		fi
	done
	echo "the end of input at every question"
	begin $kind
	for question in "${way[@]}"; do
		sees "$question"
		press C-d
	done
	sees "code 0."
done

echo "--quick asks once whether to save"
rm -r "$work/checkpoints"
start ${small/--finetune-epochs=1/} --quick
sees "save the model?"
press Enter
sees "saved: checkpoints/model_final.safetensors" "Ask something."
press C-d
sees "code 0."
[ "$(screen | grep -c 'save the ')" = 1 ] || fail "--quick asks more than once whether to save"

echo "nonsense, load, commands with and without a slash, Ctrl-C during an answer"
start $small
for reply in what why how; do
	sees "saved models:"
	press "$reply" Enter
	sees "\"$reply\" is none of"
done
sees "using the default: load"
press Enter
sees "loaded: checkpoints/model_final.safetensors" "Ask something."
press "Hello" Enter "/whhy" Enter
sees "did you mean /why?"
press "/set max-tokens=1000000000" Enter "/set temperature=1" Enter
press "/set frequency-penalty=-10" Enter "你好，再见" Enter
sleep 1
press C-c
sees "(stopped)"
press "/stats" Enter
sees "ended by interrupted"
press "/save talk.json" Enter
sees "(saved: talk.json)"
press "save" Enter
sees "(save: as /save)" "(/save takes FILE.json"
press "clear" Enter
sees "(clear: as /clear)" "(a new conversation)"
press "/help" Enter
sees "these need no slash: exit, clear, save."
press "exit" Enter
sees "(exit: as /exit)" "code 0."
grep -q '"user":"你好，再见"' "$work/talk.json" || fail "talk.json lacks the question"

# stop REPLY…: presses Ctrl-C in an endless pretraining and replies to the question that follows
stop() {
	start $small --max-steps=0 --pretrain-epochs=1000000 --patience=0
	sees "or continue its training?"
	press train Enter
	sees "1/1000000"
	press C-c
	sees "save the model as it is?"
	press "$@"
	interrupted
}

echo "Ctrl-C during training: end of input, Ctrl-C and file names at its question"
for key in C-d C-c; do
	stop $key
	[[ $(screen) != *"saved: "* ]] || fail "saved without a request"
done
stop y Enter
sees "saved: checkpoints/model_pretrained.safetensors"
stop stopped.safetensors Enter
sees "saved: stopped.safetensors"
echo "the terminal walk is complete"
