package requirement

import (
	"strings"
	"testing"
)

func lines(text string) []Line {
	var out []Line
	for line := range strings.SplitSeq(text, "\n") {
		only := false
		if rest, ok := strings.CutPrefix(line, "(-c) "); ok {
			line, only = rest, true
		}
		if line != "" {
			out = append(out, Line{Text: line, File: "r.txt", Constraint: only})
		}
	}
	return out
}

func TestClash(t *testing.T) {
	for _, test := range []struct {
		name   string
		python string
		a, b   string
		want   string // part of Why; empty: none
		doubt  bool
	}{
		{name: "nothing", a: "", b: "numpy==1"},
		{name: "others", a: "pandas==2.0", b: "numpy==1.26"},
		{name: "same pin", a: "numpy==1.26.4", b: "numpy==1.26.4"},
		{name: "same pin, written otherwise", a: "NumPy == 1.26.0", b: "numpy==1.26"},
		{name: "pins", a: "numpy==1.26.4", b: "numpy==2.0.0", want: `"numpy==1.26.4" and "numpy==2.0.0" cannot both be installed`},
		{name: "names of PEP 503", a: "Zope.Interface==5", b: "zope_interface==6", want: "cannot both"},
		{name: "other name", a: "numpy-stl==1", b: "numpy==2"},
		{name: "pin in range", a: "numpy==1.26.4", b: "numpy>=1.20,<2"},
		{name: "pin out of range", a: "numpy==2.0.0", b: "numpy>=1.20,<2", want: "cannot both"},
		{name: "ranges", a: "numpy>=1.20,<2", b: "numpy>=1.26"},
		{name: "ranges that exclude", a: "numpy<2", b: "numpy>=2", want: "cannot both"},
		{name: "touching", a: "numpy<=2", b: "numpy>=2"},
		{name: "touching, open", a: "numpy<=2", b: "numpy>2", want: "cannot both"},
		{name: "between neighbours", a: "a>1.9", b: "a<1.9.1"},
		{name: "series", a: "a==1.9.*", b: "a>=1.10", want: "cannot both"},
		{name: "series and not", a: "a>=1.9,<2", b: "a!=1.9.*"},
		{name: "only the series, but not it", a: "a~=1.9.0", b: "a!=1.9.*", want: "cannot both"},
		{name: "compatible release", a: "a~=1.4.5", b: "a==1.4.9"},
		{name: "compatible release, next", a: "a~=1.4.5", b: "a==1.5.0", want: "cannot both"},
		{name: "compatible release of two", a: "a~=2.2", b: "a==2.9"},
		{name: "pre-release", a: "a>=2.0rc1", b: "a<2.0", want: "cannot both"},
		{name: "pre-release named", a: "a>=2.0a1", b: "a<2.0a3"},
		{name: "post-release", a: "a>1.9", b: "a<=1.9.post3", want: "cannot both"},
		{name: "epoch", a: "a==1!1.0", b: "a<2", want: "cannot both"},
		{name: "local version", a: "torch==2.1.0+cpu", b: "torch==2.1.0"},
		{name: "local versions", a: "torch==2.1.0+cpu", b: "torch==2.1.0+cu118", want: "cannot both"},
		{name: "arbitrary equality", a: "a===weird", b: "a==1", want: "cannot both"},
		{name: "arbitrary equality, same", a: "a===1.0", b: "a>=1"},
		{name: "leading zeros and case", a: "a==1.0RC1", b: "a==1.0.rc.1"},
		{name: "parentheses", a: "a (>=1,<2)", b: "a (==2)", want: "cannot both"},
		{name: "extras", a: "a[x,y]==1", b: "a==2", want: "cannot both"},
		{name: "all three together", a: "a>=1\na<3", b: "a!=1.*,!=2.*", want: "no version of a"},
		{name: "any version", a: "a", b: "a==1"},
		{name: "calendar", a: "certifi==2024.02.02", b: "certifi==2024.2.2"},

		{name: "marker of another system", a: `a==1; sys_platform == "win32"`, b: "a==2"},
		{name: "marker of this one", a: `a==1 ; sys_platform == 'linux'`, b: "a==2", want: "cannot both"},
		{name: "marker of an older Python", python: "3.12", a: `a==1; python_version < "3.9"`, b: "a==2"},
		{name: "marker of this Python", python: "python3.12", a: `a==1; python_version >= "3.9"`, b: "a==2", want: "cannot both"},
		{name: "3.10 is not 3.1", python: "3.10", a: `a==1; python_version < "3.9"`, b: "a==2"},
		{name: "unknown Python", a: `a==1; python_version < "3.9"`, b: "a==2", want: "cannot both", doubt: true},
		{name: "every Python", a: `a==1; python_version >= "3.5"`, b: "a==2", want: "cannot both"},
		{name: "one for each Python", a: "a==1; python_version<'3.9'\na==2; python_version>='3.9'", b: "a>=1"},
		{name: "one for each Python, alike", a: "a==1; python_version<'3.9'\na==2; python_version>='3.9'", b: "a==2; python_version>='3.9'\na==1; python_version<'3.9'"},
		{name: "machine", a: `a==1; platform_machine == "aarch64"`, b: "a==2", want: "cannot both", doubt: true},
		{name: "and, or", a: `a==1; (sys_platform == "win32" or os_name == "nt") and python_version > "2"`, b: "a==2"},
		{name: "not in", a: `a==1; "lin" not in sys_platform`, b: "a==2"},
		{name: "extra", a: `a==1; extra == "test"`, b: "a==2"},
		{name: "no marker", a: `a==1; nonsense`, b: "a==2", want: "cannot be told", doubt: true},

		{name: "unread", a: "a=1", b: "a==1", want: "cannot be told", doubt: true},
		{name: "address", a: "a @ https://example.org/a.zip", b: "a @ https://example.org/a.zip"},
		{name: "addresses", a: "a @ https://example.org/a.zip", b: "a @ https://example.org/b.zip", want: "cannot both"},
		{name: "address and version", a: "a @ https://example.org/a.zip", b: "a==1", want: "cannot be told", doubt: true},
		{name: "address and any", a: "a @ https://example.org/a.zip", b: "a"},
		{name: "folder", a: "./lib", b: "a==1", want: `which package "./lib" is`, doubt: true},
		{name: "same folder", a: "./lib\na", b: "a\n./lib"},
		{name: "editable", a: "-e ../lib#egg=Some_Lib", b: "some-lib==1", want: "cannot be told", doubt: true},
		{name: "wheel", a: "./wheels/some_lib-1.0-py3-none-any.whl", b: "other==1"},
		{name: "constraint", a: "(-c) a<2\nb", b: "a>=2", want: "cannot both"},
		{name: "constraints alone", a: "(-c) a<2\nb", b: "(-c) a>=2\nc", want: "cannot both", doubt: true},
		{name: "option", a: "--pre\na", b: "b", want: "--pre", doubt: true},
		{name: "same option", a: "--pre\na", b: "b\n--pre"},
		{name: "hashes", a: "a==1 --hash=sha256:00", b: "b==1", want: "--require-hashes", doubt: true},
		{name: "remote file", a: "-r https://example.org/r.txt", b: "b==1", want: "cannot be told", doubt: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := Environment{Python: test.python}
			a, b := NewSet(lines(test.a), e), NewSet(lines(test.b), e)
			for _, got := range []Clash{a.Clash(b), b.Clash(a)} {
				if (got.Why == "") != (test.want == "") || !swapped(got.Why, test.want) || got.Certain != (test.want != "" && !test.doubt) {
					t.Errorf("got %+v, want %q, doubt %v", got, test.want, test.doubt)
				}
			}
			for _, s := range []*Set{a, b} {
				if got := s.Clash(s); got.Why != "" {
					t.Errorf("it clashes with itself: %+v", got)
				}
			}
		})
	}
}

