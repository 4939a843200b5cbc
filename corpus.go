package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// pair is one exchange of a conversation.
type pair struct {
	User      string `json:"user"`
	Assistant string `json:"assistant"`
}

// corpus is what a file or folder holds, in reading order. Every text is valid UTF-8 and none is blank.
type corpus struct {
	Rows    []string // texts, one sample each
	Pairs   []pair
	Streams []string // whole .txt files
}

// loadCorpus reads a file, or the .json, .jsonl and .txt files of a folder in the order of their names, without its
// subfolders. Names are those of fsys, "." the folder at its top.
//
//	.json   an array of texts and of {"user": …, "assistant": …} objects
//	.jsonl  one such value a line; blank lines are skipped
//	.txt    one running text
//
// Nothing is repaired: the first fault is returned with its file and its row, line or byte. Rows and lines count from 1,
// bytes from 0. To hold no text at all is a fault too.
func loadCorpus(fsys fs.FS, name string) (*corpus, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fileError(name, err)
	}
	files := []string{name}
	if info.IsDir() {
		if files, err = corpusFiles(fsys, name); err != nil {
			return nil, err
		}
	}
	c := &corpus{}
	for _, file := range files {
		if err := c.addFile(fsys, file); err != nil {
			return nil, fileError(file, err)
		}
	}
	if len(c.Rows)+len(c.Pairs)+len(c.Streams) == 0 {
		return nil, fmt.Errorf("%s: holds no text", name)
	}
	return c, nil
}

// loadCorpusPath is loadCorpus for a path of the operating system.
func loadCorpusPath(path string) (*corpus, error) { return loadCorpus(pathFS{}, path) }

// pathFS opens any path, as the user wrote it; os.DirFS takes only paths below one folder.
type pathFS struct{}

func (pathFS) Open(path string) (fs.File, error) { return os.Open(path) }

// corpusFormats says by extension how a file's content joins a corpus.
var corpusFormats = map[string]func(c *corpus, data []byte) error{
	".json":  (*corpus).addJSON,
	".jsonl": (*corpus).addJSONLines,
	".txt":   (*corpus).addStream,
}

// corpusFormat is the format that a file's extension names, or nil.
func corpusFormat(file string) func(*corpus, []byte) error {
	return corpusFormats[strings.ToLower(path.Ext(file))]
}

// corpusFiles names the files of a folder that hold data, at least one.
func corpusFiles(fsys fs.FS, folder string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, fileError(folder, err)
	}
	prefix := strings.TrimSuffix(folder, "/") + "/"
	if folder == "." {
		prefix = ""
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && corpusFormat(e.Name()) != nil {
			files = append(files, prefix+e.Name())
		}
	}
	if files == nil {
		return nil, fmt.Errorf("%s: a folder without .json, .jsonl or .txt files", folder)
	}
	return files, nil
}

// addFile adds what one file holds. A byte order mark at its start is skipped.
func (c *corpus) addFile(fsys fs.FS, file string) error {
	add := corpusFormat(file)
	if add == nil {
		return errors.New("takes a .json, .jsonl or .txt file, or a folder of them")
	}
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return err
	}
	if at := invalidUTF8(data); at >= 0 {
		return fmt.Errorf("line %d: invalid UTF-8 at byte %d", lineAt(data, at), at)
	}
	return add(c, bytes.TrimPrefix(data, []byte("\uFEFF")))
}

// addStream adds a running text, unless it is blank.
func (c *corpus) addStream(data []byte) error {
	if len(bytes.TrimSpace(data)) > 0 {
		c.Streams = append(c.Streams, string(data))
	}
	return nil
}

// addJSON adds the rows of a JSON array.
func (c *corpus) addJSON(data []byte) error {
	var rows []json.RawMessage
	err := json.Unmarshal(data, &rows)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %w", lineAt(data, max(int(syntax.Offset)-1, 0)), err)
	}
	if err != nil || rows == nil {
		return errors.New("not a JSON array")
	}
	for i, row := range rows {
		if err := c.addRow(row); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return nil
}

// addJSONLines adds the rows of JSON lines.
func (c *corpus) addJSONLines(data []byte) error {
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
			err = c.addRow(value)
		}
		if err != nil {
			return fmt.Errorf("row %d (line %d): %w", row, line, err)
		}
	}
	return nil
}

// addRow adds one text or one pair.
func (c *corpus) addRow(raw json.RawMessage) error {
	if unpairedSurrogate(raw) {
		return errUnpairedSurrogate
	}
	switch raw[0] {
	case '"':
		text, err := nonBlankString(raw)
		if err != nil {
			return err
		}
		c.Rows = append(c.Rows, text)
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

// parsePair reads an object that has exactly the keys "user" and "assistant".
func parsePair(raw json.RawMessage) (p pair, err error) {
	members, err := jsonObject(raw)
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

// parsePairText reads a text that is one such object and nothing else.
func parsePairText(text string) (pair, error) {
	if at := invalidUTF8([]byte(text)); at >= 0 {
		return pair{}, fmt.Errorf("invalid UTF-8 at byte %d", at)
	}
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return pair{}, err
	}
	if unpairedSurrogate(raw) {
		return pair{}, errUnpairedSurrogate
	}
	return parsePair(raw)
}

// nonBlankString reads a string that holds more than white space.
func nonBlankString(raw json.RawMessage) (string, error) {
	text, err := jsonString(raw)
	if err == nil && strings.TrimSpace(text) == "" {
		err = errors.New("empty text")
	}
	return text, err
}

// digest is the SHA-256, in hexadecimal, of the texts in their order, wherever they were read from. Each text follows its
// length, so that different corpora never give the hash the same bytes.
func (c *corpus) digest() string {
	h := sha256.New()
	add := func(texts ...string) {
		for _, text := range texts {
			fmt.Fprintf(h, "%d:", len(text))
			io.WriteString(h, text)
		}
	}
	fmt.Fprintf(h, "%d,%d,%d;", len(c.Rows), len(c.Pairs), len(c.Streams))
	add(c.Rows...)
	for _, p := range c.Pairs {
		add(p.User, p.Assistant)
	}
	add(c.Streams...)
	return hex.EncodeToString(h.Sum(nil))
}
