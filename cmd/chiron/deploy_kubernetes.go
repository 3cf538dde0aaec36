package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
)

// clusterReport is a deployment on Kubernetes, with --output json.
type clusterReport struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	PlanID    string `json:"planID"`
	Revision  string `json:"revision"`
	// URL of the workflow within the cluster.
	URL   string              `json:"url"`
	Wraps []clusterWrapReport `json:"wraps"`
}

type clusterWrapReport struct {
	Wrap       string   `json:"wrap"`
	Deployment string   `json:"deployment"`
	Service    string   `json:"service"`
	Image      string   `json:"image"`
	Functions  []string `json:"functions"`
}

func (a *app) deployKubernetes(cmd *cobra.Command, f *deployFlags, dir string) error {
	prepare, err := f.plans.prepare(cmd)
	if err != nil {
		return err
	}
	settings, err := f.manifests.settings("")
	if err != nil {
		return err
	}
	if err := a.measures(&prepare, dir); err != nil {
		return err
	}
	project := prepare.Project
	shown := a.progress()
	defer shown.end()
	o := kubernetes.Options{Settings: settings, StartTimeout: f.timeout, Progress: shown.passing("deploy")}
	if cmd.Flags().Changed("drain") {
		o.Drain = f.drain
	}
	target, err := f.at.cluster(o)
	if err != nil {
		return err
	}
	// What is wrong with the cluster is known before anything is measured.
	if _, err := target.List(cmd.Context()); err != nil {
		return err
	}
	planned, err := f.planned(cmd, prepare, shown.note)
	if err != nil {
		return err
	}
	images, err := f.images.images(cmd.Context(), prepare.Agent, project, planned, shown.note)
	if err != nil {
		return err
	}
	made, err := target.Manifest(workloadOf(project, planned, images, f.manifests.env))
	if err != nil {
		return err
	}
	if err := target.ApplyManifests(cmd.Context(), made); err != nil {
		return err
	}
	shown.end()
	r := reportCluster(made)
	return a.report(r, textCluster(r))
}

func reportCluster(m *kubernetes.Manifests) clusterReport {
	r := clusterReport{Name: m.Deployment, Namespace: m.Namespace, PlanID: m.PlanID, Revision: m.Revision, URL: "http://" + m.Service.Name + "." + m.Namespace}
	for i := range m.Wraps {
		w := &m.Wraps[i]
		service := m.Service.Name
		if w.Service != nil {
			service = w.Service.Name
		}
		r.Wraps = append(r.Wraps, clusterWrapReport{
			Wrap: w.Wrap, Deployment: w.Deployment.Name, Service: service, Image: w.Deployment.Spec.Template.Spec.Containers[0].Image, Functions: w.Functions,
		})
	}
	return r
}

func textCluster(r clusterReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s is deployed in namespace %s, revision %s:\n", s.bold(r.Name), r.Namespace, r.Revision)
		columns := []column{{title: "WRAP", flex: true}, {title: "DEPLOYMENT"}, {title: "SERVICE"}, {title: "IMAGE", flex: true}}
		var rows [][]string
		for _, x := range r.Wraps {
			rows = append(rows, []string{x.Wrap, x.Deployment, x.Service, x.Image})
		}
		printTable(w, s, columns, rows)
		printf(w, "in the cluster it is %s\n", s.accent(r.URL))
		printf(w, "call it: chiron invoke %s --target kubernetes --namespace %s\n", r.Name, r.Namespace)
	}
}
