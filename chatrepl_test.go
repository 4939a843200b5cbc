package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/terminal"
)

// interruptSign, as a line of a script, presses Ctrl-C and types nothing more.
const interruptSign = "^C"

// sendSelf sends a signal to the process of the test, and returns when every channel that is notified of it has it.
func sendSelf(s syscall.Signal) {
	delivered := make(chan os.Signal, 1)
	signal.Notify(delivered, s)
	defer signal.Stop(delivered)
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Signal(s)
	}
	<-delivered
}

// script is an input that is typed line by line, each when the program reads it.
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
		sendSelf(syscall.SIGINT)
		<-s.t.Context().Done()
		return 0, io.EOF
	}
	s.lines = s.lines[1:]
	return copy(p, line+"\n"), nil
}

// untrainedREPL returns a conversation with an untrained model, whose context is 24, that reads the lines of a script.
func untrainedREPL(t *testing.T, person, asJSON bool, lines ...string) (r *repl, out, notes *bytes.Buffer) {
	m, words := generationModel(t, 24)
	out, notes = &bytes.Buffer{}, &bytes.Buffer{}
	d := terminal.NewDialog(&terminal.Console{In: &script{t, lines}, Out: out, Err: notes})
	d.Person = person
	return newREPL(d, newChat(m, words, shortAnswers(6)), asJSON), out, notes
}

// conversation runs the lines of a script.
func conversation(t *testing.T, person bool, lines ...string) (r *repl, out, notes *bytes.Buffer, err error) {
	r, out, notes = untrainedREPL(t, person, false, lines...)
	return r, out, notes, r.run()
}

func TestREPL_APersonsTurnsAreOneConversation(t *testing.T) {
	r, out, notes, err := conversation(t, true, "one", "two", "/stats", "/clear", "/stats")
	require.NoError(t, err)
	require.Contains(t, out.String(), "2 turns, of which the model sees")
	require.Contains(t, out.String(), "2 turns, of which the model sees 0")
	require.Contains(t, notes.String(), "(a new conversation)")
	require.Equal(t, 6, strings.Count(out.String(), "> "))
	require.Equal(t, 2, r.chat.firstShown)
}

func TestREPL_APersonNeedsNoSlashForExitClearAndSave(t *testing.T) {
	r, out, notes, err := conversation(t, true, "one", "/help", "Clear", "save", "two", "EXIT", "three")
	require.NoError(t, err)
	inOrder(t, notes.String(), "(Clear: as /clear)\n(a new conversation)\n", "(save: as /save)\n(/save takes FILE.json",
		"(EXIT: as /exit)\n")
	require.Contains(t, out.String(), "Alone on a line, these need no slash: exit, clear, save.\n")
	require.Len(t, r.chat.turns, 2)
	require.Equal(t, "two", r.chat.turns[1].User)
	require.Equal(t, 1, r.chat.firstShown)

	questions := []string{"exit now", "please clear", "save.", "quit", "exit /exit"}
	r, _, notes, err = conversation(t, true, questions...)
	require.NoError(t, err)
	require.Len(t, r.chat.turns, len(questions))
	require.NotContains(t, notes.String(), ": as /")
}

func TestREPL_InAPipeExitClearAndSaveAreQuestions(t *testing.T) {
	r, out, notes, err := conversation(t, false, "exit", "clear", "save", "/help")
	require.NoError(t, err)
	require.Len(t, r.chat.turns, 3)
	require.NotContains(t, notes.String(), ": as /")
	require.NotContains(t, out.String(), "no slash")
}

func TestREPL_AMistypedCommandGetsAHint(t *testing.T) {
	_, out, notes, err := conversation(t, true, "/hlep", "/nonsense", "/set", "/set heat=1", "/set temperature",
		"/set top-k=many", "/set top-p=0", "/beam", "/beam 0", "/save", "/save talk.jsonl", "/why", "one",
		"/save "+t.TempDir()+"/no/such/file.json")
	require.NoError(t, err)
	for _, hint := range []string{`"/hlep", did you mean /help?`, `"/nonsense"; /help`, `no setting "heat"`, "NAME=VALUE",
		"top-k=many: takes a whole number", "top-p=0: takes", "/beam 3", "beam=0: takes", "/save takes FILE.json",
		"no such file", "no answer yet"} {
		require.Contains(t, notes.String(), hint)
	}
	require.Contains(t, out.String(), "temperature=0\n", "/set shows the settings, unchanged")
}

