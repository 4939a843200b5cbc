package runlog

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/strictjson"
)

func TestEpoch_MonitorsTheValidationLossIfThereIsOne(t *testing.T) {
	r := &Epoch{AvgLoss: 2}
	require.Equal(t, 2.0, r.Monitored())
	smoothed, val := strictjson.Float(5), strictjson.Float(3)
	r.SmoothedLoss = &smoothed
	require.Equal(t, 2.0, r.Monitored(), "the loss without label smoothing")
	r.ValLoss = &val
	require.Equal(t, 3.0, r.Monitored())
}

func TestEpoch_ANullIsNaN(t *testing.T) {
	var r Epoch
	require.NoError(t, json.Unmarshal([]byte(`{"avg_loss":null,"ppl":2}`), &r))
	require.True(t, math.IsNaN(float64(r.AvgLoss)))
	require.Equal(t, strictjson.Float(2), r.PPL)
}

func TestGroups_NameEachLayerOnce(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{nil, nil},
		{[]string{"wte.weight", "wpe.weight"}, []string{"wte", "wpe"}},
		{[]string{"h.0.mlp.c_fc.weight", "h.0.mlp.c_fc.bias"}, []string{"h.0.mlp.c_fc"}},
		{[]string{"h.0.attn.c_attn.weight", "h.1.attn.c_attn.bias"}, []string{"h.0.attn.c_attn", "h.1.attn.c_attn"}},
		{[]string{"h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "h.0.attn.c_proj.weight", "h.1.attn.c_proj.weight"},
			[]string{"h.0.attn", "h.1.attn.c_proj"}},
	} {
		require.Equal(t, c.want, Groups(c.names))
	}
}
