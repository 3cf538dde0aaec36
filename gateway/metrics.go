package gateway

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics have OpenFaaS' names where it has any.
type metrics struct {
	registry *prometheus.Registry
	total    *prometheus.CounterVec
	started  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inside   *prometheus.Desc
	waiting  *prometheus.Desc
	replicas *prometheus.Desc
	gateway  *Gateway
}

// buckets of latency, seconds: from what a trivial function takes to what a
// caller waits for.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newMetrics(g *Gateway) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_function_invocation_total", Help: "Invocations that were answered.",
		}, []string{"function_name", "code"}),
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_function_invocation_started", Help: "Invocations that came in.",
		}, []string{"function_name"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_functions_seconds", Help: "Time from an invocation's arrival to its answer.", Buckets: buckets,
		}, []string{"function_name", "code"}),
		inside:   prometheus.NewDesc("gateway_function_in_flight", "Invocations that are with the wrap.", []string{"function_name"}, nil),
		waiting:  prometheus.NewDesc("gateway_function_queued", "Invocations that wait for a place.", []string{"function_name"}, nil),
		replicas: prometheus.NewDesc("gateway_service_count", "Wraps that answer the function.", []string{"function_name"}, nil),
		gateway:  g,
	}
	m.registry.MustRegister(m.total, m.started, m.seconds, m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.inside
	out <- m.waiting
	out <- m.replicas
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, rt := range m.gateway.routes {
		name := rt.Name + "." + namespace
		out <- prometheus.MustNewConstMetric(m.inside, prometheus.GaugeValue, float64(len(rt.places)), name)
		out <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(rt.waiting.Load()), name)
		out <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, 1, name)
	}
}

// routeMetrics are one route's, found once and not for each request.
type routeMetrics struct {
	metrics *metrics
	name    string
	started prometheus.Counter
	byCode  sync.Map // int → codeMetrics
}

type codeMetrics struct {
	total   prometheus.Counter
	seconds prometheus.Observer
}

func (m *metrics) route(name string) *routeMetrics {
	name += "." + namespace // as OpenFaaS has it
	return &routeMetrics{metrics: m, name: name, started: m.started.WithLabelValues(name)}
}

func (r *routeMetrics) observe(status int, took time.Duration) {
	found, ok := r.byCode.Load(status)
	if !ok {
		code := strconv.Itoa(status)
		found, _ = r.byCode.LoadOrStore(status, codeMetrics{
			r.metrics.total.WithLabelValues(r.name, code), r.metrics.seconds.WithLabelValues(r.name, code),
		})
	}
	c := found.(codeMetrics)
	c.total.Inc()
	c.seconds.Observe(took.Seconds())
}
