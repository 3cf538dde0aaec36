package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	runtimelog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/controller"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// name of the lease, and of who tells events.
const name = "chiron-controller"

// start works until ctx ends, and lets go of the lease then.
func start(ctx context.Context, f *flags, log *slog.Logger) error {
	logger := logr.FromSlogHandler(log.Handler())
	// The libraries' loggers are the process'.
	runtimelog.SetLogger(logger)
	klog.SetSlogLogger(log)
	if _, err := os.Stat(f.calibration); f.calibration != "" && err != nil {
		log.Warn("there is no such calibration: Workflows have to name one of their own", "calibration", f.calibration)
	}
	cluster, err := kubernetes.NewClient(f.access)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	o := manager.Options{
		Scheme: scheme, Logger: logger, Cache: controller.CacheOf(f.watch),
		Metrics: server.Options{BindAddress: address(f.metrics)}, HealthProbeBindAddress: address(f.health),
		LeaderElection: !f.noElection, LeaderElectionID: name, LeaderElectionNamespace: f.electionIn,
		LeaderElectionReleaseOnCancel: true, // the process ends then
	}
	if o.LeaderElection && f.electionIn == "" {
		o.LeaderElectionNamespace = cluster.Namespace()
	}
	m, err := manager.New(cluster.Config(), o)
	if err != nil {
		return fmt.Errorf("begin to watch %s: %w", cluster, err)
	}
	if err := errors.Join(m.AddHealthzCheck("alive", healthz.Ping), m.AddReadyzCheck("alive", healthz.Ping)); err != nil {
		return err
	}
	r := controller.New(controller.Options{
		Reader: m.GetAPIReader(), Writer: m.GetClient(), Cluster: cluster, Events: m.GetEventRecorder(name), CalibrationFile: f.calibration,
		StartTimeout: f.startTimeout, RetryAfter: f.retryAfter, Drain: f.drain,
	})
	if err := controller.Register(m, r, f.workers); err != nil {
		return err
	}
	log.Info("started", "cluster", cluster.String(), "namespace", f.watch, "calibration", f.calibration)
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("run Workflows of %s: %w", cluster, err)
	}
	log.Info("ended")
	return nil
}

// address is one as the libraries have it: "0" is none.
func address(a string) string {
	if a == off {
		return "0"
	}
	return a
}
