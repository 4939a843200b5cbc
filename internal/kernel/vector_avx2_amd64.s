//go:build !purego

#include "textflag.h"

// The vector kernels for AVX2 and FMA: 8 lanes, the mask is Y15.

#define LANES 8
#define BYTES 32
#define LOAD(addr, v)      VMOVUPS addr, v
#define STORE(v, addr)     VMOVUPS v, addr
#define LOADTAIL(addr, v)  VMASKMOVPS addr, Y15, v
#define STORETAIL(v, addr) VMASKMOVPS v, Y15, addr
#define KEEP(v)
#define KEEPTAIL(v)        VANDPS Y15, v, v
#define ROUND(v)           VROUNDPS $0, v, v
#define UPPER              VEXTRACTF128 $1, Y0, X1
#define FOLD
#define MAXFOLD

#define MASK \
	LEAQ    ·laneMasks+32(SB), R10 \
	SHLQ    $2, CX                 \
	SUBQ    CX, R10                \
	VMOVUPS (R10), Y15

#define EXPSUM       ·expSumAVX2(SB)
#define SUM          ·sumAVX2(SB)
#define SUMS         ·sumsAVX2(SB)
#define DOT          ·dotAVX2(SB)
#define SCALE        ·scaleAVX2(SB)
#define ADD          ·addAVX2(SB)
#define GELU         ·geluAVX2(SB)
#define GELUBACKWARD ·geluBackwardAVX2(SB)
#define NORMALIZEROW ·normalizeRowAVX2(SB)
#define NORMSUMS     ·normBackwardSumsAVX2(SB)
#define NORMBACKWARD ·normBackwardRowAVX2(SB)
#define NORMGAINGRAD ·normGainGradAVX2(SB)
#define SOFTBACKWARD ·softmaxBackwardRowAVX2(SB)
#define ADAMUPDATE   ·adamUpdateAVX2(SB)
#define MAX          ·maxAVX2(SB)

#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define V13 Y13
#define V14 Y14
#define H0 X0
#define H1 X1

#include "vector_amd64.h"
#include "vector_sums_amd64.h"
