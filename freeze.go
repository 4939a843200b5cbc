package main

// Freezing. While a parameter is frozen, the optimizer changes neither its weights nor its moments, and its layer does
// not compute its gradient, only dx. When it is released, it learns again and its moments start at 0.

// freezeStep is the rule for what is frozen from an epoch of the plan on, until the next rule begins.
type freezeStep struct {
	from   int // epoch of the plan, from 0
	frozen func(*Param) bool
}

// freezePlan returns the freezing that the configuration asks for in a phase of the given number of epochs. Parameters
// are released only in the first phase of a run.
func (c *Config) freezePlan(epochs int, first bool) []freezeStep {
	nothing := func(*Param) bool { return false }
	switch {
	case c.FreezeAttn:
		return []freezeStep{{0, isAttention}}
	case c.FreezeAttnEpochs > 0 && first:
		return []freezeStep{{0, isAttention}, {c.FreezeAttnEpochs, nothing}}
	case c.Unfreeze == unfreezeLayered && first:
		return layeredRelease(c.Model.Layers, epochs)
	}
	return []freezeStep{{0, nothing}}
}

// layeredRelease returns the plan that freezes c_attn of every block and releases one block after another, the last
// block first, each after an equal share of the epochs.
func layeredRelease(layers, epochs int) []freezeStep {
	var steps []freezeStep
	for released := range layers + 1 {
		steps = append(steps, freezeStep{shareStart(released, layers+1, epochs),
			func(p *Param) bool { return p.Part == PartQKV && p.Block < layers-released }})
	}
	return steps
}

// isAttention reports whether p is a weight or bias of attention: of c_attn (Q, K, V) or of its c_proj (W_O).
func isAttention(p *Param) bool { return p.Part == PartQKV || p.Part == PartAttentionOut }

// applyFreeze freezes the parameters for which the rule returns true and releases the others.
func applyFreeze(opt *Adam, frozen func(*Param) bool) {
	for i, p := range opt.params {
		was := p.Frozen
		p.Frozen = frozen(p)
		if was && !p.Frozen {
			opt.Reset(i)
		}
	}
}

// frozenNames lists the frozen parameters. The list is never nil, so that JSON has [] and not null.
func frozenNames(params []*Param) []string {
	names := []string{}
	for _, p := range params {
		if p.Frozen {
			names = append(names, p.Name)
		}
	}
	return names
}
