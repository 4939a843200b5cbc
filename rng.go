package main

import "math/rand/v2"

// Randomness is passed in, and everything random follows from the seed of the run. Each use has a stream of its own, so
// that none shifts the numbers of another.

// The streams of a seed.
const (
	initStream    = iota + 1 // initial weights
	splitStream              // which rows are held out
	pretrainOrder            // order and cuts of pretraining samples
	finetuneOrder            // order and joins of tuning samples
	dropoutStream            // dropout masks
	checkStream              // probes and sequences of gradient checks
	benchStream              // random tokens and matrices of benchmarks
	sampleStream             // tokens of answers
)

// newRNG is a generator for one stream of a seed.
func newRNG(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, mix(stream))) }

// mix is the finalizer of SplitMix64 (Steele et al. 2014) behind a Weyl step: a 64-bit hash.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
