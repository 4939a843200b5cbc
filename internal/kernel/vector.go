package kernel

import "math"

// Element-wise work on float32 slices. The comment of a function is its loop, and the function below it, whose name
// ends in Generic, is that loop in Go; the assembly kernels compute the same. kern.vectors holds the functions for this
// machine: assembly where there is some, else the Generic ones. The exported function panics when the lengths of its
// slices differ. Sums accumulate in float64, in an order that depends on the length alone. An element's result never
// depends on its position.

// ExpSum: for i := range x { dst[i] = exp(factor·x[i] - shift); s += dst[i] }. With factor 1 each result is within
// 2 ulp of the exponential of the difference, subnormal results included; exp(-Inf) is 0, exp(NaN) NaN. dst may be x.
func ExpSum(dst, x []float32, factor, shift float32) float64 {
	sameLength("kernel.ExpSum", len(dst), len(x))
	return kern.vectors.expSum(dst, x, factor, shift)
}

func expSumGeneric(dst, x []float32, factor, shift float32) float64 {
	s := 0.0
	for i, v := range x {
		dst[i] = exp32(float32(factor*v) - shift)
		s += float64(dst[i])
	}
	return s
}

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

// Max: for i := range x { m = max(m, x[i]) }, from m = -Inf. Max ignores NaN; ExpSum does not.
func Max(x []float32) float32 { return kern.vectors.max(x) }

func maxGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// Sum: for i := range x { s += x[i] }.
func Sum(x []float32) float64 { return kern.vectors.sum(x) }

func sumGeneric(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return s
}

// Sums: for i := range x { s += x[i]; squares += x[i]·x[i] }.
func Sums(x []float32) (s, squares float64) { return kern.vectors.sums(x) }

func sumsGeneric(x []float32) (s, squares float64) {
	for _, v := range x {
		s += float64(v)
		squares += float64(v) * float64(v)
	}
	return s, squares
}

// Dot: for i := range x { s += x[i]·y[i] }.
func Dot(x, y []float32) float64 {
	sameLength("kernel.Dot", len(x), len(y))
	return kern.vectors.dot(x, y)
}

func dotGeneric(x, y []float32) float64 {
	s := 0.0
	for i, v := range x {
		s += float64(v) * float64(y[i])
	}
	return s
}

// SumSquares: for i := range x { s += x[i]·x[i] }.
func SumSquares(x []float32) float64 { return kern.vectors.dot(x, x) }

// Scale: for i := range x { x[i] *= a }.
func Scale(x []float32, a float32) { kern.vectors.scale(x, a) }

func scaleGeneric(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

// Add: for i := range x { z[i] = x[i] + y[i] }. z may be x or y.
func Add(z, x, y []float32) {
	sameLength("kernel.Add", len(z), len(x))
	sameLength("kernel.Add", len(y), len(x))
	kern.vectors.add(z, x, y)
}

func addGeneric(z, x, y []float32) {
	for i, v := range x {
		z[i] = v + y[i]
	}
}

// SoftmaxBackwardRow: for i := range p { ds[i] = factor·p[i]·(ds[i] - mean) }.
func SoftmaxBackwardRow(ds, p []float32, mean, factor float32) {
	sameLength("kernel.SoftmaxBackwardRow", len(ds), len(p))
	kern.vectors.softmaxBackwardRow(ds, p, mean, factor)
}

func softmaxBackwardRowGeneric(ds, p []float32, mean, factor float32) {
	for i, v := range p {
		ds[i] = factor * v * (ds[i] - mean)
	}
}

const (
	geluScale = 0.7978845608028654 // sqrt(2/pi)
	geluCubic = 0.044715
	geluLimit = 10 // beyond ±10 gelu' is 0 or 1 in float32, and its factors would overflow
)

// GELU: for i := range x { y[i] = gelu(x[i]) }, gelu(x) = x/2·(1 + tanh(u)), u = √(2/π)·(x + 0.044715·x³)
// (arXiv:1606.08415). The relative error is below 2^-23·(4 + 4|u|), where exp(-2u) is finite. y may be x.
func GELU(y, x []float32) {
	sameLength("kernel.GELU", len(y), len(x))
	kern.vectors.gelu(y, x)
}

// geluGeneric uses (1 + tanh u)/2 = 1/(1 + exp(-2u)), which loses no digits where tanh is near -1.
func geluGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = v / (1 + exp32(-2*geluScale*(v+geluCubic*v*v*v)))
	}
}

// GELUBackward: for i := range x { dx[i] = dy[i]·gelu'(x[i]) }, gelu' within 1e-6. dx may be dy.
func GELUBackward(dx, x, dy []float32) {
	sameLength("kernel.GELUBackward", len(dx), len(x))
	sameLength("kernel.GELUBackward", len(dy), len(x))
	kern.vectors.geluBackward(dx, x, dy)
}

