package main

import (
	"strings"

	"gogpt/internal/study"
)

// The studies that gogpt ablate --study=NAME runs. The folder docs/studies has the plan of a study, NAME.md, and its
// finished runs, NAME.jsonl. Every line has the flags declared here: after a change of them, no line fits.

// studies lists the studies. Flags that a study leaves out have their defaults.
var studies = []*study.Study{freezingStudy, freezingTextStudy, releaseStudy, tuningStudy, cooldownStudy, ladderStudy}

// backwardFactor is the backward pass of attention.
var backwardFactor = study.Factor{Name: "backward", Levels: []study.Level{
	{Name: "exact", Flags: []string{"--attn-backward=exact"}},
	{Name: "stop-gradient", Flags: []string{"--attn-backward=stop-gradient"}},
	{Name: "straight-through", Flags: []string{"--attn-backward=straight-through"}},
}}

// rateFactor is the peak learning rate.
func rateFactor(rates ...string) study.Factor {
	f := study.Factor{Name: "rate"}
	for _, rate := range rates {
		f.Levels = append(f.Levels, study.Level{Name: rate, Flags: []string{"--lr=" + rate}})
	}
	return f
}

// freezingFactor is what is frozen when; firstThird is the flag that freezes attention for a third of the run.
func freezingFactor(firstThird string) study.Factor {
	return study.Factor{Name: "freezing", Levels: []study.Level{
		{Name: "none"},
		{Name: "throughout", Flags: []string{"--freeze-attn"}},
		{Name: "first third", Flags: []string{firstThird}},
		{Name: "layered", Flags: []string{"--unfreeze=layered"}},
	}}
}

// term is the outcome of a cell times a weight.
func term(weight float64, cell ...string) study.Term { return study.Term{Weight: weight, Cell: cell} }

// freezingComparisons returns the three comparisons that decide, between the smallest and the largest rate.
func freezingComparisons(small, large string) []study.Comparison {
	const exact, approximate = "exact", "straight-through"
	return []study.Comparison{
		{Question: "Does the approximation cost more at the large rate?", Prediction: study.Above,
			Sum: []study.Term{term(1, approximate, large, "none"), term(-1, exact, large, "none"),
				term(-1, approximate, small, "none"), term(1, exact, small, "none")}},
		{Question: "Does freezing help at the large rate?", Prediction: study.Below,
			Sum: []study.Term{term(1, approximate, large, "throughout"), term(-1, approximate, large, "none")}},
		{Question: "Does it help because of the approximation?", Prediction: study.Below,
			Sum: []study.Term{term(1, approximate, large, "throughout"), term(-1, approximate, large, "none"),
				term(-1, exact, large, "throughout"), term(1, exact, large, "none")}},
	}
}

// freezingStudy asks whether freezing attention helps when its backward pass is approximate, on the built-in sentences.
var freezingStudy = &study.Study{
	Name:  "freezing",
	Title: "Should attention be frozen, and when?",
	Base: strings.Fields("--pretrain-epochs=30 --finetune-epochs=0 --val-fraction=0 --patience=0 --accum=1 --batch=1 " +
		"--clip=1"),
	Window: 252, // an epoch
	Factors: []study.Factor{backwardFactor, rateFactor("1e-4", "3e-4", "1e-3", "3e-3"),
		freezingFactor("--freeze-attn-epochs=10")},
	Seeds:       []uint64{1, 2, 3, 4, 5},
	Outcome:     study.TrainLoss,
	Comparisons: freezingComparisons("1e-4", "3e-3"),
}

