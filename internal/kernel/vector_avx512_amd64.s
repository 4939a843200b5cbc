//go:build !purego

#include "textflag.h"

// The vector kernels for AVX-512: 16 lanes, the mask is K1.

#define LANES 16
#define BYTES 64
#define LOAD(addr, v)      VMOVUPS addr, v
#define STORE(v, addr)     VMOVUPS v, addr
#define LOADTAIL(addr, v)  VMOVUPS.Z addr, K1, v
#define STORETAIL(v, addr) VMOVUPS v, K1, addr
#define KEEP(v)
#define KEEPTAIL(v)        VMOVAPS.Z v, K1, v
#define ROUND(v)           VRNDSCALEPS $0, v, v
#define UPPER              VEXTRACTF64X4 $1, Z0, Y1

#define MASK \
	MOVL  $1, R10 \
	SHLL  CX, R10 \
	DECL  R10     \
	KMOVW R10, K1

#define FOLD \
	VEXTRACTF64X4 $1, Z0, Y1 \
	VADDPD        Y1, Y0, Y0

#define MAXFOLD \
	VEXTRACTF64X4 $1, Z8, Y0 \
	VMAXPS        Y0, Y8, Y8

#define EXPSUM       ·expSumAVX512(SB)
#define SUM          ·sumAVX512(SB)
#define SUMS         ·sumsAVX512(SB)
#define DOT          ·dotAVX512(SB)
#define SCALE        ·scaleAVX512(SB)
#define ADD          ·addAVX512(SB)
#define GELU         ·geluAVX512(SB)
#define GELUBACKWARD ·geluBackwardAVX512(SB)
#define NORMALIZEROW ·normalizeRowAVX512(SB)
#define NORMSUMS     ·normBackwardSumsAVX512(SB)
#define NORMBACKWARD ·normBackwardRowAVX512(SB)
#define NORMGAINGRAD ·normGainGradAVX512(SB)
#define SOFTBACKWARD ·softmaxBackwardRowAVX512(SB)
#define ADAMUPDATE   ·adamUpdateAVX512(SB)
#define MAX          ·maxAVX512(SB)

#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define V13 Z13
#define V14 Z14
#define H0 Y0
#define H1 Y1

#include "vector_amd64.h"
#include "vector_sums_amd64.h"
