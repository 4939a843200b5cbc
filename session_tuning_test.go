package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The samples of tuning, what counts in them, and the held-out questions. A learning rate that moves no weight lets the
// log show the loss of the saved weights.

const still = "1e-30"

// chatLoss is the definition: the mean −log p of the answers and their ends, or of all tokens, of one pair a sample.
func chatLoss(r *finishedRun, all bool, pairs ...pair) float64 {
	ref := newReference(r.model.ModelConfig, r.model.Params())
	var sum float64
	targets := 0
	for _, p := range pairs {
		prompt := slices.Concat([]int{r.words.user}, r.words.encode(p.User), []int{r.words.assistant})
		tokens := slices.Concat(prompt, r.words.encode(p.Assistant), []int{r.words.endOfText})
		for i, row := range ref.logits(tokens[:len(tokens)-1]) {
			if next := i + 1; all || next >= len(prompt) {
				softmaxFloat64(row)
				sum -= math.Log(row[tokens[next]])
				targets++
			}
		}
	}
	return sum / float64(targets)
}

// Of two pairs one is trained on and one validates; which is which, the seed decides.
func TestTuning_CountsAnswersOrAllTokens(t *testing.T) {
	a, b := pair{"what is it?", "a stone"}, pair{"你好吗", "好"}
	for _, all := range []bool{false, true} {
		r := finish(t, exitOK, "--chat-data="+jsonFile(t, []pair{a, b}), "--pretrain-epochs=0", "--finetune-epochs=1",
			"--finetune-lr="+still, "--val-fraction=0.5", fmt.Sprintf("--train-on-all=%t", all))
		require.Len(t, r.epochs, 1)
		require.NotNil(t, r.epochs[0].ValLoss)
		got := []float64{r.epochs[0].AvgLoss, *r.epochs[0].ValLoss}
		want := []float64{chatLoss(r, all, a), chatLoss(r, all, b)}
		slices.Sort(got)
		slices.Sort(want)
		require.InDeltaSlice(t, want, got, 1e-5, "all tokens: %t", all)
	}
}

// sized is a pair that makes a sample of n tokens, bytes and the three special ones.
func sized(n int) pair { return pair{"?", strings.Repeat("a", n-4)} }

// Half of the samples join one to three other pairs, as far as the context holds them: a sample of n tokens takes n − 1
// places of the context.
func TestTuning_JoinsPairsUpToTheContext(t *testing.T) {
	for _, c := range []struct {
		pairs   []pair
		context int
		tokens  []int // predicted in an epoch, of all epochs
	}{
		{[]pair{sized(8), sized(8)}, 14, []int{7 + 7}},
		{[]pair{sized(8), sized(8)}, 15, []int{7 + 15}}, // two pairs fill the context
		{[]pair{sized(8), sized(8)}, 22, []int{7 + 15}},
		{[]pair{sized(8), sized(8)}, 23, []int{7 + 15, 7 + 23}},
		{[]pair{sized(8), sized(8)}, 99, []int{7 + 15, 7 + 23, 7 + 31}}, // never more than four
		{[]pair{sized(8)}, 99, []int{7}},                                // there is no other
		// A pair that fills the context takes turns with the other, which then joins its like; a longer pair is cut and
		// leaves the other alone.
		{[]pair{sized(16), sized(8)}, 15, []int{15 + 7, 15 + 15}},
		{[]pair{sized(17), sized(8)}, 15, []int{15 + 1 + 7}},
	} {
		r := finish(t, exitOK, "--chat-data="+jsonFile(t, c.pairs), "--pretrain-epochs=0", "--finetune-epochs=24",
			"--finetune-patience=0", "--finetune-accum=1", "--finetune-lr="+still,
			fmt.Sprintf("--vocab-size=%d", minVocabSize), fmt.Sprint("--context=", c.context))
		tokens := r.tokens()
		require.Len(t, tokens, 24)
		slices.Sort(tokens)
		require.Equal(t, c.tokens, slices.Compact(tokens), "%v in a context of %d", c.pairs, c.context)
	}
}

// Freezing releases in the first phase of the run, whichever that is.
func TestFreezing_ReleasesInTheFirstPhaseOfTheRun(t *testing.T) {
	for _, c := range []struct {
		flags  string
		frozen []int // tensors, by epoch
	}{
		{"--pretrain-epochs=3 --finetune-epochs=2 --freeze-attn-epochs=1", []int{4, 0, 0, 0, 0}},
		{"--pretrain-epochs=0 --finetune-epochs=2 --freeze-attn-epochs=1", []int{4, 0}},
		{"--pretrain-epochs=2 --finetune-epochs=2 --unfreeze=layered", []int{2, 0, 0, 0}},
		{"--pretrain-epochs=0 --finetune-epochs=2 --unfreeze=layered", []int{2, 0}},
		{"--pretrain-epochs=1 --finetune-epochs=1 --freeze-attn", []int{4, 4}},
		{"--pretrain-epochs=0 --finetune-epochs=1 --freeze-attn", []int{4}},
	} {
		var frozen []int
		flags := append(smallData(t), "--patience=0", "--finetune-patience=0")
		for _, e := range finish(t, exitOK, append(flags, strings.Fields(c.flags)...)...).epochs {
			frozen = append(frozen, len(e.Frozen))
		}
		require.Equal(t, c.frozen, frozen, c.flags)
	}
}

// The held-out questions belong to the repository's data. However such a run ends, it reports the loss of the answers.
func TestHeldOut_IsMeasuredOnTheRepositorysDataAlone(t *testing.T) {
	questions, own := ownCorpus(t, heldoutFile).Pairs, smallData(t)
	for _, c := range []struct {
		flags    []string
		code     int
		measured bool
	}{
		{nil, exitOK, true},
		{[]string{"--pretrain-epochs=0", "--finetune-epochs=1"}, exitOK, true},
		{[]string{"--lr=1e38"}, exitError, true}, // diverges; the last good weights are measured
		{own[:1], exitOK, false},
		{own[1:], exitOK, false},
		{own, exitOK, false},
	} {
		r := finish(t, c.code, append([]string{"--max-steps=3", "--context=256"}, c.flags...)...)
		require.Equal(t, c.measured, r.heldout != nil, "%v", c.flags)
		if c.measured {
			require.InDelta(t, chatLoss(r, false, questions...), *r.heldout, 1e-5, "%v", c.flags)
		}
	}
}
