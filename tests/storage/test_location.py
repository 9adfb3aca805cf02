"""Files are whole or absent, on a disk, in an object store and anywhere else."""

from __future__ import annotations

import hashlib
import threading
import uuid
from pathlib import Path

import fsspec
import pytest

from tasks.errors import SettingsError, StorageUnreachable
from tasks.storage import Location, locate


def listed(folder: Location) -> list[str]:
    fs, path = fsspec.core.url_to_fs(str(folder.local) if folder.local else folder.url)
    return sorted(name.rsplit("/", 1)[-1] for name in fs.find(path))


def test_what_is_put_is_there(folder: Location, source: Path, tmp_path: Path) -> None:
    place = folder.child("deep/er/film.mp4")
    assert place.size() is None
    assert place.read_bytes() is None
    assert place.sha256() is None
    place.put(source)
    assert place.size() == 7
    assert place.read_bytes() == b"content"
    assert place.sha256() == hashlib.sha256(b"content").hexdigest()
    place.fetch(tmp_path / "back" / "film.mp4")
    assert (tmp_path / "back" / "film.mp4").read_bytes() == b"content"
    assert listed(folder) == ["film.mp4"]
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["film.mp4"]


def test_what_was_there_is_replaced(folder: Location, source: Path) -> None:
    place = folder.child("film.mp4")
    place.put_bytes(b"old and longer")
    place.put(source)
    assert place.read_bytes() == b"content"
    assert place.size() == 7
    assert listed(folder) == ["film.mp4"]


def test_a_file_can_be_renamed_and_one_that_is_gone_need_not_be(folder: Location, source: Path) -> None:
    place = folder.child("film.mp4")
    place.rename("nothing.mp4")
    place.put(source)
    place.rename("other.mp4")
    assert listed(folder) == ["other.mp4"]
    place.rename("again.mp4")
    assert listed(folder) == ["other.mp4"]


def test_a_file_can_be_copied_where_it_lies(folder: Location, source: Path) -> None:
    folder.child("incoming/one").put(source)
    assert folder.child("incoming/one").copy_to(folder.child("two.mp4"))
    assert folder.child("two.mp4").read_bytes() == folder.child("incoming/one").read_bytes() == b"content"
    assert not folder.child("nothing").copy_to(folder.child("three.mp4"))
    assert folder.child("three.mp4").size() is None


def test_a_folder_is_no_file(folder: Location, source: Path) -> None:
    folder.child("inside/film.mp4").put(source)
    assert folder.child("inside").size() is None


def test_neighbours_and_names(folder: Location) -> None:
    film = folder.child("films/film.mp4")
    assert film.name == "film.mp4"
    assert film.beside("film.manifest.json") == folder.child("films/film.manifest.json")
    assert film.protocol == ("file" if folder.local else folder.url.partition(":")[0])


def test_a_source_that_is_gone_leaves_what_was_there(folder: Location, tmp_path: Path) -> None:
    place = folder.child("film.mp4")
    place.put_bytes(b"old")
    with pytest.raises(StorageUnreachable, match="cannot be written"):
        place.put(tmp_path / "nowhere")
    assert place.read_bytes() == b"old"
    assert listed(folder) == ["film.mp4"]


def test_where_no_file_can_be_none_is_fetched_to(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("x")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageUnreachable, match="cannot be read"):
        locate(str(tmp_path / "source")).fetch(tmp_path / "file" / "copy")


def test_what_is_not_there_cannot_be_fetched(folder: Location, tmp_path: Path) -> None:
    with pytest.raises(StorageUnreachable, match="cannot be read"):
        folder.child("film.mp4").fetch(tmp_path / "back" / "film.mp4")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_reader_never_sees_a_half_written_local_file(tmp_path: Path) -> None:
    place = locate(str(tmp_path / "film.mp4"))
    versions = {bytes([number]) * 300_000 for number in range(8)}
    sources = []
    for number, content in enumerate(sorted(versions)):
        path = tmp_path / f"source {number}"
        path.write_bytes(content)
        sources.append(path)
    place.put(sources[0])
    writers = [threading.Thread(target=place.put, args=(path,)) for path in sources for _ in range(3)]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers):
        seen.append(place.read_bytes())
    for writer in writers:
        writer.join()
    assert set(seen) <= versions
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path: Path, source: Path) -> None:
    place = locate(str(tmp_path / ("n" * 251 + ".mp4")))
    place.put(source)
    assert place.read_bytes() == b"content"


