package main

import "log/slog"

// logLevel is what the agents' and the gateway's log begins with.
func (a *app) logLevel() slog.Level {
	if a.verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
