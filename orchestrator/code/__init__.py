"""The code of what runs: which files count, what is in them, and whether it is still current."""

from orchestrator.code.archive import Archive
from orchestrator.code.closure import Entries, code_of, require_module
from orchestrator.code.copies import digests
from orchestrator.code.currency import Currency, Difference
from orchestrator.code.function import require_function
from orchestrator.code.importing import Trainable, import_trainable, require_free
from orchestrator.code.manifest import Content, Manifest
from orchestrator.code.programs import program_path, require_program
from orchestrator.code.scope import Scope
from orchestrator.code.target import require_target

__all__ = [
    "Archive",
    "Content",
    "Currency",
    "Difference",
    "Entries",
    "Manifest",
    "Scope",
    "Trainable",
    "code_of",
    "digests",
    "import_trainable",
    "program_path",
    "require_free",
    "require_function",
    "require_module",
    "require_program",
    "require_target",
]
