//go:build !purego

#include "textflag.h"

// The NEON tile: 6 rows by 16 columns of c, 24 accumulators V8..V31, four vectors of b (V0..V3) and one number of a
// at a time (V4..V7 in turn). With fewer rows, the last one is computed again and not stored.

#define ROW(pa, x, c0, c1, c2, c3) \
	VLD1R.P (pa)(R7), [x.S4]     \
	VFMLA   x.S4, V0.S4, c0.S4   \
	VFMLA   x.S4, V1.S4, c1.S4   \
	VFMLA   x.S4, V2.S4, c2.S4   \
	VFMLA   x.S4, V3.S4, c3.S4

// NEXTROW: to = from + aRow when the tile has row n, else to = from.
#define NEXTROW(n, from, to) \
	CMP  $n, R12          \
	CSEL GT, R13, ZR, R14 \
	ADD  R14, from, to

#define ZERO4(a, b, c, d) \
	VEOR a.B16, a.B16, a.B16 \
	VEOR b.B16, b.B16, b.B16 \
	VEOR c.B16, c.B16, c.B16 \
	VEOR d.B16, d.B16, d.B16

// STORE adds c·1 when R15 is set: this assembler has no instruction that adds vectors of floats, and the multiply-add
// by 1 rounds like an addition.
#define STORE(label, c0, c1, c2, c3) \
	CBZ   R15, label                        \
	VLD1  (R10), [V0.S4, V1.S4, V2.S4, V3.S4] \
	VFMLA V4.S4, V0.S4, c0.S4               \
	VFMLA V4.S4, V1.S4, c1.S4               \
	VFMLA V4.S4, V2.S4, c2.S4               \
	VFMLA V4.S4, V3.S4, c3.S4               \
label:                                    \
	VST1  [c0.S4, c1.S4, c2.S4, c3.S4], (R10) \
	ADD   R11, R10                          \
	SUBS  $1, R12                           \
	BEQ   done

// func wholeTileNEON(
//	k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m int, accumulate bool)
TEXT ·wholeTileNEON(SB), NOSPLIT, $0-121
	MOVD k+0(FP), R0
	MOVD a_base+8(FP), R1
	MOVD aRow+32(FP), R13
	MOVD aCol+40(FP), R7
	MOVD b_base+48(FP), R8
	MOVD bRow+72(FP), R9
	MOVD c_base+80(FP), R10
	MOVD cRow+104(FP), R11
	MOVD m+112(FP), R12
	MOVBU accumulate+120(FP), R15
	LSL  $2, R13
	LSL  $2, R7
	LSL  $2, R9
	LSL  $2, R11
	NEXTROW(1, R1, R2)
	NEXTROW(2, R2, R3)
	NEXTROW(3, R3, R4)
	NEXTROW(4, R4, R5)
	NEXTROW(5, R5, R6)
	ZERO4(V8, V9, V10, V11)
	ZERO4(V12, V13, V14, V15)
	ZERO4(V16, V17, V18, V19)
	ZERO4(V20, V21, V22, V23)
	ZERO4(V24, V25, V26, V27)
	ZERO4(V28, V29, V30, V31)

loop:
	VLD1 (R8), [V0.S4, V1.S4, V2.S4, V3.S4]
	ADD  R9, R8
	ROW(R1, V4, V8, V9, V10, V11)
	ROW(R2, V5, V12, V13, V14, V15)
	ROW(R3, V6, V16, V17, V18, V19)
	ROW(R4, V7, V20, V21, V22, V23)
	ROW(R5, V4, V24, V25, V26, V27)
	ROW(R6, V5, V28, V29, V30, V31)
	SUBS $1, R0
	BNE  loop

	FMOVS $1.0, F4
	VDUP  V4.S[0], V4.S4
	STORE(row0, V8, V9, V10, V11)
	STORE(row1, V12, V13, V14, V15)
	STORE(row2, V16, V17, V18, V19)
	STORE(row3, V20, V21, V22, V23)
	STORE(row4, V24, V25, V26, V27)
	STORE(row5, V28, V29, V30, V31)

done:
	RET

#define CHAINS(a, b, c, d) \
	VFMLA V31.S4, V31.S4, a.S4 \
	VFMLA V31.S4, V31.S4, b.S4 \
	VFMLA V31.S4, V31.S4, c.S4 \
	VFMLA V31.S4, V31.S4, d.S4

// func peakNEON(rounds int)
TEXT ·peakNEON(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0
	VEOR V31.B16, V31.B16, V31.B16

peak:
	CHAINS(V0, V1, V2, V3)
	CHAINS(V4, V5, V6, V7)
	CHAINS(V16, V17, V18, V19)
	SUBS $1, R0
	BNE  peak
	RET
