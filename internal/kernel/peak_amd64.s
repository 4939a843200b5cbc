//go:build !purego

#include "textflag.h"

// Registers only: twelve independent chains, enough to hide the latency of an instruction. They multiply and add 0.

#define FMA4(a, b, c, d, x) \
	VFMADD231PS x, x, a \
	VFMADD231PS x, x, b \
	VFMADD231PS x, x, c \
	VFMADD231PS x, x, d

// func peakAVX512(rounds int)
TEXT ·peakAVX512(SB), NOSPLIT, $0-8
	MOVQ   rounds+0(FP), CX
	VXORPS Z31, Z31, Z31

loop:
	FMA4(Z0, Z1, Z2, Z3, Z31)
	FMA4(Z4, Z5, Z6, Z7, Z31)
	FMA4(Z8, Z9, Z10, Z11, Z31)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func peakAVX2(rounds int)
TEXT ·peakAVX2(SB), NOSPLIT, $0-8
	MOVQ   rounds+0(FP), CX
	VXORPS Y15, Y15, Y15

loop:
	FMA4(Y0, Y1, Y2, Y3, Y15)
	FMA4(Y4, Y5, Y6, Y7, Y15)
	FMA4(Y8, Y9, Y10, Y11, Y15)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
