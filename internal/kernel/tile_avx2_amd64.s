//go:build !purego

#include "textflag.h"

// The AVX2 tile: up to 6 rows by 16 columns of c, 12 accumulators Y0..Y11, two vectors of b (Y12, Y13) and one number
// of a at a time (Y14, Y15 in turn). The addresses of the rows are formed as in the AVX-512 tile.

#define ROW(addr, x, lo, hi) \
	VBROADCASTSS addr, x       \
	VFMADD231PS  Y12, x, lo    \
	VFMADD231PS  Y13, x, hi

#define ROWS1 ROW((AX), Y14, Y0, Y1)
#define ROWS2 ROWS1 ROW((AX)(R8*1), Y15, Y2, Y3)
#define ROWS3 ROWS2 ROW((AX)(R8*2), Y14, Y4, Y5)
#define ROWS4 ROWS3 ROW((AX)(R9*1), Y15, Y6, Y7)
#define ROWS5 ROWS4 ROW((AX)(R8*4), Y14, Y8, Y9)
#define ROWS6 ROWS5 ROW((AX)(R10*1), Y15, Y10, Y11)

#define LOOP(label, rows) \
label:                        \
	VMOVUPS     (BX), Y12         \
	VMOVUPS     32(BX), Y13       \
	PREFETCHT0  (BX)(DX*8)        \
	rows                          \
	ADDQ        SI, AX            \
	ADDQ        DX, BX            \
	DECQ        CX                \
	JNZ         label             \
	JMP         store

#define DISPATCH(n, label) \
	CMPQ DI, $n \
	JEQ  label

// GET and PUT move a vector between c and a register: a whole one, or the lanes of a mask.
#define GET(addr, mask, v) VMOVUPS addr, v
#define PUT(v, mask, addr) VMOVUPS v, addr
#define GETMASKED(addr, mask, v) VMASKMOVPS addr, mask, v
#define PUTMASKED(v, mask, addr) VMASKMOVPS v, mask, addr

#define ADDTO(get, lo, hi, next) \
	get((DI), Y12, Y14)   \
	VADDPS Y14, lo, lo    \
	get(32(DI), Y13, Y14) \
	VADDPS Y14, hi, hi    \
	ADDQ   R8, DI         \
	DECQ   SI             \
	JZ     next

#define STORE(put, lo, hi, next) \
	put(lo, Y12, (DI))   \
	put(hi, Y13, 32(DI)) \
	ADDQ R8, DI          \
	DECQ SI              \
	JZ   next

// EACHROW does op for the m rows of c, then jumps to next.
#define EACHROW(op, move, next) \
	MOVQ c_base+80(FP), DI    \
	MOVQ m+112(FP), SI        \
	op(move, Y0, Y1, next)    \
	op(move, Y2, Y3, next)    \
	op(move, Y4, Y5, next)    \
	op(move, Y6, Y7, next)    \
	op(move, Y8, Y9, next)    \
	op(move, Y10, Y11, next)

// func tileAVX2(
//	k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, cRow, m, n int, accumulate bool)
TEXT ·tileAVX2(SB), NOSPLIT, $0-129
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
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
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

store:
	MOVQ cRow+104(FP), R8
	SHLQ $2, R8
	MOVB accumulate+128(FP), R11
	MOVQ n+120(FP), CX
	CMPQ CX, $16
	JEQ  whole

	// The masks of n columns: min(n, 8) lanes and max(n-8, 0) lanes.
	MOVQ    $8, AX
	XORL    BX, BX
	SUBQ    AX, CX
	CMOVQGT CX, BX
	ADDQ    AX, CX
	CMPQ    CX, AX
	CMOVQLT CX, AX
	SHLQ    $2, AX
	SHLQ    $2, BX
	LEAQ    ·laneMasks+32(SB), R9
	MOVQ    R9, R10
	SUBQ    AX, R9
	SUBQ    BX, R10
	VMOVUPS (R9), Y12
	VMOVUPS (R10), Y13
	TESTB   R11, R11
	JZ      storeMasked
	EACHROW(ADDTO, GETMASKED, storeMasked)

storeMasked:
	EACHROW(STORE, PUTMASKED, done)

whole:
	TESTB R11, R11
	JZ    storeWhole
	EACHROW(ADDTO, GET, storeWhole)

storeWhole:
	EACHROW(STORE, PUT, done)

done:
	VZEROUPPER
	RET
