// The sums and the maximum, in terms of vector_amd64.h.

// SUM64: the floats of V0 to float64 and to the sums V8, V9. Uses V1.
#define SUM64 \
	UPPER              \
	VCVTPS2PD H0, V0   \
	VADDPD    V0, V8, V8 \
	VCVTPS2PD H1, V1   \
	VADDPD    V1, V9, V9

// TOTAL: X0 = the sum of V8 and V9.
#define TOTAL \
	VADDPD       V9, V8, V0   \
	FOLD                      \
	VEXTRACTF128 $1, Y0, X1   \
	VADDPD       X1, X0, X0   \
	VPERMILPD    $1, X0, X1   \
	VADDSD       X1, X0, X0

// func(dst, x []float32, shift float32) float64
#define EXPSUMBODY(load, store, keep) \
	load((SI)(BX*1), V0)  \
	VSUBPS V10, V0, V0    \
	EXP                   \
	keep(V0)              \
	store(V0, (DI)(BX*1)) \
	SUM64

TEXT EXPSUM, NOSPLIT, $0-64
	MOVQ         dst_base+0(FP), DI
	MOVQ         x_base+24(FP), SI
	MOVQ         x_len+32(FP), CX
	VBROADCASTSS shift+48(FP), V10
	VXORPD       V8, V8, V8
	VXORPD       V9, V9, V9
	EACH(EXPSUMBODY)
	TOTAL
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
	TOTAL
	VMOVSD X0, ret+24(FP)
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
	TOTAL
	VMOVSD X0, ret+48(FP)
	VZEROUPPER
	RET

// func(x []float32) float32, len(x) >= LANES: the last vector may overlap the one before. A NaN in V0 leaves V8 as it is.
TEXT MAXOF, NOSPLIT, $0-28
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