// freezingTextStudy asks the same on a text, with the settings of nanoGPT for a CPU.
var freezingTextStudy = &study.Study{
	Name:  "freezing-text",
	Title: "Should attention be frozen, and when? On a text",
	Text:  true,
	Base: strings.Fields("--pretrain-epochs=500 --max-steps=2000 --finetune-epochs=0 --val-fraction=0.1 --patience=0 " +
		"--accum=1 --batch=12 --clip=1 --tokenizer=char --layers=4 --heads=4 --dim=128 --hidden=512 --context=64 " +
		"--min-lr=1e-4 --warmup-steps=100 --weight-decay=0.1 --beta2=0.99"),
	Window:      100,
	Factors:     []study.Factor{backwardFactor, rateFactor("1e-3", "3e-3"), freezingFactor("--freeze-attn-steps=700")},
	Seeds:       []uint64{1, 2, 3},
	Outcome:     study.ValLoss,
	Comparisons: freezingComparisons("1e-3", "3e-3"),
}

// releaseStudy asks what softens the release of frozen attention.
var releaseStudy = &study.Study{
	Name:  "release",
	Title: "What softens the release of frozen attention?",
	Base: strings.Fields("--pretrain-epochs=30 --finetune-epochs=0 --val-fraction=0 --patience=0 --accum=1 --batch=1 " +
		"--clip=1 --lr=3e-3 --freeze-attn-epochs=10"),
	Window: 252, // an epoch
	Factors: []study.Factor{
		{Name: "backward", Levels: []study.Level{backwardFactor.Levels[0], backwardFactor.Levels[2]}},
		{Name: "release", Levels: []study.Level{
			{Name: "fresh"},
			{Name: "warm-up 252", Flags: []string{"--release-warmup=252"}},
			{Name: "warm-up 1260", Flags: []string{"--release-warmup=1260"}},
			{Name: "kept", Flags: []string{"--keep-moments"}},
		}}},
	Seeds:   []uint64{1, 2, 3, 4, 5},
	Outcome: study.TrainLoss,
	Comparisons: []study.Comparison{
		{Question: "Does a warm-up over one epoch help?",
			Sum: []study.Term{term(1, "straight-through", "warm-up 252"), term(-1, "straight-through", "fresh")}},
		{Question: "Does a warm-up over five epochs help?",
			Sum: []study.Term{term(1, "straight-through", "warm-up 1260"), term(-1, "straight-through", "fresh")}},
		{Question: "Do kept moments help?",
			Sum: []study.Term{term(1, "straight-through", "kept"), term(-1, "straight-through", "fresh")}},
	},
}

// tuningStudy asks what the old plan of tuning lost, and by which of its settings.
var tuningStudy = &study.Study{
	Name:  "tuning",
	Title: "What did the old plan of tuning lose, and by which factor?",
	Base: strings.Fields("--pretrain-epochs=30 --lr=1e-4 --patience=0 --accum=1 --finetune-epochs=60 " +
		"--finetune-patience=0 --val-fraction=0 --batch=1 --clip=1"),
	Window: 50,
	Factors: []study.Factor{
		{Name: "tuning rate", Levels: []study.Level{
			{Name: "5e-5", Flags: []string{"--finetune-lr=5e-5"}}, {Name: "3e-4", Flags: []string{"--finetune-lr=3e-4"}}}},
		{Name: "restarts", Levels: []study.Level{
			{Name: "none", Flags: []string{"--finetune-restarts=0"}}, {Name: "two", Flags: []string{"--finetune-restarts=2"}}}},
		{Name: "accumulation", Levels: []study.Level{
			{Name: "1, 2, 4", Flags: []string{"--finetune-accum=1,2,4"}}, {Name: "4", Flags: []string{"--finetune-accum=4"}}}},
	},
	Seeds:   []uint64{1, 2, 3, 4, 5},
	Outcome: study.HeldoutLoss,
	Comparisons: []study.Comparison{
		{Question: "What does the old rate cost?", Prediction: study.Above, Sum: tuningEffect(0)},
		{Question: "What do the restarts cost?", Prediction: study.Above, Sum: tuningEffect(1)},
		{Question: "What does the old accumulation cost?", Prediction: study.Above, Sum: tuningEffect(2)},
	},
}

