// The vector kernels, written once for both widths. The including file defines
//	LANES, BYTES     the floats of a vector and their bytes
//	V0..V14, H0, H1  its registers, and the registers of the lower half of V0 and V1
//	LOAD, STORE      move a whole vector; LOADTAIL, STORETAIL: the lanes of the mask, others read as 0
//	KEEP, KEEPTAIL   keep all lanes of a register; the lanes of the mask, others set to 0
//	MASK             sets the mask to the first CX lanes (uses R10)
//	ROUND(v)         rounds to the nearest integer
//	UPPER            moves the upper half of V0 to H1
//	FOLD             adds the upper half of V0 to its lower half, in float64, where a vector is wider than a Y register
//	MAXFOLD          sets the lower half of V8 to the maximum of its halves, likewise
// and the name of each function. The body of a loop is a macro: it processes whole vectors and the masked rest alike.

// EACH runs a body for every vector and for the rest. BX counts bytes, CX the remaining numbers.
#define EACH(body) \
	XORL  BX, BX                      \
loop:                               \
	CMPQ  CX, $LANES                  \
	JLT   rest                        \
	body(LOAD, STORE, KEEP)           \
	ADDQ  $BYTES, BX                  \
	SUBQ  $LANES, CX                  \
	JMP   loop                        \
rest:                               \
	TESTQ CX, CX                      \
	JZ    done                        \
	MASK                              \
	body(LOADTAIL, STORETAIL, KEEPTAIL) \
done:

// The rows of vectorConstants.
#define LOWEST     ·vectorConstants+0(SB)
#define HIGHEST    ·vectorConstants+64(SB)
#define LOG2E      ·vectorConstants+128(SB)
#define LN2HIGH    ·vectorConstants+192(SB)
#define LN2LOW     ·vectorConstants+256(SB)
#define C7         ·vectorConstants+320(SB)
#define C6         ·vectorConstants+384(SB)
#define C5         ·vectorConstants+448(SB)
#define C4         ·vectorConstants+512(SB)
#define C3         ·vectorConstants+576(SB)
#define C2         ·vectorConstants+640(SB)
#define ONE        ·vectorConstants+704(SB)
#define BIAS       ·vectorConstants+768(SB)
#define GELU1      ·vectorConstants+832(SB)
#define GELU3      ·vectorConstants+896(SB)
#define SLOPE1     ·vectorConstants+960(SB)
#define SLOPE3     ·vectorConstants+1024(SB)
#define GELULOW    ·vectorConstants+1088(SB)
#define GELUHIGH   ·vectorConstants+1152(SB)

// CLAMP: x = min(max(x, low), high). NaN stays NaN: the instructions return the operand written first if one is NaN.
#define CLAMP(low, high, x, t) \
	VMOVUPS low, t       \
	VMAXPS  x, t, x      \
	VMOVUPS high, t      \
	VMINPS  x, t, x

// EXP: V0 = exp(V0). Uses V1, V2, V3.
#define EXP \
	CLAMP(LOWEST, HIGHEST, V0, V1) \
	VMULPS       LOG2E, V0, V1       \
	ROUND(V1)                        \
	VFNMADD231PS LN2HIGH, V1, V0     \
	VFNMADD231PS LN2LOW, V1, V0      \
	VMOVUPS      C7, V2              \
	VFMADD213PS  C6, V0, V2          \
	VFMADD213PS  C5, V0, V2          \
	VFMADD213PS  C4, V0, V2          \
	VFMADD213PS  C3, V0, V2          \
	VFMADD213PS  C2, V0, V2          \
	VFMADD213PS  ONE, V0, V2         \
	VFMADD213PS  ONE, V0, V2         \
	VCVTPS2DQ    V1, V1              \
	VPSRAD       $1, V1, V3          \
	VPSUBD       V3, V1, V1          \
	VPADDD       BIAS, V3, V3        \
	VPADDD       BIAS, V1, V1        \
	VPSLLD       $23, V3, V3         \
	VPSLLD       $23, V1, V1         \
	VMULPS       V3, V2, V2          \
	VMULPS       V1, V2, V0

// GELUEXP: V5 = V4², V0 = exp(-2u) for x = V4.
#define GELUEXP \
	VMULPS      V4, V4, V5    \
	VMOVUPS     GELU3, V0     \
	VFMADD213PS GELU1, V5, V0 \
	VMULPS      V4, V0, V0    \
	EXP

