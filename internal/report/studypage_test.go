package report

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gogpt/internal/chart"
	"gogpt/internal/strictjson"
	"gogpt/internal/study"
)

// pageStudy is a study of two panels, three rates and two levels of the last factor.
var pageStudy = &study.Study{
	Name: "page", Title: "Does <it> help?", Base: []string{"--accum=1"}, Window: 10, Seeds: []uint64{1, 2},
	Outcome: study.TrainLoss,
	Factors: []study.Factor{
		{Name: "backward", Levels: []study.Level{{Name: "exact"}, {Name: "rough"}}},
		{Name: "rate", Levels: []study.Level{{Name: "1e-4"}, {Name: "1e-3"}, {Name: "1e-2", Flags: []string{"--lr=1e-2"}}}},
		{Name: "freezing", Levels: []study.Level{{Name: "none"}, {Name: "all", Flags: []string{"--freeze-attn"}}}},
	},
	Comparisons: []study.Comparison{{Question: "Does it cost?", Prediction: study.Above, Sum: []study.Term{
		{Weight: 1, Cell: study.Cell{"rough", "1e-2", "all"}}, {Weight: -1, Cell: study.Cell{"rough", "1e-2", "none"}}}}},
}

// studyHTML returns the page of a study after change has set the results of its runs.
func studyHTML(t *testing.T, s *study.Study, change func(i int, r *study.Run)) string {
	runs := s.Runs()
	for i, r := range runs {
		r.Result = &study.Result{Vocab: 300, Kernel: "portable", Train: 2 + strictjson.Float(i%7)/1000}
		change(i, r)
	}
	path := filepath.Join(t.TempDir(), "study.html")
	require.NoError(t, WriteStudy(path, s.Summarize(runs, 0.01)))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestStudyPage_ShowsWhereALevelHelpsAndCosts(t *testing.T) {
	page := studyHTML(t, pageStudy, func(_ int, r *study.Run) {
		switch r.Cell.String() {
		case "exact, 1e-4, all":
			r.Result.Train = 3
		case "rough, 1e-2, all":
			r.Result.Train = 1
		case "rough, 1e-2, none":
			r.Result.Train = 3
		}
	})
	require.Contains(t, page, "<h1>Does &lt;it&gt; help?</h1>")
	require.Contains(t, page, "24 of 24 runs have finished")
	heat := page[strings.Index(page, `<table class="heat">`):]
	heat = heat[:strings.Index(heat, "</table>")]
	require.Equal(t, 4, strings.Count(heat, `<th scope="row">`)/2, "two panels of two levels")
	require.Regexp(t, `class="number bad" style="--share: \d+%">&#43;\d\.\d+ ± \d\.\d+<div class="note">costs</div>`, heat)
	require.Regexp(t, `class="number good" style="--share: \d+%">−\d\.\d+ ± \d\.\d+<div class="note">helps</div>`, heat)
	require.Equal(t, 4, strings.Count(heat, "no difference"))
	require.Contains(t, heat, "rate 1e-4")
	require.Contains(t, page, `<td class="bad">contrary to the prediction</td>`)
	require.Contains(t, page, "<code>--freeze-attn</code>")
	require.Contains(t, heat, `<th class="number">breaks at</th>`)
	require.Regexp(t, `rough</th><th scope="row">none</th>.*<td class="number">1e-2</td></tr>`, heat)
	require.Regexp(t, `</th><th scope="row">all</th>.*helps.*<td class="number">–</td></tr>`, heat)
	require.NotContains(t, page, "ZgotmplZ")
	require.NotContains(t, page, "<h2>Releases</h2>")
}

func TestStudyPage_NamesTheCommands(t *testing.T) {
	page := studyHTML(t, pageStudy, func(int, *study.Run) {})
	require.Contains(t, page, "<code>gogpt ablate --study=page --out=DIR</code>")
	require.Contains(t, page, "<code>gogpt --accum=1 --log-steps=10 --no-interactive --seed=SEED</code>")
	text := *pageStudy
	text.Text = true
	page = studyHTML(t, &text, func(int, *study.Run) {})
	require.Contains(t, page, "<code>gogpt ablate --study=page --pretrain-data=FILE --out=DIR</code>")
	require.Contains(t, page, "<code>gogpt --pretrain-data=FILE --accum=1 --log-steps=10 ")
}

func TestStudyPage_ShowsAVerdictAsPredicted(t *testing.T) {
	page := studyHTML(t, pageStudy, func(_ int, r *study.Run) {
		if r.Cell.String() == "rough, 1e-2, all" {
			r.Result.Train = 4
		}
	})
	require.Contains(t, page, `<td class="good">as predicted</td>`)
	require.Regexp(t, `aria-label="interval \+1\.\d{4} … \+2\.\d{4}"`, page)
}

func TestStudyPage_DrawsTheOutcomeOverTheRate(t *testing.T) {
	page := studyHTML(t, pageStudy, func(int, *study.Run) {})
	titles := regexp.MustCompile(`<figcaption><h3>([^<]*)</h3>`).FindAllStringSubmatch(page, -1)
	require.Len(t, titles, 3)
	require.Equal(t, []string{"Training loss: exact", "Training loss: rough", "Training loss: none"},
		[]string{titles[0][1], titles[1][1], titles[2][1]})
	require.NotContains(t, page, "ln vocab =")
	page = studyHTML(t, pageStudy, func(i int, r *study.Run) { r.Result.Diverged = i == 3 })
	require.Contains(t, page, "ln vocab = 5.70", "the outcome of a run that diverged")
}

func TestStudyPage_BandsAreAsWideAsTheSpread(t *testing.T) {
	runs := pageStudy.Runs()
	for _, r := range runs {
		r.Result = &study.Result{Vocab: 300, Train: strictjson.Float(r.Seed)} // 1 and 2
	}
	line := newStudyGrid(pageStudy.Summarize(runs, 0.01)).line("exact", "none", "none", 0)
	for i, x := range []float64{1e-4, 1e-3, 1e-2} {
		require.Equal(t, chart.Point{X: x, Y: 1.5}, line.Points[i])
		require.InDelta(t, 1.5-math.Sqrt(0.5), line.Band[i].Low, 1e-12)
		require.InDelta(t, 1.5+math.Sqrt(0.5), line.Band[i].High, 1e-12)
	}
}

func TestStudyPage_ALargerDifferenceHasAStrongerColour(t *testing.T) {
	page := studyHTML(t, pageStudy, func(_ int, r *study.Run) {
		r.Result.Train = map[string]strictjson.Float{"exact, 1e-4, all": 3, "rough, 1e-2, all": 1.75}[r.Cell.String()]
		if r.Result.Train == 0 {
			r.Result.Train = 2
		}
	})
	require.Contains(t, page, `class="number bad" style="--share: 40%"`)
	require.Contains(t, page, `class="number good" style="--share: 25%"`)
}

func TestStudyPage_WithoutAPredictionADifferenceIsFound(t *testing.T) {
	s := *pageStudy
	s.Comparisons = []study.Comparison{pageStudy.Comparisons[0]}
	s.Comparisons[0].Prediction = ""
	page := studyHTML(t, &s, func(_ int, r *study.Run) {
		if r.Cell.String() == "rough, 1e-2, all" {
			r.Result.Train = 4
		}
	})
	require.Contains(t, page, `<td class="found">above 0</td>`)
}

func TestStudyPage_ListsReleases(t *testing.T) {
	page := studyHTML(t, pageStudy, func(i int, r *study.Run) {
		if r.Cell[2] == "all" {
			release := study.Release{Step: 20, LossBefore: 3, LossAfter: 2, NormBefore: 2, NormAfter: 5, NormPeak: 9}
			r.Result.Releases = []study.Release{release}
		}
	})
	require.Contains(t, page, "<h2>Releases</h2>")
	require.Equal(t, 6, strings.Count(page, `<td class="number">20</td><td class="number">3.000 ± 0.000</td>`))
	require.Contains(t, page, `<td class="number">2.50 ± 0.00</td>`, "the ratio of the norms")
	require.Contains(t, page, `<tr><td>rough</td><td>1e-2</td><td>all</td><td class="number">20</td>`)
}

func TestStudyPage_OfAFactorWithoutARateAndOfNoRun(t *testing.T) {
	plain := &study.Study{Name: "plain", Title: "Plain", Seeds: []uint64{1}, Outcome: study.HeldoutLoss,
		Factors: []study.Factor{{Name: "plan", Levels: []study.Level{{Name: "old"}, {Name: "new"}}}}}
	page := studyHTML(t, plain, func(_ int, r *study.Run) { r.Result = nil })
	require.Contains(t, page, "0 of 2 runs have finished")
	require.NotContains(t, page, "<figure>")
	require.NotContains(t, page, "NaN")
	require.NotContains(t, page, "The comparisons")
}
