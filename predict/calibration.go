package predict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/internal/strictjson"
	"github.com/chiron-faas/chiron/profile"
)

// APIVersion of a calibration file.
const APIVersion = "chiron/v1"

// DefaultSwitchInterval is CPython's own (sys.getswitchinterval, 5 ms:
// DEFAULT_INTERVAL in Python/ceval_gil.c).
const DefaultSwitchInterval = 5 * time.Millisecond

// Calibration holds a machine's constants: what running functions in threads,
// processes and wraps costs besides the functions themselves. The names in
// capitals are the paper's.
type Calibration struct {
	Machine profile.Machine
	Created time.Time
	// Version of the interpreter that they were measured with: "3.11.7".
	Version string

	// Request is what one workflow request costs in wrap 1 whatever it runs:
	// HTTP in and out, and the walk.
	Request time.Duration
	// Dispatch is one call of a function in a running process, from the agent
	// to the handler and back, beyond the handler's own time.
	Dispatch time.Duration
	// ThreadStart is the further delay of each next thread of a process.
	ThreadStart time.Duration
	// Startup (T_Startup) is from a fork's begin to the handler's start in the
	// child: CPU time, first the zygote's and then the child's.
	Startup time.Duration
	// Block (T_Block) is from one fork's begin to the next's in the same wrap: the
	// zygote's part of Startup.
	Block time.Duration
	// Exit is the CPU time that the end of a forked process takes, beside what
	// runs then.
	Exit time.Duration
	// IPC (T_IPC) is what each further process of a wrap adds to a stage's end.
	IPC time.Duration
	// RPC (T_RPC) is what calling another wrap for its part of a stage costs,
	// beyond that part.
	RPC time.Duration
	// INV (T_INV) is between the calls of one further wrap and the next.
	INV time.Duration
	// SwitchInterval of the interpreter lock where a plan sets none.
	SwitchInterval time.Duration

	// Spread is how the constants vary from request to request: evenly spaced
	// quantiles, from the least to the most, of what a request cost beyond its
	// functions as a part of what the constants say that it costs. One factor is
	// for all constants of a request. Empty: they do not vary.
	Spread []float64
	// Together is how far what computes in one request is slow and fast at the
	// same time, as a machine that others use too makes it: the rank correlation
	// (Spearman's) of the times of two functions of a request, over requests. 0:
	// each varies for itself; 1: all do as one.
	Together float64
	// Standby is the first call of a child that waited for it, from the agent to
	// the handler and back, beyond the handler's own time: Dispatch in a standby
	// process. 0: not measured; such a process is taken for a forked one then.
	Standby time.Duration
	// Row is what each further task of a row costs, beyond the task's own time:
	// tasks of one process that hand whole results on are one call of it. 0: not
	// measured; each is taken for a call of its own then.
	Row time.Duration
	// Agent is the CPU time of a wrap's agent for one call of a function, which
	// others lack where CPUs are scarce. How long it holds the call up is in
	// Dispatch.
	Agent time.Duration
	// Beside is by which part of its time a function that computes takes longer
	// for each other CPU that computes too: CPUs share caches, memory and, as
	// virtual ones, cores.
	Beside float64
}

// maxConstant bounds every constant: what is beyond a minute was not measured.
const maxConstant = time.Minute

// Paper returns the constants of the paper's test bed (its artifact's, for the
// data that were published with it). They are for tests and for reports that
// repeat the paper's figures, never for a plan that is to run.
func Paper() Calibration {
	return Calibration{
		Startup:        13 * time.Millisecond,
		Block:          4 * time.Millisecond,
		RPC:            20 * time.Millisecond,
		INV:            4 * time.Millisecond,
		ThreadStart:    600 * time.Microsecond,
		SwitchInterval: DefaultSwitchInterval,
	}
}

