package strictjson

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestObject_KeepsItsMembersAsTheyAre(t *testing.T) {
	members, err := Object([]byte(` {"a": [1, 2], "A": null, "\u00e9": {"b": 1}} `))
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{
		"a": json.RawMessage("[1, 2]"), "A": json.RawMessage("null"), "é": json.RawMessage(`{"b": 1}`)}, members)
	members, err = Object([]byte("{}"))
	require.NoError(t, err)
	require.Empty(t, members)
}

func TestObject_Refuses(t *testing.T) {
	for raw, want := range map[string]string{
		`[]`: "not an object", `null`: "not an object", `"{}"`: "not an object", `1`: "not an object", ``: "not an object",
		`{"a":1,"b":2,"a":1}`: `duplicate key "a"`,
		`{"a":1,"\u0061":2}`:  `duplicate key "a"`,
	} {
		_, err := Object([]byte(raw))
		require.EqualError(t, err, want, raw)
	}
	_, err := Object(nil)
	require.ErrorIs(t, err, ErrMissing)
}

func TestString_IsAStringAndNothingElse(t *testing.T) {
	for raw, want := range map[string]string{`""`: "", `"a\n\u00e9"`: "a\né", `"null"`: "null"} {
		got, err := String([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, raw := range []string{`null`, `1`, `true`, `["a"]`, `{}`} {
		_, err := String([]byte(raw))
		require.EqualError(t, err, "not a string", raw)
	}
	_, err := String(nil)
	require.ErrorIs(t, err, ErrMissing)
}

func TestSizes_AreWholeNumbersThatFitAnInt64(t *testing.T) {
	got, err := Sizes([]byte(`[0, 7, 9223372036854775807]`))
	require.NoError(t, err)
	require.Equal(t, []int64{0, 7, 1<<63 - 1}, got)
	got, err = Sizes([]byte(`[]`))
	require.NoError(t, err)
	require.Empty(t, got)
	for raw, want := range map[string]string{
		`null`: "not an array", `1`: "not an array", `{}`: "not an array",
		`[-1]`: "item 1 is not a whole number from 0 to 2^63-1", `[0,1.0]`: "item 2 is not a whole number from 0 to 2^63-1",
		`[1e2]`: "item 1 is not a whole number from 0 to 2^63-1", `[null]`: "item 1 is not a whole number from 0 to 2^63-1",
		`["1"]`:                 "item 1 is not a whole number from 0 to 2^63-1",
		`[9223372036854775808]`: "item 1 is not a whole number from 0 to 2^63-1",
	} {
		_, err := Sizes([]byte(raw))
		require.EqualError(t, err, want, raw)
	}
	_, err = Sizes(nil)
	require.ErrorIs(t, err, ErrMissing)
}

func TestUnpairedSurrogate_FindsHalfOfAPair(t *testing.T) {
	for text, unpaired := range map[string]bool{
		`"\ud83d\ude00"`: false, `"\uD83D\uDE00\uD83D\uDE00"`: false, `"\\ud83d"`: false, `"\\\\u"`: false,
		`"\u00e9\n"`: false, `["a", {"\"": "\\"}]`: false,
		`"\ud83d"`: true, `"\ude00"`: true, `"\ude00\ud83d"`: true, `"\ud83dx\ude00"`: true, `"\ud83d\ud83d\ude00"`: true,
		`"\\\ud83d"`: true, `"\ud83d\\ude00"`: true, `"\ud83d\ude00\uDFFF"`: true, `{"a": ["b", "\ud83d"]}`: true,
	} {
		require.Equal(t, unpaired, UnpairedSurrogate([]byte(text)), text)
	}
}

func TestInvalidUTF8_IsTheOffsetOfTheFirstWrongByte(t *testing.T) {
	for text, want := range map[string]int{
		"": -1, "aé鲸\uFFFD": -1, "\xff": 0, "é\x80": 2, "a\xe9\xb2": 1, "\uFFFD\xc3": 3,
	} {
		require.Equal(t, want, InvalidUTF8([]byte(text)), "%q", text)
	}
}

func TestLineAt_CountsFromOne(t *testing.T) {
	text := []byte("ab\n\nc\n")
	for offset, want := range []int{1, 1, 1, 2, 3, 3, 4} {
		require.Equal(t, want, LineAt(text, offset), "offset %d", offset)
	}
}

// Whatever encoding/json finds well-formed, the readers either refuse or read as encoding/json does.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":["\ud83d\ude00"]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`"\\\ud83d"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		UnpairedSurrogate(raw)
		members, err := Object(raw)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &want))
		require.Equal(t, len(want), len(members))
		for key, value := range want {
			require.Equal(t, string(value), string(members[key]))
		}
	})
}
