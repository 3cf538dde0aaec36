package strictjson

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type thing struct {
	APIVersion string `json:"apiVersion"`
	Inner      struct {
		N int `json:"n"`
	} `json:"inner"`
}

func TestDecode(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"good":          {`{"apiVersion":"v1","inner":{"n":7}}` + "\n", ""},
		"empty":         {" \n", "it is empty: it is not a thing"},
		"truncated":     {`{"apiVersion":"v1","inner":{"n":`, "it is truncated after 32 bytes"},
		"not JSON":      {"{\n\"apiVersion\": v1}", "line 2, column 15: it is not JSON"},
		"more behind":   {`{"apiVersion":"v1"}{}`, "it is not JSON"},
		"an array":      {`[1]`, "it must not be a JSON array"},
		"no version":    {`{"inner":{"n":7}}`, "no apiVersion: it is not a thing"},
		"other version": {`{"apiVersion":"v9","new":1}`, `its apiVersion is "v9", but this program reads "v1"`},
		"unknown key":   {`{"apiVersion":"v1","inner":{"m":7}}`, `it has a field "m" that this program does not know`},
		"wrong type":    {`{"apiVersion":"v1","inner":{"n":"7"}}`, "inner.n must not be a JSON string"},
	} {
		t.Run(name, func(t *testing.T) {
			var got thing
			err := Decode([]byte(test.text), "a thing", "v1", &got)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && got.Inner.N != 7:
				t.Errorf("got %+v", got)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, which does not say %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := ReadFile(path, 4); err == nil || !strings.Contains(err.Error(), "limit of 4 bytes") {
		t.Errorf("a file over the limit gives %v", err)
	}
	if _, err := ReadFile(path+"x", 4); !os.IsNotExist(err) {
		t.Errorf("a missing file gives %v", err)
	}
}
