package workflow

// Path is a reference path of InputPath, ResultPath or OutputPath: "$",
// "$.a.b[0]", or null. The zero Path is "$".
type Path struct {
	// Text as written; empty for the zero Path.
	Text string
	// Null is JSON's null: no input, no output, or a discarded result.
	Null bool
}
