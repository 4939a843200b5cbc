package main

// Freezing. While a parameter is frozen, the optimizer changes neither its weights nor its moments, and its layer does
// not compute its gradient, only dx. What the user freezes (LLM.SetAttentionFreezeUpdates) no plan releases, and it
// stays frozen in the saved model. What the plan of a phase freezes, it also releases; then the parameter learns with
// moments that start at 0.

// freezeStep is the rule for what the plan freezes from an optimizer step on, until the next rule begins.
type freezeStep struct {
	from   int // step of the plan, from 0
	frozen func(*Param) bool
}

// freezePlan returns the freezing that the configuration plans for a phase. Only the first phase of a run has any.
func (c *Config) freezePlan(planned calendar, first bool) []freezeStep {
	nothing := func(*Param) bool { return false }
	switch {
	case !first:
	case c.FreezeAttnEpochs > 0:
		return []freezeStep{{0, isAttention}, {planned.start(c.FreezeAttnEpochs), nothing}}
	case c.FreezeAttnSteps > 0:
		return []freezeStep{{0, isAttention}, {c.FreezeAttnSteps, nothing}}
	case c.Unfreeze == unfreezeLayered:
		return layeredRelease(c.Model.Layers, planned)
	}
	return []freezeStep{{0, nothing}}
}

// layeredRelease returns the plan that freezes c_attn of every block and releases one block after another, the last
// block first, each after an equal share of the phase.
func layeredRelease(layers int, planned calendar) []freezeStep {
	var steps []freezeStep
	for released := range layers + 1 {
		steps = append(steps, freezeStep{planned.share(released, layers+1),
			func(p *Param) bool { return p.Part == PartQKV && p.Block < layers-released }})
	}
	return steps
}

// isAttention reports whether p is a weight or bias of attention: of c_attn (Q, K, V) or of its c_proj (W_O).
func isAttention(p *Param) bool { return p.Part == PartQKV || p.Part == PartAttentionOut }

// applyFreeze lets the plan freeze the parameters for which the rule returns true and release the others.
func applyFreeze(opt *Adam, frozen func(*Param) bool) {
	for i, p := range opt.params {
		was := p.FrozenByPlan
		p.FrozenByPlan = frozen(p)
		if was && !p.FrozenByPlan {
			opt.Release(i)
		}
	}
}

// frozenNames lists the parameters that are frozen.
func frozenNames(params []*Param) []string {
	return namesOf(params, func(p *Param) bool { return !p.learns() })
}

// frozenByUser lists the parameters that the user has frozen.
func frozenByUser(params []*Param) []string {
	return namesOf(params, func(p *Param) bool { return p.Frozen })
}

// namesOf lists the parameters that are wanted. The list is never nil, so that JSON has [] and not null.
func namesOf(params []*Param, wanted func(*Param) bool) []string {
	names := []string{}
	for _, p := range params {
		if wanted(p) {
			names = append(names, p.Name)
		}
	}
	return names
}
