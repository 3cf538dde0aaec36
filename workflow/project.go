package workflow

import (
	"encoding/json"
	"time"

	"github.com/chiron-faas/chiron/internal/requirement"
)

// Project is a chiron.yaml with everything that it names, read and checked.
type Project struct {
	// Dir is the absolute folder of the project file; File its path.
	Dir  string
	File string

	Name       string
	SLO        SLO
	Definition *Definition
	// DefinitionFile is the definition's absolute path.
	DefinitionFile string
	Functions      map[string]*Function
	// Input is the sample input, valid JSON; "{}" where the project has none.
	Input     json.RawMessage
	InputFile string
	// ObjectStore is the loopback address at which chiron serves its small
	// object store while the project runs ("127.0.0.1:9753"); empty: none.
	ObjectStore string
	// Rules that every plan of the project keeps.
	Rules Rules
	// Scale of its deployments, where a command says nothing else.
	Scale Scale
	// PricesFile is the absolute path of the prices that the project names;
	// empty: none. It is not read here.
	PricesFile string
}

// SLO is the latency objective. The zero SLO asks for nothing.
type SLO struct {
	Latency time.Duration
	// Percentile at which Latency is meant, in (0, 100); 0 means the mean. Load
	// sets DefaultPercentile where the project names none.
	Percentile float64
}

// DefaultPercentile of an SLO: 95 of 100 requests are to keep it. It is the
// safety margin of plans too, which are judged at this percentile of what is
// predicted. The paper estimates with larger constants to the same end (the text
// at its figure 14).
const DefaultPercentile = 95

// Function is one handler of the project.
type Function struct {
	Name string
	// Lang is "python".
	Lang string
	// Runtime is the interpreter asked for: a version ("3.12"), a command
	// ("python3.12") or an absolute path; empty means the machine's default.
	Runtime string
	// Dir is the absolute folder that holds the handler; all of it goes into
	// the bundle where the project names a folder, File alone where a file.
	Dir    string
	Folder bool
	// File is the handler's file, relative to Dir.
	File string
	// Symbol is the name in File that is called: "handle" (OpenFaaS) or
	// "handler" (Lambda); empty means whichever the file defines.
	Symbol string
	// Requirements is the absolute path of a pip requirements file; empty: none.
	Requirements string
	// Packages are the lines of Requirements and of what it includes.
	Packages []requirement.Line
	Env      map[string]string
	// Timeout of one call; DefaultTimeout where the project names none.
	Timeout time.Duration
	// Memory limit in bytes; 0: none.
	Memory int64
	Pos    Position
}

// DefaultTimeout of a function whose project names none: OpenFaaS' default
// exec_timeout.
const DefaultTimeout = 30 * time.Second
