package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// interruptSign is a line of a script on which the reader presses Ctrl-C and types nothing more.
const interruptSign = "^C"

// script is an input that is typed line by line, each when it is wanted.
type script struct {
	t     *testing.T
	lines []string
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.lines) == 0 {
		return 0, io.EOF
	}
	line := s.lines[0]
	if line == interruptSign {
		pressCtrlC()
		<-s.t.Context().Done()
		return 0, io.EOF
	}
	s.lines = s.lines[1:]
	return copy(p, line+"\n"), nil
}

// untrainedREPL is a conversation with an untrained model of a context of 24 about the lines of a script.
func untrainedREPL(t *testing.T, person, asJSON bool, lines ...string) (r *repl, out, notes *bytes.Buffer) {
	m, words := generationModel(t, 24)
	out, notes = &bytes.Buffer{}, &bytes.Buffer{}
	d := newDialog(&console{&script{t, lines}, out, notes})
	d.person = person
	return newREPL(d, newChat(m, words, shortAnswers(6)), asJSON), out, notes
}

// conversation carries out the lines of a script.
func conversation(t *testing.T, person bool, lines ...string) (r *repl, out, notes *bytes.Buffer, err error) {
	r, out, notes = untrainedREPL(t, person, false, lines...)
	return r, out, notes, r.run()
}

func TestPersonsTurnsAreOneConversation(t *testing.T) {
	r, out, notes, err := conversation(t, true, "one", "two", "/stats", "/clear", "/stats")
	require.NoError(t, err)
	require.Contains(t, out.String(), "2 turns, of which the model sees")
	require.Contains(t, out.String(), "2 turns, of which the model sees 0")
	require.Contains(t, notes.String(), "(a new conversation)")
	require.Equal(t, 6, strings.Count(out.String(), "> "))
	require.Equal(t, 2, r.first)
}

func TestStatsTellOfTheLastAnswer(t *testing.T) {
	for _, lines := range [][]string{{"one", "/stats"}, {"a cat sat on the mat", "/clear", "/beam 3", "one", "/stats"}} {
		r, out, _, err := conversation(t, true, lines...)
		require.NoError(t, err)
		require.Equal(t, stopMaxTokens, r.last.reason)
		require.Contains(t, out.String(), fmt.Sprintf("ended by max_tokens, %d of 24 tokens of the context in use",
			len(promptTokens(r.tokenizer, "one"))+len(r.last.tokens)-1))
	}
}

func TestMistypedCommandIsAHintAndNoExit(t *testing.T) {
	_, out, notes, err := conversation(t, true, "/hlep", "/nonsense", "/set", "/set heat=1", "/set temperature", "/set top-k=many",
		"/set top-p=0", "/beam", "/beam 0", "/save", "/save talk.jsonl", "/why", "one", "/save "+t.TempDir()+"/no/such/file.json")
	require.NoError(t, err)
	for _, hint := range []string{`"/hlep", did you mean /help?`, `"/nonsense"; /help`, `no setting "heat"`, "NAME=VALUE",
		"top-k=many: takes a whole number", "top-p=0: takes", "/beam 3", "beam=0: takes", "/save takes FILE.json", "no such file", "no answer yet"} {
		require.Contains(t, notes.String(), hint)
	}
	require.Contains(t, out.String(), "temperature=0\n", "/set shows the settings, unchanged")
}

func TestSettingsTakeEffect(t *testing.T) {
	r, out, notes, err := conversation(t, true, "/set temperature=0.7", "/set --top-k=5", "/set stop=xyz", "/set stop=ab", "/set seed=9", "one")
	require.NoError(t, err)
	require.NotContains(t, notes.String(), "takes")
	require.Equal(t, 0.7, r.sampler.Temperature)
	require.Equal(t, 5, r.sampler.TopK)
	require.Equal(t, []string{"xyz", "ab"}, r.Stops)
	require.Equal(t, uint64(9), r.Seed)
	_, again, _, err := conversation(t, true, "/set temperature=0.7", "/set top-k=5", "/set stop=xyz", "/set stop=ab", "/set seed=9", "one")
	require.NoError(t, err)
	require.Equal(t, out.String(), again.String())
	_, _, notes, err = conversation(t, true, "/set temperature=0.7", "/beam 3")
	require.NoError(t, err)
	require.Contains(t, notes.String(), "beam=3: takes no temperature")
}

// shownPercent is a probability as /why prints it.
var shownPercent = regexp.MustCompile(`([0-9]+\.[0-9]{2}) %`)

// whyLines runs /why and returns the probabilities, in percent, that it prints for each token of the last answer: that of
// the token first, then those of the runners-up.
func whyLines(t *testing.T, r *repl) (lines [][]float64) {
	var out bytes.Buffer
	r.out = &out
	require.NoError(t, r.command("/why"))
	for line := range strings.Lines(out.String()) {
		var shown []float64
		for _, m := range shownPercent.FindAllStringSubmatch(line, -1) {
			p, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			shown = append(shown, p)
		}
		if shown != nil {
			lines = append(lines, shown)
		}
	}
	require.Contains(t, out.String(), "  ended by "+r.last.reason+"\n")
	return lines
}

