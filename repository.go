package main

import "embed"

// The repository's own data, inside the program, so that it trains from any folder.

//go:embed data
var repositoryData embed.FS

// The files of the repository's data.
const (
	pretrainingFile = "data/pretraining_data.json"
	chatFile        = "data/chat_training_data.json"
	heldoutFile     = "data/heldout_chat.json"
)

// loadData reads a user's file or folder or, where the path is empty, a file of the repository.
func loadData(path, builtIn string) (*corpus, error) {
	if path == "" {
		return loadCorpus(repositoryData, builtIn)
	}
	return loadCorpusPath(path)
}
