package main

import (
	"strings"

	"gogpt/internal/study"
)

// The studies that gogpt ablate --study=NAME runs. The folder docs/studies has the plan of a study, NAME.md, and its
// finished runs, NAME.jsonl. Every line has the flags declared here: after a change of them, no line fits.

// studies lists the studies. Flags that a study leaves out have their defaults.
var studies = []*study.Study{freezingStudy, freezingTextStudy}

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

// freezingComparisons returns the three comparisons that decide, between the smallest and the largest rate.
func freezingComparisons(small, large string) []study.Comparison {
	const exact, approximate = "exact", "straight-through"
	plus := func(backward, rate, freezing string) study.Term {
		return study.Term{Weight: 1, Cell: study.Cell{backward, rate, freezing}}
	}
	minus := func(backward, rate, freezing string) study.Term {
		return study.Term{Weight: -1, Cell: study.Cell{backward, rate, freezing}}
	}
	return []study.Comparison{
		{Question: "Does the approximation cost more at the large rate?", Prediction: study.Above,
			Sum: []study.Term{plus(approximate, large, "none"), minus(exact, large, "none"),
				minus(approximate, small, "none"), plus(exact, small, "none")}},
		{Question: "Does freezing help at the large rate?", Prediction: study.Below,
			Sum: []study.Term{plus(approximate, large, "throughout"), minus(approximate, large, "none")}},
		{Question: "Does it help because of the approximation?", Prediction: study.Below,
			Sum: []study.Term{plus(approximate, large, "throughout"), minus(approximate, large, "none"),
				minus(exact, large, "throughout"), plus(exact, large, "none")}},
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