// func(x []float32, a float32)
#define SCALEBODY(load, store, keep) \
	load((DI)(BX*1), V0) \
	VMULPS V10, V0, V0   \
	store(V0, (DI)(BX*1))

TEXT SCALE, NOSPLIT, $0-28
	MOVQ         x_base+0(FP), DI
	MOVQ         x_len+8(FP), CX
	VBROADCASTSS a+24(FP), V10
	EACH(SCALEBODY)
	VZEROUPPER
	RET

// func(z, x, y []float32)
#define ADDBODY(load, store, keep) \
	load((SI)(BX*1), V0)  \
	load((DX)(BX*1), V1)  \
	VADDPS V1, V0, V0     \
	store(V0, (DI)(BX*1))

TEXT ADD, NOSPLIT, $0-72
	MOVQ z_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	MOVQ y_base+48(FP), DX
	EACH(ADDBODY)
	VZEROUPPER
	RET

// func(ds, p []float32, mean, factor float32)
#define SOFTBACKWARDBODY(load, store, keep) \
	load((DI)(BX*1), V0)  \
	load((SI)(BX*1), V1)  \
	VSUBPS V10, V0, V0    \
	VMULPS V11, V1, V1    \
	VMULPS V0, V1, V1     \
	store(V1, (DI)(BX*1))

TEXT SOFTBACKWARD, NOSPLIT, $0-56
	MOVQ         ds_base+0(FP), DI
	MOVQ         p_base+24(FP), SI
	MOVQ         p_len+32(FP), CX
	VBROADCASTSS mean+48(FP), V10
	VBROADCASTSS factor+52(FP), V11
	EACH(SOFTBACKWARDBODY)
	VZEROUPPER
	RET

// func(y, x []float32)
#define GELUBODY(load, store, keep) \
	load((SI)(BX*1), V4)  \
	GELUEXP               \
	VADDPS ONE, V0, V0    \
	VDIVPS V0, V4, V0     \
	store(V0, (DI)(BX*1))

TEXT GELU, NOSPLIT, $0-48
	MOVQ y_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	EACH(GELUBODY)
	VZEROUPPER
	RET

// func(dx, x, dy []float32): V6 = s = 1/(1+e), V0 = x·s·(e·s), V3 = 2u'.
#define SLOPEBODY(load, store, keep) \
	load((SI)(BX*1), V4)               \
	CLAMP(GELULOW, GELUHIGH, V4, V5)   \
	GELUEXP                            \
	VMOVUPS     ONE, V1                \
	VADDPS      V1, V0, V2             \
	VDIVPS      V2, V1, V6             \
	VMULPS      V6, V0, V0             \
	VMULPS      V6, V0, V0             \
	VMULPS      V4, V0, V0             \
	VMOVUPS     SLOPE3, V3             \
	VFMADD213PS SLOPE1, V5, V3         \
	VFMADD231PS V3, V0, V6             \
	load((DX)(BX*1), V0)               \
	VMULPS      V0, V6, V6             \
	store(V6, (DI)(BX*1))

TEXT GELUBACKWARD, NOSPLIT, $0-72
	MOVQ dx_base+0(FP), DI
	MOVQ x_base+24(FP), SI
	MOVQ x_len+32(FP), CX
	MOVQ dy_base+48(FP), DX
	EACH(SLOPEBODY)
	VZEROUPPER
	RET

// func(y, x []float32, mean, rstd float32, gain, bias []float32)
#define NORMALIZEBODY(load, store, keep) \
	load((SI)(BX*1), V0)    \
	VSUBPS V10, V0, V0      \
	VMULPS V11, V0, V0      \
	load((R8)(BX*1), V1)    \
	load((R9)(BX*1), V2)    \
	VFMADD231PS V1, V0, V2  \
	store(V2, (DI)(BX*1))

TEXT NORMALIZEROW, NOSPLIT, $0-104
	MOVQ         y_base+0(FP), DI
	MOVQ         x_base+24(FP), SI
	MOVQ         x_len+32(FP), CX
	VBROADCASTSS mean+48(FP), V10
	VBROADCASTSS rstd+52(FP), V11
	MOVQ         gain_base+56(FP), R8
	MOVQ         bias_base+80(FP), R9
	EACH(NORMALIZEBODY)
	VZEROUPPER
	RET

