//go:build !purego

#include "textflag.h"
#include "transpose_avx512_amd64.h"

// One row of c, 192 columns at a time: 12 accumulators Z0..Z11. Each step reads 768 bytes of a row of b in place and
// prefetches those of the row sixteen steps later.

#define COLUMNS(offset, z) \
	PREFETCHT0  offset(R9)(DX*8)  \
	VFMADD231PS offset(BX), Z31, z

#define STOREROW(offset, z) \
	VMOVUPS.Z offset(DI), K1, Z30 \
	VADDPS    Z30, z, z           \
	VMOVUPS   z, offset(DI)

// func rowAVX512(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool)
TEXT ·rowAVX512(SB), NOSPLIT, $0-97
	MOVQ    k+0(FP), CX
	MOVQ    a_base+8(FP), AX
	MOVQ    aCol+32(FP), SI
	MOVQ    b_base+40(FP), BX
	MOVQ    bRow+64(FP), DX
	MOVQ    c_base+72(FP), DI
	MOVBQZX accumulate+96(FP), R8
	SHLQ    $2, SI
	SHLQ    $2, DX
	NEGQ    R8
	KMOVW   R8, K1                // all lanes when c is added to, none otherwise
	VPXORQ  Z0, Z0, Z0
	VMOVAPS Z0, Z1
	VMOVAPS Z0, Z2
	VMOVAPS Z0, Z3
	VMOVAPS Z0, Z4
	VMOVAPS Z0, Z5
	VMOVAPS Z0, Z6
	VMOVAPS Z0, Z7
	VMOVAPS Z0, Z8
	VMOVAPS Z0, Z9
	VMOVAPS Z0, Z10
	VMOVAPS Z0, Z11
	LEAQ    (BX)(DX*8), R9

loop:
	VBROADCASTSS (AX), Z31
	COLUMNS(0, Z0)
	COLUMNS(64, Z1)
	COLUMNS(128, Z2)
	COLUMNS(192, Z3)
	COLUMNS(256, Z4)
	COLUMNS(320, Z5)
	COLUMNS(384, Z6)
	COLUMNS(448, Z7)
	COLUMNS(512, Z8)
	COLUMNS(576, Z9)
	COLUMNS(640, Z10)
	COLUMNS(704, Z11)
	ADDQ         SI, AX
	ADDQ         DX, BX
	ADDQ         DX, R9
	DECQ         CX
	JNZ          loop
	STOREROW(0, Z0)
	STOREROW(64, Z1)
	STOREROW(128, Z2)
	STOREROW(192, Z3)
	STOREROW(256, Z4)
	STOREROW(320, Z5)
	STOREROW(384, Z6)
	STOREROW(448, Z7)
	STOREROW(512, Z8)
	STOREROW(576, Z9)
	STOREROW(640, Z10)
	STOREROW(704, Z11)
	VZEROUPPER
	RET

// One row of c, 16 columns at a time, in Z31, where b is a transposed view: 16 columns of b are 16 rows in memory.
// They are transposed in registers, sixteen steps of k at a time; the next numbers are prefetched.

// FOURROWS: r0..r3 receive columns 0..3 of each lane, of the four rows from p; it prefetches the four rows from ahead.
#define FOURROWS(p, ahead, r0, r1, r2, r3) \
	PREFETCHT0 (ahead)             \
	PREFETCHT0 (ahead)(R8*1)       \
	PREFETCHT0 (ahead)(R8*2)       \
	PREFETCHT0 (ahead)(R9*1)       \
	VMOVUPS    (p), r0             \
	VMOVUPS    (p)(R8*1), r1       \
	VMOVUPS    (p)(R8*2), r2       \
	VMOVUPS    (p)(R9*1), r3       \
	PAIR(r0, r1, Z16, Z17)         \
	PAIR(r2, r3, Z18, Z19)         \
	FOUR(Z16, Z17, Z18, Z19, r0, r1, r2, r3) \
	ADDQ       $64, p

#define STEPS(offset, z0, z1, z2, z3) \
	VFMADD231PS.BCST offset+0(AX), z0, Z31 \
	VFMADD231PS.BCST offset+4(AX), z1, Z31 \
	VFMADD231PS.BCST offset+8(AX), z2, Z31 \
	VFMADD231PS.BCST offset+12(AX), z3, Z31

// func rowTransposedAVX512(k int, a []float32, b []float32, bCol int, c []float32, accumulate bool)
TEXT ·rowTransposedAVX512(SB), NOSPLIT, $0-89
	MOVQ   k+0(FP), CX
	MOVQ   a_base+8(FP), AX
	MOVQ   b_base+32(FP), BX
	MOVQ   bCol+56(FP), R8
	MOVQ   c_base+64(FP), DI
	SHLQ   $2, R8
	LEAQ   (R8)(R8*2), R9
	LEAQ   (BX)(R8*4), DX
	LEAQ   (DX)(R8*4), SI
	LEAQ   (SI)(R8*4), R10
	LEAQ   (R10)(R8*4), R11
	LEAQ   (R11)(R8*4), R12
	LEAQ   (R12)(R8*4), R13
	LEAQ   (R13)(R8*4), R15
	VPXORQ Z31, Z31, Z31

sixteen:
	FOURROWS(BX, R11, Z0, Z1, Z2, Z3)
	FOURROWS(DX, R12, Z4, Z5, Z6, Z7)
	FOURROWS(SI, R13, Z8, Z9, Z10, Z11)
	FOURROWS(R10, R15, Z12, Z13, Z14, Z15)
	ADDQ $64, R11
	ADDQ $64, R12
	ADDQ $64, R13
	ADDQ $64, R15
	LANES(Z0, Z4, Z8, Z12, Z16, Z17, Z18, Z19)
	LANES(Z1, Z5, Z9, Z13, Z20, Z21, Z22, Z23)
	LANES(Z2, Z6, Z10, Z14, Z24, Z25, Z26, Z27)
	LANES(Z3, Z7, Z11, Z15, Z16, Z17, Z18, Z19)
	STEPS(0, Z0, Z1, Z2, Z3)
	STEPS(16, Z4, Z5, Z6, Z7)
	STEPS(32, Z8, Z9, Z10, Z11)
	STEPS(48, Z12, Z13, Z14, Z15)
	ADDQ $64, AX
	SUBQ $16, CX
	JNZ  sixteen
	MOVBQZX   accumulate+88(FP), R8
	NEGQ      R8
	KMOVW     R8, K1                // all lanes when c is added to, none otherwise
	VMOVUPS.Z (DI), K1, Z0
	VADDPS    Z0, Z31, Z31
	VMOVUPS   Z31, (DI)
	VZEROUPPER
	RET
