package stats

import "math"

// Student's t distribution, of the mean of a few values whose spread is not known but measured (Student, Biometrika 6,
// 1908). With θ = arctan(t/√ν), the probability A that |T| ≤ t at ν degrees of freedom is a finite sum (Abramowitz and
// Stegun, 26.7.3 and 26.7.4):
//
//	ν = 1       A = 2θ/π
//	ν odd       A = 2/π · (θ + sin θ · (cos θ + 2/3 cos³θ + … + (2·4···(ν−3)) / (3·5···(ν−2)) cos^(ν−2) θ))
//	ν even      A = sin θ · (1 + 1/2 cos²θ + (1·3)/(2·4) cos⁴θ + … + (1·3···(ν−3)) / (2·4···(ν−2)) cos^(ν−2) θ)

// StudentT returns the t for which |T| ≤ t has this probability, e.g. 0.95, with one degree of freedom or more. It
// halves the range of θ until that has no more bits.
func StudentT(probability float64, freedom int) float64 {
	low, high := 0.0, math.Pi/2
	for range 60 {
		if middle := (low + high) / 2; studentWithin(middle, freedom) < probability {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(float64(freedom)) * math.Tan(low)
}

// studentWithin returns A for θ and ν = freedom.
func studentWithin(theta float64, freedom int) float64 {
	sin, cos := math.Sincos(theta)
	term, d := 1.0, 2 // the first term of the sum; (d−1)/d · cos²θ makes the next one of it
	if freedom%2 == 1 {
		term, d = cos, 3
	}
	sum := 0.0
	for ; d <= freedom; d += 2 {
		sum += term
		term *= cos * cos * float64(d-1) / float64(d)
	}
	if freedom%2 == 1 {
		return 2 / math.Pi * (theta + sin*sum)
	}
	return sin * sum
}

// Interval returns the bounds of the confidence interval of the mean of n values with this mean and spread:
//
//	mean ± t(confidence, n − 1) · spread / √n
//
// It takes at least two values.
func (m MeanSpread) Interval(confidence float64, n int) (low, high float64) {
	reach := StudentT(confidence, n-1) * float64(m.Spread) / math.Sqrt(float64(n))
	return float64(m.Mean) - reach, float64(m.Mean) + reach
}
