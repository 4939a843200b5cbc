package main

import "math"

// The portable twins of the vector kernels.

var portableVectors = vectorKernel{
	expSumGeneric, maxOfGeneric, sumGeneric, sumsGeneric, dotGeneric, scaleGeneric, addGeneric, softmaxBackwardRowGeneric,
	geluForwardGeneric, geluBackwardGeneric,
	normalizeRowGeneric, normBackwardSumsGeneric, normBackwardRowGeneric, normGainGradGeneric, adamUpdateGeneric,
}

const (
	geluScale = 0.7978845608028654 // sqrt(2/pi)
	geluCubic = 0.044715
	geluLimit = 10 // beyond it gelu' is 0 or 1 in float32, and its factors leave the range
)

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

func expSumGeneric(dst, x []float32, factor, shift float32) float64 {
	s := 0.0
	for i, v := range x {
		dst[i] = exp32(float32(factor*v) - shift)
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

func sumsGeneric(x []float32) (s, squares float64) {
	for _, v := range x {
		s += float64(v)
		squares += float64(v) * float64(v)
	}
	return s, squares
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

func addGeneric(z, x, y []float32) {
	for i, v := range x {
		z[i] = v + y[i]
	}
}

func softmaxBackwardRowGeneric(ds, p []float32, mean, factor float32) {
	for i, v := range p {
		ds[i] = factor * v * (ds[i] - mean)
	}
}

// geluForwardGeneric uses (1 + tanh u)/2 = 1/(1 + exp(-2u)), which loses no digits where tanh is near -1.
func geluForwardGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = v / (1 + exp32(-2*geluScale*(v+geluCubic*v*v*v)))
	}
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

func normalizeRowGeneric(y, x []float32, mean, rstd float32, gain, bias []float32) {
	for i, v := range x {
		y[i] = gain[i]*((v-mean)*rstd) + bias[i]
	}
}

func normBackwardSumsGeneric(dy, gain, x []float32) (sumG, sumGX float64) {
	for i, v := range x {
		g := float64(gain[i] * dy[i])
		sumG += g
		sumGX += g * float64(v)
	}
	return sumG, sumGX
}

func normBackwardRowGeneric(dx, dy, gain, x []float32, mean, a, b, c float32) {
	for i, v := range x {
		dx[i] = a*(gain[i]*dy[i]) + (c*(v-mean) + b)
	}
}

func normGainGradGeneric(dgain, dy, x []float32, mean, rstd float32) {
	for i, v := range x {
		dgain[i] += dy[i] * ((v - mean) * rstd)
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

// peakGeneric: for range rounds { twelve independent s = s·x + y }.
func peakGeneric(rounds int) {
	var s [peakChains]float32
	x := float32(0.5)
	a, b, c, d, e, f, g, h, i, j, k, l := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11]
	for range rounds {
		a, b, c, d, e, f = a*x+x, b*x+x, c*x+x, d*x+x, e*x+x, f*x+x
		g, h, i, j, k, l = g*x+x, h*x+x, i*x+x, j*x+x, k*x+x, l*x+x
	}
	if t := a + b + c + d + e + f + g + h + i + j + k + l; math.IsNaN(float64(t)) {
		panic("peakGeneric: sums of finite numbers")
	}
}
