package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimeline_JoinsNeighbouringEpochsOfOneState(t *testing.T) {
	spans := SpansOf([]string{"×1", "×1", "×2", "", "×2"})
	require.Equal(t, []Span{{1, 2, "×1"}, {3, 3, "×2"}, {5, 5, "×2"}}, spans)
	tl := &Timeline{Epochs: 5, Rows: []Row{{"h.0.attn & more", 0, []Span{{1, 2, "frozen"}}}}}
	requireXML(t, string(tl.SVG()))
}
