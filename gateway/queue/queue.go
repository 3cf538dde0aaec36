package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options of Open. Handler and one of Dir and URL are needed.
type Options struct {
	// Dir is the folder of the embedded server's files.
	Dir string
	// URL of an outside server ("nats://127.0.0.1:4222"), instead.
	URL string
	// Handler makes the calls: it is asked /function/NAME.
	Handler http.Handler
	// Workers is the most calls made at once; 0: DefaultWorkers.
	Workers int
	// AckWait is after how long a call that nobody works on any more is given out
	// again; 0: DefaultAckWait.
	AckWait time.Duration
	// Tries is how often a call is made whose function had no place or was not
	// there; 0: DefaultTries.
	Tries int
	// Pause before the second try; it doubles with each, up to a minute. 0: 1 s.
	Pause time.Duration
	// Drain bounds how long the calls that are being made when Run ends may take; one
	// that takes longer is made again. 0: 10 s.
	Drain time.Duration
	// Client calls back; nil: one that gives up after 30 s and follows nothing.
	Client *http.Client
	// Log takes what fails; nil discards.
	Log *slog.Logger
}

// Defaults of Options.
const (
	DefaultWorkers = 16
	DefaultAckWait = 30 * time.Second
	DefaultTries   = 8
)

const (
	streamName = "CHIRON_ASYNC"
	subject    = "chiron.async"
	consumer   = "gateway"
	// MaxBody is the largest body of an asynchronous call, OpenFaaS' own limit.
	MaxBody = 256_000
	// maxDeliveries bounds how often a call is given out in all, deaths of the
	// gateway included: one that kills it each time must not do so for ever.
	maxDeliveries = 50
	// readyWithin is what the embedded server has to be ready for connections.
	readyWithin  = 20 * time.Second
	longestPause = time.Minute
	// maxAge is how long a call is kept at most.
	maxAge = 7 * 24 * time.Hour
)

// Queue takes asynchronous calls, and makes them once it runs.
type Queue struct {
	options Options
	log     *slog.Logger
	server  *server.Server // nil: it is an outside one
	conn    *nats.Conn
	js      jetstream.JetStream
	calls   jetstream.Consumer
	workers chan struct{}
	working sync.WaitGroup
}

// Open starts the server, or connects to the one there is. Calls are taken from
// now on; Run makes them.
func Open(ctx context.Context, o Options) (_ *Queue, err error) {
	if o.Handler == nil || (o.Dir == "") == (o.URL == "") {
		return nil, errors.New("queue: Options.Handler is needed, and one of Dir and URL")
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	if o.AckWait <= 0 {
		o.AckWait = DefaultAckWait
	}
	if o.Tries <= 0 {
		o.Tries = DefaultTries
	}
	if o.Pause <= 0 {
		o.Pause = time.Second
	}
	if o.Drain <= 0 {
		o.Drain = 10 * time.Second
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{options: o, log: o.Log, workers: make(chan struct{}, o.Workers)}
	defer func() {
		if err != nil {
			q.Close()
		}
	}()
	if err := q.connect(); err != nil {
		return nil, err
	}
	if q.js, err = jetstream.New(q.conn); err != nil {
		return nil, fmt.Errorf("async queue: %w", err)
	}
	stream, err := q.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subject}, Description: "Asynchronous calls of Chiron's gateway",
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, MaxAge: maxAge,
	})
	if err != nil {
		return nil, fmt.Errorf("async queue: make the stream: %w", err)
	}
	q.calls, err = stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: o.AckWait, MaxDeliver: maxDeliveries,
	})
	if err != nil {
		return nil, fmt.Errorf("async queue: make the consumer: %w", err)
	}
	return q, nil
}

func (q *Queue) connect() error {
	if q.options.URL != "" {
		var err error
		q.conn, err = nats.Connect(q.options.URL, nats.Name("chiron gateway"), nats.MaxReconnects(-1))
		if err != nil {
			return fmt.Errorf("async queue: connect to NATS at %s: %w: start it, or leave the URL out for the built-in one", redacted(q.options.URL), err)
		}
		return nil
	}
	var err error
	q.server, err = server.NewServer(&server.Options{
		ServerName: "chiron", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: q.options.Dir,
		SyncAlways: true, // 202 says that the call is on the disk
	})
	if err != nil {
		return fmt.Errorf("async queue: %w", err)
	}
	go q.server.Start() // ends with Shutdown, which Close waits for
	if !q.server.ReadyForConnections(readyWithin) {
		return fmt.Errorf("async queue: the NATS server in %s was not ready within %v: is the disk full?", q.options.Dir, readyWithin)
	}
	if q.conn, err = nats.Connect("", nats.InProcessServer(q.server)); err != nil {
		return fmt.Errorf("async queue: %w", err)
	}
	return nil
}

// Run makes the calls until ctx ends; then it waits for those that are being made.
func (q *Queue) Run(ctx context.Context) error {
	iterator, err := q.calls.Messages(jetstream.PullMaxMessages(q.options.Workers))
	if err != nil {
		return fmt.Errorf("async queue: %w", err)
	}
	stop := context.AfterFunc(ctx, iterator.Stop)
	defer stop()
	defer q.working.Wait()
	for {
		q.workers <- struct{}{}
		m, err := iterator.Next()
		if err != nil {
			<-q.workers
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) || ctx.Err() != nil {
				return nil
			}
			q.log.Warn("the async queue gave no call", "error", err.Error())
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(q.options.Pause):
			}
			continue
		}
		q.working.Go(func() {
			defer func() { <-q.workers }()
			q.work(ctx, m)
		})
	}
}

// Waiting counts the calls that are kept, those that are being made included.
func (q *Queue) Waiting(ctx context.Context) (int64, error) {
	stream, err := q.js.Stream(ctx, streamName)
	if err != nil {
		return 0, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int64(info.State.Msgs), nil
}

// Close ends the connection and the server. Run must have returned.
func (q *Queue) Close() {
	if q.conn != nil {
		q.conn.Close()
	}
	if q.server != nil {
		q.server.Shutdown()
		q.server.WaitForShutdown()
	}
}
