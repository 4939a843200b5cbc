package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// The conversation after training: save or not, a test prompt, then a question a line.

const (
	defaultSave = "checkpoints/" + finalModel
	testPrompt  = "你好，请介绍一下太阳。"
)

// converse asks whether to save, answers a test prompt, and then every line until the end of input.
func converse(c *console, s *session) error {
	lines := bufio.NewReader(c.in)
	if s.flags.save == "" && s.flags.checkpointDir == "" {
		fmt.Fprintf(c.out, "\nsave the model to a file? (file name, empty for no) ")
		name, err := readLine(lines)
		if err != nil {
			return err
		}
		if name != "" {
			if err := s.saveTo(c, name); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(c.out, "\n%s\n%s\n", testPrompt, answer(s, testPrompt))
	for {
		fmt.Fprint(c.out, "> ")
		question, err := lines.ReadString('\n')
		if question = strings.TrimSpace(question); question != "" {
			fmt.Fprintln(c.out, answer(s, question))
		}
		if err == io.EOF {
			fmt.Fprintln(c.out)
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
	}
}

// readLine reads one line; the end of input is an empty one.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// answer is the model's likeliest answer, or why there is none.
func answer(s *session, question string) string {
	prompt := promptTokens(s.tokenizer, question)
	if len(prompt) >= s.model.Context {
		return fmt.Sprintf("(the question has %d tokens, the context %d)", len(prompt), s.model.Context)
	}
	out := greedy(s.model, prompt, s.model.Context, s.tokenizer.endOfText)
	return strings.ToValidUTF8(s.tokenizer.decode(out), "\uFFFD")
}