// tuningEffect returns the main effect of a factor: its old level minus its stable level, averaged over the levels of
// the other factors.
func tuningEffect(factor int) (sum []study.Term) {
	for _, rate := range []string{"5e-5", "3e-4"} {
		for _, restarts := range []string{"none", "two"} {
			for _, accum := range []string{"1, 2, 4", "4"} {
				weight := -0.25
				if old := []bool{rate == "3e-4", restarts == "two", accum == "4"}; old[factor] {
					weight = 0.25
				}
				sum = append(sum, term(weight, rate, restarts, accum))
			}
		}
	}
	return sum
}

// cooldownStudy asks whether a cooldown pays after the patience of the default run is exhausted.
var cooldownStudy = &study.Study{
	Name:   "cooldown",
	Title:  "Does a cooldown pay after patience is exhausted?",
	Window: 50,
	Factors: []study.Factor{{Name: "cooldown", Levels: []study.Level{
		{Name: "none", Flags: []string{"--cooldown-epochs=0", "--finetune-cooldown-epochs=0"}},
		{Name: "of pretraining", Flags: []string{"--cooldown-epochs=10", "--finetune-cooldown-epochs=0"}},
		{Name: "of tuning", Flags: []string{"--cooldown-epochs=0", "--finetune-cooldown-epochs=20"}},
	}}},
	Seeds:   []uint64{1, 2, 3, 4, 5},
	Outcome: study.HeldoutLoss,
	Comparisons: []study.Comparison{
		{Question: "Does the cooldown of pretraining lower the loss?", Prediction: study.Below,
			Sum: []study.Term{term(1, "of pretraining"), term(-1, "none")}},
		{Question: "Does the cooldown of tuning lower the loss?", Prediction: study.Below,
			Sum: []study.Term{term(1, "of tuning"), term(-1, "none")}},
		{Question: "Does the cooldown of pretraining bring more answers?", Prediction: study.Above,
			Outcome: study.ExactMatch, Sum: []study.Term{term(1, "of pretraining"), term(-1, "none")}},
		{Question: "Does the cooldown of tuning bring more answers?", Prediction: study.Above,
			Outcome: study.ExactMatch, Sum: []study.Term{term(1, "of tuning"), term(-1, "none")}},
	},
}

// ladderStudy asks at which learning rate each backward pass breaks, on short and on long sequences.
var ladderStudy = &study.Study{
	Name:  "ladder",
	Title: "At which learning rate does each backward pass of attention break?",
	Text:  true,
	Base: strings.Fields("--pretrain-epochs=500 --max-steps=300 --finetune-epochs=0 --val-fraction=0.1 --patience=0 " +
		"--accum=1 --clip=1 --tokenizer=char --layers=4 --heads=4 --dim=128 --hidden=512 --warmup-steps=100 " +
		"--weight-decay=0.1 --beta2=0.99"),
	Window: 20,
	Factors: []study.Factor{
		{Name: "sequences", Levels: []study.Level{
			{Name: "short", Flags: []string{"--context=16", "--batch=48"}},
			{Name: "long", Flags: []string{"--context=128", "--batch=6"}}}},
		rateFactor("1e-3", "2e-3", "4e-3", "8e-3", "1.6e-2", "3.2e-2"),
		backwardFactor},
	Seeds:   []uint64{1, 2, 3},
	Outcome: study.ValLoss,
	Comparisons: []study.Comparison{
		{Question: "Does stop-gradient cost more on long sequences?", Prediction: study.Above,
			Sum: costOfLength("stop-gradient")},
		{Question: "Does straight-through cost more on long sequences?", Prediction: study.Above,
			Sum: costOfLength("straight-through")},
	},
}

// costOfLength returns what a backward pass costs on long sequences, minus what it costs on short ones.
func costOfLength(backward string) []study.Term {
	const rate = "1e-3"
	return []study.Term{term(1, "long", rate, backward), term(-1, "long", rate, "exact"),
		term(-1, "short", rate, backward), term(1, "short", rate, "exact")}
}
