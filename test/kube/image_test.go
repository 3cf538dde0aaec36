package kube

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wrapManifest is what a user would write by hand for one wrap: nothing that chiron
// deploy knows.
const wrapManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {wrap: %[1]s}}
  template:
    metadata: {labels: {wrap: %[1]s}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: wrap
        image: %[2]s
        imagePullPolicy: Never
        args: [%[3]s]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /_/ready, port: 8080}, periodSeconds: 1}
        securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        resources: {limits: {cpu: "1", memory: 256Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {wrap: %[1]s}
  ports: [{port: 8080}]
---
`

// TestImage: images of chiron build run as the node's containers under the strict
// settings that they promise, find each other by the names of Services, and answer
// through one as the same plan does on this machine.
func TestImage(t *testing.T) {
	t.Parallel()
	p := newProject(t, "finra-5", 3)
	images := p.images("by-hand")
	if len(images) != len(p.plan.Wraps) {
		t.Fatalf("%d images of %d wraps: %v", len(images), len(p.plan.Wraps), images)
	}
	var manifests strings.Builder
	for i, image := range images {
		var args []string
		for k := 1; i == 0 && k < len(images); k++ {
			args = append(args, "--peer", fmt.Sprintf("wrap-%d=wrap-%d.%s.svc:8080", k+1, k+1, p.namespace))
		}
		fmt.Fprintf(&manifests, wrapManifest, fmt.Sprintf("wrap-%d", i+1), image, strings.Join(args, ", "))
	}
	if s := p.tryWith(manifests.String(), "kubectl", "apply", "-f", "-"); s.code != 0 {
		t.Fatal(s.errors)
	}
	p.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=90s")
	var got any
	// A node hears of endpoints some time after they are ready.
	eventually(t, 20*time.Second, func() (err error) {
		got, err = invoke(t.Context(), http.DefaultClient, p.service("wrap-1"), p.sample())
		return err
	})
	if diff := cmp.Diff(p.want, got); diff != "" {
		t.Errorf("another answer than on this machine (-here +cluster):\n%s", diff)
	}
}
