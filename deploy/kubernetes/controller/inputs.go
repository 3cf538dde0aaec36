package controller

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/internal/strictjson"
	"github.com/chiron-faas/chiron/workflow"
)

// inputs are all that a plan is made of.
type inputs struct {
	request *request
	// profile and calibration are the files' texts.
	profile, calibration []byte
}

// maxUnpacked bounds what a compressed source holds, bytes: ConfigMaps have one
// megabyte at most, which may be made to grow a thousandfold.
const maxUnpacked = 64 << 20

// readInputs reads what a Workflow is planned with. The error is a *Refusal where
// that is not there. calibration is the controller's own; nil: it has none.
func readInputs(ctx context.Context, c client.Reader, w *v1alpha1.Workflow, r *request, calibration []byte) (*inputs, error) {
	in := &inputs{request: r, calibration: calibration}
	var err error
	in.profile, err = readSource(ctx, c, w.Namespace, w.Spec.Profile, v1alpha1.ReasonProfileMissing, v1alpha1.ReasonProfileInvalid, "profile")
	if err != nil {
		return nil, err
	}
	switch from := w.Spec.Calibration; {
	case from != nil:
		in.calibration, err = readSource(ctx, c, w.Namespace, *from, v1alpha1.ReasonCalibrationMissing, v1alpha1.ReasonCalibrationInvalid, "calibration")
	case calibration == nil:
		err = refuse(v1alpha1.ReasonCalibrationMissing, "the controller has no calibration of its own: name a ConfigMap in spec.calibration with what chiron calibrate writes on a node")
	}
	return in, err
}

// maxCalibration bounds the file, bytes: far over what chiron calibrate writes.
const maxCalibration = 1 << 20

// readCalibration reads the controller's own; nil where there is none.
func readCalibration(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := strictjson.ReadFile(file, maxCalibration)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the controller's calibration: %w", err)
	}
	return text, nil
}

func readSource(ctx context.Context, c client.Reader, namespace string, s v1alpha1.Source, missing, invalid, what string) ([]byte, error) {
	var m corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.ConfigMap}, &m)
	if apierrors.IsNotFound(err) {
		return nil, refuse(missing, "spec.%s: there is no ConfigMap %q in namespace %s", what, s.ConfigMap, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if text, ok := m.Data[s.Key]; ok {
		return []byte(text), nil
	}
	data, ok := m.BinaryData[s.Key]
	if !ok {
		keys := slices.Sorted(maps.Keys(m.Data))
		keys = append(keys, slices.Sorted(maps.Keys(m.BinaryData))...)
		return nil, refuse(missing, "spec.%s: ConfigMap %q has no key %q; it has: %s", what, s.ConfigMap, s.Key, strings.Join(keys, ", "))
	}
	text, err := unpack(data)
	if err != nil {
		return nil, refuse(invalid, "spec.%s: key %q of ConfigMap %q: %v", what, s.Key, s.ConfigMap, err)
	}
	return text, nil
}

// unpack returns data, decompressed where it is compressed.
func unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) { // RFC 1952
		return data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err == nil && len(text) > maxUnpacked {
		err = errors.New("it is over 64 MiB when decompressed")
	}
	return text, err
}

// digest names what the plan is made of: who has the same digest gets the same plan.
// Images' references are not in it, only which functions share one.
func (in *inputs) digest() (string, error) {
	r := in.request
	definition, err := json.Marshal(r.definition)
	if err != nil {
		return "", err
	}
	together := make([][]string, len(r.images))
	for i := range r.images {
		together[i] = slices.Sorted(slices.Values(r.images[i].Functions))
	}
	// The search goes through tasks in the definition's order; that of images is none.
	slices.SortFunc(together, slices.Compare)
	text, err := json.Marshal(struct {
		Name, Definition string
		Images           [][]string
		Rules            workflow.Rules
		SLO              workflow.SLO
		Concurrency      int
		Profile          [sha256.Size]byte
		Calibration      [sha256.Size]byte
	}{r.name, string(definition), together, r.rules, r.slo, r.concurrency, sha256.Sum256(in.profile), sha256.Sum256(in.calibration)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
