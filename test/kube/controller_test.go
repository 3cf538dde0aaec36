package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/workflow"
)

// The control plane, as deploy/kubernetes/base names it.
const (
	baseDir         = "../../deploy/kubernetes/base"
	controllerName  = programtest.Controller
	controllerSpace = "chiron-system"
)

// controllerImage is a file with the image that make controller-image makes.
var controllerImage = sync.OnceValues(func() (string, error) {
	ctx := context.Background()
	if err := programtest.Build(ctx, scratch, programtest.Options{}, programtest.Controller); err != nil {
		return "", err
	}
	img, err := oci.BuildProgram(ctx, oci.ProgramOptions{
		Name: controllerName, Files: []string{filepath.Join(scratch, controllerName)}, CacheDir: filepath.Join(scratch, "cache"),
	})
	if err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "controller.tar")
	return file, oci.WriteTarball(ctx, []oci.Image{img}, file, oci.Naming{Tag: "dev"})
})

// system is kubectl in the control plane's namespace.
func (u *user) system(args ...string) string {
	u.t.Helper()
	return u.kubectl(append([]string{"--namespace", controllerSpace}, args...)...)
}

// install brings the control plane up as users do, with a calibration for Workflows
// that bring none.
func (u *user) install() {
	t := u.t
	t.Helper()
	file, err := controllerImage()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := u.cluster.Import(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the controller:\n%s", u.try("kubectl", "--namespace", controllerSpace, "logs", "deployment/"+controllerName, "--tail=60").out)
		}
		// The resource's definition stays: other tests' Workflows would go with it.
		u.system("delete", "namespace,clusterrole,clusterrolebinding", "-l", "app.kubernetes.io/name="+controllerName, "--timeout=60s")
	})
	// The calibration is there before the pod: a mount that comes later takes a minute.
	u.system("apply", "-f", filepath.Join(baseDir, "namespace.yaml"))
	calibration := filepath.Join(t.TempDir(), "calibration.json")
	constants := predict.Paper()
	if err := constants.Write(calibration); err != nil {
		t.Fatal(err)
	}
	u.system("create", "configmap", "chiron-calibration", "--from-file", calibration)
	u.system("apply", "-k", baseDir)
	u.system("wait", "--for=condition=Available", "deployment/"+controllerName, "--timeout=60s")
}

// behaves is a profile of examples/finra-5: what matters is that its plans differ by
// objective, always in the same way.
const behaves = "MarketData: block 20 cpu 20, LastPrice: block 20 cpu 20, Side: cpu 20, TradeDate: cpu 20, Volume: cpu 20, MarginBalance: cpu 5"

