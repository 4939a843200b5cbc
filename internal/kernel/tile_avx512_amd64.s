//go:build !purego

#include "textflag.h"

// The AVX-512 tile: up to 14 rows by 32 columns of c, 28 accumulators Z0..Z27. One step of k loads 32 numbers of b
// (Z28, Z29), broadcasts one number of each row of a (Z30, Z31 in turn), multiplies and adds. The address of row i is
// AX + scale·odd·aRow: the seven odd multiples 1..13 of aRow in registers, with the scales 1, 2, 4, 8 of an address,
// reach rows 1..13.

#define ROW(addr, x, lo, hi) \
	VBROADCASTSS addr, x       \
	VFMADD231PS  Z28, x, lo    \
	VFMADD231PS  Z29, x, hi

#define ROWS1 ROW((AX), Z30, Z0, Z1)
#define ROWS2 ROWS1 ROW((AX)(R8*1), Z31, Z2, Z3)
#define ROWS3 ROWS2 ROW((AX)(R8*2), Z30, Z4, Z5)
#define ROWS4 ROWS3 ROW((AX)(R9*1), Z31, Z6, Z7)
#define ROWS5 ROWS4 ROW((AX)(R8*4), Z30, Z8, Z9)
#define ROWS6 ROWS5 ROW((AX)(R10*1), Z31, Z10, Z11)
#define ROWS7 ROWS6 ROW((AX)(R9*2), Z30, Z12, Z13)
#define ROWS8 ROWS7 ROW((AX)(R11*1), Z31, Z14, Z15)
#define ROWS9 ROWS8 ROW((AX)(R8*8), Z30, Z16, Z17)
#define ROWS10 ROWS9 ROW((AX)(R12*1), Z31, Z18, Z19)
#define ROWS11 ROWS10 ROW((AX)(R10*2), Z30, Z20, Z21)
#define ROWS12 ROWS11 ROW((AX)(R13*1), Z31, Z22, Z23)
#define ROWS13 ROWS12 ROW((AX)(R9*4), Z30, Z24, Z25)
#define ROWS14 ROWS13 ROW((AX)(R15*1), Z31, Z26, Z27)

// One loop for each number of rows. Each step prefetches the row of b eight steps later.
#define LOOP(label, rows) \
label:                        \
	VMOVUPS     (BX), Z28         \
	VMOVUPS     64(BX), Z29       \
	PREFETCHT0  (BX)(DX*8)        \
	PREFETCHT0  64(BX)(DX*8)      \
	rows                          \
	ADDQ        SI, AX            \
	ADDQ        DX, BX            \
	DECQ        CX                \
	JNZ         label             \
	JMP         store

#define DISPATCH(n, label) \
	CMPQ DI, $n \
	JEQ  label

// K1, K2 cover the columns of the tile; K3, K4 the same when c is added to, and nothing when it is overwritten.
#define STORE(lo, hi) \
	VMOVUPS.Z (DI), K3, Z28   \
	VMOVUPS.Z 64(DI), K4, Z29 \
	VADDPS    Z28, lo, lo     \
	VADDPS    Z29, hi, hi     \
	VMOVUPS   lo, K1, (DI)    \
	VMOVUPS   hi, K2, 64(DI)  \
	ADDQ      R8, DI          \
	DECQ      SI              \
	JZ        done

// func tileAVX512(
//	k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)
TEXT ·tileAVX512(SB), NOSPLIT, $0-129
	// Prefetch the tile of c: it is needed when the chains are computed.
	MOVQ c_base+80(FP), AX
	MOVQ cRow+104(FP), R8
	MOVQ m+112(FP), DI

fetch:
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	LEAQ       (AX)(R8*4), AX
	DECQ       DI
	JNZ        fetch

	MOVQ k+0(FP), CX
	MOVQ a_base+8(FP), AX
	MOVQ aRow+32(FP), R8
	MOVQ aCol+40(FP), SI
	MOVQ b_base+48(FP), BX
	MOVQ bRow+72(FP), DX
	MOVQ m+112(FP), DI
	SHLQ $2, R8
	SHLQ $2, SI
	SHLQ $2, DX
	LEAQ (R8)(R8*2), R9
	LEAQ (R8)(R8*4), R10
	LEAQ (R9)(R8*4), R11
	LEAQ (R8)(R8*8), R12
	LEAQ (R9)(R8*8), R13
	LEAQ (R10)(R8*8), R15

	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	VPXORQ Z10, Z10, Z10
	VPXORQ Z11, Z11, Z11
	VPXORQ Z12, Z12, Z12
	VPXORQ Z13, Z13, Z13
	VPXORQ Z14, Z14, Z14
	VPXORQ Z15, Z15, Z15
	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPXORQ Z18, Z18, Z18
	VPXORQ Z19, Z19, Z19
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	VPXORQ Z22, Z22, Z22
	VPXORQ Z23, Z23, Z23
	VPXORQ Z24, Z24, Z24
	VPXORQ Z25, Z25, Z25
	VPXORQ Z26, Z26, Z26
	VPXORQ Z27, Z27, Z27

	DISPATCH(14, rows14)
	DISPATCH(13, rows13)
	DISPATCH(12, rows12)
	DISPATCH(11, rows11)
	DISPATCH(10, rows10)
	DISPATCH(9, rows9)
	DISPATCH(8, rows8)
	DISPATCH(7, rows7)
	DISPATCH(6, rows6)
	DISPATCH(5, rows5)
	DISPATCH(4, rows4)
	DISPATCH(3, rows3)
	DISPATCH(2, rows2)
	LOOP(rows1, ROWS1)
	LOOP(rows2, ROWS2)
	LOOP(rows3, ROWS3)
	LOOP(rows4, ROWS4)
	LOOP(rows5, ROWS5)
	LOOP(rows6, ROWS6)
	LOOP(rows7, ROWS7)
	LOOP(rows8, ROWS8)
	LOOP(rows9, ROWS9)
	LOOP(rows10, ROWS10)
	LOOP(rows11, ROWS11)
	LOOP(rows12, ROWS12)
	LOOP(rows13, ROWS13)
	LOOP(rows14, ROWS14)

store:
	MOVQ    n+120(FP), CX
	MOVQ    $1, AX
	SHLQ    CX, AX
	DECQ    AX
	KMOVW   AX, K1
	MOVBLZX accumulate+128(FP), BX
	NEGQ    BX
	ANDQ    AX, BX
	KMOVW   BX, K3
	SHRQ    $16, AX
	KMOVW   AX, K2
	SHRQ    $16, BX
	KMOVW   BX, K4
	MOVQ    c_base+80(FP), DI
	MOVQ    cRow+104(FP), R8
	SHLQ    $2, R8
	MOVQ    m+112(FP), SI
	STORE(Z0, Z1)
	STORE(Z2, Z3)
	STORE(Z4, Z5)
	STORE(Z6, Z7)
	STORE(Z8, Z9)
	STORE(Z10, Z11)
	STORE(Z12, Z13)
	STORE(Z14, Z15)
	STORE(Z16, Z17)
	STORE(Z18, Z19)
	STORE(Z20, Z21)
	STORE(Z22, Z23)
	STORE(Z24, Z25)
	STORE(Z26, Z27)

done:
	VZEROUPPER
	RET
