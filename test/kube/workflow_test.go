package kube

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"sigs.k8s.io/yaml"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/workflow"
)

// applyText gives objects to the cluster.
func (u *user) applyText(text string) {
	u.t.Helper()
	if s := u.tryWith(text, "kubectl", "apply", "--server-side", "-f", "-"); s.code != 0 {
		u.t.Fatal(s.errors)
	}
}

// TestPlanFromCluster: one image with all functions runs both wraps of a plan that the
// cluster brings it, and answers as the same plan does on this machine.
func TestPlanFromCluster(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 2)
	images := p.images("functions", "--workflow")
	if len(images) != 1 {
		t.Fatalf("functions that can be together are in %v", images)
	}
	loaded, err := workflow.Load(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	w := kubernetes.Workload{Name: loaded.Name, Plan: p.plan, Images: make(map[string]string)}
	for i := range p.plan.Wraps {
		w.Images[p.plan.Wraps[i].Name] = images[0]
	}
	if w.Definition, err = json.Marshal(loaded.Definition); err != nil {
		t.Fatal(err)
	}
	m, err := kubernetes.Manifest(w, kubernetes.Settings{Namespace: p.namespace, Min: 1, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := kubernetes.Render(&text, m.Objects()); err != nil {
		t.Fatal(err)
	}
	p.applyText(text.String())
	p.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=90s")
	d := &deployment{project: p, Name: loaded.Name, URL: "http://" + m.Service.Name + "." + p.namespace}
	d.answers()
	if pods := p.pods(""); len(pods) != len(p.plan.Wraps) || pods[0].Spec.Containers[0].Image != pods[1].Spec.Containers[0].Image {
		t.Errorf("%d pods of %d wraps, not of one image: %+v", len(pods), len(p.plan.Wraps), pods)
	}
	// What each wrap's log tells is the plan of the cluster, not that of the image.
	for i := range m.Wraps {
		if log := p.kubectl("logs", "deployment/"+m.Wraps[i].Deployment.Name); !strings.Contains(log, p.plan.Digest()) {
			t.Errorf("%s runs another plan than %s: %s", m.Wraps[i].Wrap, p.plan.Digest(), log)
		}
	}
	d.down()
}

// TestWorkflowResource: the API server takes what chiron render --workflow prints as
// it is, and keeps all of it.
func TestWorkflowResource(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	// It stays: other tests' Workflows would go with it.
	u.kubectl("apply", "--server-side", "--force-conflicts", "-f", "../../deploy/kubernetes/base/crd.yaml")
	u.kubectl("wait", "--for=condition=Established", "crd", v1alpha1.Resource+"."+v1alpha1.Group, "--timeout=30s")
	constants := predict.Paper()
	calibration := filepath.Join(t.TempDir(), "calibration.json")
	if err := constants.Write(calibration); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	project := copyOf(t, "hello", "slo: 50ms", "slo: {latency: 50ms, percentile: 99.5}\nlimits: {memory: 256Mi, cpus: 2}\napart: [[greet, sign]]")
	file := filepath.Join(project, "workflow.asl.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const last = `"End": true`
	if !bytes.Contains(text, []byte(last)) {
		t.Fatalf("%s has no %s", file, last)
	}
	// A definition as an object, then one that has to be a text.
	for _, result := range []string{"", `"ResultPath": null, `} {
		if err := os.WriteFile(file, bytes.Replace(text, []byte(last), []byte(result+last), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{
			"render", project, "--workflow", "--calibration", calibration, "--registry", host + "/team", "--push", "--base", u.base, "--instances", "1..2",
			"--env", "A=b", "--grace", "1.5s", "--pull-secret", "none", "--allow-from", "default", "--concurrency", "4",
		}
		rendered := u.chiron(args...)
		if again := u.chiron(args...); again != rendered {
			t.Errorf("rendered twice, it differs (-first +second):\n%s", cmp.Diff(rendered, again))
		}
		if !strings.Contains(rendered, "image: "+host+"/team/hello-functions-1@sha256:") {
			t.Errorf("the image is not named by its digest: %s", rendered)
		}
		u.applyText(rendered)
		documents := strings.Split(rendered, "---\n")
		var given, kept struct {
			Spec map[string]any `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(documents[len(documents)-1]), &given); err != nil {
			t.Fatal(err)
		}
		u.read(&kept, v1alpha1.Resource+"."+v1alpha1.Group, "hello")
		if diff := cmp.Diff(given.Spec, kept.Spec); diff != "" {
			t.Errorf("the cluster has another spec (-given +kept):\n%s", diff)
		}
		if _, isText := kept.Spec["definition"].(string); isText != (result != "") {
			t.Errorf("definition %v", kept.Spec["definition"])
		}
		var profile struct {
			Data map[string]string `json:"data"`
		}
		u.read(&profile, "configmap", "hello-profile")
		if text, err := os.ReadFile(filepath.Join(project, "profile.json")); err != nil || profile.Data["profile.json"] != string(text) {
			t.Errorf("another profile: %v", err)
		}
		// kubectl apply as users type it keeps the object in an annotation once more.
		if s := u.tryWith(rendered, "kubectl", "apply", "--dry-run=server", "-f", "-"); s.code != 0 {
			t.Error(s.errors)
		}
	}
}
