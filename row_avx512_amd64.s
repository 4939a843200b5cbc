//go:build !purego

#include "textflag.h"

// One row of c, 192 columns at a time: 12 accumulators Z0..Z11. The rows of b pass in runs of 768 bytes, straight from memory;
// those that come eight steps later are fetched ahead.

#define COLUMNS(offset, z) \
	PREFETCHT0  offset(BX)(DX*8)  \
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
