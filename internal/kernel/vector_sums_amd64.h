// The sums and the maximum, written with the macros of vector_amd64.h.

// SUM64 adds the floats of V0, as float64, to the sums V8, V9. Uses V1.
#define SUM64 \
	UPPER              \
	VCVTPS2PD H0, V0   \
	VADDPD    V0, V8, V8 \
	VCVTPS2PD H1, V1   \
	VADDPD    V1, V9, V9

// TOTAL: X0 = the sum of a and b. Uses V1.
#define TOTAL(a, b) \
	VADDPD       b, a, V0     \
	FOLD                      \
	VEXTRACTF128 $1, Y0, X1   \
	VADDPD       X1, X0, X0   \
	VPERMILPD    $1, X0, X1   \
	VADDSD       X1, X0, X0

// func(dst, x []float32, factor, shift float32) float64
#define EXPSUMBODY(load, store, keep) \
	load((SI)(BX*1), V0)       \
	VFMSUB213PS V10, V11, V0   \
	EXP                   \
	keep(V0)              \
	store(V0, (DI)(BX*1)) \
	SUM64

TEXT EXPSUM, NOSPLIT, $0-64
	MOVQ         dst_base+0(FP), DI
	MOVQ         x_base+24(FP), SI
	MOVQ         x_len+32(FP), CX
	VBROADCASTSS factor+48(FP), V11
	VBROADCASTSS shift+52(FP), V10
	VXORPD       V8, V8, V8
	VXORPD       V9, V9, V9
	EACH(EXPSUMBODY)
	TOTAL(V8, V9)
	VMOVSD       X0, ret+56(FP)
	VZEROUPPER
	RET

// func(x []float32) float64
#define SUMBODY(load, store, keep) \
	load((SI)(BX*1), V0) \
	SUM64

TEXT SUM, NOSPLIT, $0-32
	MOVQ   x_base+0(FP), SI
	MOVQ   x_len+8(FP), CX
	VXORPD V8, V8, V8
	VXORPD V9, V9, V9
	EACH(SUMBODY)
	TOTAL(V8, V9)
	VMOVSD X0, ret+24(FP)
	VZEROUPPER
	RET

// func(x []float32) (sum, squares float64)
#define SUMSBODY(load, store, keep) \
	load((SI)(BX*1), V0)    \
	UPPER                   \
	VCVTPS2PD   H0, V0      \
	VCVTPS2PD   H1, V1      \
	VADDPD      V0, V8, V8  \
	VADDPD      V1, V9, V9  \
	VFMADD231PD V0, V0, V10 \
	VFMADD231PD V1, V1, V11

TEXT SUMS, NOSPLIT, $0-40
	MOVQ   x_base+0(FP), SI
	MOVQ   x_len+8(FP), CX
	VXORPD V8, V8, V8
	VXORPD V9, V9, V9
	VXORPD V10, V10, V10
	VXORPD V11, V11, V11
	EACH(SUMSBODY)
	TOTAL(V8, V9)
	VMOVSD X0, sum+24(FP)
	TOTAL(V10, V11)
	VMOVSD X0, squares+32(FP)
	VZEROUPPER
	RET

// func(dy, gain, x []float32) (sumG, sumGX float64)
#define NORMSUMSBODY(load, store, keep) \
	load((SI)(BX*1), V0)    \
	load((R8)(BX*1), V1)    \
	VMULPS      V1, V0, V0  \
	UPPER                   \
	VCVTPS2PD   H0, V2      \
	VCVTPS2PD   H1, V3      \
	VADDPD      V2, V8, V8  \
	VADDPD      V3, V9, V9  \
	load((R9)(BX*1), V0)    \
	UPPER                   \
	VCVTPS2PD   H0, V0      \
	VCVTPS2PD   H1, V1      \
	VFMADD231PD V0, V2, V10 \
	VFMADD231PD V1, V3, V11

TEXT NORMSUMS, NOSPLIT, $0-88
	MOVQ   dy_base+0(FP), SI
	MOVQ   gain_base+24(FP), R8
	MOVQ   x_base+48(FP), R9
	MOVQ   x_len+56(FP), CX
	VXORPD V8, V8, V8
	VXORPD V9, V9, V9
	VXORPD V10, V10, V10
	VXORPD V11, V11, V11
	EACH(NORMSUMSBODY)
	TOTAL(V8, V9)
	VMOVSD X0, sumG+72(FP)
	TOTAL(V10, V11)
	VMOVSD X0, sumGX+80(FP)
	VZEROUPPER
	RET

// func(x, y []float32) float64
#define DOTBODY(load, store, keep) \
	load((SI)(BX*1), V0)  \
	UPPER                 \
	VCVTPS2PD   H0, V2    \
	VCVTPS2PD   H1, V3    \
	load((DI)(BX*1), V0)  \
	UPPER                 \
	VCVTPS2PD   H0, V0    \
	VCVTPS2PD   H1, V1    \
	VFMADD231PD V0, V2, V8 \
	VFMADD231PD V1, V3, V9

TEXT DOT, NOSPLIT, $0-56
	MOVQ   x_base+0(FP), SI
	MOVQ   x_len+8(FP), CX
	MOVQ   y_base+24(FP), DI
	VXORPD V8, V8, V8
	VXORPD V9, V9, V9
	EACH(DOTBODY)
	TOTAL(V8, V9)
	VMOVSD X0, ret+48(FP)
	VZEROUPPER
	RET

// func(x []float32) float32, len(x) >= LANES: the last vector may overlap the one before. NaN in V0 does not change V8.
TEXT MAX, NOSPLIT, $0-28
	MOVQ         x_base+0(FP), SI
	MOVQ         x_len+8(FP), CX
	LEAQ         -BYTES(SI)(CX*4), DI
	VBROADCASTSS ·negativeInf(SB), V8

loop:
	VMOVUPS (SI), V0
	VMAXPS  V8, V0, V8
	ADDQ    $BYTES, SI
	CMPQ    SI, DI
	JLS     loop
	VMOVUPS (DI), V0
	VMAXPS  V8, V0, V8

	MAXFOLD
	VEXTRACTF128 $1, Y8, X0
	VMAXPS       X0, X8, X8
	VPERMILPS    $0x4e, X8, X0
	VMAXPS       X0, X8, X8
	VPERMILPS    $0xb1, X8, X0
	VMAXPS       X0, X8, X8
	VMOVSS       X8, ret+24(FP)
	VZEROUPPER
	RET
