package strictjson

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFloat_WritesNaNAndInfinitiesAsNull(t *testing.T) {
	text, err := json.Marshal([]Float{Float(math.NaN()), Float(math.Inf(1)), Float(math.Inf(-1)), 0.5, 1e-300})
	require.NoError(t, err)
	require.Equal(t, "[null,null,null,0.5,1e-300]", string(text))
}

func TestFloat_ReadsNullAsNaN(t *testing.T) {
	var r struct {
		Loss Float  `json:"loss"`
		PPL  Float  `json:"ppl"`
		Val  *Float `json:"val"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"loss":null,"ppl":2}`), &r))
	require.True(t, math.IsNaN(float64(r.Loss)))
	require.Equal(t, Float(2), r.PPL)
	require.Nil(t, r.Val, "an optional number that is missing")
	require.Error(t, json.Unmarshal([]byte(`{"loss":"2"}`), &r))
}

func TestFloat_ADashStandsForNaN(t *testing.T) {
	require.Equal(t, "-", Float(math.NaN()).OrDash("%.2f"))
	require.Equal(t, "0.50", Float(0.5).OrDash("%.2f"))
	require.Equal(t, "+Inf", Float(math.Inf(1)).OrDash("%.2f"))
}

// brokenWriter fails every write.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestPrint_WritesOneLineAndEscapesNoHTML(t *testing.T) {
	var out strings.Builder
	require.NoError(t, Print(&out, map[string]any{"text": "<b> & 鲸", "loss": Float(math.NaN())}))
	require.Equal(t, `{"loss":null,"text":"<b> & 鲸"}`+"\n", out.String())
	require.ErrorContains(t, Print(brokenWriter{}, 1), "no space left")
}
