package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What doc.go says about the files is true: their floors, and an order in which they can be read.

var floorLine = regexp.MustCompile(`^\t(\d) (\w+) +(.+)$`)

// readFloors reads the floor of every file name and family from the package's documentation, without ".go".
func readFloors(doc string) (map[string]int, error) {
	floors, floor := map[string]int{}, -1
	for line := range strings.Lines(doc) {
		m := floorLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		floor++
		if m[1] != strconv.Itoa(floor) {
			return nil, fmt.Errorf("floor %s where floor %d is due", m[1], floor)
		}
		for _, name := range strings.Fields(m[3]) {
			if _, twice := floors[name]; twice {
				return nil, fmt.Errorf("%s is on two floors", name)
			}
			floors[name] = floor
		}
	}
	return floors, nil
}

// floorOf returns the floor of a file: that of its own name, or else that of the longest family that it belongs to.
func floorOf(floors map[string]int, file string) (int, bool) {
	name := strings.TrimSuffix(file, ".go")
	if floor, ok := floors[name]; ok {
		return floor, true
	}
	for n := len(name); n > 0; n-- {
		if floor, ok := floors[name[:n]+"*"]; ok {
			return floor, true
		}
	}
	return 0, false
}

// source is the parsed and type-checked root package, without its tests.
type source struct {
	fset  *token.FileSet
	files map[string]*ast.File // by name
	pkg   *types.Package
	info  *types.Info
}

// parseFolder parses the non-test files of a folder.
func parseFolder(t *testing.T, fset *token.FileSet, folder string) map[string]*ast.File {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	files := map[string]*ast.File{}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			files[filepath.Base(name)], err = parser.ParseFile(fset, name, nil, parser.ParseComments)
			require.NoError(t, err)
		}
	}
	return files
}

// checkedSource type-checks files as one package.
func checkedSource(fset *token.FileSet, files map[string]*ast.File, imports types.Importer) (*source, error) {
	s := &source{fset: fset, files: files, info: &types.Info{Uses: map[*ast.Ident]types.Object{}}}
	config := types.Config{Importer: imports}
	var list []*ast.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, files[name])
	}
	var err error
	s.pkg, err = config.Check("gogpt", fset, list, s.info)
	return s, err
}

// rootSource is the checked root package. Type-checking what it imports takes a few seconds.
func rootSource(t *testing.T) *source {
	if testing.Short() {
		t.Skip("type-checks the standard library, which -short leaves out")
	}
	fset := token.NewFileSet()
	files := parseFolder(t, fset, packageFolder)
	t.Chdir(packageFolder)
	s, err := checkedSource(fset, files, importer.ForCompiler(fset, "source", nil))
	require.NoError(t, err)
	return s
}

// use is one use of a name that another file declares.
type use struct{ user, name, owner string } // files as doc.go writes them

func (u use) String() string { return fmt.Sprintf("%s uses %s of %s", u.user, u.name, u.owner) }

// uses lists the uses of names that another file of the package or a file of internal/ declares.
func (s *source) uses() []use {
	found := map[use]bool{}
	for id, object := range s.info.Uses {
		if object.Pkg() == nil || !object.Pos().IsValid() {
			continue
		}
		owner := s.fset.Position(object.Pos()).Filename
		switch leaf, inside := strings.CutPrefix(object.Pkg().Path(), "gogpt/internal/"); {
		case object.Pkg() == s.pkg:
			owner = filepath.Base(owner)
		case inside:
			owner = path.Join("internal", leaf, filepath.Base(owner))
		default:
			continue
		}
		if user := filepath.Base(s.fset.Position(id.Pos()).Filename); user != owner {
			found[use{user, object.Name(), owner}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b use) int { return cmp.Compare(a.String(), b.String()) })
}

// upward returns the uses whose owner stands on a higher floor than the user.
func upward(uses []use, floors map[string]int) (found []use) {
	for _, u := range uses {
		user, _ := floorOf(floors, u.user)
		if owner, inRoot := floorOf(floors, u.owner); inRoot && owner > user {
			found = append(found, u)
		}
	}
	return found
}

func TestFloors_EveryFileIsOnOne(t *testing.T) {
	files := parseFolder(t, token.NewFileSet(), packageFolder)
	floors, err := readFloors(files["doc.go"].Doc.Text())
	require.NoError(t, err)
	used := map[string]bool{}
	for name, file := range files {
		require.True(t, name == "doc.go" || file.Doc == nil, "%s: the package's documentation stands in doc.go alone", name)
		_, ok := floorOf(floors, name)
		require.True(t, ok || name == "doc.go", "%s is on no floor in doc.go", name)
		for family := range floors {
			stem, star := strings.CutSuffix(family, "*")
			if strings.TrimSuffix(name, ".go") == stem || star && strings.HasPrefix(name, stem) {
				used[family] = true
			}
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(floors)), slices.Collect(maps.Keys(used)),
		"doc.go names a file that is not there")
}

func TestFloors_AFileUsesLowerFloorsAndItsOwn(t *testing.T) {
	s := rootSource(t)
	floors, err := readFloors(s.files["doc.go"].Doc.Text())
	require.NoError(t, err)
	require.Empty(t, upward(s.uses(), floors))
}

func TestFloors_AnUpwardUseIsFound(t *testing.T) {
	floors, err := readFloors("\t0 ground   low\n\t1 roof     high* hill\n")
	require.NoError(t, err)
	require.Equal(t, map[string]int{"low": 0, "high*": 1, "hill": 1}, floors)
	fset := token.NewFileSet()
	files := map[string]*ast.File{}
	for name, text := range map[string]string{
		"low.go":    "package p\ntype roof struct{}\nfunc low(h tile) int { return h.weight }",
		"higher.go": "package p\ntype tile struct { weight int }\nfunc (roof) stand() { twin() }",
		"hill.go":   "package p\nfunc twin() {}",
	} {
		files[name], err = parser.ParseFile(fset, name, text, 0)
		require.NoError(t, err)
	}
	s, err := checkedSource(fset, files, nil)
	require.NoError(t, err)
	want := []use{{"low.go", "tile", "higher.go"}, {"low.go", "weight", "higher.go"}}
	require.Equal(t, want, upward(s.uses(), floors))
	for _, wrong := range []string{"\t1 roof   low\n", "\t0 ground   low low\n"} {
		_, err := readFloors(wrong)
		require.Error(t, err, wrong)
	}
}

var readingLine = regexp.MustCompile(`^\t((?:internal/kernel/)?\w+\.go) +\S`)

// readingOrder reads the files of the reading order from the package's documentation.
func readingOrder(doc string) (files []string) {
	for line := range strings.Lines(doc) {
		if m := readingLine.FindStringSubmatch(line); m != nil {
			files = append(files, m[1])
		}
	}
	return files
}

// unexplained returns the uses, in files of a reading order, of names that no earlier file declares. Leaves other
// than the kernel explain themselves by their documentation.
func unexplained(uses []use, order []string) (found []use) {
	for _, u := range uses {
		leaf := strings.HasPrefix(u.owner, "internal/") && !strings.HasPrefix(u.owner, "internal/kernel/")
		user, owner := slices.Index(order, u.user), slices.Index(order, u.owner)
		if user >= 0 && !leaf && (owner < 0 || owner > user) {
			found = append(found, u)
		}
	}
	return found
}

func TestReadingOrder_NoFileUsesANameOfALaterOne(t *testing.T) {
	s := rootSource(t)
	order := readingOrder(s.files["doc.go"].Doc.Text())
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(order))), len(order))
	require.LessOrEqual(t, len(order), 26)
	require.Contains(t, order, "train.go")
	uses := s.uses()
	require.Empty(t, unexplained(uses, order))
	slices.Reverse(order)
	require.NotEmpty(t, unexplained(uses, order), "the check can fail")
}

