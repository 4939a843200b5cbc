package main

// Element-wise work on float32 slices. The doc comment of each function is its loop. Lengths are checked at the door; sums are
// accumulated in float64, in an order that depends on the length alone. An element's result never depends on its place.

// expSum: for i := range x { dst[i] = exp(factor·x[i] - shift); s += dst[i] }. With factor 1 within 2 ulp of the exponential of
// the difference, subnormal results included; exp(-Inf) is 0, NaN stays NaN. dst may be x.
func expSum(dst, x []float32, factor, shift float32) float64 {
	sameLength("expSum", len(dst), len(x))
	return kern.vectors.expSum(dst, x, factor, shift)
}

// maxOf: for i := range x { m = max(m, x[i]) }, from -Inf. A NaN is passed over: the expSum that follows still meets it.
func maxOf(x []float32) float32 { return kern.vectors.maxOf(x) }

// sum: for i := range x { s += x[i] }.
func sum(x []float32) float64 { return kern.vectors.sum(x) }

// sums: for i := range x { s += x[i]; squares += x[i]·x[i] }.
func sums(x []float32) (s, squares float64) { return kern.vectors.sums(x) }

// sumSquares: for i := range x { s += x[i]·x[i] }.
func sumSquares(x []float32) float64 { return kern.vectors.dot(x, x) }

// dot: for i := range x { s += x[i]·y[i] }.
func dot(x, y []float32) float64 {
	sameLength("dot", len(x), len(y))
	return kern.vectors.dot(x, y)
}

// scale: for i := range x { x[i] *= a }.
func scale(x []float32, a float32) { kern.vectors.scale(x, a) }

// add: for i := range x { z[i] = x[i] + y[i] }. z may be x or y.
func add(z, x, y []float32) {
	sameLength("add", len(z), len(x))
	sameLength("add", len(y), len(x))
	kern.vectors.add(z, x, y)
}

// softmaxBackwardRow: for i := range p { ds[i] = factor·p[i]·(ds[i] - mean) }.
func softmaxBackwardRow(ds, p []float32, mean, factor float32) {
	sameLength("softmaxBackwardRow", len(ds), len(p))
	kern.vectors.softmaxBackwardRow(ds, p, mean, factor)
}

// geluForward: for i := range x { y[i] = gelu(x[i]) }, gelu(x) = x/2·(1 + tanh(u)), u = √(2/π)·(x + 0.044715·x³)
// (arXiv:1606.08415). The relative error is below 2^-23·(4 + 4|u|), where exp(-2u) is finite. y may be x.
func geluForward(y, x []float32) {
	sameLength("geluForward", len(y), len(x))
	kern.vectors.geluForward(y, x)
}

// geluBackward: for i := range x { dx[i] = dy[i]·gelu'(x[i]) }, gelu' within 1e-6. dx may be dy.
func geluBackward(dx, x, dy []float32) {
	sameLength("geluBackward", len(dx), len(x))
	sameLength("geluBackward", len(dy), len(x))
	kern.vectors.geluBackward(dx, x, dy)
}

// normalizeRow: for i := range x { y[i] = gain[i]·(x[i]-mean)·rstd + bias[i] }. y may be x.
func normalizeRow(y, x []float32, mean, rstd float32, gain, bias []float32) {
	sameLength("normalizeRow", len(y), len(x))
	sameLength("normalizeRow", len(gain), len(x))
	sameLength("normalizeRow", len(bias), len(x))
	kern.vectors.normalizeRow(y, x, mean, rstd, gain, bias)
}

// normBackwardSums: for i := range x { g = gain[i]·dy[i]; sumG += g; sumGX += g·x[i] }.
func normBackwardSums(dy, gain, x []float32) (sumG, sumGX float64) {
	sameLength("normBackwardSums", len(dy), len(x))
	sameLength("normBackwardSums", len(gain), len(x))
	return kern.vectors.normBackwardSums(dy, gain, x)
}

// normBackwardRow: for i := range x { dx[i] = a·gain[i]·dy[i] + b + c·(x[i]-mean) }. dx may be dy.
func normBackwardRow(dx, dy, gain, x []float32, mean, a, b, c float32) {
	sameLength("normBackwardRow", len(dx), len(x))
	sameLength("normBackwardRow", len(dy), len(x))
	sameLength("normBackwardRow", len(gain), len(x))
	kern.vectors.normBackwardRow(dx, dy, gain, x, mean, a, b, c)
}

// normGainGrad: for i := range x { dgain[i] += dy[i]·(x[i]-mean)·rstd }.
func normGainGrad(dgain, dy, x []float32, mean, rstd float32) {
	sameLength("normGainGrad", len(dgain), len(x))
	sameLength("normGainGrad", len(dy), len(x))
	kern.vectors.normGainGrad(dgain, dy, x, mean, rstd)
}

// adamUpdate: for i := range w { g' = g·gradScale; m = β1·m + (1-β1)·g'; v = β2·v + (1-β2)·g'²;
// w -= lr·((m/c1) / (√(v/c2) + eps) + decay·w) }.
func adamUpdate(w, m, v, g []float32, s *adamStep) {
	sameLength("adamUpdate", len(m), len(w))
	sameLength("adamUpdate", len(v), len(w))
	sameLength("adamUpdate", len(g), len(w))
	kern.vectors.adamUpdate(w, m, v, g, *s)
}

func sameLength(op string, n, want int) {
	if n != want {
		panic(op + ": lengths differ")
	}
}