// func(dx, dy, gain, x []float32, mean, a, b, c float32)
#define NORMBACKWARDBODY(load, store, keep) \
	load((SI)(BX*1), V0)     \
	load((R8)(BX*1), V1)     \
	load((R9)(BX*1), V2)     \
	VMULPS V1, V0, V0        \
	VSUBPS V10, V2, V2       \
	VFMADD213PS V12, V13, V2 \
	VFMADD231PS V0, V11, V2  \
	store(V2, (DI)(BX*1))

TEXT NORMBACKWARD, NOSPLIT, $0-112
	MOVQ         dx_base+0(FP), DI
	MOVQ         dy_base+24(FP), SI
	MOVQ         gain_base+48(FP), R8
	MOVQ         x_base+72(FP), R9
	MOVQ         x_len+80(FP), CX
	VBROADCASTSS mean+96(FP), V10
	VBROADCASTSS a+100(FP), V11
	VBROADCASTSS b+104(FP), V12
	VBROADCASTSS c+108(FP), V13
	EACH(NORMBACKWARDBODY)
	VZEROUPPER
	RET

// func(dgain, dy, x []float32, mean, rstd float32)
#define NORMGAINBODY(load, store, keep) \
	load((R9)(BX*1), V0)     \
	load((SI)(BX*1), V1)     \
	load((DI)(BX*1), V2)     \
	VSUBPS V10, V0, V0       \
	VMULPS V11, V0, V0       \
	VFMADD231PS V1, V0, V2   \
	store(V2, (DI)(BX*1))

TEXT NORMGAINGRAD, NOSPLIT, $0-80
	MOVQ         dgain_base+0(FP), DI
	MOVQ         dy_base+24(FP), SI
	MOVQ         x_base+48(FP), R9
	MOVQ         x_len+56(FP), CX
	VBROADCASTSS mean+72(FP), V10
	VBROADCASTSS rstd+76(FP), V11
	EACH(NORMGAINBODY)
	VZEROUPPER
	RET

// func(w, m, v, g []float32, s AdamStep): V5 LR, V6 β1, V7 β2, V8 Eps, V9 Decay, V10 1/c1, V11 1/c2, V12 GradScale,
// V13 1-β1, V14 1-β2.
#define ADAMBODY(load, store, keep) \
	load((R9)(BX*1), V0)       \
	VMULPS      V12, V0, V0    \
	load((SI)(BX*1), V1)       \
	VMULPS      V6, V1, V1     \
	VFMADD231PS V13, V0, V1    \
	store(V1, (SI)(BX*1))      \
	load((R8)(BX*1), V2)       \
	VMULPS      V7, V2, V2     \
	VMULPS      V0, V0, V0     \
	VFMADD231PS V14, V0, V2    \
	store(V2, (R8)(BX*1))      \
	VMULPS      V11, V2, V2    \
	VSQRTPS     V2, V2         \
	VADDPS      V8, V2, V2     \
	VMULPS      V10, V1, V1    \
	VDIVPS      V2, V1, V1     \
	load((DI)(BX*1), V3)       \
	VFMADD231PS V9, V3, V1     \
	VFNMADD231PS V5, V1, V3    \
	store(V3, (DI)(BX*1))

TEXT ADAMUPDATE, NOSPLIT, $0-128
	MOVQ         w_base+0(FP), DI
	MOVQ         w_len+8(FP), CX
	MOVQ         m_base+24(FP), SI
	MOVQ         v_base+48(FP), R8
	MOVQ         g_base+72(FP), R9
	VBROADCASTSS s_LR+96(FP), V5
	VBROADCASTSS s_Beta1+100(FP), V6
	VBROADCASTSS s_Beta2+104(FP), V7
	VBROADCASTSS s_Eps+108(FP), V8
	VBROADCASTSS s_Decay+112(FP), V9
	VMOVUPS      ONE, V0
	VSUBPS       V6, V0, V13
	VSUBPS       V7, V0, V14
	VBROADCASTSS s_Correction1+116(FP), V1
	VDIVPS       V1, V0, V10
	VBROADCASTSS s_Correction2+120(FP), V1
	VDIVPS       V1, V0, V11
	VBROADCASTSS s_GradScale+124(FP), V12
	EACH(ADAMBODY)
	VZEROUPPER
	RET
