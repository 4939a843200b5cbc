// Transposition of 16 rows by 16 columns in registers, in four steps: pairs of rows, fours of rows, and twice lanes.

// PAIR: x = a0 b0 a1 b1, y = a2 b2 a3 b3 in each lane.
#define PAIR(a, b, x, y) \
	VUNPCKLPS b, a, x \
	VUNPCKHPS b, a, y

// FOUR: r0..r3 receive columns 0..3 of each lane, of four rows.
#define FOUR(x0, y0, x1, y1, r0, r1, r2, r3) \
	VUNPCKLPD x1, x0, r0 \
	VUNPCKHPD x1, x0, r1 \
	VUNPCKLPD y1, y0, r2 \
	VUNPCKHPD y1, y0, r3

// LANES transposes the 4x4 lanes of a, b, c, d in place.
#define LANES(a, b, c, d, t0, t1, t2, t3) \
	VSHUFF32X4 $0x88, b, a, t0   \
	VSHUFF32X4 $0xdd, b, a, t1   \
	VSHUFF32X4 $0x88, d, c, t2   \
	VSHUFF32X4 $0xdd, d, c, t3   \
	VSHUFF32X4 $0x88, t2, t0, a  \
	VSHUFF32X4 $0x88, t3, t1, b  \
	VSHUFF32X4 $0xdd, t2, t0, c  \
	VSHUFF32X4 $0xdd, t3, t1, d
