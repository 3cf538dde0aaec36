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
	// instances, and their starts, where there is a fleet.
	instances *prometheus.Desc
	starts    *prometheus.CounterVec
	starting  prometheus.Histogram
	gateway   *Gateway
}

// buckets of latency, seconds: from what a trivial function takes to what a
// caller waits for.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// startBuckets of the start of an instance, seconds.
var startBuckets = []float64{.025, .05, .1, .15, .2, .3, .5, 1, 2, 5, 10, 30, 60}

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
		inside:    prometheus.NewDesc("gateway_function_in_flight", "Invocations that are with the wrap.", []string{"function_name"}, nil),
		waiting:   prometheus.NewDesc("gateway_function_queued", "Invocations that wait for a place.", []string{"function_name"}, nil),
		replicas:  prometheus.NewDesc("gateway_service_count", "Wraps that answer the function.", []string{"function_name"}, nil),
		instances: prometheus.NewDesc("chiron_instances", "Instances of the deployment, by state.", []string{"state"}, nil),
		starts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chiron_instance_starts_total", Help: "Instances that were started for requests (cold starts), by result.",
		}, []string{"result"}),
		starting: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "chiron_instance_start_seconds", Help: "Time from the start of an instance until it takes requests.", Buckets: startBuckets,
		}),
		gateway: g,
	}
	if f := g.options.Fleet; f != nil {
		m.registry.MustRegister(m.starts, m.starting)
		f.OnStart(m.observeStart)
	}
	m.registry.MustRegister(m.total, m.started, m.seconds, m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.inside
	out <- m.waiting
	out <- m.replicas
	if m.gateway.options.Fleet != nil {
		out <- m.instances
	}
}

func (m *metrics) observeStart(took time.Duration, err error) {
	if err != nil {
		m.starts.WithLabelValues("failed").Inc()
		return
	}
	m.starts.WithLabelValues("ok").Inc()
	m.starting.Observe(took.Seconds())
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	if f := m.gateway.options.Fleet; f != nil {
		c := f.Counts()
		for state, n := range map[string]int{"ready": c.Ready, "starting": c.Starting, "stopping": c.Stopping} {
			out <- prometheus.MustNewConstMetric(m.instances, prometheus.GaugeValue, float64(n), state)
		}
	}
	for _, rt := range *m.gateway.routes.Load() {
		name := rt.Name + "." + m.gateway.namespace()
		replicas := rt.counts().Ready
		out <- prometheus.MustNewConstMetric(m.inside, prometheus.GaugeValue, float64(len(rt.places)), name)
		out <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(rt.waiting.Load()), name)
		out <- prometheus.MustNewConstMetric(m.replicas, prometheus.GaugeValue, float64(replicas), name)
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
	name += "." + m.gateway.namespace() // as OpenFaaS has it
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
