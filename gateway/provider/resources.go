package provider

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// scale is how many replicas a function may have, as OpenFaaS' labels say it.
type scale struct {
	least, most int
	// idle is how long a replica that is not needed stays; 0: the fleet's default.
	idle time.Duration
}

// Labels that OpenFaaS scales by, and its defaults.
const (
	labelMin      = "com.openfaas.scale.min"
	labelMax      = "com.openfaas.scale.max"
	labelZero     = "com.openfaas.scale.zero"
	labelZeroIdle = "com.openfaas.scale.zero-duration"
	defaultMost   = 5
	// mostReplicas of a function on one machine.
	mostReplicas = 100
)

func scaleOf(labels map[string]string) (scale, error) {
	s := scale{least: 1, most: defaultMost}
	for label, to := range map[string]*int{labelMin: &s.least, labelMax: &s.most} {
		text, ok := labels[label]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostReplicas {
			return s, errBadImage{fmt.Errorf("label %s: %q is no number from 1 to %d", label, text, mostReplicas)}
		}
		*to = n
	}
	if _, told := labels[labelMax]; !told {
		s.most = max(s.most, s.least)
	}
	if s.most < s.least {
		return s, errBadImage{fmt.Errorf("label %s: %d is less than %s: %d", labelMax, s.most, labelMin, s.least)}
	}
	if labels[labelZero] == "true" {
		s.least = 0
	}
	if text, ok := labels[labelZeroIdle]; ok {
		var err error
		if s.idle, err = time.ParseDuration(text); err != nil || s.idle <= 0 {
			return s, errBadImage{fmt.Errorf("label %s: %q is no duration such as 5m", labelZeroIdle, text)}
		}
	}
	return s, nil
}

// clamp is how many replicas are given where n are asked for.
func (s scale) clamp(n int) int { return min(max(n, s.least), s.most) }

// suffixes of Kubernetes' quantities of bytes.
func suffixes() map[string]float64 {
	return map[string]float64{
		"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "m": 1e-3,
	}
}

// memoryOf reads a quantity of bytes: "128Mi", "1G"; empty: 0.
func memoryOf(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number := strings.TrimRight(s, "KMGTikm")
	factor, known := suffixes()[s[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if bytes := n * factor; known && err == nil && bytes >= 1 && bytes < math.MaxInt64/2 {
		return int64(bytes), nil
	}
	return 0, fmt.Errorf("memory %q is no quantity: write for example 128Mi", s)
}

// cpusOf reads a quantity of CPUs: "2", "0.5", "500m"; empty: 0.
func cpusOf(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	number, milli := strings.CutSuffix(s, "m")
	n, err := strconv.ParseFloat(number, 64)
	if milli {
		n /= 1000
	}
	if err != nil || !(n > 0) || n > 1e6 {
		return 0, fmt.Errorf("cpu %q is no quantity: write for example 2 or 500m", s)
	}
	return n, nil
}
