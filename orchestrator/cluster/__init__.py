"""Clusters of Ray's launcher: starts and checks them, and submits sweeps to them.

A cluster file has Ray's own format. Two paths on the nodes are a contract between it and this
package: ``~/orch`` is the working copy, and ``~/.orch/env`` is what a shell there must source.
"""
