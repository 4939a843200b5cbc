package main

import "math"

// The portable twins of the vector kernels.

var portableVectors = vectorKernel{
	expSumGeneric, maxOfGeneric, sumGeneric, dotGeneric, scaleGeneric, axpyGeneric, addGeneric,
	geluForwardGeneric, geluBackwardGeneric, normalizeRowGeneric, adamUpdateGeneric,
}

// expOne returns exp(x): x = n·ln2 + r with |r| <= ln2/2, exp(r) by its Taylor polynomial of degree 7, whose remainder is below
// 2^-27, and 2^n in two factors, so that a result below the normal range is rounded, not lost.
func expOne(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expLowest), expHighest)
	n := float32(x*log2e+roundMagic) - roundMagic
	r := x - float32(n*ln2High) - float32(n*ln2Low)
	p := 1 + r*(1+r*(expC2+r*(expC3+r*(expC4+r*(expC5+r*(expC6+r*expC7))))))
	half := int32(n) >> 1
	return p * powerOfTwo(half) * powerOfTwo(int32(n)-half)
}

const (
	expLowest  = -105    // exp of it rounds to 0
	expHighest = 89      // exp of it overflows to +Inf
	roundMagic = 3 << 22 // adding it leaves no room for a fraction: the sum is rounded to an integer
	log2e      = math.Log2E
	ln2High    = 0.693359375 // 9 bits of ln 2: n·ln2High is exact
	ln2Low     = math.Ln2 - ln2High

	expC2, expC3, expC4 = 1.0 / 2, 1.0 / 6, 1.0 / 24
	expC5, expC6, expC7 = 1.0 / 120, 1.0 / 720, 1.0 / 5040

	geluScale = 0.7978845608028654 // sqrt(2/pi)
	geluCubic = 0.044715
	geluLimit = 10 // beyond it gelu' is 0 or 1 in float32, and its factors leave the range
)

// powerOfTwo returns 2^n for n in -126..127.
func powerOfTwo(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

func expSumGeneric(dst, x []float32, shift float32) float64 {
	s := 0.0
	for i, v := range x {
		dst[i] = expOne(v - shift)
		s += float64(dst[i])
	}
	return s
}

func maxOfGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func sumGeneric(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return s
}

func dotGeneric(x, y []float32) float64 {
	s := 0.0
	for i, v := range x {
		s += float64(v) * float64(y[i])
	}
	return s
}

func scaleGeneric(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

func axpyGeneric(y []float32, a float32, x []float32) {
	for i, v := range x {
		y[i] += float32(a * v)
	}
}

func addGeneric(y, x []float32) {
	for i, v := range x {
		y[i] += v
	}
}

// geluForwardGeneric uses (1 + tanh u)/2 = 1/(1 + exp(-2u)), which loses no digits where tanh is near -1.
func geluForwardGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = v / (1 + expOne(-2*geluScale*(v+geluCubic*v*v*v)))
	}
}

// geluBackwardGeneric: with e = exp(-2u) and s = 1/(1 + e), gelu'(x) = s + x·s·(e·s)·2u'.
func geluBackwardGeneric(dx, x, dy []float32) {
	for i, v := range x {
		v = min(max(v, -geluLimit), geluLimit)
		e := expOne(-2 * geluScale * (v + geluCubic*v*v*v))
		s := 1 / (1 + e)
		dx[i] = dy[i] * (s + v*s*(e*s)*(2*geluScale)*(1+3*geluCubic*v*v))
	}
}

func normalizeRowGeneric(y, x []float32, mean, rstd float32, gain, bias []float32) {
	for i, v := range x {
		y[i] = gain[i]*((v-mean)*rstd) + bias[i]
	}
}

func adamUpdateGeneric(w, m, v, g []float32, s adamStep) {
	for i, gi := range g {
		gi *= s.gradScale
		m[i] = s.beta1*m[i] + (1-s.beta1)*gi
		v[i] = s.beta2*v[i] + (1-s.beta2)*gi*gi
		root := float32(math.Sqrt(float64(v[i] / s.correction2)))
		w[i] -= s.lr * (m[i]/s.correction1/(root+s.eps) + s.decay*w[i])
	}
}
