package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// noted asks a chat questions and returns its notes.
func noted(t *testing.T, c *chat, questions ...string) (notes []string) {
	for _, q := range questions {
		_, err := c.ask(t.Context(), q, func([]byte) {}, func(text string) { notes = append(notes, text) })
		require.NoError(t, err)
	}
	return notes
}

func shortAnswers(maxTokens int) generationConfig {
	c := defaultGeneration()
	c.MaxTokens = maxTokens
	return c
}

// The prompt has exactly the tokens that tuning uses for the same turns.
func TestChat_FollowsTheTemplateOfTraining(t *testing.T) {
	m, words := generationModel(t, 200)
	c := newChat(m, words, shortAnswers(5))
	noted(t, c, "one", "the cat", "鲸鱼")
	var pairs []pair
	for _, turn := range c.turns {
		require.True(t, strings.ToValidUTF8(turn.Assistant, "") == turn.Assistant)
		pairs = append(pairs, pair{turn.User, "?"})
	}
	prompt, dropped := c.prompt(promptTokens(words, "two"))
	require.Zero(t, dropped)
	trained := chatExample(words, append(pairs, pair{"two", "?"}), false)
	mark := slices.Index(words.pieces, "?")
	var got, want []int // without the tokens of the answers
	answer := false
	for _, token := range prompt {
		if answer = answer && token != words.endOfText; !answer {
			got = append(got, token)
		}
		answer = answer || token == words.assistant
	}
	for _, token := range trained.tokens {
		if token != mark {
			want = append(want, token)
		}
	}
	require.Equal(t, want[:len(want)-1], got)
}

func TestChat_DropsTheOldestWholeTurnsFirst(t *testing.T) {
	m, words := generationModel(t, 48)
	c := newChat(m, words, shortAnswers(6))
	notes := noted(t, c, "one", "two", "three", "four", "five", "six")
	require.NotEmpty(t, notes)
	require.Contains(t, notes[0], "the context of 48 tokens is full: the model no longer sees the oldest ")
	prompt, _ := c.prompt(promptTokens(words, "cat"))
	require.LessOrEqual(t, len(prompt), 48-6, "room for the answer")
	require.Equal(t, words.user, prompt[0], "the prompt begins with a whole turn")
	require.Positive(t, c.firstShown)
	var kept []int
	for _, turn := range c.turns[c.firstShown:] {
		kept = append(kept, turn.tokens...)
	}
	require.Equal(t, append(kept, promptTokens(words, "cat")...), prompt)
	require.Greater(t, len(c.turns[c.firstShown-1].tokens)+len(prompt), 48-6, "a turn that fits is not dropped")
	require.Len(t, c.turns, 6, "the whole conversation can be saved")
}

func TestChat_NotesQuestionsAndAnswersLongerThanTheContext(t *testing.T) {
	m, words := generationModel(t, 16)
	notes := noted(t, newChat(m, words, shortAnswers(3)), strings.Repeat("cat ", 40))
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "the model sees only its end")
	for token, special := range words.special {
		if special {
			clear(m.embed.wte.W[token*m.Dim : (token+1)*m.Dim])
		}
	}
	fits := m.Context - len(promptTokens(words, "one")) + 1 // the model does not run the last token
	require.Empty(t, noted(t, newChat(m, words, shortAnswers(fits)), "one"))
	require.Len(t, noted(t, newChat(m, words, shortAnswers(fits+1)), "one"), 1)
	c := newChat(m, words, shortAnswers(60))
	notes = noted(t, c, "one")
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "does not fit the context")
	require.Len(t, c.lastAnswer.tokens, 60)
}

func TestChat_AModelWithoutSpeakersContinuesText(t *testing.T) {
	m, words := generationModel(t, 24)
	user := words.user
	for _, lacks := range []*int{&words.user, &words.endOfText} {
		words.user = user
		*lacks = -1
		c := newChat(m, words, shortAnswers(4))
		noted(t, c, "one", "one")
		require.Equal(t, c.turns[0].Assistant, c.turns[1].Assistant)
	}
}

// learnedPairs are the questions and answers that learnedModel knows.
var learnedPairs = []pair{
	{"Who swims?", "The whale."}, {"鲸鱼住在哪里？", "住在海里。"},
	{"What purrs?", "A cat purrs."}, {"猫吃什么？", "猫吃鱼。"},
}

// learnedModel trains a small model until it knows learnedPairs, and returns its path.
func learnedModel(t *testing.T) string {
	data, err := json.Marshal(learnedPairs)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	trained(t, "--dim=32", "--hidden=64", "--context=64", "--finetune-epochs=150", "--finetune-lr=3e-3",
		"--finetune-accum=1", "--finetune-patience=0", "--chat-data="+textFile(t, "learn.json", string(data)), "--save="+path)
	return path
}

