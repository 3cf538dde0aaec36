package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newMux has every path but /function/.
func (g *Gateway) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", g.health)
	if h := g.options.System; h != nil {
		mux.Handle("/system/", h)
	} else {
		mux.HandleFunc("GET /system/functions", g.listFunctions)
		mux.HandleFunc("GET /system/function/{name}", g.oneFunction)
		mux.HandleFunc("GET /system/info", g.info)
	}
	if h := g.options.Async; h != nil {
		mux.Handle("/async-function/", g.identified(h))
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// identified gives a request its X-Call-Id, and refuses it while the gateway goes
// down.
func (g *Gateway) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.draining.Load() {
			g.refuse(w, http.StatusServiceUnavailable, "the gateway is going down: try again in a moment")
			return
		}
		if !isCallID(r.Header.Get(headerCallID)) {
			r.Header.Set(headerCallID, newCallID())
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	if g.draining.Load() {
		http.Error(w, "going down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("OK"))
}

// functionStatus is OpenFaaS' FunctionStatus (faas-provider, types).
type functionStatus struct {
	Name              string            `json:"name"`
	Image             string            `json:"image"`
	Namespace         string            `json:"namespace"`
	InvocationCount   int64             `json:"invocationCount,omitempty"`
	Replicas          int               `json:"replicas,omitempty"`
	AvailableReplicas int               `json:"availableReplicas,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	CreatedAt         time.Time         `json:"createdAt"`
}

// namespace that all routes are shown in.
func (g *Gateway) namespace() string { return cmp.Or(g.options.Namespace, "chiron") }

func (g *Gateway) status(req *http.Request, rt *route) functionStatus {
	replicas, available := 1, 1
	if rt.Fleet != nil {
		replicas = rt.counts().Ready
		available = replicas
	} else if g.options.Ready != nil {
		available = g.options.Ready(req.Context(), rt.Name)
	}
	labels := map[string]string{"chiron.kind": string(rt.Kind), "chiron.wrap": rt.Endpoint.Wrap}
	for k, v := range rt.Labels {
		labels[k] = v
	}
	return functionStatus{
		Name: rt.Name, Image: "chiron/" + string(rt.Kind), Namespace: g.namespace(), InvocationCount: rt.invoked.Load(),
		Replicas: replicas, AvailableReplicas: available, Labels: labels, Annotations: rt.Annotations, CreatedAt: rt.Deployed,
	}
}

func (g *Gateway) listFunctions(w http.ResponseWriter, req *http.Request) {
	list := []functionStatus{}
	for _, rt := range *g.routes.Load() {
		list = append(list, g.status(req, rt))
	}
	// Workflows first, then by name.
	slices.SortFunc(list, func(a, b functionStatus) int {
		return cmp.Or(-cmp.Compare(a.Labels["chiron.kind"], b.Labels["chiron.kind"]), cmp.Compare(a.Name, b.Name))
	})
	g.writeJSON(w, list)
}

func (g *Gateway) oneFunction(w http.ResponseWriter, req *http.Request) {
	rt := g.find(req.PathValue("name"))
	if rt == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	g.writeJSON(w, g.status(req, rt))
}

func (g *Gateway) info(w http.ResponseWriter, _ *http.Request) {
	type version struct {
		Release string `json:"release"`
		SHA     string `json:"sha"`
	}
	v := version{g.options.Version, g.options.Commit}
	g.writeJSON(w, map[string]any{
		"provider": map[string]any{"provider": "chiron", "orchestration": "local", "version": v},
		"version":  v, "arch": runtime.GOARCH,
	})
}

func (g *Gateway) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		g.log.Debug("an answer was not written", "error", err.Error())
	}
}
