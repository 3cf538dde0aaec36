package main

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/workflow"
)

// manifestFlags are what Kubernetes' manifests say besides the plan.
type manifestFlags struct {
	instances, memory string
	overcommit        int
	from, pullSecrets []string
	env               []string
	grace             time.Duration
}

// variableName is what every shell and Kubernetes take (POSIX, "Environment
// Variable Definition").
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (f *manifestFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.instances, "instances", "", "on Kubernetes, how many pods of each wrap may run: `MIN..MAX`;\ndefault: 1..10")
	flags.StringVar(&f.memory, "memory", "", "on Kubernetes, `memory` of wraps that the plan gives none, such\nas 512Mi")
	flags.IntVar(&f.overcommit, "overcommit", 1, "on Kubernetes, ask for the plan's CPUs divided by this `number`;\nCPUs are then shared: for trying things out")
	flags.StringSliceVar(&f.from, "allow-from", nil, "on Kubernetes, another `namespace` whose pods may call the workflow")
	flags.StringSliceVar(&f.pullSecrets, "pull-secret", nil, "on Kubernetes, `name` of a secret with the registry's password")
	flags.StringArrayVar(&f.env, "env", nil, "on Kubernetes, variable that all functions find in their\nenvironment, `NAME=VALUE`; once for each")
	flags.DurationVar(&f.grace, "grace", kubernetes.DefaultGrace, "on Kubernetes, how long requests may take to end when a pod\ndoes")
}

// settings reads the flags.
func (f *manifestFlags) settings(namespace string) (kubernetes.Settings, error) {
	s := kubernetes.Settings{Namespace: namespace, Overcommit: f.overcommit, From: f.from, PullSecrets: f.pullSecrets, Grace: f.grace}
	if f.grace <= 0 {
		return s, usagef("--grace %v: give a positive duration", f.grace)
	}
	if f.overcommit < 1 {
		return s, usagef("--overcommit %d: give 1 for none, or by how much", f.overcommit)
	}
	for _, v := range f.env {
		if name, _, ok := strings.Cut(v, "="); !ok || !variableName.MatchString(name) {
			return s, usagef("--env %q: write NAME=VALUE, the name of letters, digits and '_'", v)
		}
	}
	if f.memory != "" {
		q, err := resource.ParseQuantity(f.memory)
		if err == nil && q.Value() < 1<<20 {
			err = errors.New("that is too little")
		}
		if err != nil {
			return s, usagef("--memory %q: write for example 512Mi or 2Gi: %w", f.memory, err)
		}
		s.Memory = q.Value()
	}
	if f.instances != "" {
		least, most, err := workflow.ParseInstances(f.instances)
		if err != nil || least < 1 {
			return s, usagef("--instances %q: write a number or MIN..MAX, at least 1", f.instances)
		}
		s.Min, s.Max = int32(least), int32(most) // bounded by workflow's own limit
	}
	if err := s.Check(); err != nil {
		return s, usagef("%w", err)
	}
	return s, nil
}
