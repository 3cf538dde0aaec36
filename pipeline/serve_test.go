package pipeline

import (
	"net"
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	l, err := Listen(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if host, _, err := net.SplitHostPort(l.Addr().String()); err != nil || host != "127.0.0.1" {
		t.Errorf("without a host it listens on %s", l.Addr())
	}
	if _, err := Listen(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := Listen(t.Context(), "here"); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
		t.Errorf("no address: %v", err)
	}
}

func TestKeptPlan(t *testing.T) {
	dir := writeProject(t)
	p := load(t, dir)
	if kept, why := keptPlan(p); kept != nil || why != "there is none yet" {
		t.Errorf("without a plan: %v, %s", kept, why)
	}
	made := functionPlan(p)
	data, err := made.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "plan.json", string(data))
	if kept, why := keptPlan(p); kept == nil || kept.Digest() != made.Digest() {
		t.Errorf("with a plan: %v, %s", kept, why)
	}
	write(t, dir, "workflow.asl.json", `{"StartAt":"Double","States":{"Double":{"Type":"Task","Resource":"double","End":true}}}`)
	if kept, why := keptPlan(load(t, dir)); kept != nil || !strings.Contains(why, "does not fit") || strings.Contains(why, "\n") {
		t.Errorf("with another workflow's plan: %v, %s", kept, why)
	}
	write(t, dir, "plan.json", "{")
	if kept, why := keptPlan(p); kept != nil || !strings.Contains(why, "plan.json") {
		t.Errorf("with what is no plan: %v, %s", kept, why)
	}
}