// profileText is a profile of a project's functions that behave so.
func profileText(t *testing.T, p *workflow.Project, behaviour string) string {
	t.Helper()
	measured := predicttest.Behave(t, behaviour)
	measured.Workflow = p.Name
	for i := range measured.Functions {
		f := &measured.Functions[i]
		state, ok := p.Definition.State(f.Tasks[0])
		if !ok {
			t.Fatalf("%s has no task %s", p.Name, f.Tasks[0])
		}
		f.Name, f.Lang, f.Version, f.Runs = state.Function, "python", "3.11.7", 20
		for _, period := range f.Periods {
			f.Wall.Mean += period.Mean
		}
		f.Wall.Min, f.Wall.P50, f.Wall.P99, f.Wall.Max = f.Wall.Mean, f.Wall.Mean, f.Wall.Mean, f.Wall.Mean
	}
	var text bytes.Buffer
	if err := measured.Encode(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// planned is a project's Workflow in the cluster.
type planned struct {
	*deployment
}

// ask applies a project's Workflow, whose functions are all in one image; the error is
// the cluster's.
func (p *project) ask(image, latency string) (*planned, error) {
	t := p.t
	t.Helper()
	loaded, err := workflow.Load(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &v1alpha1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.Kind}, ObjectMeta: metav1.ObjectMeta{Name: loaded.Name},
		Spec: v1alpha1.WorkflowSpec{
			Images:    []v1alpha1.Image{{Image: image, Functions: slices.Sorted(maps.Keys(loaded.Functions))}},
			SLO:       &v1alpha1.SLO{Latency: latency},
			Profile:   v1alpha1.Source{ConfigMap: loaded.Name + "-profile", Key: "profile.json"},
			Instances: &v1alpha1.Instances{Min: 1, Max: 1},
		},
	}
	if w.Spec.Definition.Raw, err = json.Marshal(loaded.Definition); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.tryWith(string(text), "kubectl", "apply", "-f", "-"); s.code != 0 {
		return nil, errors.New(s.errors)
	}
	return &planned{&deployment{project: p, Name: loaded.Name, URL: "http://" + loaded.Name + "." + p.namespace}}, nil
}

// profile brings the profile that the Workflow names.
func (p *planned) profile(behaviour string) {
	p.t.Helper()
	loaded, err := workflow.Load(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.t.TempDir(), "profile.json")
	if err := os.WriteFile(file, []byte(profileText(p.t, loaded, behaviour)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.kubectl("create", "configmap", p.Name+"-profile", "--from-file", file)
}

// objective changes what the Workflow asks for.
func (p *planned) objective(latency string) {
	p.t.Helper()
	p.kubectl("patch", v1alpha1.Resource, p.Name, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"slo":{"latency":%q}}}`, latency))
}

func (p *planned) get() *v1alpha1.Workflow {
	p.t.Helper()
	var w v1alpha1.Workflow
	p.read(&w, v1alpha1.Resource, p.Name)
	return &w
}

// until waits until the controller has seen the Workflow as it is, and a condition has
// a status and a reason.
func (p *planned) until(kind string, status metav1.ConditionStatus, reason string) *v1alpha1.Workflow {
	p.t.Helper()
	var w *v1alpha1.Workflow
	eventually(p.t, time.Minute, func() error {
		w = p.get()
		c := meta.FindStatusCondition(w.Status.Conditions, kind)
		if c == nil || c.ObservedGeneration != w.Generation || c.Status != status || c.Reason != reason {
			return fmt.Errorf("generation %d, status %+v", w.Generation, w.Status)
		}
		return nil
	})
	return w
}

// serves waits until what the Workflow asks for serves, and nothing else is there.
func (p *planned) serves() *v1alpha1.PlanStatus {
	p.t.Helper()
	w := p.until(v1alpha1.Ready, metav1.ConditionTrue, v1alpha1.ReasonServing)
	if w.Status.URL != p.URL {
		p.t.Errorf("it is told to be at %q, not at %q", w.Status.URL, p.URL)
	}
	eventually(p.t, time.Minute, func() error {
		for _, r := range p.revisions() {
			if r != w.Status.Plan.Revision {
				return fmt.Errorf("revision %s is there beside %s", r, w.Status.Plan.Revision)
			}
		}
		return nil
	})
	return w.Status.Plan
}

// revisions are those that have pods.
func (p *planned) revisions() (all []string) {
	p.t.Helper()
	for _, pod := range p.pods("") {
		if r := pod.Metadata.Labels[kubernetes.LabelRevision]; !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// told are the events about the Workflow, in their order, with how often each was told
// where that is more than once.
func (p *planned) told() (reasons []string) {
	p.t.Helper()
	var list eventsv1.EventList
	p.read(&list, "events.events.k8s.io")
	slices.SortStableFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	for _, e := range list.Items {
		if e.Regarding.Kind != v1alpha1.Kind {
			continue
		}
		reason := e.Reason
		if e.Series != nil {
			reason += fmt.Sprintf(" %d times", e.Series.Count)
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

// tells waits until just these events have been told since the last call.
func (p *planned) tells(from *int, want ...string) {
	p.t.Helper()
	eventually(p.t, 10*time.Second, func() error {
		if got := p.told(); !slices.Equal(got[min(*from, len(got)):], want) {
			return fmt.Errorf("events %q, after %d of them %q are wanted", got, *from, want)
		}
		return nil
	})
	*from += len(want)
}

// controllers are the names of its pods.
func (u *user) controllers() []string {
	u.t.Helper()
	return strings.Fields(u.system("get", "pods", "-l", "app.kubernetes.io/name="+controllerName, "-o", "name"))
}

// TestController: the control plane as it is installed, with the rights that it has
// there, plans a Workflow and keeps it, from the first plan to the last object.
func TestController(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 1)
	image := p.images("controller")[0]
	p.install()

	if _, err := p.ask(image, "soon"); err == nil || !strings.Contains(err.Error(), "spec.slo.latency") {
		t.Errorf("an objective that is none: %v", err)
	}
	w, err := p.ask(image, "300ms")
	if err != nil {
		t.Fatal(err)
	}
	w.until(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonProfileMissing)
	events := 0
	w.tells(&events, "PlanFailed")
	w.profile(behaves) // it is heard of at once
	first := w.serves()
	w.answers()
	if first.CPUs != 1 || first.Wraps != 1 || first.Predicted == "" {
		t.Errorf("plan %+v", first)
	}
	w.tells(&events, "Planned", "RollingOut", "Serving")

	// A tighter objective takes more CPUs, and no request notices.
	l := steadily(w.deployment)
	l.more(20)
	w.objective("90ms")
	second := w.serves()
	if second.Revision == first.Revision || second.CPUs <= first.CPUs {
		t.Errorf("plan %+v after %+v", second, first)
	}
	w.tells(&events, "Planned", "RollingOut", "Serving")
	l.more(20)

	// The controller is killed as soon as it has begun; the next one ends it.
	w.objective("300ms")
	eventually(t, 30*time.Second, func() error {
		if revisions, told := w.revisions(), w.told(); len(revisions) < 2 || len(told) < events+2 {
			return fmt.Errorf("revisions %q, events %q", revisions, told)
		}
		return nil
	})
	killed := p.controllers()
	p.system("delete", "--force", "--grace-period=0", killed[0])
	if third := w.serves(); third.Revision != first.Revision {
		t.Errorf("plan %+v, for the objective of %+v", third, first)
	}
	if now := p.controllers(); slices.Contains(now, killed[0]) {
		t.Errorf("%q was not killed: %q", killed, now)
	}
	w.tells(&events, "Planned", "RollingOut", "Serving")
	l.more(20)

	// What cannot be is told, and what serves goes on.
	w.objective("1ms")
	w.until(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonObjectiveUnreachable)
	asked := w.until(v1alpha1.Ready, metav1.ConditionTrue, v1alpha1.ReasonServingEarlier)
	if asked.Status.Plan.Revision != first.Revision || !slices.Equal(w.revisions(), []string{first.Revision}) {
		t.Errorf("plan %+v, revisions %q; %s served", asked.Status.Plan, w.revisions(), first.Revision)
	}
	w.tells(&events, "PlanFailed")
	l.more(20)
	l.stop()

	if s := p.try("chiron", p.on("down", w.Name)...); s.code != 1 || !strings.Contains(s.errors, "kubectl delete workflow") {
		t.Errorf("chiron down: exit code %d, %s", s.code, s.errors)
	}
	w.kubectl("delete", v1alpha1.Resource, w.Name)
	eventually(t, time.Minute, func() error {
		if left := p.left(); !slices.Equal(left, []string{"configmap/" + w.Name + "-profile"}) {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
	// Whom the cluster refuses a right it names.
	if log := p.system("logs", "deployment/"+controllerName); strings.Contains(log, "system:serviceaccount:"+controllerSpace+":"+controllerName) {
		t.Errorf("a right is missing:\n%s", log)
	}
}