// The number of files and lines that doc.go and the READMEs promise, and their lists, are those of the files.
func TestReadingOrder_IsAsLongAsPromised(t *testing.T) {
	doc := parseFolder(t, token.NewFileSet(), packageFolder)["doc.go"].Doc.Text()
	order := readingOrder(doc)
	lines := 0
	for _, file := range order {
		text, err := os.ReadFile(filepath.Join(packageFolder, file))
		require.NoError(t, err)
		lines += strings.Count(string(text), "\n")
	}
	promise := regexp.MustCompile(`(\d+) files, about (\d+) lines`).FindStringSubmatch(doc)
	require.NotNil(t, promise)
	require.Equal(t, strconv.Itoa(len(order)), promise[1])
	about, err := strconv.Atoi(promise[2])
	require.NoError(t, err)
	require.InDelta(t, lines, about, 50, "lines")
	for _, page := range []string{"README.md", "README.zh.md"} {
		text, err := os.ReadFile(filepath.Join(packageFolder, page))
		require.NoError(t, err)
		var listed []string
		for _, m := range regexp.MustCompile("(?m)^\\| *\\d+ *\\| *`([^`]+\\.go)`").FindAllStringSubmatch(string(text), -1) {
			listed = append(listed, m[1])
		}
		require.Equal(t, order, listed, page)
		require.Contains(t, string(text), promise[2], page)
	}
}

// goFolders are the root and the leaves.
func goFolders(t *testing.T) []string {
	leaves, err := filepath.Glob(filepath.Join(packageFolder, "internal", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, leaves)
	return append(leaves, packageFolder)
}

func TestFiles_AndFunctionsAreShort(t *testing.T) {
	for _, folder := range goFolders(t) {
		fset := token.NewFileSet()
		for name, file := range parseFolder(t, fset, folder) {
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
}

// The root holds few enough entries that a listing shows its floors.
func TestFiles_OfTheRootAreFew(t *testing.T) {
	require.LessOrEqual(t, len(parseFolder(t, token.NewFileSet(), packageFolder)), 61)
}

func TestImports_AreTheStandardLibraryAndLeaves(t *testing.T) {
	for _, folder := range goFolders(t) {
		for name, file := range parseFolder(t, token.NewFileSet(), folder) {
			for _, spec := range file.Imports {
				imported := strings.Trim(spec.Path.Value, `"`)
				if strings.HasPrefix(imported, "gogpt/internal/") {
					continue
				}
				first, _, _ := strings.Cut(imported, "/")
				info, err := os.Stat(filepath.Join(build.Default.GOROOT, "src", first))
				require.True(t, err == nil && info.IsDir(), "%s imports %s", name, imported)
				require.NotEqual(t, "log", first, "%s imports a logger", name)
			}
		}
	}
}

func TestExit_OnlyMainCallsIt(t *testing.T) {
	for _, folder := range goFolders(t) {
		for name, file := range parseFolder(t, token.NewFileSet(), folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok && name != "main.go" {
					pkg, _ := call.X.(*ast.Ident)
					require.False(t, pkg != nil && pkg.Name == "os" && call.Sel.Name == "Exit", "%s calls os.Exit", name)
				}
				return true
			})
		}
	}
}