// Check reports every constant that cannot be right.
func (c *Calibration) Check() error {
	var faults []error
	for _, k := range c.constants() {
		switch {
		case *k.value < 0:
			faults = append(faults, fmt.Errorf("%s is negative (%v)", k.key, *k.value))
		case *k.value > maxConstant:
			faults = append(faults, fmt.Errorf("%s is over a minute (%v)", k.key, *k.value))
		}
	}
	if c.Agent < 0 || c.Agent > maxConstant {
		faults = append(faults, fmt.Errorf("agent_ms is %v: it is from 0 to a minute", c.Agent))
	}
	if c.Standby < 0 || c.Standby > maxConstant {
		faults = append(faults, fmt.Errorf("standby_ms is %v: it is from 0 to a minute", c.Standby))
	}
	if c.Row < 0 || c.Row > maxConstant {
		faults = append(faults, fmt.Errorf("row_ms is %v: it is from 0 to a minute", c.Row))
	}
	if c.SwitchInterval == 0 {
		faults = append(faults, errors.New("switch_interval_ms is 0: CPython's is 5"))
	}
	if err := checkSpread(c.Spread); err != nil {
		faults = append(faults, err)
	}
	if !(c.Beside >= 0 && c.Beside <= maxBeside) {
		faults = append(faults, fmt.Errorf("beside is %v: it is from 0 to %d", c.Beside, maxBeside))
	}
	if !(c.Together >= 0 && c.Together <= 1) {
		faults = append(faults, fmt.Errorf("together is %v: it is a part, from 0 to 1", c.Together))
	}
	if len(faults) > 0 {
		return fmt.Errorf("calibration: %w: calibrate again", errors.Join(faults...))
	}
	return nil
}

// Bounds of Calibration.Spread.
const (
	// MaxSpread is the most quantiles: each hundredth.
	MaxSpread = 101
	// maxFactor is the most that a request may cost, times the constants'.
	maxFactor = 1000
	// maxBeside is a CPU of which two make no more than one.
	maxBeside = 1
)

func checkSpread(spread []float64) error {
	switch n := len(spread); {
	case n == 0:
		return nil
	case n == 1 || n > MaxSpread:
		return fmt.Errorf("spread has %d quantiles: 2 to %d make one, or none", n, MaxSpread)
	case !(spread[0] >= 0 && spread[n-1] <= maxFactor) || !slices.IsSorted(spread):
		return fmt.Errorf("spread is not ascending from 0 to at most %d", maxFactor)
	}
	return nil
}

// constant is one line of a calibration file.
type constant struct {
	key   string
	value *time.Duration
}

// constants in the order of the file.
func (c *Calibration) constants() []constant {
	return []constant{
		{"request_ms", &c.Request},
		{"dispatch_ms", &c.Dispatch},
		{"thread_start_ms", &c.ThreadStart},
		{"startup_ms", &c.Startup},
		{"block_ms", &c.Block},
		{"exit_ms", &c.Exit},
		{"ipc_ms", &c.IPC},
		{"rpc_ms", &c.RPC},
		{"inv_ms", &c.INV},
		{"switch_interval_ms", &c.SwitchInterval},
	}
}

// calibrationJSON is the file; the constants are in milliseconds.
type calibrationJSON struct {
	APIVersion string             `json:"apiVersion"`
	Created    time.Time          `json:"created"`
	Machine    profile.Machine    `json:"machine"`
	Version    string             `json:"version"`
	Constants  map[string]float64 `json:"constants"`
	Spread     []float64          `json:"spread"`
	Together   float64            `json:"together"`
	Standby    float64            `json:"standby_ms"`
	Row        float64            `json:"row_ms"`
	Agent      float64            `json:"agent_ms"`
	Beside     float64            `json:"beside"`
}

