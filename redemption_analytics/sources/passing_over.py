"""Why a file is not read, and whether it may hold answers all the same."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from redemption_analytics.contract import PAYLOAD_COLUMN
from redemption_analytics.sources.export import has_export_name, has_note_name
from redemption_analytics.tables.passed_over import MAY_HOLD

#: Why a table is not read whose columns are called otherwise.
NO_PAYLOADS = (
    f'{MAY_HOLD}a table without a column "{PAYLOAD_COLUMN}": call the one so that holds them'
)

_NO_EXPORT_BUT_TABLE = f'no export: a table without a column "{PAYLOAD_COLUMN}"'

_UNPACK, _DECRYPT = "unpack it first", "decrypt it first"
_TEXT = "save its answers as JSON Lines, or as CSV with a column payload"

#: What files are by their first bytes or their suffixes, and what to do with them.
_KINDS: tuple[tuple[str, tuple[bytes, ...], tuple[str, ...], str], ...] = (
    ("a .7z archive", (b"7z\xbc\xaf\x27\x1c",), (".7z",), _UNPACK),
    ("a .rar archive", (b"Rar!\x1a\x07",), (".rar",), _UNPACK),
    ("a packed file", (b"\x1f\x9d", b"\x89LZO\0"), (".z", ".lzo", ".lz", ".br", ".sz"), _UNPACK),
    ("an archive", (b"MSCF", b"!<arch>"), (".cab", ".ace", ".arj", ".cpio", ".lzh"), _UNPACK),
    ("a .zip that cannot be opened", (b"PK\x03\x04",), (), _UNPACK),
    (
        "an encrypted file",
        (b"-----BEGIN PGP MESSAGE", b"age-encryption.org/", b"-----BEGIN AGE ", b"Salted__"),
        (".gpg", ".pgp", ".asc", ".age", ".enc", ".aes", ".crypt", ".encrypted", ".p7m", ".vault"),
        _DECRYPT,
    ),
    (
        "a spreadsheet",
        (b"\xd0\xcf\x11\xe0",),
        (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers"),
        _TEXT,
    ),
    ("a database", (b"SQLite format 3\0",), (".db", ".sqlite", ".sqlite3", ".mdb"), _TEXT),
    (
        "a table",
        (b"Obj\x01", b"ORC", b"ARROW1", b"PAR1", b"FEA1"),
        (".avro", ".orc", ".arrow", ".feather", ".pkl", ".pickle", ".bson", ".msgpack"),
        _TEXT,
    ),
)
_PAGE = MAY_HOLD + "an HTML page, as servers send in place of answers: ask for them again"
_HOLDS_TEXT = MAY_HOLD + "text in which an answer stands: " + _TEXT
_PARTIAL = MAY_HOLD + "a download that did not end: ask for it again"
_PLAIN = "no export, by its name and its content"

_IS_PAGE = re.compile(
    rb"\s*(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_ANSWER = re.compile(rb'[{,]\s*(?:""|\\"|&quot;|")response(?:""|\\"|&quot;|")\s*:')
_HARMLESS = re.compile(
    r"readme.*|licen[cs]e.*|copying.*|notice.*|changelog.*|contributing.*|manifest|makefile"
    r"|\.ds_store|thumbs\.db|desktop\.ini|icon\r|\.gitkeep|\.keep|\.gitignore|\.gitattributes"
    r"|\._.*|_success|_metadata|_common_metadata|_committed_.*|_started_.*|_temporary|\.nfs.*"
    r"|.*\.(?:crc|md5|sha1|sha256|sha512|md|rst|adoc|sig|lock|pid|sw[a-p]|py|sh|sql|ipynb"
    r"|png|jpe?g|gif|svg|webp|ico|pdf|docx?|pptx?|odt|css|js|ini|toml|ya?ml|cfg|conf)",
    re.IGNORECASE,
)
_PARTS_OF_DOWNLOADS = (".part", ".partial", ".filepart", ".crdownload", ".download", ".icloud")
_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "__macosx", "__pycache__", ".idea", ".vscode", ".ipynb_checkpoints"}
    | {".venv", ".trash", ".spotlight-v100", ".fseventsd"}
)
_OWN = ".redemption_analytics"


def reason_of(name: str, head: bytes) -> str:
    """Return why a file is passed over that is no export.

    Parameters
    ----------
    name
        Its path.
    head
        Its first bytes, unpacked.

    Examples
    --------
    >>> reason_of("exports/README.md", b"# Exports")
    'no export, by its name and its content'
    >>> reason_of("exports/old.7z", b"7z")
    'may hold answers: a .7z archive, which is not read: unpack it first'
    """
    own = PurePosixPath(name).name
    if is_harmless(name):
        return _PLAIN
    if kind := unread_kind(name, head):
        return MAY_HOLD + kind
    suffix = PurePosixPath(own).suffix.lower()
    if suffix in _PARTS_OF_DOWNLOADS:
        return _PARTIAL
    if _IS_PAGE.match(head) or suffix in (".html", ".htm"):
        return _PAGE
    answers = _ANSWER.search(head) is not None
    if is_called_table(name):
        return NO_PAYLOADS if answers else _NO_EXPORT_BUT_TABLE
    return _HOLDS_TEXT if answers else _PLAIN


def unread_kind(name: str, head: bytes = b"") -> str | None:
    """Say what kind of file it is that is not read, and what to do with it; None for any other.

    >>> unread_kind("exports.xlsx")[:32]
    'a spreadsheet, which is not read'
    """
    called = PurePosixPath(name).name.lower().split(".")[1:]
    by_name = [kind for kind in _KINDS if any(f".{part}" in kind[2] for part in called)]
    by_content = [kind for kind in _KINDS if head.startswith(kind[1])]
    for what, _, _, remedy in (*by_name, *by_content):
        return f"{what}, which is not read: {remedy}"
    return None


def reason_of_hidden(name: str, head: bytes, reason: str, *, answers: bool) -> str:
    """Return why a hidden file is passed over, and whether it may hold answers.

    Parameters
    ----------
    name
        Its path.
    head
        Its first bytes, unpacked, where they were read.
    reason
        That it is hidden.
    answers
        Whether its content is seen to be answers.
    """
    names = PurePosixPath(name).name.lower().split(".")
    of_export = any(has_export_name(f"x.{part}") for part in names[1:])
    may_hold = of_export or has_note_name(name) or reason_of(name, head).startswith(MAY_HOLD)
    return MAY_HOLD + reason if not is_harmless(name) and (answers or may_hold) else reason


def is_called_table(name: str) -> bool:
    """Check whether a file of that name holds CSV, packed or not.

    >>> is_called_table("a.csv.gz"), is_called_table("csv/a.json")
    (True, False)
    """
    return bool({"csv", "tsv"} & set(PurePosixPath(name).name.lower().split(".")[1:]))


def is_harmless(name: str) -> bool:
    """Check whether a file of that name holds no answers, whatever it holds."""
    *folders, own = PurePosixPath(name).parts or ("",)
    return (
        _HARMLESS.fullmatch(own) is not None
        or any(part.lower() in _FOLDERS or part.endswith(_OWN) for part in folders)
        or own.startswith(".~lock.")
    )
