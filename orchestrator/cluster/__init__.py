"""Clusters that Ray's launcher brings up: checked, looked into, and sent sweeps to.

A cluster file is Ray's own. Two places on its nodes are a contract between it and this
package: ``~/orch`` is the working copy, and ``~/.orch/env`` what a shell there must read.
"""
