package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
		"/set top-p=0", "/beam", "/beam 0", "/save", "/why", "one", "/save "+t.TempDir()+"/no/such/file")
	require.NoError(t, err)
	for _, hint := range []string{`"/hlep", did you mean /help?`, `"/nonsense"; /help`, `no setting "heat"`, "NAME=VALUE",
		"top-k=many: takes a whole number", "top-p=0: takes", "/beam 3", "beam=0: takes", "/save FILE", "no such file", "no answer yet"} {
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

func TestWhyShowsProbabilitiesThatFallAndSumToLessThanOne(t *testing.T) {
	r, out, _, err := conversation(t, true, "one", "/why", "/beam 3", "one", "/why")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(out.String(), "  ended by "))
	require.GreaterOrEqual(t, strings.Count(out.String(), "  beam: score -"), 1)
	for _, token := range r.last.tokens {
		for i, other := range token.top[1:] {
			require.LessOrEqual(t, other.logProb, token.top[i].logProb)
		}
	}
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

// pressing is an output that presses Ctrl-C when it has seen some bytes of an answer.
type pressing struct {
	bytes.Buffer
	after int
}

func (p *pressing) Write(b []byte) (int, error) {
	if n := p.Len(); n < p.after && n+len(b) >= p.after {
		pressCtrlC()
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
