"""Runs Python functions as threads of forked processes, for Chiron's agent.

The first process is the zygote: it imports the handlers and forks workers. A
worker serves lanes, one thread each. The frames are described in the Go
package ``host`` (host/doc.go), which is the other end.

Standard library only; CPython 3.8 and newer; Linux.
"""
