package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"gogpt/internal/atomicfile"
	"gogpt/internal/dialogue"
	"gogpt/internal/strictjson"
)

// pair is a question and its answer, one exchange of a conversation.
type pair struct {
	User      string `json:"user"`
	Assistant string `json:"assistant"`
}

// corpus is the content of a file or a folder, in the order of reading. Every text is valid UTF-8 and not blank.
type corpus struct {
	Rows      []string // texts, one sample each
	Pairs     []pair   // conversations of one turn
	Dialogues [][]pair // conversations of several turns
	Streams   []string // running texts, one per .txt file

	onRow func(row int) // unless it is nil, called after a row of a .json or .jsonl file was added
}

// texts returns the number of texts and conversations.
func (c *corpus) texts() int { return len(c.Rows) + len(c.Pairs) + len(c.Dialogues) + len(c.Streams) }

// conversations returns the turns of every conversation, those of one turn first.
func (c *corpus) conversations() (all [][]pair) {
	for i := range c.Pairs {
		all = append(all, c.Pairs[i:i+1])
	}
	return append(all, c.Dialogues...)
}

// readCorpus reads a file, or the .json, .jsonl and .txt files of a folder in the order of their names, without its
// subfolders. Names are those of fsys; "." is its top folder.
//
//	.json   an array of strings and of {"user": …, "assistant": …} objects
//	.jsonl  one such value per line; blank lines are skipped
//	.txt    one running text
//
// It repairs nothing: the first error names the file and the row, line or byte. Rows and lines count from 1, bytes from
// 0. A corpus without any text is an error too. addString adds a string of a .json or .jsonl file.
func readCorpus(fsys fs.FS, name string, addString stringAdder) (*corpus, error) {
	files, err := corpusFiles(fsys, name)
	if err != nil {
		return nil, err
	}
	c := &corpus{}
	for _, file := range files {
		if err := c.addFile(fsys, file, addString); err != nil {
			return nil, atomicfile.PathError(file, err)
		}
	}
	if c.texts() == 0 {
		return nil, fmt.Errorf("%s: contains no text", name)
	}
	return c, nil
}

// loadCorpus reads a corpus whose strings are texts.
func loadCorpus(fsys fs.FS, name string) (*corpus, error) {
	return readCorpus(fsys, name, (*corpus).addText)
}

// corpusFormats maps a file's extension to the method that adds its content to a corpus.
var corpusFormats = map[string]func(c *corpus, data []byte, addString stringAdder) error{
	".json":  (*corpus).addJSON,
	".jsonl": (*corpus).addJSONLines,
	".txt":   (*corpus).addStream,
}

// formatOf returns the method for a file's extension, nil for any other file.
func formatOf(file string) func(*corpus, []byte, stringAdder) error {
	return corpusFormats[strings.ToLower(path.Ext(file))]
}

// corpusFiles returns the files to read for a name: the file itself, or the data files of a folder, at least one.
func corpusFiles(fsys fs.FS, name string) ([]string, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, atomicfile.PathError(name, err)
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	entries, err := fs.ReadDir(fsys, name)
	if err != nil {
		return nil, atomicfile.PathError(name, err)
	}
	prefix := strings.TrimSuffix(name, "/") + "/"
	if name == "." {
		prefix = ""
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && formatOf(e.Name()) != nil {
			files = append(files, prefix+e.Name())
		}
	}
	if files == nil {
		return nil, fmt.Errorf("%s: the folder contains no .json, .jsonl or .txt file", name)
	}
	return files, nil
}

// addFile adds the content of one file, without the byte order mark that may begin it.
func (c *corpus) addFile(fsys fs.FS, file string, addString stringAdder) error {
	add := formatOf(file)
	if add == nil {
		return errors.New("not a .json, .jsonl or .txt file, or a folder of them")
	}
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return err
	}
	if offset := strictjson.InvalidUTF8(data); offset >= 0 {
		return fmt.Errorf("line %d: invalid UTF-8 at byte %d", strictjson.LineAt(data, offset), offset)
	}
	return add(c, bytes.TrimPrefix(data, []byte("\uFEFF")), addString)
}

// addStream adds a running text, unless it is blank.
func (c *corpus) addStream(data []byte, _ stringAdder) error {
	if len(bytes.TrimSpace(data)) > 0 {
		c.Streams = append(c.Streams, string(data))
	}
	return nil
}

