import hashlib

import pytest

from minitransformer import python_docs, read_text, shakespeare
from minitransformer.data import corpora


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return python_docs(folder), folder


def test_the_documentation_is_clean_and_holds_nothing_twice(docs):
    text, _ = docs
    assert text.isascii()
    assert len(text) > 300_000
    lines = [line.lower() for line in text.split("\n") if line]
    assert len(lines) == len(set(lines))
    assert not any(">>>" in line for line in lines)


def test_it_is_read_once_and_kept(docs, monkeypatch):
    text, folder = docs
    monkeypatch.setattr(
        corpora, "topics", lambda: pytest.fail("read again")
    )
    assert python_docs(folder) == text


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "docstrings", dict)  # they take seconds
    (tmp_path / "file").write_text("")
    assert len(python_docs(tmp_path / "file" / "folder")) > 100_000


def test_missing_topics_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(
        __import__("sys").modules, "pydoc_data.topics", None
    )
    with pytest.raises(ValueError, match="documentation topics"):
        python_docs(tmp_path)


def test_line_ends_and_byte_order_mark_are_taken_away(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\r\nb\rc\n안".encode())
    assert read_text(path) == "a\nb\nc\n안"


@pytest.mark.parametrize(
    ("data", "message"),
    [(None, "does not exist"), (b" \n", "empty"), (b"a\xff", "not UTF-8")],
)
def test_a_bad_file_is_refused(tmp_path, data, message):
    path = tmp_path / "text"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_text(path)


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(ValueError, match="folder"):
        read_text(tmp_path)


def test_shakespeare_is_fetched_once_and_verified(tmp_path, monkeypatch):
    source = tmp_path / "origin.txt"
    source.write_text("To be, or not to be")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    cache, origin = tmp_path / "cache", source.as_uri()
    with pytest.raises(ValueError, match="could not be fetched"):
        shakespeare(origin, cache)  # another text than expected
    monkeypatch.setattr(corpora, "SHAKESPEARE_SHA256", digest)
    assert shakespeare(origin, cache) == "To be, or not to be"
    source.unlink()
    assert shakespeare(origin, cache) == "To be, or not to be"
    (cache / "shakespeare.txt").write_text("damaged")
    with pytest.raises(ValueError, match="--text FILE"):
        shakespeare(origin, cache)


def test_documents_bear_names_and_no_paragraph_twice(docs):
    documents = corpora.python_documents()
    assert {"topic assert", "json.decoder", "asyncio.queues"} <= set(
        documents
    )
    paragraphs = [line for lines in documents.values() for line in lines]
    lowered = [paragraph.lower() for paragraph in paragraphs]
    assert len(set(lowered)) == len(lowered)
    assert sorted(docs[0].split()) == sorted(" ".join(paragraphs).split())


def test_built_in_functions_are_among_the_passages():
    passages = corpora.library_passages()
    names = {name for name, _ in passages}
    assert {"open", "str.split", "dict.get", "json.decoder"} <= names
    assert all(passage.strip() for _, passage in passages)
    assert len({passage for _, passage in passages}) == len(passages)
    assert "math.isqrt" in names
    assert "help" not in names  # not every session has it