def test_a_file_in_the_way_is_said(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    place = locate(str(tmp_path / "file" / "film.mp4"))
    assert place.read_bytes() is None
    assert place.size() is None
    with pytest.raises(StorageUnreachable, match="cannot be written") as caught:
        place.put(source)
    assert (caught.value.exit_code, caught.value.transient) == (6, True)


class TestLocating:
    @pytest.mark.parametrize("text", ["", "  "])
    def test_an_empty_name_is_none(self, text: str) -> None:
        with pytest.raises(SettingsError):
            locate(text)

    def test_files_by_any_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        place = tmp_path / "two words #1.mp4"
        for text in (str(place), "two words #1.mp4", "./two words #1.mp4", place.as_uri(), f"  {place} "):
            assert locate(text).local == place

    def test_the_home_folder(self) -> None:
        assert locate("~/film.mp4").local == Path.home() / "film.mp4"


def test_a_reader_never_sees_a_half_written_remote_file(source: Path) -> None:
    place = locate(f"memory://place-{uuid.uuid4().hex}/film.mp4")
    source.write_bytes(b"x" * 2_000_000)
    place.put(source)
    writers = [threading.Thread(target=place.put, args=(source,)) for _ in range(8)]
    for writer in writers:
        writer.start()
    seen = {place.size()}
    while any(writer.is_alive() for writer in writers):
        seen.add(place.size())
    for writer in writers:
        writer.join()
    assert seen == {2_000_000}


def test_a_file_may_lie_at_the_top(source: Path) -> None:
    place = locate(f"memory://{uuid.uuid4().hex}.mp4")
    place.put(source)
    assert place.read_bytes() == b"content"
    place.rename(f"{place.name}.old")
    assert place.read_bytes() is None


@pytest.mark.parametrize("uri", ["file://elsewhere/films/a.mp4", "file:a.mp4", "file://a.mp4"])
def test_a_file_uri_of_another_machine_or_without_a_path_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match="no file of this machine"):
        locate(uri)


def test_file_uris_are_paths(tmp_path: Path) -> None:
    assert locate(f"file://{tmp_path}/a%20b.mp4").local == tmp_path / "a b.mp4"
    assert locate(f"file://localhost{tmp_path}/a.mp4").local == tmp_path / "a.mp4"
    for odd in (tmp_path / "p%41" / "f.mp4", tmp_path / "a b" / "ü.mp4"):
        assert locate(odd.as_uri()).local == odd
    with pytest.raises(SettingsError, match="user who is not"):
        locate("~nosuchuser/x.mp4")


def test_places_are_looked_at_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    locate(str(tmp_path / "new" / "deep" / "film.mp4")).check_writable()
    assert not (tmp_path / "new").exists()
    locate("memory://films/a.mp4").check_writable()
    for wrong in (tmp_path, tmp_path / "file" / "film.mp4", "nosuch://x/y.mp4"):
        with pytest.raises(SettingsError):
            locate(str(wrong)).check_writable()
    with pytest.raises(StorageUnreachable):
        locate("/proc/x/film.mp4").check_writable()


def test_a_place_that_never_takes_a_file_is_told_at_once(tmp_path: Path) -> None:
    for long in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "film.mp4"):
        with pytest.raises(SettingsError, match="name too long"):
            locate(str(long)).check_writable()
    for read_only in ("http://films.example.com/a.mp4", "HTTPS://films.example.com/a.mp4"):
        with pytest.raises(SettingsError, match="can only be read"):
            locate(read_only).check_writable()


def test_what_is_removed_is_gone_and_may_be_removed_again(folder: Location, source: Path) -> None:
    place = folder.child("deep/film.mp4")
    place.remove()
    place.put(source)
    place.remove()
    place.remove()
    assert place.size() is None
    assert folder.files() == []