// swapped: the message names both lines, in either order.
func swapped(got, want string) bool {
	if strings.Contains(got, want) {
		return true
	}
	a, b, two := strings.Cut(strings.TrimSuffix(want, " cannot both be installed"), " and ")
	return two && strings.Contains(got, b+" and "+a)
}

func TestVersionOrder(t *testing.T) {
	// The example of PEP 440's section on ordering, and epochs around it.
	order := []string{
		"0.9", "1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0b2.post345.dev456",
		"1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15",
		"1.1.dev1", "1.10", "2024.1", "1!0.1",
	}
	for i, a := range order {
		v, ok := parseVersion(a)
		if !ok {
			t.Fatalf("%q is no version", a)
		}
		for k, b := range order {
			w, _ := parseVersion(b)
			want := 0
			if i < k {
				want = -1
			} else if i > k {
				want = 1
			}
			if got := v.compare(w); got != want {
				t.Errorf("%s against %s: %d, want %d", a, b, got, want)
			}
		}
	}
	for _, text := range []string{"", "x", "1.", "1..2", "1.0-", "1.0+", "1.0.foo", "1 2", strings.Repeat("1", 400), "99999999999999999999"} {
		if v, ok := parseVersion(text); ok {
			t.Errorf("%q is read as %+v", text, v)
		}
	}
}

