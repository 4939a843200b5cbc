package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The products of a default training step (24 tokens, 256 channels), of cached decoding (1 token), and a large square.
var benchedProducts = []struct {
	name    string
	m, k, n int
	ta, tb  bool // a, b are transposed views
}{
	{name: "square", m: 1024, k: 1024, n: 1024},
	{name: "qkv", m: 24, k: 256, n: 768},
	{name: "qkv_dx", m: 24, k: 768, n: 256, tb: true},
	{name: "qkv_dw", m: 256, k: 24, n: 768, ta: true},
	{name: "logits", m: 24, k: 256, n: 2048, tb: true},
	{name: "logits_dx", m: 24, k: 2048, n: 256},
	{name: "logits_dw", m: 2048, k: 24, n: 256, ta: true},
	{name: "decode", m: 1, k: 256, n: 768},
	{name: "decode_logits", m: 1, k: 256, n: 2048, tb: true},
	{name: "head", m: 24, k: 32, n: 24, tb: true},
}

func BenchmarkProduct(b *testing.B) {
	defer func(k *kernel) { kern = k }(kern)
	rng := rand.New(rand.NewPCG(19, 20))
	for _, p := range benchedProducts {
		x := randomView(rng, p.m, p.k, layoutIf(p.ta))
		y := randomView(rng, p.k, p.n, layoutIf(p.tb))
		c := randomView(rng, p.m, p.n, layoutPlain)
		run := func(name string, multiply func(c, a, b Matrix)) {
			b.Run(fmt.Sprintf("%s_%dx%dx%d/%s", p.name, p.m, p.k, p.n, name), func(b *testing.B) {
				for b.Loop() {
					multiply(c, x, y)
				}
				b.ReportMetric(2*float64(p.m*p.k*p.n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
		for _, k := range kernels {
			kern = k
			run(k.name+"/serial", SerialMatMul)
			run(k.name+"/parallel", MatMul)
		}
		run("naive", naiveProduct)
	}
}

func layoutIf(transposed bool) int {
	if transposed {
		return layoutTransposed
	}
	return layoutPlain
}

// naiveProduct is the triple loop, for comparison with the portable kernel.
func naiveProduct(c, a, b Matrix) {
	for i := range c.Rows {
		for j := range c.Cols {
			var s float32
			for k := range a.Cols {
				s += a.Data[i*a.RowStride+k*a.ColStride] * b.Data[k*b.RowStride+j*b.ColStride]
			}
			c.Data[i*c.RowStride+j*c.ColStride] = s
		}
	}
}