func TestChat_ATrainedModelAnswersWordForWord(t *testing.T) {
	model := "--model=" + learnedModel(t)
	var questions, answers strings.Builder
	for _, p := range learnedPairs {
		fmt.Fprintln(&questions, p.User)
		fmt.Fprintln(&answers, p.Assistant)
	}
	code, out, errText := gogptReading(t, strings.NewReader(questions.String()), "chat", model)
	require.Equal(t, exitOK, code)
	require.Empty(t, errText)
	require.Equal(t, answers.String(), out)

	code, out, errText = gogpt(t, "chat", model, "--prompt=What purrs?", "--beam=3")
	require.Equal(t, exitOK, code, errText)
	require.Equal(t, "A cat purrs.\n", out)

	code, out, errText = gogptReading(t, strings.NewReader(questions.String()),
		"chat", model, "--json", "--stop=cat", "--max-tokens=9")
	require.Equal(t, exitOK, code, errText)
	require.Equal(t, 4, strings.Count(out, "\n"))
	require.Contains(t, out, `{"text":"A ",`)
	require.Contains(t, out, `"stop_reason":"stop_string"`)
}

func TestChat_OnePromptAsJSON(t *testing.T) {
	m, words := generationModel(t, 24)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, saveModel(path, m, words))
	code, out, errText := gogpt(t, "chat", "--model="+path, "--prompt=the cat", "--json", "--max-tokens=5",
		"--temperature=0.8", "--seed=4")
	require.Equal(t, exitOK, code, errText)
	fields := []string{"text", "tokens", "logprobs", "stop_reason", "tokens_per_sec"}
	require.ElementsMatch(t, fields, keysOf(t, []byte(out)))
	var r answerResult
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Tokens, 5)
	require.Equal(t, stopMaxTokens, r.StopReason)
	require.Equal(t, strings.ToValidUTF8(words.decode(r.Tokens), "\uFFFD"), r.Text)
	seen := promptTokens(words, "the cat")
	for i, token := range r.Tokens { // probabilities of the model, before temperature
		require.InDelta(t, logProbs(m, seen)[token], float64(r.LogProbs[i]), 1e-4)
		seen = append(seen, token)
	}
	require.False(t, math.IsNaN(float64(r.TokensPerSec)))
}

func TestChat_WrongFlagsAreUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "--model=FILE is needed",
		"--model=m --temperature=-1":         "--temperature=-1: takes",
		"--model=m --temperature=NaN":        "--temperature=NaN: takes",
		"--model=m --top-k=-1":               "--top-k=-1: takes",
		"--model=m --top-p=0":                "--top-p=0: takes",
		"--model=m --top-p=1.1":              "--top-p=1.1: takes",
		"--model=m --min-p=2":                "--min-p=2: takes",
		"--model=m --repetition-penalty=0":   "--repetition-penalty=0: takes",
		"--model=m --frequency-penalty=Inf":  "--frequency-penalty=+Inf: takes",
		"--model=m --frequency-penalty=10.1": "--frequency-penalty=10.1: takes a number from -10 to 10",
		"--model=m --frequency-penalty=-11":  "--frequency-penalty=-11: takes a number from -10 to 10",
		"--model=m --max-tokens=0":           "--max-tokens=0: takes",
		"--model=m --beam=0":                 "--beam=0: takes",
		"--model=m --beam=2 --temperature=1": "--beam=2: takes",
		"--model=m --beam=2 --top-k=5":       "--beam=2: takes no temperature, top-k, top-p, min-p or penalty",
		"--model=m --beam=2 --top-p=0.5":     "--beam=2: takes no temperature, top-k, top-p, min-p or penalty",
		"--model=m --beam=2 --min-p=0.5":     "--beam=2: takes no temperature, top-k, top-p, min-p or penalty",
		"--model=m --threads=0":              "--threads=0: takes",
		"--model=m --prompt=":                "--prompt=: takes",
		"--model=m --tempurature=1":          "did you mean --temperature?",
	} {
		code, out, errText := gogpt(t, append([]string{"chat"}, strings.Fields(line)...)...)
		require.Equal(t, exitUsage, code, line)
		require.Empty(t, out)
		require.Contains(t, errText, want)
		require.Equal(t, 1, strings.Count(errText, "\n"), errText)
	}
	code, _, errText := gogpt(t, "chat", "--model=/no/such/file")
	require.Equal(t, exitError, code)
	require.Contains(t, errText, "/no/such/file")
}

// A quarter of the context, or max-tokens if that is less, stays free for the answer. A turn of one letter and an empty
// answer has 4 tokens, the new question 3.
func TestChat_KeepsAQuarterOfTheContextForTheAnswer(t *testing.T) {
	m, words := timetableModel(t, 48, 1, saying("")...)
	for maxTokens, room := range map[int]int{256: 48 - 12, 12: 48 - 12, 6: 48 - 6} {
		c := newChat(m, words, shortAnswers(maxTokens))
		noted(t, c, strings.Split("abcdefghijklmn", "")...)
		prompt, _ := c.prompt(promptTokens(words, "?"))
		require.Len(t, prompt, (room-3)/4*4+3, "max-tokens %d", maxTokens)
	}
}