// addJSON adds the rows of a JSON array.
func (c *corpus) addJSON(data []byte, addString stringAdder) error {
	var rows []json.RawMessage
	err := json.Unmarshal(data, &rows)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %w", strictjson.LineAt(data, max(int(syntax.Offset)-1, 0)), err)
	}
	if err != nil || rows == nil {
		return errors.New(`not a JSON array of strings and {"user", "assistant"} objects`)
	}
	for i, row := range rows {
		if err := c.addRow(row, addString); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		c.added(i + 1)
	}
	return nil
}

// addJSONLines adds the rows of a file with one JSON value per line.
func (c *corpus) addJSONLines(data []byte, addString stringAdder) error {
	line, row := 0, 0
	for text := range bytes.Lines(data) {
		line++
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		row++
		var value json.RawMessage
		err := json.Unmarshal(text, &value)
		if err == nil {
			err = c.addRow(value, addString)
		}
		if err != nil {
			return fmt.Errorf("row %d (line %d): %w", row, line, err)
		}
		c.added(row)
	}
	return nil
}

// added calls onRow.
func (c *corpus) added(row int) {
	if c.onRow != nil {
		c.onRow(row)
	}
}

// addRow adds one string or one pair.
func (c *corpus) addRow(raw json.RawMessage, addString stringAdder) error {
	if strictjson.UnpairedSurrogate(raw) {
		return strictjson.ErrUnpairedSurrogate
	}
	switch raw[0] {
	case '"':
		text, err := nonBlankString(raw)
		if err != nil {
			return err
		}
		return addString(c, text)
	case '{':
		p, err := parsePair(raw)
		if err != nil {
			return err
		}
		c.Pairs = append(c.Pairs, p)
	default:
		return errors.New(`neither a string nor a {"user", "assistant"} object`)
	}
	return nil
}

// stringAdder is a method that adds a string to a corpus: addText, addDialogue or addTextOrDialogue.
type stringAdder func(c *corpus, text string) error

// addText adds a string as a text.
func (c *corpus) addText(text string) error {
	c.Rows = append(c.Rows, text)
	return nil
}

// addDialogue adds a string as a conversation.
func (c *corpus) addDialogue(text string) error {
	turns, err := parseDialogue(text)
	if len(turns) == 1 {
		c.Pairs = append(c.Pairs, turns...)
	} else if err == nil {
		c.Dialogues = append(c.Dialogues, turns)
	}
	return err
}

// addTextOrDialogue adds a string that begins with a user's turn as a conversation, any other string as a text.
func (c *corpus) addTextOrDialogue(text string) error {
	if dialogue.Begins(text) {
		return c.addDialogue(text)
	}
	return c.addText(text)
}

// parseDialogue reads the turns of a text such as "User: … Assistant: …".
func parseDialogue(text string) (turns []pair, err error) {
	parsed, err := dialogue.Parse(text)
	for _, turn := range parsed {
		turns = append(turns, pair(turn))
	}
	return turns, err
}

// parsePair reads an object with exactly the keys "user" and "assistant".
func parsePair(raw json.RawMessage) (p pair, err error) {
	members, err := strictjson.Object(raw)
	if err != nil {
		return pair{}, err
	}
	for _, side := range []struct {
		key  string
		text *string
	}{{"user", &p.User}, {"assistant", &p.Assistant}} {
		if *side.text, err = nonBlankString(members[side.key]); err != nil {
			return pair{}, fmt.Errorf("%q: %w", side.key, err)
		}
		delete(members, side.key)
	}
	if len(members) > 0 {
		return pair{}, fmt.Errorf("unknown key %q", slices.Sorted(maps.Keys(members))[0])
	}
	return p, nil
}

// parseChatText reads the turns of a text that is one object with exactly the keys "user" and "assistant", or a
// dialogue.
func parseChatText(text string) ([]pair, error) {
	if offset := strictjson.InvalidUTF8([]byte(text)); offset >= 0 {
		return nil, fmt.Errorf("invalid UTF-8 at byte %d", offset)
	}
	if dialogue.Begins(text) {
		return parseDialogue(text)
	}
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	if strictjson.UnpairedSurrogate(raw) {
		return nil, strictjson.ErrUnpairedSurrogate
	}
	p, err := parsePair(raw)
	return []pair{p}, err
}

// nonBlankString reads a string that is not only white space.
func nonBlankString(raw json.RawMessage) (string, error) {
	text, err := strictjson.String(raw)
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("empty text")
	}
	return text, err
}
