// Package dialogue reads conversations that are written as one text, with a marker before every turn, as in the chat
// files of RustGPT:
//
//	User: What is rain? Assistant: Water that falls. </s> User: … Assistant: …
//	用户：什么是雨？助手：落下的水。
package dialogue

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Turn is a question and its answer, without white space around them. Neither is empty.
type Turn struct{ User, Assistant string }

// marker is the name of a speaker with a colon of either width. An English name begins a word; a Chinese name may
// follow any character. The group matches the names of the user.
var marker = regexp.MustCompile(`(?:(\bUser|用户)|\bAssistant|助手)[:：]`)

const endOfAnswer = "</s>" // may end an answer; it is not part of it

// Begins reports whether a text begins with the marker of the user, as a dialogue must.
func Begins(text string) bool {
	first := marker.FindStringSubmatchIndex(strings.TrimSpace(text))
	return first != nil && first[2] == 0 // where the group begins
}

// Parse reads the turns of a dialogue, at least one. An error in a turn names it, counted from 1.
func Parse(text string) ([]Turn, error) {
	if !Begins(text) {
		return nil, errors.New(`does not begin with a user's turn, "User:" or "用户："`)
	}
	var turns []Turn
	said := split(text)
	for i := 0; i < len(said); i += 2 {
		turn := i/2 + 1
		switch {
		case !said[i].byUser:
			return nil, fmt.Errorf("turn %d: two answers to one question", turn-1)
		case i+1 == len(said) || said[i+1].byUser:
			return nil, fmt.Errorf(`turn %d: no "Assistant:" or "助手：" after the question`, turn)
		case said[i].text == "":
			return nil, fmt.Errorf("turn %d: the question is empty", turn)
		case said[i+1].text == "":
			return nil, fmt.Errorf("turn %d: the answer is empty", turn)
		}
		turns = append(turns, Turn{said[i].text, said[i+1].text})
	}
	return turns, nil
}

// utterance is the text between two markers.
type utterance struct {
	byUser bool
	text   string
}

// split cuts a text at its markers.
func split(text string) (said []utterance) {
	found := marker.FindAllStringSubmatchIndex(text, -1)
	for i, at := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		u := utterance{byUser: at[2] >= 0, text: strings.TrimSpace(text[at[1]:end])}
		if !u.byUser {
			u.text = strings.TrimSpace(strings.TrimSuffix(u.text, endOfAnswer))
		}
		said = append(said, u)
	}
	return said
}
