//go:build !purego

package kernel

// cpuid executes the instruction CPUID.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of XCR0: the register states that the operating system saves. The processor must have
// OSXSAVE.
func xgetbv() uint32

// cpuFeatures reports whether the processor has, and the operating system supports, the instructions that the kernels
// use: AVX2 with FMA, and AVX-512 F, DQ, BW, VL (Intel SDM vol. 1, 15.2).
func cpuFeatures() (avx2, avx512 bool) {
	if highest, _, _, _ := cpuid(0, 0); highest < 7 {
		return false, false
	}
	_, _, ecx1, _ := cpuid(1, 0)
	_, ebx7, _, _ := cpuid(7, 0)
	const fmaBit, osxsaveBit, avxBit = 1 << 12, 1 << 27, 1 << 28
	if !hasBits(ecx1, fmaBit|osxsaveBit|avxBit) {
		return false, false
	}
	const ymmState, zmmState = 1<<1 | 1<<2, 1<<1 | 1<<2 | 1<<5 | 1<<6 | 1<<7
	const avx2Bit, avx512Bits = 1 << 5, 1<<16 | 1<<17 | 1<<30 | 1<<31 // F, DQ, BW, VL
	saved := xgetbv()
	avx2 = hasBits(ebx7, avx2Bit) && hasBits(saved, ymmState)
	return avx2, avx2 && hasBits(ebx7, avx512Bits) && hasBits(saved, zmmState)
}

// hasBits reports whether all of bits are set in word.
func hasBits(word, bits uint32) bool { return word&bits == bits }
