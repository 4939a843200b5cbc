//go:build !purego

#include "textflag.h"
#include "transpose_avx512_amd64.h"

// LOAD reads a row and moves AX to the next one. After the last row AX stays, so that missing rows repeat it.
#define LOAD(z) \
	VMOVUPS.Z (AX), K1, z \
	DECQ      R9          \
	CMOVQEQ   R10, R11    \
	ADDQ      R11, AX

#define STORE(z) \
	VMOVUPS z, (DI) \
	ADDQ    R8, DI  \
	DECQ    CX      \
	JZ      done

// func interleaveAVX512(dst []float32, width int, src []float32, stride, rows, k int)
TEXT ·interleaveAVX512(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ width+24(FP), R8
	MOVQ src_base+32(FP), SI
	MOVQ stride+56(FP), DX
	MOVQ k+72(FP), CX
	SHLQ $2, R8
	SHLQ $2, DX
	XORL R10, R10

block:
	MOVL    $0xffff, BX
	CMPQ    CX, $16
	JGE     whole
	MOVL    $1, BX
	SHLL    CX, BX
	DECL    BX
whole:
	KMOVW   BX, K1
	MOVQ    SI, AX
	MOVQ    rows+64(FP), R9
	MOVQ    DX, R11
	LOAD(Z0)
	LOAD(Z1)
	LOAD(Z2)
	LOAD(Z3)
	LOAD(Z4)
	LOAD(Z5)
	LOAD(Z6)
	LOAD(Z7)
	LOAD(Z8)
	LOAD(Z9)
	LOAD(Z10)
	LOAD(Z11)
	LOAD(Z12)
	LOAD(Z13)
	LOAD(Z14)
	LOAD(Z15)
	PAIR(Z0, Z1, Z16, Z17)
	PAIR(Z2, Z3, Z18, Z19)
	PAIR(Z4, Z5, Z20, Z21)
	PAIR(Z6, Z7, Z22, Z23)
	PAIR(Z8, Z9, Z24, Z25)
	PAIR(Z10, Z11, Z26, Z27)
	PAIR(Z12, Z13, Z28, Z29)
	PAIR(Z14, Z15, Z30, Z31)
	FOUR(Z16, Z17, Z18, Z19, Z0, Z1, Z2, Z3)
	FOUR(Z20, Z21, Z22, Z23, Z4, Z5, Z6, Z7)
	FOUR(Z24, Z25, Z26, Z27, Z8, Z9, Z10, Z11)
	FOUR(Z28, Z29, Z30, Z31, Z12, Z13, Z14, Z15)
	LANES(Z0, Z4, Z8, Z12, Z16, Z17, Z18, Z19)
	LANES(Z1, Z5, Z9, Z13, Z20, Z21, Z22, Z23)
	LANES(Z2, Z6, Z10, Z14, Z24, Z25, Z26, Z27)
	LANES(Z3, Z7, Z11, Z15, Z28, Z29, Z30, Z31)
	STORE(Z0)
	STORE(Z1)
	STORE(Z2)
	STORE(Z3)
	STORE(Z4)
	STORE(Z5)
	STORE(Z6)
	STORE(Z7)
	STORE(Z8)
	STORE(Z9)
	STORE(Z10)
	STORE(Z11)
	STORE(Z12)
	STORE(Z13)
	STORE(Z14)
	STORE(Z15)
	ADDQ    $64, SI
	JMP     block

done:
	VZEROUPPER
	RET

// func copyTileAVX512(dst, src []float32, stride, k int)
TEXT ·copyTileAVX512(SB), NOSPLIT, $0-64
	MOVQ dst_base+0(FP), DI
	MOVQ src_base+24(FP), SI
	MOVQ stride+48(FP), DX
	MOVQ k+56(FP), CX

loop:
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	LEAQ    (SI)(DX*4), SI
	ADDQ    $128, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET
