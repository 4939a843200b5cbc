package main

import "fmt"

// What a run trains on: the data of its phases, their tokenizer, and the model.

// prepare loads and splits the data, sets the tokenizer and the model, and makes the datasets. It returns the digests
// of everything that the run starts from.
func (s *session) prepare() (digests map[string]string, err error) {
	cfg := s.cfg
	text, chat, err := loadTrainingCorpora(cfg)
	if err != nil {
		return nil, err
	}
	if digests, err = inputDigests(cfg, text, chat); err != nil {
		return nil, err
	}
	text, heldText, err := splitCorpus(text, cfg.ValFraction, cfg.Seed)
	if err != nil {
		return nil, err
	}
	chat, heldChat, err := splitCorpus(chat, cfg.ValFraction, cfg.Seed)
	if err != nil {
		return nil, err
	}
	if err := s.initModel(text, chat); err != nil {
		return nil, err
	}
	if err := s.addPhase("pretrain", cfg.Pretrain, pretrainOrder, text, heldText); err != nil {
		return nil, err
	}
	if err := s.addPhase("finetune", cfg.Finetune, finetuneOrder, chat, heldChat); err != nil {
		return nil, err
	}
	return digests, s.loadHeldout()
}

// addPhase makes the datasets of a phase that has epochs.
func (s *session) addPhase(name string, plan PhaseConfig, stream uint64, train, held *corpus) error {
	if plan.Epochs == 0 {
		return nil
	}
	joined := name == "finetune"
	all := !joined || s.cfg.TrainOnAll
	d := newDataset(s.tokenizer, train, s.cfg.Model.Context, joined, all)
	d.seed, d.stream = s.cfg.Seed, stream
	if d.count(0) == 0 {
		return fmt.Errorf("%s: the data holds no sample of two tokens or more", name)
	}
	validation := newDataset(s.tokenizer, held, s.cfg.Model.Context, false, all).inOrder()
	if s.cfg.ValFraction > 0 && len(validation) == 0 {
		return fmt.Errorf("--val-fraction=%g: %s data: no held-out sample of two tokens or more", s.cfg.ValFraction, name)
	}
	s.phases = append(s.phases, &phase{
		name: name, config: plan, train: d, held: validation, first: len(s.phases) == 0, stream: stream})
	if s.prompts != nil {
		s.prompts[name] = newSamplePrompt(s.tokenizer, d)
	}
	return nil
}

// loadHeldout reads the held-out questions of the repository's data, which no run trains on.
func (s *session) loadHeldout() (err error) {
	if s.cfg.PretrainData == "" && s.cfg.ChatData == "" {
		s.heldout, err = loadUserOrBuiltIn("", heldoutFile)
	}
	return err
}
