package kubernetes

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

func request() Request {
	return Request{
		Name: "flow", Definition: []byte(flowDefinition), Profile: []byte("{\n  \"functions\": []\n}\n"),
		Images: []v1alpha1.Image{{Image: "registry.example.org/team/flow-functions-1@sha256:0123", Functions: []string{"a", "b", "c"}}},
	}
}

// TestRequested: the same request is the same text, which testdata has.
func TestRequested(t *testing.T) {
	full := request()
	full.Latency, full.Percentile = 120*time.Millisecond, 99.9
	full.Calibration = []byte("{\n  \"tRPC_ms\": 0.3\n}\n")
	full.Images = append(full.Images[:0:0], v1alpha1.Image{Image: "flow-functions-1:v1", Functions: []string{"a", "c"}}, v1alpha1.Image{Image: "flow-functions-2:v1", Functions: []string{"b"}})
	full.Apart, full.Together = [][]string{{"a", "B"}}, [][]string{{"a", "c"}}
	full.Limits = &v1alpha1.Limits{CPUs: 4, Memory: resource.NewQuantity(512<<20, resource.BinarySI), Wraps: 3}
	full.Concurrency, full.Env = 16, []string{"PRICE=$5", "EMPTY="}
	full.Definition = []byte(strings.Replace(flowDefinition, `"End":true`, `"ResultPath":null,"End":true`, 1))
	settings := Settings{Namespace: "shop", Min: 2, Max: 4, From: []string{"ingress-nginx"}, PullSecrets: []string{"registry"}, Grace: 1500 * time.Millisecond}
	for file, c := range map[string]struct {
		r Request
		s Settings
	}{"requested.yaml": {request(), Settings{Grace: DefaultGrace}}, "requested-full.yaml": {full, settings}} {
		t.Run(file, func(t *testing.T) {
			first, second := requested(t, c.r, c.s), requested(t, c.r, c.s)
			if first != second {
				t.Error("rendered twice, it differs")
			}
			golden(t, filepath.Join("testdata", file), []byte(first))
		})
	}
}

func requested(t *testing.T, r Request, s Settings) string {
	t.Helper()
	objects, err := Requested(r, s)
	var text bytes.Buffer
	if err == nil {
		err = Render(&text, objects)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestRequestedDefinition: whatever a definition says, who reads what is printed
// reads just that.
func TestRequestedDefinition(t *testing.T) {
	for name, c := range map[string]struct {
		result string
		object bool
	}{
		"object":         {`{"b":[1,-2.5,"x"],"a":{"c":true}}`, true},
		"null":           {`null`, false},
		"null within":    {`{"a":[{"b":null}]}`, false},
		"null in a list": {`[null,1]`, true},
		"long number":    {`123456789012345678901234567890`, false},
		"many digits":    {`0.1234567890123456789012`, false},
		"exponent":       {`1e3`, false},
		"fraction":       {`1.0`, false},
		"large":          {`9007199254740993`, true},
		"words":          {`["yes","1","0x10","null","~",": #","a\nb","<&>\u2028"]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Definition = []byte(`{"StartAt":"P","States":{"P":{"Type":"Pass","Result":` + c.result + `,"End":true}}}`)
			docs := strings.Split(requested(t, r, Settings{}), "---\n")
			var w v1alpha1.Workflow
			if err := yaml.UnmarshalStrict([]byte(docs[len(docs)-1]), &w); err != nil {
				t.Fatal(err)
			}
			raw := w.Spec.Definition.Raw
			if object := raw[0] == '{'; object != c.object {
				t.Errorf("an object: %v, want %v: %s", object, c.object, raw)
			}
			if raw[0] == '"' {
				var text string
				if err := json.Unmarshal(raw, &text); err != nil {
					t.Fatal(err)
				}
				raw = []byte(text)
			}
			want, err1 := exact(r.Definition)
			got, err2 := exact(raw)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("another definition (-given +read):\n%s", diff)
			}
		})
	}
}

// TestRequestedProfile: a large profile is compressed, one that is too large refused.
func TestRequestedProfile(t *testing.T) {
	r := request()
	r.Profile = bytes.Repeat([]byte("0123456789abcdef\n"), maxPlainText/17+1)
	objects, err := Requested(r, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	m := objects[0].(*corev1.ConfigMap)
	if len(m.Data) > 0 || len(m.BinaryData[profileKey]) > maxPlainText/10 {
		t.Errorf("%d bytes of text, %d of data", len(m.Data[profileKey]), len(m.BinaryData[profileKey]))
	}
	z, err := gzip.NewReader(bytes.NewReader(m.BinaryData[profileKey]))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, r.Profile) {
		t.Errorf("%d bytes come back of %d: %v", len(back), len(r.Profile), err)
	}
	again, err := Requested(r, Settings{})
	if err != nil || !bytes.Equal(again[0].(*corev1.ConfigMap).BinaryData[profileKey], m.BinaryData[profileKey]) {
		t.Errorf("compressed twice, it differs: %v", err)
	}

	noise := make([]byte, 2<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ { // xorshift (Marsaglia 2003): nothing to compress
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	r.Profile = noise
	if _, err := Requested(r, Settings{}); err == nil || !strings.Contains(err.Error(), `"flow": its profile: it has 2`) {
		t.Errorf("error %v", err)
	}
}

func TestRequestedRefuses(t *testing.T) {
	for want, change := range map[string]func(*Request, *Settings){
		`"No Name"`:       func(r *Request, _ *Settings) { r.Name = "No Name" },
		"replicas 3 to 2": func(_ *Request, s *Settings) { s.Min, s.Max = 3, 2 },
		"its definition":  func(r *Request, _ *Settings) { r.Definition = r.Definition[:20] },
	} {
		r, s := request(), Settings{}
		change(&r, &s)
		if _, err := Requested(r, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
