package dialogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse_ReadsTheTurnsOfADialogue(t *testing.T) {
	rain := Turn{"What is rain?", "Water that falls."}
	for text, want := range map[string][]Turn{
		"User: What is rain? Assistant: Water that falls. </s>":         {rain},
		"User: What is rain? Assistant: Water that falls.":              {rain},
		"\n User:What is rain?Assistant:Water that falls.</s>\n":        {rain},
		"User：What is rain?\nAssistant：  Water that falls.  </s>  ":     {rain},
		"用户：What is rain?助手：Water that falls.":                          {rain},
		"用户: What is rain? Assistant: Water that falls.</s>":            {rain},
		"用户：你好！助手：你好！有什么我能帮你的吗？":                                        {{"你好！", "你好！有什么我能帮你的吗？"}},
		"用户：雨是什么助手：水":                                                   {{"雨是什么", "水"}},
		"User: a Assistant: b </s> User: c Assistant: d </s>":           {{"a", "b"}, {"c", "d"}},
		"用户：甲助手：乙用户：丙助手：丁用户：戊助手：己":                                      {{"甲", "乙"}, {"丙", "丁"}, {"戊", "己"}},
		"User: a Assistant: b User: c Assistant: d":                     {{"a", "b"}, {"c", "d"}},
		"User: Is a SuperUser: root? Assistant: MyAssistant: yes. </s>": {{"Is a SuperUser: root?", "MyAssistant: yes."}},
		"User: Who is the user: a? Assistant: The assistant: b.":        {{"Who is the user: a?", "The assistant: b."}},
		"User: a </s> Assistant: b </s>":                                {{"a </s>", "b"}},
		"User: What is </s>? Assistant: The end </s> of a text. </s>":   {{"What is </s>?", "The end </s> of a text."}},
		"User: Who: 12:30? Assistant: Assistants (Assistant) at 1:2.":   {{"Who: 12:30?", "Assistants (Assistant) at 1:2."}},
	} {
		require.True(t, Begins(text), text)
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParse_ErrorsNameTheTurn(t *testing.T) {
	const beginning = `does not begin with a user's turn, "User:" or "用户："`
	for text, want := range map[string]string{
		"":                                  beginning,
		"Water falls.":                      beginning,
		"Assistant: b User: c":              beginning,
		"Well, User: a Assistant: b":        beginning,
		"user: a assistant: b":              beginning,
		"User : a Assistant : b":            beginning,
		"User: a":                           `turn 1: no "Assistant:" or "助手：" after the question`,
		"User: a </s>":                      `turn 1: no "Assistant:" or "助手：" after the question`,
		"User: a User: b Assistant: c":      `turn 1: no "Assistant:" or "助手：" after the question`,
		"用户：甲助手：乙用户：丙":                      `turn 2: no "Assistant:" or "助手：" after the question`,
		"User: a Assistant: b Assistant: c": "turn 1: two answers to one question",
		"User: a Assistant: b 用户：c 助手：d 助手：e": "turn 2: two answers to one question",
		"User: Assistant: b":                        "turn 1: the question is empty",
		"User: a Assistant: </s>":                   "turn 1: the answer is empty",
		"User: a Assistant: b User: c Assistant:\n": "turn 2: the answer is empty",
	} {
		_, err := Parse(text)
		require.EqualError(t, err, want, text)
	}
}

// styles are ways to write turns. A Chinese marker needs no space before it.
var styles = []struct{ user, assistant, end string }{
	{"User: ", " Assistant: ", " </s> "},
	{"\nUser：", "\nAssistant：", ""},
	{"用户：", "助手：", ""},
	{"用户: ", " 助手: ", "</s>"},
}

// Any text is a dialogue or an error. Turns that are written as a dialogue, in any style, are read as they were.
func FuzzParse(f *testing.F) {
	f.Add("What is rain?", "Water that falls.")
	f.Add("雨是什么", "水 </s> 和空气")
	f.Add("User: a Assistant: b", "a User: b")
	f.Add("用户：甲助手：乙</s>用户：丙助手：丁", "助手")
	f.Fuzz(func(t *testing.T, question, answer string) {
		given, err := Parse(question)
		require.Equal(t, err == nil, len(given) > 0)
		question, answer = strings.TrimSpace(question), strings.TrimSpace(answer)
		if one := question + " " + answer; question != "" && answer != "" && !marker.MatchString(one) &&
			!strings.HasSuffix(answer, endOfAnswer) {
			given = []Turn{{question, answer}, {answer, question + "."}}
		}
		for _, style := range styles {
			var text strings.Builder
			for _, turn := range given {
				end := style.end // an answer that itself ends in "</s>" needs another one
				if strings.HasSuffix(turn.Assistant, endOfAnswer) {
					end = endOfAnswer
				}
				text.WriteString(style.user + turn.User + style.assistant + turn.Assistant + end)
			}
			turns, err := Parse(text.String())
			require.Equal(t, len(given) > 0, err == nil, err)
			require.Equal(t, given, turns, text.String())
		}
	})
}