// FuzzClash: whatever the lines, an answer comes, the same both ways, and a set
// never clashes with itself.
func FuzzClash(f *testing.F) {
	for _, seed := range [][2]string{
		{"a==1", "a==2"},
		{"a>=1,<2; python_version<'3'", "A~=1.2"},
		{"a[b] (>1)", "a===x"},
		{"-e ./x", "x @ https://y ; os_name=='nt'"},
		{"a!=1.*,>1!0.1.dev0", "a<=1.0.post1+l.2"},
		{"a;((((", "a;python_version not in '3'"},
		{"-r http://x", "--pre"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, x, y string) {
		a, b := NewSet(lines(x), Environment{}), NewSet(lines(y), Environment{})
		one, other := a.Clash(b), b.Clash(a)
		if (one.Why == "") != (other.Why == "") || one.Certain != other.Certain {
			t.Errorf("one way %+v, the other %+v", one, other)
		}
		if self := a.Clash(a); self.Why != "" {
			t.Errorf("it clashes with itself: %+v", self)
		}
		if one.Certain && one.Why == "" {
			t.Error("certain, but of nothing")
		}
	})
}

// TestClashAgainstEveryVersion holds the answer against a search through a grid
// of versions: a range that some version is in must not be called empty.
func TestClashAgainstEveryVersion(t *testing.T) {
	var grid []version
	for _, text := range []string{"0", "0.1", "0.9", "1.0.dev1", "1.0a1", "1.0", "1.0.post1", "1.0.1", "1.1", "1.9", "1.9.1", "1.10", "2.0rc1", "2.0", "2.0.1", "2.1", "3"} {
		v, ok := parseVersion(text)
		if !ok {
			t.Fatal(text)
		}
		grid = append(grid, v)
	}
	var clauses []string
	for _, v := range []string{"1.0", "1.0.post1", "1.9", "1.10", "2.0", "2.0rc1", "0.1"} {
		for _, o := range []string{"==", "!=", "<", "<=", ">", ">=", "~="} {
			clauses = append(clauses, o+v)
		}
	}
	clauses = append(clauses, "==1.*", "!=1.*", "==1.9.*", "!=1.9.*")
	empty := 0
	for _, x := range clauses {
		for _, y := range clauses {
			all, ok := parseSpecifiers(x + "," + y)
			if !ok {
				t.Fatalf("%s,%s is not read", x, y)
			}
			found := ""
			for _, v := range grid {
				if all[0].allows(v, "") && all[1].allows(v, "") {
					found = "found"
				}
			}
			got := satisfiable(all)
			if found != "" && !got {
				t.Errorf("%s and %s hold for a version, and are called exclusive", x, y)
			}
			if !got {
				empty++
			}
		}
	}
	if empty < 100 {
		t.Errorf("only %d pairs are exclusive: the test says little", empty)
	}
}
