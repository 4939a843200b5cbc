//go:build !purego

#include "textflag.h"

// Transposition of 8 rows by 8 columns in registers, in three steps: pairs of rows, fours of rows, halves.

// LOAD reads a row and moves AX to the next one. After the last row AX stays, so that missing rows repeat it.
#define LOAD(y) \
	VMASKMOVPS (AX), Y15, y \
	DECQ       R9           \
	CMOVQEQ    R10, R11     \
	ADDQ       R11, AX

#define PAIR(a, b, x, y) \
	VUNPCKLPS b, a, x \
	VUNPCKHPS b, a, y

#define FOUR(x0, y0, x1, y1, r0, r1, r2, r3) \
	VUNPCKLPD x1, x0, r0 \
	VUNPCKHPD x1, x0, r1 \
	VUNPCKLPD y1, y0, r2 \
	VUNPCKHPD y1, y0, r3

#define STORE(half, first, second) \
	VPERM2F128 half, second, first, Y8 \
	VMOVUPS    Y8, (DI)               \
	ADDQ       R8, DI                 \
	DECQ       CX                     \
	JZ         done

// func interleaveAVX2(dst []float32, width int, src []float32, stride, rows, k int)
TEXT ·interleaveAVX2(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ width+24(FP), R8
	MOVQ src_base+32(FP), SI
	MOVQ stride+56(FP), DX
	MOVQ k+72(FP), CX
	SHLQ $2, R8
	SHLQ $2, DX
	XORL R10, R10

block:
	MOVQ    $8, BX
	CMPQ    CX, BX
	CMOVQLT CX, BX
	SHLQ    $2, BX
	LEAQ    ·laneMasks+32(SB), AX
	SUBQ    BX, AX
	VMOVUPS (AX), Y15
	MOVQ    SI, AX
	MOVQ    rows+64(FP), R9
	MOVQ    DX, R11
	LOAD(Y0)
	LOAD(Y1)
	LOAD(Y2)
	LOAD(Y3)
	LOAD(Y4)
	LOAD(Y5)
	LOAD(Y6)
	LOAD(Y7)
	PAIR(Y0, Y1, Y8, Y9)
	PAIR(Y2, Y3, Y10, Y11)
	PAIR(Y4, Y5, Y12, Y13)
	PAIR(Y6, Y7, Y14, Y15)
	FOUR(Y8, Y9, Y10, Y11, Y0, Y1, Y2, Y3)
	FOUR(Y12, Y13, Y14, Y15, Y4, Y5, Y6, Y7)
	STORE($0x20, Y0, Y4)
	STORE($0x20, Y1, Y5)
	STORE($0x20, Y2, Y6)
	STORE($0x20, Y3, Y7)
	STORE($0x31, Y0, Y4)
	STORE($0x31, Y1, Y5)
	STORE($0x31, Y2, Y6)
	STORE($0x31, Y3, Y7)
	ADDQ    $32, SI
	JMP     block

done:
	VZEROUPPER
	RET

// func copyTileAVX2(dst, src []float32, stride, k int)
TEXT ·copyTileAVX2(SB), NOSPLIT, $0-64
	MOVQ dst_base+0(FP), DI
	MOVQ src_base+24(FP), SI
	MOVQ stride+48(FP), DX
	MOVQ k+56(FP), CX

loop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	LEAQ    (SI)(DX*4), SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET
