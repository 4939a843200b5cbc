package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPipeGetsOneAnswerALine(t *testing.T) {
	r, out, _, err := conversation(t, false, "one", "", "two", "one", "/clear", "two")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 5)
	require.Empty(t, lines[1])
	require.Equal(t, lines[0], lines[3], "a line of a pipe is a question of its own")
	require.NotEqual(t, lines[0], lines[2])
	require.Len(t, r.turns, 4)
}

// Lines that ask nothing, blank ones and mistyped commands, get an empty answer: answer n belongs to line n.
func TestPipeGetsALineForEveryLineThatIsNoCommand(t *testing.T) {
	lines := []string{"one", "", "/nope", "one", "  "}
	_, out, notes, err := conversation(t, false, lines...)
	require.NoError(t, err)
	answers := strings.Split(out.String(), "\n")
	require.Len(t, answers, len(lines)+1)
	require.NotEmpty(t, answers[0])
	require.Equal(t, []string{answers[0], "", "", answers[0], "", ""}, answers)
	require.Contains(t, notes.String(), `unknown command "/nope"`)

	r, out, notes := untrainedREPL(t, false, true, lines...)
	require.NoError(t, r.run())
	results := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, results, len(lines))
	require.JSONEq(t, `{"text":"","tokens":[],"logprobs":[],"stop_reason":"","tokens_per_sec":0}`, results[1])
	require.Equal(t, []string{results[1], results[1]}, []string{results[2], results[4] + "\n"})
	require.Contains(t, notes.String(), `unknown command "/nope"`)

	_, out, _, err = conversation(t, true, "", "/nope")
	require.NoError(t, err)
	require.Equal(t, "> > > \n", out.String(), "a person sees the hint")
}

// breakingREPL is a conversation whose answers are line breaks of both kinds.
func breakingREPL(t *testing.T, person bool, lines ...string) (*repl, *bytes.Buffer) {
	r, out, _ := untrainedREPL(t, person, false, lines...)
	for c := range r.model.Dim {
		r.model.lnF.bias.W[c] = 0.6
		for _, b := range "\n\r" {
			r.model.embed.wte.W[int(r.tokenizer.byteIDs[b])*r.model.Dim+c]++
		}
	}
	next := r.generationConfig
	next.Frequency = 3
	r.configure(next)
	return r, out
}

func TestLineBreaksAreKeptForOnePromptAndFlattenedInAPipe(t *testing.T) {
	r, prompted := breakingREPL(t, false)
	require.NoError(t, r.answerOnce("one"))
	require.Contains(t, prompted.String(), "\n\r")
	r, typed := breakingREPL(t, true)
	require.NoError(t, r.answerOnce("one"))
	require.Equal(t, prompted.String(), typed.String(), "whatever standard input is")

	r, piped := breakingREPL(t, false, "one")
	require.NoError(t, r.run())
	text := strings.TrimSuffix(prompted.String(), "\n")
	require.Equal(t, strings.NewReplacer("\n", " ", "\r", " ").Replace(text)+"\n", piped.String())
}

func TestJSONStandsAloneOnStandardOutput(t *testing.T) {
	for _, person := range []bool{true, false} {
		r, out, notes := untrainedREPL(t, person, true, "one", "/help", "/set", "/beam 3", "two", "/stats", "/why", "/clear", "")
		require.NoError(t, r.run())
		values := 0
		for dec := json.NewDecoder(out); dec.More(); values++ {
			require.NoError(t, dec.Decode(new(answerResult)))
		}
		if person {
			require.Equal(t, 2, values)
			require.Contains(t, notes.String(), "> ")
		} else {
			require.Equal(t, 3, values)
		}
		for _, told := range []string{"/help ", "top-k=0", "last answer: ", "ended by "} {
			require.Contains(t, notes.String(), told)
		}
	}
}

// pressing is an output that presses Ctrl-C, or sends another signal, when it has seen some bytes of an answer.
type pressing struct {
	bytes.Buffer
	after int
	other syscall.Signal
}

func (p *pressing) Write(b []byte) (int, error) {
	if n := p.Len(); n < p.after && n+len(b) >= p.after {
		sendSelf(cmp.Or(p.other, syscall.SIGINT))
	}
	return p.Buffer.Write(b)
}

func TestCtrlCStopsTheAnswerAndTheConversationGoesOn(t *testing.T) {
	m, words := generationModel(t, 24)
	c := defaultGeneration()
	c.MaxTokens = 1 << 30
	for token, special := range words.special { // an answer that never ends by itself
		if special {
			clear(m.embed.wte.W[token*m.Dim : (token+1)*m.Dim])
		}
	}
	for _, person := range []bool{true, false} {
		out, notes := &pressing{after: 40}, &bytes.Buffer{}
		d := newDialog(&console{&script{t, []string{"one", "/stats"}}, out, notes})
		d.person = person
		err := newREPL(d, newChat(m, words, c), false).run()
		require.Contains(t, notes.String(), "(stopped)")
		if person {
			require.NoError(t, err)
			require.Contains(t, out.String(), "ended by interrupted")
		} else {
			require.ErrorContains(t, err, "interrupted", "nobody is there to go on")
		}
	}
}

// A signal that comes with the last token of an answer does not stop it any more, but still ends a pipe's conversation.
func TestCtrlCOnTheLastTokenIsNotLost(t *testing.T) {
	m, words := generationModel(t, 24)
	for _, beams := range []int{1, 3} {
		c := shortAnswers(1)
		c.Beams = beams
		lines := slices.Repeat([]string{"hi"}, 50)
		out := &pressing{after: 1}
		r := newREPL(newDialog(&console{&script{t, lines}, out, io.Discard}), newChat(m, words, c), false)
		stopped := new(interrupted)
		require.ErrorAs(t, r.run(), &stopped)
		require.Equal(t, exitSIGINT, stopped.code)
		require.Equal(t, stopMaxTokens, r.last.reason)
		require.Len(t, r.turns, 1)

		r.out = &pressing{after: 1}
		require.ErrorAs(t, r.answerOnce("hi"), &stopped)
		r.out, r.person = &pressing{after: 1}, true
		require.NoError(t, r.reply("hi"), "a person goes on")
	}
}

// SIGTERM is no person's wish for another answer: it ends the conversation.
func TestReplies_SIGTERMEndsAPersonsConversationToo(t *testing.T) {
	r, _, _ := untrainedREPL(t, true, false, "one", "/stats")
	out := &pressing{after: 5, other: syscall.SIGTERM}
	r.out = out
	stopped := new(interrupted)
	require.ErrorAs(t, r.run(), &stopped)
	require.Equal(t, 143, stopped.code)
	require.NotContains(t, out.String(), "last answer: ")
}

func TestReplies_AnAnswerCutAtMaxTokensSaysSo(t *testing.T) {
	for maxTokens, cut := range map[int]bool{3: true, 4: false} { // the end of text is no token of the answer
		m, words := timetableModel(t, 32, len("<hi>"), saying("yes")...)
		var out, notes bytes.Buffer
		d := newDialog(&console{&script{t, []string{"hi"}}, &out, &notes})
		require.NoError(t, newREPL(d, newChat(m, words, shortAnswers(maxTokens)), false).run())
		require.Equal(t, "yes\n", out.String())
		require.Equal(t, cut, notes.String() == "(cut at max-tokens=3)\n", notes.String())
		require.Equal(t, cut, notes.Len() > 0)
	}
}
