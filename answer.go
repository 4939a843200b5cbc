package main

import (
	"context"
	"time"
)

// One answer to one prompt: tokens are chosen one after another, or by beam search, until the answer ends.

// answer continues a prompt of at least one token, and shows its text as it comes, in whole characters. Cancelling ctx
// ends it after the token at work.
func (g *generator) answer(ctx context.Context, prompt []int, show func(text []byte)) (*answer, error) {
	started := time.Now()
	a := &answer{}
	var err error
	if g.Beams > 1 {
		err = g.search(ctx, a, prompt)
		show([]byte(a.text))
	} else {
		err = g.sample(ctx, a, prompt, show)
	}
	a.seconds = time.Since(started).Seconds()
	return a, err
}

// sample chooses token after token.
func (g *generator) sample(ctx context.Context, a *answer, prompt []int, show func(text []byte)) error {
	var text []byte
	emit := func(b []byte) {
		text = append(text, b...)
		show(b)
	}
	g.begin(prompt)
	for a.reason == "" {
		token, err := g.next()
		switch {
		case err != nil:
			return err
		case g.tokenizer.isSpecial(token.token):
			a.reason = stopEnd
		default:
			g.tokens = append(g.tokens, token)
			piece, stopped := g.stream.add(g.tokenizer.piece(token.token))
			emit(piece)
			switch {
			case stopped:
				a.reason = stopString
			case len(g.tokens) == g.MaxTokens:
				a.reason = stopMaxTokens
			case ctx.Err() != nil:
				a.reason = stopInterrupted
			}
		}
	}
	emit(g.stream.end())
	a.text, a.seen, a.slides = string(text), len(g.window.tokens), g.window.slides
	a.tokens = append([]answerToken(nil), g.tokens...)
	return nil
}
