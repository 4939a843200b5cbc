package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The house of doc.go stands: what its map says of the files is true of the code.

// place is where the map puts a file: its line on the map, counted from the ground.
type place int

var (
	mapFloor = regexp.MustCompile(`^\t+(\d) \w+`)
	mapFile  = regexp.MustCompile(`^\t+ +(\w+\.go) +\S`)
)

// readMap reads the map from the package's doc comment.
func readMap(doc string) (map[string]place, error) {
	places, floor := map[string]place{}, -1
	for line := range strings.Lines(doc) {
		if m := mapFloor.FindStringSubmatch(line); m != nil {
			floor++
			if m[1] != fmt.Sprint(floor) {
				return nil, fmt.Errorf("floor %s where floor %d is due", m[1], floor)
			}
		}
		if m := mapFile.FindStringSubmatch(line); m != nil {
			if _, twice := places[m[1]]; twice || floor < 0 {
				return nil, fmt.Errorf("%s is on the map twice or below the ground", m[1])
			}
			places[m[1]] = place(len(places))
		}
	}
	return places, nil
}

var twinSuffix = regexp.MustCompile(`_[a-z0-9]+\.go$`)

// placeOf finds a file on the map. A twin for some machines, x_amd64.go, may stand with x.go.
func placeOf(places map[string]place, file string) (place, bool) {
	if at, ok := places[file]; ok {
		return at, true
	}
	at, ok := places[twinSuffix.ReplaceAllString(file, ".go")]
	return at, ok
}

// usesUpward lists every use of a name that is declared further up than where it is used.
func usesUpward(fset *token.FileSet, files []*ast.File, imports types.Importer, places map[string]place) ([]string, error) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: imports, Sizes: types.SizesFor("gc", "amd64")}
	pkg, err := config.Check("gogpt", fset, files, info)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for id, used := range info.Uses {
		if used.Pkg() != pkg {
			continue
		}
		user := filepath.Base(fset.Position(id.Pos()).Filename)
		owner := filepath.Base(fset.Position(used.Pos()).Filename)
		below, _ := placeOf(places, owner)
		if at, _ := placeOf(places, user); below > at {
			found[fmt.Sprintf("%s uses %s of %s", user, used.Name(), owner)] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// parsedSource is every non-test file of the package, by name.
func parsedSource(t *testing.T, fset *token.FileSet) map[string]*ast.File {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files[name], err = parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
	}
	return files
}

func TestEveryFileIsOnTheMapOnce(t *testing.T) {
	files := parsedSource(t, token.NewFileSet())
	places, err := readMap(files["doc.go"].Doc.Text())
	require.NoError(t, err)
	for name, file := range files {
		require.True(t, name == "doc.go" || file.Doc == nil, "%s: the package's doc stands in doc.go alone", name)
		_, ok := placeOf(places, name)
		require.True(t, ok, "%s is not on the map in doc.go", name)
	}
	for name := range places {
		require.Contains(t, files, name, "the map in doc.go names a file that is not there")
	}
}

func TestUsesPointDownward(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks the standard library, which -short leaves out")
	}
	fset := token.NewFileSet()
	all := parsedSource(t, fset)
	places, err := readMap(all["doc.go"].Doc.Text())
	require.NoError(t, err)
	imports := importer.ForCompiler(fset, "source", nil)
	for _, machine := range []struct {
		arch string
		tags []string
	}{{"amd64", nil}, {"amd64", []string{"purego"}}, {"arm64", nil}} {
		ctx := build.Default
		ctx.GOARCH, ctx.BuildTags = machine.arch, machine.tags
		var files []*ast.File
		for _, name := range slices.Sorted(maps.Keys(all)) {
			built, err := ctx.MatchFile(".", name)
			require.NoError(t, err)
			if built {
				files = append(files, all[name])
			}
		}
		upward, err := usesUpward(fset, files, imports, places)
		require.NoError(t, err)
		require.Empty(t, upward, "%s %v:\n%s", machine.arch, machine.tags, strings.Join(upward, "\n"))
	}
}

func TestAnUpwardUseIsFound(t *testing.T) {
	const doc = "\t0 ground\n\t  low.go  first\n\t1 roof\n\t  high.go  last\n"
	places, err := readMap(doc)
	require.NoError(t, err)
	require.Equal(t, map[string]place{"low.go": 0, "high.go": 1}, places)
	fset := token.NewFileSet()
	var files []*ast.File
	for name, text := range map[string]string{
		"low.go":        "package p\ntype roof struct{}\nfunc low(h tile) int { return h.weight }",
		"high.go":       "package p\ntype tile struct { weight int }\nfunc (roof) stand() { twin() }",
		"high_arm64.go": "package p\nfunc twin() {}",
	} {
		file, err := parser.ParseFile(fset, name, text, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	upward, err := usesUpward(fset, files, nil, places)
	require.NoError(t, err)
	require.Equal(t, []string{"low.go uses tile of high.go", "low.go uses weight of high.go"}, upward)

	for _, wrong := range []string{"\t1 roof\n", "\t  low.go  before any floor\n", doc + "\t  low.go  again\n"} {
		_, err := readMap(wrong)
		require.Error(t, err, wrong)
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	fset := token.NewFileSet()
	for name, file := range parsedSource(t, fset) {
		limit := 300
		if name == "main.go" {
			limit = 20
		}
		require.LessOrEqual(t, fset.File(file.Pos()).LineCount(), limit, name)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				lines := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1
				require.LessOrEqual(t, lines, 60, "%s: %s", name, f.Name.Name)
			}
		}
	}
}

func TestOnlyMainExitsAndOnlyTheStandardLibraryIsImported(t *testing.T) {
	for name, file := range parsedSource(t, token.NewFileSet()) {
		for _, spec := range file.Imports {
			first, _, _ := strings.Cut(strings.Trim(spec.Path.Value, `"`), "/")
			info, err := os.Stat(filepath.Join(build.Default.GOROOT, "src", first))
			require.True(t, err == nil && info.IsDir(), "%s imports %s", name, spec.Path.Value)
			require.NotEqual(t, "log", first, "%s imports a logger", name)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && name != "main.go" {
				pkg, _ := call.X.(*ast.Ident)
				require.False(t, pkg != nil && pkg.Name == "os" && call.Sel.Name == "Exit", "%s calls os.Exit", name)
			}
			return true
		})
	}
}
