"""The code of a trainable: which files count, what is in them, and whether it is still current."""

from orchestrator.code.archive import Archive
from orchestrator.code.closure import code_of, require_module
from orchestrator.code.copies import digests
from orchestrator.code.currency import Currency, Difference
from orchestrator.code.function import require_function
from orchestrator.code.importing import Trainable, import_trainable, require_free
from orchestrator.code.manifest import Content, Manifest
from orchestrator.code.scope import Scope
from orchestrator.code.target import require_target

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
    "import_trainable",
    "require_free",
    "require_function",
    "require_module",
    "require_target",
]
