package main

import "time"

// measurePeak returns the rate of independent multiply-adds in registers, on all threads, measured for d, in GFLOP/s.
func measurePeak(d time.Duration) float64 { return 0 }
