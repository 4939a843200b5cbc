package runlog

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"regexp"
	"strings"
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

// docs/log.md names every field of every record, in order, with its kind and whether it is always written.

const page = "../../docs/log.md"

// records are the records of a log by the name of their event.
var records = map[string]any{
	"run": Run{}, "epoch": Epoch{}, "steps": Steps{}, "sample": Sample{}, "attn_gradient": AttnGradient{}, "end": End{},
}

// kindOf returns how the page calls the JSON values of a type.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Map:
		return "object of " + kindOf(t.Elem()) + "s"
	case reflect.Slice:
		return "list of " + kindOf(t.Elem()) + "s"
	case reflect.Struct:
		return "object"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	}
	return "number"
}

// fieldsOf lists the fields of a record as "name: kind" with ", sometimes" for those that may be left out.
func fieldsOf(t reflect.Type, prefix string) (fields []string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() {
			continue
		}
		line := prefix + name + ": " + kindOf(f.Type)
		if strings.Contains(options, "omitempty") {
			line += ", sometimes"
		}
		fields = append(fields, line)
		inside := map[reflect.Kind]string{reflect.Slice: "[].", reflect.Map: ".*."}[f.Type.Kind()]
		if inside != "" && f.Type.Elem().Kind() == reflect.Struct {
			fields = append(fields, fieldsOf(f.Type.Elem(), prefix+name+inside)...)
		}
	}
	return fields
}

// tables returns the cells of the page's rows: those of the table of lines, and those of the table of fields.
func tables(t *testing.T) (lines, fields [][]string) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		switch begins := strings.HasPrefix(cells[0], "`"); {
		case begins && len(cells) == 3:
			lines = append(lines, cells)
		case (begins || cells[0] == "") && len(cells) == 5:
			fields = append(fields, cells)
		}
	}
	return lines, fields
}

func TestRecords_AreThoseOfThePage(t *testing.T) {
	source, err := os.ReadFile("runlog.go")
	require.NoError(t, err)
	events := map[string]string{}
	decoded := regexp.MustCompile(`case "(\w+)":\s+.*Decode\[(\w+)\]`)
	for _, m := range decoded.FindAllStringSubmatch(string(source), -1) {
		events[m[1]] = m[2]
	}
	require.Len(t, events, len(records), "records of this test and events that a log may have: %v", events)

	_, rows := tables(t)
	documented, event := map[string][]string{}, ""
	for _, row := range rows {
		if row[0] != "" {
			event = strings.Trim(row[0], "`")
		}
		field := strings.Trim(row[1], "`") + ": " + row[2]
		if row[3] != "always" {
			field += ", sometimes"
		}
		documented[event] = append(documented[event], field)
	}
	require.Len(t, documented, len(records))
	for event, record := range records {
		require.Equal(t, events[event], reflect.TypeOf(record).Name())
		require.Equal(t, fieldsOf(reflect.TypeOf(record), ""), documented[event], "%s: the %s line", page, event)
	}
}

func TestRecords_TheSamplesOfThePageAreALog(t *testing.T) {
	lines, _ := tables(t)
	var log strings.Builder
	for _, row := range lines {
		sample := strings.Trim(row[2], "`")
		require.True(t, strings.HasPrefix(sample, `{"event":"`+strings.Trim(row[0], "`")+`"`), sample)
		log.WriteString(sample + "\n")
	}
	require.Len(t, lines, len(records), "one sample of each line")
	l, err := Parse([]byte(log.String()))
	require.NoError(t, err)
	require.NotNil(t, l.End)
	require.Len(t, l.Phases, 1)
	require.Len(t, l.Phases[0].Gradients, 1)
	require.Len(t, l.Phases[0].Samples, 1)
	require.Len(t, l.Phases[0].Steps, 1)
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