// The printed numbers are the model's: the token's own, then those of others, falling, together at most all there is.
func TestWhyShowsProbabilitiesThatFallAndSumToAtMostOne(t *testing.T) {
	for _, command := range []string{"/beam 1", "/beam 3", "/set temperature=3"} {
		r, _, _ := untrainedREPL(t, true, false, command, "one")
		require.NoError(t, r.run())
		lines := whyLines(t, r)
		require.Len(t, lines, len(r.last.tokens))
		seen := promptTokens(r.tokenizer, "one")
		for i, token := range r.last.tokens {
			chances := logProbs(r.model, seen)
			require.InDelta(t, 100*math.Exp(chances[token.token]), lines[i][0], 0.006)
			others := slices.Delete(slices.Clone(chances), token.token, token.token+1)
			slices.Sort(others)
			sum := lines[i][0]
			for rank, shown := range lines[i][1:] {
				require.InDelta(t, 100*math.Exp(others[len(others)-1-rank]), shown, 0.006)
				sum += shown
			}
			require.LessOrEqual(t, sum, 100+0.005*float64(len(lines[i])))
			require.GreaterOrEqual(t, len(lines[i]), runnersUp)
			seen = append(seen, token.token)
		}
	}
}

func TestWhyShowsTheHypothesesOfBeamSearch(t *testing.T) {
	r, out, _, err := conversation(t, true, "/beam 3", "one", "/why")
	require.NoError(t, err)
	for _, h := range r.last.beams {
		require.Contains(t, out.String(), fmt.Sprintf("  beam: score %.3f, log-probability %.3f  ", h.score, h.logProb))
	}
	require.Len(t, r.last.beams, 3)
}

func TestConversationIsSavedAsTrainingPairs(t *testing.T) {
	dir := t.TempDir()
	path, model := filepath.Join(dir, "talk.json"), filepath.Join(dir, "m.safetensors")
	r, _, notes, err := conversation(t, true, "one", "/clear", "two", "/save "+path, "/save "+model)
	require.NoError(t, err)
	require.Contains(t, notes.String(), "(saved: "+path+")")
	_, _, err = loadModel(model)
	require.NoError(t, err)
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(saved), `{"user":"one","assistant":`)
	require.Len(t, r.turns, 2)
}

func TestWhatIsSavedIsWhatTrainingReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "talk.json")
	r, _, notes, err := conversation(t, true, "/save "+path)
	require.NoError(t, err)
	require.Contains(t, notes.String(), "no answer to save yet")
	require.NoFileExists(t, path)

	for _, answer := range []string{"", "It is.", " \n", "二\u2028\x00"} {
		r.turns = append(r.turns, turn{pair: pair{"Is it\xff?", answer}})
	}
	require.NoError(t, r.command("/save "+path))
	require.Contains(t, notes.String(), "(2 blank answers left out)")
	saved, err := loadCorpusPath(path)
	require.NoError(t, err)
	require.Equal(t, []pair{{"Is it\uFFFD?", "It is."}, {"Is it\uFFFD?", "二\u2028\x00"}}, saved.Pairs)
}

func TestExitAndTheEndOfInputLeave(t *testing.T) {
	_, out, _, err := conversation(t, true, "/exit", "one")
	require.NoError(t, err)
	require.Equal(t, "> ", out.String())
	_, out, _, err = conversation(t, true)
	require.NoError(t, err)
	require.Equal(t, "> \n", out.String())
}

func TestCtrlCAtThePromptLeavesWith130(t *testing.T) {
	_, _, _, err := conversation(t, true, "one", interruptSign)
	stopped := new(interrupted)
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, 130, stopped.code)
}

func TestFolderAsInputIsTheEndOfInput(t *testing.T) {
	m, words := generationModel(t, 24)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, saveModel(path, m, words))
	folder, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer folder.Close()
	code, out, notes := gogptReading(t, folder, "chat", "--model="+path)
	require.Equal(t, exitOK, code)
	require.Empty(t, out)
	require.Equal(t, 1, strings.Count(notes, "\n"), notes)
	require.Contains(t, notes, "is a directory")
}

// No line makes the conversation fail or end, but /exit.
func FuzzREPLLine(f *testing.F) {
	for _, cmd := range replCommands() {
		f.Add(cmd.name)
	}
	for _, line := range []string{"/set temperature=1e308", "/set stop=\xff", "/beam 64", "/set max-tokens=2", "\x00", "鲸", "/", "//", "<|user|>"} {
		f.Add(line)
	}
	m, words := generationModel(f, 24)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "save") || strings.Contains(line, "max-tokens") || len(line) > 300 {
			return // no files, no long answers
		}
		c := defaultGeneration()
		c.MaxTokens = 3
		d := newDialog(&console{strings.NewReader(line + "\nand then?\n/why\n"), io.Discard, io.Discard})
		d.person = len(line)%2 == 0
		r := newREPL(d, newChat(m, words, c), len(line)%3 == 0)
		require.NoError(t, r.run())
	})
}

func TestREPL_StatsCountTheTurnsThatTheModelSees(t *testing.T) {
	_, out, _, err := conversation(t, true, "a", "/clear", "b", "c", "/stats")
	require.NoError(t, err)
	require.Contains(t, out.String(), "conversation: 3 turns, of which the model sees 2\n")
}
