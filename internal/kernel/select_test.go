package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelect_RejectsAnUnknownKernel(t *testing.T) {
	defer func(k *kernel) { kern = k }(kern)
	require.ErrorContains(t, Select("avx1024"), "avx1024: not a kernel of this machine (")
	require.NoError(t, Select("portable"))
	require.Equal(t, "portable", Name())
	require.NoError(t, Select(Auto))
	require.Equal(t, kernels[0].name, Name())
}