// geluBackwardGeneric: with e = exp(-2u) and s = 1/(1 + e), gelu'(x) = s + x·s·(e·s)·2u'.
func geluBackwardGeneric(dx, x, dy []float32) {
	for i, v := range x {
		v = min(max(v, -geluLimit), geluLimit)
		e := exp32(-2 * geluScale * (v + geluCubic*v*v*v))
		s := 1 / (1 + e)
		dx[i] = dy[i] * (s + v*s*(e*s)*(2*geluScale)*(1+3*geluCubic*v*v))
	}
}

// NormalizeRow: for i := range x { y[i] = gain[i]·(x[i]-mean)·rstd + bias[i] }. y may be x.
func NormalizeRow(y, x []float32, mean, rstd float32, gain, bias []float32) {
	sameLength("kernel.NormalizeRow", len(y), len(x))
	sameLength("kernel.NormalizeRow", len(gain), len(x))
	sameLength("kernel.NormalizeRow", len(bias), len(x))
	kern.vectors.normalizeRow(y, x, mean, rstd, gain, bias)
}

func normalizeRowGeneric(y, x []float32, mean, rstd float32, gain, bias []float32) {
	for i, v := range x {
		y[i] = gain[i]*((v-mean)*rstd) + bias[i]
	}
}

// NormBackwardSums: for i := range x { g = gain[i]·dy[i]; sumG += g; sumGX += g·x[i] }.
func NormBackwardSums(dy, gain, x []float32) (sumG, sumGX float64) {
	sameLength("kernel.NormBackwardSums", len(dy), len(x))
	sameLength("kernel.NormBackwardSums", len(gain), len(x))
	return kern.vectors.normBackwardSums(dy, gain, x)
}

func normBackwardSumsGeneric(dy, gain, x []float32) (sumG, sumGX float64) {
	for i, v := range x {
		g := float64(gain[i] * dy[i])
		sumG += g
		sumGX += g * float64(v)
	}
	return sumG, sumGX
}

// NormBackwardRow: for i := range x { dx[i] = a·gain[i]·dy[i] + b + c·(x[i]-mean) }. dx may be dy.
func NormBackwardRow(dx, dy, gain, x []float32, mean, a, b, c float32) {
	sameLength("kernel.NormBackwardRow", len(dx), len(x))
	sameLength("kernel.NormBackwardRow", len(dy), len(x))
	sameLength("kernel.NormBackwardRow", len(gain), len(x))
	kern.vectors.normBackwardRow(dx, dy, gain, x, mean, a, b, c)
}

func normBackwardRowGeneric(dx, dy, gain, x []float32, mean, a, b, c float32) {
	for i, v := range x {
		dx[i] = a*(gain[i]*dy[i]) + (c*(v-mean) + b)
	}
}

// NormGainGrad: for i := range x { dgain[i] += dy[i]·(x[i]-mean)·rstd }.
func NormGainGrad(dgain, dy, x []float32, mean, rstd float32) {
	sameLength("kernel.NormGainGrad", len(dgain), len(x))
	sameLength("kernel.NormGainGrad", len(dy), len(x))
	kern.vectors.normGainGrad(dgain, dy, x, mean, rstd)
}

func normGainGradGeneric(dgain, dy, x []float32, mean, rstd float32) {
	for i, v := range x {
		dgain[i] += dy[i] * ((v - mean) * rstd)
	}
}

// AdamStep holds the numbers of an optimizer step that all weights share (arXiv:1412.6980; weight decay as in
// arXiv:1711.05101).
type AdamStep struct {
	LR, Beta1, Beta2, Eps    float32
	Decay                    float32 // decoupled weight decay
	Correction1, Correction2 float32 // c1 = 1-β1^t, c2 = 1-β2^t at step t = 1, 2, …: m and v start at 0 and are too small
	GradScale                float32 // factor on the gradient; clipping makes it less than 1
}

// AdamUpdate changes the weights w, the running mean m of their gradients g and the running mean v of g²:
// for i := range w { g' = g·GradScale; m = β1·m + (1-β1)·g'; v = β2·v + (1-β2)·g'²;
// w -= LR·((m/c1) / (√(v/c2) + Eps) + Decay·w) }. It does not write g.
func AdamUpdate(w, m, v, g []float32, s *AdamStep) {
	sameLength("kernel.AdamUpdate", len(m), len(w))
	sameLength("kernel.AdamUpdate", len(v), len(w))
	sameLength("kernel.AdamUpdate", len(g), len(w))
	kern.vectors.adamUpdate(w, m, v, g, *s)
}

func adamUpdateGeneric(w, m, v, g []float32, s AdamStep) {
	for i, gi := range g {
		gi *= s.GradScale
		m[i] = s.Beta1*m[i] + (1-s.Beta1)*gi
		v[i] = s.Beta2*v[i] + (1-s.Beta2)*gi*gi
		root := float32(math.Sqrt(float64(v[i] / s.Correction2)))
		w[i] -= s.LR * (m[i]/s.Correction1/(root+s.Eps) + s.Decay*w[i])
	}
}

func sameLength(function string, n, want int) {
	if n != want {
		panic(function + ": lengths differ")
	}
}
