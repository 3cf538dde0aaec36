// Package svg writes small pictures: bars, lines, points and text, in colours
// that people tell apart whatever they see and that suit light and dark pages. A
// picture is one file that needs nothing else.
package svg
