package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// The repository's own data keeps its promises.

func ownCorpus(t *testing.T, file string) *corpus {
	c, err := loadCorpus(repositoryData, file)
	require.NoError(t, err)
	return c
}

func isChinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// requireDistinctHalves checks that no text is there twice, none has blanks around it, and half are Chinese.
func requireDistinctHalves(t *testing.T, texts []string) {
	seen, chinese := map[string]bool{}, 0
	for _, text := range texts {
		key := strings.ToLower(text)
		require.False(t, seen[key], "twice: %s", text)
		seen[key] = true
		require.Equal(t, strings.TrimSpace(text), text)
		require.NotContains(t, text, "\uFFFD")
		if isChinese(text) {
			chinese++
		}
	}
	require.Equal(t, len(texts), 2*chinese, "half Chinese, half English")
}

func usersOf(pairs []pair) (users []string) {
	for _, p := range pairs {
		users = append(users, p.User)
	}
	return users
}

func TestTheSentencesAreDistinctAndHalfChinese(t *testing.T) {
	c := ownCorpus(t, pretrainingFile)
	require.Empty(t, c.Pairs)
	require.InDelta(t, 250, len(c.Rows), 10)
	requireDistinctHalves(t, c.Rows)
	for _, text := range c.Rows {
		end := "."
		if isChinese(text) {
			end = "。"
		}
		require.True(t, strings.HasSuffix(text, end), text)
	}
}

func TestEveryQuestionHasOneAnswerInItsLanguage(t *testing.T) {
	c := ownCorpus(t, chatFile)
	require.Empty(t, c.Rows)
	require.Len(t, c.Pairs, 200)
	requireDistinctHalves(t, usersOf(c.Pairs))
	for _, p := range c.Pairs {
		require.Equal(t, isChinese(p.User), isChinese(p.Assistant), p.User)
	}
}

func TestHeldOutQuestionsAreNewAndTheirAnswersTrained(t *testing.T) {
	chat, held := ownCorpus(t, chatFile), ownCorpus(t, heldoutFile)
	require.Len(t, held.Pairs, 40)
	requireDistinctHalves(t, usersOf(held.Pairs))
	questions, answers := map[string]bool{}, map[string]bool{}
	for _, p := range chat.Pairs {
		questions[strings.ToLower(p.User)], answers[p.Assistant] = true, true
	}
	for _, p := range held.Pairs {
		require.False(t, questions[strings.ToLower(p.User)], "trained: %s", p.User)
		require.True(t, answers[p.Assistant], "not an answer of the chat data: %s", p.Assistant)
	}
}

func TestTheDataHasARowALineAndEndsWithANewline(t *testing.T) {
	for _, file := range []string{pretrainingFile, chatFile, heldoutFile} {
		data, err := repositoryData.ReadFile(file)
		require.NoError(t, err)
		c := ownCorpus(t, file)
		require.Equal(t, len(c.Rows)+len(c.Pairs)+2, bytes.Count(data, []byte("\n")), file)
		require.True(t, bytes.HasSuffix(data, []byte("]\n")), file)
	}
}
