import codecs
import hashlib
import os

import pytest

from minitransformer import python_docs, read_text, shakespeare
from minitransformer.data import corpora


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    """The documentation, read from a cache of its own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "cache_folder", lambda: folder)
        yield python_docs()


@pytest.mark.slow
def test_the_documentation_is_clean_and_holds_nothing_twice(docs):
    assert docs.isascii()
    assert len(docs) > 300_000
    lines = [line.lower() for line in docs.split("\n") if line]
    assert len(lines) == len(set(lines))
    assert not any(">>>" in line for line in lines)


def test_it_is_read_once_and_kept(docs, monkeypatch):
    monkeypatch.setattr(corpora, "topics", lambda: pytest.fail("read again"))
    assert python_docs() == docs


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "docstrings", dict)  # they take seconds
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "folder"
    monkeypatch.setattr(corpora, "cache_folder", lambda: folder)
    assert len(python_docs()) > 100_000


def test_missing_topics_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    monkeypatch.setattr(corpora, "cache_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="documentation topics"):
        python_docs()


def test_line_ends_and_byte_order_mark_are_taken_away(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\r\nb\rc\n안".encode())
    assert read_text(path) == "a\nb\nc\n안"


@pytest.mark.parametrize(
    ("data", "message"), [(None, "does not exist"), (b" \n", "empty"), (b"a\xff", "not UTF-8")]
)
def test_a_bad_file_is_refused(tmp_path, data, message):
    path = tmp_path / "text"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_text(path)


def test_a_folder_is_not_a_text(tmp_path):
    with pytest.raises(ValueError, match="folder"):
        read_text(tmp_path)


def test_shakespeare_is_fetched_once_and_verified(tmp_path, monkeypatch):
    source = tmp_path / "origin.txt"
    source.write_text("To be, or not to be")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    cache = tmp_path / "cache"
    monkeypatch.setattr(corpora, "cache_folder", lambda: cache)
    monkeypatch.setattr(corpora, "SHAKESPEARE", source.as_uri())
    with pytest.raises(ValueError, match="could not be fetched"):
        shakespeare()  # another text than expected
    monkeypatch.setattr(corpora, "SHAKESPEARE_SHA256", digest)
    assert shakespeare() == "To be, or not to be"
    source.unlink()
    assert shakespeare() == "To be, or not to be"
    (cache / "shakespeare.txt").write_text("damaged")
    with pytest.raises(ValueError, match="--text FILE"):
        shakespeare()


@pytest.mark.slow
def test_documents_have_names_and_each_paragraph_once(docs):
    documents = corpora.python_documents()
    assert {"topic assert", "json.decoder", "asyncio.queues"} <= set(documents)
    paragraphs = [line for lines in documents.values() for line in lines]
    lowered = [paragraph.lower() for paragraph in paragraphs]
    assert len(set(lowered)) == len(lowered)
    assert sorted(docs.split()) == sorted(" ".join(paragraphs).split())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("\ufeff\ufeffa\r\n안".encode(), "a\n안"),
        ("a\r\n안".encode("utf-16"), "a\n안"),
        (codecs.BOM_UTF16_BE + "a\n안".encode("utf-16-be"), "a\n안"),
        (b"form\x0cfeed \x1b[31m", "form\x0cfeed \x1b[31m"),
    ],
)
def test_marked_encodings_are_taken(tmp_path, data, expected):
    path = tmp_path / "text"
    path.write_bytes(data)
    assert read_text(path) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text".encode("utf-16-le"), "not text"),
        ("Größe".encode("utf-16-be"), "not text"),
        ("text".encode("utf-32"), "not text"),
        (b"text\x00", "not text"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "not UTF-16"),
        ("Größe".encode("cp1252"), r"byte 2, which is 'ö' in Windows-1252, cp1252"),
        (b"\xed\xa0\x80", "not UTF-8"),
        (b"\xef\xbb\xbf", "empty"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, data, message):
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_text(path)
    assert len(str(caught.value).replace(str(path), "")) < 200


@pytest.mark.skipif(os.name != "posix", reason="what only POSIX has")
def test_nothing_hangs_or_fills_the_memory(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**12)  # takes no room on the disk
    for path, message in (
        (tmp_path / "pipe", "no ordinary file"),
        ("/dev/zero", "no ordinary file"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / "huge", "1,000,000,000,000 bytes"),
        ("a\0b", "null"),
        (tmp_path / ("x" * 999), "cannot be read"),
    ):
        with pytest.raises(ValueError, match=message):
            read_text(path)
    name = os.fsdecode(b"\xff\xfe.txt")  # a name that is not UTF-8
    (tmp_path / name).write_text("fine")
    assert read_text(tmp_path / name) == "fine"