// MarshalJSON implements json.Marshaler: the file's form, its keys always in
// the same order.
func (c *Calibration) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, field := range []struct {
		key   string
		value any
	}{{"apiVersion", APIVersion}, {"created", c.Created}, {"machine", c.Machine}, {"version", c.Version}} {
		value, err := json.Marshal(field.value)
		if err != nil {
			return nil, fmt.Errorf("calibration: %w", err)
		}
		fmt.Fprintf(&b, "%q:%s,", field.key, value)
	}
	b.WriteString(`"constants":{`)
	for i, k := range c.constants() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", k.key, strconv.FormatFloat(float64(*k.value)/1e6, 'f', -1, 64))
	}
	b.WriteByte('}')
	if len(c.Spread) > 0 {
		value, err := json.Marshal(c.Spread)
		if err != nil {
			return nil, fmt.Errorf("calibration: %w", err)
		}
		fmt.Fprintf(&b, `,"spread":%s`, value)
	}
	if c.Together != 0 {
		fmt.Fprintf(&b, `,"together":%s`, strconv.FormatFloat(c.Together, 'f', -1, 64))
	}
	if c.Standby != 0 {
		fmt.Fprintf(&b, `,"standby_ms":%s`, strconv.FormatFloat(float64(c.Standby)/1e6, 'f', -1, 64))
	}
	if c.Row != 0 {
		fmt.Fprintf(&b, `,"row_ms":%s`, strconv.FormatFloat(float64(c.Row)/1e6, 'f', -1, 64))
	}
	if c.Agent != 0 {
		fmt.Fprintf(&b, `,"agent_ms":%s`, strconv.FormatFloat(float64(c.Agent)/1e6, 'f', -1, 64))
	}
	if c.Beside != 0 {
		fmt.Fprintf(&b, `,"beside":%s`, strconv.FormatFloat(c.Beside, 'f', -1, 64))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON implements json.Unmarshaler. A constant that is missing or not
// known is an error: a file of another version is measured anew. One without a
// spread is taken for one whose constants do not vary; an agent's CPU time that is
// missing is none, and standby processes and rows were not measured where they are
// not told.
func (c *Calibration) UnmarshalJSON(data []byte) error {
	var file calibrationJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return err
	}
	*c = Calibration{Machine: file.Machine, Created: file.Created, Version: file.Version, Spread: file.Spread, Together: file.Together, Beside: file.Beside}
	for _, k := range []struct {
		key string
		ms  float64
		to  *time.Duration
	}{{"standby_ms", file.Standby, &c.Standby}, {"row_ms", file.Row, &c.Row}, {"agent_ms", file.Agent, &c.Agent}} {
		if math.Abs(k.ms) > float64(maxConstant/time.Millisecond) {
			return fmt.Errorf("%s: %v ms is over a minute", k.key, k.ms)
		}
		*k.to = time.Duration(math.Round(k.ms * 1e6))
	}
	known := c.constants()
	for _, k := range known {
		ms, ok := file.Constants[k.key]
		if !ok {
			return fmt.Errorf("constant %q is missing", k.key)
		}
		if math.Abs(ms) > float64(maxConstant/time.Millisecond) {
			return fmt.Errorf("constant %q: %v ms is over a minute", k.key, ms)
		}
		*k.value = time.Duration(math.Round(ms * 1e6))
		delete(file.Constants, k.key)
	}
	for key := range file.Constants {
		return fmt.Errorf("constant %q is not known", key)
	}
	return nil
}

// maxCalibrationFile bounds a calibration file, bytes.
const maxCalibrationFile = 64 << 10

// ReadCalibration reads and checks a calibration file.
func ReadCalibration(path string) (*Calibration, error) {
	data, err := strictjson.ReadFile(path, maxCalibrationFile)
	if err != nil {
		return nil, err
	}
	c, err := DecodeCalibration(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// DecodeCalibration reads what such a file holds.
func DecodeCalibration(data []byte) (*Calibration, error) {
	var c Calibration
	if err := strictjson.Decode(data, "a calibration", APIVersion, &c); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Write writes the calibration to a file, all of it or nothing.
func (c *Calibration) Write(path string) error {
	if err := c.Check(); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	indented.WriteByte('\n')
	return atomicfile.Write(path, indented.Bytes())
}
