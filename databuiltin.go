package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The data of a run: the user's files, or the repository's own data, which is embedded in the program, so that it
// trains in any folder.

//go:embed data
var repositoryData embed.FS

// The files of the repository's data.
const (
	pretrainingFile = "data/pretraining_data.json"
	chatFile        = "data/chat_training_data.json"
	heldoutFile     = "data/heldout_chat.json"
)

// loadUserOrBuiltIn reads the user's file or folder or, where path is empty, the built-in file.
func loadUserOrBuiltIn(path, builtIn string) (*corpus, error) {
	if path == "" {
		return loadCorpus(repositoryData, builtIn)
	}
	return loadCorpusPath(path)
}

// loadCorpusPath calls loadCorpus with a path of the operating system.
func loadCorpusPath(path string) (*corpus, error) { return loadCorpus(pathFS{}, path) }

// pathFS opens any path as the user wrote it. os.DirFS opens only paths below one folder.
type pathFS struct{}

func (pathFS) Open(path string) (fs.File, error) { return os.Open(path) }

// loadTrainingCorpora reads the texts of pretraining and the conversations of tuning. A phase without epochs gets no
// built-in data when the user has data for the other phase, so that the vocabulary is built from the user's data alone.
func loadTrainingCorpora(cfg *Config) (text, chat *corpus, err error) {
	text, chat = &corpus{}, &corpus{}
	if cfg.PretrainData != "" || cfg.ChatData == "" || cfg.Pretrain.Epochs > 0 {
		if text, err = loadUserOrBuiltIn(cfg.PretrainData, pretrainingFile); err != nil {
			return nil, nil, err
		}
	}
	if cfg.ChatData != "" || cfg.PretrainData == "" || cfg.Finetune.Epochs > 0 {
		if chat, err = loadChat(cfg.ChatData); err != nil {
			return nil, nil, err
		}
	}
	return text, chat, nil
}

// loadChat reads the user's conversations or, where path is empty, the built-in ones.
func loadChat(path string) (*corpus, error) {
	if path == "" {
		return loadCorpus(repositoryData, chatFile)
	}
	c, err := readCorpus(pathFS{}, path, (*corpus).addDialogue)
	if err != nil {
		return nil, err
	}
	if len(c.Streams) > 0 {
		return nil, fmt.Errorf("%s: tuning takes conversations and no .txt file: each is %s", path, aConversation)
	}
	return c, nil
}

// aConversation says how chat data writes a conversation.
const aConversation = `a {"user","assistant"} pair or a string "User: … Assistant: …"`

// loadValidationCorpora reads the user's validation data of pretraining and of tuning; nil: no such flag.
func loadValidationCorpora(cfg *Config) (text, chat *corpus, err error) {
	if cfg.ValData != "" {
		if text, err = loadCorpusPath(cfg.ValData); err != nil {
			return nil, nil, err
		}
	}
	if cfg.ChatValData != "" {
		chat, err = loadChat(cfg.ChatValData)
	}
	return text, chat, err
}

// digest returns the SHA-256, in hexadecimal, of the texts in their order; the names of their files do not count. The
// length of each text is hashed before it, so that different corpora never hash the same bytes.
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
	for _, turns := range c.Dialogues {
		fmt.Fprintf(h, "%d;", len(turns))
		for _, p := range turns {
			add(p.User, p.Assistant)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