// Every flag reaches the generator: the answer equals that of a generator with the same setting, and differs from those
// of all other flags.
func TestChat_EachSettingChangesTheAnswer(t *testing.T) {
	m, words := generationModel(t, 64)
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, saveModel(path, m, words))
	seen := map[string]string{}
	for flags, set := range map[string]func(c *generationConfig){
		"":                            func(*generationConfig) {},
		"--temperature=3":             func(c *generationConfig) { c.Temperature = 3 },
		"--temperature=3 --seed=7":    func(c *generationConfig) { c.Temperature, c.Seed = 3, 7 },
		"--temperature=3 --top-k=3":   func(c *generationConfig) { c.Temperature, c.TopK = 3, 3 },
		"--temperature=3 --top-p=0.4": func(c *generationConfig) { c.Temperature, c.TopP = 3, 0.4 },
		"--temperature=3 --min-p=0.3": func(c *generationConfig) { c.Temperature, c.MinP = 3, 0.3 },
		"--repetition-penalty=1.5":    func(c *generationConfig) { c.Repetition = 1.5 },
		"--frequency-penalty=0.5":     func(c *generationConfig) { c.Frequency = 0.5 },
		"--beam=4":                    func(c *generationConfig) { c.Beams = 4 },
		"--max-tokens=17":             func(c *generationConfig) { c.MaxTokens = 17 },
	} {
		args := []string{"chat", "--model=" + path, "--prompt=the cat", "--json", "--max-tokens=20"}
		code, out, errText := gogpt(t, append(args, strings.Fields(flags)...)...)
		require.Equal(t, exitOK, code, errText)
		var r answerResult
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		c := shortAnswers(20)
		set(&c)
		want, err := newGenerator(m, words, c).answer(t.Context(), promptTokens(words, "the cat"), func([]byte) {})
		require.NoError(t, err)
		require.Equal(t, idsOf(want.tokens), r.Tokens, flags)
		other, same := seen[fmt.Sprint(r.Tokens)]
		require.False(t, same, "%q gives the answer of %q", flags, other)
		seen[fmt.Sprint(r.Tokens)] = flags
	}
}

func TestChat_StatsDescribeTheLastAnswer(t *testing.T) {
	for _, lines := range [][]string{{"one", "/stats"}, {"a cat sat on the mat", "/clear", "/beam 3", "one", "/stats"}} {
		r, out, _, err := conversation(t, true, lines...)
		require.NoError(t, err)
		require.Equal(t, stopMaxTokens, r.chat.lastAnswer.reason)
		require.Contains(t, out.String(), fmt.Sprintf("ended by max_tokens, %d of 24 tokens of the context in use",
			len(promptTokens(r.chat.generator.tokenizer, "one"))+len(r.chat.lastAnswer.tokens)-1))
	}
}

func TestChat_StatsCountTheTurnsThatTheModelSees(t *testing.T) {
	_, out, _, err := conversation(t, true, "a", "/clear", "b", "c", "/stats")
	require.NoError(t, err)
	require.Contains(t, out.String(), "conversation: 3 turns, of which the model sees 2\n")
}

// shownPercent matches a probability as /why prints it.
var shownPercent = regexp.MustCompile(`([0-9]+\.[0-9]{2}) %`)

// whyLines runs /why and returns the percentages that it prints for each token of the last answer: that of the token,
// then those of the alternatives.
func whyLines(t *testing.T, r *repl) (lines [][]float64) {
	var out bytes.Buffer
	r.console.Out = &out
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
	require.Contains(t, out.String(), "  ended by "+r.chat.lastAnswer.reason+"\n")
	return lines
}

// The printed numbers are the model's probabilities: of the token, then of others in falling order; they add up to at
// most 100 %.
func TestChat_WhyShowsProbabilitiesThatFallAndSumToAtMostOne(t *testing.T) {
	for _, command := range []string{"/beam 1", "/beam 3", "/set temperature=3"} {
		r, _, _ := untrainedREPL(t, true, false, command, "one")
		require.NoError(t, r.run())
		lines := whyLines(t, r)
		require.Len(t, lines, len(r.chat.lastAnswer.tokens))
		seen := promptTokens(r.chat.generator.tokenizer, "one")
		for i, token := range r.chat.lastAnswer.tokens {
			chances := logProbs(r.chat.generator.model, seen)
			require.InDelta(t, 100*math.Exp(chances[token.token]), lines[i][0], 0.006)
			others := slices.Delete(slices.Clone(chances), token.token, token.token+1)
			slices.Sort(others)
			sum := lines[i][0]
			for rank, shown := range lines[i][1:] {
				require.InDelta(t, 100*math.Exp(others[len(others)-1-rank]), shown, 0.006)
				sum += shown
			}
			require.LessOrEqual(t, sum, 100+0.005*float64(len(lines[i])))
			require.GreaterOrEqual(t, len(lines[i]), topAlternatives)
			seen = append(seen, token.token)
		}
	}
}

func TestChat_WhyShowsTheHypothesesOfBeamSearch(t *testing.T) {
	r, out, _, err := conversation(t, true, "/beam 3", "one", "/why")
	require.NoError(t, err)
	for _, h := range r.chat.lastAnswer.beams {
		require.Contains(t, out.String(), fmt.Sprintf("  beam: score %.3f, log-probability %.3f  ", h.score, h.logProb))
	}
	require.Len(t, r.chat.lastAnswer.beams, 3)
}
