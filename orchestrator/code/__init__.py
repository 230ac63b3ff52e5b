"""The code of a trainable: which files count, what is in them, and whether it is still current."""

from orchestrator.code.archive import Archive
from orchestrator.code.closure import code_of, require_module
from orchestrator.code.copies import digests
from orchestrator.code.currency import Currency, Difference
from orchestrator.code.importing import Trainable, import_from, import_trainable
from orchestrator.code.manifest import Content, Manifest
from orchestrator.code.scope import Scope

__all__ = [
    "Archive",
    "Content",
    "Currency",
    "Difference",
    "Manifest",
    "Scope",
    "Trainable",
    "code_of",
    "digests",
    "import_from",
    "import_trainable",
    "require_module",
]