func TestREPL_SettingsTakeEffect(t *testing.T) {
	r, out, notes, err := conversation(t, true,
		"/set temperature=0.7", "/set --top-k=5", "/set stop=xyz", "/set stop=ab", "/set seed=9", "one")
	require.NoError(t, err)
	require.NotContains(t, notes.String(), "takes")
	require.Equal(t, 0.7, r.chat.generator.sampler.config.Temperature)
	require.Equal(t, 5, r.chat.generator.sampler.config.TopK)
	require.Equal(t, []string{"xyz", "ab"}, r.chat.generator.config.Stops)
	require.Equal(t, uint64(9), r.chat.generator.config.Seed)
	_, again, _, err := conversation(t, true,
		"/set temperature=0.7", "/set top-k=5", "/set stop=xyz", "/set stop=ab", "/set seed=9", "one")
	require.NoError(t, err)
	require.Equal(t, out.String(), again.String())
	_, _, notes, err = conversation(t, true, "/set temperature=0.7", "/beam 3")
	require.NoError(t, err)
	require.Contains(t, notes.String(), "beam=3: takes no temperature")
}

func TestREPL_SavesTheConversationAsTrainingPairs(t *testing.T) {
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
	require.Len(t, r.chat.turns, 2)
}

func TestREPL_TrainingReadsASavedConversation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "talk.json")
	r, _, notes, err := conversation(t, true, "/save "+path)
	require.NoError(t, err)
	require.Contains(t, notes.String(), "no answer to save yet")
	require.NoFileExists(t, path)

	for _, answer := range []string{"", "It is.", " \n", "二\u2028\x00"} {
		r.chat.turns = append(r.chat.turns, turn{pair: pair{"Is it\xff?", answer}})
	}
	require.NoError(t, r.command("/save "+path))
	require.Contains(t, notes.String(), "(2 blank answers left out)")
	saved, err := loadCorpusPath(path)
	require.NoError(t, err)
	require.Equal(t, []pair{{"Is it\uFFFD?", "It is."}, {"Is it\uFFFD?", "二\u2028\x00"}}, saved.Pairs)
}

func TestREPL_ExitAndTheEndOfInputLeave(t *testing.T) {
	_, out, _, err := conversation(t, true, "/exit", "one")
	require.NoError(t, err)
	require.Equal(t, "> ", out.String())
	_, out, _, err = conversation(t, true)
	require.NoError(t, err)
	require.Equal(t, "> \n", out.String())
}

func TestREPL_CtrlCAtThePromptExitsWith130(t *testing.T) {
	_, _, _, err := conversation(t, true, "one", interruptSign)
	stopped := new(terminal.Interrupted)
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, 130, stopped.Code)
}

func TestREPL_AFolderAsInputCountsAsEnded(t *testing.T) {
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

// No line makes the conversation fail.
func FuzzREPL_NoLineIsAnError(f *testing.F) {
	for _, cmd := range replCommands() {
		f.Add(cmd.name)
	}
	for _, line := range []string{"/set temperature=1e308", "/set stop=\xff", "/beam 64", "/set max-tokens=2", "\x00", "鲸",
		"/", "//", "<|user|>"} {
		f.Add(line)
	}
	m, words := generationModel(f, 24)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "save") || strings.Contains(line, "max-tokens") || len(line) > 300 {
			return // no files, no long answers
		}
		c := defaultGeneration()
		c.MaxTokens = 3
		in := strings.NewReader(line + "\nand then?\n/why\n")
		d := terminal.NewDialog(&terminal.Console{In: in, Out: io.Discard, Err: io.Discard})
		d.Person = len(line)%2 == 0
		r := newREPL(d, newChat(m, words, c), len(line)%3 == 0)
		require.NoError(t, r.run())
	})
}

func TestREPL_APipeGetsOneAnswerPerLine(t *testing.T) {
	r, out, _, err := conversation(t, false, "one", "", "two", "one", "/clear", "two")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 5)
	require.Empty(t, lines[1])
	require.Equal(t, lines[0], lines[3], "in a pipe no line depends on the lines before it")
	require.NotEqual(t, lines[0], lines[2])
	require.Len(t, r.chat.turns, 4)
}

// Blank lines and mistyped commands get an empty answer, so that answer n belongs to line n.
func TestREPL_APipeGetsALineForEveryLineThatIsNoCommand(t *testing.T) {
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

// breakingREPL returns a conversation whose answers contain line breaks of both kinds.
func breakingREPL(t *testing.T, person bool, lines ...string) (*repl, *bytes.Buffer) {
	r, out, _ := untrainedREPL(t, person, false, lines...)
	for c := range r.chat.generator.model.Dim {
		r.chat.generator.model.lnF.bias.W[c] = 0.6
		for _, b := range "\n\r" {
			r.chat.generator.model.embed.wte.W[int(r.chat.generator.tokenizer.byteIDs[b])*r.chat.generator.model.Dim+c]++
		}
	}
	next := r.chat.generator.config
	next.Frequency = 3
	r.chat.generator.configure(next)
	return r, out
}

func TestREPL_LineBreaksAreSpacesOnlyInAPipe(t *testing.T) {
	r, prompted := breakingREPL(t, false)
	require.NoError(t, r.answerOnce("one"))
	require.Contains(t, prompted.String(), "\n\r")
	r, typed := breakingREPL(t, true)
	require.NoError(t, r.answerOnce("one"))
	require.Equal(t, prompted.String(), typed.String(), "standard input does not matter")

	r, piped := breakingREPL(t, false, "one")
	require.NoError(t, r.run())
	text := strings.TrimSuffix(prompted.String(), "\n")
	require.Equal(t, strings.NewReplacer("\n", " ", "\r", " ").Replace(text)+"\n", piped.String())
}

func TestREPL_JSONIsAloneOnStandardOutput(t *testing.T) {
	for _, person := range []bool{true, false} {
		r, out, notes := untrainedREPL(t, person, true,
			"one", "/help", "/set", "/beam 3", "two", "/stats", "/why", "/clear", "")
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
		for _, want := range []string{"/help ", "top-k=0", "last answer: ", "ended by "} {
			require.Contains(t, notes.String(), want)
		}
	}
}

// pressing is an output that sends its program a signal when a number of bytes has been written to it.
type pressing struct {
	bytes.Buffer
	after int            // bytes
	other syscall.Signal // 0: SIGINT, as Ctrl-C sends
}

func (p *pressing) Write(b []byte) (int, error) {
	if n := p.Len(); n < p.after && n+len(b) >= p.after {
		sendSelf(cmp.Or(p.other, syscall.SIGINT))
	}
	return p.Buffer.Write(b)
}

func TestREPL_CtrlCStopsOnlyTheAnswerOfAPerson(t *testing.T) {
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
		d := terminal.NewDialog(&terminal.Console{In: &script{t, []string{"one", "/stats"}}, Out: out, Err: notes})
		d.Person = person
		err := newREPL(d, newChat(m, words, c), false).run()
		require.Contains(t, notes.String(), "(stopped)")
		if person {
			require.NoError(t, err)
			require.Contains(t, out.String(), "ended by interrupted")
		} else {
			require.ErrorContains(t, err, "interrupted", "a signal ends the conversation of a pipe")
		}
	}
}

// A signal during the last token of an answer is too late to stop the answer, but still ends the conversation of a
// pipe.
func TestREPL_CtrlCOnTheLastTokenIsNotLost(t *testing.T) {
	m, words := generationModel(t, 24)
	for _, beams := range []int{1, 3} {
		c := shortAnswers(1)
		c.Beams = beams
		lines := slices.Repeat([]string{"hi"}, 50)
		out := &pressing{after: 1}
		d := terminal.NewDialog(&terminal.Console{In: &script{t, lines}, Out: out, Err: io.Discard})
		r := newREPL(d, newChat(m, words, c), false)
		stopped := new(terminal.Interrupted)
		require.ErrorAs(t, r.run(), &stopped)
		require.Equal(t, terminal.ExitSIGINT, stopped.Code)
		require.Equal(t, stopMaxTokens, r.chat.lastAnswer.reason)
		require.Len(t, r.chat.turns, 1)

		r.console.Out = &pressing{after: 1}
		require.ErrorAs(t, r.answerOnce("hi"), &stopped)
		r.console.Out, r.dialog.Person = &pressing{after: 1}, true
		require.NoError(t, r.reply("hi"), "the conversation of a person continues")
	}
}

func TestREPL_SIGTERMEndsAPersonsConversationToo(t *testing.T) {
	r, _, _ := untrainedREPL(t, true, false, "one", "/stats")
	out := &pressing{after: 5, other: syscall.SIGTERM}
	r.console.Out = out
	stopped := new(terminal.Interrupted)
	require.ErrorAs(t, r.run(), &stopped)
	require.Equal(t, 143, stopped.Code)
	require.NotContains(t, out.String(), "last answer: ")
}

func TestREPL_ReportsAnAnswerCutAtMaxTokens(t *testing.T) {
	for maxTokens, cut := range map[int]bool{3: true, 4: false} { // the end of text is not counted
		m, words := timetableModel(t, 32, len("<hi>"), saying("yes")...)
		var out, notes bytes.Buffer
		d := terminal.NewDialog(&terminal.Console{In: &script{t, []string{"hi"}}, Out: &out, Err: &notes})
		require.NoError(t, newREPL(d, newChat(m, words, shortAnswers(maxTokens)), false).run())
		require.Equal(t, "yes\n", out.String())
		require.Equal(t, cut, notes.String() == "(cut at max-tokens=3)\n", notes.String())
		require.Equal(t, cut, notes.Len() > 0)
	}
}
